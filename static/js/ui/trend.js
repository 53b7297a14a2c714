// @ts-check
/** The heart-rate chart of one patient: a line over the time since the page knows it, broken where it was unknown. */

import { t } from "../i18n.js";
import { HeartRateTrend } from "../stream/trend.js";
import { durationText } from "../stream/freshness.js";
import { mark, pick, write } from "./dom.js";

const LEAST_SPAN_S = 300;
const LEAST_LOW = 40; // bpm
const LEAST_HIGH = 140;
const POINTS = 300; // across the chart; more cannot be told apart
const REDRAW_S = 1;

export class TrendChart {
  #parts;
  #drawnAt = -Infinity;

  /** @param {Element} element */
  constructor(element) {
    const part = (/** @type {string} */ name) => pick(element, `[data-part="${name}"]`, Element);
    this.#parts = {
      line: part("trend-line"),
      high: part("trend-high"),
      low: part("trend-low"),
      from: part("trend-from"),
      range: part("trend-range"),
      limitLow: part("trend-limit-low"),
      limitHigh: part("trend-limit-high"),
    };
  }

  /**
   * @param {HeartRateTrend} trend
   * @param {number} now
   * @param {{hr_low?: number | null, hr_high?: number | null}} limits beats a minute
   */
  update(trend, now, { hr_low, hr_high }) {
    if (now - this.#drawnAt < REDRAW_S || trend.last < 0) return;
    this.#drawnAt = now;
    const until = Math.floor(now);
    const span = Math.max(until - trend.first + 1, LEAST_SPAN_S);
    let low = Infinity;
    let high = -Infinity;
    for (let second = trend.first; second <= trend.last; second++) {
      const value = trend.at(second);
      if (value < low) low = value;
      if (value > high) high = value;
    }
    const bottom = Math.min(LEAST_LOW, Math.floor(Math.min(low, hr_low ?? Infinity) / 20) * 20);
    const top = Math.max(LEAST_HIGH, Math.ceil(Math.max(high, hr_high ?? -Infinity) / 20) * 20);
    mark(this.#parts.line, "d", linePath(trend, until, span, bottom, top));
    const lines = /** @type {const} */ ([[this.#parts.limitLow, hr_low], [this.#parts.limitHigh, hr_high]]);
    for (const [line, limit] of lines) {
      const y = 100 * (1 - ((limit ?? 0) - bottom) / (top - bottom));
      mark(line, "d", limit == null ? null : `M0 ${y.toFixed(1)}L1000 ${y.toFixed(1)}`);
    }
    write(this.#parts.high, String(top));
    write(this.#parts.low, String(bottom));
    write(this.#parts.from, `−${durationText(span)}`);
    write(this.#parts.range, low <= high ? rangeText(Math.round(low), Math.round(high)) : "");
  }
}

/**
 * @param {number} low bpm
 * @param {number} high bpm
 */
export function rangeText(low, high) {
  return `${low === high ? low : `${low}–${high}`} ${t("bpm")}`;
}

/**
 * The line in a box of 1000 x 100 whose right edge is now.
 * @param {HeartRateTrend} trend
 * @param {number} until the second that is now
 * @param {number} span seconds across the box
 * @param {number} bottom bpm
 * @param {number} top bpm
 */
export function linePath(trend, until, span, bottom, top) {
  const every = Math.max(1, Math.floor(span / POINTS));
  let path = "";
  let open = false;
  for (let second = until - span + 1; second <= until; second++) {
    const value = trend.at(second);
    if (Number.isNaN(value)) {
      open = false;
      continue;
    }
    if (open && second % every !== 0) continue;
    const x = 1000 * (1 - (until - second) / (span - 1));
    const y = 100 * (1 - (value - bottom) / (top - bottom));
    path += `${open ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    open = true;
  }
  return path;
}
