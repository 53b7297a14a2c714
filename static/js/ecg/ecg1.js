// @ts-check
/** The waveform payload ECG1, decoded as docs/compression.md describes it. */

import { ProtocolError } from "../stream/protocol-error.js";
import {
  AHEAD_BITS,
  A_OF,
  ESCAPE,
  LARGEST,
  LOOKUP_BITS,
  MOST,
  ODD_TABLES,
  RUN,
  STATE_SHIFT,
  automatonOf,
  findEntry,
  residualsOf,
  stateBehind,
} from "./ecg1-codes.js";
import { FIRST_WEIGHTS, SECOND_WEIGHTS } from "./ecg1-tables.js";

/** @typedef {import("./codec.js").Waveform} Waveform */
/** @typedef {import("./ecg1-codes.js").Automaton} Automaton */

const CODEC = 0x10;
const First = Object.freeze({ HALF: 0x01, TWELVE: 0x02, WIDE: 0x04, EXTRAS: 0x08 });
const Extras = Object.freeze({ GAINS: 0x01, GRID: 0x02, TRUNCATES: 0x04, LIMBS_IN_VALUES: 0x08 });
const HEADER_BYTES = 3;
const MAX_LEADS = 16;
const MIN_HALF_SAMPLES = 16;
const MIN_STEP = 1001;
const MAX_WIDTH = 26;
/** From this table on an automaton hardly ever finds a residual in the bits. */
const LARGE_TABLE = 9 << LOOKUP_BITS;

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

/** How far the bits may overrun their end before it is seen: a run, its residual, and what is read ahead. */
const OVERRUN_BYTES = 16;

/** So many even samples beyond the first and the last one have a weight. */
const BEFORE = 2;
const BEHIND = 3;

// Work space, which grows to the largest payload.
let bytes = new Uint8Array(4096);
let bits = new DataView(bytes.buffer);
let rows = new Float64Array(4096);
let evens = new Float64Array(4096);
let bends = new Uint8Array(1024);
let odds = new Float64Array(1024);
let residuals = new Int32Array(4096);

/** The number of the bit that is read next, and of the one behind the last. */
let at = 0;
let end = 0;
/** The number of residuals of a row that are read. */
let reached = 0;

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
  load(payload);
  at = 8 * HEADER_BYTES;
  const extras = flags & First.EXTRAS ? readExtras(isTwelve) : 0;
  const step = extras & Extras.GRID ? readStep() : 0;

  const plain = isTwelve ? DEVIATIONS : leads;
  const total = leads * samples;
  if (rows.length < total) rows = new Float64Array(total);
  gains.fill(0);
  if (extras & Extras.GAINS) for (let row = 1; row < plain; row++) gains[row] = (read(6) << 26) >> 26;
  for (let row = 0; row < leads; row++) readSide(row, isHalf && row < plain);
  if (isHalf) {
    decodeEvens(plain, samples);
    for (let row = plain; row < leads; row++) decodeCoarse(row, rows, row * samples, samples, false);
    decodeOdds(plain, samples);
  } else {
    for (let row = 0; row < leads; row++) decodeCoarse(row, rows, row * samples, samples, false);
  }
  checkEnd();

  for (let row = 1; row < plain; row++) addLast(row, samples);
  const half = extras & Extras.TRUNCATES ? 0 : 500;
  const inValues = (extras & Extras.LIMBS_IN_VALUES) !== 0;
  if (isTwelve) addLimbs(samples, inValues ? step : 0, half);
  if (step) toSamples((inValues ? plain : leads) * samples, step, half);
  const data = flags & First.WIDE ? new Int32Array(total) : new Int16Array(total);
  for (let row = 0; row < leads; row++) store(data, isTwelve ? TWELVE[row] : row, row, samples);
  return { leads, samples, data };
}

