// @ts-check
/** The bits of ECG1: where the next one is, and which residuals lie in them. */

import { ProtocolError } from "../stream/protocol-error.js";
import {
  A_OF,
  BEHIND_RUN,
  ESCAPE,
  FIRST_TABLE,
  FULL,
  HALF,
  LARGEST,
  LOOKUP_BITS,
  ODD_PLACES,
  ODD_TABLE,
  RUN,
  RUN_BITS,
  SHIFTS,
  SYMBOL_BITS,
  codesOf,
} from "./ecg1-codes.js";

const MAX_WIDTH = 26;

/**
 * That bits are missing is seen where a number of announced width is read, or else at the end of a row: of up to
 * 4096 residuals, each of at most 24 bits with the run of none before it.
 */
const OVERRUN_BYTES = 3 * 4096 + 16;

let bytes = new Uint8Array(4096 + OVERRUN_BYTES);
let bits = new DataView(bytes.buffer);

/** The number of the bit that is read next, and of the one behind the last. */
let at = 0;
let end = 0;

/**
 * Go on with the bits of a payload behind its first bytes.
 * @param {Uint8Array} payload
 * @param {number} skipped bytes
 */
export function open(payload, skipped) {
  if (bytes.length < payload.length + OVERRUN_BYTES) {
    bytes = new Uint8Array(payload.length + OVERRUN_BYTES);
    bits = new DataView(bytes.buffer);
  }
  bytes.set(payload);
  at = 8 * skipped;
  end = 8 * payload.length;
}

/** @param {number} count at most 25 */
export function read(count) {
  const value = peek(count);
  at += count;
  checkWithin();
  return value;
}

/** A number behind its width. */
export function readWide() {
  const width = read(5);
  if (width > MAX_WIDTH) throw new ProtocolError("payload has a number that is too wide");
  const high = read(width >> 1);
  const low = width - (width >> 1);
  return (high << low) | read(low);
}

/** Nothing but zeros up to a whole byte. */
export function checkEnd() {
  const rest = end - at;
  if (rest > 7 || peek(rest) !== 0) throw new ProtocolError("payload goes on behind its last residual");
}

/** @param {number} count at most 25 */
function peek(count) {
  return (bits.getInt32(at >>> 3) << (at & 7)) >>> 1 >>> (31 - count);
}

function checkWithin() {
  if (at > end) throw new ProtocolError("payload ends early");
}

// V8 looks up what is imported, and what a call may have changed, at each use. So the inner loops below call
// nothing, keep what they need in local names, and write out numbers of ecg1-codes.js: a tenth of the time.

/**
 * Read `count` coarse residuals of a row into `out`.
 * @param {number} set
 * @param {boolean} isHalf
 * @param {number} count
 * @param {Int32Array} out
 */
export function readCoarse(set, isHalf, count, out) {
  if (count === 0) return;
  const codes = codesOf(set);
  const { coarse } = codes;
  const { byState, alike } = isHalf ? HALF : FULL;
  const view = bits;
  out[0] = readOne(codes.symbols, FIRST_TABLE);
  let place = alike[stepOf(out[0])];
  let position = at;
  let to = 1;
  while (to < count) {
    while (to < count) {
      const window = view.getInt32(position >>> 3) << (position & 7);
      const entry = coarse[(place & -256) | (window >>> 24)];
      if ((entry & 15) === 0) break;
      out[to++] = entry >> 8;
      position += entry & 15;
      place = byState[((entry & 0xf0) << 1) | (place & 31)];
    }
    if (to === count) break;
    at = position;
    if (place === RUN) {
      const run = readRun(codes.runs, count - to);
      for (const stop = to + run; to < stop; to++) out[to] = 0;
      place = BEHIND_RUN;
    } else {
      const residual = readOne(codes.symbols, place >> LOOKUP_BITS);
      out[to++] = residual;
      place = byState[(stepOf(residual) << 5) | (place & 31)];
    }
    position = at;
  }
  at = position;
  checkWithin();
}

/**
 * Read the residuals of `count` odd samples of a row into `out`.
 * @param {number} set
 * @param {Uint8Array} bends those of the even samples around, from the one before the first on
 * @param {number} count
 * @param {Int32Array} out
 */
export function readOdd(set, bends, count, out) {
  const { odd, symbols } = codesOf(set);
  const places = ODD_PLACES;
  const view = bits;
  let position = at;
  for (let to = 0; to < count; ) {
    let place = 0;
    for (; to < count; to++) {
      place = places[bends[to] + 2 * (bends[to + 1] + bends[to + 2]) + bends[to + 3]];
      const entry = odd[place | ((view.getInt32(position >>> 3) << (position & 7)) >>> 24)];
      if ((entry & 15) === 0) break;
      out[to] = entry >> 4;
      position += entry & 15;
    }
    if (to === count) break;
    at = position;
    out[to++] = readOne(symbols, ODD_TABLE + (place >> LOOKUP_BITS));
    position = at;
  }
  at = position;
  checkWithin();
}

/**
 * Read any residual.
 * @param {Uint16Array} symbols
 * @param {number} table
 */
function readOne(symbols, table) {
  const window = bits.getInt32(at >>> 3) << (at & 7);
  const entry = symbols[(table << SYMBOL_BITS) | (window >>> (32 - SYMBOL_BITS))];
  const length = entry & 15;
  const symbol = entry >> 4;
  const shift = SHIFTS[table];
  at += length;
  if (symbol === ESCAPE) {
    const magnitude = readWide();
    return read(1) === 1 ? -magnitude : magnitude;
  }
  if (symbol === 0 && shift === 0) return 0;
  at += shift + 1;
  const low = (window << length) >>> (31 - shift);
  const magnitude = (symbol << shift) | (low >> 1);
  return low & 1 ? -magnitude : magnitude;
}

/**
 * Read how many zeros come next.
 * @param {Uint16Array} runs
 * @param {number} most
 */
function readRun(runs, most) {
  const entry = runs[(bits.getInt32(at >>> 3) << (at & 7)) >>> (32 - RUN_BITS)];
  at += entry & 15;
  let run = entry >> 4;
  if (run >= 8) {
    const low = ((run - 2) >> 1) - 1;
    run = ((2 + (run & 1)) << low) + read(low);
  }
  if (run > most) throw new ProtocolError("payload has a run beyond its row");
  return run;
}

/**
 * The step of a residual's magnitude as `a`.
 * @param {number} residual
 */
function stepOf(residual) {
  return A_OF[Math.min(Math.abs(residual), LARGEST)];
}
