// @ts-check
/** The codes of ECG1: which table a residual has, and look-up tables that tell what the next bits mean. */

import { LENGTHS, RUN_LENGTHS } from "./ecg1-tables.js";

/** A look-up table takes so many bits at a time; the longest code of a run has them all. */
export const LOOKUP_BITS = 12;

/** Tables of a set: those of coarse residuals, two special ones, and those of odd samples. */
const TABLES = 36;
const STEPS = 17;
export const FIRST_TABLE = 17;
export const BEHIND_RUN_TABLE = 18;
export const ODD_TABLE = 19;

export const ESCAPE = 41;
export const SETS = 8;

/** Where the steps of the three magnitudes before a residual begin; the last number is where they end. */
const A_STEPS = [0, 1, 2, 3, 4, 6, 9, 14, 23, 41, 81, 161, 322];
const B_STEPS = [0, 1, 3, 6, 14, 41, 82];
const C_STEPS = [0, 1, 6, 14, 28];
const B_COUNT = B_STEPS.length - 1;
const C_COUNT = C_STEPS.length - 1;
const CONTEXTS = (A_STEPS.length - 1) * B_COUNT * C_COUNT;

/** A context is `a * A_UNIT + b * B_UNIT + c`, of the numbers of three steps. */
const A_UNIT = B_COUNT * C_COUNT;
const B_UNIT = C_COUNT;

/** What stands for a table where a run follows. */
export const RUN = -1;

export const LARGEST = 255;
/** By magnitude, at most LARGEST: the number of its step as `a`, in contexts. */
export const A_OF = Int16Array.from({ length: LARGEST + 1 }, (_, magnitude) => A_UNIT * stepOf(magnitude, A_STEPS));
/** By magnitude, at most LARGEST: the context behind the first residual. */
export const ALIKE = Int16Array.from(A_OF, (a, magnitude) => a + B_UNIT * stepOf(magnitude, B_STEPS) + stepOf(magnitude, C_STEPS));

/** By context: what it adds to the next one, where its `a` has become `b`, and `b` `c`. */
export const AGED = Int16Array.from({ length: CONTEXTS }, (_, context) => {
  const { a, b } = stepsOf(context);
  return B_UNIT * stepOf(A_STEPS[a], B_STEPS) + stepOf(B_STEPS[b], C_STEPS);
});

/** By context: where the look-up table of the next residual begins, or RUN; in full rate, and in half rate. */
export const FULL_TABLES = tablesOf(false);
export const HALF_TABLES = tablesOf(true);

/** By the weighted sum of four bends: where the look-up table of the odd sample between them begins. */
export const ODD_TABLES = Int32Array.from(
  { length: 6 * LARGEST + 1 },
  (_, sum) => (ODD_TABLE + stepOfRatio(3 + sum, 3)) << LOOKUP_BITS,
);

/** By table: how many of its low bits a residual has behind its code. */
const SHIFTS = Uint8Array.from({ length: TABLES }, (_, table) => {
  if (table === FIRST_TABLE || table === BEHIND_RUN_TABLE) return 0;
  const step = table < STEPS ? table : table - ODD_TABLE;
  return Math.floor(Math.log2(Math.max((2 ** (step / 1.5) - 1) / 4, 7) / 7));
});

/** @type {(Int32Array | undefined)[]} */
const residuals = new Array(SETS).fill(undefined);
/** @type {(Uint16Array | undefined)[]} */
const runs = new Array(SETS).fill(undefined);

/**
 * What the next LOOKUP_BITS bits mean in a table of the set; table `t` begins at `t << LOOKUP_BITS`.
 *
 * Where they hold a whole residual, an entry has, from its lowest bit on: 4 bits, how many bits it has; 12
 * bits, its A_OF; and the residual. Otherwise: four bits 0; 4 bits, the length of the code; 4 bits, the shift of the
 * table; and the symbol.
 * @param {number} set
 */
export function residualsOf(set) {
  return (residuals[set] ??= residualLookup(set));
}

/**
 * What the next LOOKUP_BITS bits mean where a run is told: 4 bits, the length of the code; and the symbol.
 * @param {number} set
 */
export function runsOf(set) {
  return (runs[set] ??= runLookup(set));
}

/** @param {number} set */
function residualLookup(set) {
  const lookup = new Int32Array(TABLES << LOOKUP_BITS);
  const lines = LENGTHS.trim().split("\n").slice(set * TABLES, (set + 1) * TABLES);
  lines.forEach((line, table) => {
    const shift = SHIFTS[table];
    let at = table << LOOKUP_BITS;
    for (const { symbol, length } of canonical(line)) {
      const rest = LOOKUP_BITS - length;
      const bits = shift + (shift > 0 || symbol > 0 ? 1 : 0);
      for (let low = 0; low < 1 << rest; low++) {
        lookup[at++] =
          symbol === ESCAPE || bits > rest
            ? (symbol << 12) | (shift << 8) | (length << 4)
            : direct(symbol, shift, low >>> (rest - bits), length + bits);
      }
    }
  });
  return lookup;
}

/**
 * @param {number} symbol
 * @param {number} shift
 * @param {number} bits low bits and sign
 * @param {number} length of all
 */
function direct(symbol, shift, bits, length) {
  const signed = shift > 0 || symbol > 0;
  const magnitude = (symbol << shift) | (signed ? bits >>> 1 : 0);
  const residual = signed && bits & 1 ? -magnitude : magnitude;
  return (residual << 16) | (A_OF[Math.min(magnitude, LARGEST)] << 4) | length;
}

/** @param {number} set */
function runLookup(set) {
  const lookup = new Uint16Array(1 << LOOKUP_BITS);
  let at = 0;
  for (const { symbol, length } of canonical(RUN_LENGTHS.trim().split("\n")[set])) {
    lookup.fill((symbol << 4) | length, at, (at += 1 << (LOOKUP_BITS - length)));
  }
  return lookup;
}

/**
 * The symbols in the order of their codes, which count up from zero.
 * @param {string} digits
 */
function canonical(digits) {
  return [...digits]
    .map((digit, symbol) => ({ symbol, length: parseInt(digit, 16) }))
    .sort((a, b) => a.length - b.length || a.symbol - b.symbol);
}

/** @param {boolean} half */
function tablesOf(half) {
  return Int32Array.from({ length: CONTEXTS }, (_, context) => {
    const { a, b, c } = stepsOf(context);
    if (a === 0 && b === 0 && (c === 0 || !half)) return RUN;
    // Twice the middles, so that all is whole.
    const [A, B, C] = [twiceMiddle(a, A_STEPS), twiceMiddle(b, B_STEPS), twiceMiddle(c, C_STEPS)];
    const step = half ? stepOfRatio(3 + 3 * A + 2 * B + C, 3) : stepOfRatio(3 + 4 * A + 2 * B, 3);
    return step << LOOKUP_BITS;
  });
}

/** @param {number} context */
function stepsOf(context) {
  return { a: Math.floor(context / A_UNIT), b: Math.floor((context % A_UNIT) / B_UNIT), c: context % B_UNIT };
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
 * @param {number} step
 * @param {number[]} steps
 */
function twiceMiddle(step, steps) {
  return steps[step] + steps[step + 1] - 1;
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
