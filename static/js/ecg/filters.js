// @ts-check
/** Filters for the eye: wander of the baseline and hum of the mains taken out of what is drawn, and of nothing else. */

import { decimal, t } from "../i18n.js";
import { SampleRing } from "./ring.js";

/** @typedef {{baseline: boolean, mains: 0 | 50 | 60}} Choice mains in Hz, 0 for none */

export const BASELINE_HZ = 0.5;
/** Of the notch, between its points at -3 dB: wide enough for a mains that wanders, narrow enough not to ring long. */
const NOTCH_WIDTH_HZ = 2;
/** A notch so close to half the sampling rate has no room. */
const ROOM = 0.9;

/** @typedef {{b0: number, b1: number, b2: number, a1: number, a2: number, rest: number}} Biquad `rest`: its answer to a constant 1 */

/**
 * Butterworth high-pass of the second order, by the bilinear transform (R. Bristow-Johnson, Audio EQ Cookbook,
 * Q = 1/sqrt 2): -3 dB at its corner. Being causal it shifts the phase of what is slow, so an ST segment drawn through it is
 * not to be judged.
 * @param {number} cornerHz
 * @param {number} rateHz
 * @returns {Biquad}
 */
export function highPass(cornerHz, rateHz) {
  const w = (2 * Math.PI * cornerHz) / rateHz;
  const alpha = Math.sin(w) * Math.SQRT1_2;
  const half = (1 + Math.cos(w)) / 2;
  return normal(half, -2 * half, half, 1 + alpha, -2 * Math.cos(w), 1 - alpha, 0);
}

/**
 * Notch of the second order (the same source, with the width of the band as it comes out of the bilinear transform):
 * nothing passes at its centre, a constant unchanged.
 * @param {number} centreHz
 * @param {number} rateHz
 * @returns {Biquad}
 */
export function notch(centreHz, rateHz) {
  const w = (2 * Math.PI * centreHz) / rateHz;
  const alpha = Math.tan((Math.PI * NOTCH_WIDTH_HZ) / rateHz);
  return normal(1, -2 * Math.cos(w), 1, 1 + alpha, -2 * Math.cos(w), 1 - alpha, 1);
}

/**
 * @param {number} b0
 * @param {number} b1
 * @param {number} b2
 * @param {number} a0
 * @param {number} a1
 * @param {number} a2
 * @param {number} rest
 * @returns {Biquad}
 */
function normal(b0, b1, b2, a0, a1, a2, rest) {
  return { b0: b0 / a0, b1: b1 / a0, b2: b2 / a0, a1: a1 / a0, a2: a2 / a0, rest };
}

/**
 * Whether a rate leaves room for a notch at these mains.
 * @param {number} mainsHz
 * @param {number} rateHz
 */
export function canNotch(mainsHz, rateHz) {
  return mainsHz > 0 && mainsHz < (ROOM * rateHz) / 2;
}

/**
 * The stages of a choice at a rate.
 * @param {Choice} choice
 * @param {number} rateHz
 * @returns {Biquad[]}
 */
export function stagesOf({ baseline, mains }, rateHz) {
  const stages = baseline ? [highPass(BASELINE_HZ, rateHz)] : [];
  if (canNotch(mains, rateHz)) stages.push(notch(mains, rateHz));
  return stages;
}

/**
 * The choice in words, for the page that shows a trace through it; empty when nothing is filtered.
 * @param {Choice} choice
 * @param {number | null} rateHz
 */
export function filterText({ baseline, mains }, rateHz) {
  const words = baseline ? [t("baseline {hz} Hz", { hz: decimal(BASELINE_HZ, 1) })] : [];
  if (mains > 0) words.push(rateHz === null || canNotch(mains, rateHz) ? t("mains {hz} Hz", { hz: mains }) : t("mains {hz} Hz: not at this rate", { hz: mains }));
  return words.length > 0 ? t("Filter: {names}", { names: words.join(", ") }) : "";
}

/**
 * A ring's samples through some stages, lead by lead, as far as they are asked for.
 *
 * Each sample's value depends on those before it in its run alone: every gap, and every stretch in which a lead was not
 * sent, starts the lead anew, at rest on its first sample. So any way to ask gives the same values to the last bit.
 */
export class FilteredRing {
  #ring;
  #stages;
  /** Two numbers for each stage of each lead. */
  #state;
  #done = 0;

  /**
   * @param {SampleRing} ring
   * @param {readonly Biquad[]} stages
   */
  constructor(ring, stages) {
    this.#ring = ring;
    this.#stages = stages;
    this.#state = new Float64Array(2 * stages.length * ring.leads);
    /** The same spans as the ring's; its own values. */
    this.ring = ring.beside();
  }

  /** What is held has changed: all is filtered again. */
  restart() {
    this.#done = 0;
  }

  /**
   * Filter all that is present before `stop`.
   * @param {number} stop
   */
  follow(stop) {
    const ring = this.#ring;
    ring.aside(this.ring);
    for (let at = Math.max(this.#done, ring.oldest); at < stop; ) {
      const end = Math.min(ring.presentEnd(at), stop);
      const goesOn = at === this.#done && at > 0 && ring.has(at - 1);
      for (let lead = 0; lead < ring.leads && end > at; lead++) this.#run(lead, at, end, goesOn);
      this.#done = at = Math.max(end, ring.absentEnd(end, stop));
    }
  }

  /**
   * @param {number} lead
   * @param {number} from
   * @param {number} to
   * @param {boolean} goesOn whether the sample before `from` was the last one filtered
   */
  #run(lead, from, to, goesOn) {
    const ring = this.#ring;
    const out = this.ring.data;
    const { data, mask } = ring;
    const base = lead * ring.capacity;
    let rests = !goesOn || Number.isNaN(data[base + ((from - 1) & mask)]);
    for (let index = from; index < to; index++) {
      const slot = base + (index & mask);
      let value = data[slot];
      if (Number.isNaN(value)) {
        out[slot] = NaN;
        rests = true;
        continue;
      }
      if (rests) this.#rest(lead, value);
      rests = false;
      value = this.#step(lead, value);
      out[slot] = value;
    }
  }

  /**
   * As if `value` had been there for ever (direct form II transposed).
   * @param {number} lead
   * @param {number} value
   */
  #rest(lead, value) {
    let at = 2 * this.#stages.length * lead;
    let level = value;
    for (const { b0, b2, a2, rest } of this.#stages) {
      this.#state[at] = (rest - b0) * level;
      this.#state[at + 1] = (b2 - a2 * rest) * level;
      level *= rest;
      at += 2;
    }
  }

  /**
   * @param {number} lead
   * @param {number} value
   */
  #step(lead, value) {
    const state = this.#state;
    let at = 2 * this.#stages.length * lead;
    for (const { b0, b1, b2, a1, a2 } of this.#stages) {
      const next = b0 * value + state[at];
      state[at] = b1 * value - a1 * next + state[at + 1];
      state[at + 1] = b2 * value - a2 * next;
      value = next;
      at += 2;
    }
    return value;
  }
}
