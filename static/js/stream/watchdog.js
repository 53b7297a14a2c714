// @ts-check
/** Notices that the page did not run: a machine that slept, whose monotonic clock slept with it. */

const SLEPT_S = 1.5; // a clock that is set goes by less each time, or is taken for sleep: then data is called old for a moment

export class Watchdog {
  #monotonic;
  #wall;
  #ahead;

  /**
   * @param {() => number} monotonic seconds, which may stand still while the machine sleeps
   * @param {() => number} wall seconds since 1970
   */
  constructor(monotonic, wall) {
    this.#monotonic = monotonic;
    this.#wall = wall;
    this.#ahead = wall() - monotonic();
  }

  /** Seconds that have passed since the last look and that the monotonic clock does not know of; 0 for none to speak of. */
  look() {
    const ahead = this.#wall() - this.#monotonic();
    const slept = ahead - this.#ahead;
    this.#ahead = ahead;
    return slept > SLEPT_S ? slept : 0;
  }
}
