// @ts-check
/** A live trace on a canvas: drawn column by column behind a moving erase bar, by sample index. */

import { addTrace, extent, placeTrace } from "../ecg/trace.js";
import { durationText } from "../stream/freshness.js";
import { PULSE_ROOM_MM, drawGrid } from "./grid.js";
import { scaleOf } from "./scale.js";

const STALE_REPAINT_S = 0.25;
const HATCH_PX = 8;
const PLACING_S = 1; // of signal before its position is trusted
const CURSOR_ALPHA = 0.55;

/** @typedef {{lead: number, y: number | null, before: number, pivot: number}} Row  where value 0 stands: `y` from sample `pivot` on, `before` until there */

/**
 * The rows of one feed on one canvas, over a paper of its own.
 *
 * A pixel column belongs to a time: column = `playout.timeOf(sample) * pixels per second`, modulo the width.
 * A frame repaints only the columns between the last drawn sample and the cursor; everything else
 * (another size, theme, epoch, late samples) repaints all that the ring still holds.
 */
export class Sweep {
  #box;
  #feed;
  #rowsOf;
  #pulse;
  #paper;
  #canvas;
  #ctx;
  #resizing;
  #seeing;
  /** @type {import("./palette.js").Palette} */ #palette;
  /** @type {{speed: number, gain: number} | null} */ #chosen = null;
  /** @type {import("./scale.js").Scale} */ #scale;
  /** @type {Row[]} */ #rows = [];
  /** @type {CanvasPattern | string} */ #hatch = "";
  #visible = true;
  #dirty = true;
  #drawn = 0;
  #generation = -1;
  #revision = 0;
  #breaks = 0;
  #stale = false;
  #staleAt = -Infinity;
  #placed = false;
  /** Columns painted so far: what the drawing cost. */
  columns = 0;

  /**
   * @param {HTMLElement} box
   * @param {import("../stream/feed.js").Feed} feed
   * @param {{palette: import("./palette.js").Palette, rowsOf: (feed: import("../stream/feed.js").Feed) => number[],
   *   pulse?: boolean}} options `rowsOf` says which leads are shown, top to bottom
   */
  constructor(box, feed, { palette, rowsOf, pulse = false }) {
    this.#box = box;
    this.#feed = feed;
    this.#rowsOf = rowsOf;
    this.#palette = palette;
    this.#scale = scaleOf(palette, devicePixelRatio);
    this.#pulse = pulse;
    this.#paper = document.createElement("canvas");
    this.#paper.className = "paper";
    this.#canvas = document.createElement("canvas");
    this.#canvas.className = "trace";
    this.#canvas.setAttribute("role", "img");
    this.#ctx = context(this.#canvas);
    box.prepend(this.#paper, this.#canvas);
    this.#resizing = new ResizeObserver(() => this.#resize());
    this.#resizing.observe(box);
    this.#seeing = new IntersectionObserver((entries) => {
      const visible = entries[entries.length - 1].isIntersecting;
      if (visible && !this.#visible) this.#dirty = true;
      this.#visible = visible;
    });
    this.#seeing.observe(box);
    this.#resize();
  }

  close() {
    this.#resizing.disconnect();
    this.#seeing.disconnect();
    this.#paper.remove();
    this.#canvas.remove();
  }

  get feed() {
    return this.#feed;
  }

  /** Index up to which the trace is on the canvas, exclusive. */
  get drawn() {
    return this.#drawn;
  }

