// @ts-check
/** What a line's values come to, and two answers of the server on one axis. Pure. */

/** @typedef {(number | null | undefined)[]} Values */

/**
 * @param {Values} values
 * @returns {{latest: number | null, least: number | null, mean: number | null, most: number | null}}
 */
export function summary(values) {
  const known = values.filter((value) => value !== null && value !== undefined);
  if (!known.length) return { latest: null, least: null, mean: null, most: null };
  return {
    latest: known[known.length - 1] ?? null,
    least: Math.min(...known),
    mean: known.reduce((sum, value) => sum + value, 0) / known.length,
    most: Math.max(...known),
  };
}

const RECENT = 3;

/**
 * The last value, where it is one of the last few: the newest snapshots are on their way still.
 * @param {Values} values
 */
export function latest(values) {
  const known = values.slice(-RECENT).filter((value) => value !== null && value !== undefined);
  return known[known.length - 1] ?? null;
}

/**
 * The value that stands at an index, or the last one before it that stands for its time as well.
 * @param {Values} values
 * @param {number} index
 */
export function at(values, index) {
  for (let n = index; n >= 0; n -= 1) {
    const value = values[n];
    if (value !== undefined) return value;
  }
  return null;
}

/**
 * Times of both, and the values of both at these; undefined where the other one has a time.
 * @param {number[]} t
 * @param {Values[]} lines
 * @param {number[]} otherT
 * @param {Values[]} others
 * @returns {{t: number[], lines: Values[], others: Values[]}}
 */
export function together(t, lines, otherT, others) {
  const all = [...new Set([...t, ...otherT])].sort((a, b) => a - b);
  const index = new Map(all.map((time, n) => [time, n]));
  /** @param {number[]} times @param {Values} values */
  const spread = (times, values) => {
    /** @type {Values} */
    const made = new Array(all.length).fill(undefined);
    times.forEach((time, n) => { made[/** @type {number} */ (index.get(time))] = values[n]; });
    return made;
  };
  return {
    t: all,
    lines: lines.map((values) => spread(t, values)),
    others: others.map((values) => spread(otherT, values)),
  };
}
