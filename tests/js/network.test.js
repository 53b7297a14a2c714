// @ts-check
/** What the network panel says, and of what it keeps silent. */

import assert from "node:assert/strict";
import test from "node:test";

import { RoundTrips, isOutdated, layerText, overloadNote, reasonText, troubleOf } from "../../static/js/ui/network.js";

/** @param {string} phase @param {number} since @param {number} silentS */
const connection = (phase, since, silentS) => /** @type {any} */ ({ phase, since, silentS });

test("a connection that answers is no trouble", () => {
  assert.equal(troubleOf(connection("online", 0, 2.9), 100), null);
});

test("a lost connection is told with the time since", () => {
  for (const phase of ["waiting", "connecting"]) {
    const trouble = troubleOf(connection(phase, 88, Infinity), 100);
    assert.equal(trouble?.what, "No connection");
    assert.match(trouble?.note ?? "", /^Lost 12 s ago\./);
  }
});

test("a connection on which nothing comes is told before it is given up", () => {
  assert.equal(troubleOf(connection("online", 0, 3.1), 100)?.what, "No answer");
});

test("the line of round trips ends at now, at the right edge", () => {
  const rtts = new RoundTrips();
  rtts.set(100, 10);
  rtts.set(101, 5);
  assert.equal(rtts.path(20), "M58 50.0L59 75.0");
  assert.equal(rtts.highest, 10);
});

test("the line breaks where there was no round trip, and moves on without one", () => {
  const rtts = new RoundTrips();
  for (const [slot, ms] of [[100, 10], [101, 10], [102, NaN], [103, NaN], [106, 10], [107, 10]]) rtts.set(slot, ms);
  assert.equal(rtts.path(20), "M52 50.0L53 50.0M58 50.0L59 50.0");
});

test("what is older than two minutes has left the line", () => {
  const rtts = new RoundTrips();
  rtts.set(100, 10);
  rtts.set(500, NaN);
  assert.equal(rtts.path(20), "");
  assert.equal(rtts.highest, 0);
});

test("each reason to send more or less is told in words, and what is unknown is not", () => {
  const reasons = ["streams", "trial", "known", "queueing", "expiry", "rate", "overload"];
  assert.equal(new Set(reasons.map(reasonText)).size, 7);
  for (const reason of ["queueing", "expiry", "rate", "overload"]) assert.match(reasonText(reason), /^Less is sent: /);
  for (const reason of ["trial", "known"]) assert.match(reasonText(reason), /^More is /);
  for (const reason of ["steady", "quiet", "toString", "new", null]) assert.equal(reasonText(reason), "");
});

test("a server with too much to do is told, also in a word of tomorrow, and a normal or older one is not", () => {
  for (const stats of [null, {}, { overload: "normal" }]) assert.equal(overloadNote(stats), null);
  const notes = ["shedding", "emergency"].map((overload) => overloadNote({ overload }));
  assert.equal(new Set(notes).size, 2);
  for (const note of notes) assert.match(note ?? "", /^The server has too much to do: /);
  assert.equal(overloadNote({ overload: "meltdown" }), notes[1]);
});

test("figures that know only better renditions than one that is shown are of before", () => {
  const rungs = ["vitals", "overview", "display", "diagnostic", "lossless"];
  for (const [at, rendition] of rungs.entries()) {
    for (const [then, coarsest] of rungs.entries()) {
      assert.equal(isOutdated({ rendition: coarsest }, rendition), at < then, `${coarsest}, then ${rendition}`);
    }
  }
  assert.equal(isOutdated({ rendition: "lossless" }, undefined), false);
});

test("says that beds may stand still only while the server's processes do not reach each other", () => {
  assert.match(layerText("away"), /some beds may stand still$/);
  for (const layer of ["ok", "new", undefined]) assert.equal(layerText(layer), "");
});
