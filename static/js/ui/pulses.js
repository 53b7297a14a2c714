// @ts-check
/** What an alarm of each severity sounds like, and when it is due: a burst of pulses, repeated. */

/** @typedef {import("../stream/messages.js").Severity} Severity */
/** @typedef {{at: number, hz: number, seconds: number}} Pulse `at` seconds after the burst begins; `hz` is the fundamental */
/** @typedef {{pulses: readonly Pulse[], everyS: number}} Burst */

/**
 * @param {readonly (readonly [at: number, hz: number])[]} steps
 * @param {number} seconds
 */
const pulses = (steps, seconds) => steps.map(([at, hz]) => Object.freeze({ at, hz, seconds }));

/** Five pulses, three and two. @param {number} from */
const five = (from) => [0, 0.22, 0.44, 0.88, 1.1].map((at) => /** @type {const} */ ([from + at, 587]));

/**
 * After the habits of IEC 60601-1-8, with which VITAL claims no conformance: ten pulses as 3-2, 3-2 for high, three slower
 * ones for medium, two that fall for low, one for technical; fundamentals of 150 to 1000 Hz. Pitch, rhythm and pause
 * differ, so that any of them tells which it is.
 * @type {Readonly<Record<Severity, Burst>>}
 */
export const BURSTS = Object.freeze({
  high: { pulses: pulses([...five(0), ...five(1.98)], 0.14), everyS: 5 },
  medium: { pulses: pulses([[0, 440], [0.4, 440], [0.8, 440]], 0.2), everyS: 10 },
  low: { pulses: pulses([[0, 349], [0.45, 262]], 0.22), everyS: 20 },
  technical: { pulses: pulses([[0, 294]], 0.3), everyS: 20 },
});

/** Which burst is due: the first one at once, the same again after its time; a graver one does not wait for it. */
export class Rhythm {
  /** @type {Severity | null} */ #severity = null;
  #dueAt = -Infinity;

  /**
   * @param {Severity | null} severity what is to be heard
   * @param {number} now seconds
   * @returns {Burst | "stop" | null} to begin now, or that what sounds is to end; null: nothing changes
   */
  next(severity, now) {
    const changed = severity !== this.#severity;
    this.#severity = severity;
    if (severity === null) return changed ? "stop" : null;
    if (!changed && now < this.#dueAt) return null;
    const burst = BURSTS[severity];
    this.#dueAt = now + burst.everyS;
    return burst;
  }
}
