// @ts-check
/** The page's one animation loop: advance the feeds that are shown, then paint what is due. */

/**
 * Traces painted in one frame; more of them take turns. Each costs 0.2 ms of the main thread in software, most of it
 * the browser's own copy of the canvas, and 30 paintings a second are 3 px apart.
 */
const PER_FRAME = 8;

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
    const sweeps = this.#sweeps();
    const turns = Math.max(1, Math.ceil(sweeps.length / PER_FRAME));
    // Neighbours together: what a frame changes then lies in one column of the ward.
    const first = (this.frames++ % turns) * PER_FRAME;
    for (let at = first; at < Math.min(first + PER_FRAME, sweeps.length); at++) {
      const sweep = sweeps[at];
      sweep.feed.advance(now);
      if (!sweep.frame(now)) continue;
      this.paintings++;
      this.painted?.(sweep, now);
    }
    this.busyS += this.#now() - now;
  };
}
