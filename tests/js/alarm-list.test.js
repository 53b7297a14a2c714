// @ts-check
/** The list of all alarms: its order, whose bed each stands at, and what is heard, read and titled of it. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { AlarmList } from "../../static/js/stream/alarm-list.js";
import { alarmText, placesText } from "../../static/js/ui/alarm-bar.js";
import { measuredText } from "../../static/js/ui/alarm-panel.js";
import { about, iconOf, overText, rhythmText, sinceText, spokenText, titleText } from "../../static/js/ui/alarm-words.js";
import { Spoken } from "../../static/js/ui/announcer.js";
import { alarm } from "./some-alarms.js";

/** @typedef {import("../../static/js/stream/messages.js").Alarm} Alarm */
/** @typedef {import("../../static/js/stream/alarm-list.js").Found} Found */

const FEEDS = new Map(
  [["a", "P-1", "01"], ["b", "P-2", "02"]].map(([stream, patient, bed]) => [
    stream,
    /** @type {any} */ ({ id: stream, entry: { stream, patient, bed, ward_name: "ICU" } }),
  ]),
);
const [BED, OTHER] = FEEDS.values();

/**
 * @param {Alarm[]} alarms
 * @param {{found?: Found[], several?: boolean, offline?: boolean, list?: AlarmList, nowMs?: number}} [more]
 */
function arranged(alarms, { found = [], several = false, offline = false, list = new AlarmList(), nowMs = 61_000 } = {}) {
  list.arrange({ alarms, found, bed: (stream) => FEEDS.get(stream) ?? null, several, offline, nowMs });
  return list;
}
const keys = (/** @type {AlarmList} */ list) => list.entries.map(({ key }) => key);
const lost = { feed: BED, kind: "no data", what: "No data", since: 12 };

test("what nobody has seen to comes first, then the graver, the newer; what has ended hides no value beyond a limit", () => {
  const list = arranged([
    alarm({ alarm: "seen", severity: "high", state: "acknowledged", acknowledged_ms: 5 }),
    alarm({ alarm: "technical", severity: "technical" }),
    alarm({ alarm: "low", severity: "low" }),
    alarm({ alarm: "older", severity: "medium", raised_ms: 1 }),
    alarm({ alarm: "newer", severity: "medium", raised_ms: 2 }),
    alarm({ alarm: "over", severity: "high", state: "ended", raised_ms: 9 }),
    alarm({ alarm: "high", severity: "high", raised_ms: 3 }),
  ]);
  assert.deepEqual(keys(list), ["high", "newer", "older", "over", "low", "technical", "seen"]);
  assert.deepEqual(list.of(BED).map(({ key }) => key), keys(list));
  assert.deepEqual(list.of(OTHER), []);
});

test("an alarm of another patient stands at no bed, is listed as what it is, and a technical one says so", () => {
  const list = arranged([alarm({ severity: "high", patient: "P-9" })]);
  const [wrong, note] = list.entries;
  assert.deepEqual([wrong.severity, wrong.feed, wrong.place, wrong.text], ["high", null, "P-9", "HR 134 > 120"]);
  assert.deepEqual([note.severity, note.feed, note.alarm, note.place], ["technical", null, null, "Bed 01"]);
  assert.match(note.text, /P-9 .* P-1/);
  assert.deepEqual(list.of(BED), []);
});

test("what a device says in the page's words takes the place of nothing that the page finds", () => {
  const said = { kind: "no data", severity: /** @type {const} */ ("low") };
  assert.equal(arranged([alarm({ ...said, origin: "device" })], { found: [lost] }).entries.length, 2);
  assert.equal(arranged([alarm({ ...said, origin: "analysis" })], { found: [lost] }).entries.length, 1);
});

test("what the page finds is more than before once, until it is gone and found again", () => {
  const list = new AlarmList();
  const news = [[lost], [lost], [lost, { ...lost, feed: OTHER }], [], [lost]].map(
    (found) => arranged([], { found, list }).hasFoundMore,
  );
  assert.deepEqual(news, [true, false, true, false, true]);
});

test("an alarm of the system stands at no bed and is nobody's mistake", () => {
  const list = arranged([alarm({ stream: "", patient: "", kind: "journal" })]);
  assert.deepEqual(list.entries.map(({ place, feed }) => [place, feed]), [["System", null]]);
});

