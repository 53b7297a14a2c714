// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { CHARTS, said } from "../../static/js/admin/lines.js";
import { LEAST_S, between, closer, earlier, later, moments, wider } from "../../static/js/admin/span.js";
import { at, latest, summary, together } from "../../static/js/admin/values.js";

const HOUR = { start: 7200, stop: 10_800 };

test("zooming in halves the time about its middle, down to what a chart can show", () => {
  assert.deepEqual(closer(HOUR), { start: 8100, stop: 9900 });
  assert.deepEqual(closer({ start: 0, stop: LEAST_S }), { start: 0, stop: LEAST_S });
});

test("zooming out and going later never show what lies ahead", () => {
  assert.deepEqual(wider(HOUR, 1e9), { start: 5400, stop: 12_600 });
  assert.deepEqual(wider(HOUR, 10_800), { start: 3600, stop: 10_800 });
  assert.deepEqual(later(HOUR, 1e9), { start: 9000, stop: 12_600 });
  assert.deepEqual(later(HOUR, 11_000), { start: 7400, stop: 11_000 });
});

test("a single moment is shown within an hour", () => {
  assert.deepEqual(moments(9000, 9000), [7200, 10_800]);
  assert.deepEqual(moments(7200, 9000), [7200, 9000]);
  assert.deepEqual(moments(null, null), [null, null]);
});

test("earlier goes back by half", () => {
  assert.deepEqual(earlier(HOUR), { start: 5400, stop: 9000 });
});

test("what is drawn on a chart may go either way, and is widened where it is too short", () => {
  assert.deepEqual(between(9000, 8000), { start: 8000, stop: 9000 });
  const short = between(8000, 8010);
  assert.equal(short.stop - short.start, LEAST_S);
  assert.equal((short.stop + short.start) / 2, 8005);
});

test("a summary leaves out what is not known", () => {
  assert.deepEqual(summary([null, 1, 3, undefined, 2, null]), { latest: 2, least: 1, mean: 2, most: 3 });
  assert.deepEqual(summary([null]), { latest: null, least: null, mean: null, most: null });
});

test("the value at a time is that which stands there, and a gap has none", () => {
  assert.equal(at([5, undefined, undefined], 2), 5);
  assert.equal(at([5, null, undefined], 2), null);
  assert.equal(at([], 0), null);
});

test("the latest value is one of the last few", () => {
  assert.equal(latest([1, 2, null, null]), 2);
  assert.equal(latest([1, null, null, null]), null);
});

test("two answers come on one axis, each with its own gaps", () => {
  const made = together([0, 10], [[1, null]], [0, 5], [[3, 4]]);
  assert.deepEqual(made, { t: [0, 5, 10], lines: [[1, undefined, null]], others: [[3, 4, undefined]] });
});

test("what is not known is said so", () => {
  assert.equal(said(1234.5, 1), "1,234.5");
  assert.equal(said(null, 1), "--");
});

test("no chart has more lines than there are dashes and colours to tell them apart", () => {
  for (const { lines } of CHARTS) assert.ok(lines.length <= 6);
});
