// @ts-check
/** The full disclosure: all that is stored of a lead, a minute a row, painted as far as it is scrolled to. */

import { t } from "../i18n.js";
import { penOf } from "../ui/canvas.js";
import { mark, pick } from "../ui/dom.js";
import { scaleOf } from "../ui/scale.js";
import { fit, paintRow } from "./paint.js";
import { Overview } from "./traces.js";

/** @typedef {import("./window.js").Span} Span */
/** @typedef {import("../ui/palette.js").Palette} Palette */

const ROW_MS = 60e3;
const ROW_PX = 44;
const LEFT_PX = 48;
const BLOCK_ROWS = 5; // asked for at once: 3000 columns
const BLOCK_MS = BLOCK_ROWS * ROW_MS;
const MOST_BLOCKS = 60;
const GAIN = 5; // mm/mV
const YOUNG_MS = 120e3; // what ended later than this before now may still grow

export class Rows {
  gain = GAIN;
  #box;
  #canvas;
  #height;
  #parts;
  /** @type {Palette | null} */ #palette = null;
  /** @type {Span} whole rows, the newest last */ #span = { from: 0, to: 0 };
  #lead = "";
  /** @type {Map<number, Overview>} by their first ms */ #blocks = new Map();
  #asking = false;

  /**
   * @param {HTMLElement} box that scrolls
   * @param {{ask: (question: {what: "overview", from_ms: number, to_ms: number, columns: number, lead?: string}) => Promise<import("./past.js").Answer>,
   *   open: (ms: number) => void, failed: (error: unknown) => void, marks: () => readonly {ms: number, colour: string}[]}} parts
   */
  constructor(box, parts) {
    this.#box = box;
    this.#parts = parts;
    this.#canvas = pick(box, "canvas", HTMLCanvasElement);
    this.#height = pick(box, ".height", HTMLElement);
    box.addEventListener("scroll", () => this.paint());
    box.addEventListener("click", ({ clientX, clientY }) => {
      const { left, top, width } = this.#canvas.getBoundingClientRect();
      const row = Math.floor((clientY - top + box.scrollTop) / ROW_PX);
      const share = Math.max(0, clientX - left - LEFT_PX) / (width - LEFT_PX);
      parts.open(this.#span.from + (row + share) * ROW_MS);
    });
  }

  /** @param {Palette} palette */
  set palette(palette) {
    this.#palette = palette;
  }

  /**
   * Show these hours, a time among them in sight.
   * @param {Span} span
   * @param {string} lead
   * @param {number} at
   */
  show(span, lead, at) {
    if (lead !== this.#lead) this.#blocks.clear();
    const first = this.#span.to === 0 || lead !== this.#lead;
    this.#lead = lead;
    this.#span = { from: Math.floor(span.from / BLOCK_MS) * BLOCK_MS, to: Math.ceil(span.to / ROW_MS) * ROW_MS };
    for (const [from] of this.#blocks) if (from + BLOCK_MS > span.to - YOUNG_MS) this.#blocks.delete(from);
    const rows = (this.#span.to - this.#span.from) / ROW_MS;
    this.#height.style.height = `${rows * ROW_PX}px`;
    if (first) this.#box.scrollTop = ((at - this.#span.from) / ROW_MS) * ROW_PX - this.#box.clientHeight / 2;
    this.paint();
  }

  /** Whether nothing has come to be drawn. */
  get isEmpty() {
    return this.#blocks.size === 0;
  }

  /** @param {number} rows */
  scrollBy(rows) {
    this.#box.scrollTop += rows * ROW_PX;
  }

  paint() {
    const palette = this.#palette;
    if (!palette || this.#box.clientHeight === 0 || !fit(this.#canvas, this.#box.clientWidth, this.#box.clientHeight)) return;
    mark(this.#canvas, "aria-label", t("ECG, lead {lead}, a minute a row", { lead: this.#lead || t("first lead") }));
    const ratio = devicePixelRatio;
    const pen = penOf(this.#canvas);
    pen.fillStyle = palette.surface;
    pen.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
    const scale = scaleOf({ pxPerMm: palette.pxPerMm, speed: 25, gain: GAIN }, ratio);
    const marks = this.#parts.marks();
    const { scrollTop, clientHeight } = this.#box;
    const lacks = [];
    for (let row = Math.floor(scrollTop / ROW_PX); row * ROW_PX < scrollTop + clientHeight; row++) {
      const from = this.#span.from + row * ROW_MS;
      if (from >= this.#span.to) break;
      const begins = Math.floor(from / BLOCK_MS) * BLOCK_MS;
      const block = this.#blocks.get(begins) ?? null;
      if (!block) lacks.push(begins);
      const place = { top: (row * ROW_PX - scrollTop) * ratio, height: ROW_PX * ratio, left: LEFT_PX * ratio };
      paintRow(pen, place, { from, to: from + ROW_MS }, block, { scale, palette, marks });
    }
    if (lacks.length > 0) this.#fetch(lacks[0]);
  }

  /** @param {number} from */
  #fetch(from) {
    if (this.#asking) return;
    this.#asking = true;
    const question = { what: /** @type {const} */ ("overview"), from_ms: from, to_ms: from + BLOCK_MS, columns: BLOCK_ROWS * 600 };
    const lead = this.#lead;
    this.#parts
      .ask(lead ? { ...question, lead } : question)
      .then((answer) => {
        if (lead === this.#lead) this.#blocks.set(from, new Overview(answer));
        for (const oldest of this.#blocks.keys()) {
          if (this.#blocks.size <= MOST_BLOCKS) break;
          this.#blocks.delete(oldest);
        }
        this.#asking = false;
        this.paint();
      })
      .catch((error) => {
        this.#asking = false;
        this.#parts.failed(error);
      });
  }
}
