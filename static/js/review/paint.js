// @ts-check
/** Traces of the past on a canvas: any stretch from a day to a beat, rows of ten seconds on paper, rows of a minute. */

import { t } from "../i18n.js";
import { clockText } from "../ui/alarm-words.js";
import { hatchOf, paintGap } from "../ui/canvas.js";
import { PULSE_ROOM_MM, drawGrid } from "../ui/grid.js";
import { Overview, drawLine } from "./traces.js";
import { holes, ticksOf, timeText } from "./window.js";

/** @typedef {import("./traces.js").Wave} Wave */
/** @typedef {import("./window.js").Span} Span */
/** @typedef {import("../ui/palette.js").Palette} Palette */
/** @typedef {import("../ui/scale.js").Scale} Scale */

const FONT_PX = 12;
const AXIS_PX = 20;
const TICK_PX = 110; // a time needs so much room
const STRIP_MS = 10e3;
const SLACK_MS = 60; // two parts that continue each other may be estimated to lie so far apart

/**
 * Let a canvas fill its box, in device pixels.
 * @param {HTMLCanvasElement} canvas
 * @param {number} width CSS pixels
 * @param {number} height CSS pixels
 * @returns {boolean} whether there is anything to paint on
 */
export function fit(canvas, width, height) {
  const ratio = devicePixelRatio;
  const size = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== size[0]) canvas.width = size[0];
  if (canvas.height !== size[1]) canvas.height = size[1];
  canvas.style.width = `${size[0] / ratio}px`;
  canvas.style.height = `${size[1] / ratio}px`;
  return size[0] > 0 && size[1] > 0;
}

/**
 * A stretch of one lead, however long; where nothing is stored it is hatched.
 * @param {CanvasRenderingContext2D} pen
 * @param {Span} span
 * @param {Overview | Wave | null} trace null while nothing has come
 * @param {{lead: number, scale: Scale, palette: Palette, now: number, marks: readonly {ms: number, colour: string}[]}} how
 *   behind `now` there cannot be anything
 */
