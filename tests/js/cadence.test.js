// @ts-check
/** How often traces are painted, by what a painting takes. */

import assert from "node:assert/strict";
import test from "node:test";

import { Cadence } from "../../static/js/ui/cadence.js";

const FRAME_MS = 1000 / 60;
const MANY_MS = 1000 / 30;

/** A display with its frames, and a page that paints in some of them. */
class Display {
  #at = 0;
  cadence = new Cadence();

  /** @param {number} [frameMs] */
  constructor(frameMs = FRAME_MS) {
    this.frameMs = frameMs;
  }

  /**
   * Of which frames, in the mean of the last of these seconds, one is painted in.
   * @param {number} tookMs each painting
   * @param {{seconds?: number, leastMs?: number}} [how]
   */
  paint(tookMs, { seconds = 20, leastMs = 0 } = {}) {
    const end = this.#at + 1000 * seconds;
    /** @type {boolean[]} */ const last = [];
    for (; this.#at < end; this.#at += this.frameMs) {
      const isDue = this.cadence.isDue(this.#at, leastMs);
      if (isDue) this.cadence.took(tookMs);
      if (this.#at > end - 1000) last.push(isDue);
    }
    return Math.round(last.length / last.filter(Boolean).length);
  }
}

test("paintings take an eighth of the time, and there are at least fifteen a second", () => {
  assert.deepEqual([0.5, 1.8, 2.4, 3.8, 5.5, 8, 30, 500].map((ms) => new Display().paint(ms)), [1, 1, 2, 2, 3, 4, 4, 4]);
});

test("of a pause that is asked for and one that is needed, the longer holds", () => {
  const display = new Display();
  assert.equal(display.paint(1, { leastMs: MANY_MS }), 2);
  assert.equal(display.paint(5.5, { leastMs: MANY_MS }), 3);
});

test("it comes back, but does not swing about a value", () => {
  const display = new Display();
  assert.equal(display.paint(4.6), 3);
  assert.equal(display.paint(3.9), 3, "which alone would be 2");
  assert.equal(display.paint(2.9), 2);
  assert.equal(display.paint(1), 1);
});

test("a stall is soon forgotten", () => {
  const display = new Display();
  display.paint(1);
  display.cadence.took(60_000);
  assert.equal(display.paint(1, { seconds: 3 }), 1);
});

test("where frames come twice as fast, each of them is half of the time", () => {
  assert.equal(new Display(FRAME_MS / 2).paint(1.8), 2);
  assert.equal(new Display(FRAME_MS / 2).paint(500), 8);
  assert.equal(new Display(FRAME_MS / 2).paint(1, { leastMs: MANY_MS }), 4);
});

test("where they come slowly, fifteen a second are fewer of them", () => {
  assert.equal(new Display(20).paint(500), 3);
  assert.equal(new Display(50).paint(500), 1);
});
