// @ts-check
/** What a lost connection asks for: try again, when, or not at all. */

/** An operator has ended the connection. */
export const CUT = 4014;
const FIRST_S = 0.5;
const CAP_S = 30;
const RETRY_AFTER_DEFAULT_S = 1; // when the `bye` before a 4000-4099 got lost

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
 * A close of 4000-4099 adds it to the time that the server's `bye` named.
 * @param {number} code the close code
 * @param {number} attempt number of the attempt in a row of failures, from 0
 * @param {number | null} retryAfterMs of the `bye`; null when none came, or it named no time
 * @param {number} random uniform in [0, 1)
 */
export function delayOf(code, attempt, retryAfterMs, random) {
  const jitterS = random * Math.min(CAP_S, FIRST_S * 2 ** attempt);
  if (code < 4000 || code > 4099) return jitterS;
  return (retryAfterMs === null ? RETRY_AFTER_DEFAULT_S : retryAfterMs / 1000) + jitterS;
}
