// @ts-check
/** The codes of ECG1: which table a residual has, and look-up tables that tell what the next bits mean. */

import { LENGTHS, RUN_LENGTHS } from "./ecg1-tables.js";

/** A look-up table takes so many bits at a time; the longest code of a run has them all. */
export const LOOKUP_BITS = 12;

/** Tables of a set: those of coarse residuals, two special ones, and those of odd samples. */
const TABLES = 36;
const STEPS = 17;
const FIRST_TABLE = 17;
const BEHIND_RUN_TABLE = 18;
const ODD_TABLE = 19;

export const ESCAPE = 41;
const SETS = 8;

/** What stands for a table where a run follows. */
export const RUN = -1;

/** A magnitude of more says no more about what is to come. */
export const LARGEST = 255;

/** Where the steps of the three magnitudes before a residual begin; the last number is where they end. */
const A_STEPS = [0, 1, 2, 3, 4, 6, 9, 14, 23, 41, 81, 161, 322];
const B_STEPS = [0, 1, 3, 6, 14, 41, 82];
const C_STEPS = [0, 1, 6, 14, 28];

/** By magnitude, at most LARGEST: the number of its step as `a`. */
export const A_OF = Uint8Array.from({ length: LARGEST + 1 }, (_, magnitude) => stepOf(magnitude, A_STEPS));

/**
 * What may be read next, by numbers. Most stand for the steps of the three magnitudes before; of the last
 * two, one is where a row begins, the other where a run has ended.
 * @typedef {object} States
 * @property {number} a what a step of the last magnitude adds to the number
 * @property {Int32Array} tables where the look-up table begins, or RUN
 * @property {Int16Array} aged what is to be added to `a` for the next state
 * @property {Int16Array} alike the state behind the first residual, by the step of its magnitude
 * @property {number} start
 * @property {number} behindRun
 */

/** In full rate the third magnitude does not count. */
export const FULL = statesOf([0], (a, b) => stepOfRatio(3 + 4 * a + 2 * b, 3));
export const HALF = statesOf(C_STEPS, (a, b, c) => stepOfRatio(3 + 3 * a + 2 * b + c, 3));

/**
 * @param {number[]} cSteps
 * @param {(a: number, b: number, c: number) => number} stepOfMiddles from twice the middles, that all is whole
 * @returns {States}
 */
function statesOf(cSteps, stepOfMiddles) {
  const c = Math.max(1, cSteps.length - 1);
  const a = c * (B_STEPS.length - 1);
  const count = a * (A_STEPS.length - 1);
  const [start, behindRun] = [count, count + 1];
  const tables = new Int32Array(count + 2);
  const aged = new Int16Array(count + 2);
  for (let state = 0; state < count; state++) {
    const steps = [Math.floor(state / a), Math.floor((state % a) / c), state % c];
    const middles = [A_STEPS, B_STEPS, cSteps].map((all, at) => all[steps[at]] + all[steps[at] + 1] - 1 || 0);
    const isCalm = steps.every((step) => step === 0);
    tables[state] = isCalm ? RUN : stepOfMiddles(middles[0], middles[1], middles[2]) << LOOKUP_BITS;
    aged[state] = c * stepOf(A_STEPS[steps[0]], B_STEPS) + stepOf(B_STEPS[steps[1]], cSteps);
  }
  tables[start] = FIRST_TABLE << LOOKUP_BITS;
  tables[behindRun] = BEHIND_RUN_TABLE << LOOKUP_BITS;
  const alike = Int16Array.from(
    A_STEPS.slice(0, -1),
    (magnitude, step) => a * step + c * stepOf(magnitude, B_STEPS) + stepOf(magnitude, cSteps),
  );
  return { a, tables, aged, alike, start, behindRun };
}

/**
 * @param {States} states
 * @param {number} state
 * @param {number} a the step of the magnitude of the residual that was read in `state`
 */
export function stateBehind(states, state, a) {
  return state === states.start ? states.alike[a] : a * states.a + states.aged[state];
}

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
 * bits, the A_OF of its magnitude; and the residual. Otherwise: four bits 0; 4 bits, the length of the code; 4 bits, the shift of the
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

// -- several residuals at a time

/** An automaton looks so many bits ahead, for so many residuals at most. */
export const AHEAD_BITS = 9;
export const MOST = 4;
const LARGEST_PACKED = 127;
/** Above the lowest bits of what is told: the state behind, and the place of its entries. */
export const STATE_SHIFT = AHEAD_BITS + 1;

/**
 * What the next AHEAD_BITS bits mean in each state, as far as it was asked for.
 *
 * The two numbers of state `s` and bits `b` are at `(s << STATE_SHIFT) + 2 * b`. The first is 0 before the first
 * question, and -1 where not even one residual of a byte lies in the bits. Otherwise it has, from its lowest bit on:
 * 3 bits, the number of residuals; 4 bits, how many bits they have; and at STATE_SHIFT the state behind. The second
 * has the residuals, a byte each.
 * @typedef {object} Automaton
 * @property {States} states
 * @property {Int32Array} entries
 * @property {Int32Array} residuals
 * @property {Uint16Array} runs
 */

/** @type {Map<number, Automaton>} */
const fulls = new Map();
/** @type {Map<number, Automaton>} */
const halves = new Map();

/**
 * @param {number} set
 * @param {boolean} isHalf
 */
export function automatonOf(set, isHalf) {
  const made = isHalf ? halves : fulls;
  let automaton = made.get(set);
  if (!automaton) {
    const states = isHalf ? HALF : FULL;
    const entries = new Int32Array(states.tables.length << STATE_SHIFT);
    automaton = { states, entries, residuals: residualsOf(set), runs: runsOf(set) };
    made.set(set, automaton);
  }
  return automaton;
}

/**
 * Find out what lies in the bits of a place, and note it there; whether it is anything.
 *
 * A run of no zeros is taken together with the residual behind it alone: where a row ends, none is sent.
 * @param {Automaton} automaton
 * @param {number} place
 */
export function findEntry({ states, entries, residuals, runs }, place) {
  const bits = (place >> 1) & ((1 << AHEAD_BITS) - 1);
  let state = place >> STATE_SHIFT;
  let left = AHEAD_BITS;
  let count = 0;
  let packed = 0;
  entries[place] = -1;
  while (count < MOST) {
    const ahead = (bits << (LOOKUP_BITS - left)) & ((1 << LOOKUP_BITS) - 1);
    const table = states.tables[state];
    if (table === RUN) {
      const entry = runs[ahead];
      const run = entry >> 4;
      left -= entry & 15;
      if (left < 0 || run > MOST - count) break;
      count += run;
      state = states.behindRun;
      if (run === 0) continue;
    } else {
      const entry = residuals[table + ahead];
      const residual = entry >> 16;
      left -= entry & 15;
      if ((entry & 15) === 0 || left < 0 || Math.abs(residual) > LARGEST_PACKED) break;
      packed |= (residual & 0xff) << (8 * count++);
      state = stateBehind(states, state, (entry >> 4) & 0xfff);
    }
    entries[place] = (state << STATE_SHIFT) | ((AHEAD_BITS - left) << 3) | count;
    entries[place + 1] = packed;
  }
  return entries[place] > 0;
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
