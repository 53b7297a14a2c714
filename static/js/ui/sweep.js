// @ts-check
/** A live trace: drawn column by column behind a moving erase bar, or at the right edge of paper that rolls by. */

import { FilteredRing, stagesOf } from "../ecg/filters.js";
import { mark } from "./dom.js";
import { Sheet } from "./sheet.js";

/** @typedef {import("../stream/feed.js").Feed} Feed */
/** @typedef {import("../ecg/layouts.js").Layout} Layout */
/** @typedef {import("../ecg/filters.js").Choice} Choice */
/** @typedef {"sweep" | "scroll"} Mode */

const HALTED_REPAINT_S = 0.25;
const CURSOR_ALPHA = 0.55;
/** @type {Choice} */
const UNFILTERED = { baseline: false, mains: 0 };

/**
 * One feed on one sheet, by its clock.
 *
 * A pixel column belongs to a time: column = `playout.timeOf(sample) * pixels per second`, modulo the width where a bar sweeps,
 * and from the right edge where the paper rolls. A frame repaints only the columns between the last drawn sample and the
 * cursor; everything else (another size, theme, epoch, late samples) repaints all that the ring still holds.
 */
export class Sweep {
  #feed;
  #layoutOf;
  #sheet;
  #seeing;
  /** @type {Mode} */ #mode = "sweep";
  #filters = UNFILTERED;
  /** @type {FilteredRing | null} */ #filtered = null;
  #visible = true;
  #dirty = true;
  #drawn = 0;
  #generation = -1;
  #revision = 0;
  #breaks = 0;
  #beats = 0;
  /** Column after the cursor's, when it was last painted. */ #end = 0;
  #stale = false;
  /** Whether nothing is drawn on: stale, or no trace is sent. */ #halted = false;
  #haltedAt = -Infinity;

