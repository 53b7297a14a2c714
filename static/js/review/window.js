// @ts-check
/** The stretch of time that is looked at: zoomed about a point, moved, and kept within bounds. Times in ms. */

import { zone } from "../i18n.js";

export const LEAST_MS = 400; // a beat
export const DAY_MS = 24 * 3600e3;

/** @typedef {{from: number, to: number}} Span */

/**
 * Of `span` what lies within bounds: moved where it passes one of them, cut where it is longer than both.
 * @param {Span} span
 * @param {Span} bounds
 * @returns {Span}
 */
export function within({ from, to }, bounds) {
  const length = Math.min(Math.max(to - from, LEAST_MS), bounds.to - bounds.from, DAY_MS);
  const begin = Math.min(Math.max(from, bounds.from), bounds.to - length);
  return { from: begin, to: begin + length };
}

/**
 * `factor` times as long, the time `about` where it was.
 * @param {Span} span
 * @param {number} factor
 * @param {number} about
 * @param {Span} bounds
 */
export function zoomed({ from, to }, factor, about, bounds) {
  const length = Math.min(Math.max((to - from) * factor, LEAST_MS), DAY_MS, bounds.to - bounds.from);
  const share = (about - from) / (to - from);
  return within({ from: about - share * length, to: about + (1 - share) * length }, bounds);
}

/**
 * Moved by a share of its length.
 * @param {Span} span
 * @param {number} share
 * @param {Span} bounds
 */
export function moved({ from, to }, share, bounds) {
  const by = share * (to - from);
  return within({ from: from + by, to: to + by }, bounds);
}

const STEPS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 10800, 21600];

/**
 * Times to write at an axis: at most `most` of them, at round times of the day here.
 * @param {Span} span
 * @param {number} most
 */
export function ticksOf({ from, to }, most) {
  const step = 1000 * (STEPS_S.find((seconds) => (to - from) / (1000 * seconds) <= most) ?? 86400);
  const shift = -zone.ahead(from);
  const ticks = [];
  for (let at = Math.ceil((from - shift) / step) * step + shift; at <= to; at += step) ticks.push(at);
  return { step, ticks };
}

/**
 * The time of the day here, as exact as `step` needs it.
 * @param {number} ms
 * @param {number} step
 */
export function timeText(ms, step) {
  const text = zone.time(ms);
  if (step >= 60e3) return text.slice(0, 5);
  return step >= 1000 ? text : `${text}.${Math.floor((ms % 1000) / 100)}`;
}

/** @param {number} ms */
export function dayText(ms) {
  return zone.day(ms);
}

/**
 * Stretches in which there is nothing, between those in which there is.
 * @param {Span} span
 * @param {readonly Span[]} held in order
 * @param {number} least ms below which a hole is rounding
 * @returns {(Span & {closed: boolean})[]} closed: it begins and ends within the span, so that its length is known
 */
export function holes({ from, to }, held, least) {
  const found = [];
  let at = from;
  for (const piece of held) {
    if (piece.from - at > least) found.push({ from: at, to: piece.from, closed: at > from });
    at = Math.max(at, piece.to);
  }
  if (to - at > least) found.push({ from: at, to, closed: false });
  return found;
}
