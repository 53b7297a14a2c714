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
 * @param {Uint8Array} [dictionary] what the stream may refer to, as if it stood before it
 */
export function inflateInto(body, out, dictionary) {
  const size = body.length < SHORTEST ? -1 : tryInflate(body, out, dictionary);
  if (size < 0) throw new ProtocolError("data is not raw deflate");
  // fflate does not say where the stream ended. Without its last byte a complete stream must fail; it
  // does so after writing the same bytes again.
  if (tryInflate(body.subarray(0, -1), out, dictionary) >= 0) throw new ProtocolError("data goes on behind its end");
  return size;
}

/**
 * @param {Uint8Array} body
 * @param {Uint8Array} out
 * @param {Uint8Array} [dictionary]
 * @returns {number} -1 when it is not a deflate stream
 */
function tryInflate(body, out, dictionary) {
  try {
    return inflateSync(body, { out, dictionary }).length;
  } catch {
    return -1;
  }
}
