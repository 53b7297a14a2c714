// @ts-check
/** A frozen strip: the piece of trace that an alarm rests on, as it was, while the live trace goes on above it. */

import { cut, holds } from "../ecg/cutting.js";
import { figure, t } from "../i18n.js";
import { saidOf } from "../stream/alarm-text.js";
import { durationText } from "../stream/freshness.js";
import { clockText } from "./alarm-words.js";
import { hatchOf, penOf } from "./canvas.js";
import { mark, pick, write } from "./dom.js";
import { PULSE_ROOM_MM, drawGrid } from "./grid.js";
import { SPEEDS, scaleOf } from "./scale.js";

/** @typedef {import("../stream/feed.js").Feed} Feed */
/** @typedef {import("../stream/messages.js").Alarm} Alarm */
/** @typedef {import("../ecg/cutting.js").Cutting} Cutting */
/** @typedef {import("./palette.js").Palette} Palette */

const AROUND_S = 3;
const FASTEST = 25; // mm/s: that of the trace above
const LABEL_PX = 16; // of the lead's name, over the trace

export class Strip {
  #feed;
  #palette;
  #card;
  #box;
  #canvas = document.createElement("canvas");
  #parts;
  #resizing;
  /** @type {{alarm: Alarm, lead: string, cutting: Cutting} | null} */ #shown = null;

  /**
   * @param {Element} card
   * @param {Feed} feed
   * @param {Palette} palette
   */
  constructor(card, feed, palette) {
    this.#card = card;
    this.#feed = feed;
    this.#palette = palette;
    this.#box = pick(card, ".plot", HTMLElement);
    const part = (/** @type {string} */ name) => pick(card, `[data-part="strip-${name}"]`, Element);
    this.#parts = { age: part("age"), about: part("about"), scale: part("scale"), lead: part("lead") };
    this.#canvas.className = "trace";
    this.#canvas.setAttribute("role", "img");
    this.#box.prepend(this.#canvas);
    this.#resizing = new ResizeObserver(() => this.#draw());
    this.#resizing.observe(this.#box);
  }

  /** The alarm whose strip is shown. */
  get alarm() {
    return this.#shown?.alarm.alarm ?? null;
  }

  /**
   * The lead on which an alarm of this feed can be looked at here and now; null when there is none.
   * @param {Feed} feed
   * @param {Alarm} alarm
   */
  static leadOf({ ring, info, leads }, { epoch, from, to, lead }) {
    if (!ring || info?.epoch !== epoch || !holds(ring, from, to)) return null;
    return lead.split(",").map((name) => name.trim()).find((name) => leads.includes(name)) ?? leads[0] ?? null;
  }

  /**
   * Show what an alarm rests on.
   * @param {Alarm} alarm
   */
  open(alarm) {
    const { ring, info, leads } = this.#feed;
    const lead = Strip.leadOf(this.#feed, alarm);
    if (!ring || !info || lead === null) return;
    const cutting = cut(ring, leads.indexOf(lead), alarm.from, alarm.to, AROUND_S, info.rate_hz);
    this.#shown = { alarm, lead, cutting };
    mark(this.#card, "hidden", null);
    this.#draw();
  }

  close() {
    this.#shown = null;
    mark(this.#card, "hidden", "");
  }

  /** Its view is left. */
  end() {
    this.#resizing.disconnect();
  }

  /** @param {Palette} palette */
  set palette(palette) {
    this.#palette = palette;
    this.#draw();
  }

  update() {
    if (!this.#shown) return;
    const { alarm, lead, cutting } = this.#shown;
    const last = cutting.first + cutting.values.length;
    const age = this.#feed.info?.epoch === alarm.epoch ? (this.#feed.ring?.stop ?? last) - last : null;
    // Another recording has begun since: how long ago, samples do not tell.
    write(this.#parts.age, age === null ? t("Frozen") : t("Frozen – live age {time}", { time: durationText(age / cutting.rateHz) }));
    const began = alarm.raised_ms - (1000 * (alarm.sample - alarm.from)) / cutting.rateHz;
    write(this.#parts.about, `${saidOf(alarm)} · ${lead} · ${t("event from {time}", { time: clockText(began) })}`);
  }

  #draw() {
    if (!this.#shown) return;
    const { alarm, lead, cutting } = this.#shown;
    const ratio = devicePixelRatio;
    const { clientWidth, clientHeight } = this.#box;
    this.#canvas.width = Math.round(clientWidth * ratio);
    this.#canvas.height = Math.round(clientHeight * ratio);
    this.#canvas.style.width = `${this.#canvas.width / ratio}px`;
    this.#canvas.style.height = `${this.#canvas.height / ratio}px`;
    if (this.#canvas.width * this.#canvas.height === 0) return;
    const { pxPerMm, gain } = this.#palette;
    const room = clientWidth / pxPerMm - PULSE_ROOM_MM;
    const seconds = cutting.values.length / cutting.rateHz;
    // Slow enough for all of it to be seen at once.
    const speed = [...SPEEDS].reverse().find((mm) => mm <= FASTEST && seconds * mm <= room) ?? SPEEDS[0];
    write(this.#parts.scale, `${figure(speed)} mm/s · ${figure(gain)} mm/mV`);
    write(this.#parts.lead, lead);
    mark(this.#canvas, "aria-label", t("Frozen ECG, lead {lead}, {text}", { lead, text: saidOf(alarm) }));
    paint(penOf(this.#canvas), cutting, alarm, scaleOf({ pxPerMm, speed, gain }, ratio), this.#palette);
  }
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {Cutting} cutting
 * @param {{from: number, to: number}} evidence is marked by a line at either end
 * @param {import("./scale.js").Scale} scale
 * @param {Palette} palette
 */
function paint(pen, { values, first, rateHz }, { from, to }, scale, palette) {
  const { width, height } = pen.canvas;
  drawGrid(pen, scale, palette, 1);
  const left = PULSE_ROOM_MM * scale.mm;
  const dx = scale.second / rateHz;
  const zero = zeroOf(values, height, scale);
  const hatch = hatchOf(pen, palette.hatch, scale.ratio);
  pen.strokeStyle = palette.trace;
  pen.lineWidth = scale.trace;
  pen.lineJoin = "bevel";
  pen.beginPath();
  for (let at = 0, drawn = false; at < values.length; at++) {
    const x = left + at * dx;
    const missing = Number.isNaN(values[at]);
    const y = zero - values[at] * scale.microvolt;
    if (missing) {
      pen.fillStyle = hatch;
      pen.fillRect(x, 0, dx + 1, height);
    } else if (drawn) pen.lineTo(x, y);
    else pen.moveTo(x, y);
    drawn = !missing;
  }
  pen.stroke();
  pen.fillStyle = palette.text;
  const line = Math.max(1, Math.round(scale.ratio));
  for (const edge of [from, to]) {
    const x = Math.round(left + (edge - first) * dx);
    if (x >= left && x <= width) pen.fillRect(x, 0, line, height);
  }
}

/**
 * Where 0 uV stands, so that what was recorded is in the middle.
 * @param {Float32Array} values
 * @param {number} height
 * @param {import("./scale.js").Scale} scale
 */
function zeroOf(values, height, scale) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const middle = low <= high ? (low + high) / 2 : 0;
  return (height + LABEL_PX * scale.ratio) / 2 + middle * scale.microvolt;
}
