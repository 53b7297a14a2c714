// @ts-check
/** The last values of one figure, oldest first; nothing is allocated after the start. Pure. */

export class Ring {
  /** @type {Float32Array} */ #values;
  #next = 0;
  length = 0;

  /** @param {number} capacity */
  constructor(capacity) {
    this.#values = new Float32Array(capacity);
  }

  get capacity() {
    return this.#values.length;
  }

  /** What is not known leaves a hole. @param {number | null | undefined} value */
  push(value) {
    this.#values[this.#next] = value ?? NaN;
    this.#next = (this.#next + 1) % this.#values.length;
    if (this.length < this.#values.length) this.length++;
  }

  /** @param {number} index from 0, the oldest */
  at(index) {
    const { length } = this.#values;
    return this.#values[(this.#next - this.length + index + 2 * length) % length];
  }

  /** The greatest that is known; 0 where none is. */
  get most() {
    let most = 0;
    for (let n = 0; n < this.length; n++) {
      const value = this.at(n);
      if (value > most) most = value;
    }
    return most;
  }
}
