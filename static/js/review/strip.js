// @ts-check
/** Ten seconds before a moment and ten after it, sample by sample on paper; on the screen and for the printer. */

import { t } from "../i18n.js";
import { clockText } from "../ui/alarm-words.js";
import { penOf } from "../ui/canvas.js";
import { mark, pick, write } from "../ui/dom.js";
import { PULSE_ROOM_MM } from "../ui/grid.js";
import { SPEEDS, scaleOf } from "../ui/scale.js";
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
  #scale = "";

  /**
   * @param {HTMLElement} box
   * @param {{place: import("./place.js").Place, ask: import("./zoom.js").Ask, event: () => Event | null}} parts
   */
  constructor(box, { place, ask, event }) {
    this.#rows = [...box.querySelectorAll(".paper")];
    this.#heads = [...box.querySelectorAll(".row-head")];
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

  /** Where the event was raised, and where its condition began. */
  get marks() {
    const { event, wave } = this;
    if (!event) return [];
    const began = event.to > event.from ? wave?.timeOf(event.epoch, event.from) : null;
    return [{ ms: this.middle, text: t("alarm") }, ...(began ? [{ ms: began, text: t("begins") }] : [])];
  }

  /** What is shown, in words. */
  get title() {
    return `${this.event ? `${this.event.text}, ` : ""}${dayText(this.middle)} ${clockText(this.middle)}`;
  }

  /** What it was last drawn to. */
  get scale() {
    return this.#scale;
  }

  /** @param {Palette} palette */
  paint(palette) {
    const { from, to } = this.span;
    const { middle } = this;
    const { pxPerMm, gain } = palette;
    const [{ clientWidth, clientHeight }] = this.#rows;
    const wide = clientWidth / pxPerMm - PULSE_ROOM_MM;
    // Slow enough for ten seconds to fit.
    const speed = [...SPEEDS].reverse().find((one) => one <= FASTEST && one * ROW_S <= wide) ?? SPEEDS[0];
    this.#scale = `${speed} mm/s · ${gain} mm/mV`;
    const leads = clientHeight < TWO_LEADS_PX ? this.leads.slice(0, 1) : this.leads;
    const edges = this.event ? [t("alarm at the end of this row"), t("alarm")] : ["", ""];
    const texts = [[`−10 s  ${clockText(from)}`, edges[0]], [`${edges[1]}  ${clockText(middle)}`, "+10 s"]];
    const scale = scaleOf({ pxPerMm, speed, gain }, devicePixelRatio);
    const needed = Math.ceil((PULSE_ROOM_MM + ROW_S * speed) * pxPerMm); // wider than a phone: then it scrolls
    const names = leads.map((lead) => this.wave?.leads[lead]).join(", ");
    this.#rows.forEach((row, at) => {
      const span = at === 0 ? { from, to: middle } : { from: middle, to };
      this.#heads[at].querySelectorAll("span").forEach((head, side) => write(head, texts[at][side]));
      const canvas = pick(row, "canvas", HTMLCanvasElement);
      mark(canvas, "aria-label", t("ECG, {leads}, ten seconds from {clock}", { leads: names, clock: clockText(span.from) }));
      if (!fit(canvas, Math.max(row.clientWidth, needed), row.clientHeight) || !this.wave) return;
      if (leads.length === 0) paintSpan(penOf(canvas), span, this.wave, { lead: 0, scale, palette, now: this.#place.until, marks: [] });
      else paintStrip(penOf(canvas), this.wave, leads, span.from, { scale, palette, marks: this.marks });
    });
  }
}
