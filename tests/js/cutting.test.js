// @ts-check
/** A strip cut out of what a ring holds. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { cut, holds } from "../../static/js/ecg/cutting.js";
import { SampleRing } from "../../static/js/ecg/ring.js";

const LAYOUT = { factor: 1, signals: [{ lead: 0, gain_uv: 1, baseline: 0 }], unsent: [] };

/** A ring at 50 Hz, which holds 4096 samples, with [first, stop) of it written, each as its index. @param {...[number, number]} spans */
function ring(...spans) {
  const made = new SampleRing(1, 50);
  for (const [first, stop] of spans) {
    const planes = Int32Array.from({ length: stop - first }, (_, at) => first + at);
    made.write(first, planes, planes.length, LAYOUT, false);
  }
  return made;
}

test("a strip holds the span and what is around it, as far as it is there", () => {
  const { values, first } = cut(ring([100, 1000]), 0, 300, 400, 2, 50);
  assert.equal(first, 200);
  assert.deepEqual([values.length, values[0], values[299]], [300, 200, 499]);
  const short = cut(ring([280, 420]), 0, 300, 400, 2, 50);
  assert.deepEqual([short.first, short.values.length], [280, 140]);
});

test("what is missing is no number", () => {
  const { values, first } = cut(ring([100, 320], [350, 1000]), 0, 300, 400, 1, 50);
  assert.equal(values[319 - first], 319);
  assert.ok(Number.isNaN(values[320 - first]) && Number.isNaN(values[349 - first]));
  assert.equal(values[350 - first], 350);
  const late = cut(ring([340, 600]), 0, 300, 400, 1, 50);
  assert.equal(late.first, 300, "what came before this page looked is missing too");
  assert.ok(Number.isNaN(late.values[0]));
});

test("a span that went on for longer than the ring is cut to what it can hold", () => {
  const long = ring([0, 4000], [4000, 8000]);
  const { values, first } = cut(long, 0, 0, 8000, 1, 50);
  assert.equal(first, 8000 - long.capacity - 50);
  assert.ok(values.length <= long.capacity + 50);
});

test("a span is held while any sample of it is", () => {
  const some = ring([100, 320], [350, 1000]);
  assert.equal(holds(some, 300, 400), true);
  assert.equal(holds(some, 320, 350), false);
  assert.equal(holds(some, 50, 101), true);
  assert.equal(holds(some, 50, 100), false);
  assert.equal(holds(some, 1000, 1100), false);
  assert.equal(holds(ring([0, 4000], [4000, 8000]), 100, 300), false);
});
