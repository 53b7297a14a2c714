// The past in the page: answers out of their pieces, windows within bounds, and holes where nothing is stored.

import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateRawSync } from "node:zlib";

import { factsOf } from "../../static/js/review/events.js";
import { beatsOf, groundOf } from "../../static/js/review/measuring.js";
import { Past, PastError, answerOf } from "../../static/js/review/past.js";
import { HOUR_MS, Place, aboutOf } from "../../static/js/review/place.js";
import { marksOf } from "../../static/js/review/strip.js";
import { Overview, Wave } from "../../static/js/review/traces.js";
import { counted, missing, rangeOf, stretches } from "../../static/js/review/trend-chart.js";
import { DAY_MS, LEAST_MS, holes, moved, ticksOf, within, zoomed } from "../../static/js/review/window.js";
import { AckCadence } from "../../static/js/stream/acks.js";
import { scaleOf } from "../../static/js/ui/scale.js";

/** @type {import("../../static/js/review/past.js").Question} */
const QUESTION = { stream: "a", what: "trend", from_ms: 0, to_ms: 1 };

/** @param {object} facts */
function bodyOf(facts, data = Buffer.alloc(0)) {
  const text = Buffer.from(JSON.stringify(facts));
  const size = (/** @type {number} */ value) => Buffer.from(Uint32Array.of(value).buffer);
  const plain = Buffer.concat([size(text.length), text, data]);
  return Buffer.concat([size(plain.length), deflateRawSync(plain)]);
}

/**
 * @param {number} id
 * @param {Buffer} body
 * @returns {import("../../static/js/stream/messages.js").ReviewPiece[]}
 */
function piecesOf(id, body, length = 30) {
  /** @type {import("../../static/js/stream/messages.js").ReviewPiece[]} */ const pieces = [];
  for (let at = 0; at < body.length; at += length) {
    const more = at + length < body.length;
    pieces.push({ type: "review", id, more, data: body.subarray(at, at + length).toString("base64") });
  }
  return pieces;
}

function past() {
  /** @type {object[]} */ const said = [];
  const made = new Past((message) => said.push(message) > 0);
  return { made, said };
}

test("an answer is put together out of its pieces", async () => {
  const { made, said } = past();
  const answer = made.ask("main", QUESTION);
  assert.deepEqual(said, [{ type: "review", id: 1, slot: "main", ...QUESTION }]);
  const data = Buffer.from(Array.from({ length: 300 }, (_, at) => (at * 7) % 251));
  for (const piece of piecesOf(1, bodyOf({ columns: 3 }, data))) made.hear(piece);
  const { facts, data: came } = await answer;
  assert.deepEqual(facts, { columns: 3 });
  assert.deepEqual([...came], [...data]);
});

test("a newer question in a slot takes the place of an older one, whose pieces are passed over", async () => {
  const { made } = past();
  const first = made.ask("zoom", QUESTION);
  const other = made.ask("rows", QUESTION);
  const second = made.ask("zoom", QUESTION);
  await assert.rejects(first, (error) => error instanceof PastError && error.kind === "replaced");
  for (const id of [1, 3, 2]) for (const piece of piecesOf(id, bodyOf({ id }))) made.hear(piece);
  assert.deepEqual([(await second).facts, (await other).facts], [{ id: 3 }, { id: 2 }]);
});

test("what is refused, denied or cut off fails, each by its kind", async () => {
  const { made } = past();
  const asked = ["a", "b", "c"].map((slot) => made.ask(slot, { ...QUESTION, stream: slot }));
  made.hear({ type: "refused", of: "review", target: "1", reason: "away" });
  made.hear({ type: "refused", of: "alarm_ack", target: "2", reason: "another thing" });
  made.hear({ type: "denied", stream: "b" });
  made.forget();
  const kinds = await Promise.all(asked.map((one) => one.catch((error) => [error.kind, error.message])));
  assert.deepEqual(kinds, [["refused", "away"], ["denied", "denied"], ["offline", "offline"]]);
  const nobody = new Past(() => false);
  await assert.rejects(nobody.ask("a", QUESTION), { kind: "offline" });
});

test("a body that is malformed is refused", () => {
  const good = bodyOf({ a: 1 });
  assert.throws(() => answerOf(good.subarray(0, 3)));
  assert.throws(() => answerOf(good.subarray(0, good.length - 2)));
  const long = Buffer.from(good);
  long.writeUInt32LE(long.readUInt32LE(0) + 1, 0);
  assert.throws(() => answerOf(long));
  const huge = Buffer.from(good);
  huge.writeUInt32LE(9 * 1024 * 1024, 0);
  assert.throws(() => answerOf(huge));
  const plain = Buffer.from([255, 0, 0, 0]);
  assert.throws(() => answerOf(Buffer.concat([Buffer.from([4, 0, 0, 0]), deflateRawSync(plain)])));
});

