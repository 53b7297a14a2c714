// @ts-check
/** In which frames the page paints its traces: as often as that leaves the page time for all else. */

/** Of the page's time, for paintings: what comes in, alarms and keys have the rest. */
const SHARE = 0.2;
/** At least 15 paintings a second. */
const LONGEST_PAUSE_MS = 1000 / 15;
/** Of a newest value in a mean: it is one of some twenty. */
const WEIGHT = 0.05;
/** So far below what takes a step up, a step down: nothing swings between the two. */
const SURELY = 0.8;
/** Of a display with 60 frames a second; one that has fewer now is a page that is late. */
const FRAME_MS = 1000 / 60;
/** More than this is no painting, but a machine that slept. */
const LONG_MS = 50;

export class Cadence {
  #frameMs = FRAME_MS;
  #tookMs = 0;
  #every = 1;

  /**
   * Of so many frames one is painted in.
   * @param {number} least that many, whatever a painting takes
   */
  every(least) {
    return Math.max(least, this.#every);
  }

  /**
   * A frame came so long after the one before.
   * @param {number} ms
   */
  came(ms) {
    this.#frameMs += WEIGHT * (Math.min(ms, FRAME_MS) - this.#frameMs);
  }

  /**
   * A painting has taken so long, with all that the browser did for it.
   * @param {number} ms
   */
  took(ms) {
    this.#tookMs += WEIGHT * (Math.min(ms, LONG_MS) - this.#tookMs);
    const wanted = this.#tookMs / (SHARE * this.#frameMs);
    const most = Math.round(LONGEST_PAUSE_MS / this.#frameMs);
    if (wanted > this.#every) this.#every = Math.min(Math.ceil(wanted), most);
    else if (wanted < SURELY * (this.#every - 1)) this.#every--;
  }
}
