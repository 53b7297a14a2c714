// @ts-check
/** The page's one animation loop: advance the feeds that are shown, then paint what is due. */

/** @typedef {import("./sweep.js").Sweep} Sweep */

export class Loop {
  #sweeps;
  #now;
  /** @type {((sweep: Sweep, now: number) => void) | null} called after each painting of a sweep */ painted = null;
  frames = 0;
  paintings = 0;
  busyS = 0;

  /**
   * @param {() => readonly Sweep[]} sweeps those on the page now
   * @param {() => number} now seconds
   */
  constructor(sweeps, now) {
    this.#sweeps = sweeps;
    this.#now = now;
  }

  start() {
    requestAnimationFrame(this.#frame);
  }

  #frame = () => {
    requestAnimationFrame(this.#frame);
    const now = this.#now();
    this.frames++;
    for (const sweep of this.#sweeps()) {
      sweep.feed.advance(now);
      if (!sweep.frame(now)) continue;
      this.paintings++;
      this.painted?.(sweep, now);
    }
    this.busyS += this.#now() - now;
  };
}
