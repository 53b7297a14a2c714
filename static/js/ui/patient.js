// @ts-check
/** One patient: every lead on one time axis, the large heart rate, signal and network. */

import { figure, t } from "../i18n.js";
import { LATE_S, ageText } from "../stream/freshness.js";
import { AlarmPanel } from "./alarm-panel.js";
import { MARKS, about, limitsText, rhythmText } from "./alarm-words.js";
import { mark, pick, stamp, write } from "./dom.js";
import { Lane, fault } from "./lane.js";
import { NetworkPanel } from "./network.js";
import { Paper } from "./paper.js";
import { reviewPathOf } from "./paths.js";
import { Strip } from "./strip.js";
import { TrendChart } from "./trend.js";

/** @typedef {import("../stream/feed.js").Feed} Feed */

export class PatientView {
  #feed;
  #desk;
  #parts;
  #lane;
  #strip;
  #alarms;
  #network;
  #trend;
  #paper;
  #palette;
  #now;
  /** Fetched as soon as a patient is opened: it must be there when the server is not. */
  #freezing = import("./frozen.js").catch(() => null);
  /** @type {import("./frozen.js").Frozen | null} */ #frozen = null;
  /** @type {readonly import("./sweep.js").Sweep[]} */ sweeps;

  /**
   * @param {Feed} feed
   * @param {{palette: import("./palette.js").Palette, connection: import("../stream/connection.js").Connection,
   *   feeds: import("../stream/feeds.js").Feeds, desk: import("./alarm-desk.js").AlarmDesk, now: () => number,
   *   scaleChanged: (scale: string) => void}} options
   */
  constructor(feed, { palette, connection, feeds, desk, now, scaleChanged }) {
    this.#feed = feed;
    this.#desk = desk;
    this.#palette = palette;
    this.#now = now;
    this.element = stamp("patient");
    pick(this.element, '[data-part="review"]', HTMLAnchorElement).href = reviewPathOf(feed);
    const part = (/** @type {string} */ name) => pick(this.element, `[data-part="${name}"]`, Element);
    this.#parts = {
      bed: part("bed"),
      name: part("name"),
      about: part("about"),
      mark: pick(this.element, ".phead .mark", Element),
      age: part("age"),
      note: pick(this.element, ".wave-note", Element),
      hrCard: pick(this.element, ".hrcard", Element),
      hr: pick(this.element, ".hr-val", Element),
      source: pick(this.element, ".hr-source", Element),
      limits: pick(this.element, ".hr-limits", Element),
      rhythm: pick(this.element, ".rhythm", Element),
      freeze: part("freeze"),
      leads: part("leads"),
      rate: part("rate"),
      gainUv: part("gain-uv"),
    };
    this.#lane = new Lane(pick(this.element, ".waves", Element));
    this.#strip = new Strip(pick(this.element, ".strip", Element), feed, palette);
    this.#alarms = new AlarmPanel(pick(this.element, ".alarm-panel", Element), feed, { desk, strip: this.#strip, now });
    this.#network = new NetworkPanel(pick(this.element, ".network", Element), connection, feeds);
    this.#trend = new TrendChart(pick(this.element, ".trend", Element));
    this.#paper = new Paper(this.element, feed, palette, scaleChanged);
    this.sweeps = [this.#paper.sweep];
    this.element.addEventListener("click", (event) => {
      if (!(event.target instanceof Element)) return;
      const change = event.target.closest("[data-step]");
      if (change instanceof HTMLElement) this.key(change.dataset.step ?? "");
      if (event.target.closest(".strip [data-close]")) this.#strip.close();
      this.#paper.press(event.target);
    });
  }

  get stream() {
    return this.#feed.id;
  }

  /** Whether the user has put the bed before the others. @param {boolean} pinned */
  set pinned(pinned) {
    mark(pick(this.element, '[data-part="pin"]', Element), "aria-pressed", String(pinned));
  }

