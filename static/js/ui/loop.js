// @ts-check
/** The page's one animation loop: advance the feeds that are shown, then paint what is due. */

import { Cadence } from "./cadence.js";
import { Turns } from "./turns.js";

/**
 * Canvases that have more pixels than this together are painted 30 times a second at most. In software, sixteen tiles in each
 * of 60 frames took a quarter of the main thread and twelve leads a sixth, most of it the browser's own copying of canvases; at
 * 30 paintings a second a trace grows by 3 px.
 */
const MANY_PX = 400_000;
const MANY_PX_PAUSE_MS = 1000 / 30;
/**
 * Of one frame, for painting: thirty-two whole traces at once, as with another size or theme, were one task of 66 to 111 ms in
 * software. What is left is painted with the next frames. To paint on takes all of them 1 ms.
 */
const MOST_S = 0.006;

/** @typedef {import("./sweep.js").Sweep} Sweep */

export class Loop {
  #sweeps;
  #now;
  #cadence = new Cadence();
  #turns = new Turns();
  #after = new MessageChannel();
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
    this.#after.port1.onmessage = ({ data }) => this.#cadence.took(1000 * (this.#now() - data));
  }

  start() {
    requestAnimationFrame(this.#frame);
  }

  /** @param {number} at of the frame, ms */
  #frame = (at) => {
    requestAnimationFrame(this.#frame);
    this.begins?.(this.#now());
    const sweeps = this.#sweeps();
    let pixels = 0;
    for (const sweep of sweeps) pixels += sweep.pixels;
    this.frames++;
    const anew = this.#cadence.isDue(at, pixels > MANY_PX ? MANY_PX_PAUSE_MS : 0);
    if (!anew && !this.#turns.areLeft) return;
    const now = this.#now();
    const isOver = () => this.#now() - now > MOST_S;
    this.#turns.take(sweeps, { anew, isOver }, (sweep) => {
      sweep.feed.advance(now);
      if (!sweep.frame(now)) return;
      this.paintings++;
      this.painted?.(sweep, now);
    });
    this.busyS += this.#now() - now;
    // It comes when the browser has laid out, painted and committed this frame.
    this.#after.port2.postMessage(now);
  };
}