test("where there are several wards a bed is said with its own", () => {
  assert.equal(arranged([alarm({})], { several: true }).entries[0].place, "ICU bed 01");
});

test("what the page finds by itself joins the list, unless the server says the same", () => {
  const leads = { feed: BED, kind: "lead off", what: "Lead off V1", since: 2 };
  assert.deepEqual(keys(arranged([], { found: [lost, leads] })).sort(), ["own lead off a", "own no data a"]);
  const told = [alarm({ alarm: "off", kind: "lead off", severity: "technical" })];
  assert.deepEqual(keys(arranged(told, { found: [lost, leads] })).sort(), ["off", "own no data a"]);
  const both = [...told, alarm({ alarm: "nothing", kind: "no data", severity: "technical" })];
  assert.deepEqual(keys(arranged(both, { found: [lost, leads] })).sort(), ["nothing", "off"]);
  const elsewhere = [alarm({ alarm: "off", kind: "lead off", stream: "b", patient: "P-2" })];
  assert.ok(keys(arranged(elsewhere, { found: [leads] })).includes("own lead off a"));
});

test("without a connection the page's own stay at their beds: one cause is behind them all", () => {
  const list = arranged([alarm({})], { found: [lost], offline: true });
  assert.deepEqual(keys(list), ["a1"]);
  assert.deepEqual(list.of(BED).map(({ key }) => key), ["a1", "own no data a"]);
});

test("what the page found can be seen to here, as long as it stands", () => {
  const list = arranged([], { found: [lost] });
  list.see("own no data a", 60_000);
  assert.equal(arranged([], { found: [lost], list }).entries[0].state, "acknowledged");
  assert.equal(list.audible, null);
  arranged([], { list });
  assert.equal(arranged([], { found: [lost], list }).entries[0].state, "active", "it began anew");
});

test("the gravest that nobody has seen to is heard, also where it has ended and latches", () => {
  const heard = (/** @type {Partial<Alarm>[]} */ ...fields) => arranged(fields.map((some, at) => alarm({ alarm: `a${at}`, ...some }))).audible;
  assert.equal(heard({ severity: "technical" }, { severity: "medium" }), "medium");
  assert.equal(heard({ severity: "high", state: "acknowledged" }, { severity: "low" }), "low");
  assert.equal(heard({ severity: "high", state: "ended" }, { severity: "medium" }), "high");
  assert.equal(heard({ kind: "alarms off", severity: "technical" }), null);
  assert.equal(heard(), null);
});

test("a lane says how long, who has seen to it, that it is over, and that nobody confirms it", () => {
  const since = (/** @type {Partial<Alarm>} */ fields, confirmed = true) =>
    sinceText(arranged([alarm(fields)]).entries[0], 61_000, confirmed);
  assert.equal(since({}), "1:00");
  assert.match(since({ state: "acknowledged", acknowledged_ms: 2000, acknowledged_by: "nurse" }), /^1:00 · \d\d:\d\d nurse$/);
  assert.equal(since({ state: "ended" }), "1:00");
  assert.equal(overText(arranged([alarm({ state: "ended" })]).entries[0]), "ended");
  assert.equal(overText(arranged([alarm({})]).entries[0]), "");
  assert.equal(since({}, false), "1:00 · last known");
});

test("a high alarm that nobody has seen to is in the title, with its bed", () => {
  const title = (/** @type {Partial<Alarm>} */ fields) => titleText(arranged([alarm(fields)]).entries, "Ward · VITAL");
  assert.equal(title({ severity: "high", kind: "asystole" }), "(!) ASYSTOLE bed 01 - VITAL");
  assert.equal(title({ severity: "high", kind: "asystole", state: "acknowledged" }), "Ward · VITAL");
  assert.equal(title({ severity: "medium" }), "Ward · VITAL");
});

