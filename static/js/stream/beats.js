// @ts-check
/** The beats of one epoch that a server told of, in the order in which they became known here. */

/** More than the fastest heart has in what a ring keeps, and less than a long night would fill the memory with. */
const KEPT = 512;

/** @typedef {{sample: number, ventricular: boolean}} Beat */

export class Beats {
  /** The newest ones: the beat that was told as the n-th stands at n % KEPT. */
  #samples = new Float64Array(KEPT).fill(NaN);
  #ventricular = new Uint8Array(KEPT);
  /** How many were ever told. */
  count = 0;

  /**
   * Those that are new; the server tells each several times, since vitals give way to newer ones.
   * @param {readonly (readonly [number, string])[]} beats index of the sample and kind, `V` for a ventricular one
   */
  hear(beats) {
    for (const [sample, kind] of beats) {
      if (this.#samples.includes(sample)) continue;
      this.#samples[this.count % KEPT] = sample;
      this.#ventricular[this.count % KEPT] = Number(kind === "V");
      this.count++;
    }
  }

  /**
   * Those told after the first `count`.
   * @param {number} count
   * @returns {readonly Beat[]}
   */
  since(count) {
    if (this.count <= count) return NONE;
    const told = [];
    for (let number = Math.max(count, this.#oldest); number < this.count; number++) told.push(this.#at(number));
    return told;
  }

  /**
   * Call with each in [first, stop), in no order.
   * @param {number} first
   * @param {number} stop
   * @param {(beat: Beat) => void} visit
   */
  within(first, stop, visit) {
    for (let number = this.#oldest; number < this.count; number++) {
      const sample = this.#samples[number % KEPT];
      if (sample >= first && sample < stop) visit(this.#at(number));
    }
  }

  /**
   * The beat closest to a sample, at most `reach` away.
   * @param {number} sample
   * @param {number} reach
   * @returns {Beat | null}
   */
  nearest(sample, reach) {
    /** @type {Beat | null} */
    let found = null;
    this.within(Math.ceil(sample - reach), Math.floor(sample + reach) + 1, (beat) => {
      if (!found || Math.abs(beat.sample - sample) < Math.abs(found.sample - sample)) found = beat;
    });
    return found;
  }

  copy() {
    const copy = new Beats();
    copy.#samples.set(this.#samples);
    copy.#ventricular.set(this.#ventricular);
    copy.count = this.count;
    return copy;
  }

  /** Number of the oldest that is kept. */
  get #oldest() {
    return Math.max(0, this.count - KEPT);
  }

  /**
   * @param {number} number
   * @returns {Beat}
   */
  #at(number) {
    return { sample: this.#samples[number % KEPT], ventricular: this.#ventricular[number % KEPT] === 1 };
  }
}

/** @type {readonly Beat[]} */
const NONE = [];
