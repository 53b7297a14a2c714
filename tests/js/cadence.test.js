// @ts-check
/** How often traces are painted, by what a painting takes. */

import assert from "node:assert/strict";
import test from "node:test";

import { Cadence } from "../../static/js/ui/cadence.js";

const FRAME_MS = 1000 / 60;

/**
 * @param {Cadence} cadence
 * @param {number} tookMs each
 * @param {number} [times]
 */
function paint(cadence, tookMs, times = 200) {
  for (let at = 0; at < times; at++) cadence.took(tookMs);
  return cadence.every(1);
}

test("paintings take a fifth of the time, at least fifteen a second", () => {
  assert.deepEqual([0.5, 3, 4, 6, 9, 12, 30, 500].map((ms) => paint(new Cadence(), ms)), [1, 1, 2, 2, 3, 4, 4, 4]);
});

test("of what is asked for at least and what is needed, the rarer holds", () => {
  const cadence = new Cadence();
  assert.equal(cadence.every(2), 2);
  paint(cadence, 9);
  assert.deepEqual([cadence.every(1), cadence.every(2), cadence.every(4)], [3, 3, 4]);
});

test("it comes back, but does not swing about a value", () => {
  const cadence = new Cadence();
  assert.equal(paint(cadence, 6.8), 3);
  assert.equal(paint(cadence, 6.5), 3, "which alone would be 2");
  assert.equal(paint(cadence, 5), 2);
  assert.equal(paint(cadence, 1), 1);
});

test("one stall is no cadence", () => {
  const cadence = new Cadence();
  paint(cadence, 1);
  cadence.took(60_000);
  assert.equal(cadence.every(1), 2);
  assert.equal(paint(cadence, 1, 60), 1);
});

test("where frames come twice as fast, each of them is half of the time", () => {
  const cadence = new Cadence();
  for (let at = 0; at < 200; at++) cadence.came(FRAME_MS / 2);
  assert.equal(paint(cadence, 3), 2);
  assert.equal(paint(cadence, 500), 8);
});

test("a page that is late does not paint more for it", () => {
  const cadence = new Cadence();
  for (let at = 0; at < 200; at++) cadence.came(5 * FRAME_MS);
  assert.equal(paint(cadence, 6), 2);
});
