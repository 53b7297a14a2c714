// @ts-check
/** Payloads from standard input, a list in hexadecimal: prints a list of their samples' CRC-32, or null for a refused one. */

import { readFileSync } from "node:fs";

import { decode } from "../../static/js/ecg/codec.js";
import { ProtocolError } from "../../static/js/stream/protocol-error.js";
import { crc32, fromHex } from "./vectors.js";

/** @type {string[]} */
const payloads = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(payloads.map(verdict)));

/** @param {string} hex */
function verdict(hex) {
  try {
    return crc32(decode(fromHex(hex)).data);
  } catch (error) {
    if (error instanceof ProtocolError) return null;
    throw error;
  }
}
