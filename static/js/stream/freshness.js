// @ts-check
/** How old data may be before the page says so: H1 of the hazards, a stale trace that looks live. */

import { decimal } from "../i18n.js";

export const LATE_S = 1;
export const STALE_S = 3;
export const LOST_S = 10;

/** @typedef {"waiting" | "live" | "late" | "stale" | "lost"} Freshness */

/**
 * @param {number} ageS age of the newest sample; Infinity when none has come yet
 * @param {number} waitedS seconds since the stream was asked for
 * @returns {Freshness}
 */
export function freshness(ageS, waitedS) {
  if (ageS === Infinity) return waitedS > LOST_S ? "lost" : "waiting";
  if (ageS > LOST_S) return "lost";
  if (ageS > STALE_S) return "stale";
  return ageS > LATE_S ? "late" : "live";
}

/**
 * The age as it is written: tenths up to ten seconds, then seconds, then minutes.
 * @param {number} ageS
 */
export function ageText(ageS) {
  if (!Number.isFinite(ageS)) return "--";
  if (ageS < 10) return `${decimal(ageS, 1)} s`;
  return durationText(ageS);
}

/**
 * `12 s`, `1:05`, `2 h 14 min`.
 * @param {number} seconds
 */
export function durationText(seconds) {
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
