// @ts-check
/** The waveform payload ECG1, decoded as docs/compression.md describes it. */

import { ProtocolError } from "../stream/protocol-error.js";
import * as narrow from "./ecg1-narrow.js";
import { checkEnd, open, read, readCoarse, readOdd, readWide } from "./ecg1-residuals.js";
import * as wide from "./ecg1-wide.js";

/** @typedef {import("./codec.js").Waveform} Waveform */

/**
 * What the header says of leads and samples.
 * @typedef {object} Shape
 * @property {number} leads
 * @property {number} samples
 * @property {number[]} places the lead of each row
 * @property {number} plain rows that are no deviations
 * @property {number[][]} limbs how often the lead of each deviation has I and II, twice
 * @property {number} step in thousandths, or 0
 * @property {number} rounding in thousandths
 * @property {boolean} isInValues whether deviations are in samples, though there is a step
 */

const CODEC = 0x10;
const First = Object.freeze({ HALF: 0x01, TWELVE: 0x02, WIDE: 0x04, EXTRAS: 0x08 });
const Extras = Object.freeze({ GAINS: 0x01, GRID: 0x02, TRUNCATES: 0x04, LIMBS_IN_VALUES: 0x08 });
const HEADER_BYTES = 3;
const MAX_LEADS = 16;
const MAX_SAMPLES = 4096;
const MIN_HALF_SAMPLES = 16;
const MIN_STEP = 1001;

const IN_ORDER = Array.from({ length: MAX_LEADS }, (_, row) => row);
/** With TWELVE: the lead of each row. The first eight tell their samples, the others deviations. */
const TWELVE = [0, 1, 6, 7, 8, 9, 10, 11, 2, 3, 4, 5];
const DEVIATIONS = 8;
/** How often III, aVR, aVL and aVF have I and II, twice. */
const LIMBS = [
  [-2, 2],
  [-1, -1],
  [2, -1],
  [-1, 2],
];

const residuals = new Int32Array(MAX_SAMPLES);

// What the payload says of each row.
const gains = new Int8Array(MAX_LEADS);
const orders = new Uint8Array(MAX_LEADS);
const sets = new Uint8Array(MAX_LEADS);
const filters = new Uint8Array(MAX_LEADS);
const firsts = new Int32Array(MAX_LEADS);

/**
 * The samples of a payload; throws ProtocolError when it is malformed.
 * @param {Uint8Array} payload
 * @returns {Waveform}
 */
export function decode(payload) {
  if (payload.length <= HEADER_BYTES) throw new ProtocolError("payload is shorter than its header");
  const flags = payload[0] ^ CODEC;
  const leads = (payload[1] >> 4) + 1;
  const samples = (((payload[1] & 15) << 8) | payload[2]) + 1;
  const isHalf = (flags & First.HALF) !== 0;
  const isTwelve = (flags & First.TWELVE) !== 0;
  if (flags > 15 || (isTwelve && leads !== 12) || (isHalf && samples < MIN_HALF_SAMPLES)) {
    throw new ProtocolError("payload header contradicts itself");
  }
  open(payload, HEADER_BYTES);
  const extras = flags & First.EXTRAS ? readExtras(isTwelve) : 0;
  /** @type {Shape} */
  const shape = {
    leads,
    samples,
    places: isTwelve ? TWELVE : IN_ORDER,
    plain: isTwelve ? DEVIATIONS : leads,
    limbs: LIMBS,
    step: extras & Extras.GRID ? readStep() : 0,
    rounding: extras & Extras.TRUNCATES ? 0 : 500,
    isInValues: (extras & Extras.LIMBS_IN_VALUES) !== 0,
  };
  gains.fill(0);
  if (extras & Extras.GAINS) for (let row = 1; row < shape.plain; row++) gains[row] = (read(6) << 26) >> 26;
  for (let row = 0; row < leads; row++) readSide(row, isHalf && row < shape.plain);
  const rows = flags & First.WIDE ? wide : narrow;
  rows.makeRoom(shape);
  if (isHalf) decodeHalf(rows, shape);
  else decodeRows(rows, shape, 0);
  checkEnd();
  for (let row = 1; row < shape.plain; row++) if (gains[row] !== 0) rows.addLast(shape, row, gains[row]);
  return { leads, samples, data: rows.toLeads(shape) };
}

/** @param {boolean} isTwelve */
function readExtras(isTwelve) {
  const extras = read(8);
  const { GAINS, GRID, TRUNCATES, LIMBS_IN_VALUES } = Extras;
  const isGrid = (extras & GRID) !== 0;
  if (
    extras > 15 ||
    (extras & (GAINS | GRID)) === 0 ||
    ((extras & TRUNCATES) !== 0 && !isGrid) ||
    ((extras & LIMBS_IN_VALUES) !== 0 && !(isGrid && isTwelve))
  ) {
    throw new ProtocolError("payload header contradicts itself");
  }
  return extras;
}

function readStep() {
  const step = read(16);
  if (step < MIN_STEP) throw new ProtocolError("payload step is too small");
  return step;
}

/**
 * @param {number} row
 * @param {boolean} hasFilters
 */
function readSide(row, hasFilters) {
  orders[row] = read(2);
  sets[row] = read(3);
  if (hasFilters) filters[row] = read(3);
  const zigzag = readWide();
  firsts[row] = (zigzag >>> 1) ^ -(zigzag & 1);
}

/**
 * Decode rows in full rate.
 * @param {typeof narrow | typeof wide} rows
 * @param {Shape} shape
 * @param {number} first of them
 */
function decodeRows(rows, shape, first) {
  for (let row = first; row < shape.leads; row++) {
    readCoarse(sets[row], false, shape.samples - 1, residuals);
    rows.sumRow(shape, row, orders[row], firsts[row], residuals);
  }
}

/**
 * Decode rows in half rate, but for deviations: the even samples of all of them, then the odd ones.
 * @param {typeof narrow | typeof wide} rows
 * @param {Shape} shape
 */
function decodeHalf(rows, shape) {
  const odd = shape.samples >> 1;
  for (let row = 0; row < shape.plain; row++) {
    readCoarse(sets[row], true, shape.samples - odd - 1, residuals);
    rows.sumEvens(shape, row, orders[row], firsts[row], residuals);
  }
  decodeRows(rows, shape, shape.plain);
  for (let row = 0; row < shape.plain; row++) {
    readOdd(sets[row], rows.bendsOf(shape, row), odd, residuals);
    rows.joinOdds(shape, row, filters[row], residuals);
  }
}
