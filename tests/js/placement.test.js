// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { Placement } from "../../static/js/ecg/placement.js";
import { SampleRing } from "../../static/js/ecg/ring.js";

const RATE = 100;
const SIGNAL = { gain_uv: 10, baseline: 0 };
const SCALE = { mm: 4, microvolt: 0.04 };
const BAND = { top: 0, height: 100 };

/**
 * Look ten times a second at a signal of so many microvolts at each second.
 * @param {(second: number) => number} microvolts
 * @param {number} seconds
 */
function followed(microvolts, seconds) {
  const ring = new SampleRing(1, RATE);
  const row = new Placement(0);
  const redrawn = [];
  for (let stop = 10; stop <= seconds * RATE; stop += 10) {
    const chunk = Int32Array.from({ length: 10 }, (_, i) => Math.round(microvolts((stop - 10 + i) / RATE) / 10));
    ring.write(stop - 10, chunk, 10);
    if (row.follow(ring, stop, RATE, SIGNAL, SCALE, BAND)) redrawn.push(stop);
  }
  return { row, redrawn };
}

const beat = (/** @type {number} */ second) => (second % 0.8 < 0.05 ? 1000 : 0);

test("a row is placed at once, again after its first second, and then only moves by itself", () => {
  assert.deepEqual(followed(beat, 20).redrawn, [10, 100]);
});

test("a trace that stays in its band never moves", () => {
  const { row } = followed((second) => beat(second) + 200 * Math.sin(second), 60);
  assert.equal(row.at(200, 6000).end, 6000);
});

/** 1.5 mV up, which puts the beats above the band. */
const wander = (/** @type {number} */ second) => beat(second) + (second > 10 ? 1500 : 0);

test("a trace that wanders off is followed by half a millimetre in a tenth of a second", () => {
  const { row } = followed(wander, 40);
  const before = row.at(900, 4000).y;
  const after = row.at(3999, 4000).y;
  assert.ok(after - before > 35 && after - before < 75, `${before} to ${after}`);
  for (let i = 1001; i < 4000; i++) {
    const step = row.at(i, 4000).y - row.at(i - 1, 4000).y;
    assert.ok(Math.abs(step) <= 2 + 1e-9, `a step of ${step} px at ${i}`);
  }
});

test("what was drawn keeps its place when the trace is followed", () => {
  assert.equal(followed(wander, 12).row.at(500, 1000).y, followed(wander, 40).row.at(500, 1000).y);
});

test("an electrode that was off does not leave the trace outside its band", () => {
  const rail = (/** @type {number} */ second) => (second > 10 && second < 20 ? 10_000 : beat(second));
  const { row } = followed(rail, 23);
  const y = row.at(2299, 2300).y;
  assert.ok(y - 1000 * 0.04 > 0 && y < 100, `0 uV at ${y}`);
});

test("a reset row is placed anew", () => {
  const { row } = followed(beat, 5);
  assert.equal(row.isPlaced, true);
  row.reset();
  assert.equal(row.isPlaced, false);
});
