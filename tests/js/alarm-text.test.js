// @ts-check
/** What is written of an alarm where there is little room. */

import assert from "node:assert/strict";
import test from "node:test";

import { codeOf, saidOf } from "../../static/js/stream/alarm-text.js";

/** @param {string} text @param {"server" | "device"} origin @returns {any} */
const alarm = (text, origin = "server") => ({ origin, text });

test("a long name is cut down to a code, and what was measured stays whole", () => {
  assert.equal(codeOf(alarm("VENT TACHY 148 > 100")), "VTACH 148 > 100");
  assert.equal(codeOf(alarm("ASYSTOLE 4.2 >= 4 s")), "ASYSTOLE 4.2 >= 4 s");
  assert.equal(saidOf(alarm("VENT TACHY 148 > 100")), "VENT TACHY 148 > 100");
});

test("what a device says is left as it says it", () => {
  assert.equal(codeOf(alarm("VENT TACHY 148 > 100", "device")), "VENT TACHY 148 > 100");
});
