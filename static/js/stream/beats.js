// @ts-check
/** The beats of one epoch that a server told of, in the order in which they became known here. */

/** More than the fastest heart has in what a ring keeps, and less than a long night would fill the memory with. */
const KEPT = 512;

/** @typedef {{sample: number, ventricular: boolean}} Beat */

export class Beats {
  /** @type {Beat[]} */ #told = [];
  /** How many were ever told. */
  count = 0;

  /**
   * Those that are new; the server tells each several times, since vitals give way to newer ones.
   * @param {readonly (readonly [number, string])[]} beats index of the sample and kind, `V` for a ventricular one
   */
  hear(beats) {
    for (const [sample, kind] of beats) {
      if (this.#told.some((beat) => beat.sample === sample)) continue;
      this.#told.push({ sample, ventricular: kind === "V" });
      this.count++;
    }
    if (this.#told.length > KEPT) this.#told.splice(0, this.#told.length - KEPT);
  }

  /**
   * Those told after the first `count`.
   * @param {number} count
   * @returns {readonly Beat[]}
   */
  since(count) {
    return this.count > count ? this.#told.slice(Math.max(this.#told.length - (this.count - count), 0)) : NONE;
  }

  /**
   * Call with each in [first, stop), in no order.
   * @param {number} first
   * @param {number} stop
   * @param {(beat: Beat) => void} visit
   */
  within(first, stop, visit) {
    for (const beat of this.#told) if (beat.sample >= first && beat.sample < stop) visit(beat);
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
    copy.#told = [...this.#told];
    copy.count = this.count;
    return copy;
  }
}

/** @type {readonly Beat[]} */
const NONE = [];