test("an ack is due at once after a piece, and once", () => {
  const acks = new AckCadence({ messages: 32, ms: 500 });
  acks.handled(0, 0);
  assert.equal(acks.isDue(0), false);
  acks.hurry();
  assert.equal(acks.isDue(0), true);
  acks.take(0);
  acks.handled(0, 0);
  assert.equal(acks.isDue(0), false);
});

const BOUNDS = { from: 0, to: DAY_MS };

test("a window is zoomed about a time that stays where it is, between a beat and a day", () => {
  const span = { from: 1e7, to: 1e7 + 10_000 };
  const about = 1e7 + 2_500;
  const closer = zoomed(span, 0.5, about, BOUNDS);
  assert.deepEqual(closer, { from: about - 1_250, to: about + 3_750 });
  assert.equal((about - closer.from) / (closer.to - closer.from), 0.25);
  assert.deepEqual(zoomed(span, 1e9, about, BOUNDS), BOUNDS);
  const least = zoomed(span, 1e-9, about, BOUNDS);
  assert.ok(Math.abs(least.to - least.from - LEAST_MS) < 1e-6);
});

test("a window stays within bounds, and keeps its length where it can", () => {
  assert.deepEqual(within({ from: -500, to: 500 }, BOUNDS), { from: 0, to: 1000 });
  assert.deepEqual(moved({ from: DAY_MS - 1000, to: DAY_MS }, 3, BOUNDS), { from: DAY_MS - 1000, to: DAY_MS });
  assert.deepEqual(within({ from: -1, to: 3 * DAY_MS }, { from: 5, to: 2005 }), { from: 5, to: 2005 });
});

test("ticks are at round times, and no more than there is room for", () => {
  const { step, ticks } = ticksOf({ from: 1_000_100, to: 1_010_000 }, 10);
  assert.equal(step, 1000);
  assert.deepEqual(ticks.map((at) => at % 1000), ticks.map(() => 0));
  for (const length of [500, 5_000, 3_600_000, DAY_MS]) {
    assert.ok(ticksOf({ from: 0, to: length }, 8).ticks.length <= 9);
  }
});

test("holes are what is between, and closed where both ends are seen", () => {
  const held = [{ from: 10, to: 20 }, { from: 20.5, to: 30 }, { from: 50, to: 60 }];
  assert.deepEqual(holes({ from: 0, to: 100 }, held, 1), [
    { from: 0, to: 10, closed: false },
    { from: 30, to: 50, closed: true },
    { from: 60, to: 100, closed: false },
  ]);
  assert.deepEqual(holes({ from: 0, to: 10 }, [], 1), [{ from: 0, to: 10, closed: false }]);
});

test("an overview knows what is stored and where its middle is", () => {
  const low = [1, 32767, 5, 7];
  const high = [3, -32768, 6, 9];
  const data = new Uint8Array(Int16Array.from([...low, ...high]).buffer);
  const trace = new Overview({ facts: { from_ms: 100, step_ms: 10, columns: 4, lead: "II" }, data });
  assert.deepEqual(trace.held, [{ from: 100, to: 110 }, { from: 120, to: 140 }]);
  assert.equal(trace.middle, 5.5);
  assert.equal(trace.to, 140);
});

/**
 * A payload of planes, as protocol.md makes it: one lead, differences, zigzag.
 * @param {number[]} values
 */
function payloadOf(values) {
  const zigzag = values.map((value, at) => {
    const step = value - (at > 0 ? values[at - 1] : 0);
    return step >= 0 ? 2 * step : -2 * step - 1;
  });
  const planes = Buffer.from([...zigzag.map((z) => z & 255), ...zigzag.map((z) => z >> 8)]);
  const head = Buffer.from([1, 1, values.length & 255, values.length >> 8]);
  return Buffer.concat([head, deflateRawSync(planes)]);
}

test("a wave has every sample at its time, and a hole where an index is missing", () => {
  const pieces = [[1, 2, 3], [4, 5, 6], [9, 9]].map(payloadOf);
  const lead = { name: "II", gain_uv: 5, baseline: 1 };
  const part = (/** @type {number} */ first, /** @type {number} */ began_ms, /** @type {number[][]} */ frames) => ({ epoch: 2, first, began_ms, rate_hz: 100, source: "SIM", leads: [lead], frames });
  const facts = {
    cut_ms: null,
    parts: [
      part(100, 5000, [[100, 3, pieces[0].length]]),
      part(103, 5031, [[103, 3, pieces[1].length]]), // estimated a ms late: samples stand by their index
      part(110, 5100, [[110, 2, pieces[2].length]]),
    ],
  };
  const wave = new Wave({ facts, data: new Uint8Array(Buffer.concat(pieces)) }, { from: 5000, to: 5200 });
  assert.deepEqual(wave.leads, ["II"]);
  assert.deepEqual(wave.runs.map(({ from, to, first }) => [from, to, first]), [[5000, 5060, 100], [5100, 5120, 110]]);
  assert.deepEqual([...wave.runs[0].values[0]], [0, 5, 10, 15, 20, 25]);
  assert.equal(wave.timeOf(2, 105), 5050);
  assert.equal(wave.timeOf(3, 105), null);
  assert.deepEqual(holes({ from: 5000, to: 5120 }, wave.held, 1), [{ from: 5060, to: 5100, closed: true }]);
});

