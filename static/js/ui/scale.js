// @ts-check
/** How many pixels a millimetre, a second and a millivolt have on this screen. */

export const SPEEDS = Object.freeze([6.25, 12.5, 25, 50]); // mm/s
export const GAINS = Object.freeze([2.5, 5, 10, 20]); // mm/mV
const ERASE_MM = 4;
const ERASE_MAX_PX = 16;
const TRACE_PX = 1.5;

/**
 * @typedef {object} Scale
 * @property {number} mm device pixels per millimetre
 * @property {number} second device pixels per second
 * @property {number} microvolt device pixels per microvolt
 * @property {number} erase width of the erase bar, device pixels
 * @property {number} trace width of the line, device pixels
 * @property {number} ratio device pixels per CSS pixel
 */

/**
 * @param {{pxPerMm: number, speed: number, gain: number}} paper CSS pixels per mm, mm/s, mm/mV
 * @param {number} ratio device pixels per CSS pixel
 * @returns {Scale}
 */
export function scaleOf({ pxPerMm, speed, gain }, ratio) {
  const mm = pxPerMm * ratio;
  return {
    mm,
    second: mm * speed,
    microvolt: (mm * gain) / 1000,
    erase: Math.round(Math.min(ERASE_MM * mm, ERASE_MAX_PX * ratio)),
    trace: TRACE_PX * ratio,
    ratio,
  };
}

/**
 * The neighbour of a value in an ordered list, `by` places on; the ends stop it.
 * @param {readonly number[]} list
 * @param {number} value
 * @param {number} by
 */
export function step(list, value, by) {
  const at = list.findIndex((entry) => entry >= value);
  return list[Math.min(Math.max((at < 0 ? list.length - 1 : at) + by, 0), list.length - 1)];
}
