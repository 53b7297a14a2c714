// @ts-check
/** One lead over any stretch of time, from a day to a beat: zoomed, moved, and drawn out of the finest that is here. */

import { decimal, t } from "../i18n.js";
import { durationText } from "../stream/freshness.js";
import { clockText } from "../ui/alarm-words.js";
import { penOf } from "../ui/canvas.js";
import { mark, pick } from "../ui/dom.js";
import { SPEEDS, scaleOf } from "../ui/scale.js";
import { fit, paintSpan } from "./paint.js";
import { Overview, Wave } from "./traces.js";
import { dayText, moved, within, zoomed } from "./window.js";

/** @typedef {import("./place.js").Place} Place */
/** @typedef {import("./window.js").Span} Span */
/** @typedef {import("../ui/palette.js").Palette} Palette */
/** @typedef {(slot: string, question: Omit<import("./past.js").Question, "stream">, take: (answer: import("./past.js").Answer) => void) => void} Ask */

const FINEST_MS = 125; // nothing in little is stored by shorter columns than of a tenth of a second
const WAVE_MS = 60e3; // no longer stretch is sent as it was
const YOUNG_MS = 90e3; // what ended later than this before now may still grow
const MOST_KEPT = 24; // stretches that were looked at
const MOST_COLUMNS = 4096; // that are asked for
const GAIN = 20; // mm/mV
const WHEEL_E = 300; // pixels of the wheel for a factor of e
const CLOSER = 0.2; // what a double click leaves of the stretch

export class Zoom {
  /** @type {Span} */ window;
  isShown = false;
  #box;
  #canvas;
  #place;
  #ask;
  #changed;
  /** @type {(Overview | Wave)[]} newest last */ #kept = [];
  /** @type {Map<number, PointerEvent>} */ #pointers = new Map();
  #pinch = 0;

  /**
   * @param {HTMLElement} box
   * @param {{place: Place, ask: Ask, changed: () => void}} parts
   */
  constructor(box, { place, ask, changed }) {
    this.#box = box;
    this.#canvas = pick(box, "canvas", HTMLCanvasElement);
    this.#place = place;
    this.#ask = ask;
    this.#changed = changed;
    this.window = place.window;
    this.#listen();
  }

