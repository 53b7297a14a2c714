// @ts-check
/** Raw deflate (RFC 1951) of one whole message, inflated at once into room that the caller bounds. */

import { ProtocolError } from "./protocol-error.js";

const LONGEST_CODE = 15;
const END = 256; // of a block
const LENGTH_CODES = 29;
const DISTANCE_CODES = 30;
/** In this order a block tells how long the codes are that its codes' lengths are told in. */
const LENGTHS_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const NONE = new Uint8Array();

const LENGTH_EXTRA = Uint8Array.from({ length: LENGTH_CODES }, (_, code) => (code < 8 || code === 28 ? 0 : (code >> 2) - 1));
const LENGTH_BASE = basesOf(LENGTH_EXTRA, 3);
LENGTH_BASE[28] = 258;
const DISTANCE_EXTRA = Uint8Array.from({ length: DISTANCE_CODES }, (_, code) => (code < 4 ? 0 : (code >> 1) - 1));
const DISTANCE_BASE = basesOf(DISTANCE_EXTRA, 1);

/**
 * What may come next, by the bits that come next: the symbol times 16, plus the length of its code; 0 where no code begins so.
 * @typedef {{mask: number, entries: Uint16Array}} Codes
 */

/** @type {{literals: Codes, distances: Codes} | null} */
let fixed = null;

/**
 * Inflate `body` into `out`, and return the number of bytes written. Give `out` one byte more than is
 * expected: what would overflow it is cut off, and only the full length tells.
 * @param {Uint8Array} body
 * @param {Uint8Array} out
 * @param {Uint8Array} [dictionary] what the stream may refer to, as if it stood before it
 */
export function inflateInto(body, out, dictionary = NONE) {
  const bits = new Bits(body);
  let at = 0;
  let isLast = false;
  while (!isLast) {
    isLast = bits.take(1) === 1;
    const kind = bits.take(2);
    if (kind === 0) {
      const stored = bits.takeBytes();
      const fitting = Math.min(stored.length, out.length - at);
      out.set(stored.subarray(0, fitting), at);
      at += fitting;
      if (fitting < stored.length) return at;
      continue;
    }
    if (kind === 3) throw malformed();
    const { literals, distances } = kind === 1 ? (fixed ??= fixedCodes()) : readCodes(bits);
    for (;;) {
      const symbol = bits.symbol(literals);
      if (symbol === END) break;
      if (at === out.length) return at;
      if (symbol < END) {
        out[at++] = symbol;
        continue;
      }
      const code = symbol - END - 1;
      if (code >= LENGTH_CODES) throw malformed();
      const stop = Math.min(at + LENGTH_BASE[code] + bits.take(LENGTH_EXTRA[code]), out.length);
      const far = bits.symbol(distances);
      if (far >= DISTANCE_CODES) throw malformed();
      let from = at - DISTANCE_BASE[far] - bits.take(DISTANCE_EXTRA[far]);
      if (from < -dictionary.length) throw malformed();
      while (from < 0 && at < stop) out[at++] = dictionary[dictionary.length + from++];
      while (at < stop) out[at++] = out[from++]; // may read what it has just written: a run
    }
  }
  if (bits.bytes !== body.length) throw new ProtocolError("data goes on behind its end");
  return at;
}

/** Bits from the lowest of each byte on. Behind the data zeros may be looked at, but not taken. */
class Bits {
  #data;
  #at = 0;
  #end;

  /** @param {Uint8Array} data */
  constructor(data) {
    this.#data = data;
    this.#end = 8 * data.length;
  }

