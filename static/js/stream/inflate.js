// @ts-check
/** Raw deflate of one whole message, inflated into room that the caller bounds. */

import { inflateSync } from "../../vendor/fflate/browser.js";
import { ProtocolError } from "./protocol-error.js";

const SHORTEST = 2; // an empty block with fixed codes has 10 bits

/**
 * Inflate `body` into `out`, and return the number of bytes written. Give `out` one byte more than is
 * expected: what would overflow it is cut off, and only the full length tells.
 * @param {Uint8Array} body
 * @param {Uint8Array} out
 */
export function inflateInto(body, out) {
  const size = body.length < SHORTEST ? -1 : tryInflate(body, out);
  if (size < 0) throw new ProtocolError("data is not raw deflate");
  // fflate does not say where the stream ended. Without its last byte a complete stream must fail; it
  // does so after writing the same bytes again.
  if (tryInflate(body.subarray(0, -1), out) >= 0) throw new ProtocolError("data goes on behind its end");
  return size;
}

/**
 * @param {Uint8Array} body
 * @param {Uint8Array} out
 * @returns {number} -1 when it is not a deflate stream
 */
function tryInflate(body, out) {
  try {
    return inflateSync(body, { out }).length;
  } catch {
    return -1;
  }
}
