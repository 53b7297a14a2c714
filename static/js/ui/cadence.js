// @ts-check
/** In which frames the page paints its traces: as often as that leaves the page time for all else. */

/** Of the page's time, for paintings: what comes in, alarms and keys have the rest. */
const SHARE = 1 / 8;
/** So often at least, as far as there are frames. */
const LONGEST_PAUSE_MS = 1000 / 15;
/** Of the newest of some twenty frames. */
const WEIGHT = 0.05;
/** What three of four paintings take at least is what a painting takes: the fourth may have been held up by others. */
const QUANTILE = 0.25;
const STEP_MS = 0.2;
/** So far below what takes a step up, a step down: nothing swings between the two. */
const SURELY = 0.8;
/** Between frames: fewer than 60 a second come to a page that is late, more than 250 from a clock that is coarse. */
const MOST_FRAME_MS = 1000 / 60;
const LEAST_FRAME_MS = 4;

export class Cadence {
  #frameMs = MOST_FRAME_MS;
  #tookMs = 0;
  #every = 1;
  #frames = 0;
  #cameAt = -Infinity;
  #paintedAt = -Infinity;

  /**
   * A frame comes: whether it is to be painted in.
   * @param {number} at ms
   * @param {number} leastMs between two paintings, whatever one takes
   */
  isDue(at, leastMs) {
    const since = at - this.#cameAt;
    this.#cameAt = at;
    this.#frameMs += WEIGHT * (Math.min(Math.max(since, LEAST_FRAME_MS), MOST_FRAME_MS) - this.#frameMs);
    const every = Math.max(this.#every, Math.round(leastMs / this.#frameMs));
    const wouldBeLong = at + since - this.#paintedAt > LONGEST_PAUSE_MS + 1; // with the next frame
    if (++this.#frames < every && !wouldBeLong) return false;
    this.#frames = 0;
    this.#paintedAt = at;
    return true;
  }

  /**
   * A painting has taken so long, with all that the browser did for it.
   * @param {number} ms
   */
  took(ms) {
    this.#tookMs += STEP_MS * (ms > this.#tookMs ? QUANTILE : QUANTILE - 1);
    const wanted = this.#tookMs / (SHARE * this.#frameMs);
    if (wanted > this.#every) this.#every = Math.ceil(wanted);
    else if (wanted < SURELY * (this.#every - 1)) this.#every--;
  }
}
