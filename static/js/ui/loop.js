// @ts-check
/** The page's one animation loop: advance the feeds that are shown, then paint what is due. */

/**
 * Canvases that have more pixels than this together are painted in every second frame. In software, sixteen tiles in each took
 * a quarter of the main thread and twelve leads a sixth, most of it the browser's own copying of canvases; at 30 paintings a
 * second a trace grows by 3 px.
 */
const EVERY_FRAME_PX = 400_000;

/** @typedef {import("./sweep.js").Sweep} Sweep */

export class Loop {
  #sweeps;
  #now;
  /** @type {((sweep: Sweep, now: number) => void) | null} called after each painting of a sweep */ painted = null;
  /** @type {((now: number) => void) | null} called before anything of a frame is painted */ begins = null;
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
    this.begins?.(this.#now());
    const sweeps = this.#sweeps();
    let pixels = 0;
    for (const sweep of sweeps) pixels += sweep.pixels;
    const every = pixels > EVERY_FRAME_PX ? 2 : 1;
    if (this.frames++ % every > 0) return;
    const now = this.#now();
    for (const sweep of sweeps) {
      sweep.feed.advance(now);
      if (!sweep.frame(now)) continue;
      this.paintings++;
      this.painted?.(sweep, now);
    }
    this.busyS += this.#now() - now;
  };
}
