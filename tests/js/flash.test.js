// @ts-check
/** On which beat frames flash. */

import assert from "node:assert/strict";
import test from "node:test";

import { Flash, dimAt } from "../../static/js/ui/flash.js";

test("high ones flash at 2 Hz and medium ones at 0.6 Hz, each half of the time", () => {
  const names = Array.from({ length: 10_000 }, (_, ms) => dimAt(ms));
  const of = (/** @type {string} */ name) => names.map((dim) => dim.includes(name));
  const flashes = (/** @type {boolean[]} */ dim) => dim.filter((isDim, at) => isDim && !dim[at - 1]).length;
  assert.deepEqual([flashes(of("high")), flashes(of("med"))], [20, 6]);
  for (const name of ["high", "med"]) assert.equal(Math.round(of(name).filter(Boolean).length / 100), 50);
});

test("the page is told when the beat changes, and not between", () => {
  /** @type {string[]} */ const told = [];
  const dataset = new Proxy({}, { set: (_, name, value) => Boolean(told.push(`${String(name)}=${value}`)) });
  const flash = new Flash(/** @type {any} */ ({ dataset }));
  for (let ms = 0; ms < 1000; ms += 50) flash.tick(ms);
  assert.deepEqual(told, ["dim=high", "dim=", "dim=high", "dim=high med"]);
});
