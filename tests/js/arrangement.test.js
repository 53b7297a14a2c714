// @ts-check
/** In which order beds stand, and what becomes of a layout that the server has not got yet. */

import assert from "node:assert/strict";
import test from "node:test";

import { PLAIN, arranged, layoutOf, ranksOf, withPin } from "../../static/js/ui/arrangement.js";
import { LayoutStore } from "../../static/js/ui/layout-store.js";

/** @param {string} id @param {string} bed */
const feed = (id, bed) => /** @type {any} */ ({ id, entry: { bed } });
const beds = [feed("a1", "2"), feed("a2", "10"), feed("b1", "1"), feed("b2", "2")];
const none = new Map();

/** @param {any} layout @param {ReadonlyMap<string, number>} [ranks] */
const ids = (layout, ranks = none) => arranged(beds, layout, ranks).map(({ id }) => id);

test("without a choice beds stand as they come", () => {
  assert.deepEqual(ids(PLAIN), ["a1", "a2", "b1", "b2"]);
});

test("by bed means by its number, and of the same one by ward", () => {
  assert.deepEqual(ids({ order: "bed", pinned: [] }), ["b1", "a1", "b2", "a2"]);
});

test("by alarm, beds without one keep their place among themselves", () => {
  assert.deepEqual(ids({ order: "alarm", pinned: [] }, new Map([["b2", 0], ["a2", 1]])), ["b2", "a2", "a1", "b1"]);
});

test("pinned beds come first in each order, as they were pinned", () => {
  assert.deepEqual(ids({ order: "ward", pinned: ["b2", "gone", "a2"] }), ["b2", "a2", "a1", "b1"]);
  assert.deepEqual(ids({ order: "alarm", pinned: ["b2"] }, new Map([["a2", 0]])), ["b2", "a2", "a1", "b1"]);
});

test("a bed has the rank of its gravest alarm", () => {
  const entries = [{ feed: beds[2] }, { feed: null }, { feed: beds[0] }, { feed: beds[2] }];
  assert.deepEqual([...ranksOf(entries)], [["b1", 0], ["a1", 1]]);
});

test("a pin is set behind the others, taken away, and forgets beds that are gone", () => {
  const isThere = (/** @type {string} */ id) => id !== "gone";
  const pins = (/** @type {string[]} */ ...pinned) => /** @type {const} */ ({ order: "bed", pinned, per_page: 32 });
  assert.deepEqual(withPin(pins("gone", "a1"), "b1", isThere), pins("a1", "b1"));
  assert.deepEqual(withPin(pins("a1", "b1"), "a1", isThere), pins("b1"));
});

test("what is no layout is the plain one", () => {
  for (const value of [null, 1, {}, { order: "up", pinned: [] }, { order: "bed", pinned: "a" }]) assert.equal(layoutOf(value), PLAIN);
});

test("a layout of before, or with a number that is none, has 16 beds on a page", () => {
  for (const per_page of [undefined, 0, 17, "32"]) assert.equal(layoutOf({ order: "bed", pinned: [], per_page }).per_page, 16);
  assert.equal(layoutOf({ order: "bed", pinned: [], per_page: 32 }).per_page, 32);
});

const wanted = /** @type {const} */ ({ order: "bed", pinned: ["a1"], per_page: 32 });

/** @param {string} user @param {number[]} statuses what the server answers, in turn */
function store(user, statuses) {
  /** @type {object[]} */ const told = [];
  const tell = async (/** @type {string} */ _path, /** @type {object} */ body) => {
    told.push(body);
    return { status: statuses.shift() ?? 200, value: {} };
  };
  return { told, store: new LayoutStore({ user, served: PLAIN, path: "/layout/", tell: /** @type {any} */ (tell) }) };
}

test("what the server has not got is kept here, and told when it answers", async () => {
  const { told, store: first } = store("kept", [0, 200]);
  await first.change(wanted);
  assert.ok(first.isUnsaved);
  assert.deepEqual(store("kept", []).store.value, wanted, "after a reload");
  assert.deepEqual(store("other", []).store.value, PLAIN, "of another user nothing is taken over");
  await first.save();
  assert.ok(!first.isUnsaved);
  await first.save();
  assert.equal(told.length, 2);
  assert.deepEqual(store("kept", []).store.value, PLAIN, "what the server says holds again");
});

test("what the server refuses is not told again", async () => {
  const { told, store: refused } = store("refused", [400]);
  await refused.change(wanted);
  await refused.save();
  assert.equal(told.length, 1);
});
