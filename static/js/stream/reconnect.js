// @ts-check
/** What a lost connection asks for: try again, when, or not at all. */

const FIRST_S = 0.5;
const CAP_S = 30;

/** @typedef {"signed-out" | "forbidden" | "refused"} Final  why trying again is of no use */

/**
 * What the close code says, by vital.v1's three ranges.
 * @param {number} code
 * @returns {Final | null} null: reconnect
 */
export function finalState(code) {
  if (code < 4400 || code > 4499) return null;
  if (code === 4401) return "signed-out";
  return code === 4403 ? "forbidden" : "refused";
}

/**
 * Seconds until the next attempt: full jitter, so that a thousand pages do not come back in one second.
 * @param {number} attempt failed attempts so far
 * @param {number} notBeforeS what the server asked for in its `bye`, or 0
 * @param {number} random uniform in [0, 1)
 */
export function delayOf(attempt, notBeforeS, random) {
  return notBeforeS + random * Math.min(CAP_S, FIRST_S * 2 ** attempt);
}
