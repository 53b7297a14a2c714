// @ts-check
/** Where a row's trace stands: in the middle of its band at first, then following it slowly when it leaves. */

import { Extremes, median } from "./trace.js";

const SETTLED_S = 1; // of signal before the first position is trusted
const SEEN_S = 5; // of signal to go by: long enough to hold an ectopic beat now and then
const LEVEL_S = 0.5; // of signal whose median is the level at which the trace runs
const EVERY_S = 0.1;
const MOST_MM = 0.5; // in that time: a position that adapts must not bend an ST segment
const MARGIN = 0.04; // of the band
const OFF_CENTRE = 0.25; // of the band: a trace that fits stays where it is up to here
/**
 * Of the band: how far from its middle the level of a trace that does not fit may stand. Of MIT-BIH 208 in a tile of a
 * ward 1.4 % of the samples then lie below the band, with 52 steps and 2 jumps a minute; without, 12 %.
 */
const LEVEL_REACH = 0.3;
const STRAY = 1.5; // bands: what lies further from the level is an electrode, not a heart
const REPLAYED_S = 30; // of what is held is placed again after a reset: more than a screen shows at 25 mm/s

/**
 * The vertical positions of one lead's row, by sample index.
 *
 * What was drawn stays where it is: a new position holds from the sample at which it was chosen. A trace that
 * drifts is followed by small steps, one whose level has left the band by a jump, at which the line breaks.
 * Where a lead comes back after it was off, its row begins anew. Positions are pixels at which 0 uV stands,
 * downwards from the top of the canvas.
 */
export class Placement {
  /** @type {number[]} */ #from = [];
  /** @type {number[]} */ #y = [];
  #lookedAt = -1;
  #since = 0;
  #settled = false;
  #extremes;

  /** @param {number} lead its number in the ring */
  constructor(lead) {
    this.lead = lead;
    this.#extremes = new Extremes(lead);
  }

  /** Start anew: the scale or the band changed. */
  reset() {
    this.#from = [];
    this.#y = [];
    this.#lookedAt = -1;
    this.#settled = false;
    this.#extremes = new Extremes(this.lead);
  }

  get isPlaced() {
    return this.#y.length > 0;
  }

  /**
   * Look at what came until `stop`, ten times for each second of it.
   * @param {import("./ring.js").SampleRing} ring
   * @param {number} since the sample from which the lead is on; Infinity while it is off
   * @param {number} stop
   * @param {number} rateHz
   * @param {{mm: number, microvolt: number}} scale pixels per mm and per microvolt
   * @param {{top: number, height: number}} band
   * @returns {boolean} whether the whole row has to be drawn again
   */
  follow(ring, since, stop, rateHz, scale, band) {
    // An electrode that is off has no level: what it sends says nothing of where the trace will stand.
    if (since >= stop) return false;
    let redraw = false;
    if (since > this.#since) {
      this.#since = since;
      this.#lookedAt = since;
      this.#settled = false;
    }
    const first = Math.max(ring.oldest, ring.origin, since, stop - Math.ceil(REPLAYED_S * rateHz));
    const every = Math.max(1, Math.round(EVERY_S * rateHz));
    for (let at = Math.max(this.#lookedAt, first) + every; at <= stop; at += every) {
      redraw = this.#look(ring, first, at, rateHz, scale.microvolt, MOST_MM * scale.mm, band) || redraw;
      this.#lookedAt = at;
    }
    while (this.#from.length > 1 && this.#from[1] <= ring.oldest) {
      this.#from.shift();
      this.#y.shift();
    }
    return redraw;
  }

  /**
   * The position at a sample, and the index until which it holds, at most `limit`.
   * @param {number} index
   * @param {number} limit
   * @returns {{y: number, end: number}}
   */
  at(index, limit) {
    let place = this.#from.length - 1;
    while (place > 0 && this.#from[place] > index) place--;
    return { y: this.#y[place], end: Math.min(limit, this.#from[place + 1] ?? limit) };
  }

  /**
   * @param {import("./ring.js").SampleRing} ring
   * @param {number} first nothing before it counts
   * @param {number} stop
   * @param {number} rateHz
   * @param {number} dy pixels per microvolt
   * @param {number} most pixels that a step may have
   * @param {{top: number, height: number}} band
   * @returns {boolean} whether the whole row has to be drawn again
   */
  #look(ring, first, stop, rateHz, dy, most, band) {
    const last = (/** @type {number} */ seconds) => Math.max(first, stop - Math.ceil(seconds * rateHz));
    const level = median(ring, this.lead, last(LEVEL_S), stop);
    if (level === null) return false;
    const stray = (STRAY * band.height) / dy;
    const range = this.#extremes.within(ring, last(SEEN_S), stop, level - stray, level + stray);
    const second = stop - Math.ceil(SETTLED_S * rateHz);
    const wasSent = second >= first && ring.has(second) && !Number.isNaN(ring.at(this.lead, second));
    const settles = !this.#settled && wasSent;
    this.#settled ||= settles;
    const begins = !this.isPlaced || this.#from[this.#from.length - 1] < this.#since;
    if (begins || settles) {
      while (this.isPlaced && this.#from[this.#from.length - 1] >= this.#since) this.#forgetLast();
      this.#add(this.#since, placeTrace(range, level, dy, band, null));
      return true;
    }
    const y = this.#y[this.#y.length - 1];
    const aim = placeTrace(range, level, dy, band, y);
    const stands = y - level * dy;
    const isOut = stands < band.top || stands > band.top + band.height;
    if (aim !== y) this.#add(stop, isOut ? aim : y + Math.min(Math.max(aim - y, -most), most));
    return false;
  }

  /**
   * @param {number} from
   * @param {number} y
   */
  #add(from, y) {
    this.#from.push(from);
    this.#y.push(y);
  }

  #forgetLast() {
    this.#from.pop();
    this.#y.pop();
  }
}

/**
 * Where 0 uV is to stand so that the trace lies in the middle of its band, if it has to move at all.
 *
 * A trace that is taller than the band cannot be shown whole: then its level, at which it runs most of the
 * time, is kept away from the edges.
 *
 * @param {{low: number, high: number}} range of the samples
 * @param {number} level at which the trace runs now
 * @param {number} dy pixels per microvolt
 * @param {{top: number, height: number}} band in pixels
 * @param {number | null} current where it stands now
 */
export function placeTrace({ low, high }, level, dy, { top, height }, current) {
  const middle = top + height / 2;
  const reach = height * LEVEL_REACH;
  const fits = (high - low) * dy <= height;
  const centred = ((low + high) / 2) * dy;
  const aim = middle + (fits ? centred : Math.min(Math.max(centred, level * dy - reach), level * dy + reach));
  if (current === null) return aim;
  // A trace that can stay does: a line that moves looks like a change of the signal.
  const margin = height * MARGIN;
  const stays = fits
    ? current - high * dy >= top + margin &&
      current - low * dy <= top + height - margin &&
      Math.abs(aim - current) < height * OFF_CENTRE
    : Math.abs(current - level * dy - middle) <= reach;
  return stays ? current : aim;
}
