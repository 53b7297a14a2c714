// @ts-check
/** A sheet of ECG paper and the traces of one feed on it: any columns of any layout, painted from samples. */

import { Placement } from "../ecg/placement.js";
import { addTrace, markBeyond } from "../ecg/trace.js";
import { gapText } from "../stream/gaps.js";
import { hatchOf, paintBeat, paintBreak, paintGap, penOf } from "./canvas.js";
import { PULSE_ROOM_MM, drawGrid } from "./grid.js";
import { STANDARD_MM } from "../ecg/layouts.js";
import { scaleOf } from "./scale.js";

/** @typedef {import("../stream/feed.js").Feed} Feed */
/** @typedef {import("../ecg/ring.js").SampleRing} SampleRing */
/** @typedef {import("../ecg/layouts.js").Layout} Layout */
/** @typedef {import("../ecg/layouts.js").Block} Block */
/** @typedef {import("./palette.js").Palette} Palette */

const EDGE_MARK = 2; // widths of the line: what a mark of samples beyond the edge has, no wider than a repaint reaches
const MAJOR_MM = 5;

/** What is to be painted: columns [a, b), the time of whose pixels begins at `offset`, from samples before `stop`. */
/** @typedef {{feed: Feed, ring: SampleRing, offset: number, stop: number, stale?: boolean, halted?: boolean}} Picture */

/** A cell of a layout, in pixels, with the position of its trace. */
/** @typedef {{row: Placement, top: number, height: number}} Line */

/**
 * The canvas is opaque, and its paper is copied into it from a second one: blended over a canvas of its own, 16
 * traces drawn in software reached 43 % of an empty page's frames, opaque ones 98 %.
 */
export class Sheet {
  #box;
  #changed;
  #pulse;
  #paper = document.createElement("canvas");
  /** Pixels of the paper left of the trace. */ #inset = 0;
  #resizing;
  #palette;
  /** @type {{speed: number, gain: number} | null} */ #chosen = null;
  /** @type {Layout} */ #layout = { rows: 1, columns: 1, blocks: [] };
  /** @type {Map<Block, Line[]>} */ #lines = new Map();
  /** @type {CanvasPattern | string} */ hatch = "";
  canvas = document.createElement("canvas");
  pen = penOf(this.canvas, { alpha: false });
  scale;
  /** Whether the paper goes along with the trace, as it does out of a printer. */
  rolls = false;
  /** Whether beats are marked. */
  marked = false;
  /** Columns painted so far: what the drawing cost. */
  columns = 0;
  /** Counts the changes of where cells stand. */
  placed = 0;