  /**
   * @param {HTMLElement} box
   * @param {Feed} feed
   * @param {{palette: import("./palette.js").Palette, layoutOf: (feed: Feed) => Layout, pulse?: boolean}} options
   *   `layoutOf` says which lead stands where
   */
  constructor(box, feed, { palette, layoutOf, pulse = false }) {
    this.#feed = feed;
    this.#layoutOf = layoutOf;
    this.#sheet = new Sheet(box, palette, { pulse, changed: () => (this.#dirty = true) });
    this.#seeing = new IntersectionObserver((entries) => {
      const visible = entries[entries.length - 1].isIntersecting;
      if (visible && !this.#visible) this.#dirty = true;
      this.#visible = visible;
    });
    this.#seeing.observe(box);
  }

  close() {
    this.#seeing.disconnect();
    this.#sheet.close();
  }

  get feed() {
    return this.#feed;
  }

  /** Index up to which the trace is on the canvas, exclusive. */
  get drawn() {
    return this.#drawn;
  }

  /** Of its canvas. */
  get pixels() {
    return this.#sheet.canvas.width * this.#sheet.canvas.height;
  }

  /** Columns painted so far. */
  get columns() {
    return this.#sheet.columns;
  }

  /**
   * The pixel column of a sample; NaN before the first one.
   * @param {number} index
   */
  columnOf(index) {
    const { playout } = this.#feed;
    if (!playout || playout.newest < 0) return NaN;
    const column = playout.timeOf(index) * this.#sheet.scale.second;
    return this.#mode === "scroll" ? column - this.#offset : column % this.#sheet.canvas.width;
  }

  /**
   * The pixel row at which a sample of a lead is drawn; null where it is not.
   * @param {number} lead
   * @param {number} index
   */
  heightOf(lead, index) {
    const { ring } = this.#feed;
    const cells = this.#sheet.layout.blocks.flatMap((block) => block.cells);
    const cell = cells.find((each) => each.lead === lead);
    return ring && cell ? this.#sheet.yOf(this.#filtered?.ring ?? ring, cell, index, this.columnOf(index)) : null;
  }

  /** @param {string} text */
  set label(text) {
    mark(this.#sheet.canvas, "aria-label", text);
  }

  /** @param {import("./palette.js").Palette} palette */
  set palette(palette) {
    this.#sheet.palette = palette;
  }

  /**
   * Speed in mm/s and gain in mm/mV; the paper changes with them.
   * @param {{speed: number, gain: number}} chosen
   */
  set paper(chosen) {
    this.#sheet.paper = chosen;
  }

  /** @param {Mode} mode */
  set mode(mode) {
    this.#mode = mode;
    this.#sheet.rolls = mode === "scroll";
    this.#dirty = true;
  }

  /** @param {Choice} choice */
  set filters(choice) {
    this.#filters = choice;
    this.#filter();
    this.rearrange(); // a trace without its drift stands elsewhere
  }

  /** @param {boolean} marked whether beats are marked */
  set marked(marked) {
    this.#sheet.marked = marked;
    this.#dirty = true;
  }

  /** Ask again which lead stands where. */
  rearrange() {
    this.#sheet.layout = this.#layoutOf(this.#feed);
  }

  /** Seconds that are to be seen at once. */
  get seconds() {
    return this.#sheet.canvas.width / this.#sheet.scale.second;
  }

  /** Counts the changes of where cells stand. */
  get placed() {
    return this.#sheet.placed;
  }

  /** Where each cell begins, in CSS pixels, and its share of the height. */
  get cells() {
    return this.#sheet.cells;
  }

  /**
   * Bring the canvas up to the feed's position.
   * @param {number} now seconds
   * @returns {boolean} whether anything was painted
   */
  frame(now) {
    const { ring, playout } = this.#feed;
    if (!this.#visible || this.#sheet.isEmpty) return false;
    if (!ring || !playout || playout.newest < 0) return this.#paintNothing(now);
    const stop = Math.floor(this.#feed.position);
    this.#lookForChanges(stop, playout, now);
    if (!this.#dirty && stop <= this.#drawn) return this.#paintBeats(ring);

    const { second } = this.#sheet.scale;
    const from = playout.timeOf(this.#drawn - 1) * second;
    const to = playout.timeOf(stop) * second;
    // Rolling paper moves by whole pixels.
    if (this.#mode === "scroll" && !this.#dirty && Math.floor(to) < this.#end) return this.#paintBeats(ring);
    this.#filtered?.follow(stop);
    const signal = this.#filtered?.ring ?? ring;
    if (this.#sheet.follow(this.#feed, signal, stop)) this.#dirty = true;
    if (this.#dirty || to - from > this.#sheet.canvas.width / 2) this.#paintAll(signal, stop, to, now);
    else this.#paintOn(signal, stop, from, to);
    this.#drawn = stop;
    this.#dirty = false;
    this.#paintBeats(ring);
    return true;
  }

  /** The time of the left edge of rolling paper, in columns. */
  get #offset() {
    return this.#end - this.#sheet.canvas.width;
  }

  #filter() {
    const { ring, info } = this.#feed;
    const stages = info ? stagesOf(this.#filters, info.rate_hz) : [];
    this.#filtered = ring && stages.length > 0 ? new FilteredRing(ring, stages) : null;
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
    const { width } = this.#sheet.canvas;
    this.#end = Math.floor(now * this.#sheet.scale.second);
    if (halted) this.#paintUnknown(this.#end - width, now);
    else this.#sheet.clear(0, width, this.#offset);
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
      this.#drawn = 0;
      this.#beats = 0;
      this.#filter();
      this.rearrange();
    }
    const state = this.#feed.freshness(now);
    const stale = state === "stale" || state === "lost";
    // What came before the change to numbers is drawn to its end first.
    const halted = stale || (this.#feed.numbersOnly && stop >= newest);
    const due = halted && (stop > this.#drawn || now - this.#haltedAt > HALTED_REPAINT_S);
    const changed = stale !== this.#stale || halted !== this.#halted;
    if (revision !== this.#revision) this.#filtered?.restart();
    if (due || changed || revision !== this.#revision || breaks !== this.#breaks) this.#dirty = true;
    this.#stale = stale;
    this.#halted = halted;
    this.#revision = revision;
    this.#breaks = breaks;
  }

  /**
   * @param {import("../ecg/ring.js").SampleRing} ring
   * @param {number} stop
   * @param {number} from column of the last sample drawn
   * @param {number} to column of the cursor
   */
  #paintOn(ring, stop, from, to) {
    const { width } = this.#sheet.canvas;
    const gap = this.#gapJustClosed(stop);
    const begin = Math.floor(gap === null ? from : Math.min(from, gap)) - Math.ceil(this.#sheet.scale.trace);
    const end = Math.floor(to) + 1;
    if (this.#mode === "scroll") {
      const by = end - this.#end;
      const again = this.#end - begin;
      this.#end = end;
      this.#sheet.roll(this.#picture(ring, this.#offset, stop), by, Math.min(again, width));
      return;
    }
    this.#end = end;
    for (let x = begin; x < end; ) {
      const sweep = Math.floor(x / width);
      const edge = Math.min(end, (sweep + 1) * width);
      this.#sheet.paint(this.#picture(ring, sweep * width, stop), x - sweep * width, edge - sweep * width);
      x = edge;
    }
    this.#bar(end);
  }

  /**
   * @param {import("../ecg/ring.js").SampleRing} ring
   * @param {number} stop
   * @param {number} to column of the cursor
   * @param {number} now
   */
  #paintAll(ring, stop, to, now) {
    const { width } = this.#sheet.canvas;
    const end = Math.floor(to) + 1;
    this.#beats = this.#feed.beats.count;
    if (this.#mode === "scroll") {
      this.#end = this.#halted ? Math.max(end, Math.floor(now * this.#sheet.scale.second)) : end;
      this.#sheet.paint(this.#picture(ring, this.#offset, stop), 0, width);
      if (this.#halted) this.#paintUnknown(end, now);
      return;
    }
    this.#end = end;
    const sweep = Math.floor(end / width);
    const cursor = end - sweep * width;
    this.#sheet.paint(this.#picture(ring, sweep * width, stop), 0, cursor);
    this.#sheet.paint(this.#picture(ring, (sweep - 1) * width, stop), cursor, width);
    if (this.#halted) this.#paintUnknown(end, now);
    else this.#bar(end);
  }

  /**
   * Beats become known half a second after they were drawn: their columns are painted once more.
   * @param {import("../ecg/ring.js").SampleRing} ring
   * @returns {boolean} whether any was
   */
  #paintBeats(ring) {
    const { beats, playout } = this.#feed;
    const news = beats.since(this.#beats);
    this.#beats = beats.count;
    if (!this.#sheet.marked || news.length === 0 || !playout || this.#halted) return false;
    const { width } = this.#sheet.canvas;
    const signal = this.#filtered?.ring ?? ring;
    const reach = this.#sheet.beatReach;
    for (const { sample } of news) {
      if (sample >= this.#drawn) continue; // it is marked with its samples
      const column = Math.floor(playout.timeOf(sample) * this.#sheet.scale.second);
      const left = Math.max(column - reach, this.#end - width + this.#sheet.scale.erase);
      const right = Math.min(column + reach, this.#end);
      for (let x = left; x < right; ) {
        const offset = this.#mode === "scroll" ? this.#offset : Math.floor(x / width) * width;
        const edge = Math.min(right, offset + width);
        this.#sheet.paint(this.#picture(signal, offset, this.#drawn), x - offset, edge - offset);
        x = edge;
      }
    }
    return true;
  }

  /**
   * @param {import("../ecg/ring.js").SampleRing} ring
   * @param {number} offset
   * @param {number} stop
   * @returns {import("./sheet.js").Picture}
   */
  #picture(ring, offset, stop) {
    return { feed: this.#feed, ring, offset, stop, stale: this.#stale, halted: this.#halted };
  }

  /**
   * The erase bar ahead of the cursor, and the cursor as its left edge.
   * @param {number} cursor
   */
  #bar(cursor) {
    const { scale, palette } = this.#sheet;
    this.#fill(cursor, cursor + scale.erase, palette.surface, 1);
    this.#fill(cursor, cursor + Math.max(1, Math.round(scale.ratio)), palette.trace, CURSOR_ALPHA);
  }

  /**
   * Between the last sample and where the cursor should be, nothing is known.
   * @param {number} from column of the last sample
   * @param {number} now
   */
  #paintUnknown(from, now) {
    const { canvas, scale, hatch, palette } = this.#sheet;
    const to = Math.floor(now * scale.second);
    this.#haltedAt = now;
    this.#fill(from, Math.min(to, from + canvas.width), hatch, 1, true);
    if (to - from < canvas.width) this.#fill(from, from + Math.round(2 * scale.ratio), palette.text, 1);
  }

  /**
   * Fill columns [from, to); where a bar sweeps they go on at the left edge when they pass the right one.
   * @param {number} from
   * @param {number} to
   * @param {string | CanvasPattern} style
   * @param {number} alpha
   * @param {boolean} [cleared] whether what is there goes first
   */
  #fill(from, to, style, alpha, cleared = false) {
    const { pen } = this.#sheet;
    const { width, height } = this.#sheet.canvas;
    const rolls = this.#mode === "scroll";
    pen.globalAlpha = alpha;
    pen.fillStyle = style;
    for (let x = rolls ? Math.max(from, this.#offset) : from; x < to; ) {
      const left = rolls ? x - this.#offset : ((x % width) + width) % width;
      const wide = Math.min(to - x, width - left);
      if (wide <= 0) break;
      if (cleared) this.#sheet.clear(left, left + wide, rolls ? this.#offset : 0);
      pen.fillRect(left, 0, wide, height);
      x += wide;
    }
    pen.globalAlpha = 1;
  }

  /**
   * The column where a gap began that the new samples end: its label can be written only now.
   * @param {number} stop
   */
  #gapJustClosed(stop) {
    const { ring, playout } = this.#feed;
    if (!ring || !playout || ring.origin >= this.#drawn || ring.presentEnd(this.#drawn - 1) >= stop) return null;
    const absent = ring.has(this.#drawn - 1) ? ring.presentEnd(this.#drawn - 1) : this.#drawn - 1;
    return playout.timeOf(Math.max(ring.absentFirst(absent), ring.origin) - 1) * this.#sheet.scale.second;
  }
}
