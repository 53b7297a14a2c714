// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { SampleRing } from "../../static/js/ecg/ring.js";
import { Gaps, gapText } from "../../static/js/stream/gaps.js";

const LAYOUT = { factor: 1, signals: [{ lead: 0, gain_uv: 1, baseline: 0 }], unsent: [] };

/** @param {[number, number][]} spans that are there */
function ringOf(...spans) {
  const ring = new SampleRing(1, 250);
  for (const [first, stop] of spans) ring.write(first, new Int16Array(stop - first), stop - first, LAYOUT, false);
  return ring;
}

/** @param {number} from @param {number} to @param {object} [more] */
const gap = (from, to, more) => ({ from, to, reason: "expired", recoverable: true, ...more });

test("a gap is asked for once it has not come by itself, and once a connection", () => {
  const gaps = new Gaps();
  const ring = ringOf([0, 100], [200, 300]);
  gaps.hear(gap(100, 200), 10);
  assert.deepEqual(gaps.wanted(ring, 0, 11), []);
  assert.deepEqual(gaps.wanted(ring, 0, 12), [[100, 200]]);
  assert.deepEqual(gaps.wanted(ring, 0, 99), []);
  gaps.forgetConnection();
  assert.deepEqual(gaps.wanted(ring, 0, 99), [[100, 200]]);
});

test("what came meanwhile, what is too old and what is lost is not asked for", () => {
  const gaps = new Gaps();
  const ring = ringOf([0, 100], [120, 150], [200, 300]);
  gaps.hear(gap(100, 200), 0);
  gaps.hear(gap(150, 200, { recoverable: false }), 1);
  gaps.hear(gap(100, 105, { reason: "source" }), 1);
  assert.deepEqual(gaps.wanted(ring, 110, 5), [[110, 120]]);
});

test("the newest come first, a few at a time", () => {
  const gaps = new Gaps();
  const ring = ringOf(...Array.from({ length: 8 }, (_, k) => /** @type {[number, number]} */ ([20 * k, 20 * k + 10])));
  for (let k = 0; k < 7; k++) gaps.hear(gap(20 * k + 10, 20 * k + 20), 0);
  assert.deepEqual(gaps.wanted(ring, 0, 9).map(([from]) => from), [130, 110, 90, 70]);
  assert.deepEqual(gaps.wanted(ring, 0, 9).map(([from]) => from), [50, 30, 10]);
});

test("a reason is that of the last word, in words", () => {
  const gaps = new Gaps();
  gaps.hear(gap(0, 100, { reason: "away" }), 0);
  gaps.hear(gap(50, 60, { reason: "source" }), 1);
  assert.deepEqual([10, 55, 200].map((index) => gapText(gaps.reasonAt(index))), ["no connection", "not sent by the device", ""]);
  assert.equal(gapText("invented"), "");
});

test("memory is bounded", () => {
  const gaps = new Gaps();
  for (let k = 0; k < 300; k++) gaps.hear(gap(k, k + 1), 0);
  assert.equal(gaps.reasonAt(20), null);
  assert.equal(gaps.reasonAt(299), "expired");
});
