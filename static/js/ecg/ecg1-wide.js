// @ts-check
/** Samples of 32 bits out of the residuals of ECG1, in doubles: exact up to the first that does not fit. */

import { ProtocolError } from "../stream/protocol-error.js";
import { LARGEST } from "./ecg1-codes.js";
import { FIRST_WEIGHTS, SECOND_WEIGHTS } from "./ecg1-tables.js";

/** @typedef {import("./ecg1.js").Shape} Shape */

/** So many even samples beyond the first and the last one have a weight. */
const BEFORE = 2;
const BEHIND = 3;

// Work space, which grows to the largest payload.
let rows = new Float64Array(0);
let evens = new Float64Array(0);
let odds = new Float64Array(0);
let bends = new Uint8Array(0);

/** @param {Shape} shape */
export function makeRoom({ leads, samples }) {
  const half = (samples + 1) >> 1;
  if (rows.length < leads * samples) rows = new Float64Array(leads * samples);
  const stride = BEFORE + half + BEHIND;
  if (evens.length < leads * stride) evens = new Float64Array(leads * stride);
  if (bends.length < half + 3) {
    bends = new Uint8Array(half + 3);
    odds = new Float64Array(half);
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
 * @param {Float64Array} out
 * @param {number} from
 * @param {number} count
 */
function sum(order, first, residuals, out, from, count) {
  const keep1 = order > 0 ? 1 : 0;
  const keep2 = order > 1 ? 1 : 0;
  const keep3 = order > 2 ? 1 : 0;
  let third = 0;
  let second = 0;
  let value = first;
  out[from] = value;
  for (let k = 0; k < count - 1; k++) {
    third = third * keep3 + residuals[k];
    second = second * keep2 + third;
    value = value * keep1 + second;
    out[from + 1 + k] = value;
  }
}

/**
 * How far each even sample of a row is from the middle of its neighbours, from the one before the first on.
 * @param {Shape} shape
 * @param {number} row
 */
export function bendsOf({ samples }, row) {
  const count = (samples + 1) >> 1;
  for (let k = 1, x = row * (BEFORE + count + BEHIND) + BEFORE + 1; k < count - 1; k++, x++) {
    bends[k + 1] = Math.min(Math.abs(evens[x - 1] - 2 * evens[x] + evens[x + 1]), LARGEST);
  }
  bends[0] = bends[1] = bends[2];
  bends[count] = bends[count + 1] = bends[count + 2] = bends[count - 1];
  return bends;
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
  for (let k = 0, x = from; k < count; k += 2, x += 2) {
    const weighted =
      first1 * (evens[x] + evens[x + 1]) +
      first3 * (evens[x - 1] + evens[x + 2]) +
      first5 * (evens[x - 2] + evens[x + 3]);
    odds[k] = residuals[k] + Math.floor((weighted + 128) / 256);
  }
  for (let k = 1, x = from + 1; k < count; k += 2, x += 2) {
    const weighted =
      second1 * (evens[x] + evens[x + 1]) +
      second3 * (evens[x - 1] + evens[x + 2]) +
      second5 * (evens[x - 2] + evens[x + 3]) +
      second2 * (odds[k - 1] + odds[k + 1 < count ? k + 1 : k - 1]);
    odds[k] = residuals[k] + Math.floor((weighted + 128) / 256);
  }
  let to = row * samples;
  for (let k = 0; k < count; k++, to += 2) {
    rows[to] = evens[from + k];
    rows[to + 1] = odds[k];
  }
  if (samples % 2 === 1) rows[to] = evens[from + count];
}

/**
 * Add to a row what it has in common with the one before.
 * @param {Shape} shape
 * @param {number} row
 * @param {number} gain
 */
export function addLast({ samples }, row, gain) {
  for (let to = row * samples, stop = to + samples; to < stop; to++) {
    rows[to] += Math.floor((gain * rows[to - samples] + 8) / 16);
  }
}

/**
 * @param {Shape} shape
 * @returns {Int32Array} lead after lead
 */
export function toLeads(shape) {
  const { leads, samples, places, plain, limbs, step, rounding, isInValues } = shape;
  const data = new Int32Array(leads * samples);
  for (let row = plain; row < leads; row++) addLimb(shape, row, limbs[row - plain]);
  for (let row = 0; row < leads; row++) {
    const isInSteps = step > 0 && !(isInValues && row >= plain);
    for (let from = row * samples, to = places[row] * samples, stop = to + samples; to < stop; from++, to++) {
      const value = isInSteps ? onGrid(rows[from], step, rounding, 1000) : rows[from];
      data[to] = value;
      if (data[to] !== value) throw new ProtocolError("payload has a sample that does not fit");
    }
  }
  return data;
}

/**
 * Add to the deviations of a limb lead what follows for it from I and II.
 * @param {Shape} shape
 * @param {number} row
 * @param {number[]} parts
 */
function addLimb({ samples, step, rounding, isInValues }, row, [one, two]) {
  for (let k = 0, to = row * samples; k < samples; k++, to++) {
    const twice = one * rows[k] + two * rows[samples + k];
    rows[to] += isInValues ? onGrid(twice, step, 2 * rounding, 2000) : Math.floor(twice / 2);
  }
}

/**
 * @param {number} steps
 * @param {number} step
 * @param {number} rounding
 * @param {number} unit what `step` is told in
 */
function onGrid(steps, step, rounding, unit) {
  const magnitude = Math.floor((Math.abs(steps) * step + rounding) / unit);
  return steps < 0 ? -magnitude : magnitude;
}
