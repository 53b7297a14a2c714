// @ts-check
/** One patient: every lead on one time axis, the large heart rate, signal and network. */

import { figure, t } from "../i18n.js";
import { LATE_S, ageText } from "../stream/freshness.js";
import { AlarmPanel } from "./alarm-panel.js";
import { MARKS, about, limitsText, rhythmText } from "./alarm-words.js";
import { mark, pick, stamp, write } from "./dom.js";
import { Lane, fault } from "./lane.js";
import { NetworkPanel } from "./network.js";
import { GAINS, SPEEDS, step } from "./scale.js";
import { Strip } from "./strip.js";
import { Sweep } from "./sweep.js";
import { TrendChart } from "./trend.js";

/** @typedef {import("../stream/feed.js").Feed} Feed */

const SPEED = 25; // mm/s, on a phone too: one patient has the room

export class PatientView {
  #feed;
  #desk;
  #parts;
  #lane;
  #strip;
  #alarms;
  #network;
  #trend;
  #labels;
  #generation = -1;
  #paper;
  #scaleChanged;
  /** @type {Sweep[]} */ sweeps;

  /**
   * @param {Feed} feed
   * @param {{palette: import("./palette.js").Palette, connection: import("../stream/connection.js").Connection,
   *   feeds: import("../stream/feeds.js").Feeds, desk: import("./alarm-desk.js").AlarmDesk, now: () => number,
   *   scaleChanged: (speed: number, gain: number) => void}} options
   */
  constructor(feed, { palette, connection, feeds, desk, now, scaleChanged }) {
    this.#feed = feed;
    this.#desk = desk;
    this.#scaleChanged = scaleChanged;
    this.#paper = { speed: SPEED, gain: palette.gain };
    this.element = stamp("patient");
    const part = (/** @type {string} */ name) => pick(this.element, `[data-part="${name}"]`, Element);
    this.#parts = {
      bed: part("bed"),
      name: part("name"),
      about: part("about"),
      mark: pick(this.element, ".phead .mark", Element),
      age: part("age"),
      scale: part("scale"),
      speed: part("speed"),
      gain: part("gain"),
      note: pick(this.element, ".wave-note", Element),
      hrCard: pick(this.element, ".hrcard", Element),
      hr: pick(this.element, ".hr-val", Element),
      source: pick(this.element, ".hr-source", Element),
      limits: pick(this.element, ".hr-limits", Element),
      rhythm: pick(this.element, ".rhythm", Element),
      leads: part("leads"),
      rate: part("rate"),
      gainUv: part("gain-uv"),
    };
    this.#labels = pick(this.element, ".row-labels", HTMLElement);
    this.#lane = new Lane(pick(this.element, ".waves", Element));
    this.#strip = new Strip(pick(this.element, ".strip", Element), feed, palette);
    this.#alarms = new AlarmPanel(pick(this.element, ".alarm-panel", Element), feed, { desk, strip: this.#strip, now });
    this.#network = new NetworkPanel(pick(this.element, ".network", Element), connection, feeds);
    this.#trend = new TrendChart(pick(this.element, ".trend", Element));
    this.sweeps = [
      new Sweep(pick(this.element, ".waves .wave", HTMLElement), feed, {
        palette,
        rowsOf: (shown) => [...shown.leads.keys()],
        pulse: true,
      }),
    ];
    this.element.addEventListener("click", (event) => {
      if (!(event.target instanceof Element)) return;
      const change = event.target.closest("[data-step]");
      if (change instanceof HTMLElement) this.key(change.dataset.step ?? "");
      if (event.target.closest(".strip [data-close]")) this.#strip.close();
    });
    this.#rescale();
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
    for (const sweep of this.sweeps) sweep.palette = palette;
    this.#strip.palette = palette;
  }

  /** @param {number} now */
  update(now) {
    const feed = this.#feed;
    const { entry, leads, unsent, format } = feed;
    const parts = this.#parts;
    if (feed.generation !== this.#generation) this.#label();
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
    this.#labels.childNodes.forEach((label, at) => {
      const name = leads[at] ?? "";
      const why = feed.leadsOff.has(name) ? ` ${t("off")}` : unsent.includes(name) ? ` ${t("not sent")}` : "";
      write(/** @type {Element} */ (label.firstChild), `${name}${why}`);
    });
    this.#placeNote(unsent);
    this.#network.update(feed, now);
    this.#trend.update(feed.trend, now, entry);
  }

  /**
   * @param {string} key
   * @returns {boolean} whether the key meant something here
   */
  key(key) {
    if (key === "Escape" && this.#strip.alarm !== null) {
      this.#strip.close();
      return true;
    }
    const paper = this.#paper;
    if (key === "[") paper.speed = step(SPEEDS, paper.speed, -1);
    else if (key === "]") paper.speed = step(SPEEDS, paper.speed, 1);
    else if (key === "-") paper.gain = step(GAINS, paper.gain, -1);
    else if (key === "+") paper.gain = step(GAINS, paper.gain, 1);
    else return false;
    this.#rescale();
    return true;
  }

  close() {
    for (const sweep of this.sweeps) sweep.close();
    this.#strip.end();
    this.element.remove();
  }

  #rescale() {
    const { speed, gain } = this.#paper;
    write(this.#parts.speed, `${speed} mm/s`);
    write(this.#parts.gain, `${gain} mm/mV`);
    write(this.#parts.scale, `${speed} mm/s · ${gain} mm/mV`);
    for (const sweep of this.sweeps) sweep.paper = this.#paper;
    this.#scaleChanged(speed, gain);
  }

  /**
   * The note stands over no trace: where some leads are not sent, in the row of one of them.
   * @param {readonly string[]} unsent
   */
  #placeNote(unsent) {
    const { leads } = this.#feed;
    const row = leads.indexOf(unsent[unsent.length >> 1]);
    const at = row < 0 ? 50 : (100 * (row + 0.5)) / leads.length;
    this.element.style.setProperty("--note-at", `${at}%`);
  }

  /** The leads of this epoch: one label for each row. */
  #label() {
    this.#generation = this.#feed.generation;
    const { leads } = this.#feed;
    this.#labels.replaceChildren(
      ...leads.map((lead) => {
        const row = document.createElement("li");
        const name = document.createElement("span");
        name.textContent = lead;
        row.append(name);
        return row;
      }),
    );
    this.element.style.setProperty("--leads", String(Math.max(leads.length, 1)));
    for (const sweep of this.sweeps) {
      sweep.label = t("ECG of bed {bed}, leads {leads}", { bed: this.#feed.entry.bed, leads: leads.join(", ") });
    }
  }
}
