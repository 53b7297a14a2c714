// @ts-check
/** Which bed a digit key means. */

import assert from "node:assert/strict";
import test from "node:test";

import { bedOf } from "../../static/js/ui/digits.js";

/** @param {string} ward @param {string} bed */
const feed = (ward, bed) => /** @type {any} */ ({ entry: { ward, bed } });

const one = ["01", "02", "10", "12"].map((bed) => feed("a", bed));

test("a digit is the bed of that number, and 0 is bed 10", () => {
  assert.equal(bedOf("2", one, null), one[1]);
  assert.equal(bedOf("0", one, null), one[2]);
});

test("a digit without a bed means none", () => {
  assert.equal(bedOf("7", one, null), null);
  assert.equal(bedOf("1", [], null), null);
});

test("of a bed's name the last number counts", () => {
  const beds = [feed("a", "4B-3"), feed("a", "Window"), feed("a", "5 left")];
  assert.deepEqual(["3", "4", "5"].map((digit) => bedOf(digit, beds, null)), [beds[0], null, beds[2]]);
});

const two = [...one, ...["01", "02"].map((bed) => feed("b", bed))];

test("a digit stays in the ward of the bed that one is at", () => {
  assert.equal(bedOf("2", two, two[4]), two[5]);
  assert.equal(bedOf("2", two, two[0]), two[1]);
  assert.equal(bedOf("0", two, two[4]), two[2], "or goes where there is such a bed");
});

test("the same digit again goes on to the next ward, and round", () => {
  assert.equal(bedOf("1", two, two[0]), two[4]);
  assert.equal(bedOf("1", two, two[4]), two[0]);
  assert.equal(bedOf("0", two, two[2]), two[2]);
});