test("each alarm is read aloud once, high ones apart; what is seen to is not", () => {
  const spoken = new Spoken();
  const high = alarm({ alarm: "h", severity: "high", text: "ASYSTOLE 4.2 >= 4 s" });
  const seen = alarm({ alarm: "s", state: "acknowledged" });
  const first = spoken.fresh(arranged([high, alarm({}), seen]).entries);
  assert.deepEqual(first, { high: "High alarm, Bed 01: ASYSTOLE 4.2 >= 4 s", others: "Medium alarm, Bed 01: HR 134 > 120" });
  const update = [{ ...high, revision: 1, text: "ASYSTOLE 5.2 >= 4 s" }, alarm({})];
  assert.deepEqual(spoken.fresh(arranged(update).entries), { high: "", others: "" });
  const many = Array.from({ length: 6 }, (_, at) => alarm({ alarm: `m${at}` }));
  assert.match(spoken.fresh(arranged(many).entries).others, /2 more alarms$/);
});

test("a bed's value and rhythm are those of its alarm", () => {
  const entry = (/** @type {Partial<Alarm>} */ fields) => arranged([alarm(fields)]).entries[0];
  assert.equal(about(entry({})), "hr");
  assert.equal(about(entry({ unit: "s" })), null);
  assert.equal(about(entry({ state: "ended" })), null);
  assert.equal(about(undefined), null);
  const none = { name: "", pvcPerMin: 0 };
  const grave = entry({ severity: "high", kind: "ventricular tachycardia" });
  assert.equal(rhythmText(grave, { name: "run", pvcPerMin: 9 }), "Ventricular tachycardia");
  assert.equal(rhythmText(entry({ severity: "high", state: "ended" }), none), "");
  assert.equal(rhythmText(entry({}), none), "");
  assert.equal(rhythmText(undefined, { name: "af", pvcPerMin: 0 }), "AF?");
  assert.equal(rhythmText(undefined, { name: "pvc", pvcPerMin: 2 }), "PVC 2/min");
  assert.equal(rhythmText(entry({}), { name: "bigeminy", pvcPerMin: 30 }), "Bigeminy · PVC 30/min");
  assert.equal(rhythmText(undefined, { name: "of a later version", pvcPerMin: 0 }), "");
  assert.equal(iconOf(entry({ kind: "alarms off", severity: "technical" })), "bell-off");
  assert.equal(iconOf(entry({})), "med");
  assert.equal(spokenText(entry({ state: "ended" })), "Medium alarm, Bed 01: HR 134 > 120, ended");
});

test("value, limit and delays are said with their units, and what is not known is left out", () => {
  assert.equal(
    measuredText(alarm({ value: 4.23, limit: 4, unit: "s", condition_delay_s: 4.2, signal_delay_s: 0 })),
    "value 4.2 s · limit 4 s · condition delay 4.2\u00a0s, signal delay 0.0\u00a0s",
  );
  assert.match(measuredText(alarm({ value: null, limit: null })), /^condition delay/);
  assert.equal(measuredText(alarm({ kind: "alarms off", value: 0, limit: 0, unit: "" })), "");
  assert.equal(measuredText(alarm({ value: 182, limit: null, origin: "device" })), "value 182 bpm · found by the device");
});

test("of a high alarm the bar says the bed and what it is, and last the ward", () => {
  const here = { feed: BED, text: "ASYSTOLE 4.2 >= 4 s" };
  assert.equal(alarmText(/** @type {any} */ ({ ...here, place: "Bed 01" })), "Bed 01  ASYSTOLE 4.2 >= 4 s");
  assert.equal(alarmText(/** @type {any} */ ({ ...here, place: "ICU bed 01" })), "Bed 01  ASYSTOLE 4.2 >= 4 s  ICU");
  assert.equal(alarmText(/** @type {any} */ ({ ...here, feed: null, place: "P-9" })), "P-9  ASYSTOLE 4.2 >= 4 s");
});

test("a sum names the first beds and counts the others", () => {
  const entries = (/** @type {string[]} */ ...places) => places.map((place) => /** @type {any} */ ({ place }));
  assert.equal(placesText(entries("Bed 06", "Bed 11", "Bed 06")), "Bed 06, 11");
  assert.equal(placesText(entries("Bed 1", "Bed 2", "Bed 3", "Bed 4", "Bed 5")), "Bed 1, 2, 3 +2");
  assert.equal(placesText(entries("ICU bed 1", "CCU bed 1")), "ICU bed 1 +1");
});