export function paintSpan(pen, span, trace, { lead, scale, palette, now, marks }) {
  const { width, height } = pen.canvas;
  const { ratio } = scale;
  const x = (/** @type {number} */ ms) => ((ms - span.from) / (span.to - span.from)) * width;
  pen.fillStyle = palette.surface;
  pen.fillRect(0, 0, width, height);
  const { step, ticks } = ticksOf(span, Math.max(2, width / (TICK_PX * ratio)));
  const line = Math.max(1, Math.round(ratio));
  pen.font = `${FONT_PX * ratio}px ${palette.font}`;
  pen.textBaseline = "alphabetic";
  pen.fillStyle = palette.gridMajor;
  for (const at of ticks) pen.fillRect(Math.round(x(at)), 0, line, height);
  if (trace) paintHoles(pen, span, trace, x, palette, ratio, now);
  pen.fillStyle = palette.surface;
  pen.fillRect(0, height - AXIS_PX * ratio, width, AXIS_PX * ratio);
  pen.fillStyle = palette.edge;
  for (const at of ticks) {
    pen.textAlign = x(at) < 30 * ratio ? "left" : x(at) > width - 30 * ratio ? "right" : "center";
    pen.fillText(timeText(at, step), x(at), height - 6 * ratio);
  }
  if (!trace) return;
  const middle = trace instanceof Overview ? trace.middle : trace.middleOf(lead, span);
  const zero = (height - AXIS_PX * ratio) / 2 + middle * scale.microvolt;
  const y = (/** @type {number} */ microvolts) => zero - microvolts * scale.microvolt;
  pen.save();
  pen.beginPath();
  pen.rect(0, 0, width, height - AXIS_PX * ratio);
  pen.clip();
  if (trace instanceof Overview) paintColumns(pen, trace, span, x, y, palette.trace, line);
  else {
    pen.strokeStyle = palette.trace;
    pen.lineWidth = scale.trace;
    pen.lineJoin = "bevel";
    pen.beginPath();
    drawLine(pen, trace, lead, span, x, y);
    pen.stroke();
  }
  pen.restore();
  for (const { ms, colour } of marks) {
    if (ms < span.from || ms > span.to) continue;
    pen.fillStyle = colour;
    pen.fillRect(Math.round(x(ms)), 0, 2 * line, height - AXIS_PX * ratio);
  }
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {Overview} trace
 * @param {Span} span
 * @param {(ms: number) => number} x
 * @param {(microvolts: number) => number} y
 * @param {string} colour
 * @param {number} line
 */
function paintColumns(pen, trace, span, x, y, colour, line) {
  const begin = Math.max(0, Math.floor((span.from - trace.from) / trace.step));
  const end = Math.min(trace.low.length, Math.ceil((span.to - trace.from) / trace.step));
  const wide = x(span.from + trace.step) - x(span.from);
  if (wide > 2 * line) {
    paintStrokes(pen, trace, begin, end, x, y, colour, line);
    return;
  }
  pen.fillStyle = colour;
  for (let at = begin; at < end; at++) {
    if (trace.low[at] > trace.high[at]) continue;
    const top = y(trace.high[at]);
    pen.fillRect(x(trace.from + at * trace.step), top, Math.max(wide + 0.5, line), Math.max(y(trace.low[at]) - top, line));
  }
}

/**
 * Columns that are wider than the line: a stroke over the range in the middle of each, joined to the next one's.
 * @param {CanvasRenderingContext2D} pen
 * @param {Overview} trace
 * @param {number} begin
 * @param {number} end
 * @param {(ms: number) => number} x
 * @param {(microvolts: number) => number} y
 * @param {string} colour
 * @param {number} line
 */
function paintStrokes(pen, trace, begin, end, x, y, colour, line) {
  pen.strokeStyle = colour;
  pen.lineWidth = 1.2 * line;
  pen.lineJoin = "bevel";
  pen.beginPath();
  let joins = false;
  for (let at = begin; at < end; at++) {
    const has = trace.low[at] <= trace.high[at];
    if (has) {
      const middle = x(trace.from + (at + 0.5) * trace.step);
      // The nearer end first, so that the line does not cross the range twice.
      const up = joins && Math.abs(trace.low[at - 1] - trace.low[at]) < Math.abs(trace.low[at - 1] - trace.high[at]);
      const [first, last] = up ? [trace.low[at], trace.high[at]] : [trace.high[at], trace.low[at]];
      if (joins) pen.lineTo(middle, y(first));
      else pen.moveTo(middle, y(first));
      pen.lineTo(middle, y(last) + (first === last ? line : 0));
    }
    joins = has;
  }
  pen.stroke();
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {Span} span
 * @param {Overview | Wave} trace
 * @param {(ms: number) => number} x
 * @param {Palette} palette
 * @param {number} ratio
 * @param {number} now
 */
function paintHoles(pen, span, trace, x, palette, ratio, now) {
  const hatch = hatchOf(pen, palette.hatch, ratio);
  const known = { from: Math.max(span.from, trace.from), to: Math.min(span.to, trace.to) };
  for (const hole of holes(known, trace.held, trace instanceof Overview ? 0.5 * trace.step : SLACK_MS)) {
    const why = hole.closed ? t("not stored") : "";
    const closed = hole.closed && hole.to <= now;
    paintGap(pen, { left: x(hole.from), right: x(hole.to), closed, seconds: (hole.to - hole.from) / 1000, why }, hatch, palette, ratio);
  }
}

/**
 * Where a lead's 0 uV stands in its band of a row, so that what is there is in the middle, below the lead's name.
 * @param {Wave} wave
 * @param {number} lead
 * @param {Span} span
 * @param {{scale: Scale, band: number, row: number}} place device pixels
 */
export function zeroOf(wave, lead, span, { scale, band, row }) {
  return band * row + (band + FONT_PX * scale.ratio) / 2 + wave.middleOf(lead, span) * scale.microvolt;
}

/**
 * Ten seconds of some leads on paper, from `from` on, each behind its calibration pulse.
 * @param {CanvasRenderingContext2D} pen
 * @param {Wave} wave
 * @param {readonly number[]} leads
 * @param {number} from ms
 * @param {{scale: Scale, palette: Palette, marks: readonly {ms: number, text: string}[]}} how
 */
export function paintStrip(pen, wave, leads, from, { scale, palette, marks }) {
  const { width, height } = pen.canvas;
  const { ratio } = scale;
  drawGrid(pen, scale, palette, leads.length);
  const left = PULSE_ROOM_MM * scale.mm;
  const x = (/** @type {number} */ ms) => left + ((ms - from) * scale.second) / 1000;
  const span = { from, to: from + STRIP_MS };
  const hatch = hatchOf(pen, palette.hatch, ratio);
  for (const hole of holes({ from: span.from, to: Math.min(span.to, wave.to) }, wave.held, SLACK_MS)) {
    const right = Math.min(x(hole.to), width);
    const at = { left: x(hole.from), right, closed: hole.closed, seconds: (hole.to - hole.from) / 1000, why: t("not stored") };
    pen.save();
    pen.beginPath();
    pen.rect(left, 0, x(span.to) - left, height);
    pen.clip();
    paintGap(pen, at, hatch, palette, ratio);
    pen.restore();
  }
  const band = height / leads.length;
  leads.forEach((lead, row) => {
    const zero = zeroOf(wave, lead, span, { scale, band, row });
    pen.save();
    pen.beginPath();
    pen.rect(left, band * row, x(span.to) - left, band);
    pen.clip();
    pen.strokeStyle = palette.trace;
    pen.lineWidth = scale.trace;
    pen.lineJoin = "bevel";
    pen.beginPath();
    drawLine(pen, wave, lead, span, x, (microvolts) => zero - microvolts * scale.microvolt);
    pen.stroke();
    pen.restore();
    label(pen, wave.leads[lead] ?? "", 4 * ratio, band * row + 4 * ratio, palette, ratio);
  });
  for (const { ms, text } of marks) {
    if (ms < span.from || ms > span.to) continue;
    pen.fillStyle = palette.text;
    pen.fillRect(Math.round(x(ms)), 0, Math.max(1, Math.round(ratio)), height);
    label(pen, text, x(ms) + 4 * ratio, height - 22 * ratio, palette, ratio);
  }
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {string} text
 * @param {number} x
 * @param {number} y its upper edge
 * @param {Palette} palette
 * @param {number} ratio
 */
function label(pen, text, x, y, palette, ratio) {
  pen.font = `600 ${FONT_PX * ratio}px ${palette.font}`;
  const wide = pen.measureText(text).width + 6 * ratio;
  const at = Math.min(x, pen.canvas.width - wide);
  pen.fillStyle = palette.surface;
  pen.fillRect(at, y, wide, 18 * ratio);
  pen.fillStyle = palette.text;
  pen.textAlign = "left";
  pen.textBaseline = "top";
  pen.fillText(text, at + 3 * ratio, y + 3 * ratio);
}

/**
 * One row of the full disclosure: a minute of a lead, with its time before it.
 * @param {CanvasRenderingContext2D} pen
 * @param {{top: number, height: number, left: number}} place device pixels
 * @param {Span} span
 * @param {Overview | null} trace of which the row is a part
 * @param {{scale: Scale, palette: Palette, marks: readonly {ms: number, colour: string}[]}} how
 */
export function paintRow(pen, { top, height, left }, span, trace, { scale, palette, marks }) {
  const { ratio } = scale;
  const width = pen.canvas.width - left;
  const x = (/** @type {number} */ ms) => left + ((ms - span.from) / (span.to - span.from)) * width;
  pen.fillStyle = palette.gridMajor;
  pen.fillRect(0, top, pen.canvas.width, 1);
  pen.fillStyle = palette.edge;
  pen.font = `${FONT_PX * ratio}px ${palette.font}`;
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  pen.fillText(clockText(span.from).slice(0, 5), 4 * ratio, top + height / 2);
  if (!trace) return;
  pen.save();
  pen.beginPath();
  pen.rect(left, top, width, height);
  pen.clip();
  pen.fillStyle = hatchOf(pen, palette.hatch, ratio);
  for (const hole of holes(span, trace.held, 0.5 * trace.step)) {
    pen.fillRect(x(hole.from), top, x(hole.to) - x(hole.from), height);
  }
  const zero = top + height / 2 + trace.middle * scale.microvolt;
  paintColumns(pen, trace, span, (ms) => x(ms), (value) => zero - value * scale.microvolt, palette.trace, Math.max(1, Math.round(ratio)));
  for (const { ms, colour } of marks) {
    if (ms < span.from || ms >= span.to) continue;
    pen.fillStyle = colour;
    pen.fillRect(Math.round(x(ms)) - ratio, top, 3 * ratio, height);
  }
  pen.restore();
}
