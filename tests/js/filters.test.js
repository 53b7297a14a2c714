// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { FilteredRing, canNotch, filterText, highPass, notch, stagesOf } from "../../static/js/ecg/filters.js";
import { SampleRing } from "../../static/js/ecg/ring.js";

const RATE_HZ = 500;
const LAYOUT = { factor: 1, signals: [{ lead: 0, gain_uv: 1, baseline: 0 }], unsent: [] };

/**
 * The gain of a stage at a frequency, by its transfer function.
 * @param {import("../../static/js/ecg/filters.js").Biquad} stage
 * @param {number} hz
 */
function gain({ b0, b1, b2, a1, a2 }, hz) {
  const w = (2 * Math.PI * hz) / RATE_HZ;
  const at = (/** @type {number} */ k0, /** @type {number} */ k1, /** @type {number} */ k2) =>
    Math.hypot(k0 + k1 * Math.cos(w) + k2 * Math.cos(2 * w), k1 * Math.sin(w) + k2 * Math.sin(2 * w));
  return at(b0, b1, b2) / at(1, a1, a2);
}

/** @param {number} value */
const decibel = (value) => 20 * Math.log10(value);

/**
 * A ring of samples of a function of the time, in microvolts.
 * @param {(second: number) => number} wave
 * @param {number} seconds
 */
function ringOf(wave, seconds) {
  const ring = new SampleRing(1, RATE_HZ);
  const count = seconds * RATE_HZ;
  const samples = Int32Array.from({ length: count }, (_, i) => Math.round(wave(i / RATE_HZ)));
  ring.write(0, samples, count, LAYOUT, false);
  return ring;
}

/**
 * @param {SampleRing} ring
 * @param {import("../../static/js/ecg/filters.js").Choice} choice
 * @param {number} [stop]
 */
function through(ring, choice, stop = ring.stop) {
  const filtered = new FilteredRing(ring, stagesOf(choice, RATE_HZ));
  filtered.follow(stop);
  return filtered;
}

test("the high-pass has the known answer of a Butterworth filter of the second order", () => {
  const stage = highPass(0.5, RATE_HZ);
  for (const hz of [0.05, 0.1, 0.25, 0.5, 1, 5, 40]) {
    const known = 1 / Math.sqrt(1 + (0.5 / hz) ** 4);
    assert.ok(Math.abs(decibel(gain(stage, hz)) - decibel(known)) < 0.02, `${hz} Hz`);
  }
  assert.equal(Math.abs(stage.b0 + stage.b1 + stage.b2) < 1e-12, true, "nothing of a constant passes");
});

test("the notch lets nothing pass at its centre, half at 1 Hz beside it, and an ECG's band whole", () => {
  for (const mains of [50, 60]) {
    const stage = notch(mains, RATE_HZ);
    assert.ok(gain(stage, mains) < 1e-9);
    assert.ok(Math.abs(decibel(gain(stage, mains - 1)) + 3.01) < 0.2);
    assert.ok(Math.abs(decibel(gain(stage, mains + 1)) + 3.01) < 0.2);
    for (const hz of [0, 1, 10, 25, 40]) assert.ok(Math.abs(decibel(gain(stage, hz))) < 0.2, `${hz} Hz`);
  }
});

test("samples go through as the transfer function says: hum and drift go, the wave stays", () => {
  const wave = (/** @type {number} */ t) =>
    3000 + 1000 * Math.sin(2 * Math.PI * 0.05 * t) + 500 * Math.sin(2 * Math.PI * 50 * t) + 1000 * Math.sin(2 * Math.PI * 10 * t);
  const { ring } = through(ringOf(wave, 30), { baseline: true, mains: 50 });
  let worst = 0;
  for (let i = 20 * RATE_HZ; i < 30 * RATE_HZ; i++) {
    worst = Math.max(worst, Math.abs(ring.at(0, i) - 1000 * Math.sin((2 * Math.PI * 10 * i) / RATE_HZ)));
  }
  // 10 uV of the slow wave pass (-40 dB), and both stages shift 10 Hz by 3 degrees.
  assert.ok(worst < 80, `${worst} uV`);
});