  /** @param {string} text */
  set label(text) {
    if (this.#canvas.getAttribute("aria-label") !== text) this.#canvas.setAttribute("aria-label", text);
  }

  /** @param {import("./palette.js").Palette} palette */
  set palette(palette) {
    this.#palette = palette;
    this.#rescale();
  }

  /**
   * Speed in mm/s and gain in mm/mV; the paper changes with them.
   * @param {{speed: number, gain: number}} chosen
   */
  set paper(chosen) {
    this.#chosen = chosen;
    this.#rescale();
  }

  /**
   * Bring the canvas up to the feed's position.
   * @param {number} now seconds
   * @returns {boolean} whether anything was painted
   */
  frame(now) {
    const { ring, playout } = this.#feed;
    if (!this.#visible || this.#canvas.width === 0) return false;
    if (!ring || !playout || playout.newest < 0) {
      if (this.#dirty) this.#ctx.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
      this.#dirty = false;
      return false;
    }
    if (this.#feed.generation !== this.#generation) {
      this.#generation = this.#feed.generation;
      this.#rows = this.#rowsOf(this.#feed).map((lead) => ({ lead, y: null, before: 0, pivot: 0 }));
      this.#placed = false;
      this.#drawn = 0;
      this.#dirty = true;
      this.#drawPaper();
    }
    const stop = Math.floor(this.#feed.position);
    const state = this.#feed.freshness(now);
    const stale = state === "stale" || state === "lost";
    if (stale !== this.#stale) {
      this.#stale = stale;
      this.#dirty = true;
    }
    if (this.#feed.revision !== this.#revision || playout.breaks !== this.#breaks) this.#dirty = true;
    if (stale && (stop > this.#drawn || now - this.#staleAt > STALE_REPAINT_S)) this.#dirty = true;
    if (!this.#dirty && stop <= this.#drawn) return false;

    this.#place(stop);
    const from = playout.timeOf(this.#drawn - 1) * this.#scale.second;
    const to = playout.timeOf(stop) * this.#scale.second;
    if (this.#dirty || to - from > this.#canvas.width / 2) this.#paintAll(stop, to, now);
    else this.#paintOn(stop, from, to);
    this.#drawn = stop;
    this.#dirty = false;
    this.#revision = this.#feed.revision;
    this.#breaks = playout.breaks;
    return true;
  }

  /**
   * @param {number} stop
   * @param {number} from column of the last sample drawn
   * @param {number} to column of the cursor
   */
  #paintOn(stop, from, to) {
    const width = this.#canvas.width;
    const gap = this.#gapJustClosed(stop);
    const begin = Math.floor(gap === null ? from : Math.min(from, gap)) - Math.ceil(this.#scale.trace);
    const end = Math.floor(to) + 1;
    for (let x = begin; x < end; ) {
      const sweep = Math.floor(x / width);
      const edge = Math.min(end, (sweep + 1) * width);
      this.#paint(sweep, x - sweep * width, edge - sweep * width, stop);
      x = edge;
    }
    this.#bar(end);
  }

  /**
   * @param {number} stop
   * @param {number} to column of the cursor
   * @param {number} now
   */
  #paintAll(stop, to, now) {
    const width = this.#canvas.width;
    const end = Math.floor(to) + 1;
    const sweep = Math.floor(end / width);
    const cursor = end - sweep * width;
    this.#paint(sweep, 0, cursor, stop);
    this.#paint(sweep - 1, cursor, width, stop);
    if (this.#stale) this.#paintUnknown(end, Math.floor(now * this.#scale.second));
    else this.#bar(end);
  }

  /**
   * The erase bar ahead of the cursor, and the cursor as its left edge.
   * @param {number} cursor
   */
  #bar(cursor) {
    const { width, height } = this.#canvas;
    const ctx = this.#ctx;
    const x = ((cursor % width) + width) % width;
    ctx.fillStyle = this.#palette.surface;
    const right = Math.min(this.#scale.erase, width - x);
    ctx.fillRect(x, 0, right, height);
    if (right < this.#scale.erase) ctx.fillRect(0, 0, this.#scale.erase - right, height);
    ctx.globalAlpha = CURSOR_ALPHA;
    ctx.fillStyle = this.#palette.trace;
    ctx.fillRect(x, 0, Math.max(1, Math.round(this.#scale.ratio)), height);
    ctx.globalAlpha = 1;
  }

  /**
   * Stale: between the last sample and where the cursor should be, nothing is known.
   * @param {number} from column of the last sample
   * @param {number} to column of now
   */
  #paintUnknown(from, to) {
    const { width, height } = this.#canvas;
    const ctx = this.#ctx;
    const end = Math.min(to, from + width);
    for (let x = from; x < end; ) {
      const edge = Math.min(end, (Math.floor(x / width) + 1) * width);
      ctx.clearRect(x % width, 0, edge - x, height);
      this.#fillHatch(x % width, 0, edge - x, height);
      x = edge;
    }
    if (to - from < width) {
      ctx.fillStyle = this.#palette.text;
      ctx.fillRect(from % width, 0, Math.round(2 * this.#scale.ratio), height);
    }
    this.#staleAt = to / this.#scale.second;
  }

  /**
   * @param {number} x
   * @param {number} y
   * @param {number} width
   * @param {number} height
   */
  #fillHatch(x, y, width, height) {
    this.#ctx.fillStyle = this.#hatch;
    this.#ctx.fillRect(x, y, width, height);
  }

  /**
   * Columns [a, b) of one sweep, from nothing.
   * @param {number} sweep which pass over the canvas
   * @param {number} a
   * @param {number} b
   * @param {number} stop samples from here on are not due yet
   */
  #paint(sweep, a, b, stop) {
    const { ring, playout } = this.#feed;
    if (!ring || !playout || b <= a) return;
    const { height, width } = this.#canvas;
    const ctx = this.#ctx;
    const { second, trace } = this.#scale;
    const offset = sweep * width;
    const reach = 2 * trace; // how far a line's width and joints can matter
    const end = Math.min(stop, Math.ceil(playout.indexAt((offset + b + reach) / second)) + 1);
    let i = Math.max(ring.oldest, ring.origin, Math.floor(playout.indexAt((offset + a - reach) / second)));
    const dx = (playout.timeOf(1) - playout.timeOf(0)) * second;
    this.columns += b - a;

    ctx.save();
    ctx.beginPath();
    ctx.rect(a, 0, b - a, height);
    ctx.clip();
    ctx.clearRect(a, 0, b - a, height);
    if (this.#stale) this.#fillHatch(a, 0, b - a, height);
    ctx.strokeStyle = this.#stale ? this.#palette.traceDim : this.#palette.trace;
    ctx.lineWidth = trace;
    ctx.lineJoin = "round";
    ctx.beginPath();
    while (i < end) {
      const run = Math.min(ring.presentEnd(i), end);
      const x = playout.timeOf(i) * second - offset;
      if (run > i) {
        for (const row of this.#rows) this.#run(row, i, run, x, dx);
        i = run;
      } else {
        const first = Math.max(ring.absentFirst(i), ring.origin);
        const next = ring.absentEnd(i, stop);
        this.#gap(playout.timeOf(first - 1) * second - offset, playout.timeOf(next) * second - offset, {
          closed: next < stop,
          seconds: (next - first) / playout.rateHz,
        });
        i = next;
      }
    }
    ctx.stroke();
    ctx.restore();
  }

  /**
   * A run of present samples of one lead: traced where the lead was on, hatched where it was off.
   * @param {Row} row
   * @param {number} from
   * @param {number} to
   * @param {number} x
   * @param {number} dx
   */
  #run(row, from, to, x, dx) {
    const { ring, info, leadsOff } = this.#feed;
    if (!ring || !info || row.y === null) return;
    const lead = info.leads[row.lead];
    const isOff = leadsOff.has(lead.name);
    const dy = lead.gain_uv * this.#scale.microvolt;
    for (let i = from; i < to; ) {
      const state = this.#feed.offAt(lead.name, i, to);
      const off = state.off || isOff;
      let end = isOff ? to : state.end;
      const left = x + (i - from) * dx;
      if (off) {
        const band = this.#canvas.height / this.#rows.length;
        this.#fillHatch(left, band * this.#rows.indexOf(row), (end - i) * dx + 1, band);
      } else {
        // Where the position changed, the older part stays where it was drawn.
        if (i < row.pivot) end = Math.min(end, row.pivot);
        const y = (i < row.pivot ? row.before : row.y) + lead.baseline * dy;
        addTrace(this.#ctx, ring, row.lead, i, end, left, dx, y, dy);
      }
      i = end;
    }
  }

  /**
   * @param {number} left
   * @param {number} right
   * @param {{closed: boolean, seconds: number}} about
   */
  #gap(left, right, { closed, seconds }) {
    const { height, width } = this.#canvas;
    const ctx = this.#ctx;
    const { ratio } = this.#scale;
    ctx.clearRect(left, 0, right - left, height);
    this.#fillHatch(left, 0, Math.max(right - left, 1), height);
    ctx.fillStyle = this.#palette.edge;
    const line = Math.max(1, Math.round(ratio));
    ctx.fillRect(Math.round(left), 0, line, height);
    if (!closed) return;
    ctx.fillRect(Math.round(right) - line, 0, line, height);
    const from = Math.max(left, 0);
    const to = Math.min(right, width);
    const text = `gap ${seconds < 10 ? `${seconds.toFixed(1)} s` : durationText(seconds)}`;
    ctx.font = `600 ${12 * ratio}px ${this.#palette.font}`;
    const wide = ctx.measureText(text).width + 8 * ratio;
    if (wide > to - from - 2 * ratio) return;
    const middle = (from + to) / 2;
    const base = height - 14 * ratio;
    ctx.fillStyle = this.#palette.surface;
    ctx.fillRect(middle - wide / 2, base - 9 * ratio, wide, 18 * ratio);
    ctx.fillStyle = this.#palette.text;
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    ctx.fillText(text, middle, base);
  }

  /**
   * The column where a gap began that the new samples end: its label can be written only now.
   * @param {number} stop
   */
  #gapJustClosed(stop) {
    const { ring, playout } = this.#feed;
    if (!ring || !playout || ring.origin >= this.#drawn || ring.presentEnd(this.#drawn - 1) >= stop) return null;
    const absent = ring.has(this.#drawn - 1) ? ring.presentEnd(this.#drawn - 1) : this.#drawn - 1;
    return playout.timeOf(Math.max(ring.absentFirst(absent), ring.origin) - 1) * this.#scale.second;
  }

  /**
   * Vertical positions: found once a second of signal is there, and looked at again with each sweep.
   * @param {number} stop
   */
  #place(stop) {
    const { ring, playout, info } = this.#feed;
    if (!ring || !playout || !info) return;
    const width = this.#canvas.width / this.#scale.second;
    const wrapped =
      Math.floor(playout.timeOf(stop) / width) !== Math.floor(playout.timeOf(this.#drawn) / width);
    const first = this.#rows.some((row) => row.y === null);
    const settled = stop - ring.origin >= PLACING_S * playout.rateHz;
    if (!first && !wrapped && (this.#placed || !settled)) return;
    const from = Math.max(ring.oldest, ring.origin, stop - Math.ceil(width * playout.rateHz));
    const band = this.#canvas.height / this.#rows.length;
    this.#rows.forEach((row, at) => {
      const { gain_uv: gain, baseline } = info.leads[row.lead];
      const range = extent(ring, row.lead, from, stop);
      if (!range) return;
      const values = { low: (range.low - baseline) * gain, high: (range.high - baseline) * gain };
      const current = this.#placed ? row.y : null;
      const y = placeTrace(values, this.#scale.microvolt, band * at, band, current);
      if (y === row.y) return;
      if (this.#placed && row.y !== null) {
        row.before = row.y;
        row.pivot = stop;
      } else {
        row.pivot = 0;
        this.#dirty = true;
      }
      row.y = y;
    });
    this.#placed = settled;
  }

  #resize() {
    const ratio = devicePixelRatio;
    const inset = this.#pulse ? PULSE_ROOM_MM * this.#palette.pxPerMm : 0;
    const width = Math.max(0, Math.round(this.#box.clientWidth * ratio));
    const height = Math.max(0, Math.round(this.#box.clientHeight * ratio));
    this.#paper.width = width;
    this.#paper.height = height;
    this.#canvas.width = Math.max(0, width - Math.round(inset * ratio));
    this.#canvas.height = height;
    this.#rescale();
  }

  #rescale() {
    const { pxPerMm, speed, gain } = this.#palette;
    this.#scale = scaleOf({ pxPerMm, speed, gain, ...this.#chosen }, devicePixelRatio);
    this.#hatch = hatchPattern(this.#ctx, this.#palette.hatch, this.#scale.ratio);
    for (const row of this.#rows) row.y = null;
    this.#placed = false;
    this.#dirty = true;
    this.#drawPaper();
  }

  #drawPaper() {
    if (this.#paper.width === 0) return;
    drawGrid(context(this.#paper), this.#scale, this.#palette, this.#pulse ? this.#rows.length : 0);
  }
}

/**
 * Diagonal lines, anchored at the canvas, so that pieces painted at different times join.
 * @param {CanvasRenderingContext2D} ctx
 * @param {string} colour
 * @param {number} ratio
 */
function hatchPattern(ctx, colour, ratio) {
  const size = Math.round(HATCH_PX * ratio);
  const tile = document.createElement("canvas");
  tile.width = tile.height = size;
  const pen = context(tile);
  pen.strokeStyle = colour;
  pen.lineWidth = 2 * ratio;
  pen.beginPath();
  for (const shift of [-size, 0, size]) {
    pen.moveTo(shift - size, 2 * size);
    pen.lineTo(shift + 2 * size, -size);
  }
  pen.stroke();
  return ctx.createPattern(tile, "repeat") ?? colour;
}

/**
 * @param {HTMLCanvasElement} canvas
 * @returns {CanvasRenderingContext2D}
 */
function context(canvas) {
  const ctx = canvas.getContext("2d");
  if (!ctx) throw new Error("this browser has no 2D canvas");
  return ctx;
}
