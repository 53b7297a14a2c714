// @ts-check
/** Samples as points of a line on a pixel grid, so that no peak is lost, and the range and level of some of them. */

/** More samples than this in one pixel column, and only the extremes among them can be seen. */
const SEEN_PER_COLUMN = 4;

/**
 * Add present samples [from, to) of one lead, which was sent at all of them, to a path.
 *
 * Up to four samples a pixel each get their point. Where they lie denser, a column gets its first, lowest,
 * highest and last sample, in their order and at their own places, which draws the same pixels.
 *
 * @param {{moveTo(x: number, y: number): void, lineTo(x: number, y: number): void}} path
 * @param {import("./ring.js").SampleRing} ring
 * @param {number} lead
 * @param {number} from
 * @param {number} to
 * @param {number} x where sample `from` stands, in pixels
 * @param {number} dx pixels per sample
 * @param {number} y where 0 uV stands
 * @param {number} dy pixels upward per microvolt
 * @param {{top: number, bottom: number}} edges a sample beyond one of them is drawn on it
 * @param {boolean} [joined] whether the line goes on from the path's last point
 */
export function addTrace(path, ring, lead, from, to, x, dx, y, dy, { top, bottom }, joined = false) {
  const { data, mask } = ring;
  const base = lead * ring.capacity;
  const begin = within(y - data[base + (from & mask)] * dy, top, bottom);
  if (joined) path.lineTo(x, begin);
  else path.moveTo(x, begin);
  if (dx * SEEN_PER_COLUMN >= 1) {
    for (let i = from + 1; i < to; i++) path.lineTo(x + (i - from) * dx, within(y - data[base + (i & mask)] * dy, top, bottom));
    // A single sample between two gaps is a dot, not nothing.
    if (to - from === 1 && !joined) path.lineTo(x + 1, begin);
    return;
  }
  let i = from;
  while (i < to) {
    const column = Math.floor(x + (i - from) * dx);
    let low = i;
    let high = i;
    let last = i;
    for (let j = i + 1; j < to && Math.floor(x + (j - from) * dx) === column; j++) {
      const value = data[base + (j & mask)];
      if (value < data[base + (low & mask)]) low = j;
      if (value > data[base + (high & mask)]) high = j;
      last = j;
    }
    const early = Math.min(low, high);
    const late = Math.max(low, high);
    path.lineTo(x + (i - from) * dx, within(y - data[base + (i & mask)] * dy, top, bottom));
    if (early > i) path.lineTo(x + (early - from) * dx, within(y - data[base + (early & mask)] * dy, top, bottom));
    if (late > early) path.lineTo(x + (late - from) * dx, within(y - data[base + (late & mask)] * dy, top, bottom));
    if (last > late) path.lineTo(x + (last - from) * dx, within(y - data[base + (last & mask)] * dy, top, bottom));
    i = last + 1;
  }
}

/**
 * Mark at an edge each run of samples beyond it, of present ones [from, to) at all of which the lead was sent.
 *
 * @param {{fillRect(x: number, y: number, width: number, height: number): void}} pen
 * @param {import("./ring.js").SampleRing} ring
 * @param {number} lead
 * @param {number} from
 * @param {number} to
 * @param {number} x where sample `from` stands, in pixels
 * @param {number} dx pixels per sample
 * @param {number} y where 0 uV stands
 * @param {number} dy pixels upward per microvolt
 * @param {{top: number, bottom: number}} edges
 * @param {number} size height of a mark, and its width beyond a single sample, in pixels
 */
export function markBeyond(pen, ring, lead, from, to, x, dx, y, dy, { top, bottom }, size) {
  let side = 0;
  let since = from;
  for (let i = from; i <= to; i++) {
    const at = i < to ? y - ring.at(lead, i) * dy : NaN;
    const now = at < top ? -1 : at > bottom ? 1 : 0;
    if (now === side) continue;
    if (side !== 0) {
      const wide = (i - 1 - since) * dx + size;
      pen.fillRect(x + (since - from) * dx - size / 2, side < 0 ? top : bottom - size, wide, size);
    }
    since = i;
    side = now;
  }
}

/**
 * @param {number} y
 * @param {number} top
 * @param {number} bottom
 */
function within(y, top, bottom) {
  return y < top ? top : y > bottom ? bottom : y;
}

/**
 * The lowest and the highest of what a lead was sent in [from, to), among that between two bounds; where there
 * is none, `low` is above `high`.
 * @param {import("./ring.js").SampleRing} ring
 * @param {number} lead
 * @param {number} from
 * @param {number} to
 * @param {number} least
 * @param {number} most
 * @returns {{low: number, high: number}}
 */
export function extent(ring, lead, from, to, least, most) {
  let low = Infinity;
  let high = -Infinity;
  for (let i = ring.absentEnd(from, to); i < to; ) {
    const end = Math.min(ring.presentEnd(i), to);
    for (; i < end; i++) {
      const value = ring.at(lead, i);
      if (value < least || value > most) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    i = ring.absentEnd(i, to);
  }
  return { low, high };
}

const PIECE = 64; // samples: a tenth of a second and a bit, at 500 Hz
const PIECES = 256; // at 2000 Hz 8 s

/**
 * The lowest and the highest of a lead's last seconds, asked for again and again: each piece is looked at once, as long as
 * nothing in it lies beyond the bounds.
 */
export class Extremes {
  #lead;
  /** Number of the piece that a place holds, plus one. */
  #held = new Float64Array(PIECES);
  #low = new Float32Array(PIECES);
  #high = new Float32Array(PIECES);

  /** @param {number} lead its number in the ring */
  constructor(lead) {
    this.#lead = lead;
  }

  /**
   * As `extent`.
   * @param {import("./ring.js").SampleRing} ring
   * @param {number} from
   * @param {number} to
   * @param {number} least
   * @param {number} most
   * @returns {{low: number, high: number}}
   */
  within(ring, from, to, least, most) {
    let low = Infinity;
    let high = -Infinity;
    for (let at = from; at < to; ) {
      const piece = Math.floor(at / PIECE);
      const end = Math.min((piece + 1) * PIECE, to);
      const isWhole = at === piece * PIECE && end === at + PIECE;
      const place = piece % PIECES;
      if (isWhole && this.#held[place] !== piece + 1) {
        const found = extent(ring, this.#lead, at, end, -Infinity, Infinity);
        this.#held[place] = piece + 1;
        this.#low[place] = found.low;
        this.#high[place] = found.high;
      }
      if (isWhole && this.#low[place] >= least && this.#high[place] <= most) {
        if (this.#low[place] < low) low = this.#low[place];
        if (this.#high[place] > high) high = this.#high[place];
      } else {
        const found = extent(ring, this.#lead, at, end, least, most);
        if (found.low < low) low = found.low;
        if (found.high > high) high = found.high;
      }
      at = end;
    }
    return { low, high };
  }
}

const taken = new Float32Array(64);

/**
 * The median of what a lead was sent in [from, to), of 64 samples at most; null when there is none.
 * @param {import("./ring.js").SampleRing} ring
 * @param {number} lead
 * @param {number} from
 * @param {number} to
 * @returns {number | null}
 */
export function median(ring, lead, from, to) {
  const every = Math.ceil((to - from) / taken.length);
  let count = 0;
  for (let i = from; i < to; i += every) {
    const value = ring.has(i) ? ring.at(lead, i) : NaN;
    if (!Number.isNaN(value)) taken[count++] = value;
  }
  if (count === 0) return null;
  return taken.subarray(0, count).sort()[count >> 1];
}