  /** How many bytes were begun. */
  get bytes() {
    return (this.#at + 7) >> 3;
  }

  /** At least 17 bits that come next. */
  #next() {
    const data = this.#data;
    const byte = this.#at >> 3;
    if (byte + 2 < data.length) return (data[byte] | (data[byte + 1] << 8) | (data[byte + 2] << 16)) >> (this.#at & 7);
    return ((data[byte] ?? 0) | ((data[byte + 1] ?? 0) << 8)) >> (this.#at & 7);
  }

  /** @param {number} count at most 16 */
  take(count) {
    const value = this.#next() & ((1 << count) - 1);
    this.#advance(count);
    return value;
  }

  /** @param {Codes} codes */
  symbol({ mask, entries }) {
    const entry = entries[this.#next() & mask];
    if (entry === 0) throw malformed();
    this.#advance(entry & 15);
    return entry >> 4;
  }

  /** The bytes of a stored block, after their number and its complement. */
  takeBytes() {
    this.#at = 8 * this.bytes;
    const count = this.take(16);
    if ((count ^ this.take(16)) !== 0xffff) throw malformed();
    const first = this.#at >> 3;
    this.#advance(8 * count);
    return this.#data.subarray(first, first + count);
  }

  /** @param {number} count */
  #advance(count) {
    this.#at += count;
    if (this.#at > this.#end) throw malformed();
  }
}

/**
 * The codes that a block brings along.
 * @param {Bits} bits
 */
function readCodes(bits) {
  const literals = bits.take(5) + END + 1;
  const distances = bits.take(5) + 1;
  if (literals > END + 1 + LENGTH_CODES || distances > DISTANCE_CODES) throw malformed();
  const lengthsLengths = new Uint8Array(LENGTHS_ORDER.length);
  const told = bits.take(4) + 4;
  for (let at = 0; at < told; at++) lengthsLengths[LENGTHS_ORDER[at]] = bits.take(3);
  const coding = codesOf(lengthsLengths, false);
  const lengths = new Uint8Array(literals + distances);
  for (let at = 0; at < lengths.length; ) {
    const symbol = bits.symbol(coding);
    if (symbol < 16) {
      lengths[at++] = symbol;
      continue;
    }
    if (symbol === 16 && at === 0) throw malformed();
    const repeated = symbol === 16 ? lengths[at - 1] : 0;
    const stop = at + (symbol === 16 ? 3 + bits.take(2) : symbol === 17 ? 3 + bits.take(3) : 11 + bits.take(7));
    if (stop > lengths.length) throw malformed();
    lengths.fill(repeated, at, stop);
    at = stop;
  }
  if (lengths[END] === 0) throw malformed(); // it could never end
  return { literals: codesOf(lengths.subarray(0, literals), true), distances: codesOf(lengths.subarray(literals), true) };
}

function fixedCodes() {
  const lengths = new Uint8Array(288).fill(8).fill(9, 144, 256).fill(7, 256, 280);
  return { literals: codesOf(lengths, false), distances: codesOf(new Uint8Array(32).fill(5), false) };
}

/**
 * The canonical codes of symbols whose codes are so long; 0: the symbol has none.
 * @param {Uint8Array} lengths
 * @param {boolean} mayLack whether there may be no code at all, or a single one of one bit
 * @returns {Codes}
 */
function codesOf(lengths, mayLack) {
  const counts = new Uint16Array(LONGEST_CODE + 1);
  for (const length of lengths) counts[length]++;
  counts[0] = 0;
  const next = new Uint16Array(LONGEST_CODE + 2);
  let longest = 0;
  for (let length = 1; length <= LONGEST_CODE; length++) {
    if (counts[length] > 0) longest = length;
    next[length + 1] = (next[length] + counts[length]) << 1;
    if (next[length] + counts[length] > 1 << length) throw malformed(); // more codes than there are
  }
  const isComplete = longest > 0 && next[longest] + counts[longest] === 1 << longest;
  if (!isComplete && !(mayLack && longest <= 1)) throw malformed();
  const entries = new Uint16Array(1 << longest);
  for (let symbol = 0; symbol < lengths.length; symbol++) {
    const length = lengths[symbol];
    if (length === 0) continue;
    // A code comes with its highest bit first.
    const entry = (symbol << 4) | length;
    for (let at = reversed(next[length]++, length); at < entries.length; at += 1 << length) entries[at] = entry;
  }
  return { mask: entries.length - 1, entries };
}

/**
 * @param {number} code
 * @param {number} length
 */
function reversed(code, length) {
  let result = 0;
  for (let bit = 0; bit < length; bit++) result |= ((code >> bit) & 1) << (length - 1 - bit);
  return result;
}

/**
 * @param {Uint8Array} extra
 * @param {number} first
 */
function basesOf(extra, first) {
  const bases = new Uint16Array(extra.length);
  for (let code = 0, base = first; code < extra.length; base += 1 << extra[code++]) bases[code] = base;
  return bases;
}

function malformed() {
  return new ProtocolError("data is not raw deflate");
}
