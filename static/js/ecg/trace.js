// @ts-check
/** Samples as points of a line on a pixel grid, so that no peak is lost, and where that line is to stand. */

/** More samples than this in one pixel column, and only the extremes among them can be seen. */
const SEEN_PER_COLUMN = 4;

/**
 * Add present samples [from, to) of one lead to a path.
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
 * @param {number} y where a sample of value 0 stands
 * @param {number} dy pixels upward per unit of the samples
 * @param {boolean} [joined] whether the line goes on from the path's last point
 */
export function addTrace(path, ring, lead, from, to, x, dx, y, dy, joined = false) {
  const { data, mask } = ring;
  const base = lead * ring.capacity;
  const begin = y - data[base + (from & mask)] * dy;
  if (joined) path.lineTo(x, begin);
  else path.moveTo(x, begin);
  if (dx * SEEN_PER_COLUMN >= 1) {
    for (let i = from + 1; i < to; i++) path.lineTo(x + (i - from) * dx, y - data[base + (i & mask)] * dy);
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
    path.lineTo(x + (i - from) * dx, y - data[base + (i & mask)] * dy);
    if (early > i) path.lineTo(x + (early - from) * dx, y - data[base + (early & mask)] * dy);
    if (late > early) path.lineTo(x + (late - from) * dx, y - data[base + (late & mask)] * dy);
    if (last > late) path.lineTo(x + (last - from) * dx, y - data[base + (last & mask)] * dy);
    i = last + 1;
  }
}

/**
 * The lowest and the highest present sample in [from, to); null when none is there.
 * @param {import("./ring.js").SampleRing} ring
 * @param {number} lead
 * @param {number} from
 * @param {number} to
 * @returns {{low: number, high: number} | null}
 */
export function extent(ring, lead, from, to) {
  let low = Infinity;
  let high = -Infinity;
  for (let i = ring.absentEnd(from, to); i < to; ) {
    const end = Math.min(ring.presentEnd(i), to);
    for (; i < end; i++) {
      const value = ring.at(lead, i);
      if (value < low) low = value;
      if (value > high) high = value;
    }
    i = ring.absentEnd(i, to);
  }
  return low <= high ? { low, high } : null;
}

/**
 * Where value 0 is to stand so that the trace lies in the middle of its band, if it has to move at all.
 *
 * @param {{low: number, high: number}} range of the samples
 * @param {number} dy pixels per unit
 * @param {number} top of the band, in pixels
 * @param {number} height of the band
 * @param {number | null} current where it stands now
 */
export function placeTrace(range, dy, top, height, current) {
  const centred = top + height / 2 + ((range.low + range.high) / 2) * dy;
  if (current === null) return centred;
  const margin = height * 0.04;
  const inside =
    current - range.high * dy >= top + margin && current - range.low * dy <= top + height - margin;
  // A trace that fits where it is stays: a line that moves looks like a change of the signal.
  return inside && Math.abs(centred - current) < height * 0.25 ? current : centred;
}
