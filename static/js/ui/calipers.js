// @ts-check
/** Calipers over a frozen trace: two lines that mouse, finger and keys move, and what lies between them. */

import { measure, measureText, peakNear } from "../ecg/measure.js";
import { t } from "../i18n.js";
import { write } from "./dom.js";

const SNAP_PX = 8; // CSS pixels: 80 ms at 25 mm/s and 4 px/mm
const STRIDE = 10; // samples that an arrow moves with Shift

/**
 * Where samples stand, and what is there.
 * @typedef {object} Ground
 * @property {Pick<import("../ecg/ring.js").SampleRing, "has" | "at">} ring as it is drawn
 * @property {Pick<import("../stream/beats.js").Beats, "within" | "nearest">} beats
 * @property {number} rateHz
 * @property {(sample: number) => number} xOf CSS pixels from the left of the box
 * @property {(x: number) => number} sampleAt
 * @property {(x: number, y: number) => {lead: number, row: number, left: number, right: number} | null} cellAt CSS pixels
 * @property {(cell: {lead: number, row: number}, sample: number) => number | null} yOf CSS pixels
 * @property {(sample: number, row: number) => {lead: number, row: number, left: number, right: number} | null} cellOf
 * @property {[number, number]} span samples that are to be seen
 */

export class Calipers {
  #box;
  #told;
  /** @type {Ground | null} */ #ground = null;
  #band = document.createElement("div");
  #label = document.createElement("output");
  /** @type {HTMLElement[]} */ #lines;
  /** @type {HTMLElement[]} */ #levels;
  #at = [0, 0];
  #row = 0;
  #active = 0;

