// @ts-check
/** When a tile raises its technical alarm. */

import assert from "node:assert/strict";
import test from "node:test";

import { fault } from "../../static/js/ui/tile.js";

/** @param {string} state @param {number} age @param {boolean} online */
const feed = (state, age, online) =>
  /** @type {any} */ ({ freshness: () => state, age: () => age, entry: { online }, info: null, leadsOff: new Map() });

test("a device that died before the page was opened is an alarm as well", () => {
  const wrong = fault(feed("lost", Infinity, false), 0);
  assert.deepEqual(wrong, { what: "No data", note: "device not connected", since: null, alarm: true });
});

test("waiting for the first sample is none", () => {
  assert.equal(fault(feed("waiting", Infinity, true), 0)?.alarm, false);
});
