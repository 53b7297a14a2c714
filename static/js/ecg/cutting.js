// @ts-check
/** A piece cut out of a ring, to be kept while the ring goes on: microvolts of one lead, and where they were. */

/** @typedef {{values: Float32Array, first: number, rateHz: number}} Cutting `values` are NaN where no sample is */

/**
 * What the ring holds of a lead in [from, to), and up to `aroundS` before and after it.
 * @param {import("./ring.js").SampleRing} ring
 * @param {number} lead
 * @param {number} from
 * @param {number} to
 * @param {number} aroundS seconds
 * @param {number} rateHz
 * @returns {Cutting}
 */
export function cut(ring, lead, from, to, aroundS, rateHz) {
  const around = Math.round(aroundS * rateHz);
  const seen = Math.min(from, Math.max(from - around, ring.oldest, ring.origin));
  const first = Math.max(seen, ring.oldest - around, 0);
  const stop = Math.max(first, Math.min(to + around, ring.stop));
  const values = new Float32Array(stop - first);
  for (let at = 0; at < values.length; at++) values[at] = ring.has(first + at) ? ring.at(lead, first + at) : NaN;
  return { values, first, rateHz };
}

/**
 * Whether the ring still holds anything of [from, to).
 * @param {import("./ring.js").SampleRing} ring
 * @param {number} from
 * @param {number} to
 */
export function holds(ring, from, to) {
  const end = Math.min(to, ring.stop);
  const begin = Math.max(from, ring.oldest);
  return begin < end && ring.absentEnd(begin, end) < end;
}
