// @ts-check
/** Calipers on the rows of the strip: which row has them, and the samples that they stand on. */

import { t } from "../i18n.js";
import { Beats } from "../stream/beats.js";
import { Calipers } from "../ui/calipers.js";
import { PULSE_ROOM_MM } from "../ui/grid.js";
import { zeroOf } from "./paint.js";

/** @typedef {import("../ui/calipers.js").Ground} Ground */
/** @typedef {import("../ui/scale.js").Scale} Scale */
/** @typedef {import("./traces.js").Wave} Wave */
/** @typedef {import("./window.js").Span} Span */
/** @typedef {{wave: Wave, leads: readonly number[], span: Span, scale: Scale, width: number, height: number}} Row as it is painted, in device pixels */

const REFRACTORY_S = 0.2; // no two beats are nearer to each other
const STEEP = 0.5; // of the steepest slope: a beat has as much, a T wave has not
const RISE_S = 0.02; // over which a slope is taken

export class Measuring {
  #boxes;
  #calipers;
  #told;
  #key = "";
  /** @type {(Ground | null)[]} */ #grounds = [];

  /**
   * @param {readonly HTMLElement[]} boxes of the rows
   * @param {(text: string) => void} told is told what is measured
   */
  constructor(boxes, told) {
    this.#boxes = boxes;
    this.#told = told;
    this.#calipers = boxes.map((box) => new Calipers(box, told));
    // A press in the other row takes them there, before they look whose press it was.
    boxes.forEach((box, row) => box.addEventListener("pointerdown", () => this.isOpen && !this.#calipers[row].isOpen && this.#open(row), true));
  }

  get isOpen() {
    return this.#calipers.some(({ isOpen }) => isOpen);
  }

  /** From no row to the first that has samples, from row to row, and away. */
  step() {
    const before = this.#calipers.findIndex(({ isOpen }) => isOpen);
    this.close();
    const row = this.#grounds.findIndex((ground, at) => at > before && ground !== null);
    if (row >= 0) this.#open(row);
    else if (before < 0) this.#told(t("Nothing to measure: no sample is stored here"));
  }

  close() {
    for (const one of this.#calipers) if (one.isOpen) one.close();
  }

  /**
   * The rows were painted: they stay on the samples on which they are, and go with another strip.
   * @param {readonly Row[]} rows
   */
  lay(rows) {
    const key = rows.map(({ span }) => span.from).join();
    if (key !== this.#key) this.close();
    this.#key = key;
    this.#grounds = rows.map(groundOf);
    this.#calipers.forEach((one, row) => {
      const ground = this.#grounds[row];
      if (ground) one.lay(ground);
      else if (one.isOpen) one.close();
    });
  }

  /**
   * @param {string} key
   * @param {boolean} far
   * @returns {boolean} whether it moved one of them
   */
  key(key, far) {
    return this.#calipers.some((one) => one.key(key, far));
  }

  /** @param {number} row */
  #open(row) {
    const ground = this.#grounds[row];
    if (!ground) return;
    this.close();
    this.#calipers[row].open(ground, 0);
    this.#boxes[row].querySelector(".caliper-label")?.scrollIntoView({ block: "nearest", inline: "nearest" }); // where a phone scrolls
  }
}

/**
 * Where the samples of a row stand; of the epoch that has most of it. Null where it has none.
 * @param {Row} row
 * @returns {Ground | null}
 */
export function groundOf({ wave, leads, span, scale, width, height }) {
  const shown = (/** @type {Span} */ run) => Math.min(run.to, span.to) - Math.max(run.from, span.from);
  const [run] = wave.runs.filter((one) => shown(one) > 0).sort((a, b) => shown(b) - shown(a));
  if (!run || leads.length === 0) return null;
  const { rateHz, epoch } = run;
  const runs = wave.runs.filter((one) => one.epoch === epoch);
  const holder = (/** @type {number} */ sample) => runs.find(({ first, values }) => sample >= first && sample < first + values[0].length);
  const left = PULSE_ROOM_MM * scale.mm;
  const timeOf = (/** @type {number} */ sample) => run.from + ((sample - run.first) * 1000) / rateHz;
  const indexOf = (/** @type {number} */ ms) => run.first + ((ms - run.from) * rateHz) / 1000;
  const x = (/** @type {number} */ sample) => left + ((timeOf(sample) - span.from) * scale.second) / 1000;
  const band = height / leads.length;
  const cell = (/** @type {number} */ row) => (leads[row] === undefined ? null : { lead: leads[row], row, left, right: width });
  const ring = {
    has: (/** @type {number} */ sample) => holder(sample) !== undefined,
    at: (/** @type {number} */ lead, /** @type {number} */ sample) => {
      const has = holder(sample);
      return has ? has.values[lead][sample - has.first] : NaN;
    },
  };
  /** @type {[number, number]} */
  const samples = [Math.ceil(indexOf(Math.max(span.from, runs[0].from))), Math.floor(indexOf(Math.min(span.to, runs[runs.length - 1].to)))];
  /** @type {Beats | null} */ let beats = null;
  return {
    ring,
    // Looked for when calipers want them: a strip is painted more often than it is measured.
    get beats() {
      return (beats ??= beatsOf(ring, leads[0], samples, rateHz));
    },
    rateHz,
    xOf: (sample) => x(sample) / scale.ratio,
    sampleAt: (at) => Math.round(indexOf(span.from + ((at * scale.ratio - left) * 1000) / scale.second)),
    cellAt: (_, y) => cell(Math.floor((y * scale.ratio) / band)),
    cellOf: (_, row) => cell(row),
    yOf: ({ lead, row }, sample) => {
      const value = ring.at(lead, sample);
      return Number.isNaN(value) ? null : (zeroOf(wave, lead, span, { scale, band, row }) - value * scale.microvolt) / scale.ratio;
    },
    span: samples,
  };
}

/**
 * Where a lead runs steepest. Beats that were found live are not stored: these are for calipers to snap to, and for
 * nothing else.
 * @param {Pick<import("../ecg/ring.js").SampleRing, "has" | "at">} ring
 * @param {number} lead
 * @param {readonly [number, number]} samples
 * @param {number} rateHz
 */
export function beatsOf(ring, lead, [first, stop], rateHz) {
  const reach = Math.max(1, Math.round((RISE_S * rateHz) / 2));
  /** @type {[number, number][]} */ const slopes = [];
  for (let at = first + reach; at < stop - reach; at++) {
    const slope = Math.abs(ring.at(lead, at + reach) - ring.at(lead, at - reach));
    if (!Number.isNaN(slope)) slopes.push([at, slope]);
  }
  slopes.sort((a, b) => b[1] - a[1]);
  /** @type {number[]} */ const found = [];
  for (const [at, slope] of slopes) {
    if (slope === 0 || slope < STEEP * slopes[0][1]) break;
    if (found.every((other) => Math.abs(other - at) >= REFRACTORY_S * rateHz)) found.push(at);
  }
  const beats = new Beats();
  beats.hear(found.sort((a, b) => a - b).map((at) => [at, "N"]));
  return beats;
}
