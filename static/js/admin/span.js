// @ts-check
/** A stretch of time in Unix seconds, and how zooming moves it. Pure. */

/** @typedef {{start: number, stop: number}} Span */

export const LEAST_S = 300;
/** Ten years: what the server answers. */
export const MOST_S = 3650 * 86_400;

/**
 * Half of it, about its middle or about a moment.
 * @param {Span} span
 * @param {number} [about]
 * @returns {Span}
 */
export function closer(span, about) {
  return about === undefined ? scaled(span, 0.5) : scaled(span, 0.5, about);
}

/**
 * Twice of it; what lies after `now` is left out.
 * @param {Span} span
 * @param {number} now
 * @returns {Span}
 */
export function wider(span, now) {
  return until(scaled(span, 2), now);
}

/**
 * Half a screen before.
 * @param {Span} span
 * @returns {Span}
 */
export function earlier(span) {
  const half = (span.stop - span.start) / 2;
  return { start: span.start - half, stop: span.stop - half };
}

/**
 * Half a screen after, and no later than `now`.
 * @param {Span} span
 * @param {number} now
 * @returns {Span}
 */
export function later(span, now) {
  const half = (span.stop - span.start) / 2;
  return until({ start: span.start + half, stop: span.stop + half }, now);
}

/**
 * What was drawn on a chart, but not less than a chart can show.
 * @param {number} one
 * @param {number} other
 * @returns {Span}
 */
export function between(one, other) {
  const span = { start: Math.min(one, other), stop: Math.max(one, other) };
  return scaled(span, Math.max(1, LEAST_S / Math.max(1, span.stop - span.start)));
}

/**
 * What a chart shows of times from one to another: an hour about a single one, of which uPlot would make years.
 * @param {number | null} least
 * @param {number | null} most
 * @returns {[number | null, number | null]}
 */
export function moments(least, most) {
  return least !== null && least === most ? [least - 1800, least + 1800] : [least, most];
}

/**
 * @param {Span} span
 * @param {number} factor
 * @param {number} [about]
 * @returns {Span}
 */
function scaled(span, factor, about = (span.start + span.stop) / 2) {
  const half = Math.min(MOST_S, Math.max(LEAST_S, (span.stop - span.start) * factor)) / 2;
  return { start: about - half, stop: about + half };
}

/**
 * @param {Span} span
 * @param {number} now
 * @returns {Span}
 */
function until(span, now) {
  const over = Math.max(0, span.stop - now);
  return { start: span.start - over, stop: span.stop - over };
}
