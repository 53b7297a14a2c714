// @ts-check
/** Lets all frames flash on one beat: several that each have their own flicker, and faster than any of them. */

/**
 * Half of the time on, at 2 Hz and 0.6 Hz: IEC 60601-1-8, table 2. Names are those of `data-alarm`.
 * @type {readonly [name: string, periodMs: number][]}
 */
const BEATS = Object.freeze([["high", 500], ["med", 1667]]);

/**
 * Whose frames are dim at a time.
 * @param {number} ms
 */
export function dimAt(ms) {
  return BEATS.filter(([, period]) => ms % period >= period / 2).map(([name]) => name);
}

/**
 * By steps of the page's own clock: an animation of the stylesheet has the browser look at the styles of the page
 * in every frame: a tenth of what the main thread of a ward of 32 took, where ten of them flashed.
 */
export class Flash {
  #root;
  #dim = "";

  /** @param {HTMLElement} root has the names in `data-dim`, by which the stylesheet goes */
  constructor(root) {
    this.#root = root;
  }

  /** @param {number} ms */
  tick(ms) {
    const dim = dimAt(ms).join(" ");
    if (dim !== this.#dim) this.#show(dim);
  }

  /** Nothing is dim while no beat comes. */
  rest() {
    this.#show("");
  }

  /** @param {string} dim */
  #show(dim) {
    this.#dim = dim;
    this.#root.dataset.dim = dim;
  }
}
