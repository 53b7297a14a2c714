// @ts-check
/** The codes of ECG1: which table a residual has, and look-up tables that tell what the next bits mean. */

import { LENGTHS, RUN_LENGTHS } from "./ecg1-tables.js";

/** Tables of a set: those of coarse residuals, two special ones, and those of odd samples. */
const TABLES = 36;
const STEPS = 17;
export const FIRST_TABLE = 17;
const BEHIND_RUN_TABLE = 18;
export const ODD_TABLE = 19;
/** In place of a table: a run follows. */
const NO_TABLE = 19;

export const ESCAPE = 41;
const SETS = 8;

/** A magnitude of more says no more about what is to come. */
export const LARGEST = 255;

/**
 * So many bits are looked up for a residual. With 8, the tables of a set have 19 KB, which a first-level
 * cache holds, and nineteen of twenty residuals are that short. With 7 it takes 3% longer, with 10 8%.
 */
export const LOOKUP_BITS = 8;
/** The longest code of a symbol, and that of a run. */
export const SYMBOL_BITS = 11;
export const RUN_BITS = 12;

/** Where the steps of the three magnitudes before a residual begin; the last number is where they end. */
const A_STEPS = [0, 1, 2, 3, 4, 6, 9, 14, 23, 41, 81, 161, 322];
const B_STEPS = [0, 1, 3, 6, 14, 41, 82];
const C_STEPS = [0, 1, 6, 14, 28];

/** By magnitude, at most LARGEST: the number of its step as `a`. */
export const A_OF = Uint8Array.from({ length: LARGEST + 1 }, (_, magnitude) => stepOf(magnitude, A_STEPS));

/** A state has the steps of the last three magnitudes: `c` in its lowest two bits, in three `b`, then `a`. */
const B_SHIFT = 2;
const A_SHIFT = 5;

/**
 * What is read next. A place has in its lowest A_SHIFT bits `b` and `c` of the next state, and at LOOKUP_BITS
 * the table. Behind a residual of step `a`, the next state is `a << A_SHIFT` and these bits.
 * @typedef {object} Places
 * @property {Int16Array} byState
 * @property {Int16Array} alike those behind the first residual of a row, by the step of its magnitude
 */
export const BEHIND_RUN = BEHIND_RUN_TABLE << LOOKUP_BITS;
export const RUN = NO_TABLE << LOOKUP_BITS;

/** In full rate the third magnitude does not count. */
export const FULL = placesOf([0, 1], (a, b) => stepOfRatio(3 + 4 * a + 2 * b, 3));
export const HALF = placesOf(C_STEPS, (a, b, c) => stepOfRatio(3 + 3 * a + 2 * b + c, 3));

/**
 * @param {number[]} cSteps
 * @param {(a: number, b: number, c: number) => number} stepOfMiddles of twice the middles: all is whole
 * @returns {Places}
 */
function placesOf(cSteps, stepOfMiddles) {
  const byState = new Int16Array((A_STEPS.length - 1) << A_SHIFT);
  for (let a = 0; a < A_STEPS.length - 1; a++) {
    for (let b = 0; b < B_STEPS.length - 1; b++) {
      for (let c = 0; c < cSteps.length - 1; c++) {
        let table = stepOfMiddles(twiceMiddle(A_STEPS, a), twiceMiddle(B_STEPS, b), twiceMiddle(cSteps, c));
        if (a + b + c === 0) table = NO_TABLE;
        byState[(a << A_SHIFT) | older(b, c)] =
          (table << LOOKUP_BITS) | older(stepOf(A_STEPS[a], B_STEPS), stepOf(B_STEPS[b], cSteps));
      }
    }
  }
  const alike = Int16Array.from(
    A_STEPS.slice(0, -1),
    (least, a) => byState[(a << A_SHIFT) | older(stepOf(least, B_STEPS), stepOf(least, cSteps))],
  );
  return { byState, alike };
}

/**
 * @param {number[]} steps
 * @param {number} step
 */
function twiceMiddle(steps, step) {
  return steps[step] + steps[step + 1] - 1;
}

/**
 * @param {number} b
 * @param {number} c
 */
function older(b, c) {
  return (b << B_SHIFT) | c;
}

/** By the weighted sum of four bends: where the look-up table of the odd sample between them begins. */
export const ODD_PLACES = Int16Array.from(
  { length: 6 * LARGEST + 1 },
  (_, sum) => stepOfRatio(3 + sum, 3) << LOOKUP_BITS,
);

/** By table: how many of its low bits a residual has behind its code. */
export const SHIFTS = Uint8Array.from({ length: TABLES }, (_, table) => {
  if (table === FIRST_TABLE || table === BEHIND_RUN_TABLE) return 0;
  const step = table < STEPS ? table : table - ODD_TABLE;
  return Math.floor(Math.log2(Math.max((2 ** (step / 1.5) - 1) / 4, 7) / 7));
});

