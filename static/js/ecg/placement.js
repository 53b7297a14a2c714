// @ts-check
/** Where a row's trace stands: in the middle of its band at first, then following it slowly when it leaves. */

import { extent, placeTrace } from "./trace.js";

const SETTLED_S = 1; // of signal before the first position is trusted
const SEEN_S = 5; // of signal to go by: long enough to hold an ectopic beat now and then
const LAST_S = 1;
const TOO_TALL = 2; // bands: a range like this is wander or an electrode off, and only its end can be shown
const EVERY_S = 0.1;
const MOST_MM = 0.5; // in that time: a position that adapts must not bend an ST segment

/**
 * The vertical positions of one lead's row, by sample index.
 *
 * What was drawn stays where it is: a new position holds from the sample at which it was chosen. Positions
 * are pixels at which 0 uV stands, downwards from the top of the canvas.
 */
export class Placement {
  /** @type {number[]} */ #from = [];
  /** @type {number[]} */ #y = [];
  #lookedAt = 0;
  #settled = false;

  /** @param {number} lead its number in the ring */
  constructor(lead) {
    this.lead = lead;
  }

  /** Start anew: the scale or the band changed. */
  reset() {
    this.#from = [];
    this.#y = [];
    this.#settled = false;
  }

  get isPlaced() {
    return this.#y.length > 0;
  }

  /**
   * Look at what came until `stop`.
   * @param {import("./ring.js").SampleRing} ring
   * @param {number} stop
   * @param {number} rateHz
   * @param {{gain_uv: number, baseline: number}} signal
   * @param {{mm: number, microvolt: number}} scale pixels per mm and per microvolt
   * @param {{top: number, height: number}} band
   * @returns {boolean} whether the whole row has to be drawn again
   */
  follow(ring, stop, rateHz, signal, scale, band) {
    const settles = !this.#settled && stop - ring.origin >= SETTLED_S * rateHz;
    if (this.isPlaced && !settles && stop - this.#lookedAt < EVERY_S * rateHz) return false;
    this.#lookedAt = stop;
    const seen = (/** @type {number} */ seconds) => {
      const from = Math.max(ring.oldest, ring.origin, stop - Math.ceil(seconds * rateHz));
      const range = extent(ring, this.lead, from, stop);
      if (!range) return null;
      return { low: (range.low - signal.baseline) * signal.gain_uv, high: (range.high - signal.baseline) * signal.gain_uv };
    };
    const last = seen(LAST_S);
    let range = seen(SEEN_S);
    if (!last || !range) return false;
    if ((range.high - range.low) * scale.microvolt > TOO_TALL * band.height) range = last;
    this.#settled ||= settles;
    if (!this.isPlaced || settles) {
      this.#from = [0];
      this.#y = [placeTrace(range, scale.microvolt, band.top, band.height, null)];
      return true;
    }
    const current = this.#y[this.#y.length - 1];
    const above = current - last.low * scale.microvolt < band.top;
    const below = current - last.high * scale.microvolt > band.top + band.height;
    if (above || below) {
      // Nothing of it is to be seen: there is no line that a jump could bend.
      this.#from.push(stop);
      this.#y.push(placeTrace(last, scale.microvolt, band.top, band.height, null));
      return false;
    }
    const y = placeTrace(range, scale.microvolt, band.top, band.height, current);
    if (y === current) return false;
    const most = MOST_MM * scale.mm;
    this.#from.push(stop);
    this.#y.push(current + Math.min(Math.max(y - current, -most), most));
    while (this.#from.length > 1 && this.#from[1] <= ring.oldest) {
      this.#from.shift();
      this.#y.shift();
    }
    return false;
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
}
