// @ts-check
/** The past of one patient: hours of heart rate, its alarms, a strip about one, and every sample that is stored. */

import { t } from "../i18n.js";
import { clockText } from "../ui/alarm-words.js";
import { mark, pick, stamp, write } from "../ui/dom.js";
import { pathOf } from "../ui/paths.js";
import { showDetail } from "./detail.js";
import { EventList } from "./events.js";
import { ExportDialog } from "./export-dialog.js";
import { Past, PastError } from "./past.js";
import { HOUR_MS, Place } from "./place.js";
import { Rows } from "./rows.js";
import { printStrip } from "./sheet.js";
import { Strip } from "./strip.js";
import { TrendCard } from "./trend-card.js";
import { dayText } from "./window.js";
import { Zoom } from "./zoom.js";

/** @typedef {import("../stream/feed.js").Feed} Feed */
/** @typedef {import("../ui/palette.js").Palette} Palette */
/** @typedef {import("./events.js").Event} Event */
/** @typedef {"strip" | "zoom" | "rows"} Mode */

const AGAIN_MS = 60e3; // as often as another minute is stored
const ZOOM_STEP = 0.5;
const MOVE_STEP = 0.2; // of what is shown
const NEAR = 1 / 150; // of the hours: so near to an alarm's mark is pressing it
/** @type {Record<Mode, Mode>} */
const NEXT_MODE = { strip: "zoom", zoom: "rows", rows: "strip" };

export class ReviewView {
  #feed;
  #connection;
  #palette;
  #colours = coloursOf();
  #now;
  #scaleChanged;
  #past;
  #place;
  #parts;
  #trend;
  #events;
  #strip;
  #zoom;
  #rows;
  #export;
  #resizing;
  /** @type {Mode} */ #mode = "strip";
  #askedAt = -Infinity;
  #connections = 0;
  #online = true;
  #wanted = false;
  #problem = "";
  #frame = 0;
  /** Nothing here is painted with the screen's frames. @type {import("../ui/sweep.js").Sweep[]} */ sweeps = [];

