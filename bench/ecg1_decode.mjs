// @ts-check
/**
 * How long the page's decoder takes for payloads, and JSON.parse for the same samples as compact text.
 *
 * `node bench/ecg1_decode.mjs FILE`: the file is a JSON object of cases, each a list of messages: the payload in
 * hexadecimal, and the text. Prints one JSON object a line for each case. A call is timed by itself; of both
 * kinds in turn.
 */

import { readFileSync } from "node:fs";

import { decode } from "../static/js/ecg/codec.js";

const WARM_UP_CALLS = 2000;
const CALLS = 10_000;

/** @type {Record<string, [string, string][]>} */
const cases = JSON.parse(readFileSync(process.argv[2], "utf8"));
for (const [name, messages] of Object.entries(cases)) {
  const payloads = messages.map(([hex]) => new Uint8Array(Buffer.from(hex, "hex")));
  const texts = messages.map(([, text]) => text);
  timed(payloads, texts, WARM_UP_CALLS);
  const { decoding, parsing } = timed(payloads, texts, CALLS);
  console.log(
    JSON.stringify({
      name,
      median_us: quantile(decoding, 0.5),
      p99_us: quantile(decoding, 0.99),
      json_parse_us: quantile(parsing, 0.5),
    }),
  );
}

/**
 * Microseconds of each call.
 * @param {Uint8Array[]} payloads
 * @param {string[]} texts
 * @param {number} calls
 */
function timed(payloads, texts, calls) {
  const decoding = new Float64Array(calls);
  const parsing = new Float64Array(calls);
  for (let call = 0; call < calls; call++) {
    const at = call % payloads.length;
    const began = performance.now();
    decode(payloads[at]);
    const between = performance.now();
    JSON.parse(texts[at]);
    const ended = performance.now();
    decoding[call] = 1000 * (between - began);
    parsing[call] = 1000 * (ended - between);
  }
  return { decoding, parsing };
}

/**
 * @param {Float64Array} values
 * @param {number} share
 */
function quantile(values, share) {
  const sorted = values.toSorted();
  return Math.round(1000 * sorted[Math.floor(share * (sorted.length - 1))]) / 1000;
}
