// @ts-check
/** The live page's figures: rates, what is stale, order and filter, names, and its connection. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { age, course, headline, remainder, STALE_S as ALERTS_STALE_S } from "../../static/js/admin/live/alerts.js";
import { groupText, ofProcesses, ofViewers, processState, streamOf, total, viewerText } from "../../static/js/admin/live/columns.js";
import { Deployment, FORGOTTEN_S, matches, ordered, rate, STALE_S } from "../../static/js/admin/live/deployment.js";
import { Names } from "../../static/js/admin/live/names.js";
import { Ring } from "../../static/js/admin/live/ring.js";
import { LiveSocket, SILENT_S } from "../../static/js/admin/live/socket.js";
import { counted, lasting, milliseconds, percent, perSecond, size } from "../../static/js/admin/live/words.js";

/** @typedef {import("../../static/js/admin/live/deployment.js").Figures} Figures */
/** @typedef {import("../../static/js/admin/live/deployment.js").ViewerFigures} ViewerFigures */
/** @typedef {import("../../static/js/admin/live/deployment.js").GroupFigures} GroupFigures */

/** @param {Partial<ViewerFigures>} changes @returns {ViewerFigures} */
function viewer(changes = {}) {
  return {
    connection: "9f2c61d0", actor: "user:7", user: 7, since_s: 60, state: "normal", condition: "good", rtt_ms: 20,
    goodput_bps: 8000, window: 4096, in_flight: 100, queued: 0, queued_bytes: 0, oldest_ms: 0, rendition: "lossless",
    reason: "steady", drops: {}, lost_s: null, acked_s: 0.1, watches: 1, streams: ["a"], ...changes,
  };
}

/** @param {Partial<GroupFigures>} changes @returns {GroupFigures} */
function group(changes = {}) {
  return {
    group: "ecg.a", viewers: 1, state: "normal", rate: 10, ratio: 90, level: 6, queued: 0, queued_bytes: 0, utilization: 0,
    pressure: 0, sent: 100, sent_bytes: 1000, dropped: 0, age_p50_ms: 60, age_p95_ms: 100, age_p99_ms: null, ...changes,
  };
}

/** @param {Partial<Figures>} changes @returns {Figures} */
function figures(changes = {}) {
  return {
    process: "aa", at_ms: 1000, overload: "normal", lag_ms: 1, rss_mb: 90, queued_bytes: 0, devices: 1, silent: 0, sent: 0,
    sent_bytes: 0, dropped: 0, layer: "ok", lost_messages: 0, settings_version: 1, degraded: {}, groups: [], viewers: [],
    viewer_count: 0, ...changes,
  };
}

test("a ring keeps the last values, oldest first", () => {
  const ring = new Ring(3);
  assert.equal(ring.most, 0);
  for (const value of [1, null, 5, 2]) ring.push(value);
  assert.equal(ring.length, 3);
  assert.ok(Number.isNaN(ring.at(0)));
  assert.deepEqual([ring.at(1), ring.at(2)], [5, 2]);
  assert.equal(ring.most, 5);
});

test("a rate is that of two readings, and of none where the counter began anew", () => {
  assert.equal(rate(10, 30, 2), 10);
  assert.equal(rate(30, 10, 2), null);
  assert.equal(rate(10, 30, 0), null);
});

test("figures of a process become rates by its own clock", () => {
  const deployment = new Deployment();
  deployment.take(figures({ sent_bytes: 1000, sent: 10, dropped: 1 }), 0);
  const row = deployment.processes.get("aa");
  assert.ok(row);
  assert.equal(row.bytesPerS, null);
  deployment.take(figures({ at_ms: 3000, sent_bytes: 5000, sent: 30, dropped: 5 }), 9);
  assert.deepEqual([row.bytesPerS, row.sentPerS, row.droppedPerS], [2000, 10, 2]);
  assert.deepEqual([row.bytes.length, row.lag.at(1)], [2, 1]);
});

test("a group's drops a second are between its own readings, which may be seldom", () => {
  const deployment = new Deployment();
  deployment.take(figures({ groups: [group({ dropped: 4 })] }), 0);
  deployment.take(figures({ at_ms: 2000 }), 1);
  deployment.take(figures({ at_ms: 5000, groups: [group({ dropped: 12 })] }), 4);
  const row = deployment.groups.get("aa ecg.a");
  assert.equal(row?.droppedPerS, 2);
  assert.equal(row?.isStale(4 + STALE_S + 0.1), true);
});