/** @type {(number: number, mean: number | null) => import("../../static/js/review/trend-chart.js").Minute} */
const minute = (number, mean) => [60e3 * number, mean && mean - 2, mean, mean && mean + 2, mean ? 100 : 0];

test("a trend breaks where a minute is missing, and where one has no rate", () => {
  const minutes = [minute(0, 70), minute(1, 71), minute(2, null), minute(3, 72), minute(6, 73)];
  assert.deepEqual(stretches(minutes).map(({ length }) => length), [4, 1]);
  assert.deepEqual(counted(stretches(minutes)[0]).map((part) => part.map(([, , mean]) => mean)), [[70, 71], [72]]);
  assert.deepEqual(missing(minutes, 0, 420e3), [{ from: 240e3, to: 360e3 }]);
  assert.deepEqual(missing([], 0, 600e3), [{ from: 0, to: 600e3 }]);
  assert.deepEqual(rangeOf({ minutes, limits: { low: 50, high: 120 } }), { bottom: 40, top: 160 });
});

test("the hours that one begins with have the time that the address names", () => {
  const until = 100 * HOUR_MS;
  const hours = (/** @type {number} */ ago) => new Place(until, until - ago * HOUR_MS).hours;
  assert.deepEqual([0.5, 0.99, 3, 7.9, 23, 40].map(hours), [1, 4, 4, 8, 24, 24]);
  assert.equal(new Place(until, null).hours, 4);
  const place = new Place(until, null);
  place.goToAddressed(until - 5 * HOUR_MS);
  assert.deepEqual([place.hours, place.addressed], [24, until - 5 * HOUR_MS]);
  assert.deepEqual([place.stepOfHours(1), place.stepOfHours(-1)], [24, 8]);
});

test("the hours are as few as hold what is stored, until somebody chooses", () => {
  const until = 100 * HOUR_MS;
  const fewest = (/** @type {number | null} */ ago, place = new Place(until, null)) => {
    place.narrow(ago === null ? null : [until - ago * HOUR_MS, until]);
    return place.hours;
  };
  assert.deepEqual([0.1, 0.99, 1, 3.99, 7, null].map((ago) => fewest(ago)), [1, 1, 4, 4, 4, 4]);
  const once = new Place(until, null);
  assert.deepEqual([fewest(2, once), fewest(0.1, once)], [4, 4]);
  const chosen = new Place(until, null);
  chosen.chooseHours(8);
  assert.equal(fewest(0.1, chosen), 8);
  const moved = new Place(until, null);
  moved.wasMoved();
  assert.equal(fewest(0.1, moved), 4);
  assert.equal(fewest(0.1, new Place(until, until - 2 * HOUR_MS)), 4);
});

test("a moment stays within the day, and is nobody's choice until somebody moves", () => {
  const until = 100 * HOUR_MS;
  const place = new Place(until, null);
  assert.equal(place.isUnmoved, true);
  place.goTo(0);
  assert.equal(place.at, until - DAY_MS);
  place.goTo(until + 5);
  assert.deepEqual([place.at, place.around, place.window], [until, aboutOf(until), { from: until - 20e3, to: until }]);
  place.wasMoved();
  assert.equal(place.isUnmoved, false);
  assert.equal(new Place(until, until).isUnmoved, false);
});

test("the lead that is looked at stays as long as it is stored", () => {
  const place = new Place(0, null);
  assert.deepEqual([place.nextLead, place.leadIndex], [null, 0]);
  place.takeLeads(["II", "V1"]);
  assert.deepEqual([place.lead, place.nextLead], ["II", "V1"]);
  place.lead = "V1";
  place.takeLeads(["I", "II", "V1"]);
  assert.deepEqual([place.lead, place.leadIndex, place.nextLead], ["V1", 2, "I"]);
  place.takeLeads(["I"]);
  assert.equal(place.lead, "I");
});

