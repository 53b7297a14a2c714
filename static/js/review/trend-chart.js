// @ts-check
/** The heart rate of hours: its mean, a band from the lowest to the highest, limits, alarms, and what was not stored. */

import { t } from "../i18n.js";
import { durationText } from "../stream/freshness.js";
import { MARKS } from "../ui/alarm-words.js";
import { ticksOf, timeText } from "./window.js";

/** @typedef {import("./window.js").Span} Span */
/** @typedef {[ms: number, low: number | null, mean: number | null, high: number | null, counted: number | null]} Minute */
/** @typedef {{minutes: Minute[], limits: {low: number, high: number}}} Trend */
/** @typedef {{alarm: string, severity: "high" | "medium" | "low" | "technical", raised_ms: number, text: string}} Event */

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 40;
const RIGHT = 12;
const TOP = 26; // alarms stand above
const BOTTOM = 34; // quality and times stand below
export const LEAST_HEIGHT = TOP + BOTTOM + 20; // on paper it has none
const QUALITY_PX = 8;
const HOLE_MS = 90e3; // a minute is 60 s, by the device's clock: a longer way to the next one is a hole
const MINUTE_MS = 60e3;

/**
 * Minutes apart where one is missing.
 * @param {readonly Minute[]} minutes
 */
export function stretches(minutes) {
  /** @type {Minute[][]} */ const found = [];
  for (const minute of minutes) {
    const last = found.at(-1)?.at(-1);
    if (last && minute[0] - last[0] <= HOLE_MS) found[found.length - 1].push(minute);
    else found.push([minute]);
  }
  return found;
}

/**
 * Minutes with a heart rate, apart where one has none: no line is drawn across.
 * @param {readonly Minute[]} minutes
 */
export function counted(minutes) {
  /** @type {Minute[][]} */ const found = [[]];
  for (const minute of minutes) {
    if (minute[2] !== null) found[found.length - 1].push(minute);
    else if (found[found.length - 1].length > 0) found.push([]);
  }
  return found.filter(({ length }) => length > 0);
}

/**
 * What is not stored, as spans.
 * @param {readonly Minute[]} minutes
 * @param {number} from ms of what their times count from
 * @param {number} until ms
 */
export function missing(minutes, from, until) {
  const found = [];
  let at = from;
  for (const stretch of stretches(minutes)) {
    const begin = from + stretch[0][0];
    if (begin - at > HOLE_MS - MINUTE_MS) found.push({ from: at, to: begin });
    at = from + stretch[stretch.length - 1][0] + MINUTE_MS;
  }
  // The last minute is stored once it is over.
  if (until - at > 2 * HOLE_MS) found.push({ from: at, to: until });
  return found;
}

/**
 * The scale of heart rates, in whole steps of 40.
 * @param {Trend} trend
 */
export function rangeOf({ minutes, limits }) {
  let low = limits.low;
  let high = limits.high;
  for (const [, least, , most] of minutes) {
    if (least !== null) low = Math.min(low, least);
    if (most !== null) high = Math.max(high, most);
  }
  return { bottom: Math.floor((low - 5) / 40) * 40, top: Math.ceil((high + 5) / 40) * 40 };
}

/**
 * Draw the chart anew; the stretch that is looked at is placed by `placeWindow`, often and without that.
 * @param {SVGSVGElement} svg
 * @param {{width: number, height: number}} size
 * @param {Span} span
 * @param {Trend} trend
 * @param {readonly Event[]} events
 * @param {string | null} chosen the event that is looked at
 */
