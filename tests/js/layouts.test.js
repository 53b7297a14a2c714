// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { arrange, kindsFor, rhythmLead } from "../../static/js/ecg/layouts.js";

const TWELVE = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"];

/**
 * The names in a layout's rows, from left to right.
 * @param {import("../../static/js/ecg/layouts.js").Layout} layout
 * @param {string[]} leads
 */
function rows(layout, leads) {
  const cells = layout.blocks.flatMap((block) => block.cells);
  return Array.from({ length: layout.rows }, (_, row) =>
    cells.filter((cell) => cell.row === row).sort((a, b) => a.left - b.left).map((cell) => leads[cell.lead]).join(" "),
  );
}

test("the standard layout is that of a printed ECG, whatever the order of the source", () => {
  const expected = ["I aVR V1 V4", "II aVL V2 V5", "III aVF V3 V6", "II"];
  assert.deepEqual(rows(arrange("standard", TWELVE, "II"), TWELVE), expected);
  const shuffled = [...TWELVE].reverse();
  assert.deepEqual(rows(arrange("standard", shuffled, "II"), shuffled), expected);
  assert.deepEqual(rows(arrange("standard", TWELVE, "V5"), TWELVE)[3], "V5");
});

test("four columns of equal time lie side by side, the rhythm lead below all of them", () => {
  const { blocks, columns } = arrange("standard", TWELVE, "II");
  assert.equal(columns, 4);
  assert.deepEqual(blocks.map(({ left, right }) => [left, right]), [[0, 0.25], [0.25, 0.5], [0.5, 0.75], [0.75, 1], [0, 1]]);
  assert.deepEqual(blocks.map(({ top, bottom }) => [top, bottom]), [[0, 3], [0, 3], [0, 3], [0, 3], [3, 4]]);
});

test("fewer leads take fewer columns; names that are not standard come last", () => {
  const eight = ["V1", "I", "II", "III", "aVR", "aVL", "aVF", "V5"];
  assert.deepEqual(rows(arrange("standard", eight, "II"), eight), ["I aVR V1", "II aVL V5", "III aVF", "II"]);
  const odd = ["MLII", "V5", "ABP", "I", "II", "V1", "PLETH"];
  assert.deepEqual(rows(arrange("standard", odd, ""), odd), ["I V5 PLETH", "II MLII", "V1 ABP", "MLII"]);
});

test("stacked leads have a row each, one lead has it alone", () => {
  assert.deepEqual(rows(arrange("stacked", ["V1", "II"], "II"), ["V1", "II"]), ["V1", "II"]);
  assert.deepEqual(rows(arrange("one", ["V1", "II"], "V1"), ["V1", "II"]), ["V1"]);
  assert.deepEqual(rows(arrange("one", ["V1", "II"], "V9"), ["V1", "II"]), ["II"]);
  assert.deepEqual(arrange("one", [], "II").blocks[0].cells, []);
  assert.equal(arrange("stacked", [], "II").rows, 1);
});

test("only layouts that make a difference are offered", () => {
  assert.deepEqual(kindsFor(12, false), ["standard", "stacked", "one"]);
  assert.deepEqual(kindsFor(3, false), ["stacked", "one"]);
  assert.deepEqual(kindsFor(12, true), ["one", "stacked", "standard"]);
  assert.deepEqual([kindsFor(1, true), kindsFor(0, false)], [["stacked"], ["stacked"]]);
  assert.deepEqual([rhythmLead(["I", "MLII"]), rhythmLead(["V1", "V2"]), rhythmLead([])], ["MLII", "V1", ""]);
});
