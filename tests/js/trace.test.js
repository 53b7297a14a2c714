// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { SampleRing } from "../../static/js/ecg/ring.js";
import { Extremes, addTrace, extent, markBeyond, median } from "../../static/js/ecg/trace.js";
import { lossless } from "./vectors.js";

const EDGES = { top: -1e6, bottom: 1e6 };

/** @param {number[]} values */
function ringOf(values) {
  const ring = new SampleRing(1, 100);
  ring.write(0, Int32Array.from(values), values.length, lossless(1), false);
  return ring;
}

/**
 * @param {SampleRing} ring
 * @param {number} from
 * @param {number} to
 * @param {number} dx
 * @param {{top: number, bottom: number}} [edges]
 */
function pointsOf(ring, from, to, dx, edges = EDGES) {
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
  addTrace(path, ring, 0, from, to, 0, dx, 0, 1, edges);
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
  ring.write(60, Int32Array.from([1, 2, 3, 4, 5, 6, 7, 8]), 8, lossless(1), false);
  assert.deepEqual(pointsOf(ring, 60, 68, 1).map(([, y]) => -y), [1, 2, 3, 4, 5, 6, 7, 8]);
});

test("samples beyond an edge are drawn on it, sparse or dense", () => {
  const edges = { top: -4, bottom: 3 };
  assert.deepEqual(pointsOf(ringOf([1, 50, -2, -50]), 0, 4, 2, edges), [[0, -1], [2, -4], [4, 2], [6, 3]]);
  const dense = pointsOf(ringOf(Array.from({ length: 500 }, (_, i) => (i % 100) - 50)), 0, 500, 0.1, edges);
  assert.ok(dense.every(([, y]) => y >= -4 && y <= 3));
});

/**
 * The marks of samples 2 px apart, with 10 px upward of 0 and 10 px downward, as [x, y, width, height].
 * @param {number[]} values
 */
function marksOf(values) {
  /** @type {number[][]} */
  const marks = [];
  const pen = { fillRect: (/** @type {number[]} */ ...rect) => void marks.push(rect) };
  markBeyond(pen, ringOf(values), 0, 0, values.length, 100, 2, 0, 1, { top: -10, bottom: 10 }, 3);
  return marks;
}

test("what lies within its edges has no mark", () => {
  assert.deepEqual(marksOf([0, 10, -10, 5]), []);
});

test("each run beyond an edge has one mark, as wide as it, at that edge", () => {
  assert.deepEqual(marksOf([0, 11, 12, 13, 0, -11]), [[100.5, -10, 7, 3], [108.5, 7, 3, 3]]);
  assert.deepEqual(marksOf([11, -11]), [[98.5, -10, 3, 3], [100.5, 7, 3, 3]]);
});

test("the extent leaves out what is not there, and what strays", () => {
  const ring = ringOf([5, 1, 9]);
  ring.write(10, Int32Array.from([-4, 2]), 2, lossless(1), false);
  assert.deepEqual(extent(ring, 0, 0, 12, -100, 100), { low: -4, high: 9 });
  assert.deepEqual(extent(ring, 0, 0, 10, -100, 100), { low: 1, high: 9 });
  assert.deepEqual(extent(ring, 0, 0, 12, 0, 5), { low: 1, high: 5 });
  const { low, high } = extent(ring, 0, 3, 10, -100, 100);
  assert.ok(low > high);
});

test("the median is that of the samples that are there, whatever a few of them are", () => {
  const ring = ringOf([5, 1, 9, 3000, -3000]);
  assert.equal(median(ring, 0, 0, 5), 5);
  assert.equal(median(ring, 0, 0, 40), 5);
  assert.equal(median(ring, 0, 5, 40), null);
  const long = ringOf(Array.from({ length: 1000 }, (_, i) => (i % 10 === 0 ? 9000 : i)));
  const value = median(long, 0, 0, 1000) ?? NaN;
  assert.ok(value > 400 && value < 700, `${value}`);
});

test("extremes that are asked for again and again are those of all the samples", () => {
  const ring = new SampleRing(1, 500);
  let seed = 7;
  const noise = Int32Array.from({ length: 6000 }, () => (seed = (seed * 48271) % 2147483647) % 2000 - 1000);
  ring.write(0, noise.subarray(0, 3500), 3500, lossless(1), false);
  ring.write(3700, noise.subarray(3700), 2300, lossless(1), false);
  const extremes = new Extremes(0);
  for (let to = 10; to <= 6000; to += 49) {
    const from = Math.max(0, to - 2500);
    for (const [least, most] of [[-2000, 2000], [-900, 950]]) {
      assert.deepEqual(extremes.within(ring, from, to, least, most), extent(ring, 0, from, to, least, most));
    }
  }
});

test("where a lead was not sent it has neither extent nor median", () => {
  const ring = ringOf([5, 1, 9]);
  ring.write(3, Int32Array.from([]), 4, { factor: 1, signals: [], unsent: [0] }, false);
  assert.deepEqual(extent(ring, 0, 0, 7, -100, 100), { low: 1, high: 9 });
  assert.equal(median(ring, 0, 0, 7), 5);
  assert.equal(median(ring, 0, 3, 7), null);
});
