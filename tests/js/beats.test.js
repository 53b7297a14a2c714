// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { measure, measureText, peakNear } from "../../static/js/ecg/measure.js";
import { SampleRing } from "../../static/js/ecg/ring.js";
import { Beats } from "../../static/js/stream/beats.js";

test("a beat that is told again is the same beat", () => {
  const beats = new Beats();
  beats.hear([[100, "N"], [350, "V"]]);
  beats.hear([[350, "V"], [610, "Q"]]);
  assert.equal(beats.count, 3);
  assert.deepEqual(beats.since(2), [{ sample: 610, ventricular: false }]);
  assert.deepEqual(beats.since(3), []);
  /** @type {number[]} */
  const seen = [];
  beats.within(100, 610, ({ sample }) => seen.push(sample));
  assert.deepEqual(seen, [100, 350]);
});

test("the nearest beat is found within reach, and a copy is left alone", () => {
  const beats = new Beats();
  beats.hear([[100, "N"], [350, "V"]]);
  const copy = beats.copy();
  beats.hear([[360, "N"]]);
  assert.equal(beats.nearest(356, 20)?.sample, 360);
  assert.equal(copy.nearest(356, 20)?.sample, 350);
  assert.equal(beats.nearest(200, 20), null);
});

test("old beats are forgotten before they fill the memory", () => {
  const beats = new Beats();
  for (let at = 0; at < 2000; at++) beats.hear([[at, "N"]]);
  assert.equal(beats.count, 2000);
  assert.equal(beats.nearest(0, 0), null);
  assert.equal(beats.since(0).length, 512);
  assert.deepEqual(beats.since(1998).map(({ sample }) => sample), [1998, 1999]);
  assert.equal(beats.since(0)[0].sample, 1488);
  assert.equal(beats.copy().nearest(1490, 3)?.sample, 1490);
});

/** One lead at 500 Hz whose R of 1 mV stands at 200 and 600, over 0.1 mV. */
function heart() {
  const ring = new SampleRing(2, 500);
  const signals = [{ lead: 0, gain_uv: 1, baseline: 0 }, { lead: 1, gain_uv: -1, baseline: 0 }];
  const wave = Array.from({ length: 1000 }, (_, i) => (i === 200 || i === 600 ? 1000 : i === 205 ? 400 : 100));
  ring.write(0, Int32Array.from([...wave, ...wave]), 1000, { factor: 1, signals, unsent: [] }, false);
  return ring;
}

test("calipers say milliseconds, the rate, and the millivolts between two samples", () => {
  const ring = heart();
  assert.deepEqual(measure(ring, 0, 200, 600, 500), { ms: 800, bpm: 75, mv: 0 });
  assert.deepEqual(measure(ring, 0, 100, 200, 500), { ms: 200, bpm: 300, mv: 0.9 });
  assert.deepEqual(measure(ring, 0, 300, 300, 500), { ms: 0, bpm: null, mv: 0 });
  assert.equal(measure(ring, null, 100, 200, 500).mv, null);
  assert.equal(measure(ring, 0, 100, 5000, 500).mv, null);
  assert.equal(measureText(measure(ring, 0, 200, 600, 500)), "800 ms · 75.0 bpm · +0.00 mV");
  assert.equal(measureText(measure(ring, 1, 100, 200, 500)), "200 ms · 300 bpm · −0.90 mV");
  assert.equal(measureText(measure(ring, null, 300, 300, 500)), "0 ms · -- bpm · -- mV");
});

test("a beat's peak is where the lead goes furthest, upwards or downwards", () => {
  const ring = heart();
  assert.equal(peakNear(ring, 0, 207, 500), 200);
  assert.equal(peakNear(ring, 1, 195, 500), 200);
  assert.equal(peakNear(ring, 0, 5000, 500), 5000, "nothing is there");
});
