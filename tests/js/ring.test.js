// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { SampleRing } from "../../static/js/ecg/ring.js";
import { lossless, randomOf } from "./vectors.js";

const BOTH = lossless(2);

/**
 * Two leads; sample i is i on the first and -i on the second.
 * @param {SampleRing} ring
 * @param {number} first
 * @param {number} stop
 */
function write(ring, first, stop) {
  const count = stop - first;
  const planes = new Int32Array(2 * count);
  for (let i = 0; i < count; i++) {
    planes[i] = first + i;
    planes[count + i] = -(first + i);
  }
  return ring.write(first, planes, count, BOTH, true);
}

/**
 * Of one lead, or of the second alone where there are two: values at `first`, `first + factor` and so on.
 * @param {SampleRing} ring
 * @param {number} first
 * @param {number[]} values
 * @param {number} factor
 */
function decimated(ring, first, values, factor, over = false) {
  const lead = ring.leads - 1;
  const layout = { factor, signals: [{ lead, gain_uv: 1, baseline: 0 }], unsent: ring.leads > 1 ? [0] : [] };
  return ring.write(first, Int16Array.from(values), values.length, layout, over);
}

/** Late samples of one lead, each of them 0. @param {SampleRing} ring @param {number} first @param {number} stop */
function write1(ring, first, stop) {
  decimated(ring, first, new Array(stop - first).fill(0), 1, true);
}

/** What is held of a lead, null where it is absent. @param {SampleRing} ring @param {number} lead @param {number} first @param {number} stop */
function held(ring, lead, first, stop) {
  return Array.from({ length: stop - first }, (_, k) => (ring.has(first + k) ? ring.at(lead, first + k) : null));
}

test("a ring holds at least a minute of its rate", () => {
  assert.ok(new SampleRing(1, 360).capacity >= 60 * 360);
});

test("what was written is read back by sample index", () => {
  const ring = new SampleRing(2, 1);
  write(ring, 10, 20);
  assert.equal(ring.at(0, 13), 13);
  assert.equal(ring.at(1, 13), -13);
  assert.deepEqual(ring.spans(), [[10, 20]]);
  assert.equal(ring.origin, 10);
  assert.equal(ring.stop, 20);
});

test("a hole is absent until it is filled, and then nothing is left of it", () => {
  const ring = new SampleRing(2, 1);
  write(ring, 0, 10);
  write(ring, 20, 30);
  assert.equal(ring.has(9), true);
  assert.equal(ring.has(10), false);
  assert.equal(ring.presentEnd(4), 10);
  assert.equal(ring.presentEnd(15), 15);
  assert.equal(ring.absentEnd(12, 100), 20);
  assert.equal(ring.absentEnd(12, 15), 15);
  assert.equal(ring.absentFirst(15), 10);
  write(ring, 10, 20);
  assert.deepEqual(ring.spans(), [[0, 30]]);
});

test("samples that overlap what is there join it", () => {
  const ring = new SampleRing(2, 1);
  write(ring, 0, 10);
  write(ring, 20, 30);
  write(ring, 5, 25);
  assert.deepEqual(ring.spans(), [[0, 30]]);
  assert.equal(ring.at(0, 22), 22);
});

test("a chunk before all others becomes a span of its own", () => {
  const ring = new SampleRing(2, 1);
  write(ring, 20, 30);
  write(ring, 5, 10);
  assert.deepEqual(ring.spans(), [[5, 10], [20, 30]]);
  assert.equal(ring.origin, 5);
});

test("the oldest samples leave when the ring is full, across its end too", () => {
  const ring = new SampleRing(2, 1); // 64 samples
  for (let first = 0; first < 200; first += 10) write(ring, first, first + 10);
  assert.deepEqual(ring.spans(), [[136, 200]]);
  for (let i = 136; i < 200; i++) assert.equal(ring.at(0, i), i);
  assert.equal(ring.has(135), false);
});

test("a jump ahead forgets what its slots held", () => {
  const ring = new SampleRing(2, 1);
  write(ring, 0, 60);
  write(ring, 100, 110);
  assert.deepEqual(ring.spans(), [[46, 60], [100, 110]]);
});

test("late samples that the ring cannot hold any more are left out", () => {
  const ring = new SampleRing(2, 1);
  write(ring, 100, 110);
  write(ring, 30, 50);
  assert.deepEqual(ring.spans(), [[46, 50], [100, 110]]);
  assert.equal(ring.at(0, 47), 47);
});

