// @ts-check
/** A line of the last values on a small canvas: no axes, the newest at the right, 0 at the bottom. */

/** A line is as wide as so many values, until there are more. */
const LEAST_SPAN = 60;

/** @typedef {import("./ring.js").Ring} Ring */
/** @typedef {{line: string, quiet: string, ratio: number}} Looks colours of the page, device pixels for one of CSS */

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Ring} ring
 * @param {Looks} looks
 * @param {Ring | null} [limit] a second, dashed line on the same scale
 */
export function drawSpark(canvas, ring, looks, limit = null) {
  const width = Math.round(canvas.clientWidth * looks.ratio), height = Math.round(canvas.clientHeight * looks.ratio);
  if (!width || !height) return;
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext("2d");
  if (!context) return;
  context.clearRect(0, 0, width, height);
  const most = Math.max(ring.most, limit?.most ?? 0) || 1;
  context.lineWidth = looks.ratio;
  context.strokeStyle = looks.quiet;
  context.beginPath();
  context.moveTo(0, height - looks.ratio / 2);
  context.lineTo(width, height - looks.ratio / 2);
  context.stroke();
  if (limit) {
    context.setLineDash(DASHES);
    trace(context, limit, most, width, height, looks.ratio);
    context.setLineDash(SOLID);
  }
  context.lineWidth = 1.5 * looks.ratio;
  context.strokeStyle = looks.line;
  trace(context, ring, most, width, height, looks.ratio);
}

/** @type {number[]} */
const DASHES = [4, 3], SOLID = /** @type {number[]} */ ([]);

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Ring} ring
 * @param {number} most
 * @param {number} width
 * @param {number} height
 * @param {number} ratio
 */
function trace(context, ring, most, width, height, ratio) {
  const span = Math.min(ring.capacity, Math.max(LEAST_SPAN, ring.length));
  const step = width / Math.max(1, span - 1), first = span - ring.length;
  const room = height - 3 * ratio;
  let down = false;
  context.beginPath();
  for (let n = 0; n < ring.length; n++) {
    const value = ring.at(n);
    if (Number.isNaN(value)) {
      down = false;
      continue;
    }
    const x = (first + n) * step, y = height - 1.5 * ratio - (value / most) * room;
    if (down) context.lineTo(x, y);
    else context.moveTo(x, y);
    down = true;
  }
  context.stroke();
}