/** Two leads at 250 Hz from `first` on, a peak of 1 mV on the first every 200 samples, of -0.5 mV on the second. */
function beating(first = 1000, count = 2600) {
  const run = (/** @type {number} */ from, /** @type {number} */ samples) => {
    const peak = (/** @type {number} */ at) => Math.max(0, 1 - Math.abs(((from + at) % 200) - 100) / 6);
    const values = [1000, -500].map((height) => Float32Array.from({ length: samples }, (_, at) => height * peak(at)));
    return { from: 4 * from, to: 4 * (from + samples), epoch: 1, first: from, rateHz: 250, values };
  };
  const wave = new Wave({ facts: { cut_ms: null, parts: [] }, data: new Uint8Array() }, { from: 4 * first, to: 4 * (first + count) });
  wave.leads = ["II", "V1"];
  wave.runs = [run(first, 1200), run(first + 1400, count - 1400)];
  return wave;
}

const PAPER = scaleOf({ pxPerMm: 4, speed: 25, gain: 10 }, 2);

test("calipers stand on the samples of a row, behind its pulse, on the lead that is pressed", () => {
  const wave = beating();
  const span = { from: 4000, to: 14_000 };
  const ground = /** @type {import("../../static/js/ui/calipers.js").Ground} */ (groundOf({ wave, leads: [0, 1], span, scale: PAPER, width: 2200, height: 800 }));
  assert.deepEqual(ground.span, [1000, 3500]);
  assert.equal(ground.xOf(1000), 48, "twelve millimetres of 4 px");
  assert.equal(ground.xOf(1250), 48 + 100, "a second is 25 mm");
  assert.equal(ground.sampleAt(48 + 100), 1250);
  assert.deepEqual([ground.cellAt(0, 100)?.lead, ground.cellAt(0, 300)?.lead, ground.cellAt(0, 500)], [0, 1, null]);
  const second = /** @type {{lead: number, row: number}} */ (ground.cellOf(1100, 1));
  assert.equal(ground.ring.at(second.lead, 1100), -500);
  const y = (/** @type {number} */ lead, /** @type {number} */ sample) => /** @type {number} */ (ground.yOf({ lead, row: lead }, sample));
  assert.equal(y(0, 1000) - y(0, 1100), 40, "a millivolt is 10 mm");
  assert.equal(ground.ring.has(2300), false, "in the hole");
  assert.equal(ground.yOf({ lead: 0, row: 0 }, 2300), null);
});

test("calipers snap to where a lead is steep, once a beat, and not to what is no sample", () => {
  const wave = beating();
  const ground = groundOf({ wave, leads: [0], span: { from: 4000, to: 13_600 }, scale: PAPER, width: 2200, height: 400 });
  /** @type {number[]} */ const found = [];
  ground?.beats.within(0, 1e6, ({ sample }) => found.push(sample));
  const near = [1100, 1300, 1500, 1700, 1900, 2100, 2500, 2700, 2900, 3100, 3300];
  assert.equal(found.length, near.length);
  assert.ok(found.every((sample, at) => Math.abs(sample - near[at]) <= 8), String(found));
  const flat = { has: () => true, at: () => 0 };
  assert.equal(beatsOf(flat, 0, [0, 500], 250).count, 0);
});

test("a row without a sample has no calipers", () => {
  const row = { wave: beating(), leads: [0], scale: PAPER, width: 10, height: 10 };
  assert.equal(groundOf({ ...row, span: { from: 20_000, to: 30_000 } }), null);
  assert.equal(groundOf({ ...row, span: { from: 9000, to: 9500 } }), null, "in the hole");
});

/** @param {Partial<import("../../static/js/review/events.js").Event>} facts */
function eventOf(facts) {
  return /** @type {import("../../static/js/review/events.js").Event} */ ({
    alarm: "a", kind: "hr_high", severity: "medium", text: "HR 126 > 120", origin: "analysis", epoch: 1, from: 750, to: 2500, sample: 2500, lead: "II",
    condition_delay_s: 2, signal_delay_s: 5, raised_ms: Date.UTC(2026, 10, 28, 1, 13, 3, 600), cleared_ms: null, acknowledged_ms: null, acknowledged_by: "", ...facts,
  });
}

test("the begin of an event stays where it was, while what shows it moves on", () => {
  const middle = 10_000;
  const begins = (/** @type {number} */ from) => marksOf(eventOf({ from, to: from + 1750 }), middle).map(({ ms }) => ms);
  assert.deepEqual(begins(750), [middle, 3000]);
  assert.deepEqual(begins(4625), [middle, 3000], "told anew 8.5 s after it was raised");
  const [, [, began]] = factsOf(eventOf({ from: 4625 }));
  assert.match(began, /:56\.6$/);
});

test("a device does not tell when its event began", () => {
  assert.equal(marksOf(eventOf({ origin: "device", from: 2500, condition_delay_s: 0, signal_delay_s: 0 }), 0).length, 1);
  assert.deepEqual(marksOf(null, 0), []);
});