test("any way to ask gives the same values to the last bit", () => {
  const wave = (/** @type {number} */ t) => 800 * Math.sin(50 * t) + 300 * Math.sin(314 * t) + 200 * t;
  const ring = ringOf(wave, 8);
  const whole = through(ring, { baseline: true, mains: 60 });
  const bits = new FilteredRing(ring, stagesOf({ baseline: true, mains: 60 }, RATE_HZ));
  for (let stop = 0, step = 1; stop < ring.stop; step = (step * 7 + 3) % 101) bits.follow((stop = Math.min(stop + step, ring.stop)));
  for (let i = 0; i < ring.stop; i++) assert.equal(bits.ring.at(0, i), whole.ring.at(0, i));
  bits.restart();
  bits.follow(ring.stop);
  assert.deepEqual(bits.ring.data, whole.ring.data);
});

test("each run begins at rest on its first sample, and knows nothing of what came before its gap", () => {
  const ring = ringOf(() => 5000, 4);
  const late = Int32Array.from({ length: 500 }, (_, i) => -7000 + i);
  ring.write(3000, late, 500, LAYOUT, false);
  const { ring: both } = through(ring, { baseline: true, mains: 50 });
  assert.equal(both.at(0, 0), 0);
  assert.ok(Math.abs(both.at(0, 1999)) < 1e-6, "a constant has no baseline left");
  const alone = new SampleRing(1, RATE_HZ);
  alone.write(3000, late, 500, LAYOUT, false);
  const { ring: one } = through(alone, { baseline: true, mains: 50 });
  for (let i = 3000; i < 3500; i++) assert.equal(both.at(0, i), one.at(0, i));
  assert.ok(Math.abs(one.at(0, 3000)) < 1e-6);
  assert.equal(both.has(2500), false);
  const { ring: hum } = through(ring, { baseline: false, mains: 50 });
  for (const at of [0, 1, 7, 1999]) assert.ok(Math.abs(hum.at(0, at) - 5000) < 1e-3, "a constant passes the notch");
});

test("where a lead was not sent there is nothing, and it begins anew after that", () => {
  const ring = new SampleRing(2, RATE_HZ);
  const both = { factor: 1, signals: [{ lead: 0, gain_uv: 1, baseline: 0 }, { lead: 1, gain_uv: 1, baseline: 0 }], unsent: [] };
  const flat = (/** @type {number} */ a, /** @type {number} */ b) => Int32Array.from({ length: 200 }, (_, i) => (i < 100 ? a : b));
  ring.write(0, flat(100, 900), 100, both, false);
  ring.write(100, flat(100, 0).subarray(0, 100), 100, { ...LAYOUT, unsent: [1] }, false);
  ring.write(200, flat(100, -4000), 100, both, false);
  const filtered = through(ring, { baseline: true, mains: 0 });
  assert.ok(Number.isNaN(filtered.ring.at(1, 150)));
  assert.ok(Math.abs(filtered.ring.at(1, 200)) < 1e-6);
  assert.ok(Math.abs(filtered.ring.at(0, 299)) < 1e-6);
});

test("a filter is named where it is on, and where a rate has no room for it", () => {
  assert.equal(filterText({ baseline: false, mains: 0 }, 500), "");
  assert.equal(filterText({ baseline: true, mains: 50 }, 500), "Filter: baseline 0.5 Hz, mains 50 Hz");
  assert.equal(filterText({ baseline: false, mains: 60 }, 125), "Filter: mains 60 Hz: not at this rate");
  assert.deepEqual([canNotch(50, 125), canNotch(60, 125), canNotch(0, 500)], [true, false, false]);
  assert.deepEqual(stagesOf({ baseline: false, mains: 60 }, 125), []);
});