test("a chunk longer than the ring leaves its end", () => {
  const ring = new SampleRing(2, 1);
  write(ring, 0, 100);
  assert.deepEqual(ring.spans(), [[36, 100]]);
  assert.equal(ring.at(1, 99), -99);
});

test("indices near the end of an epoch are still places in the ring", () => {
  const ring = new SampleRing(2, 1);
  const first = 2 ** 32 - 20;
  write(ring, first, first + 10);
  assert.equal(ring.at(0, first + 3), -17);
  assert.equal(ring.has(first + 9), true);
});

test("samples become microvolts by the gain and the baseline of their own lead", () => {
  const ring = new SampleRing(2, 1);
  const signals = [{ lead: 1, gain_uv: 2.5, baseline: 100 }, { lead: 0, gain_uv: 4.88, baseline: -7 }];
  ring.write(62, Int16Array.from([101, 99, 100, -7, -6, 1000]), 3, { factor: 1, signals, unsent: [] }, false);
  assert.deepEqual(held(ring, 1, 62, 65), [2.5, -2.5, 0]);
  assert.deepEqual(held(ring, 0, 62, 65), [0, 4.88, 1007 * 4.88].map(Math.fround));
});

test("every 16-bit sample is found again in its microvolts", () => {
  const ring = new SampleRing(1, 2000);
  const samples = Int16Array.from({ length: 65536 }, (_, at) => at - 32768);
  for (const scale of [{ gain_uv: 4.88, baseline: 1024 }, { gain_uv: 0.001, baseline: -32768 }, { gain_uv: 1 / 3 }]) {
    ring.write(0, samples, 65536, lossless(1, scale), true);
    const { gain_uv, baseline = 0 } = scale;
    for (let i = 0; i < 65536; i++) assert.equal(Math.round(ring.at(0, i) / gain_uv) + baseline, samples[i]);
  }
});

test("between the samples of a decimated frame lie straight lines", () => {
  const ring = new SampleRing(1, 1);
  assert.equal(decimated(ring, 60, [0, 30, -3], 3), 60);
  assert.deepEqual(held(ring, 0, 58, 68), [null, null, 0, 10, 20, 30, 19, 8, -3, null]);
});

test("a decimated frame speaks for the indices since the sample before it", () => {
  const ring = new SampleRing(1, 1);
  decimated(ring, 0, [0, 10], 5);
  assert.equal(decimated(ring, 10, [20, 30], 5), 6);
  assert.deepEqual(ring.spans(), [[0, 16]]);
  assert.deepEqual(held(ring, 0, 5, 11), [10, 12, 14, 16, 18, 20]);
});

test("nothing is drawn over more than the distance of two samples", () => {
  const ring = new SampleRing(1, 1);
  decimated(ring, 0, [0, 10], 5);
  assert.equal(decimated(ring, 11, [20, 30], 5), 11);
  decimated(ring, 20, [0], 1);
  assert.deepEqual(ring.spans(), [[0, 6], [11, 17], [20, 21]]);
});

test("a change of the rendition leaves no hole, and what is held stays", () => {
  const ring = new SampleRing(1, 1);
  decimated(ring, 0, [1, 2, 3, 4], 1);
  assert.equal(decimated(ring, 2, [100, 200, 300], 2), 4);
  assert.deepEqual(held(ring, 0, 0, 7), [1, 2, 3, 4, 200, 250, 300]);
  assert.equal(decimated(ring, 5, [7, 8, 9], 1), 7);
  assert.deepEqual(held(ring, 0, 4, 9), [200, 250, 300, 9, null]);
  assert.equal(decimated(ring, 3, [0, 0], 1), 5, "nothing new: the frame's end");
  assert.deepEqual(held(ring, 0, 3, 5), [4, 200]);
});

test("late samples of a decimated stream fill their hole up to the sample after it", () => {
  const ring = new SampleRing(1, 1);
  decimated(ring, 0, [0, 10], 5);
  decimated(ring, 20, [40, 50], 5);
  assert.equal(decimated(ring, 10, [20, 30], 5, true), 6);
  assert.deepEqual(ring.spans(), [[0, 26]]);
  assert.deepEqual(held(ring, 0, 14, 21), [28, 30, 32, 34, 36, 38, 40]);
  const apart = new SampleRing(1, 1);
  decimated(apart, 20, [40, 50], 5);
  decimated(apart, 10, [20, 30, 30, 30, 30], 1, true);
  assert.deepEqual(apart.spans(), [[10, 15], [20, 26]], "a hole that no frame speaks for stays");
});

