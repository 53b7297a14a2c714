// @ts-check
/** The alarms of a viewer: merged, closed for good, and told as displayed once. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Alarms, REPORT_MAX, merged } from "../../static/js/stream/alarms.js";
import { alarm, alarms } from "./some-alarms.js";

/** @param {Alarms} held */
const ids = (held) => held.open.map(({ alarm: id }) => id);

test("an alarm that comes twice is held once, with the larger revision and the earlier of two times", () => {
  const held = new Alarms();
  held.hear(alarm({ revision: 2, text: "HR 150 > 120", raised_ms: 1000, acknowledged_ms: 9000, acknowledged_by: "late" }), 0);
  held.hear(alarm({ revision: 1, text: "HR 130 > 120", raised_ms: 900, acknowledged_ms: 8000, acknowledged_by: "first" }), 1);
  assert.deepEqual(ids(held), ["a1"]);
  const { text, raised_ms, acknowledged_ms, acknowledged_by, state } = held.open[0];
  assert.deepEqual(
    { text, raised_ms, acknowledged_ms, acknowledged_by, state },
    { text: "HR 150 > 120", raised_ms: 900, acknowledged_ms: 8000, acknowledged_by: "first", state: "acknowledged" },
  );
});

test("whatever the order in which messages come, they say the same together", () => {
  const told = [
    alarm({ latching: true, unstored: true }),
    alarm({ latching: true, revision: 3, text: "later" }),
    alarm({ latching: true, revision: 3, text: "another process's" }),
    alarm({ latching: true, cleared_ms: 5000, state: "ended" }),
    alarm({ latching: true, acknowledged_ms: 4000, acknowledged_by: "b", state: "acknowledged" }),
  ];
  const forwards = told.reduce(merged);
  const backwards = [...told].reverse().reduce(merged);
  assert.deepEqual(forwards, backwards);
  assert.equal(forwards.state, "closed");
  assert.equal(forwards.text, "later");
  assert.equal(forwards.unstored, false);
});

test("how an alarm stands follows from its times and whether it latches", () => {
  const over = { cleared_ms: 5000 };
  assert.equal(merged(alarm({}), alarm(over)).state, "closed");
  assert.equal(merged(alarm({ latching: true }), alarm({ latching: true, ...over })).state, "ended");
});

test("an alarm that has ended stays until it is acknowledged where it is latching, and else goes", () => {
  const held = new Alarms();
  held.hear(alarm({ alarm: "latching", latching: true, cleared_ms: 5000, state: "ended" }), 0);
  held.hear(alarm({ alarm: "passing", latching: false }), 0);
  held.hear(alarm({ alarm: "passing", latching: false, cleared_ms: 5000, state: "closed" }), 1);
  assert.deepEqual(held.open.map(({ alarm: id, state }) => [id, state]), [["latching", "ended"]]);
});

test("a closed alarm does not come back for ten minutes, also where it was never held", () => {
  const held = new Alarms();
  held.hear(alarm({}), 0);
  held.hear(alarm({ state: "closed", cleared_ms: 5000 }), 10);
  held.hear(alarm({ alarm: "unseen", state: "closed" }), 10);
  for (const late of [11, 609]) {
    assert.equal(held.hear(alarm({ revision: 9 }), late), false);
    held.hear(alarm({ alarm: "unseen" }), late);
    assert.deepEqual(ids(held), []);
  }
  held.hear(alarm({}), 610);
  assert.deepEqual(ids(held), ["a1"]);
});

test("what is not told again when all was told goes after twenty seconds, unless it is told by then", () => {
  const held = new Alarms();
  for (const id of ["told", "gone", "late"]) held.hear(alarm({ alarm: id }), 0);
  held.forgetConnection();
  held.hear(alarm({ alarm: "told" }), 100);
  held.hear(alarms({ count: 1 }), 100);
  held.hear(alarm({ alarm: "late" }), 103);
  held.hear(alarms({ count: 2 }), 110); // no second chance
  held.settle(119.9);
  assert.deepEqual(ids(held).sort(), ["gone", "late", "told"]);
  held.settle(120);
  assert.deepEqual(ids(held).sort(), ["late", "told"]);
  held.forgetConnection();
  held.hear(alarms({ count: 0 }), 121);
  held.forgetConnection();
  held.settle(199);
  assert.deepEqual(ids(held).sort(), ["late", "told"], "the next connection has the word");
});

test("what is withdrawn goes at once, and comes back when it is told again", () => {
  const held = new Alarms();
  held.hear(alarm({}), 0);
  assert.equal(held.hear({ type: "alarm_withdrawn", alarm: "a1" }, 1), true);
  assert.deepEqual(ids(held), []);
  held.hear(alarm({ revision: 2 }), 2);
  assert.deepEqual(ids(held), ["a1"]);
});

