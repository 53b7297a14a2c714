// @ts-check
/** What the canvases share: a pen, the hatch of what is not known, a gap with its length, a break of the line. */

import { decimal, t } from "../i18n.js";
import { durationText } from "../stream/freshness.js";

const HATCH_PX = 8;
const LABEL_PX = 12;
const DASH_PX = 4;

/**
 * @param {HTMLCanvasElement} canvas
 * @param {CanvasRenderingContext2DSettings} [settings]
 * @returns {CanvasRenderingContext2D}
 */
export function penOf(canvas, settings) {
  const pen = canvas.getContext("2d", settings);
  if (!pen) throw new Error("this browser has no 2D canvas");
  return pen;
}

/**
 * Diagonal lines, anchored at the canvas, so that pieces painted at different times join.
 * @param {CanvasRenderingContext2D} pen
 * @param {string} colour
 * @param {number} ratio device pixels per CSS pixel
 * @returns {CanvasPattern | string}
 */
export function hatchOf(pen, colour, ratio) {
  const size = Math.round(HATCH_PX * ratio);
  const tile = document.createElement("canvas");
  tile.width = tile.height = size;
  const brush = penOf(tile);
  brush.strokeStyle = colour;
  brush.lineWidth = 2 * ratio;
  brush.beginPath();
  for (const shift of [-size, 0, size]) {
    brush.moveTo(shift - size, 2 * size);
    brush.lineTo(shift + 2 * size, -size);
  }
  brush.stroke();
  return pen.createPattern(tile, "repeat") ?? colour;
}

/**
 * Samples that are not there: hatched between two edges, with the length once its end is known, and why in words
 * where there is room for them.
 * @param {CanvasRenderingContext2D} pen over empty paper
 * @param {{left: number, right: number, closed: boolean, seconds: number, why: string}} gap in pixels of this canvas
 * @param {CanvasPattern | string} hatch
 * @param {import("./palette.js").Palette} palette
 * @param {number} ratio
 */
export function paintGap(pen, { left, right, closed, seconds, why }, hatch, palette, ratio) {
  const { width, height } = pen.canvas;
  const line = Math.max(1, Math.round(ratio));
  pen.fillStyle = hatch;
  pen.fillRect(left, 0, Math.max(right - left, 1), height);
  pen.fillStyle = palette.edge;
  pen.fillRect(Math.round(left), 0, line, height);
  if (!closed) return;
  pen.fillRect(Math.round(right) - line, 0, line, height);
  const from = Math.max(left, 0);
  const to = Math.min(right, width);
  const short = t("gap {time}", { time: seconds < 10 ? `${decimal(seconds, 1)} s` : durationText(seconds) });
  pen.font = `600 ${LABEL_PX * ratio}px ${palette.font}`;
  const widthOf = (/** @type {string} */ label) => pen.measureText(label).width + 8 * ratio;
  const fits = (/** @type {string} */ label) => widthOf(label) <= to - from - 2 * ratio;
  const text = [why ? `${short}: ${why}` : short, short].find(fits);
  if (text === undefined) return;
  const wide = widthOf(text);
  const middle = (from + to) / 2;
  const base = height - 14 * ratio;
  pen.fillStyle = palette.surface;
  pen.fillRect(middle - wide / 2, base - 9 * ratio, wide, 18 * ratio);
  pen.fillStyle = palette.text;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillText(text, middle, base);
}

/**
 * A dashed line where a trace goes on at another height.
 * @param {CanvasRenderingContext2D} pen
 * @param {number} x
 * @param {number} top
 * @param {number} bottom
 * @param {string} colour
 * @param {number} ratio
 */
export function paintBreak(pen, x, top, bottom, colour, ratio) {
  pen.fillStyle = colour;
  const dash = DASH_PX * ratio;
  const line = Math.max(1, Math.round(ratio));
  for (let y = top; y < bottom; y += 2 * dash) pen.fillRect(Math.round(x), y, line, Math.min(dash, bottom - y));
}

/**
 * The mark of a beat at the bottom edge: a stroke, or a filled triangle for a ventricular one.
 * @param {CanvasRenderingContext2D} pen
 * @param {number} x
 * @param {boolean} ventricular
 * @param {import("./palette.js").Palette} palette
 * @param {number} ratio
 */
export function paintBeat(pen, x, ventricular, palette, ratio) {
  const { height } = pen.canvas;
  pen.fillStyle = palette.text;
  if (!ventricular) {
    pen.fillRect(Math.round(x - ratio), height - 8 * ratio, 2 * ratio, 8 * ratio);
    return;
  }
  pen.beginPath();
  pen.moveTo(x - 5 * ratio, height - 10 * ratio);
  pen.lineTo(x + 5 * ratio, height - 10 * ratio);
  pen.lineTo(x, height);
  pen.fill();
}