test("what stops coming is stale, then forgotten; who is in the list stays", () => {
  const deployment = new Deployment();
  deployment.take(figures({ viewers: [viewer()], viewer_count: 7 }), 0);
  const row = deployment.processes.get("aa");
  assert.equal(row?.isStale(STALE_S), false);
  assert.equal(deployment.viewerCount(STALE_S), 7);
  assert.equal(row?.isStale(STALE_S + 0.1), true);
  assert.equal(deployment.viewerCount(STALE_S + 0.1), 0);
  deployment.list({ processes: [{ process: "aa", host: "h", pid: 1, version: 1, refusal: null, silent_s: 1, is_gone: false }], version: 1 });
  deployment.forget(FORGOTTEN_S + 1);
  assert.deepEqual([deployment.processes.size, deployment.viewers.size], [1, 0]);
  deployment.list({ processes: [], version: 1 });
  deployment.forget(FORGOTTEN_S + 1);
  assert.equal(deployment.processes.size, 0);
});

test("a viewer that its process no longer names is gone; one of another process is not", () => {
  const deployment = new Deployment();
  deployment.take(figures({ viewers: [viewer(), viewer({ connection: "00000001" })] }), 0);
  deployment.take(figures({ process: "bb", viewers: [viewer({ connection: "00000002" })] }), 0);
  deployment.take(figures({ viewers: [viewer()] }), 1);
  assert.deepEqual([...deployment.viewers.keys()], ["9f2c61d0", "00000002"]);
});

test("rows are ordered by a figure, unknown ones last in both directions, equals by their key", () => {
  const rows = [{ key: "c", n: 2 }, { key: "a", n: null }, { key: "d", n: 1 }, { key: "b", n: 2 }];
  /** @param {boolean} falling */
  const keys = (falling) => ordered(rows, ({ n }) => n, falling).map(({ key }) => key).join("");
  assert.equal(keys(false), "dbca");
  assert.equal(keys(true), "bcda");
});

test("every word of the filter has to be there, in whatever case", () => {
  assert.ok(matches("nurse 9f2c61d0 normal", "NURSE 9f2"));
  assert.ok(!matches("nurse 9f2c61d0 normal", "nurse poor"));
});

test("a process says what is wrong with it in words", () => {
  const deployment = new Deployment();
  deployment.list({ processes: [{ process: "aa", host: "h", pid: 1, version: 1, refusal: null, silent_s: 40, is_gone: true }], version: 2 });
  const row = deployment.processes.get("aa");
  assert.ok(row);
  assert.equal(processState(row, 0), "not heard for 40 s");
  deployment.take(figures({ layer: "away", degraded: { history: "locked" } }), 10);
  assert.equal(processState(row, 10), "normal");
  const [, state] = ofProcesses(deployment);
  assert.equal(state?.small?.(row, 10), "channel layer away; history: locked; loads settings 2");
  assert.equal(state?.strong?.(row, 10), true);
  assert.equal(processState(row, 15), "stale, 5 s old");
});

test("the filter finds a viewer by its name, its ward and its state", () => {
  const deployment = new Deployment(), names = new Names();
  deployment.take(figures({ viewers: [viewer({ state: "waits" })] }), 0);
  const row = deployment.viewers.get("9f2c61d0");
  assert.ok(row);
  assert.ok(!matches(viewerText(row, names), "intensive"));
  names.take({ users: { 7: "nurse" }, streams: { a: "Intensive care, bed 1" } });
  assert.ok(matches(viewerText(row, names), "intensive nurse waits aa"));
  const [who] = ofViewers(names);
  assert.equal(who?.say(row, 0), "nurse");
});

test("the control group belongs to no stream", () => {
  assert.equal(streamOf("control"), "");
  const deployment = new Deployment(), names = new Names();
  deployment.take(figures({ groups: [group({ group: "control" })] }), 0);
  const row = deployment.groups.get("aa control");
  assert.ok(row && groupText(row, names).startsWith("aa control"));
  assert.equal(names.question(0), null);
});

test("names are asked for once, and again after a while where there was none", () => {
  const names = new Names();
  assert.equal(names.user(7, "user:7"), "user 7");
  assert.equal(names.user(8, "api-token:3"), "user 8, by API token");
  assert.equal(names.user(null, "device:1"), "device:1");
  assert.equal(names.stream("a"), null);
  assert.deepEqual(names.question(0), { users: ["7", "8"], streams: ["a"] });
  names.stream("b");
  assert.equal(names.question(1), null, "the answer is awaited");
  names.take({ users: { 7: "nurse" }, streams: {} });
  assert.equal(names.user(7, "user:7"), "nurse");
  names.stream("a");
  assert.deepEqual(names.question(2), { users: [], streams: ["b"] });
  names.take({ users: {}, streams: {} });
  names.stream("a");
  assert.equal(names.question(30), null);
  names.stream("a");
  assert.deepEqual(names.question(70), { users: [], streams: ["a"] });
});

