// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { Placement, placeTrace } from "../../static/js/ecg/placement.js";
import { SampleRing } from "../../static/js/ecg/ring.js";
import { lossless } from "./vectors.js";

const RATE = 100;
const LAYOUT = lossless(1, { gain_uv: 10, baseline: 500 });
const SCALE = { mm: 4, microvolt: 0.04 };
const BAND = { top: 0, height: 100 };

/**
 * Look ten times a second at a signal of so many microvolts at each second.
 * @param {(second: number) => number} microvolts
 * @param {number} seconds
 * @param {(stop: number) => number} [onSince] what is known at `stop` of the sample from which the lead is on
 */
function followed(microvolts, seconds, onSince = () => 0) {
  const ring = new SampleRing(1, RATE);
  const row = new Placement(0);
  const redrawn = [];
  for (let stop = 10; stop <= seconds * RATE; stop += 10) {
    const chunk = Int32Array.from({ length: 10 }, (_, i) => 500 + Math.round(microvolts((stop - 10 + i) / RATE) / 10));
    ring.write(stop - 10, chunk, 10, LAYOUT, false);
    if (row.follow(ring, onSince(stop), stop, RATE, SCALE, BAND)) redrawn.push(stop);
  }
  return { ring, row, redrawn };
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

/** Of samples [from, to): the share that lies outside of the band. */
function outside(/** @type {ReturnType<typeof followed>} */ { ring, row }, /** @type {number} */ from, /** @type {number} */ to) {
  let count = 0;
  for (let i = from; i < to; i++) {
    const at = row.at(i, to).y - ring.at(0, i) * SCALE.microvolt;
    if (at < BAND.top || at > BAND.top + BAND.height) count++;
  }
  return count / (to - from);
}

/** Off at the rail between seconds 10 and 20, and back 2 mV lower. */
const loose = (/** @type {number} */ second) => beat(second) + (second < 10 ? 0 : second < 20 ? 10_000 : -2000);
const looseSince = (/** @type {number} */ stop) => (stop <= 1000 ? 0 : stop <= 2000 ? Infinity : 2000);

test("a lead that comes back stands in its band from its first sample", () => {
  const back = followed(loose, 21, looseSince);
  assert.equal(outside(back, 2000, 2100), 0);
  assert.equal(back.row.at(2000, 2100).end, 2100, "at one height");
  assert.deepEqual(back.redrawn, [10, 100, 2010, 2100]);
});

test("what a lead shows while it is off moves nothing, and what came before stays where it was drawn", () => {
  assert.equal(followed(loose, 19, looseSince).row.at(1899, 1900).y, followed(loose, 9, looseSince).row.at(899, 900).y);
  assert.equal(followed(loose, 25, looseSince).row.at(500, 2500).y, followed(loose, 9).row.at(500, 900).y);
});

test("samples of the electrode that pass for the lead's first ones do not move it away", () => {
  const late = followed(loose, 22, (stop) => (stop <= 1000 ? 0 : stop <= 2000 ? Infinity : 1996));
  assert.equal(outside(late, 2000, 2200), 0);
});

test("a level that leaves its band at once is found again within half a second, at a break", () => {
  const jumped = followed((second) => beat(second) + (second > 10 ? -3000 : 0), 12);
  assert.equal(outside(jumped, 900, 1000), 0);
  assert.equal(outside(jumped, 1050, 1200), 0);
  const end = jumped.row.at(1001, 1200).end;
  assert.ok(end > 1001 && end <= 1050, `breaks at ${end}`);
  assert.ok(Math.abs(jumped.row.at(end, 1200).y - jumped.row.at(1001, 1200).y) > SCALE.mm);
});

test("a trace taller than its band keeps its level inside while it wanders", () => {
  const tall = (/** @type {number} */ second) => (second % 0.8 < 0.05 ? 2800 : 0) + 1200 * Math.sin(second / 2);
  const shown = followed(tall, 60);
  // The peaks, 7 % of the time, cannot all be inside.
  assert.ok(outside(shown, 200, 6000) < 0.08, `${outside(shown, 200, 6000)} outside`);
});

test("a row that is placed anew stands where it would have stood", () => {
  const { ring, row } = followed((second) => beat(second) + 900 * Math.sin(second / 3), 30);
  const y = row.at(2999, 3000).y;
  row.reset();
  row.follow(ring, 0, 3000, RATE, SCALE, BAND);
  assert.equal(row.at(2999, 3000).y, y);
});

test("a lead that is not sent stays where it was, and goes on from there", () => {
  const { ring, row } = followed(beat, 10);
  const before = row.at(999, 1000).y;
  const unsent = { factor: 1, signals: [], unsent: [0] };
  ring.write(1000, Int32Array.from([]), 500, unsent, false);
  assert.equal(row.follow(ring, 0, 1500, RATE, SCALE, BAND), false);
  assert.equal(row.at(1499, 1500).y, before);
  ring.write(1500, new Int32Array(100).fill(500), 100, LAYOUT, false);
  assert.equal(row.follow(ring, 0, 1600, RATE, SCALE, BAND), false);
  assert.equal(row.at(1599, 1600).y, before);
});

test("a lead that was never sent has no place, and gets one at once and again after its first second", () => {
  const ring = new SampleRing(1, RATE);
  const row = new Placement(0);
  ring.write(0, Int32Array.from([]), 300, { factor: 1, signals: [], unsent: [0] }, false);
  assert.equal(row.follow(ring, 0, 300, RATE, SCALE, BAND), false);
  assert.equal(row.isPlaced, false);
  const redrawn = [];
  for (let stop = 310; stop <= 600; stop += 10) {
    ring.write(stop - 10, new Int32Array(10).fill(500), 10, LAYOUT, false);
    if (row.follow(ring, 0, stop, RATE, SCALE, BAND)) redrawn.push(stop);
  }
  assert.deepEqual(redrawn, [310, 400]);
});

test("a new trace is centred in its band", () => {
  // 1 mV high, 0.5 mV low, 0.04 px per uV: 60 px in a band of 100 that starts at 200
  const zero = placeTrace({ low: -500, high: 1000 }, 0, 0.04, { top: 200, height: 100 }, null);
  assert.equal(zero - 1000 * 0.04, 220);
  assert.equal(zero + 500 * 0.04, 280);
});

test("a trace that fits stays where it is, one that leaves its band is moved", () => {
  assert.equal(placeTrace({ low: -500, high: 800 }, 0, 0.04, BAND, 60), 60);
  assert.notEqual(placeTrace({ low: -500, high: 1600 }, 0, 0.04, BAND, 60), 60);
});

test("a trace that cannot fit has its level at most three tenths from the middle", () => {
  const band = { top: 0, height: 100 };
  assert.ok(Math.abs(placeTrace({ low: 0, high: 5000 }, 0, 0.04, band, null) - 80) < 1e-9);
  assert.equal(placeTrace({ low: 0, high: 5000 }, 0, 0.04, band, 70), 70);
});
