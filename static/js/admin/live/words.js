// @ts-check
/** Figures as people read them: a unit, few digits, and two dashes for what is not known. Pure. */

export const UNKNOWN = "--";

/** @typedef {number | null | undefined} Figure */

/** @param {Figure} value @param {number} [digits] */
export function count(value, digits = 0) {
  return known(value) ? value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }) : UNKNOWN;
}

/** Decimal units. @param {Figure} bytes */
export function size(bytes) {
  if (!known(bytes)) return UNKNOWN;
  if (bytes < 1000) return `${Math.round(bytes)} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** @param {Figure} bytes */
export function perSecond(bytes) {
  return known(bytes) ? `${size(bytes)}/s` : UNKNOWN;
}

/** @param {Figure} ms */
export function milliseconds(ms) {
  return known(ms) ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : UNKNOWN;
}

/** @param {Figure} share 0 to 1 */
export function percent(share) {
  return known(share) ? `${(100 * share).toFixed(1)} %` : UNKNOWN;
}

/** Two units at most. @param {Figure} seconds */
export function lasting(seconds) {
  if (!known(seconds)) return UNKNOWN;
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

/** @param {number} n @param {string} noun */
export function counted(n, noun) {
  return `${count(n)} ${noun}${n === 1 ? "" : "s"}`;
}

/** @param {Figure} value @returns {value is number} */
function known(value) {
  return typeof value === "number" && Number.isFinite(value);
}