  /** @param {import("./palette.js").Palette} palette */
  set palette(palette) {
    this.#palette = palette;
    for (const sweep of this.sweeps) sweep.palette = palette;
    this.#strip.palette = palette;
    if (this.#frozen) this.#frozen.palette = palette;
  }

  /** @param {number} now */
  update(now) {
    const feed = this.#feed;
    const { entry, leads, unsent, format } = feed;
    const parts = this.#parts;
    const state = feed.freshness(now);
    const wrong = fault(feed, leads, now);
    const { hr, source } = feed.heartRate(now);

    const alarms = this.#desk.of(feed);

    this.#lane.update(state, wrong, alarms, this.#desk);
    mark(parts.hrCard, "data-alarm", alarms[0] ? MARKS[alarms[0].severity] : null);
    mark(parts.hrCard, "data-standing", alarms[0]?.state ?? null);
    mark(parts.hrCard, "data-on", about(alarms[0]));
    this.#alarms.update(now);
    this.#strip.update();
    if (this.#strip.alarm !== null) this.#thaw(); // one frozen piece at a time, the newer one
    this.#frozen?.update(now);
    this.#paper.update();
    write(parts.bed, entry.bed);
    write(parts.name, entry.name || entry.patient);
    write(parts.about, `${entry.ward_name} · ${entry.patient}`);
    write(parts.mark, feed.source);
    mark(parts.mark, "data-source", feed.source);
    write(parts.age, ageText(feed.shownAge(now)));
    mark(parts.age, "data-late", feed.shownAge(now) > LATE_S ? "" : null);
    write(parts.note, wrong?.note ?? "");
    write(parts.limits, limitsText(entry));
    write(parts.hr, hr === null ? "--" : String(Math.round(hr)));
    mark(parts.hr, "data-unknown", hr === null ? "" : null);
    write(parts.source, source ? t("source {lead}", { lead: source }) : "");
    const current = state === "live" || state === "late";
    write(parts.rhythm, wrong && !current ? t("no data") : rhythmText(alarms[0], feed.rhythm(now)));
    const off = leads.filter((name) => feed.leadsOff.has(name));
    const sent = feed.numbersOnly ? 0 : leads.length - unsent.length;
    const count = sent < leads.length ? t("{n} of {all}", { n: sent, all: leads.length }) : t("{n} on", { n: sent });
    write(parts.leads, current ? (off.length > 0 ? t("{leads} off", { leads: off.join(", ") }) : count) : "--");
    const signal = feed.numbersOnly ? undefined : format?.info;
    write(parts.rate, signal ? `${figure(signal.rate_hz / signal.factor)} Hz` : "--");
    write(parts.gainUv, signal ? `${figure(Number(signal.leads[0].gain_uv.toPrecision(3)))} µV` : "--");
    this.#network.update(feed, now);
    this.#trend.update(feed.trend, now, entry);
  }

  /**
   * @param {string} key
   * @param {boolean} [far] whether it was pressed with Shift
   * @returns {boolean} whether the key meant something here
   */
  key(key, far = false) {
    if (key === "Escape" && this.#strip.alarm !== null) this.#strip.close();
    else if (key === "Escape" && this.#frozen) this.#thaw();
    else if (key === "f" && this.#frozen) this.#thaw();
    else if (key === "f") void this.#freeze();
    else if (key === "c") void this.#freeze().then(() => this.#frozen?.measure());
    else return (this.#frozen?.key(key, far) ?? false) || this.#paper.act(key);
    return true;
  }

  close() {
    this.#thaw();
    this.#paper.close();
    this.#strip.end();
    this.element.remove();
  }

  /** Keep what is to be seen now, unless something is kept already. */
  async #freeze() {
    const module = await this.#freezing;
    if (!module || this.#frozen || !this.#feed.ring || this.#feed.position <= 0) return;
    this.#strip.close();
    mark(this.element, "data-frozen", "");
    this.#frozen = new module.Frozen(pick(this.element, ".frozen", HTMLElement), this.#feed, {
      paper: this.#paper,
      palette: this.#palette,
      now: this.#now(),
      nowMs: this.#desk.nowMs,
    });
    this.#freezeChanged();
  }

  /** Back to the live trace alone. */
  #thaw() {
    this.#frozen?.close();
    this.#frozen = null;
    mark(this.element, "data-frozen", null);
    this.#freezeChanged();
  }

  #freezeChanged() {
    mark(this.#parts.freeze, "aria-pressed", String(this.#frozen !== null));
    this.#frozen?.update(this.#now());
  }
}
