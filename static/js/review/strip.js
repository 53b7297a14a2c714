// @ts-check
/** Ten seconds before a moment and ten after it, sample by sample on paper; on the screen and for the printer. */

import { figure, t } from "../i18n.js";
import { clockText } from "../ui/alarm-words.js";
import { penOf } from "../ui/canvas.js";
import { mark, pick, write } from "../ui/dom.js";
import { PULSE_ROOM_MM } from "../ui/grid.js";
import { GAINS, SPEEDS, scaleOf, step } from "../ui/scale.js";
import { delayOf } from "./events.js";
import { fit, paintSpan, paintStrip } from "./paint.js";
import { aboutOf } from "./place.js";
import { Wave } from "./traces.js";
import { dayText } from "./window.js";

/** @typedef {import("./events.js").Event} Event */
/** @typedef {import("../ui/palette.js").Palette} Palette */

const ROW_S = 10;
const FASTEST = 25; // mm/s
const MARGIN_MS = 1e3; // the time of a sample is an estimate
const YOUNG_MS = 30e3; // what ended later than this before now may still grow
const TWO_LEADS_PX = 180; // a row of two leads is as high at least

export class Strip {
  /** @type {Wave | null} */ wave = null;
  #rows;
  #heads;
  #place;
  #ask;
  #event;
  #changed;
  #parts;
  #speed = FASTEST;
  /** As chosen, in mm/mV; null: as the stylesheet has it. @type {number | null} */ #gain = null;
  /** @type {import("./measuring.js").Measuring | null} loaded when it is first wanted */ #measuring = null;
  /** @type {import("./measuring.js").Row[]} as they were last painted */ #painted = [];

  /**
   * @param {Element} look the card of the trace
   * @param {{place: import("./place.js").Place, ask: import("./zoom.js").Ask, event: () => Event | null, changed: () => void}} parts
   */
  constructor(look, { place, ask, event, changed }) {
    this.#rows = [...look.querySelectorAll(".strip-box .paper")].map((row) => ({ row, plot: pick(row, ".plot", HTMLElement) }));
    this.#heads = [...look.querySelectorAll(".row-head")];
    const part = (/** @type {string} */ name) => pick(look, `[data-part="${name}"]`, Element);
    this.#parts = { gain: part("gain"), calipers: part("calipers"), said: part("said") };
    this.#changed = changed;
    this.#place = place;
    this.#ask = ask;
    this.#event = event;
  }

  /** What is looked at; null: a time alone. */
  get event() {
    return this.#event();
  }

