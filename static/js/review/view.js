// @ts-check
/** The past of one patient: hours of heart rate, its alarms, a strip about one, and every sample that is stored. */

import { decimal, t, zone } from "../i18n.js";
import { MARKS, clockText } from "../ui/alarm-words.js";
import { penOf } from "../ui/canvas.js";
import { drawIcon, mark, pick, stamp, write } from "../ui/dom.js";
import { PULSE_ROOM_MM } from "../ui/grid.js";
import { pathOf } from "../ui/paths.js";
import { SPEEDS, scaleOf } from "../ui/scale.js";
import { durationText } from "../stream/freshness.js";
import { EventList, factsOf } from "./events.js";
import { fit, paintSpan, paintStrip } from "./paint.js";
import { Past, PastError } from "./past.js";
import { Rows } from "./rows.js";
import { drawSheet } from "./sheet.js";
import { Overview, Wave } from "./traces.js";
import { drawTrend, timeAt } from "./trend-chart.js";
import { DAY_MS, dayText, moved, within, zoomed } from "./window.js";

/** @typedef {import("../stream/feed.js").Feed} Feed */
/** @typedef {import("../ui/palette.js").Palette} Palette */
/** @typedef {import("./events.js").Event} Event */
/** @typedef {import("./window.js").Span} Span */
/** @typedef {"strip" | "zoom" | "rows"} Mode */

const HOURS = [1, 4, 8, 24];
const HOUR_MS = 3600e3;
const AGAIN_MS = 60e3; // as often as another minute is stored
const FINEST_MS = 125; // nothing in little is stored by shorter columns than of a tenth of a second
const WAVE_MS = 60e3; // no longer stretch is sent as it was
const AROUND_MS = 10e3;
const MARGIN_MS = 1e3; // the time of a sample is an estimate
const ZOOM_STEP = 0.5;
const TWO_LEADS_PX = 180; // a row of two leads is as high at least
const MOST_KEPT = 24; // stretches that were looked at
const ZOOM_GAIN = 20; // mm/mV

export class ReviewView {
  #feed;
  #connection;
  #palette;
  #past;
  #parts;
  #events;
  #rows;
  #resizing;
  #box;
  #hours = 4;
  /** @type {Mode} */ #mode = "strip";
  /** The newest time that is shown; the server's clock. */ #until;
  /** What is looked at in the middle of the strip. */ #at;
  #isChosen = false;
  #wasMoved = false;
  /** @type {Span} */ #window;
  /** @type {import("./trend-chart.js").Trend & {stored: [number, number] | null, leads: string[], source: string | null, patient: string | null} | null} */ #trend = null;
  /** @type {Span | null} of the trend that is here */ #trendOf = null;
  /** @type {Wave | null} */ #strip = null;
  /** @type {(Overview | Wave)[]} newest last */ #kept = [];
  #lead = "";
  #askedAt = -Infinity;
  #connections = 0;
  #wanted = false;
  #problem = "";
  #frame = 0;
  #now;
  /** @type {Map<number, PointerEvent>} */ #pointers = new Map();
  #pinch = 0;
  /** The time that the address named. @type {number | null} */ addressed;
  /** Nothing here is painted with the screen's frames. @type {import("../ui/sweep.js").Sweep[]} */ sweeps = [];

