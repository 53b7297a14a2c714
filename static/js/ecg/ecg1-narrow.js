// @ts-check
/**
 * Samples of 16 bits out of the residuals of ECG1: what ecg1-wide.js does in doubles, in integers of 32 bits.
 *
 * Up to the first sample that does not fit, and at this one, nothing overflows: what is predicted of another
 * row is at most twice as large as a sample, so the numbers of a row are below 2^17; their differences up to
 * order 3 are below eight times that, a residual has 26 bits, and the weights of a sample are at most 772
 * together. So it is enough to look at the samples, and at steps, which are no larger than theirs.
 */

import { ProtocolError } from "../stream/protocol-error.js";
import { LARGEST } from "./ecg1-codes.js";
import { FIRST_WEIGHTS, SECOND_WEIGHTS } from "./ecg1-tables.js";

/** @typedef {import("./ecg1.js").Shape} Shape */

/** Half of how many values a sample has. */
const FITTING = 1 << 15;

/** So many even samples beyond the first and the last one have a weight. */
const BEFORE = 2;
const BEHIND = 3;

// Work space, which grows to the largest payload.
let rows = new Int32Array(4096);
let evens = new Int32Array(4096);
let odds = new Int32Array(1024);
let bends = new Uint8Array(1024);

/** @param {Shape} shape */
export function makeRoom({ leads, samples }) {
  const half = (samples + 1) >> 1;
  if (rows.length < leads * samples) rows = new Int32Array(leads * samples);
  const stride = BEFORE + half + BEHIND;
  if (evens.length < leads * stride) evens = new Int32Array(leads * stride);
  if (bends.length < half + 3) {
    bends = new Uint8Array(half + 3);
    odds = new Int32Array(half + 1);
  }
}

/**
 * @param {Shape} shape
 * @param {number} row
 * @param {number} order
 * @param {number} first
 * @param {Int32Array} residuals of the samples behind the first
 */
export function sumRow({ samples }, row, order, first, residuals) {
  sum(order, first, residuals, rows, row * samples, samples);
}

/**
 * Likewise the even samples of a row in half rate.
 * @param {Shape} shape
 * @param {number} row
 * @param {number} order
 * @param {number} first
 * @param {Int32Array} residuals
 */
export function sumEvens({ samples }, row, order, first, residuals) {
  const half = (samples + 1) >> 1;
  const from = row * (BEFORE + half + BEHIND) + BEFORE;
  sum(order, first, residuals, evens, from, half);
  evens.fill(evens[from], from - BEFORE, from);
  evens.fill(evens[from + half - 1], from + half, from + half + BEHIND);
}

/**
 * @param {number} order
 * @param {number} first
 * @param {Int32Array} residuals
 * @param {Int32Array} out
 * @param {number} from
 * @param {number} count
 */
function sum(order, first, residuals, out, from, count) {
  const keep1 = order > 0 ? -1 : 0;
  const keep2 = order > 1 ? -1 : 0;
  const keep3 = order > 2 ? -1 : 0;
  let third = 0;
  let second = 0;
  let value = first;
  out[from] = value;
  for (let k = 0, to = from + 1; k < count - 1; k++, to++) {
    third = ((third & keep3) + residuals[k]) | 0;
    second = ((second & keep2) + third) | 0;
    value = ((value & keep1) + second) | 0;
    out[to] = value;
  }
}

/**
 * How far each even sample of a row is from the middle of its neighbours, from the one before the first on.
 * @param {Shape} shape
 * @param {number} row
 */
export function bendsOf({ samples }, row) {
  const count = (samples + 1) >> 1;
  const largest = LARGEST;
  const even = evens;
  const out = bends;
  let x = row * (BEFORE + count + BEHIND) + BEFORE;
  let last = even[x++];
  let value = even[x++];
  for (let k = 2; k < count; k++) {
    const next = even[x++];
    const bend = Math.abs(last - 2 * value + next);
    out[k] = bend < largest ? bend : largest;
    last = value;
    value = next;
  }
  out[0] = out[1] = out[2];
  out[count] = out[count + 1] = out[count + 2] = out[count - 1];
  return out;
}

/**
 * Predict the odd samples of a row, add their residuals, and put them between the even ones.
 * @param {Shape} shape
 * @param {number} row
 * @param {number} filters
 * @param {Int32Array} residuals
 */