  /** Ask for it, unless it is here. */
  ask() {
    const { from, to } = this.#place.around;
    const span = { from: from - MARGIN_MS, to: to + MARGIN_MS };
    if (this.wave && this.wave.from <= span.from && this.wave.to >= span.to && span.to < this.#place.until - YOUNG_MS) return;
    this.#ask("strip", { what: "wave", from_ms: span.from, to_ms: span.to }, (answer) => {
      this.wave = new Wave(answer, span);
    });
  }

  /** Whether nothing has come to be drawn. */
  get isEmpty() {
    return this.wave === null;
  }

  /** Its middle: when the event was raised, by its sample where that is here. */
  get middle() {
    const { event } = this;
    return (event && this.wave?.timeOf(event.epoch, event.sample)) ?? this.#place.at;
  }

  /** @returns {import("./window.js").Span} */
  get span() {
    return aboutOf(this.middle);
  }

  /** The leads that are drawn: the one that is chosen, and a second one beside it. */
  get leads() {
    const count = this.wave?.leads.length ?? 0;
    if (count === 0) return [];
    const first = Math.min(this.#place.leadIndex, count - 1);
    const second = this.wave?.leads.indexOf("V1") ?? -1;
    return count > 1 ? [first, second >= 0 && second !== first ? second : (first + 1) % count] : [first];
  }

  get marks() {
    return marksOf(this.event, this.middle);
  }

  /** What is shown, in words. */
  get title() {
    return `${this.event ? `${this.event.text}, ` : ""}${dayText(this.middle)} ${clockText(this.middle)}`;
  }

  /** What it was last drawn to: its speed, and its gain, which stands beside that. */
  get scale() {
    return [`${figure(this.#speed)} mm/s`, this.#parts.gain.textContent];
  }

  /**
   * A larger gain, or a smaller one.
   * @param {1 | -1} by
   * @param {Palette} palette
   */
  stepGain(by, palette) {
    this.#gain = step(GAINS, this.#gain ?? palette.gain, by);
    this.#changed();
  }

  /** Take calipers to the first row, then to the second, then away. */
  async measure() {
    if (!this.#measuring) {
      const { Measuring } = await import("./measuring.js");
      this.#measuring ??= new Measuring(this.#rows.map(({ plot }) => plot), (text) => this.#tell(text));
      this.#measuring.lay(this.#painted);
    }
    this.#measuring.step();
    this.#tell(null);
  }

  /** Calipers are put away, where there are any. @returns {boolean} whether there were */
  leave() {
    const isOpen = this.#measuring?.isOpen === true;
    this.#measuring?.close();
    return isOpen;
  }

  /**
   * @param {string} key
   * @param {boolean} far whether Shift is held
   * @returns {boolean} whether it moved a caliper
   */
  key(key, far) {
    return this.#measuring?.key(key, far) === true;
  }

  /** @param {string | null} text what calipers measure, where that is new */
  #tell(text) {
    if (text !== null) write(this.#parts.said, text);
    mark(this.#parts.calipers, "aria-pressed", String(this.#measuring?.isOpen === true));
  }

  /** @param {Palette} palette */
  paint(palette) {
    const { from, to } = this.span;
    const { middle } = this;
    const { pxPerMm } = palette;
    const gain = this.#gain ?? palette.gain;
    const [{ clientWidth, clientHeight }] = this.#rows.map(({ row }) => row);
    const wide = clientWidth / pxPerMm - PULSE_ROOM_MM;
    // Slow enough for ten seconds to fit.
    const speed = [...SPEEDS].reverse().find((one) => one <= FASTEST && one * ROW_S <= wide) ?? SPEEDS[0];
    this.#speed = speed;
    write(this.#parts.gain, `${figure(gain)} mm/mV`);
    const leads = clientHeight < TWO_LEADS_PX ? this.leads.slice(0, 1) : this.leads;
    const edges = this.event ? [t("alarm at the end of this row"), t("alarm")] : ["", ""];
    const texts = [[`−10 s  ${clockText(from)}`, edges[0]], [`${edges[1]}  ${clockText(middle)}`, "+10 s"]];
    const scale = scaleOf({ pxPerMm, speed, gain }, devicePixelRatio);
    const needed = Math.ceil((PULSE_ROOM_MM + ROW_S * speed) * pxPerMm); // wider than a phone: then it scrolls
    const names = leads.map((lead) => this.wave?.leads[lead]).join(", ");
    this.#painted = [];
    this.#rows.forEach(({ row, plot }, at) => {
      const span = at === 0 ? { from, to: middle } : { from: middle, to };
      this.#heads[at].querySelectorAll("span").forEach((head, side) => write(head, texts[at][side]));
      mark(row, "tabindex", needed > row.clientWidth ? "0" : null); // what scrolls is reached by keys
      const canvas = pick(plot, "canvas", HTMLCanvasElement);
      mark(canvas, "aria-label", t("ECG, {leads}, ten seconds from {clock}", { leads: names, clock: clockText(span.from) }));
      if (!fit(canvas, Math.max(row.clientWidth, needed), row.clientHeight) || !this.wave) return;
      if (leads.length === 0) paintSpan(penOf(canvas), span, this.wave, { lead: 0, scale, palette, now: this.#place.until, marks: [] });
      else paintStrip(penOf(canvas), this.wave, leads, span.from, { scale, palette, marks: this.marks });
      this.#painted.push({ wave: this.wave, leads, span, scale, width: canvas.width, height: canvas.height });
    });
    this.#measuring?.lay(this.#painted);
    this.#tell(null);
  }
}

/**
 * Where an event was raised, and where its condition began; a device does not tell that.
 * @param {Event | null} event
 * @param {number} ms when it was raised
 */
export function marksOf(event, ms) {
  if (!event) return [];
  const delay_s = delayOf(event);
  return [{ ms, text: t("alarm") }, ...(delay_s > 0 ? [{ ms: ms - 1000 * delay_s, text: t("begins") }] : [])];
}
