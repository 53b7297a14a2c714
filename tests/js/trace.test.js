// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { SampleRing } from "../../static/js/ecg/ring.js";
import { addTrace, extent, placeTrace } from "../../static/js/ecg/trace.js";

/** @param {number[]} values */
function ringOf(values) {
  const ring = new SampleRing(1, 100);
  ring.write(0, Int32Array.from(values), values.length);
  return ring;
}

/**
 * @param {SampleRing} ring
 * @param {number} from
 * @param {number} to
 * @param {number} dx
 */
function pointsOf(ring, from, to, dx) {
  /** @type {[number, number][]} */
  const points = [];
  let moves = 0;
  const path = {
    /** @param {number} x @param {number} y */
    moveTo(x, y) {
      moves++;
      points.push([x, y]);
    },
    /** @param {number} x @param {number} y */
    lineTo(x, y) {
      points.push([x, y]);
    },
  };
  addTrace(path, ring, 0, from, to, 0, dx, 0, 1);
  assert.equal(moves, 1);
  return points;
}

test("sparse samples each get their point, upward positive", () => {
  assert.deepEqual(pointsOf(ringOf([1, 5, -2]), 0, 3, 2), [[0, -1], [2, -5], [4, 2]]);
});

test("a single sample is a dot of one pixel", () => {
  assert.deepEqual(pointsOf(ringOf([3]), 0, 1, 1), [[0, -3], [1, -3]]);
});

test("in dense samples every column keeps its lowest and its highest", () => {
  const values = Array.from({ length: 1000 }, (_, i) => Math.round(100 * Math.sin(i / 7)) + (i === 333 ? 5000 : 0));
  const points = pointsOf(ringOf(values), 0, 1000, 0.05); // 20 samples a pixel
  assert.ok(points.length <= 50 * 4 + 1, `${points.length} points`);
  for (let column = 0; column < 50; column++) {
    const inside = values.slice(column * 20, column * 20 + 20);
    const drawn = points.filter(([x]) => Math.floor(x) === column).map(([, y]) => 0 - y);
    assert.equal(Math.max(...drawn), Math.max(...inside));
    assert.equal(Math.min(...drawn), Math.min(...inside));
  }
  assert.ok(points.some(([, y]) => y < -4900), "the one high sample is drawn");
});

test("dense points stay in the order of time", () => {
  const values = Array.from({ length: 500 }, (_, i) => (i * 7919) % 211);
  const xs = pointsOf(ringOf(values), 0, 500, 0.1).map(([x]) => x);
  xs.slice(1).forEach((x, at) => assert.ok(x >= xs[at]));
});

test("a trace is read across the ring's end", () => {
  const ring = new SampleRing(1, 1); // 64 samples
  ring.write(60, Int32Array.from([1, 2, 3, 4, 5, 6, 7, 8]), 8);
  assert.deepEqual(pointsOf(ring, 60, 68, 1).map(([, y]) => -y), [1, 2, 3, 4, 5, 6, 7, 8]);
});

test("the extent leaves out what is not there", () => {
  const ring = ringOf([5, 1, 9]);
  ring.write(10, Int32Array.from([-4, 2]), 2);
  assert.deepEqual(extent(ring, 0, 0, 12), { low: -4, high: 9 });
  assert.deepEqual(extent(ring, 0, 0, 10), { low: 1, high: 9 });
  assert.equal(extent(ring, 0, 3, 10), null);
});

test("a new trace is centred in its band", () => {
  // 1 mV high, 0.5 mV low, 0.04 px per uV: 60 px in a band of 100 that starts at 200
  const zero = placeTrace({ low: -500, high: 1000 }, 0.04, 200, 100, null);
  assert.equal(zero - 1000 * 0.04, 220);
  assert.equal(zero + 500 * 0.04, 280);
});

test("a trace that fits stays where it is, one that leaves its band is moved", () => {
  assert.equal(placeTrace({ low: -500, high: 800 }, 0.04, 0, 100, 60), 60);
  assert.notEqual(placeTrace({ low: -500, high: 1600 }, 0.04, 0, 100, 60), 60);
});