export function joinOdds({ samples }, row, filters, residuals) {
  const count = samples >> 1;
  const from = row * (BEFORE + ((samples + 1) >> 1) + BEHIND) + BEFORE;
  const [first1, first3, first5] = FIRST_WEIGHTS[filters];
  const [second1, second3, second5, second2] = SECOND_WEIGHTS[filters];
  const even = evens;
  const odd = odds;
  const out = rows;
  // Six even samples around each odd one, of which the next one has four.
  let a = even[from - 2];
  let b = even[from - 1];
  let c = even[from];
  let d = even[from + 1];
  for (let k = 0, x = from + 2; k < count; k += 2, x += 2) {
    const e = even[x];
    const f = even[x + 1];
    const weighted = Math.imul(first1, c + d) + Math.imul(first3, b + e) + Math.imul(first5, a + f);
    odd[k] = residuals[k] + ((weighted + 128) >> 8);
    a = c;
    b = d;
    c = e;
    d = f;
  }
  if (count % 2 === 0) odd[count] = odd[count - 2];
  a = even[from - 1];
  b = even[from];
  c = even[from + 1];
  d = even[from + 2];
  let last = odd[0];
  for (let k = 1, x = from + 3; k < count; k += 2, x += 2) {
    const e = even[x];
    const f = even[x + 1];
    const next = odd[k + 1];
    const weighted =
      Math.imul(second1, c + d) +
      Math.imul(second3, b + e) +
      Math.imul(second5, a + f) +
      Math.imul(second2, last + next);
    odd[k] = residuals[k] + ((weighted + 128) >> 8);
    a = c;
    b = d;
    c = e;
    d = f;
    last = next;
  }
  let to = row * samples;
  for (let k = 0; k < count; k++, to += 2) {
    out[to] = even[from + k];
    out[to + 1] = odd[k];
  }
  if (samples % 2 === 1) out[to] = even[from + count];
}

/**
 * Add to a row what it has in common with the one before.
 * @param {Shape} shape
 * @param {number} row
 * @param {number} gain
 */
export function addLast({ samples }, row, gain) {
  const out = rows;
  for (let to = row * samples, stop = to + samples; to < stop; to++) {
    out[to] += (Math.imul(gain, out[to - samples]) + 8) >> 4;
  }
}

/**
 * @param {Shape} shape
 * @returns {Int16Array} lead after lead
 */
export function toLeads(shape) {
  const { leads, samples, places, plain, limbs, step, rounding, isInValues } = shape;
  const data = new Int16Array(leads * samples);
  for (let row = 0; row < plain; row++) {
    store(data, places[row] * samples, row * samples, samples, step, rounding);
  }
  for (let row = plain; row < leads; row++) {
    const [one, two] = limbs[row - plain];
    const to = places[row] * samples;
    if (isInValues) {
      storeLimbOfValues(data, to, row * samples, samples, one, two, step, rounding);
    } else {
      addLimb(row * samples, samples, one, two);
      store(data, to, row * samples, samples, step, rounding);
    }
  }
  return data;
}

/**
 * @param {Int16Array} data
 * @param {number} to
 * @param {number} from
 * @param {number} samples
 * @param {number} step
 * @param {number} rounding
 */
function store(data, to, from, samples, step, rounding) {
  const fitting = FITTING;
  const source = rows;
  let seen = 0;
  if (step === 0) {
    for (let k = 0; k < samples; k++) {
      const value = source[from + k];
      data[to + k] = value;
      seen |= value + fitting;
    }
  } else {
    for (let k = 0; k < samples; k++) {
      const steps = source[from + k];
      const sign = steps >> 31;
      const magnitude = (((Math.imul((steps ^ sign) - sign, step) + rounding) | 0) / 1000) | 0;
      const value = (magnitude ^ sign) - sign;
      data[to + k] = value;
      seen |= (steps + fitting) | (value + fitting);
    }
  }
  check(seen);
}

/**
 * @param {number} from
 * @param {number} samples
 * @param {number} one
 * @param {number} two
 */
function addLimb(from, samples, one, two) {
  const out = rows;
  for (let k = 0; k < samples; k++) {
    out[from + k] += (Math.imul(one, out[k]) + Math.imul(two, out[samples + k])) >> 1;
  }
}

/**
 * @param {Int16Array} data
 * @param {number} to
 * @param {number} from
 * @param {number} samples
 * @param {number} one
 * @param {number} two
 * @param {number} step
 * @param {number} rounding
 */
function storeLimbOfValues(data, to, from, samples, one, two, step, rounding) {
  const fitting = FITTING;
  const source = rows;
  let seen = 0;
  for (let k = 0; k < samples; k++) {
    const steps = (Math.imul(one, source[k]) + Math.imul(two, source[samples + k])) | 0;
    const sign = steps >> 31;
    const magnitude = (((Math.imul((steps ^ sign) - sign, step) + 2 * rounding) | 0) / 2000) | 0;
    const value = source[from + k] + ((magnitude ^ sign) - sign);
    data[to + k] = value;
    seen |= value + fitting;
  }
  check(seen);
}

/** @param {number} seen the bits of all values + FITTING */
function check(seen) {
  if (seen >>> 0 >= 2 * FITTING) throw new ProtocolError("payload has a sample that does not fit");
}