test("what was not told again goes at once where its patient is seen no more", () => {
  const held = new Alarms();
  for (const stream of ["here", "gone"]) held.hear(alarm({ alarm: stream, stream }), 0);
  held.forgetConnection();
  held.hear(alarms({}), 1);
  /** @type {any} */
  const roster = { type: "roster", streams: [{ stream: "here" }] };
  assert.equal(held.hear(roster, 1), true);
  assert.deepEqual(ids(held), ["here"]);
  held.hear(alarm({ alarm: "here", stream: "here" }), 2);
  assert.equal(held.hear({ ...roster, streams: [] }, 2), false);
  assert.deepEqual(ids(held), ["here"], "what is told stays, whatever comes first");
});

test("who may see nothing any more holds nothing", () => {
  const held = new Alarms();
  held.hear(alarm({}), 0);
  held.hear(alarms({ count: 1, paused_until_ms: 99_000 }), 0);
  held.clear();
  assert.deepEqual([ids(held), held.may.size, held.pausedUntilMs], [[], 0, null]);
});

test("alarms outlive the connection, and are not confirmed until the next one has told what is open", () => {
  const held = new Alarms();
  held.hear(alarm({}), 0);
  held.hear(alarms({ count: 1 }), 0);
  assert.equal(held.confirmed, true);
  held.forgetConnection();
  assert.deepEqual(ids(held), ["a1"]);
  assert.equal(held.confirmed, false);
});

test("each alarm that stands in the document is reported once for a connection", () => {
  const held = new Alarms();
  held.hear(alarm({}), 0);
  assert.deepEqual(held.report([], false), []);
  assert.deepEqual(held.report(["a1", "not held"], false), ["a1"]);
  assert.deepEqual(held.report(["a1"], false), []);
  held.hear(alarm({ revision: 1 }), 1);
  assert.deepEqual(held.report(["a1"], false), [], "an update is no other alarm");
  held.forgetConnection();
  assert.deepEqual(held.report(["a1"], false), [], "the next one has not told of it yet");
  held.hear(alarm({}), 2);
  assert.deepEqual(held.report(["a1"], false), ["a1"]);
});

test("what was displayed where nobody looked is reported again when it is seen, and not the other way round", () => {
  const held = new Alarms();
  held.hear(alarm({}), 0);
  assert.deepEqual(held.report(["a1"], true), ["a1"]);
  assert.deepEqual(held.report(["a1"], true), []);
  assert.deepEqual(held.report(["a1"], false), ["a1"]);
  assert.deepEqual(held.report(["a1"], true), []);
  assert.deepEqual(held.report(["a1"], false), []);
});

test("a report holds 64 ids at most, and the others follow", () => {
  const held = new Alarms();
  const many = Array.from({ length: REPORT_MAX + 6 }, (_, at) => `a${at}`);
  for (const id of many) held.hear(alarm({ alarm: id }), 0);
  assert.deepEqual(held.report(many, false), many.slice(0, 64));
  assert.deepEqual(held.report(many, false), many.slice(64));
  assert.deepEqual(held.unreported(many, false), []);
});

test("a new alarm ends a pause at once, one of severity low does not, nor does one that is known", () => {
  const held = new Alarms();
  held.hear(alarm({ alarm: "known" }), 0);
  held.hear({ type: "audio", paused_until_ms: 99_000, broken_by: null }, 0);
  held.hear(alarm({ alarm: "known", revision: 4 }), 1);
  held.hear(alarm({ alarm: "low", severity: "low" }), 1);
  held.hear(alarm({ alarm: "over", latching: true, state: "ended", cleared_ms: 5 }), 1);
  assert.equal(held.pausedUntilMs, 99_000);
  held.hear(alarm({ alarm: "new", severity: "medium" }), 2);
  assert.equal(held.pausedUntilMs, null);
});

test("of a reconnect the server has the last word about the pause", () => {
  const held = new Alarms();
  held.hear(alarm({}), 0);
  held.hear(alarms({ count: 1, paused_until_ms: 99_000 }), 0);
  assert.equal(held.pausedUntilMs, 99_000);
});

test("news has to be drawn at once, another value has time", () => {
  const held = new Alarms();
  assert.equal(held.hear(alarm({}), 0), true);
  assert.equal(held.hear(alarm({ revision: 1, text: "HR 141 > 120" }), 1), false);
  assert.equal(held.hear(alarm({ acknowledged_ms: 3, state: "acknowledged" }), 2), true);
  assert.equal(held.hear(alarm({ state: "closed" }), 3), true);
  assert.equal(held.hear({ type: "time", server_ms: 1 }, 3), false);
});

test("a refusal stands at what was asked for until it is asked again, or done by somebody else", () => {
  const held = new Alarms();
  held.hear(alarm({}), 0);
  held.hear({ type: "refused", of: "alarm_ack", target: "a1", reason: "not yours" }, 0);
  held.hear({ type: "refused", of: "audio_pause", target: "", reason: "not now" }, 0);
  assert.equal(held.refusal("alarm_ack", "a1"), "not yours");
  assert.equal(held.refusal("alarm_ack", "a2"), "");
  assert.equal(held.refusal("audio_pause", "whatever"), "not now");
  held.refuse("audio_pause", "", "");
  assert.equal(held.refusal("audio_pause", ""), "");
  held.hear(alarm({ acknowledged_ms: 7, acknowledged_by: "another" }), 1);
  assert.equal(held.refusal("alarm_ack", "a1"), "");
});
