// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { SampleRing } from "../../static/js/ecg/ring.js";

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
  ring.write(first, planes, count);
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
  assert.equal(ring.at(0, first + 3), (first + 3) | 0);
  assert.equal(ring.has(first + 9), true);
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