test("figures are written with few digits and their unit", () => {
  assert.deepEqual([size(999), size(12_345), size(2.5e6), size(3e9), size(null)], ["999 B", "12.3 kB", "2.5 MB", "3.0 GB", "--"]);
  assert.deepEqual([perSecond(1500), milliseconds(1.23), milliseconds(123.4), percent(0.123)], ["1.5 kB/s", "1.2 ms", "123 ms", "12.3 %"]);
  assert.deepEqual([lasting(5), lasting(65), lasting(3700), lasting(90_000)], ["5 s", "1 min 5 s", "1 h 1 min", "1 d 1 h"]);
  assert.deepEqual([counted(1, "row"), counted(2, "row"), total({ expired: 2, quota: 3 })], ["1 row", "2 rows", 5]);
});

// -- the connection

function world() {
  /** @type {any[]} */
  const sockets = [];
  const heard = /** @type {any[]} */ ([]);
  const state = { now: 0, random: 0.5 };
  const socket = new LiveSocket(
    { message: (message) => heard.push(message), changed: () => {} },
    {
      open: () => {
        const made = { sent: /** @type {any[]} */ ([]), closed: false, send: (/** @type {string} */ text) => made.sent.push(JSON.parse(text)), close: () => { made.closed = true; }, onopen: null, onmessage: null, onclose: null };
        sockets.push(made);
        return /** @type {any} */ (made);
      },
      now: () => state.now,
      random: () => state.random,
    },
  );
  const last = () => sockets[sockets.length - 1];
  /** @param {object} message */
  const tell = (message) => last().onmessage({ data: JSON.stringify(message) });
  return { socket, sockets, heard, state, last, tell };
}

function live() {
  const made = world();
  made.socket.start();
  made.last().onopen();
  made.tell({ type: "welcome" });
  return made;
}

test("it says hello, and acknowledges all that comes after the welcome", () => {
  const { socket, last, tell, heard } = live();
  tell({ type: "figures" });
  tell({ type: "names" });
  assert.deepEqual(last().sent, [{ type: "hello", protocol: "vital.live.v1" }, { type: "ack", n: 1 }, { type: "ack", n: 2 }]);
  assert.deepEqual(heard.map(({ type }) => type), ["welcome", "figures", "names"]);
  assert.equal(socket.phase, "live");
});

test("it comes back with jitter, says hello again, and counts from nothing", () => {
  const { socket, sockets, state, last, tell } = live();
  state.now = 10;
  last().onclose({ code: 1006 });
  assert.deepEqual([socket.phase, socket.retryAt], ["waiting", 10.25]);
  assert.equal(socket.say({ type: "inspect", connection: null }), false);
  state.now = 10.2;
  socket.tick();
  assert.equal(sockets.length, 1);
  state.now = 10.3;
  socket.tick();
  assert.equal(sockets.length, 2);
  last().onopen();
  tell({ type: "welcome" });
  tell({ type: "figures" });
  assert.deepEqual(last().sent.at(-1), { type: "ack", n: 1 });
});

test("failures in a row wait longer, and the time that the server names is waited for", () => {
  const { socket, state, last, tell } = live();
  last().onclose({ code: 1006 });
  socket.start();
  last().onclose({ code: 1006 });
  assert.equal(socket.retryAt, 0.5 * 0.5 * 2);
  socket.start();
  last().onopen();
  tell({ type: "bye", code: 4013, reason: "too many live pages", retry_after_ms: 30_000 });
  last().onclose({ code: 4013 });
  assert.ok(socket.retryAt >= state.now + 30);
  assert.equal(socket.reason, "too many live pages");
});

test("it does not come back when it is signed out or not allowed", () => {
  for (const [code, phase] of /** @type {const} */ ([[4401, "signed-out"], [4403, "forbidden"], [4400, "refused"]])) {
    const { socket, sockets, state, last } = live();
    last().onclose({ code });
    state.now = 1000;
    socket.tick();
    assert.deepEqual([socket.phase, sockets.length], [phase, 1]);
  }
});

test("a connection on which nothing comes is taken for dead", () => {
  const { socket, state, last } = live();
  state.now = SILENT_S + 0.1;
  socket.tick();
  assert.equal(socket.phase, "waiting");
  assert.equal(last().closed, true);
});

test("open alerts are told in words, with how long they are open by now", () => {
  const alert = {
    alert: "a1", severity: "critical", rule: "loss", condition: "loss > 1 % for 60 s", group: "ecg.a", process: "aa",
    value_text: "2.5 %", open_s: 58,
  };
  assert.equal(course(alert, 4), ": loss > 1 % for 60 s; now 2.5 %; ecg.a, process aa, for 1 min 2 s");
  assert.equal(course({ ...alert, group: "" }, 0), ": loss > 1 % for 60 s; now 2.5 %; process aa, for 58 s");
  assert.deepEqual([0, 1, 12].map(headline), [
    "No alert of the system is open", "1 alert of the system is open", "12 alerts of the system are open",
  ]);
  assert.deepEqual([remainder(0), remainder(3)], ["See all", "3 more; see all"]);
  assert.equal(age(5), "");
  assert.equal(age(ALERTS_STALE_S + 8), "As it was 20 s ago: the database has not been read since.");
});