  /**
   * Somebody wants to see it: what comes later does not move it.
   * @param {Span} span
   */
  show(span) {
    this.#place.wasMoved();
    this.window = within(span, this.#place.bounds);
    this.#changed();
    this.ask();
  }

  /**
   * @param {number} factor
   * @param {boolean} isChosen whether an event is looked at: then it stays where it is
   */
  by(factor, isChosen) {
    const { from, to } = this.window;
    const { at, bounds } = this.#place;
    this.show(zoomed(this.window, factor, isChosen && at > from && at < to ? at : (from + to) / 2, bounds));
  }

  /** @param {number} share of its length */
  move(share) {
    this.show(moved(this.window, share, this.#place.bounds));
  }

  /**
   * Time went on: a window that ended with what was newest follows.
   * @param {number} before what was the newest time
   */
  follow(before) {
    const { until, bounds } = this.#place;
    if (this.isShown && this.window.to >= before - 1000) this.window = within({ from: this.window.from, to: until }, bounds);
  }

  /** Another lead is looked at: samples have all of them. */
  forgetLead() {
    this.#kept = this.#kept.filter((trace) => trace instanceof Wave);
  }

  /** Ask for what is lacking. */
  ask() {
    if (!this.isShown || this.#kept.some((trace) => this.#serves(trace))) return;
    const { from, to } = this.window;
    const length = to - from;
    if (length <= WAVE_MS) {
      // A third more on each side: a small move needs no answer.
      const room = Math.min((WAVE_MS - length) / 2, length / 3);
      const span = { from: Math.max(0, from - room), to: to + room };
      this.#ask("zoom", { what: "wave", from_ms: span.from, to_ms: span.to }, (answer) => this.#keep(new Wave(answer, span)));
      return;
    }
    const columns = Math.min(MOST_COLUMNS, Math.max(1, Math.round(this.#box.clientWidth * Math.min(devicePixelRatio, 2))));
    const question = { what: /** @type {const} */ ("overview"), from_ms: from, to_ms: to, columns };
    const { lead } = this.#place;
    this.#ask("zoom", lead ? { ...question, lead } : question, (answer) => this.#keep(new Overview(answer)));
  }

  /** Whether nothing has come to be drawn. */
  get isEmpty() {
    return this.#kept.length === 0;
  }

  /** What is shown, in words. */
  get title() {
    const { from } = this.window;
    return `${this.#place.lead} · ${dayText(from)} ${clockText(from)}, ${this.#across}`;
  }

  /** By what it is drawn. */
  get scale() {
    return `${GAIN} mm/mV · ${this.#best instanceof Overview ? t("lowest to highest") : t("every sample")}`;
  }

  /**
   * @param {Palette} palette
   * @param {readonly {ms: number, colour: string}[]} marks
   */
  paint(palette, marks) {
    const { lead, leadIndex, until } = this.#place;
    const best = this.#best;
    const canvas = this.#canvas;
    mark(canvas, "aria-label", t("ECG, lead {lead}, {time} from {clock}", { lead, time: this.#across, clock: clockText(this.window.from) }));
    mark(canvas, "data-whole", best !== null && this.#serves(best) ? "" : null);
    mark(canvas, "data-shows", best === null ? null : best instanceof Wave ? "wave" : "overview");
    if (!fit(canvas, this.#box.clientWidth, this.#box.clientHeight)) return;
    const scale = scaleOf({ pxPerMm: palette.pxPerMm, speed: SPEEDS[2], gain: GAIN }, devicePixelRatio);
    paintSpan(penOf(canvas), this.window, best, { lead: leadIndex, scale, palette, now: until, marks });
  }

  get #across() {
    const { from, to } = this.window;
    return to - from < 120e3 ? `${decimal((to - from) / 1000, 1)} s` : durationText((to - from) / 1000);
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
    const { from, to } = this.window;
    const young = this.#place.until - YOUNG_MS;
    if (trace.from > from + 1 || trace.to < to - 1 || (to > young && trace.to < young)) return false;
    return trace instanceof Wave || (to - from > WAVE_MS && trace.step <= Math.max(FINEST_MS, (1.5 * (to - from)) / Math.max(1, this.#box.clientWidth)));
  }

  /** Of all that is here, what shows most of the window, and of such the finest. */
  get #best() {
    const { from, to } = this.window;
    const shown = (/** @type {Overview | Wave} */ trace) => Math.max(0, Math.min(to, trace.to) - Math.max(from, trace.from));
    const step = (/** @type {Overview | Wave} */ trace) => (trace instanceof Wave ? 0 : trace.step);
    let best = null;
    for (const trace of this.#kept) {
      const more = best === null ? shown(trace) : shown(trace) - shown(best);
      if (more > 1 || (best && more >= -1 && step(trace) <= step(best))) best = trace;
    }
    return best;
  }

  // -- hands

  #listen() {
    const box = this.#box;
    box.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.move(event.deltaX / box.clientWidth);
        else this.#about(Math.exp(event.deltaY / WHEEL_E), event.clientX);
      },
      { passive: false },
    );
    box.addEventListener("dblclick", ({ clientX }) => this.#about(CLOSER, clientX));
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

  /**
   * @param {number} factor
   * @param {number} clientX what is there stays there
   */
  #about(factor, clientX) {
    this.show(zoomed(this.window, factor, this.#timeAt(clientX), this.#place.bounds));
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
    if (this.#pointers.size === 1) this.move((before.clientX - event.clientX) / this.#box.clientWidth);
    else if (this.#pinch > 0) {
      const [one, two] = this.#pointers.values();
      const factor = this.#pinch / this.#distance;
      this.#pinch = this.#distance;
      this.#about(factor, (one.clientX + two.clientX) / 2);
    }
  }

  /** @param {number} clientX */
  #timeAt(clientX) {
    const { left, width } = this.#box.getBoundingClientRect();
    const { from, to } = this.window;
    return from + ((clientX - left) / width) * (to - from);
  }
}
