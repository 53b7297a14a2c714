// @ts-check
/** The heart-rate line: what is written beside it. */

import assert from "node:assert/strict";
import test from "node:test";

import { rangeText } from "../../static/js/ui/trend.js";

test("a range says both ends where they differ, else the one number", () => {
  assert.equal(rangeText(72, 75), "72–75 bpm");
  assert.equal(rangeText(72, 72), "72 bpm");
});