/**
 * What the next bits mean. An entry has in its lowest four bits how many of them. In `symbols` and `runs`
 * these are a code, and its symbol follows. In `coarse` and `odd` they are a whole residual, which follows;
 * in `coarse` behind four bits for the step of its magnitude. Where no whole residual lies in the bits, or
 * none that has room, an entry is 0.
 * @typedef {object} Codes
 * @property {Int16Array} coarse by table and LOOKUP_BITS bits; with nothing for NO_TABLE
 * @property {Int16Array} odd by table, less ODD_TABLE, and LOOKUP_BITS bits
 * @property {Uint16Array} symbols by table and SYMBOL_BITS bits
 * @property {Uint16Array} runs by RUN_BITS bits
 */

/** @type {(Codes | undefined)[]} */
const made = new Array(SETS).fill(undefined);

/**
 * The look-up tables of a set, 180 KB, made on first use.
 * @param {number} set
 */
export function codesOf(set) {
  return (made[set] ??= codesFrom(
    LENGTHS.trim().split("\n").slice(set * TABLES, (set + 1) * TABLES),
    RUN_LENGTHS.trim().split("\n")[set],
  ));
}

/**
 * @param {string[]} lengths
 * @param {string} runLengths
 * @returns {Codes}
 */
function codesFrom(lengths, runLengths) {
  const symbols = new Uint16Array(TABLES << SYMBOL_BITS);
  lengths.forEach((digits, table) => fill(symbols, table << SYMBOL_BITS, digits, SYMBOL_BITS));
  const runs = new Uint16Array(1 << RUN_BITS);
  fill(runs, 0, runLengths, RUN_BITS);
  const coarse = new Int16Array((NO_TABLE + 1) << LOOKUP_BITS);
  const odd = new Int16Array(STEPS << LOOKUP_BITS);
  for (let place = 0; place < NO_TABLE << LOOKUP_BITS; place++) {
    const { residual, magnitude, length } = whole(symbols, place);
    if (magnitude <= 127) coarse[place] = (residual << 8) | (A_OF[magnitude] << 4) | length;
  }
  for (let place = 0; place < STEPS << LOOKUP_BITS; place++) {
    const { residual, length } = whole(symbols, place + (ODD_TABLE << LOOKUP_BITS));
    odd[place] = (residual << 4) | length;
  }
  return { coarse, odd, symbols, runs };
}

/**
 * The residual that lies whole in the bits, `place` being a table and LOOKUP_BITS bits; else a length of 0.
 * @param {Uint16Array} symbols
 * @param {number} place
 */
function whole(symbols, place) {
  const table = place >> LOOKUP_BITS;
  const bits = place & ((1 << LOOKUP_BITS) - 1);
  const entry = symbols[(table << SYMBOL_BITS) | (bits << (SYMBOL_BITS - LOOKUP_BITS))];
  const symbol = entry >> 4;
  const shift = SHIFTS[table];
  const behind = symbol > 0 || shift > 0 ? shift + 1 : 0;
  const length = (entry & 15) + behind;
  if (symbol === ESCAPE || length > LOOKUP_BITS) return { residual: 0, magnitude: 0, length: 0 };
  const low = (bits >> (LOOKUP_BITS - length)) & ((1 << behind) - 1);
  const magnitude = (symbol << shift) | (low >> 1);
  return { residual: low & 1 ? -magnitude : magnitude, magnitude, length };
}

/**
 * Fill a table by the lengths of its code, which counts up from zero: shorter ones first, then by symbol.
 * @param {Uint16Array} out
 * @param {number} at where the table begins
 * @param {string} digits
 * @param {number} width how many bits are looked up
 */
function fill(out, at, digits, width) {
  [...digits]
    .map((digit, symbol) => ({ symbol, length: parseInt(digit, 16) }))
    .sort((a, b) => a.length - b.length || a.symbol - b.symbol)
    .forEach(({ symbol, length }) => {
      out.fill((symbol << 4) | length, at, (at += 1 << (width - length)));
    });
}

/**
 * @param {number} magnitude
 * @param {number[]} steps
 */
function stepOf(magnitude, steps) {
  let step = 0;
  while (step < steps.length - 2 && magnitude >= steps[step + 1]) step++;
  return step;
}

/**
 * `min(16, floor(1.5 * log2(above / below)))`, in whole numbers: logarithms may differ in their last bit.
 * @param {number} above
 * @param {number} below
 */
function stepOfRatio(above, below) {
  let step = 0;
  while (step < STEPS - 1 && above ** 3 >= 4 ** (step + 1) * below ** 3) step++;
  return step;
}
