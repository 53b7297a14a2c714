// @ts-check
/** The vectors that the Python tests read too, and what the tests make of them. */

import { readFileSync } from "node:fs";

/** @param {"frames" | "waveforms" | "ecg1" | "messages"} name @returns {Record<string, any[]>} */
export function vectors(name) {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), "utf8"));
}

/** @param {string} hex */
export function fromHex(hex) {
  return new Uint8Array(Buffer.from(hex, "hex"));
}

/** @param {Uint8Array} bytes */
export function toHex(bytes) {
  return Buffer.from(bytes).toString("hex");
}

/**
 * CRC-32 of samples, as zlib has it.
 * @param {Int16Array | Int32Array} samples
 */
export function crc32(samples) {
  let rest = -1;
  for (const byte of new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength)) {
    rest ^= byte;
    for (let bit = 0; bit < 8; bit++) rest = (rest >>> 1) ^ (rest & 1 ? 0xedb88320 : 0);
  }
  return ~rest >>> 0;
}

/**
 * Of frames that have every sample of these leads: how they lie in a ring.
 * @param {number} leads
 * @param {{gain_uv?: number, baseline?: number}} [scale] a microvolt a step, unless told otherwise
 */
export function lossless(leads, { gain_uv = 1, baseline = 0 } = {}) {
  const signals = Array.from({ length: leads }, (_, lead) => ({ lead, gain_uv, baseline }));
  return { factor: 1, signals, unsent: /** @type {number[]} */ ([]) };
}

/**
 * Reproducible numbers in [0, 1): mulberry32, whose whole state is one 32-bit integer.
 * @param {number} seed
 */
export function randomOf(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * `bytes` with a few of them changed, left out or put in.
 * @param {Uint8Array} bytes
 * @param {() => number} random
 */
export function mutated(bytes, random) {
  const copy = [...bytes];
  for (let changes = 1 + Math.floor(random() * 4); changes > 0; changes--) {
    const at = Math.floor(random() * copy.length);
    const byte = Math.floor(random() * 256);
    copy.splice(at, random() < 0.7 ? 1 : 0, ...(random() < 0.8 ? [byte] : []));
  }
  return new Uint8Array(copy);
}
