// @ts-check
/** The paper under the traces: a line each millimetre, a stronger one each five, and the 1 mV pulse. */

const PULSE_MS = 200;
export const PULSE_ROOM_MM = 12; // margin, pulse and margin, left of the first sample
const LABEL_PX = 16; // the lead's name stands above its pulse

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {import("./scale.js").Scale} scale
 * @param {import("./palette.js").Palette} palette
 * @param {number} pulses rows that get a calibration pulse at their left
 */
export function drawGrid(ctx, scale, palette, pulses) {
  const { width, height } = ctx.canvas;
  ctx.fillStyle = palette.surface;
  ctx.fillRect(0, 0, width, height);
  const line = Math.max(1, Math.round(scale.ratio));
  for (const [every, colour] of /** @type {[number, string][]} */ ([[1, palette.gridMinor], [5, palette.gridMajor]])) {
    ctx.fillStyle = colour;
    for (let x = 0; x <= width; x += scale.mm * every) ctx.fillRect(Math.round(x), 0, line, height);
    for (let y = 0; y <= height; y += scale.mm * every) ctx.fillRect(0, Math.round(y), width, line);
  }
  ctx.strokeStyle = palette.trace;
  ctx.lineWidth = scale.trace;
  ctx.beginPath();
  const band = height / Math.max(pulses, 1);
  const rise = scale.microvolt * 1000;
  const from = scale.mm * 2;
  const wide = (scale.second * PULSE_MS) / 1000;
  for (let row = 0; row < pulses; row++) {
    const y = band * row + (band + LABEL_PX * scale.ratio + rise) / 2;
    ctx.moveTo(from - scale.mm, y);
    ctx.lineTo(from, y);
    ctx.lineTo(from, y - rise);
    ctx.lineTo(from + wide, y - rise);
    ctx.lineTo(from + wide, y);
    ctx.lineTo(from + wide + scale.mm, y);
  }
  ctx.stroke();
}