  /**
   * @param {Feed} feed
   * @param {{palette: Palette, connection: import("../stream/connection.js").Connection, now: () => number, ms: number | null}} options
   *   `ms`: the time to begin with
   */
  constructor(feed, { palette, connection, now, ms }) {
    this.#feed = feed;
    this.#connection = connection;
    this.#palette = palette;
    this.#now = now;
    this.addressed = ms;
    this.element = stamp("review");
    const part = (/** @type {string} */ name) => pick(this.element, `[data-part="${name}"]`, Element);
    this.#parts = {
      bed: part("bed"),
      name: part("name"),
      about: part("about"),
      range: part("range"),
      figures: part("figures"),
      title: part("title"),
      scale: part("scale"),
      mark: pick(this.element, ".phead .mark", Element),
      told: pick(this.element, ".told", Element),
      toldText: pick(this.element, ".told span", Element),
      svg: pick(this.element, ".trend-card .plot svg", SVGSVGElement),
      lead: pick(this.element, 'select[data-part="lead"]', HTMLSelectElement),
      blank: pick(this.element, ".blank", Element),
      detail: pick(this.element, ".detail", Element),
      dialog: pick(this.element, "dialog", HTMLDialogElement),
      sheet: pick(this.element, ".sheet", Element),
      zoom: pick(this.element, ".zoom-box", HTMLElement),
      strip: pick(this.element, ".strip-box", HTMLElement),
    };
    pick(this.element, '[data-part="live"]', HTMLAnchorElement).href = pathOf(feed);
    this.#past = new Past((message) => connection.tell(message));
    this.#until = connection.serverMs ?? Date.now();
    this.#at = ms ?? this.#until - 2 * AROUND_MS;
    if (ms !== null) this.#hours = HOURS.find((hours) => this.#until - ms < hours * HOUR_MS - 60e3) ?? 24;
    this.#window = within({ from: this.#at - AROUND_MS, to: this.#at + AROUND_MS }, this.#bounds);
    this.#events = new EventList(pick(this.element, ".events", Element), (event) => this.#look(event));
    this.#rows = new Rows(pick(this.element, ".rows-box", HTMLElement), {
      ask: (question) => this.#past.ask("rows", { stream: feed.id, ...question }),
      open: (at) => {
        this.#show("zoom");
        this.#setWindow({ from: at - 5e3, to: at + 5e3 });
      },
      failed: (error) => this.#failed(error),
      marks: () => this.#marks,
    });
    this.#rows.palette = palette;
    this.#box = pick(this.element, ".body", HTMLElement);
    this.#resizing = new ResizeObserver(() => this.#draw());
    this.#resizing.observe(this.#box);
    this.#resizing.observe(/** @type {Element} */ (this.#parts.svg.parentElement));
    this.#listen();
    this.#show(this.#mode);
    addEventListener("beforeprint", this.#beforePrint);
  }

  get stream() {
    return this.#feed.id;
  }

  /** @param {Palette} palette */
  set palette(palette) {
    this.#palette = palette;
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
    const source = this.#trend?.source ?? entry.source;
    write(this.#parts.mark, source);
    mark(this.#parts.mark, "data-source", source);
    const { phase, connections } = this.#connection;
    const online = phase === "online";
    if (connections !== this.#connections) {
      this.#past.forget();
      this.#connections = connections;
      this.#askedAt = -Infinity;
    }
    const told = online ? this.#problem : t("Not connected: what is shown had come before. More follows with the connection.");
    mark(this.#parts.told, "hidden", told ? null : "");
    write(this.#parts.toldText, told);
    mark(pick(this.#parts.told, "button", Element), "hidden", online ? null : "");
    if (online && this.#now() * 1000 - this.#askedAt >= AGAIN_MS) this.#askAll();
  }

  /**
   * @param {string} key
   * @returns {boolean} whether the key meant something here
   */
  key(key) {
    switch (key.length === 1 ? key.toLowerCase() : key) {
      case "j":
        this.#events.step(1, this.#at);
        return true;
      case "k":
        this.#events.step(-1, this.#at);
        return true;
      case "e":
        this.#openExport();
        return true;
      case "v":
        this.#show(this.#mode === "strip" ? "zoom" : this.#mode === "zoom" ? "rows" : "strip");
        return true;
      case "l":
        this.#nextLead();
        return true;
      case "[":
      case "]":
        this.#setHours(HOURS[Math.min(Math.max(HOURS.indexOf(this.#hours) + (key === "[" ? -1 : 1), 0), HOURS.length - 1)]);
        return true;
      case "+":
      case "=":
        this.#zoom(ZOOM_STEP);
        return true;
      case "-":
        this.#zoom(1 / ZOOM_STEP);
        return true;
      case "Home":
        this.#show("zoom");
        this.#setWindow(this.#span);
        return true;
      case "ArrowLeft":
      case "ArrowRight":
        this.#move(key === "ArrowLeft" ? -0.2 : 0.2);
        return true;
      default:
        return false;
    }
  }

  /** @param {number} ms since 1970 */
  goTo(ms) {
    this.addressed = ms;
    this.#goAround(ms);
    if (ms < this.#until - this.#hours * HOUR_MS) this.#hours = 24;
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

  /** What the trend shows. @returns {Span} */
  get #span() {
    return { from: this.#until - this.#hours * HOUR_MS, to: this.#until };
  }

  /** Where the window may be. */
  get #bounds() {
    return { from: this.#until - DAY_MS, to: this.#until };
  }

  /** Alarms as marks on a trace. */
  get #marks() {
    const style = getComputedStyle(document.documentElement);
    return this.#events.shown.map(({ raised_ms, severity }) => ({
      ms: raised_ms,
      colour: style.getPropertyValue(`--${MARKS[severity] === "low" ? "tech" : MARKS[severity]}-edge`).trim(),
    }));
  }

  get #leadIndex() {
    return Math.max(0, (this.#trend?.leads ?? []).indexOf(this.#lead));
  }

  /** @param {Mode} mode */
  #show(mode) {
    this.#mode = mode;
    this.element.dataset.mode = mode;
    for (const button of this.element.querySelectorAll("[data-mode]")) {
      if (button instanceof HTMLButtonElement) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    }
    if (mode === "zoom") this.#askWindow();
    if (mode === "rows") this.#rows.show(this.#span, this.#lead, this.#at);
    this.#draw();
  }

  /** @param {number} hours */
  #setHours(hours) {
    this.#hours = hours;
    this.#askAll();
    this.#draw();
  }

  /** @param {Event} event */
  #look(event) {
    this.#at = event.raised_ms;
    this.#isChosen = true;
    this.#window = within({ from: this.#at - AROUND_MS, to: this.#at + AROUND_MS }, this.#bounds);
    this.#show(this.#mode === "rows" ? "strip" : this.#mode);
    this.#askStrip();
  }

  /** @param {Span} span */
  #setWindow(span) {
    this.#window = within(span, this.#bounds);
    this.#draw();
    this.#askWindow();
  }

  /** @param {number} factor */
  #zoom(factor) {
    if (this.#mode !== "zoom") this.#show("zoom");
    const { from, to } = this.#window;
    this.#setWindow(zoomed(this.#window, factor, this.#isChosen && this.#at > from && this.#at < to ? this.#at : (from + to) / 2, this.#bounds));
  }

  /** @param {number} share */
  #move(share) {
    if (this.#mode === "zoom") this.#setWindow(moved(this.#window, share, this.#bounds));
    else if (this.#mode === "rows") this.#rows.scrollBy(share > 0 ? 1 : -1);
    else this.#moveTo(this.#at + share * 2 * AROUND_MS);
  }

  /** @param {number} ms */
  #moveTo(ms) {
    this.#wasMoved = true;
    this.#goAround(ms);
  }

  /** @param {number} ms */
  #goAround(ms) {
    this.#at = Math.min(Math.max(ms, this.#bounds.from), this.#bounds.to);
    this.#isChosen = false;
    this.#events.leave();
    this.#window = within({ from: this.#at - AROUND_MS, to: this.#at + AROUND_MS }, this.#bounds);
    if (this.#mode === "rows") this.#rows.show(this.#span, this.#lead, this.#at);
    if (this.#mode === "zoom") this.#askWindow();
    this.#askStrip();
    this.#draw();
  }

  #nextLead() {
    const leads = this.#trend?.leads ?? [];
    if (leads.length > 0) this.#setLead(leads[(this.#leadIndex + 1) % leads.length]);
  }

  /** @param {string} lead */
  #setLead(lead) {
    this.#lead = lead;
    this.#parts.lead.value = lead;
    this.#kept = this.#kept.filter((trace) => trace instanceof Wave);
    this.#show(this.#mode);
  }

  /** Whether nobody has said yet what to look at: then it is the newest that is stored. */
  get #isUnmoved() {
    return this.addressed === null && !this.#isChosen && !this.#wasMoved;
  }

  // -- what is asked

  #askAll() {
    const nowMs = this.#connection.serverMs;
    if (nowMs === null) return;
    this.#askedAt = this.#now() * 1000;
    const follows = this.#window.to >= this.#until - 1000;
    this.#until = nowMs;
    if (follows && this.#mode === "zoom") this.#window = within({ from: this.#window.from, to: nowMs }, this.#bounds);
    const span = this.#span;
    const range = { stream: this.stream, from_ms: span.from, to_ms: span.to };
    this.#ask("trend", { ...range, what: "trend" }, ({ facts }) => {
      this.#trend = facts;
      this.#trendOf = span;
      this.#takeLeads(facts.leads);
      if (this.#isUnmoved && facts.stored) this.#goAround(facts.stored[1] - AROUND_MS);
      this.#askWindow();
      if (this.#mode === "rows") this.#rows.show(span, this.#lead, this.#at);
    });
    this.#ask("events", { ...range, what: "events" }, ({ facts }) => {
      this.#events.set(facts.events, facts.more);
      const named = this.#events.shown.find(({ raised_ms }) => Math.abs(raised_ms - this.#at) < 1);
      if (named && !this.#isChosen) this.#events.choose(named);
      else if (!this.#isChosen && this.addressed === null && !this.#strip && facts.events.length > 0) this.#events.choose(facts.events[0]);
      else this.#askStrip();
    });
  }

  /**
   * Ask, and draw with what has come.
   * @param {string} slot
   * @param {import("./past.js").Question} question
   * @param {(answer: import("./past.js").Answer) => void} take
   */
  #ask(slot, question, take) {
    this.#past.ask(slot, question).then(
      (answer) => {
        this.#problem = "";
        take(answer);
        this.#draw();
      },
      (error) => this.#failed(error),
    );
  }

  /** @param {unknown} error */
  #failed(error) {
    if (!(error instanceof PastError)) throw error;
    if (error.kind === "refused") this.#problem = t("The past did not come: {why}.", { why: error.message });
    if (error.kind === "denied") this.#problem = t("You may not look at this patient any more.");
  }

  #askStrip() {
    const span = { from: this.#at - AROUND_MS - MARGIN_MS, to: this.#at + AROUND_MS + MARGIN_MS };
    if (this.#strip && this.#strip.from <= span.from && this.#strip.to >= span.to && span.to < this.#until - 30e3) return;
    this.#ask("strip", { stream: this.stream, what: "wave", from_ms: span.from, to_ms: span.to }, (answer) => {
      this.#strip = new Wave(answer, span);
    });
  }

  #askWindow() {
    const { from, to } = this.#window;
    const length = to - from;
    const asWave = length <= WAVE_MS;
    if (this.#mode !== "zoom" || this.#kept.some((trace) => this.#serves(trace))) return;
    if (asWave) {
      // A third more on each side: a small move needs no answer.
      const room = Math.min((WAVE_MS - length) / 2, length / 3);
      const span = { from: Math.max(0, from - room), to: to + room };
      this.#ask("zoom", { stream: this.stream, what: "wave", from_ms: span.from, to_ms: span.to }, (answer) => this.#keep(new Wave(answer, span)));
    } else {
      const columns = Math.min(4096, Math.max(1, Math.round(this.#parts.zoom.clientWidth * Math.min(devicePixelRatio, 2))));
      const question = { stream: this.stream, what: /** @type {const} */ ("overview"), from_ms: from, to_ms: to, columns };
      this.#ask("zoom", this.#lead ? { ...question, lead: this.#lead } : question, (answer) => this.#keep(new Overview(answer)));
    }
  }

  /** @param {Overview | Wave} trace */
  #keep(trace) {
    this.#kept.push(trace);
    if (this.#kept.length > MOST_KEPT) this.#kept.shift();
  }

  /**
   * Whether it shows the window as well as an answer would.
   * @param {Overview | Wave} trace
   */
  #serves(trace) {
    const { from, to } = this.#window;
    if (trace.from > from + 1 || trace.to < to - 1 || (to > this.#until - 90e3 && trace.to < this.#until - 90e3)) return false;
    return trace instanceof Wave || (to - from > WAVE_MS && trace.step <= Math.max(FINEST_MS, (1.5 * (to - from)) / Math.max(1, this.#parts.zoom.clientWidth)));
  }

  /** Of all that is here, what shows most of the window, and of such the finest. */
  get #best() {
    const { from, to } = this.#window;
    const shown = (/** @type {Overview | Wave} */ trace) => Math.max(0, Math.min(to, trace.to) - Math.max(from, trace.from));
    const step = (/** @type {Overview | Wave} */ trace) => (trace instanceof Wave ? 0 : trace.step);
    let best = null;
    for (const trace of this.#kept) {
      const more = best === null ? shown(trace) : shown(trace) - shown(best);
      if (more > 1 || (best && more >= -1 && step(trace) <= step(best))) best = trace;
    }
    return best;
  }

  /** @param {string[]} leads */
  #takeLeads(leads) {
    if (leads.join() === [...this.#parts.lead.options].map(({ value }) => value).join()) return;
    this.#parts.lead.replaceChildren(...leads.map((lead) => new Option(lead, lead)));
    if (!leads.includes(this.#lead)) this.#lead = leads[0] ?? "";
    this.#parts.lead.value = this.#lead;
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
    const span = this.#span;
    for (const button of this.element.querySelectorAll("[data-hours]")) {
      if (button instanceof HTMLButtonElement) button.setAttribute("aria-pressed", String(Number(button.dataset.hours) === this.#hours));
    }
    write(this.#parts.range, `${dayText(span.from)} ${clockText(span.from).slice(0, 5)} – ${dayText(span.to)} ${clockText(span.to).slice(0, 5)}`);
    const stripSpan = { from: this.#at - AROUND_MS, to: this.#at + AROUND_MS };
    const shown = this.#mode === "zoom" ? this.#window : stripSpan;
    const trend = this.#trend;
    if (trend && this.#trendOf) {
      // The chart keeps its own span until the next answer: minutes stand where they were asked for.
      drawTrend(this.#parts.svg, this.#trendOf, trend, this.#events.shown, { chosen: this.#events.chosen?.alarm ?? null, window: shown });
      write(this.#parts.figures, figuresOf(trend, this.#trendOf));
    }
    this.#paintDetail();
    const blank = this.#blankText();
    mark(this.#parts.blank, "hidden", blank ? null : "");
    if (blank) {
      write(pick(this.#parts.blank, "b", Element), blank[0]);
      write(pick(this.#parts.blank, "span", Element), blank[1]);
    }
    if (this.#mode === "strip") this.#paintStrip();
    else if (this.#mode === "zoom") this.#paintZoom();
    else {
      write(this.#parts.title, t("{lead}, a minute a row", { lead: this.#lead || t("first lead") }));
      write(this.#parts.scale, `${this.#rows.gain} mm/mV`);
      this.#rows.paint();
    }
  }

  /** @returns {[string, string] | null} */
  #blankText() {
    if (!this.#trend) return this.#problem ? [t("Nothing came"), t("The server could not read the past of this patient.")] : [t("Loading"), t("Asking what is stored of this patient.")];
    if (this.#trend.stored === null) return [t("Nothing is stored yet"), t("A minute after the device began to send, its past can be looked at here.")];
    return null;
  }

  #paintZoom() {
    const { from, to } = this.#window;
    const box = this.#parts.zoom;
    const canvas = pick(box, "canvas", HTMLCanvasElement);
    const across = to - from < 120e3 ? `${decimal((to - from) / 1000, 1)} s` : durationText((to - from) / 1000);
    write(this.#parts.title, `${this.#lead} · ${dayText(from)} ${clockText(from)}, ${across}`);
    const best = this.#best;
    write(this.#parts.scale, `${ZOOM_GAIN} mm/mV · ${best instanceof Overview ? t("lowest to highest") : t("every sample")}`);
    mark(canvas, "aria-label", t("ECG, lead {lead}, {time} from {clock}", { lead: this.#lead, time: across, clock: clockText(from) }));
    mark(canvas, "data-whole", best !== null && this.#serves(best) ? "" : null);
    mark(canvas, "data-shows", best === null ? null : best instanceof Wave ? "wave" : "overview");
    if (!fit(canvas, box.clientWidth, box.clientHeight)) return;
    const scale = scaleOf({ pxPerMm: this.#palette.pxPerMm, speed: SPEEDS[2], gain: ZOOM_GAIN }, devicePixelRatio);
    const how = { lead: this.#leadIndex, scale, palette: this.#palette, now: this.#until, marks: this.#marks };
    paintSpan(penOf(canvas), this.#window, best, how);
  }

  /** The leads of the strip: the one that is chosen, and a second one beside it. */
  get #stripLeads() {
    const count = this.#strip?.leads.length ?? 0;
    if (count === 0) return [];
    const first = Math.min(this.#leadIndex, count - 1);
    const second = this.#strip?.leads.indexOf("V1") ?? -1;
    return count > 1 ? [first, second >= 0 && second !== first ? second : (first + 1) % count] : [first];
  }

  /** When the event was raised, by its sample where that is here. */
  get #eventMs() {
    const { chosen } = this.#events;
    return (chosen && this.#isChosen ? this.#strip?.timeOf(chosen.epoch, chosen.sample) : null) ?? this.#at;
  }

  get #stripMarks() {
    const { chosen } = this.#events;
    const alarm = { ms: this.#eventMs, text: chosen && this.#isChosen ? t("alarm") : "" };
    const began = chosen && this.#isChosen && chosen.to > chosen.from ? this.#strip?.timeOf(chosen.epoch, chosen.from) : null;
    return [...(alarm.text ? [alarm] : []), ...(began ? [{ ms: began, text: t("begins") }] : [])];
  }

  #paintStrip() {
    const middle = this.#eventMs;
    write(this.#parts.title, `${this.#isChosen ? `${this.#events.chosen?.text}, ` : ""}${dayText(middle)} ${clockText(middle)}`);
    const rows = [...this.#parts.strip.querySelectorAll(".paper")];
    const heads = [...this.#parts.strip.querySelectorAll(".row-head")];
    const { pxPerMm } = this.#palette;
    const wide = rows[0].clientWidth / pxPerMm - PULSE_ROOM_MM;
    // Slow enough for ten seconds to fit.
    const speed = [...SPEEDS].reverse().find((one) => one <= 25 && one * 10 <= wide) ?? SPEEDS[0];
    const gain = this.#palette.gain;
    const leads = rows[0].clientHeight < TWO_LEADS_PX ? this.#stripLeads.slice(0, 1) : this.#stripLeads;
    write(this.#parts.scale, `${speed} mm/s · ${gain} mm/mV`);
    const edges = this.#isChosen ? [t("alarm at the end of this row"), t("alarm")] : ["", ""];
    const texts = [[`−10 s  ${clockText(middle - AROUND_MS)}`, edges[0]], [`${edges[1]}  ${clockText(middle)}`, "+10 s"]];
    const scale = scaleOf({ pxPerMm, speed, gain }, devicePixelRatio);
    rows.forEach((row, at) => {
      heads[at].querySelectorAll("span").forEach((span, side) => write(span, texts[at][side]));
      const canvas = pick(row, "canvas", HTMLCanvasElement);
      mark(canvas, "aria-label", t("ECG, {leads}, ten seconds from {clock}", { leads: leads.map((lead) => this.#strip?.leads[lead]).join(", "), clock: clockText(middle - AROUND_MS * (1 - at)) }));
      const needed = Math.ceil((PULSE_ROOM_MM + 10 * speed) * pxPerMm); // wider than a phone: then it scrolls
      if (!fit(canvas, Math.max(row.clientWidth, needed), row.clientHeight) || !this.#strip) return;
      if (leads.length === 0) paintSpan(penOf(canvas), { from: middle - AROUND_MS, to: middle }, this.#strip, { lead: 0, scale, palette: this.#palette, now: this.#until, marks: [] });
      else paintStrip(penOf(canvas), this.#strip, leads, middle - AROUND_MS * (1 - at), { scale, palette: this.#palette, marks: this.#stripMarks });
    });
  }

  #paintDetail() {
    const { chosen } = this.#events;
    const event = this.#isChosen ? chosen : null;
    const { detail } = this.#parts;
    mark(detail, "data-event", event ? "" : null);
    const chip = pick(detail, ".chip", Element);
    mark(chip, "data-alarm", event ? MARKS[event.severity] : null);
    drawIcon(pick(chip, "svg", Element), event ? MARKS[event.severity] : null);
    write(pick(chip, ".what", Element), event?.text ?? t("About {clock}", { clock: clockText(this.#at) }));
    const facts = event ? factsOf(event) : [];
    const key = JSON.stringify(facts);
    if (detail.getAttribute("data-key") === key) return;
    detail.setAttribute("data-key", key);
    pick(detail, "dl", Element).replaceChildren(
      ...facts.flatMap(([name, value]) => {
        const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
        dt.textContent = name;
        dd.textContent = value;
        return [dt, dd];
      }),
    );
  }

  // -- print and export

  #beforePrint = () => {
    const { entry } = this.#feed;
    const middle = this.#eventMs;
    const { chosen } = this.#events;
    if (!this.#strip) return;
    const leads = this.#stripLeads;
    const names = leads.map((lead) => this.#strip?.leads[lead]).join(", ");
    const what = this.#isChosen && chosen ? `${chosen.text} · ` : "";
    drawSheet(this.#parts.sheet, {
      wave: this.#strip,
      leads,
      from: middle - AROUND_MS,
      head: [
        t("Patient {patient} · {ward} · bed {bed} · {source}", { patient: entry.patient, ward: entry.ward_name, bed: entry.bed, source: this.#trend?.source ?? entry.source }),
        `${what}${zone.moment(middle)} (${zone.label}) · ${t("leads {leads}", { leads: names })} · 25 mm/s · 10 mm/mV · ${t("lossless, no filter")}`,
      ],
      rows: [middle - AROUND_MS, middle].map((ms) => t("{clock}, ten seconds", { clock: clockText(ms) })),
      foot: pick(document, ".notice strong", Element).textContent ?? "",
      marks: this.#stripMarks,
    });
  };

  #openExport() {
    const dialog = this.#parts.dialog;
    const labels = { strip: this.#stripRange, zoom: this.#window, trend: this.#span };
    for (const [name, { from, to }] of Object.entries(labels)) {
      const label = dialog.querySelector(`[data-part="export-${name}"]`);
      const what = { strip: t("The strip"), zoom: t("The zoomed stretch"), trend: t("All hours shown") }[name];
      if (label) write(label, `${what}: ${dayText(from)} ${clockText(from)}, ${durationText((to - from) / 1000)}`);
    }
    this.#writeExport();
    if (!dialog.open) dialog.showModal();
  }

  get #stripRange() {
    return { from: this.#eventMs - AROUND_MS, to: this.#eventMs + AROUND_MS };
  }

  #writeExport() {
    const form = this.#parts.dialog.querySelector("form");
    if (!form) return;
    const chosen = new FormData(form);
    const { from, to } = { strip: this.#stripRange, zoom: this.#window, trend: this.#span }[/** @type {"strip" | "zoom" | "trend"} */ (chosen.get("range"))];
    const asked = new URLSearchParams({ format: String(chosen.get("format")), from_ms: String(Math.floor(from)), to_ms: String(Math.ceil(to)) });
    pick(form, "a", HTMLAnchorElement).href = `${pathOf(this.#feed)}export/?${asked}`;
  }

  // -- hands

  #listen() {
    /** @type {Record<string, () => void>} */
    const actions = {
      again: () => this.#askAll(),
      export: () => this.#openExport(),
      "close-export": () => this.#parts.dialog.close(),
      download: () => this.#parts.dialog.close(),
      in: () => this.#zoom(ZOOM_STEP),
      out: () => this.#zoom(1 / ZOOM_STEP),
      next: () => this.#events.step(1, this.#at),
      previous: () => this.#events.step(-1, this.#at),
      print: () => print(),
    };
    this.element.addEventListener("click", (event) => {
      const button = event.target instanceof Element && event.target.closest("button, a");
      if (!(button instanceof HTMLElement)) return;
      const { mode, hours, do: action } = button.dataset;
      if (mode) this.#show(/** @type {Mode} */ (mode));
      if (hours) this.#setHours(Number(hours));
      if (action) actions[action]?.();
    });
    this.#parts.dialog.addEventListener("change", () => this.#writeExport());
    this.#parts.lead.addEventListener("change", () => this.#setLead(this.#parts.lead.value));
    const plot = /** @type {HTMLElement} */ (this.#parts.svg.parentElement);
    plot.addEventListener("click", ({ clientX }) => {
      const at = timeAt(plot, this.#trendOf ?? this.#span, clientX);
      const near = this.#events.shown.find(({ raised_ms }) => Math.abs(raised_ms - at) < (this.#hours * HOUR_MS) / 150);
      if (near) this.#events.choose(near);
      else this.#moveTo(at);
    });
    const box = this.#parts.zoom;
    box.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.#setWindow(moved(this.#window, event.deltaX / box.clientWidth, this.#bounds));
        else this.#setWindow(zoomed(this.#window, Math.exp(event.deltaY / 300), this.#timeAt(event.clientX), this.#bounds));
      },
      { passive: false },
    );
    box.addEventListener("dblclick", (event) => {
      this.#setWindow(zoomed(this.#window, 0.2, this.#timeAt(event.clientX), this.#bounds));
    });
    box.addEventListener("pointerdown", (event) => {
      box.setPointerCapture(event.pointerId);
      this.#pointers.set(event.pointerId, event);
      this.#pinch = this.#distance;
    });
    box.addEventListener("pointermove", (event) => this.#drag(event));
    for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) {
      box.addEventListener(name, (event) => {
        this.#pointers.delete(event.pointerId);
        this.#pinch = this.#distance;
      });
    }
  }

  /** Between two fingers; 0 with any other number. */
  get #distance() {
    const [one, two] = this.#pointers.values();
    return this.#pointers.size === 2 ? Math.max(1, Math.abs(one.clientX - two.clientX)) : 0;
  }

  /** @param {PointerEvent} event */
  #drag(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    this.#pointers.set(event.pointerId, event);
    const wide = this.#parts.zoom.clientWidth;
    if (this.#pointers.size === 1) this.#setWindow(moved(this.#window, (before.clientX - event.clientX) / wide, this.#bounds));
    else if (this.#pinch > 0) {
      const [one, two] = this.#pointers.values();
      const factor = this.#pinch / this.#distance;
      this.#pinch = this.#distance;
      this.#setWindow(zoomed(this.#window, factor, this.#timeAt((one.clientX + two.clientX) / 2), this.#bounds));
    }
  }

  /** @param {number} clientX */
  #timeAt(clientX) {
    const { left, width } = this.#parts.zoom.getBoundingClientRect();
    const { from, to } = this.#window;
    return from + ((clientX - left) / width) * (to - from);
  }
}

/**
 * What the hours come to, in words.
 * @param {import("./trend-chart.js").Trend} trend
 * @param {Span} span
 */
function figuresOf({ minutes }, span) {
  const lows = minutes.flatMap(([, low]) => low ?? []);
  const highs = minutes.flatMap(([, , , high]) => high ?? []);
  const means = minutes.flatMap(([, , mean]) => mean ?? []).sort((a, b) => a - b);
  const stored = t("{n} % stored", { n: decimal((100 * 60e3 * minutes.length) / (span.to - span.from), 1) });
  if (means.length === 0) return stored;
  return `${Math.min(...lows)}–${Math.max(...highs)} bpm · ${t("median {n}", { n: Math.round(means[means.length >> 1]) })} · ${stored}`;
}
