// @ts-check
/** A frozen view: what the screen showed when it was taken, to be measured while the live trace goes on above it. */

import { FilteredRing, stagesOf } from "../ecg/filters.js";
import { decimal, t } from "../i18n.js";
import { durationText } from "../stream/freshness.js";
import { clockText } from "./alarm-words.js";
import { Calipers } from "./calipers.js";
import { mark, pick, write } from "./dom.js";
import { labelsOf } from "./labels.js";
import { Sheet } from "./sheet.js";

/** @typedef {import("../stream/feed.js").Feed} Feed */
/** @typedef {import("../ecg/ring.js").SampleRing} SampleRing */

export class Frozen {
  #card;
  #parts;
  #sheet;
  #calipers;
  #labels;
  #feed;
  /** @type {SampleRing} */ #signal;
  #stop;
  #takenAt;
  /** When the last sample was taken, in milliseconds since 1970. */ #endedMs;
  #rateHz;
  /** The time of the first column, in columns. */ #offset = 0;
  #text;
  #refused = "";

  /**
   * @param {HTMLElement} card
   * @param {Feed} live of which there are samples
   * @param {{paper: import("./paper.js").Paper, palette: import("./palette.js").Palette, now: number, nowMs: number}} view
   */
  constructor(card, live, { paper, palette, now, nowMs }) {
    this.#card = card;
    this.#feed = live.frozen();
    const ring = /** @type {SampleRing} */ (this.#feed.ring);
    this.#rateHz = live.info?.rate_hz ?? 1;
    this.#stop = Math.floor(live.position);
    this.#takenAt = now;
    this.#text = paper.text;
    this.#endedMs = nowMs - 1000 * live.shownAge(now);
    const stages = stagesOf(paper.filters, this.#rateHz);
    const filtered = stages.length > 0 ? new FilteredRing(ring, stages) : null;
    filtered?.follow(this.#stop);
    this.#signal = filtered?.ring ?? ring;
    const part = (/** @type {string} */ name) => pick(card, `[data-part="frozen-${name}"]`, Element);
    this.#parts = { age: part("age"), about: part("about"), scale: part("scale"), calipers: part("calipers"), note: part("note"), said: part("said") };
    mark(card, "hidden", null);
    const box = pick(card, ".plot", HTMLElement);
    this.#labels = pick(card, ".row-labels", HTMLElement);
    this.#calipers = new Calipers(box, (text) => write(this.#parts.said, text));
    this.#sheet = new Sheet(box, palette, { pulse: true, changed: () => this.#paint() });
    this.#sheet.marked = paper.marked;
    this.#sheet.rolls = true;
    this.#sheet.paper = paper.scale;
    this.#sheet.layout = paper.layout;
    write(this.#parts.scale, this.#text);
    this.#paint();
    card.scrollIntoView({ block: "nearest" });
  }

  /** @param {import("./palette.js").Palette} palette */
  set palette(palette) {
    this.#sheet.palette = palette;
  }

  /** @param {number} now */
  update(now) {
    write(this.#parts.age, t("Frozen – live age {time}", { time: durationText(Math.max(0, now - this.#takenAt)) }));
  }

  /** Take calipers to it, or away; or say why there are none. */
  measure() {
    if (this.#calipers.isOpen) this.#calipers.close();
    else if (this.#refused === "") this.#calipers.open(this.#ground, this.#sheet.layout.rows - 1);
    mark(this.#parts.calipers, "aria-pressed", String(this.#calipers.isOpen));
  }

  /**
   * @param {string} key
   * @param {boolean} far
   * @returns {boolean} whether it meant something here
   */
  key(key, far) {
    return this.#calipers.key(key, far);
  }

  close() {
    this.#calipers.close();
    mark(this.#parts.calipers, "aria-pressed", "false");
    this.#sheet.close();
    mark(this.#card, "hidden", "");
  }

  /** @returns {import("./calipers.js").Ground} */
  get #ground() {
    const { scale, inset, canvas, layout } = this.#sheet;
    const playout = /** @type {import("../ecg/playout.js").Playout} */ (this.#feed.playout);
    const column = (/** @type {number} */ sample) => playout.timeOf(sample) * scale.second - this.#offset;
    const sampleAt = (/** @type {number} */ x) =>
      Math.round(playout.indexAt(((x - inset) * scale.ratio + this.#offset) / scale.second));
    const middle = (/** @type {number} */ row) => ((row + 0.5) * canvas.height) / layout.rows;
    return {
      ring: this.#signal,
      beats: this.#feed.beats,
      rateHz: this.#rateHz,
      xOf: (sample) => inset + column(sample) / scale.ratio,
      sampleAt,
      cellAt: (x, y) => this.#sheet.cellAt((x - inset) * scale.ratio, y * scale.ratio),
      cellOf: (sample, row) => this.#sheet.cellAt(Math.min(Math.max(column(sample), 0), canvas.width - 1), middle(row)),
      yOf: (cell, sample) => {
        const y = this.#sheet.yOf(this.#signal, cell, sample, column(sample));
        return y === null ? null : y / scale.ratio;
      },
      span: [Math.max(sampleAt(inset), 0), this.#stop],
    };
  }

  #paint() {
    if (this.#sheet === undefined || this.#sheet.isEmpty || this.#sheet.layout.blocks.length === 0) return;
    const { scale, canvas } = this.#sheet;
    const playout = /** @type {import("../ecg/playout.js").Playout} */ (this.#feed.playout);
    const end = Math.floor(playout.timeOf(this.#stop) * scale.second) + 1;
    this.#offset = end - canvas.width;
    this.#sheet.follow(this.#feed, this.#signal, this.#stop);
    const picture = { feed: this.#feed, ring: this.#signal, offset: this.#offset, stop: this.#stop };
    this.#sheet.paint(picture, 0, canvas.width);
    const seconds = canvas.width / scale.second;
    const first = this.#ground.span[0];
    write(this.#parts.about, t("{time} s to {clock}", { time: decimal(seconds, 1), clock: clockText(this.#endedMs) }));
    this.#refused = this.#feed.coarseStop > first ? t("No calipers: these samples came as display or overview") : "";
    write(this.#parts.note, this.#refused);
    mark(this.#parts.calipers, "disabled", this.#refused === "" ? null : "");
    mark(this.#sheet.canvas, "aria-label", t("Frozen ECG of bed {bed}, {scale}", { bed: this.#feed.entry.bed, scale: this.#text }));
    this.#labels.replaceChildren(...labelsOf(this.#sheet.cells, this.#feed.leads));
    this.#calipers.lay(this.#ground);
  }
}
