// @ts-check
/** The heart rate of the last hour, as far as this page has seen it: one value a second, or none. */

export const TREND_S = 3600;

export class HeartRateTrend {
  #values = new Float32Array(TREND_S).fill(NaN);
  #last = -1;
  #began = Infinity;

  /**
   * @param {number} second whole seconds of the page's clock
   * @param {number | null} hr
   */
  set(second, hr) {
    // One that comes each second may miss a second by a few ms of jitter: there, the rate is still the last one.
    // Where more seconds were not written, it was not known.
    const between = second - this.#last === 2 ? this.at(this.#last) : NaN;
    for (let missed = Math.max(this.#last + 1, second - TREND_S); missed < second; missed++) {
      this.#values[missed % TREND_S] = between;
    }
    this.#values[second % TREND_S] = hr ?? NaN;
    this.#last = second;
    this.#began = Math.min(this.#began, second);
  }

  /** The first second that is held; Infinity while there is none. */
  get first() {
    return Math.max(this.#began, this.#last - TREND_S + 1);
  }

  get last() {
    return this.#last;
  }

  /**
   * NaN where the rate was not known.
   * @param {number} second
   */
  at(second) {
    return second < this.first || second > this.#last ? NaN : this.#values[second % TREND_S];
  }
}
