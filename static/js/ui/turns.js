// @ts-check
/** Whose turn it is to be painted, where one frame has not the time for all. */

export class Turns {
  #next = 0;
  #left = 0;

  /** Whether some that were due are still to come. */
  get areLeft() {
    return this.#left > 0;
  }

  /**
   * Go on from where the last frame stopped: each comes once before any comes twice.
   * @template T
   * @param {readonly T[]} all
   * @param {{anew: boolean, isOver: () => boolean}} how `anew`: whether all are due, and not only those that are left;
   *   `isOver`: asked after each, whether the rest waits for another frame
   * @param {(one: T) => void} paint
   */
  take(all, { anew, isOver }, paint) {
    this.#left = anew ? all.length : Math.min(this.#left, all.length);
    while (this.#left > 0) {
      const one = all[this.#next % all.length];
      this.#next = (this.#next + 1) % all.length;
      this.#left--;
      paint(one);
      if (isOver()) return;
    }
  }
}