export function drawTrend(svg, { width, height }, span, trend, events, chosen) {
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const { top, bottom } = rangeOf(trend);
  const x = (/** @type {number} */ ms) => xOf(ms, span, width);
  const y = (/** @type {number} */ bpm) => TOP + ((top - bpm) / (top - bottom)) * (height - TOP - BOTTOM);
  const base = height - BOTTOM;
  /** @type {Element[]} */ const drawn = [];
  const add = (/** @type {string} */ name, /** @type {Record<string, string | number>} */ attributes, text = "") => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
    element.textContent = text;
    drawn.push(element);
  };
  for (let bpm = bottom; bpm <= top; bpm += 40) {
    add("line", { class: "gl", x1: LEFT, x2: width - RIGHT, y1: y(bpm), y2: y(bpm) });
    add("text", { x: LEFT - 6, y: y(bpm) + 4, "text-anchor": "end" }, String(bpm));
  }
  const { step, ticks } = ticksOf(span, Math.max(2, (width - LEFT) / 90));
  for (const at of ticks) add("text", { x: x(at), y: height - 6, "text-anchor": "middle" }, timeText(at, step));
  for (const hole of missing(trend.minutes, span.from, span.to)) {
    const wide = x(hole.to) - x(hole.from);
    add("rect", { class: "hole", x: x(hole.from), y: TOP, width: Math.max(wide, 1), height: base - TOP, fill: "url(#review-hatch)" });
    const text = `${t("no data")} ${durationText((hole.to - hole.from) / 1000)}`;
    if (wide > 7 * text.length) add("text", { x: x(hole.from) + wide / 2, y: TOP + 14, "text-anchor": "middle" }, text);
  }
  for (const bpm of Object.values(trend.limits)) {
    add("line", { class: "lim", x1: LEFT, x2: width - RIGHT, y1: y(bpm), y2: y(bpm) });
  }
  for (const stretch of stretches(trend.minutes)) {
    const at = (/** @type {Minute} */ [ms]) => x(span.from + ms + MINUTE_MS / 2).toFixed(1);
    for (const known of counted(stretch)) {
      const points = (/** @type {1 | 2 | 3} */ which) => known.map((minute) => `${at(minute)} ${y(/** @type {number} */ (minute[which])).toFixed(1)}`);
      add("path", { class: "band", d: `M${points(3).join("L")}L${points(1).reverse().join("L")}Z` });
      add("path", { class: "mean", d: `M${points(2).join("L")}${known.length === 1 ? "h1" : ""}` });
    }
    // One path for all minutes: a day of rectangles would be 1440 elements.
    const bars = stretch.map(([ms, , , , share]) => {
      const wide = Math.max(x(span.from + ms + MINUTE_MS) - x(span.from + ms), 1).toFixed(1);
      return `M${x(span.from + ms).toFixed(1)} ${base + 2 + QUALITY_PX}v${(-QUALITY_PX * (share ?? 0)) / 100}h${wide}V${base + 2 + QUALITY_PX}z`;
    });
    add("path", { class: "quality", d: bars.join("") });
  }
  // Over the rates, to be read.
  for (const [limit, bpm] of Object.entries(trend.limits)) {
    add("text", { x: width - RIGHT - 4, y: y(bpm) - 5, "text-anchor": "end" }, limit === "high" ? t("high limit {bpm}", { bpm }) : t("low limit {bpm}", { bpm }));
  }
  for (const { alarm, severity, raised_ms } of events) {
    const at = x(raised_ms);
    if (at < LEFT || at > width - RIGHT) continue;
    const big = alarm === chosen ? 3 : 0;
    if (severity === "technical") add("rect", { class: "m-tech", x: at - 5 - big, y: 7 - big, width: 10 + 2 * big, height: 10 + 2 * big, rx: 2 });
    else add("path", { class: `m-${MARKS[severity]}`, d: `M${at} ${5 - big}l${7 + big} ${14 + big}h${-14 - 2 * big}z` });
  }
  svg.replaceChildren(...svg.querySelectorAll("defs"), ...drawn);
}

/**
 * Show which stretch is looked at beneath: an element over the chart, which is not painted anew for it.
 * @param {HTMLElement} element
 * @param {{width: number, height: number}} size of the chart
 * @param {Span} span of the chart
 * @param {Span} window
 */
export function placeWindow(element, { width, height }, span, window) {
  const from = xOf(window.from, span, width);
  element.hidden = false;
  element.style.transform = `translateX(${from.toFixed(1)}px)`;
  element.style.width = `${Math.max(xOf(window.to, span, width) - from, 2).toFixed(1)}px`;
  element.style.height = `${height - BOTTOM}px`;
}

/**
 * @param {number} ms
 * @param {Span} span
 * @param {number} width
 */
function xOf(ms, span, width) {
  return LEFT + ((ms - span.from) / (span.to - span.from)) * (width - LEFT - RIGHT);
}

/**
 * The time at a place of the chart.
 * @param {Element} box
 * @param {Span} span
 * @param {number} clientX
 */
export function timeAt(box, span, clientX) {
  const { left, width } = box.getBoundingClientRect();
  const share = (clientX - left - LEFT) / (width - LEFT - RIGHT);
  return span.from + Math.min(Math.max(share, 0), 1) * (span.to - span.from);
}
