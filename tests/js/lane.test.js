// @ts-check
/** When a bed raises its technical alarm, and in which words. */

import assert from "node:assert/strict";
import test from "node:test";

import { cutAtMeasure, fault } from "../../static/js/ui/lane.js";

/** @param {string} state @param {number} age @param {boolean} online */
const feed = (state, age, online) =>
  /** @type {any} */ ({ freshness: () => state, age: () => age, entry: { online }, leads: [], unsent: [], numbersOnly: false, leadsOff: new Map() });

/** A live feed of three leads; those named are off since the given second. @param {Record<string, number>} off */
const partly = (off) => ({
  ...feed("live", 0, true),
  leads: ["II", "V1", "V5"],
  leadsOff: new Map(Object.entries(off)),
  heartRate: () => ({ hr: 81, source: "V5" }),
});

test("a device that died before the page was opened is an alarm as well", () => {
  const wrong = fault(feed("lost", Infinity, false), ["II"], 0);
  assert.deepEqual(wrong, { kind: "no data", what: "No data", note: "device not connected", since: null, alarm: true });
});

test("waiting for the first sample is none", () => {
  assert.equal(fault(feed("waiting", Infinity, true), ["II"], 0)?.alarm, false);
});

test("a bed with all its leads on has nothing wrong", () => {
  assert.equal(fault(partly({}), ["II"], 20), null);
});

test("the lead that is shown and off has a note in place of its trace, with the source of the heart rate", () => {
  const wrong = fault(partly({ II: 15 }), ["II"], 20);
  assert.deepEqual(wrong, { kind: "lead off", what: "Lead off II", note: "Lead II off · heart rate from V5", since: 5, alarm: true });
});

test("a lead that is off is an alarm also where another one is shown, which keeps its trace", () => {
  assert.deepEqual(fault(partly({ V1: 15 }), ["II"], 20), { kind: "lead off", what: "Lead off V1", note: "", since: 5, alarm: true });
  assert.equal(fault(partly({ V1: 15 }), ["II", "V1", "V5"], 20)?.note, "");
});

test("the time is that of the lead that is off longest", () => {
  const wrong = fault(partly({ V1: 15, II: 12 }), ["II"], 20);
  assert.equal(wrong?.what, "Lead off V1, II");
  assert.equal(wrong?.since, 8);
});

test("all leads off is said in one word for all", () => {
  assert.equal(fault(partly({ V1: 15, II: 12, V5: 18 }), ["II"], 20)?.what, "All leads off");
});

test("leads that the network leaves out are named, where they are shown", () => {
  const narrow = { ...partly({}), unsent: ["V1", "V5"] };
  const note = (/** @type {string[]} */ shown) => fault(narrow, shown, 20)?.note;
  assert.equal(note(["II", "V1"]), "Lead V1 not sent: narrow network");
  assert.equal(note(["II", "V1", "V5"]), "Leads V1, V5 not sent: narrow network");
  assert.equal(fault(narrow, ["II"], 20), null);
  assert.equal(fault(narrow, ["V1"], 20)?.alarm, false);
  assert.equal(fault(narrow, ["V1"], 20)?.what, "");
});

test("of many leads that are left out two are named", () => {
  const leads = ["I", "II", "III", "aVR", "aVL", "aVF"];
  const narrow = { ...partly({}), leads, unsent: leads.filter((name) => name !== "II") };
  assert.equal(fault(narrow, leads, 20)?.note, "Leads I, III and 3 more not sent: narrow network");
});

test("a bed that is sent as numbers alone says why there is no trace, and is no alarm", () => {
  const numbers = { ...partly({}), numbersOnly: true };
  const note = "Numbers only: narrow network";
  assert.deepEqual(fault(numbers, ["II"], 20), { kind: "", what: "", note, since: null, alarm: false });
  assert.equal(fault({ ...numbers, freshness: () => "stale", age: () => 4 }, ["II"], 20)?.what, "No data 4 s");
});

test("a lead that is off stays an alarm beside what is not sent", () => {
  const both = { ...partly({ V1: 15 }), unsent: ["V5"] };
  const note = "Lead V5 not sent: narrow network";
  assert.deepEqual(fault(both, ["II", "V1", "V5"], 20), { kind: "lead off", what: "Lead off V1", note, since: 5, alarm: true });
  const numbers = { ...partly({ II: 15 }), numbersOnly: true };
  assert.match(fault(numbers, ["II"], 20)?.note ?? "", /^Numbers only/);
});

test("where a text is cut, its value and its limit stay whole", () => {
  assert.deepEqual(cutAtMeasure("VENT TACHY 149 > 100"), ["VENT TACHY", " 149", " > 100"]);
  assert.deepEqual(cutAtMeasure("VENT FIB/FLUTTER 3.1 >= 3 s"), ["VENT FIB/FLUTTER", " 3.1", " >= 3 s"]);
  assert.deepEqual(cutAtMeasure("ASYSTOLIE 4,2 >= 4 s"), ["ASYSTOLIE", " 4,2", " >= 4 s"]);
  assert.deepEqual(cutAtMeasure("No data 4 s"), ["No data", " 4 s", ""]);
  assert.deepEqual(cutAtMeasure("LEAD OFF V1"), ["LEAD OFF V1", "", ""]);
  assert.deepEqual(cutAtMeasure(""), ["", "", ""]);
});
