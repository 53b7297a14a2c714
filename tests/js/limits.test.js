// @ts-check
/** Which values can be alarm limits, and in which words one is told why not. */

import assert from "node:assert/strict";
import test from "node:test";

import { changeText, faultOf } from "../../static/js/ui/limits.js";

const good = { extreme_bradycardia: 40, hr_low: 50, hr_high: 120, extreme_tachycardia: 140, hr_signal_delay_s: 2, asystole_s: 4, run_beats: 5, run_rate: 100 };
/** @type {Record<string, [number, number]>} */
const bounds = { extreme_bradycardia: [20, 300], hr_low: [20, 300], hr_high: [20, 300], extreme_tachycardia: [20, 300], hr_signal_delay_s: [0, 10], asystole_s: [3, 10], run_beats: [3, 15], run_rate: [20, 300] };

test("the default is good", () => {
  for (const name of Object.keys(good)) assert.equal(faultOf(name, good, bounds), "");
});

/** @type {[string, Partial<typeof good>, RegExp][]} */
const cases = [
  ["hr_high", { hr_high: NaN }, /^A number is needed$/],
  ["hr_high", { hr_high: 301 }, /^20 to 300$/],
  ["asystole_s", { asystole_s: 2.9 }, /^3.0 to 10.0$/],
  ["hr_high", { hr_high: 120.5 }, /^A whole number/],
  ["hr_high", { hr_high: 50 }, /^Must be above “HR low below” \(50\)$/],
  ["extreme_tachycardia", { hr_high: 141 }, /^Must be above “HR high above” \(141\)$/],
  ["hr_low", { hr_low: 39 }, /^Must be above “Extreme bradycardia below” \(40\)$/],
];
for (const [name, values, why] of cases) {
  test(`${name} of ${JSON.stringify(values)}`, () => assert.match(faultOf(name, { ...good, ...values }, bounds), why));
}

test("an extreme limit may be that of the same side: then there is one alarm", () => {
  assert.equal(faultOf("extreme_tachycardia", { ...good, extreme_tachycardia: 120 }, bounds), "");
  assert.equal(faultOf("hr_low", { ...good, hr_low: 40 }, bounds), "");
});

test("a change is told with both values and their unit", () => {
  assert.equal(changeText({ hr_high: [120, 130], asystole_s: [4, 5.5] }), "HR high above 120 → 130 bpm, Asystole after 4.0 → 5.5 s");
  assert.equal(changeText({ unheard_of: [1, 2] }), "");
});