test("what a span's first frame speaks for is kept while others extend it, join it, or leave the ring", () => {
  const extended = new SampleRing(1, 1);
  decimated(extended, 20, [40, 50], 5);
  decimated(extended, 26, [50], 1);
  decimated(extended, 15, [35], 1, true);
  assert.deepEqual(extended.spans(), [[15, 27]]);
  const joined = new SampleRing(1, 1);
  write1(joined, 0, 10);
  write1(joined, 12, 20);
  decimated(joined, 40, [0, 0], 5);
  write1(joined, 10, 12);
  write1(joined, 30, 37);
  assert.deepEqual(joined.spans(), [[0, 20], [30, 46]]);
  const left = new SampleRing(1, 1); // 64 samples
  write1(left, 0, 1);
  decimated(left, 50, [0, 5], 5);
  write1(left, 100, 101);
  write1(left, 44, 47);
  assert.deepEqual(left.spans(), [[44, 56], [100, 101]]);
});

test("no line leads to a sample that leaves the ring with the same frame", () => {
  const ring = new SampleRing(1, 1); // 64 samples
  decimated(ring, 3, [100], 1);
  decimated(ring, 5, Array.from({ length: 22 }, (_, k) => 3 * k), 3);
  assert.deepEqual(ring.spans(), [[5, 69]]);
  for (let i = 5; i < 69; i++) assert.equal(ring.at(0, i), i - 5);
});

test("a lead that is not sent is NaN where the others are, and no line leads to it", () => {
  const ring = new SampleRing(2, 1);
  write(ring, 0, 10);
  decimated(ring, 12, [12, 15], 3);
  write(ring, 16, 20);
  assert.deepEqual(ring.spans(), [[0, 20]]);
  assert.deepEqual(held(ring, 0, 8, 17), [8, 9, NaN, NaN, NaN, NaN, NaN, NaN, 16]);
  assert.deepEqual(held(ring, 1, 8, 14), [-8, -9, -2, 5, 12, 13]);
  assert.deepEqual([ring.sentEnd(0, 3, 20), ring.sentEnd(0, 10, 20), ring.sentEnd(0, 10, 12)], [10, 16, 12]);
  assert.equal(ring.sentEnd(1, 3, 20), 20);
});

test("a decimated frame that is partly too old for the ring leaves its end", () => {
  const ring = new SampleRing(1, 1); // 64 samples
  decimated(ring, 100, [0], 1);
  decimated(ring, 31, [0, 3, 6, 9, 12], 3, true);
  assert.deepEqual(ring.spans(), [[37, 44], [100, 101]]);
  assert.deepEqual(held(ring, 0, 37, 44), [6, 7, 8, 9, 10, 11, 12]);
});

test("frames of any factor hold what a line through their samples says, whatever the ring's end", () => {
  const random = randomOf(7);
  for (let round = 0; round < 200; round++) {
    const ring = new SampleRing(1, 1);
    const factor = 1 + Math.floor(random() * 6);
    const start = Math.floor(random() * 100) * factor;
    for (let k = 0; k < 40; ) {
      const count = 1 + Math.floor(random() * 4);
      const values = Array.from({ length: count }, (_, at) => ((k + at) % 7) * 60);
      decimated(ring, start + k * factor, values, factor);
      k += count;
    }
    for (let i = Math.max(start, ring.oldest); i < start + 39 * factor; i++) {
      const at = (i - start) / factor;
      const [low, high] = [Math.floor(at) % 7, Math.ceil(at) % 7];
      assert.ok(Math.abs(ring.at(0, i) - 60 * (low + (high - low) * (at % 1))) < 1e-3, `index ${i}, factor ${factor}`);
    }
    assert.equal(ring.spans().length, 1);
  }
});

test("spans agree with a set of indices, whatever the order of writing", () => {
  let seed = 1;
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  for (let round = 0; round < 200; round++) {
    const ring = new SampleRing(2, 1);
    const held = new Set();
    let stop = 0;
    for (let step = 0; step < 12; step++) {
      const first = Math.floor(random() * 120);
      const count = 1 + Math.floor(random() * 20);
      write(ring, first, first + count);
      for (let i = first; i < first + count; i++) held.add(i);
      stop = Math.max(stop, first + count);
      for (const i of held) if (i < stop - ring.capacity) held.delete(i);
    }
    for (let i = 0; i < 150; i++) {
      assert.equal(ring.has(i), held.has(i), `index ${i}`);
      if (held.has(i)) assert.equal(ring.at(0, i), i);
      let next = i;
      while (next < 150 && !held.has(next)) next++;
      assert.equal(ring.absentEnd(i, 150), held.has(i) ? i : next);
    }
  }
});