/** @param {Uint8Array} payload */
function load(payload) {
  if (bytes.length < payload.length + OVERRUN_BYTES) {
    bytes = new Uint8Array(payload.length + OVERRUN_BYTES);
    bits = new DataView(bytes.buffer);
  }
  bytes.set(payload);
  end = 8 * payload.length;
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

/** @param {number} count at most 25 */
function read(count) {
  const value = peek(at, count);
  at += count;
  if (at > end) throw new ProtocolError("payload ends early");
  return value;
}

/** A number behind its width. */
function readWide() {
  const width = read(5);
  if (width > MAX_WIDTH) throw new ProtocolError("payload has a number that is too wide");
  const high = read(width >> 1);
  const low = width - (width >> 1);
  return (high << low) | read(low);
}

/**
 * @param {number} position
 * @param {number} count at most 25
 */
function peek(position, count) {
  return (bits.getInt32(position >>> 3) << (position & 7)) >>> 1 >>> (31 - count);
}

/**
 * Decode samples of a row from their coarse residuals.
 * @param {number} row
 * @param {Float64Array} out
 * @param {number} from where they go in `out`
 * @param {number} count
 * @param {boolean} isHalf
 */
function decodeCoarse(row, out, from, count, isHalf) {
  readCoarse(automatonOf(sets[row], isHalf), count - 1);
  const keep1 = orders[row] > 0 ? 1 : 0;
  const keep2 = orders[row] > 1 ? 1 : 0;
  const keep3 = orders[row] > 2 ? 1 : 0;
  let third = 0;
  let second = 0;
  let value = firsts[row];
  out[from] = value;
  for (let k = 0; k < count - 1; k++) {
    third = third * keep3 + residuals[k];
    second = second * keep2 + third;
    value = value * keep1 + second;
    out[from + 1 + k] = value;
  }
}

/**
 * Read `count` residuals into `residuals`.
 * @param {Automaton} automaton
 * @param {number} count
 */
function readCoarse(automaton, count) {
  if (residuals.length < count + MOST) residuals = new Int32Array(count + MOST);
  const { entries, states } = automaton;
  const view = bits;
  const out = residuals;
  const limit = end;
  const calm = count - MOST;
  let position = at;
  let to = 0;
  let base = states.start << STATE_SHIFT;
  while (to < count) {
    let place = 0;
    while (to <= calm) {
      const ahead = (view.getInt32(position >>> 3) << (position & 7)) >>> (32 - AHEAD_BITS);
      place = base + 2 * ahead;
      const told = entries[place];
      if (told <= 0) break;
      const packed = entries[place + 1];
      out[to] = (packed << 24) >> 24;
      out[to + 1] = (packed << 16) >> 24;
      out[to + 2] = (packed << 8) >> 24;
      out[to + 3] = packed >> 24;
      to += told & 7;
      position += (told >> 3) & 15;
      base = told & -(1 << STATE_SHIFT);
      if (position > limit) throw new ProtocolError("payload ends early");
    }
    if (to === count) break;
    if (to <= calm && entries[place] === 0 && findEntry(automaton, place)) continue;
    at = position;
    base = readOne(automaton, base >> STATE_SHIFT, to, count) << STATE_SHIFT;
    to = reached;
    position = at;
  }
  at = position;
}

/**
 * Read one run or residual, and what follows while magnitudes are large; returns the state behind.
 * @param {Automaton} automaton
 * @param {number} state
 * @param {number} to
 * @param {number} count
 */
function readOne({ states, residuals: lookup, runs }, state, to, count) {
  let table = states.tables[state];
  let position = at;
  if (table === RUN) {
    const entry = runs[peek(position, LOOKUP_BITS)];
    at = position + (entry & 15);
    let run = entry >> 4;
    if (run >= 8) {
      const low = ((run - 2) >> 1) - 1;
      run = ((2 + (run & 1)) << low) + read(low);
    }
    if (run > count - to || at > end) throw new ProtocolError("payload has a run beyond its row");
    residuals.fill(0, to, to + run);
    reached = to + run;
    return states.behindRun;
  }
  const view = bits;
  const limit = end;
  do {
    const entry = lookup[table + ((view.getInt32(position >>> 3) << (position & 7)) >>> (32 - LOOKUP_BITS))];
    let a = (entry >> 4) & 0xfff;
    if ((entry & 15) !== 0) {
      residuals[to++] = entry >> 16;
      position += entry & 15;
    } else {
      const residual = longResidual(entry, position);
      residuals[to++] = residual;
      position = at;
      a = A_OF[Math.min(Math.abs(residual), LARGEST)];
    }
    if (position > limit) throw new ProtocolError("payload ends early");
    state = stateBehind(states, state, a);
    table = states.tables[state];
  } while (table >= LARGE_TABLE && to < count);
  at = position;
  reached = to;
  return state;
}

/**
 * A residual that no look-up table holds whole; `at` is behind it.
 * @param {number} entry
 * @param {number} position
 */
function longResidual(entry, position) {
  const symbol = entry >> 12;
  const shift = (entry >> 8) & 15;
  at = position + ((entry >> 4) & 15);
  const magnitude = symbol === ESCAPE ? readWide() : (symbol << shift) | read(shift);
  return peek(at++, 1) === 1 ? -magnitude : magnitude;
}

/**
 * Decode rows of half rate: the even samples of all of them, then the odd ones.
 * @param {number} count of rows
 * @param {number} samples
 */
function decodeEvens(count, samples) {
  const half = (samples + 1) >> 1;
  const stride = BEFORE + half + BEHIND;
  if (evens.length < count * stride) evens = new Float64Array(count * stride);
  for (let row = 0; row < count; row++) {
    const from = row * stride + BEFORE;
    decodeCoarse(row, evens, from, half, true);
    evens.fill(evens[from], from - BEFORE, from);
    evens.fill(evens[from + half - 1], from + half, from + half + BEHIND);
  }
}

/**
 * Decode the odd samples of rows, and put them between the even ones.
 * @param {number} count of rows
 * @param {number} samples
 */
function decodeOdds(count, samples) {
  const half = (samples + 1) >> 1;
  const stride = BEFORE + half + BEHIND;
  if (bends.length < half + 3) {
    bends = new Uint8Array(half + 3);
    odds = new Float64Array(half);
  }
  for (let row = 0; row < count; row++) {
    const from = row * stride + BEFORE;
    bendEvens(from, half);
    readOdds(row, samples >> 1);
    joinOdds(row, from, samples);
  }
}

/**
 * How far each even sample of a row is from the middle of its neighbours; `bends[1]` is that of the first.
 * @param {number} from where they are in `evens`
 * @param {number} count
 */
function bendEvens(from, count) {
  for (let k = 1; k < count - 1; k++) {
    const bend = evens[from + k - 1] - 2 * evens[from + k] + evens[from + k + 1];
    bends[k + 1] = Math.min(Math.abs(bend), LARGEST);
  }
  bends[0] = bends[1] = bends[2];
  bends[count] = bends[count + 1] = bends[count + 2] = bends[count - 1];
}

/**
 * @param {number} row
 * @param {number} count
 */
function readOdds(row, count) {
  const lookup = residualsOf(sets[row]);
  const view = bits;
  const limit = end;
  let position = at;
  for (let k = 0; k < count; k++) {
    const table = ODD_TABLES[bends[k] + 2 * (bends[k + 1] + bends[k + 2]) + bends[k + 3]];
    const entry = lookup[table + ((view.getInt32(position >>> 3) << (position & 7)) >>> (32 - LOOKUP_BITS))];
    if ((entry & 15) !== 0) {
      odds[k] = entry >> 16;
      position += entry & 15;
    } else {
      odds[k] = longResidual(entry, position);
      position = at;
    }
    if (position > limit) throw new ProtocolError("payload ends early");
  }
  at = position;
}

/**
 * Predict the odd samples of a row, add their residuals, and put them between the even ones.
 * @param {number} row
 * @param {number} from where the even samples are in `evens`
 * @param {number} samples
 */
function joinOdds(row, from, samples) {
  const out = row * samples;
  const count = samples >> 1;
  const [first1, first3, first5] = FIRST_WEIGHTS[filters[row]];
  const [second1, second3, second5, second2] = SECOND_WEIGHTS[filters[row]];
  for (let k = 0, x = from; k < count; k += 2, x += 2) {
    const sum =
      first1 * (evens[x] + evens[x + 1]) +
      first3 * (evens[x - 1] + evens[x + 2]) +
      first5 * (evens[x - 2] + evens[x + 3]);
    odds[k] += Math.floor((sum + 128) / 256);
  }
  for (let k = 1, x = from + 1; k < count; k += 2, x += 2) {
    const sum =
      second1 * (evens[x] + evens[x + 1]) +
      second3 * (evens[x - 1] + evens[x + 2]) +
      second5 * (evens[x - 2] + evens[x + 3]) +
      second2 * (odds[k - 1] + odds[k + 1 < count ? k + 1 : k - 1]);
    odds[k] += Math.floor((sum + 128) / 256);
  }
  for (let k = 0; k < count; k++) {
    rows[out + 2 * k] = evens[from + k];
    rows[out + 2 * k + 1] = odds[k];
  }
  if (samples & 1) rows[out + samples - 1] = evens[from + count];
}

/** Nothing but zeros up to a whole byte. */
function checkEnd() {
  const rest = end - at;
  if (rest > 7 || peek(at, rest) !== 0) throw new ProtocolError("payload goes on behind its last residual");
}

/**
 * Add to a row what it has in common with the one before.
 * @param {number} row
 * @param {number} samples
 */
function addLast(row, samples) {
  const gain = gains[row];
  if (gain === 0) return;
  for (let to = row * samples, stop = to + samples; to < stop; to++) {
    rows[to] += Math.floor((gain * rows[to - samples] + 8) / 16);
  }
}

/**
 * Add to the deviations of III, aVR, aVL and aVF what follows for them from I and II.
 * @param {number} samples
 * @param {number} step of the grid on which I and II are, if the deviations are in samples; else 0
 * @param {number} rounding
 */
function addLimbs(samples, step, rounding) {
  let to = DEVIATIONS * samples;
  for (const [one, two] of LIMBS) {
    for (let k = 0; k < samples; k++, to++) {
      const twice = one * rows[k] + two * rows[samples + k];
      rows[to] += step ? onGrid(twice, step, 2 * rounding, 2000) : Math.floor(twice / 2);
    }
  }
}

/**
 * Turn steps of the converter into samples.
 * @param {number} count
 * @param {number} step
 * @param {number} rounding
 */
function toSamples(count, step, rounding) {
  for (let k = 0; k < count; k++) rows[k] = onGrid(rows[k], step, rounding, 1000);
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

/**
 * @param {Int16Array | Int32Array} data
 * @param {number} lead
 * @param {number} row
 * @param {number} samples
 */
function store(data, lead, row, samples) {
  const from = row * samples;
  const to = lead * samples;
  for (let k = 0; k < samples; k++) {
    const value = rows[from + k];
    data[to + k] = value;
    if (data[to + k] !== value) throw new ProtocolError("payload has a sample that does not fit");
  }
}