  /**
   * @param {HTMLElement} box
   * @param {(text: string) => void} told is told what they measure
   */
  constructor(box, told) {
    this.#box = box;
    this.#told = told;
    this.#band.className = "caliper-band";
    this.#label.className = "caliper-label";
    this.#levels = [0, 1].map(() => Object.assign(document.createElement("div"), { className: "caliper-level" }));
    this.#lines = [t("First caliper"), t("Second caliper")].map((name, which) => {
      const line = document.createElement("div");
      line.className = "caliper";
      line.tabIndex = 0;
      line.setAttribute("role", "slider");
      line.setAttribute("aria-label", name);
      line.addEventListener("pointerdown", (event) => this.#grab(event, which));
      line.addEventListener("focus", () => (this.#active = which));
      return line;
    });
  }

  get isOpen() {
    return this.#ground !== null;
  }

  /**
   * @param {Ground} ground
   * @param {number} row in which the millivolts are measured
   */
  open(ground, row) {
    this.#ground = ground;
    this.#row = row;
    const [first, stop] = ground.span;
    /** @type {number[]} */
    const beats = [];
    ground.beats.within(first, stop, ({ sample }) => beats.push(sample));
    beats.sort((a, b) => a - b);
    const third = Math.round((stop - first) / 3);
    const [a, b] = beats.length >= 2 ? beats.slice(-2) : [first + third, first + 2 * third];
    this.#at = [this.#peak(a), this.#peak(b)];
    this.#box.append(this.#band, ...this.#levels, ...this.#lines, this.#label);
    this.#box.addEventListener("pointerdown", this.#press);
    this.#place();
    this.#lines[1].focus({ preventScroll: true });
  }

  /**
   * What is under them was painted anew, at another size.
   * @param {Ground} ground
   */
  lay(ground) {
    if (!this.#ground) return;
    this.#ground = ground;
    this.#place();
  }

  close() {
    this.#ground = null;
    this.#box.removeEventListener("pointerdown", this.#press);
    for (const element of [this.#band, ...this.#levels, ...this.#lines, this.#label]) element.remove();
    this.#told("");
  }

  /**
   * @param {string} key
   * @param {boolean} far
   * @returns {boolean} whether it moved one of them
   */
  key(key, far) {
    if (!this.#ground || (key !== "ArrowLeft" && key !== "ArrowRight")) return false;
    this.#move(this.#active, this.#at[this.#active] + (key === "ArrowLeft" ? -1 : 1) * (far ? STRIDE : 1));
    return true;
  }

  /** A press beside the lines takes the nearer one there, and measures the row that was pressed. */
  #press = (/** @type {PointerEvent} */ event) => {
    if (!this.#ground || this.#lines.some((line) => line === event.target)) return;
    const box = this.#box.getBoundingClientRect();
    const x = event.clientX - box.left;
    const cell = this.#ground.cellAt(x, event.clientY - box.top);
    if (cell) this.#row = cell.row;
    const [a, b] = this.#at.map((sample) => Math.abs(/** @type {Ground} */ (this.#ground).xOf(sample) - x));
    this.#grab(event, a <= b ? 0 : 1);
    this.#drag(event, a <= b ? 0 : 1);
  };

  /**
   * @param {PointerEvent} event
   * @param {number} which
   */
  #grab(event, which) {
    const line = this.#lines[which];
    event.preventDefault();
    line.focus({ preventScroll: true });
    line.setPointerCapture(event.pointerId);
    const drag = (/** @type {PointerEvent} */ moved) => this.#drag(moved, which);
    const end = () => {
      line.removeEventListener("pointermove", drag);
      line.removeEventListener("pointerup", end);
      line.removeEventListener("pointercancel", end);
    };
    line.addEventListener("pointermove", drag);
    line.addEventListener("pointerup", end);
    line.addEventListener("pointercancel", end);
  }

  /**
   * @param {PointerEvent} event
   * @param {number} which
   */
  #drag(event, which) {
    const ground = this.#ground;
    if (!ground) return;
    const x = event.clientX - this.#box.getBoundingClientRect().left;
    const sample = ground.sampleAt(x);
    const reach = Math.abs(ground.sampleAt(x + SNAP_PX) - sample);
    const beat = ground.beats.nearest(sample, reach);
    this.#move(which, beat ? this.#peak(beat.sample) : sample);
  }

  /** @param {number} beat */
  #peak(beat) {
    const { ring, rateHz, cellOf, beats } = /** @type {Ground} */ (this.#ground);
    const cell = cellOf(beat, this.#row);
    return cell && beats.nearest(beat, 0) ? peakNear(ring, cell.lead, beat, rateHz) : beat;
  }

  /**
   * @param {number} which
   * @param {number} sample
   */
  #move(which, sample) {
    const [first, stop] = /** @type {Ground} */ (this.#ground).span;
    this.#at[which] = Math.min(Math.max(sample, first), stop - 1);
    this.#place();
  }

  #place() {
    const { ring, rateHz, xOf, yOf, cellOf, span } = /** @type {Ground} */ (this.#ground);
    const cells = this.#at.map((sample) => cellOf(sample, this.#row));
    const lead = cells[0] && cells[0].lead === cells[1]?.lead ? cells[0].lead : null;
    const [from, to] = this.#at[0] <= this.#at[1] ? this.#at : [this.#at[1], this.#at[0]];
    const text = measureText(measure(ring, lead, from, to, rateHz));
    const places = this.#at.map(xOf);
    this.#lines.forEach((line, at) => {
      line.style.left = `${places[at]}px`;
      line.setAttribute("aria-valuemin", String(span[0]));
      line.setAttribute("aria-valuemax", String(span[1] - 1));
      line.setAttribute("aria-valuenow", String(this.#at[at]));
      line.setAttribute("aria-valuetext", text);
    });
    this.#levels.forEach((level, at) => {
      const cell = cells[at];
      const y = lead === null || cell === null ? null : yOf(cell, this.#at[at]);
      level.hidden = y === null;
      level.style.left = `${Math.min(...places)}px`;
      level.style.width = `${Math.abs(places[1] - places[0])}px`;
      level.style.top = `${y ?? 0}px`;
    });
    this.#band.style.left = `${Math.min(...places)}px`;
    this.#band.style.width = `${Math.abs(places[1] - places[0])}px`;
    write(this.#label, text);
    const room = this.#box.clientWidth - this.#label.offsetWidth - 4;
    this.#label.style.left = `${Math.max(Math.min(Math.max(...places) + 8, room), 4)}px`;
    this.#told(text);
  }
}