  /**
   * @param {HTMLElement} box
   * @param {Palette} palette
   * @param {{pulse: boolean, changed: () => void}} options `changed` is called when nothing that is on it holds any more
   */
  constructor(box, palette, { pulse, changed }) {
    this.#box = box;
    this.#palette = palette;
    this.#pulse = pulse;
    this.#changed = changed;
    this.scale = scaleOf(palette, devicePixelRatio);
    this.#paper.className = "paper";
    this.canvas.className = "trace";
    this.canvas.setAttribute("role", "img");
    if (pulse) box.prepend(this.#paper, this.canvas);
    else box.prepend(this.canvas);
    this.#resizing = new ResizeObserver(() => this.#resize());
    this.#resizing.observe(box);
    this.#resize();
  }

  close() {
    this.#resizing.disconnect();
    this.#paper.remove();
    this.canvas.remove();
  }

  get isEmpty() {
    return this.canvas.width * this.canvas.height === 0;
  }

  get palette() {
    return this.#palette;
  }

  set palette(palette) {
    this.#palette = palette;
    this.#resize();
  }

  /** Speed in mm/s and gain in mm/mV; the paper changes with them. @param {{speed: number, gain: number}} chosen */
  set paper(chosen) {
    this.#chosen = chosen;
    this.#rescale();
  }

  get layout() {
    return this.#layout;
  }

  set layout(layout) {
    this.#layout = layout;
    this.#lines = new Map(layout.blocks.map((block) => [block, block.cells.map(({ lead }) => ({ row: new Placement(lead), top: 0, height: 0 }))]));
    this.#resize();
  }

  /** Where each cell begins, in CSS pixels from the left of the box, and its share of the height. */
  get cells() {
    const { rows, blocks } = this.#layout;
    const { ratio } = this.scale;
    return blocks.flatMap(({ cells }) =>
      cells.map(({ lead, row, left }) => ({
        lead,
        x: left > 0 ? (this.#inset + this.#edge(left)) / ratio : 0,
        top: row / rows,
        high: 1 / rows,
      })),
    );
  }

  /** CSS pixels from the left of the box to the first column. */
  get inset() {
    return this.#inset / this.scale.ratio;
  }

  /**
   * Let each row follow its trace.
   * @param {Feed} feed
   * @param {SampleRing} ring
   * @param {number} stop
   * @returns {boolean} whether all has to be painted again
   */
  follow(feed, ring, stop) {
    let moved = false;
    for (const lines of this.#lines.values()) {
      for (const { row, top, height } of lines) {
        const since = feed.onSince(feed.leads[row.lead]);
        const rateHz = /** @type {import("../ecg/playout.js").Playout} */ (feed.playout).rateHz;
        moved = row.follow(ring, since, stop, rateHz, this.scale, { top, height }) || moved;
      }
    }
    return moved;
  }

  /**
   * Give columns [a, b) back to the paper.
   * @param {number} a
   * @param {number} b
   * @param {number} offset
   */
  clear(a, b, offset) {
    const { height } = this.canvas;
    const period = this.#period;
    for (let x = a; x < b; ) {
      const sheets = this.rolls ? Math.floor((offset + x + 0.5) / period) : 0;
      const begin = this.rolls ? Math.round(sheets * period) - offset : 0;
      const end = this.rolls ? Math.min(b, Math.max(Math.round((sheets + 1) * period) - offset, x + 1)) : b;
      const from = Math.max(x - begin, 0) + this.#inset;
      this.pen.drawImage(this.#paper, from, 0, end - x, height, x, 0, end - x, height);
      x = end;
    }
  }

  /**
   * Columns [a, b), from nothing.
   * @param {Picture} picture
   * @param {number} a
   * @param {number} b
   */
  paint(picture, a, b) {
    const { width } = this.canvas;
    for (const block of this.#layout.blocks) {
      const from = Math.max(a, this.#edge(block.left));
      const to = Math.min(b, this.#edge(block.right, width));
      if (to > from) this.#paintBlock(block, picture, from, to);
    }
  }

  /**
   * Let all traces go `by` columns to the left, and paint what comes in at the right edge of each block.
   * @param {Picture} picture
   * @param {number} by
   * @param {number} again columns before those that have to be painted again: the last samples drawn reach into them
   */
  roll(picture, by, again) {
    const { canvas, pen } = this;
    for (const block of this.#layout.blocks) {
      const left = this.#edge(block.left);
      const right = this.#edge(block.right, canvas.width);
      const { top, height } = this.#bandOf(block.top, block.bottom);
      const stays = right - left - by;
      if (stays > 0) pen.drawImage(canvas, left + by, top, stays, height, left, top, stays, height);
      this.#paintBlock(block, picture, Math.max(left, right - by - again), right);
    }
  }

  /**
   * The cell at a point of the canvas; null where there is none.
   * @param {number} x
   * @param {number} y
   */
  cellAt(x, y) {
    const { width, height } = this.canvas;
    const row = Math.min(Math.max(Math.floor((y / height) * this.#layout.rows), 0), this.#layout.rows - 1);
    const cells = this.#layout.blocks.flatMap((block) => block.cells);
    return cells.find((cell) => cell.row === row && x >= cell.left * width && x < cell.right * width) ?? null;
  }

  /**
   * The height at which a sample of a cell is drawn; null where it is not.
   * @param {SampleRing} ring
   * @param {{lead: number, row: number}} cell
   * @param {number} sample
   * @param {number} x
   */
  yOf(ring, cell, sample, x) {
    for (const [{ cells }, lines] of this.#lines) {
      const at = cells.findIndex(({ row, left, right }) => row === cell.row && x >= this.#edge(left) - 1 && x <= this.#edge(right));
      const row = at < 0 ? null : lines[at].row;
      if (row?.isPlaced && ring.has(sample)) return row.at(sample, sample + 1).y - ring.at(cell.lead, sample) * this.scale.microvolt;
    }
    return null;
  }

  /**
   * @param {Block} block
   * @param {Picture} picture
   * @param {number} a
   * @param {number} b
   */
  #paintBlock(block, picture, a, b) {
    const { feed, ring, offset, stop } = picture;
    const { playout } = feed;
    if (!playout) return;
    const { pen } = this;
    const { second, trace, ratio } = this.scale;
    const { top, height } = this.#bandOf(block.top, block.bottom);
    const reach = 2 * trace; // how far a line's width and joints can matter
    const end = Math.min(stop, Math.ceil(playout.indexAt((offset + b + reach) / second)) + 1);
    const dx = (playout.timeOf(1) - playout.timeOf(0)) * second;
    const lines = this.#lines.get(block) ?? [];
    this.columns += b - a;
    pen.save();
    pen.beginPath();
    pen.rect(a, top, b - a, height);
    pen.clip();
    this.clear(a, b, offset);
    if (picture.stale) {
      pen.fillStyle = this.hatch;
      pen.fillRect(a, 0, b - a, this.canvas.height);
    }
    pen.strokeStyle = picture.halted ? this.#palette.traceDim : this.#palette.trace;
    pen.lineWidth = trace;
    pen.lineJoin = "bevel"; // ends a peak at its sample, and costs 0.4 ms a frame less than round joints
    pen.beginPath();
    const begin = Math.max(ring.oldest, ring.origin, Math.floor(playout.indexAt((offset + a - reach) / second)));
    let i = begin;
    while (i < end) {
      const run = Math.min(ring.presentEnd(i), end);
      if (run > i) {
        const x = playout.timeOf(i) * second - offset;
        for (const line of lines) this.#run(picture, line, top, height, i, run, x, dx);
        i = run;
        continue;
      }
      const first = Math.max(ring.absentFirst(i), ring.origin);
      const next = ring.absentEnd(i, stop);
      const left = playout.timeOf(first - 1) * second - offset;
      const right = playout.timeOf(next) * second - offset;
      const why = gapText(feed.gaps.reasonAt(first));
      const gap = { left, right, closed: next < stop, seconds: (next - first) / playout.rateHz, why };
      paintGap(pen, gap, this.hatch, this.#palette, ratio);
      i = next;
    }
    pen.stroke();
    if (this.marked && block.bottom === this.#layout.rows) {
      const wide = Math.ceil(this.beatReach / dx);
      feed.beats.within(begin - wide, end + wide, ({ sample, ventricular }) => {
        const x = playout.timeOf(sample) * second - offset;
        paintBeat(pen, x, ventricular, this.#palette, ratio);
      });
    }
    pen.restore();
  }

  /** Half the width of a beat's mark, in pixels. */
  get beatReach() {
    return Math.ceil(6 * this.scale.ratio);
  }

  /**
   * A run of present samples of one lead: traced where the lead was on and sent, hatched where it was not.
   * @param {Picture} picture
   * @param {Line} line
   * @param {number} above top of its block
   * @param {number} room height of its block
   * @param {number} from
   * @param {number} to
   * @param {number} x
   * @param {number} dx
   */
  #run({ feed, ring }, line, above, room, from, to, x, dx) {
    const { row } = line;
    const name = feed.leads[row.lead];
    const { pen } = this;
    const { mm, microvolt, trace, ratio } = this.scale;
    const isOff = feed.leadsOff.has(name);
    // Half into its neighbours, as on paper, and never out of its block.
    const edges = {
      top: Math.max(line.top - line.height / 2, above) + trace / 2,
      bottom: Math.min(line.top + line.height * 1.5, above + room) - trace / 2,
    };
    let y = NaN;
    for (let i = from; i < to; ) {
      const state = feed.offAt(name, i, to);
      const left = x + (i - from) * dx;
      let end = isOff ? to : state.end;
      const off = isOff || state.off;
      if (!off) end = ring.sentEnd(row.lead, i, end);
      if (off || Number.isNaN(ring.at(row.lead, i))) {
        pen.fillStyle = this.hatch;
        pen.fillRect(left, line.top, (end - i) * dx + 1, line.height);
        y = NaN;
      } else if (row.isPlaced) {
        const place = row.at(i, end);
        // A position that follows is drawn through; one that jumped breaks the line.
        const joined = Math.abs(place.y - y) < mm;
        if (Math.abs(place.y - y) >= mm) {
          paintBreak(pen, left, line.top, line.top + line.height, this.#palette.edge, ratio);
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
   * The part of the canvas that rows [from, to) have for themselves.
   * @param {number} from
   * @param {number} to
   */
  #bandOf(from, to) {
    // Whole pixels: between two blocks there must be no seam.
    const row = this.canvas.height / this.#layout.rows;
    const top = Math.round(row * from);
    return { top, height: Math.round(row * to) - top };
  }

  /**
   * The column at a share of the width.
   * @param {number} share
   * @param {number} [width]
   */
  #edge(share, width = this.canvas.width) {
    return Math.round(share * width);
  }

  /** Pixels after which the paper that goes along is the same again. */
  get #period() {
    const major = MAJOR_MM * this.scale.mm;
    return Math.max(Math.floor(this.canvas.width / major), 1) * major;
  }

  #resize() {
    const ratio = devicePixelRatio;
    const mm = this.#palette.pxPerMm * ratio;
    this.#inset = this.#pulse ? Math.round(PULSE_ROOM_MM * mm) : 0;
    this.#paper.width = Math.round(this.#box.clientWidth * ratio);
    this.#paper.height = this.canvas.height = Math.round(this.#box.clientHeight * ratio);
    const room = Math.max(0, this.#paper.width - this.#inset);
    this.canvas.width = this.#layout.columns > 1 ? Math.min(room, Math.round(STANDARD_MM * mm)) : room;
    // As large as its pixels: a canvas is never stretched.
    this.canvas.style.width = `${this.canvas.width / ratio}px`;
    this.canvas.style.left = `${this.#inset / ratio}px`;
    this.#rescale();
  }

  #rescale() {
    const { pxPerMm, speed, gain } = this.#palette;
    this.scale = scaleOf({ pxPerMm, speed, gain, ...this.#chosen }, devicePixelRatio);
    this.hatch = hatchOf(penOf(this.#paper), this.#palette.hatch, this.scale.ratio);
    for (const [block, lines] of this.#lines) {
      block.cells.forEach(({ row }, at) => {
        Object.assign(lines[at], this.#bandOf(row, row + 1));
        lines[at].row.reset();
      });
    }
    this.placed++;
    this.#drawPaper();
    this.#changed();
  }

  #drawPaper() {
    if (this.#paper.width * this.#paper.height === 0) return;
    drawGrid(penOf(this.#paper), this.scale, this.#palette, this.#pulse ? this.#layout.rows : 0);
  }
}
