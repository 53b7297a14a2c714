// @ts-check
/** A live trace on a canvas: drawn column by column behind a moving erase bar, by sample index. */

import { Placement } from "../ecg/placement.js";
import { addTrace, markBeyond } from "../ecg/trace.js";
import { gapText } from "../stream/gaps.js";
import { hatchOf, paintBreak, paintGap, penOf } from "./canvas.js";
import { mark } from "./dom.js";
import { PULSE_ROOM_MM, drawGrid } from "./grid.js";
import { scaleOf } from "./scale.js";

const HALTED_REPAINT_S = 0.25;
const CURSOR_ALPHA = 0.55;
const EDGE_MARK = 2; // widths of the line: what a mark of samples beyond the edge has, no wider than a repaint reaches

/**
 * The rows of one feed, on one canvas over the paper.
 *
 * The canvas is opaque, and its paper is copied into it from a second one: blended over a canvas of its own, 16
 * traces drawn in software reached 43 % of an empty page's frames, opaque ones 98 %.
 * A pixel column belongs to a time: column = `playout.timeOf(sample) * pixels per second`, modulo the width.
 * A frame repaints only the columns between the last drawn sample and the cursor; everything else
 * (another size, theme, epoch, late samples) repaints all that the ring still holds.
 */
export class Sweep {
  #box;
  #feed;
  #rowsOf;
  #pulse;
  #paper = document.createElement("canvas");
  #canvas = document.createElement("canvas");
  #pen = penOf(this.#canvas, { alpha: false });
  /** Pixels of the paper left of the trace. */ #inset = 0;
  #resizing;
  #seeing;
  #palette;
  #scale;
  /** @type {{speed: number, gain: number} | null} */ #chosen = null;
  /** @type {Placement[]} */ #rows = [];
  /** @type {CanvasPattern | string} */ #hatch = "";
  #visible = true;
  #dirty = true;
  #drawn = 0;
  #generation = -1;
  #revision = 0;
  #breaks = 0;
  #stale = false;
  /** Whether nothing is drawn on: stale, or no trace is sent. */ #halted = false;
  #haltedAt = -Infinity;
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
    this.#paper.className = "paper";
    this.#canvas.className = "trace";
    this.#canvas.setAttribute("role", "img");
    if (pulse) box.prepend(this.#paper, this.#canvas);
    else box.prepend(this.#canvas);
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

  /**
   * The pixel column of a sample; NaN before the first one.
   * @param {number} index
   */
  columnOf(index) {
    const { playout } = this.#feed;
    if (!playout || playout.newest < 0) return NaN;
    return (playout.timeOf(index) * this.#scale.second) % this.#canvas.width;
  }

  /** @param {string} text */
  set label(text) {
    mark(this.#canvas, "aria-label", text);
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
    if (!this.#visible || this.#canvas.width * this.#canvas.height === 0) return false;
    if (!ring || !playout || playout.newest < 0) return this.#paintNothing(now);
    const stop = Math.floor(this.#feed.position);
    this.#lookForChanges(stop, playout, now);
    if (!this.#dirty && stop <= this.#drawn) return false;

    this.#place(stop);
    const from = playout.timeOf(this.#drawn - 1) * this.#scale.second;
    const to = playout.timeOf(stop) * this.#scale.second;
    if (this.#dirty || to - from > this.#canvas.width / 2) this.#paintAll(stop, to, now);
    else this.#paintOn(stop, from, to);
    this.#drawn = stop;
    this.#dirty = false;
    return true;
  }

  /**
   * Paper, or the hatch where no trace is sent.
   * @param {number} now
   * @returns {boolean} whether anything was painted
   */
  #paintNothing(now) {
    const halted = this.#feed.numbersOnly;
    if (!this.#dirty && halted === this.#halted) return false;
    this.#halted = halted;
    this.#dirty = false;
    const { width } = this.#canvas;
    if (halted) this.#paintUnknown(Math.floor(now * this.#scale.second) - width, now);
    else this.#clear(0, width);
    return true;
  }

  /**
   * What makes the whole canvas wrong.
   * @param {number} stop
   * @param {import("../ecg/playout.js").Playout} playout
   * @param {number} now
   */
  #lookForChanges(stop, { breaks, newest }, now) {
    const { generation, revision } = this.#feed;
    if (generation !== this.#generation) {
      this.#generation = generation;
      this.#rows = this.#rowsOf(this.#feed).map((lead) => new Placement(lead));
      this.#drawn = 0;
      this.#dirty = true;
      this.#drawPaper();
    }
    const state = this.#feed.freshness(now);
    const stale = state === "stale" || state === "lost";
    // What came before the change to numbers is drawn to its end first.
    const halted = stale || (this.#feed.numbersOnly && stop >= newest);
    const due = halted && (stop > this.#drawn || now - this.#haltedAt > HALTED_REPAINT_S);
    const changed = stale !== this.#stale || halted !== this.#halted;
    if (due || changed || revision !== this.#revision || breaks !== this.#breaks) this.#dirty = true;
    this.#stale = stale;
    this.#halted = halted;
    this.#revision = revision;
    this.#breaks = breaks;
  }

  /**
   * @param {number} stop
   * @param {number} from column of the last sample drawn
   * @param {number} to column of the cursor
   */
  #paintOn(stop, from, to) {
    const { width } = this.#canvas;
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
    const { width } = this.#canvas;
    const end = Math.floor(to) + 1;
    const sweep = Math.floor(end / width);
    const cursor = end - sweep * width;
    this.#paint(sweep, 0, cursor, stop);
    this.#paint(sweep - 1, cursor, width, stop);
    if (this.#halted) this.#paintUnknown(end, now);
    else this.#bar(end);
  }

  /**
   * The erase bar ahead of the cursor, and the cursor as its left edge.
   * @param {number} cursor
   */
  #bar(cursor) {
    const { erase, ratio } = this.#scale;
    this.#fill(cursor, cursor + erase, this.#palette.surface, 1);
    this.#fill(cursor, cursor + Math.max(1, Math.round(ratio)), this.#palette.trace, CURSOR_ALPHA);
  }

  /**
   * Between the last sample and where the cursor should be, nothing is known.
   * @param {number} from column of the last sample
   * @param {number} now
   */
  #paintUnknown(from, now) {
    const { width } = this.#canvas;
    const to = Math.floor(now * this.#scale.second);
    this.#haltedAt = now;
    this.#fill(from, Math.min(to, from + width), this.#hatch, 1, true);
    if (to - from < width) this.#fill(from, from + Math.round(2 * this.#scale.ratio), this.#palette.text, 1);
  }

  /**
   * Fill columns [from, to), which go on at the left edge when they pass the right one.
   * @param {number} from
   * @param {number} to
   * @param {string | CanvasPattern} style
   * @param {number} alpha
   * @param {boolean} [cleared] whether what is there goes first
   */
  #fill(from, to, style, alpha, cleared = false) {
    const { width, height } = this.#canvas;
    const pen = this.#pen;
    pen.globalAlpha = alpha;
    pen.fillStyle = style;
    for (let x = from; x < to; ) {
      const left = ((x % width) + width) % width;
      const wide = Math.min(to - x, width - left);
      if (cleared) this.#clear(left, left + wide);
      pen.fillRect(left, 0, wide, height);
      x += wide;
    }
    pen.globalAlpha = 1;
  }

  /**
   * Give columns [from, to) back to the paper.
   * @param {number} from
   * @param {number} to
   */
  #clear(from, to) {
    const { height } = this.#canvas;
    const wide = to - from;
    if (wide > 0) this.#pen.drawImage(this.#paper, from + this.#inset, 0, wide, height, from, 0, wide, height);
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
    const pen = this.#pen;
    const { width, height } = this.#canvas;
    const { second, trace, ratio } = this.#scale;
    const offset = sweep * width;
    const reach = 2 * trace; // how far a line's width and joints can matter
    const end = Math.min(stop, Math.ceil(playout.indexAt((offset + b + reach) / second)) + 1);
    const dx = (playout.timeOf(1) - playout.timeOf(0)) * second;
    this.columns += b - a;
    pen.save();
    pen.beginPath();
    pen.rect(a, 0, b - a, height);
    pen.clip();
    this.#clear(a, b);
    if (this.#stale) {
      pen.fillStyle = this.#hatch;
      pen.fillRect(a, 0, b - a, height);
    }
    pen.strokeStyle = this.#halted ? this.#palette.traceDim : this.#palette.trace;
    pen.lineWidth = trace;
    pen.lineJoin = "bevel"; // ends a peak at its sample, and costs 0.4 ms a frame less than round joints
    pen.beginPath();
    let i = Math.max(ring.oldest, ring.origin, Math.floor(playout.indexAt((offset + a - reach) / second)));
    while (i < end) {
      const run = Math.min(ring.presentEnd(i), end);
      if (run > i) {
        const x = playout.timeOf(i) * second - offset;
        for (const row of this.#rows) this.#run(row, i, run, x, dx);
        i = run;
        continue;
      }
      const first = Math.max(ring.absentFirst(i), ring.origin);
      const next = ring.absentEnd(i, stop);
      const left = playout.timeOf(first - 1) * second - offset;
      const right = playout.timeOf(next) * second - offset;
      const why = gapText(this.#feed.gaps.reasonAt(first));
      const gap = { left, right, closed: next < stop, seconds: (next - first) / playout.rateHz, why };
      paintGap(pen, gap, this.#hatch, this.#palette, ratio);
      i = next;
    }
    pen.stroke();
    pen.restore();
  }

  /**
   * A run of present samples of one lead: traced where the lead was on and sent, hatched where it was not.
   * @param {Placement} row
   * @param {number} from
   * @param {number} to
   * @param {number} x
   * @param {number} dx
   */
  #run(row, from, to, x, dx) {
    const { ring, leads, leadsOff } = this.#feed;
    if (!ring) return;
    const name = leads[row.lead];
    const pen = this.#pen;
    const { mm, microvolt, trace, ratio } = this.#scale;
    const isOff = leadsOff.has(name);
    const band = this.#bandOf(row);
    const edges = this.#edgesOf(band);
    let y = NaN;
    for (let i = from; i < to; ) {
      const state = this.#feed.offAt(name, i, to);
      const left = x + (i - from) * dx;
      let end = isOff ? to : state.end;
      const off = isOff || state.off;
      if (!off) end = ring.sentEnd(row.lead, i, end);
      if (off || Number.isNaN(ring.at(row.lead, i))) {
        pen.fillStyle = this.#hatch;
        pen.fillRect(left, band.top, (end - i) * dx + 1, band.height);
        y = NaN;
      } else if (row.isPlaced) {
        const place = row.at(i, end);
        // A position that follows is drawn through; one that jumped breaks the line.
        const joined = Math.abs(place.y - y) < mm;
        if (Math.abs(place.y - y) >= mm) {
          paintBreak(pen, left, band.top, band.top + band.height, this.#palette.edge, ratio);
        }
        end = place.end;
        y = place.y;
        addTrace(pen, ring, row.lead, i, end, left, dx, y, microvolt, edges, joined);
        pen.fillStyle = this.#palette.text;
        markBeyond(pen, ring, row.lead, i, end, left, dx, y, microvolt, edges, EDGE_MARK * trace);
      }
      i = end;
    }
  }

  /**
   * The part of the canvas that is a row's own.
   * @param {Placement} row
   */
  #bandOf(row) {
    const height = this.#canvas.height / this.#rows.length;
    return { top: height * this.#rows.indexOf(row), height };
  }

  /**
   * Up to where a row may draw: half into its neighbours, as on paper, and never off the canvas.
   * @param {{top: number, height: number}} band
   */
  #edgesOf({ top, height }) {
    const line = this.#scale.trace / 2;
    return {
      top: Math.max(top - height / 2, 0) + line,
      bottom: Math.min(top + height * 1.5, this.#canvas.height) - line,
    };
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
   * Let each row follow its trace.
   * @param {number} stop
   */
  #place(stop) {
    const { ring, playout, leads } = this.#feed;
    if (!ring || !playout) return;
    for (const row of this.#rows) {
      const since = this.#feed.onSince(leads[row.lead]);
      if (row.follow(ring, since, stop, playout.rateHz, this.#scale, this.#bandOf(row))) this.#dirty = true;
    }
  }

  #resize() {
    const ratio = devicePixelRatio;
    this.#inset = this.#pulse ? Math.round(PULSE_ROOM_MM * this.#palette.pxPerMm * ratio) : 0;
    this.#paper.width = Math.round(this.#box.clientWidth * ratio);
    this.#paper.height = this.#canvas.height = Math.round(this.#box.clientHeight * ratio);
    this.#canvas.width = Math.max(0, this.#paper.width - this.#inset);
    // As large as its pixels: a canvas is never stretched.
    this.#canvas.style.width = `${this.#canvas.width / ratio}px`;
    this.#rescale();
  }

  #rescale() {
    const { pxPerMm, speed, gain } = this.#palette;
    this.#scale = scaleOf({ pxPerMm, speed, gain, ...this.#chosen }, devicePixelRatio);
    this.#hatch = hatchOf(penOf(this.#paper), this.#palette.hatch, this.#scale.ratio);
    for (const row of this.#rows) row.reset();
    this.#dirty = true;
    this.#drawPaper();
  }

  #drawPaper() {
    if (this.#paper.width * this.#paper.height === 0) return;
    drawGrid(penOf(this.#paper), this.#scale, this.#palette, this.#pulse ? this.#rows.length : 0);
  }
}