  /**
   * @param {Feed} feed
   * @param {{palette: Palette, connection: import("../stream/connection.js").Connection, now: () => number, ms: number | null, scaleChanged: (scale: string) => void}} options
   *   `ms`: the time to begin with; `scaleChanged` is told what is drawn to which scale
   */
  constructor(feed, { palette, connection, now, ms, scaleChanged }) {
    this.#feed = feed;
    this.#connection = connection;
    this.#palette = palette;
    this.#now = now;
    this.#scaleChanged = scaleChanged;
    this.element = stamp("review");
    const part = (/** @type {string} */ name) => pick(this.element, `[data-part="${name}"]`, Element);
    const box = (/** @type {string} */ name) => pick(this.element, name, HTMLElement);
    this.#parts = {
      bed: part("bed"),
      name: part("name"),
      about: part("about"),
      range: part("range"),
      title: part("title"),
      scale: part("scale"),
      mark: pick(this.element, ".phead .mark", Element),
      told: pick(this.element, ".told", Element),
      toldText: pick(this.element, ".told span", Element),
      lead: pick(this.element, 'select[data-part="lead"]', HTMLSelectElement),
      blank: pick(this.element, ".blank", Element),
      look: pick(this.element, ".look", Element),
      detail: pick(this.element, ".detail", Element),
      sheet: pick(this.element, ".sheet", Element),
    };
    const path = pathOf(feed);
    pick(this.element, '[data-part="live"]', HTMLAnchorElement).href = path;
    this.#past = new Past((message) => connection.tell(message));
    this.#place = new Place(connection.serverMs ?? Date.now(), ms);
    const parts = { place: this.#place, ask: this.#ask, event: () => this.#events.chosen, changed: () => this.#draw() };
    this.#trend = new TrendCard(pick(this.element, ".trend-card", Element), (at) => this.#press(at));
    this.#events = new EventList(pick(this.element, ".events", Element), (event) => this.#look(event));
    this.#strip = new Strip(this.#parts.look, parts);
    this.#zoom = new Zoom(box(".zoom-box"), parts);
    this.#rows = new Rows(box(".rows-box"), {
      ask: (question) => this.#past.ask("rows", { stream: feed.id, ...question }).finally(() => this.#draw()),
      open: (at) => {
        this.#show("zoom");
        this.#zoom.show({ from: at - 5e3, to: at + 5e3 });
      },
      failed: (error) => this.#failed(error),
      marks: () => this.#marks,
    });
    this.#rows.palette = palette;
    const ranges = () => ({ strip: this.#strip.span, zoom: this.#zoom.window, trend: this.#place.span });
    this.#export = new ExportDialog(pick(this.element, "dialog", HTMLDialogElement), path, ranges);
    this.#resizing = new ResizeObserver(() => this.#draw());
    this.#resizing.observe(box(".body"));
    this.#resizing.observe(this.#trend.plot);
    this.#listen();
    this.#show(this.#mode);
    addEventListener("beforeprint", this.#beforePrint);
  }

  get stream() {
    return this.#feed.id;
  }

  /** The time that the address named. */
  get addressed() {
    return this.#place.addressed;
  }

  /** @param {Palette} palette */
  set palette(palette) {
    this.#palette = palette;
    this.#colours = coloursOf();
    this.#rows.palette = palette;
    this.#draw();
  }

  /** @param {import("../stream/messages.js").ServerMessage} message */
  hear(message) {
    this.#past.hear(message);
  }

  /** @param {number} _now */
  update(_now) {
    const { entry } = this.#feed;
    write(this.#parts.bed, entry.bed);
    write(this.#parts.name, entry.name || entry.patient);
    write(this.#parts.about, `${entry.ward_name} · ${entry.patient}`);
    write(this.#parts.mark, this.#source);
    mark(this.#parts.mark, "data-source", this.#source);
    const { phase, connections } = this.#connection;
    const online = phase === "online";
    if (connections !== this.#connections) {
      this.#past.forget();
      this.#connections = connections;
      this.#askedAt = -Infinity;
    }
    if (online !== this.#online) {
      this.#online = online;
      this.#draw();
    }
    const before = this.#trend.trend
      ? t("Not connected: what is shown had come before. More follows with the connection.")
      : t("Not connected: nothing has come yet. It follows with the connection.");
    const told = online ? this.#problem : before;
    mark(this.#parts.told, "hidden", told ? null : "");
    write(this.#parts.toldText, told);
    mark(pick(this.#parts.told, "button", Element), "hidden", online ? null : "");
    if (online && this.#now() * 1000 - this.#askedAt >= AGAIN_MS) this.#askAll();
  }

  /**
   * @param {string} key
   * @param {boolean} [far] whether it was pressed with Shift
   * @returns {boolean} whether the key meant something here
   */
  key(key, far = false) {
    if (this.#mode === "strip" && this.#strip.key(key, far)) return true;
    switch (key.length === 1 ? key.toLowerCase() : key) {
      case "j":
        this.#events.step(1, this.#place.at);
        return true;
      case "k":
        this.#events.step(-1, this.#place.at);
        return true;
      case "e":
        this.#takeAlong();
        return true;
      case "v":
        this.#show(NEXT_MODE[this.#mode]);
        return true;
      case "l": {
        const lead = this.#place.nextLead;
        if (lead !== null) this.#setLead(lead);
        return true;
      }
      case "[":
      case "]":
        this.#setHours(this.#place.stepOfHours(key === "[" ? -1 : 1));
        return true;
      case "c":
        this.#measure();
        return true;
      case "Escape":
        return this.#strip.leave();
      case "+":
      case "=":
        this.#nearer(1);
        return true;
      case "-":
        this.#nearer(-1);
        return true;
      case "Home":
        this.#show("zoom");
        this.#zoom.show(this.#place.span);
        return true;
      case "ArrowLeft":
      case "ArrowRight":
        this.#move(key === "ArrowLeft" ? -MOVE_STEP : MOVE_STEP);
        return true;
      default:
        return false;
    }
  }

  /** @param {number} ms since 1970 */
  goTo(ms) {
    this.#goAround(ms);
    this.#place.goToAddressed(ms);
    this.#show("strip");
    this.#askAll();
  }

  close() {
    this.#past.forget();
    this.#resizing.disconnect();
    cancelAnimationFrame(this.#frame);
    removeEventListener("beforeprint", this.#beforePrint);
    this.element.remove();
  }

  // -- what is shown

  /** Of what is stored; as long as that is not known, of what is sent. */
  get #source() {
    return this.#trend.trend?.source ?? this.#feed.entry.source;
  }

  /** Alarms as marks on a trace. */
  get #marks() {
    return this.#events.shown.map(({ raised_ms, severity }) => ({ ms: raised_ms, colour: this.#colours[severity] }));
  }

  /** @param {Mode} mode */
  #show(mode) {
    this.#mode = mode;
    this.element.dataset.mode = mode;
    for (const button of this.element.querySelectorAll("[data-mode]")) {
      if (button instanceof HTMLButtonElement) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    }
    if (mode !== "strip") this.#strip.leave();
    this.#zoom.isShown = mode === "zoom";
    this.#zoom.ask();
    this.#showRows();
    this.#draw();
  }

  #showRows() {
    const { span, lead, at } = this.#place;
    if (this.#mode === "rows") this.#rows.show(span, lead, at);
  }

  /** @param {number} hours */
  #setHours(hours) {
    if (hours !== this.#place.hours) this.#events.wait();
    this.#place.chooseHours(hours);
    this.#askAll();
    this.#draw();
  }

  /** @param {string} lead */
  #setLead(lead) {
    this.#place.lead = lead;
    this.#parts.lead.value = lead;
    this.#zoom.forgetLead();
    this.#show(this.#mode);
  }

  /** @param {Event} event */
  #look(event) {
    this.#place.at = event.raised_ms;
    this.#zoom.window = this.#place.window;
    this.#show(this.#mode === "rows" ? "strip" : this.#mode);
    this.#strip.ask();
  }

  /**
   * The strip is larger by its gain, all else by its time.
   * @param {1 | -1} by
   */
  #nearer(by) {
    if (this.#mode === "strip") return this.#strip.stepGain(by, this.#palette);
    if (this.#mode === "rows") this.#show("zoom");
    this.#zoom.by(by > 0 ? ZOOM_STEP : 1 / ZOOM_STEP, this.#events.chosen !== null);
  }

  #takeAlong() {
    if (this.#trend.trend?.stored) this.#export.open();
  }

  #measure() {
    if (this.#mode !== "strip") this.#show("strip");
    this.#place.wasMoved(); // another minute must not take it from under the calipers
    void this.#strip.measure();
  }

  /** @param {number} share */
  #move(share) {
    const { at, around } = this.#place;
    if (this.#mode === "zoom") this.#zoom.move(share);
    else if (this.#mode === "rows") this.#rows.scrollBy(share > 0 ? 1 : -1);
    else this.#moveTo(at + share * (around.to - around.from));
  }

  /** @param {number} ms at which the trend was pressed */
  #press(ms) {
    const near = this.#events.shown.find(({ raised_ms }) => Math.abs(raised_ms - ms) < NEAR * this.#place.hours * HOUR_MS);
    if (near) this.#events.choose(near);
    else this.#moveTo(ms);
  }

  /** @param {number} ms */
  #moveTo(ms) {
    this.#place.wasMoved();
    this.#goAround(ms);
  }

  /** @param {number} ms */
  #goAround(ms) {
    this.#place.goTo(ms);
    this.#events.leave();
    this.#zoom.window = this.#place.window;
    this.#zoom.ask();
    this.#showRows();
    this.#strip.ask();
    this.#draw();
  }

  // -- what is asked

  #askAll() {
    const nowMs = this.#connection.serverMs;
    if (nowMs === null) return;
    this.#askedAt = this.#now() * 1000;
    const place = this.#place;
    const before = place.until;
    place.until = nowMs;
    this.#zoom.follow(before);
    const { span } = place;
    const range = { from_ms: span.from, to_ms: span.to };
    this.#ask("trend", { ...range, what: "trend" }, ({ facts }) => {
      if (place.narrow(facts.stored)) return this.#askAll();
      this.#trend.take(facts, span);
      this.#takeLeads(facts.leads);
      if (place.isUnmoved && !this.#events.chosen && facts.stored) this.#goAround(place.endingAt(facts.stored[1]));
      this.#zoom.ask();
      this.#showRows();
    });
    this.#ask("events", { ...range, what: "events" }, ({ facts }) => {
      this.#events.set(facts.events, facts.more);
      if (this.#events.chosen) return this.#strip.ask();
      const named = this.#events.shown.find(({ raised_ms }) => Math.abs(raised_ms - place.at) < 1);
      const first = place.isUnmoved && !this.#strip.wave ? facts.events[0] : undefined;
      const event = named ?? first;
      if (event) this.#events.choose(event);
      else this.#strip.ask();
    });
  }

  /**
   * Ask about this patient, and draw with what has come.
   * @type {import("./zoom.js").Ask}
   */
  #ask = (slot, question, take) => {
    this.#past.ask(slot, { stream: this.stream, ...question }).then(
      (answer) => {
        this.#problem = "";
        take(answer);
        this.#draw();
      },
      (error) => this.#failed(error),
    );
  };

  /** @param {unknown} error */
  #failed(error) {
    if (!(error instanceof PastError)) throw error;
    if (error.kind === "refused") this.#problem = t("The past did not come: {why}.", { why: error.message });
    if (error.kind === "denied") this.#problem = t("You may not look at this patient any more.");
    this.#draw();
  }

  /** @param {string[]} leads */
  #takeLeads(leads) {
    const select = this.#parts.lead;
    if (leads.join() === this.#place.leads.join()) return;
    this.#place.takeLeads(leads);
    select.replaceChildren(...leads.map((lead) => new Option(lead, lead)));
    select.value = this.#place.lead;
    select.disabled = false;
  }

  // -- drawing

  /** With the next frame, once however much changed. */
  #draw() {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#frame = requestAnimationFrame(() => {
      this.#wanted = false;
      this.#paint();
    });
  }

  #paint() {
    const { span, around, hours, at, lead } = this.#place;
    const { chosen } = this.#events;
    for (const button of this.element.querySelectorAll("[data-hours]")) {
      if (button instanceof HTMLButtonElement) button.setAttribute("aria-pressed", String(Number(button.dataset.hours) === hours));
    }
    write(this.#parts.range, `${dayText(span.from)} ${clockText(span.from).slice(0, 5)} – ${dayText(span.to)} ${clockText(span.to).slice(0, 5)}`);
    this.#trend.paint(this.#events.shown, { chosen: chosen?.alarm ?? null, window: this.#mode === "zoom" ? this.#zoom.window : around });
    showDetail(this.#parts.detail, chosen, at);
    this.#events.unknown = this.#awaited[0];
    this.#enable();
    const blank = this.#blankText();
    mark(this.#parts.blank, "hidden", blank ? null : "");
    if (blank) {
      write(pick(this.#parts.blank, "b", Element), blank[0]);
      write(pick(this.#parts.blank, "span", Element), blank[1]);
    }
    if (this.#mode === "strip") this.#strip.paint(this.#palette);
    else if (this.#mode === "zoom") this.#zoom.paint(this.#palette, this.#marks);
    else this.#rows.paint();
    const shown = {
      strip: () => [this.#strip.title, ...this.#strip.scale],
      zoom: () => [this.#zoom.title, this.#zoom.scale],
      rows: () => [t("{lead}, a minute a row", { lead: lead || t("first lead") }), `${this.#rows.gain} mm/mV`],
    };
    const [title, ...scale] = shown[this.#mode]();
    write(this.#parts.title, title);
    write(this.#parts.scale, scale[0]);
    this.#scaleChanged(scale.join(" · "));
  }

  /** @returns {[string, string] | null} */
  #blankText() {
    const { trend } = this.#trend;
    if (trend && trend.stored === null) return [t("Nothing is stored yet"), t("A minute after the device began to send, its past can be looked at here.")];
    const shown = { strip: this.#strip, zoom: this.#zoom, rows: this.#rows }[this.#mode];
    return trend && !shown.isEmpty ? null : this.#awaited;
  }

  /** What is said in place of what has not come. @returns {[string, string]} */
  get #awaited() {
    if (!this.#online) return [t("Nothing has come yet"), t("There is no connection to the server.")];
    if (this.#problem) return [t("Nothing came"), t("The server could not read the past of this patient.")];
    return [t("Loading"), t("Asking what is stored of this patient.")];
  }

  /** What can be done with what has come. */
  #enable() {
    const isDrawn = this.#strip.leads.length > 0;
    /** @type {[string, boolean][]} */
    const can = [
      [".phead [data-do=export]", !!this.#trend.trend?.stored],
      [".look :is([data-do=previous], [data-do=next])", this.#events.shown.length > 0],
      [":is(.gains button, .calipers, [data-do=print])", isDrawn],
      [".zooms button", !this.#zoom.isEmpty],
    ];
    for (const [which, does] of can) for (const one of this.element.querySelectorAll(which)) mark(one, "disabled", does ? null : "");
  }

  #beforePrint = () => {
    const foot = pick(document, ".notice strong", Element).textContent ?? "";
    printStrip(this.#parts.sheet, this.#strip, { entry: this.#feed.entry, source: this.#source, foot });
  };

  // -- hands

  #listen() {
    /** @type {Record<string, () => void>} */
    const actions = {
      again: () => this.#askAll(),
      export: () => this.#takeAlong(),
      "close-export": () => this.#export.close(),
      download: () => this.#export.close(),
      in: () => this.#nearer(1),
      out: () => this.#nearer(-1),
      calipers: () => this.#measure(),
      next: () => this.#events.step(1, this.#place.at),
      previous: () => this.#events.step(-1, this.#place.at),
      print: () => print(),
    };
    this.element.addEventListener("click", (event) => {
      const button = event.target instanceof Element && event.target.closest("button, a");
      if (!(button instanceof HTMLElement)) return;
      const { mode, hours, do: action, alarmId } = button.dataset;
      if (mode) this.#show(/** @type {Mode} */ (mode));
      if (hours) this.#setHours(Number(hours));
      if (action) actions[action]?.();
      if (alarmId) this.#parts.look.scrollIntoView({ block: "nearest" }); // on a phone the list is below
    });
    this.#parts.lead.addEventListener("change", () => this.#setLead(this.#parts.lead.value));
  }
}

/**
 * Of marks of alarms on a trace.
 * @returns {Record<import("./events.js").Severity, string>}
 */
function coloursOf() {
  const style = getComputedStyle(document.documentElement);
  const of = (/** @type {string} */ token) => style.getPropertyValue(token).trim();
  const technical = of("--tech-edge");
  return { high: of("--high-edge"), medium: of("--med-edge"), low: technical, technical };
}
