// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { Feeds } from "../../static/js/stream/feeds.js";
import { ageText, durationText, freshness } from "../../static/js/stream/freshness.js";
import { levelOf } from "../../static/js/stream/rendition.js";
import { HeartRateTrend } from "../../static/js/stream/trend.js";
import { GAINS, SPEEDS, scaleOf, step } from "../../static/js/ui/scale.js";
import { linePath } from "../../static/js/ui/trend.js";

/** @typedef {import("../../static/js/stream/messages.js").RosterEntry} RosterEntry */

/** @param {Partial<RosterEntry>} fields @returns {RosterEntry} */
function entry(fields) {
  const some = { stream: "a", patient: "P-1", name: "Heron 27", ward: "w", ward_name: "Ward", bed: "01" };
  return { ...some, source: "SIM", online: true, ...fields };
}

/** @param {Partial<import("../../static/js/stream/messages.js").Stream>} fields */
function info(fields = {}) {
  /** @type {import("../../static/js/stream/messages.js").Stream} */
  const message = {
    type: "stream", alias: 7, stream: "a", epoch: 1, rendition: "lossless", rate_hz: 250, factor: 1, unit: "uV", source: "SIM",
    leads: [{ name: "V1", gain_uv: 5, baseline: 0 }, { name: "II", gain_uv: 5, baseline: 0 }], patient: "P-1", frame_ms: 100,
    all_leads: ["V1", "II"], ...fields,
  };
  return message;
}

/** A page that knows stream a, with 25 samples of it. */
function page() {
  const feeds = new Feeds();
  feeds.hear({ type: "roster", streams: [entry({})] }, 0);
  feeds.hear(info(), 0);
  feeds.write(samples(0), 1);
  const feed = feeds.get("a");
  assert.ok(feed);
  return { feeds, feed };
}

/** @param {number} first @param {boolean} late @param {number} alias */
function samples(first, late = false, alias = 7) {
  return { alias, first, leads: 2, count: 25, data: new Int16Array(50).fill(3), late };
}

/** @param {Partial<import("../../static/js/stream/messages.js").Stats>} fields */
function stats(fields) {
  const figures = { rtt_ms: 1, goodput_bps: 1, window_bytes: 1, in_flight_bytes: 0, queued: { high: 0 }, dropped: 0, expired: 0 };
  /** @type {import("../../static/js/stream/messages.js").Stats} */
  const message = { type: "stats", ...figures, condition: "good", rendition: "lossless", reason: "steady", ...fields };
  return message;
}

test("beds are in the order of ward and bed, numbers by their value", () => {
  const feeds = new Feeds();
  const beds = [["c", "B", "1"], ["b", "A", "10"], ["a", "A", "9"]];
  feeds.hear({ type: "roster", streams: beds.map(([stream, ward_name, bed]) => entry({ stream, ward_name, bed })) }, 0);
  assert.deepEqual(feeds.inOrder.map((feed) => feed.id), ["a", "b", "c"]);
  assert.deepEqual(feeds.wards, ["A", "B"]);
});

test("a bed keeps its samples when the roster is sent again", () => {
  const { feeds, feed } = page();
  feeds.hear({ type: "roster", streams: [entry({ online: false })] }, 2);
  assert.equal(feeds.get("a"), feed);
  assert.equal(feed.entry.online, false);
  assert.equal(feed.ring?.stop, 25);
});

test("a bed that leaves the roster is gone", () => {
  const { feeds } = page();
  feeds.hear({ type: "roster", streams: [] }, 2);
  assert.equal(feeds.get("a"), null);
});

test("the frames of an alias go to the stream that it names, of no other", () => {
  const { feeds, feed } = page();
  feeds.write(samples(25, false, 8), 1.1);
  assert.equal(feed.ring?.stop, 25);
  feeds.forgetConnection();
  feeds.write(samples(25), 1.2);
  assert.equal(feed.ring?.stop, 25);
});

test("the network's figures are those of one connection", () => {
  const { feeds } = page();
  feeds.hear(stats({ condition: "excellent" }), 1);
  assert.equal(feeds.stats?.condition, "excellent");
  feeds.forgetConnection();
  assert.equal(feeds.stats, null);
});

test("another alias of the same epoch continues the trace", () => {
  const { feeds, feed } = page();
  feeds.hear(info({ alias: 9 }), 1);
  feeds.write(samples(25, false, 9), 1.1);
  assert.deepEqual(feed.ring?.spans(), [[0, 50]]);
  assert.equal(feed.generation, 1);
});

/** Lead II alone, of every fifth sample. */
const OVERVIEW = /** @type {const} */ ({ alias: 9, rendition: "overview", factor: 5 });
const II = { name: "II", gain_uv: 10, baseline: 0 };

/** @param {number} first */
function overview(first) {
  return { alias: 9, first, leads: 1, count: 50, data: new Int16Array(50).fill(2), late: false };
}

test("a stream is sent as what its newest frame is, whatever was announced last", () => {
  const { feeds, feed } = page();
  feeds.hear(info({ ...OVERVIEW, leads: [II] }), 1);
  assert.equal(feed.rendition, "lossless");
  feeds.write(overview(25), 1.9);
  assert.equal(feed.rendition, "overview");
  assert.deepEqual(feed.unsent, ["V1"]);
  assert.deepEqual(feed.leads, ["V1", "II"]);
  feeds.write(samples(271), 2.1);
  assert.equal(feed.rendition, "lossless");
  assert.deepEqual(feed.unsent, []);
  feeds.write({ ...samples(25), late: true }, 2.2);
  feeds.write({ ...overview(25), late: true }, 2.2);
  assert.equal(feed.rendition, "lossless", "late samples are not of now");
});

test("a change of the rendition goes on in the same ring, and paints nothing anew", () => {
  const { feeds, feed } = page();
  feed.position = 20;
  feeds.hear(info({ ...OVERVIEW, leads: [II] }), 1);
  feeds.write(overview(25), 1.9);
  feed.position = 260;
  feeds.write(samples(271), 2.1);
  assert.deepEqual(feed.ring?.spans(), [[0, 296]]);
  assert.deepEqual([feed.generation, feed.revision], [1, 0]);
  assert.deepEqual([24, 25, 28, 30, 271].map((i) => feed.ring?.at(1, i)), [15, 20, 20, 20, 15]);
  assert.deepEqual([24, 25, 270, 271].map((i) => feed.ring?.at(0, i)), [15, NaN, NaN, 15]);
});

test("an overlap of two renditions paints nothing anew", () => {
  const { feeds, feed } = page();
  feed.position = 24;
  feeds.hear(info({ ...OVERVIEW, leads: [II] }), 1);
  feeds.write(overview(15), 1.9);
  assert.equal(feed.revision, 0);
  assert.deepEqual([24, 25].map((i) => feed.ring?.at(1, i)), [15, 20]);
  assert.equal(feed.playout?.newest, 261);
});

test("an alias of an earlier epoch has no place in this one, until it is given anew", () => {
  const { feeds, feed } = page();
  feeds.hear(info({ alias: 8, epoch: 2 }), 1);
  feeds.write(samples(25), 1.1);
  assert.equal(feed.ring?.stop, 0);
  feeds.hear(info({ epoch: 2, rendition: "display" }), 1.2);
  feeds.write(samples(25), 1.3);
  assert.equal(feed.ring?.stop, 50);
  assert.equal(feed.rendition, "display");
});

test("a new epoch is at once what its first message says", () => {
  const { feeds, feed } = page();
  feeds.hear(info({ ...OVERVIEW, leads: [II], epoch: 2 }), 1);
  assert.equal(feed.rendition, "overview");
});

/** A page whose stream is sent as numbers alone from second 2 on, with 12 of them. */
function numbers() {
  const { feeds, feed } = page();
  feeds.write(samples(25), 1.1);
  feeds.hear(info({ alias: 10, rendition: "vitals" }), 2);
  for (let second = 2; second < 14; second++) {
    feeds.hear({ type: "vitals", stream: "a", epoch: 1, sample: 50 + 250 * (second - 1), hr: 72, hr_source: "II" }, second + 0.2);
  }
  return { feeds, feed };
}

test("numbers alone keep a bed live, and its heart rate", () => {
  const { feed } = numbers();
  assert.equal(feed.numbersOnly, true);
  assert.deepEqual(feed.unsent, []);
  assert.equal(feed.freshness(13.9), "live");
  assert.deepEqual(feed.heartRate(13.9), { hr: 72, source: "II" });
  assert.ok(feed.shownAge(13.3) < 0.4, `age ${feed.shownAge(13.3)}`);
});

test("the age of numbers is their own, not the delay of the trace before them", () => {
  const { feeds, feed } = page();
  feeds.hear(info({ ...OVERVIEW, leads: [II] }), 1);
  for (let k = 0; k < 3; k++) feeds.write(overview(25 + 250 * k), 2 + k);
  feed.advance(4);
  assert.ok(feed.shownAge(4) > 1);
  feeds.hear(info({ alias: 10, rendition: "vitals" }), 4.5);
  feed.setVitals({ epoch: 1, sample: 1025, hr: 72, hr_source: "II" }, 5);
  assert.ok(feed.shownAge(5) < 0.1, `age ${feed.shownAge(5)}`);
});

test("numbers that stop are late, stale and lost like samples, and no rate is held", () => {
  const { feed } = numbers();
  assert.deepEqual([14.5, 17, 24].map((now) => feed.freshness(now)), ["late", "stale", "lost"]);
  assert.equal(feed.heartRate(17).hr, null);
});

test("what the beats form is known as long as their rate is", () => {
  const { feeds, feed } = numbers();
  const vitals = { type: "vitals", stream: "a", epoch: 1, sample: 50 + 250 * 13, hr: 72, hr_source: "II" };
  feeds.hear(/** @type {any} */ ({ ...vitals, rhythm: "bigeminy", pvc_per_min: 30 }), 13.2);
  assert.deepEqual(feed.rhythm(13.9), { name: "bigeminy", pvcPerMin: 30 });
  assert.deepEqual(feed.rhythm(24), { name: "", pvcPerMin: 0 });
  feeds.hear(/** @type {any} */ (vitals), 13.3);
  assert.deepEqual(feed.rhythm(13.9), { name: "", pvcPerMin: 0 });
});

test("numbers that come seconds late are told to be so", () => {
  const { feeds, feed } = numbers();
  feeds.hear({ type: "vitals", stream: "a", epoch: 1, sample: 50 + 250 * 13, hr: 72, hr_source: "II" }, 18);
  assert.equal(feed.freshness(18), "stale");
});

test("numbers beside a trace do not make it look fresh", () => {
  const { feed } = page();
  feed.setVitals({ epoch: 1, sample: 2000, hr: 70, hr_source: "II" }, 8);
  assert.equal(feed.freshness(8), "stale");
  assert.equal(feed.heartRate(8).hr, null);
});

test("a page that is opened on numbers alone shows them", () => {
  const feeds = new Feeds();
  feeds.hear({ type: "roster", streams: [entry({})] }, 0);
  feeds.hear(info({ rendition: "vitals" }), 0);
  feeds.hear({ type: "vitals", stream: "a", epoch: 1, sample: 5000, hr: 72, hr_source: "II" }, 1);
  const feed = feeds.get("a");
  assert.equal(feed?.freshness(1.5), "live");
  assert.equal(feed?.heartRate(1.5).hr, 72);
  feed?.advance(1.5);
  assert.equal(feed?.position, 0);
});

test("the trace that comes back after numbers is shown after a gap, under an alias of before", () => {
  const { feeds, feed } = numbers();
  feeds.write(samples(3300), 14.1);
  assert.equal(feed.rendition, "lossless");
  assert.deepEqual(feed.ring?.spans(), [[0, 50], [3300, 3325]]);
  feed.advance(14.2);
  assert.ok(feed.position > 3200, `position ${feed.position}`);
});

test("samples behind the announcement of numbers end it, those that fill a hole do not", () => {
  const { feeds, feed } = page();
  feeds.hear(info({ alias: 10, rendition: "vitals" }), 1.1);
  feeds.write({ ...samples(0), late: true }, 1.2);
  assert.equal(feed.rendition, "vitals");
  feeds.write(samples(25), 1.3);
  assert.equal(feed.rendition, "lossless");
});

test("the reason of the last change is kept while nothing changes, on one connection", () => {
  const { feeds } = page();
  for (const reason of ["queueing", "steady", "quiet"]) feeds.hear(stats({ reason }), 1);
  assert.equal(feeds.reason, "queueing");
  feeds.forgetConnection();
  assert.equal(feeds.reason, null);
});

test("a new epoch starts with nothing of the last one", () => {
  const { feeds, feed } = page();
  feed.setVitals({ epoch: 1, sample: 25, hr: 70, hr_source: "II" }, 1);
  feeds.hear(info({ alias: 9, epoch: 2 }), 1);
  assert.equal(feed.ring?.stop, 0);
  assert.equal(feed.generation, 2);
  assert.equal(feed.heartRate(1).hr, null);
});

test("late samples fill the hole that live ones left, and say so to the canvas", () => {
  const { feeds, feed } = page();
  feeds.write(samples(50), 1.2);
  assert.deepEqual(feed.ring?.spans(), [[0, 25], [50, 75]]);
  feed.position = 75;
  feeds.write(samples(25, true), 1.3);
  assert.deepEqual(feed.ring?.spans(), [[0, 75]]);
  assert.equal(feed.revision, 1);
});

test("frames whose leads are not those announced are left out", () => {
  const { feeds, feed } = page();
  feeds.write({ ...samples(25), leads: 1 }, 1.1);
  assert.equal(feed.ring?.stop, 25);
});

test("a heart rate is shown while fresh, and unknown once its data is stale", () => {
  const { feed } = page();
  feed.setVitals({ epoch: 1, sample: 25, hr: 71.6, hr_source: "II" }, 1);
  assert.deepEqual(feed.heartRate(1.5), { hr: 71.6, source: "II" });
  assert.equal(feed.heartRate(4.2).hr, null);
});

test("a heart rate that is not sent again is not held, though samples come", () => {
  const { feeds, feed } = page();
  feed.setVitals({ epoch: 1, sample: 25, hr: 70, hr_source: "II" }, 1);
  for (let k = 1; k < 80; k++) feeds.write(samples(25 * k), 1 + k / 10);
  assert.equal(feed.freshness(8.9), "live");
  assert.equal(feed.heartRate(8.9).hr, null);
});

test("vitals and quality of another epoch are not this one's", () => {
  const { feed } = page();
  feed.setVitals({ epoch: 0, sample: 25, hr: 70, hr_source: "II" }, 1);
  feed.setQuality({ epoch: 0, sample: 0, leads_off: ["II"], rate_hz: null }, 1);
  assert.equal(feed.heartRate(1).hr, null);
  assert.equal(feed.leadsOff.size, 0);
});

test("a lead is off from the sample where it fell off until it is back", () => {
  const { feed } = page();
  feed.setQuality({ epoch: 1, sample: 100, leads_off: ["II"], rate_hz: null }, 2);
  assert.deepEqual(feed.offAt("II", 50, 1000), { off: false, end: 100 });
  assert.deepEqual(feed.offAt("II", 100, 1000), { off: true, end: 1000 });
  feed.setQuality({ epoch: 1, sample: 300, leads_off: [], rate_hz: null }, 3);
  assert.deepEqual(feed.offAt("II", 150, 1000), { off: true, end: 300 });
  assert.deepEqual(feed.offAt("II", 300, 1000), { off: false, end: 1000 });
  assert.deepEqual(feed.offAt("V1", 150, 1000), { off: false, end: 1000 });
});

test("each lead is off since its own second", () => {
  const { feed } = page();
  feed.setQuality({ epoch: 1, sample: 100, leads_off: ["II"], rate_hz: null }, 2);
  feed.setQuality({ epoch: 1, sample: 200, leads_off: ["II", "V1"], rate_hz: null }, 3);
  assert.deepEqual([...feed.leadsOff], [["II", 2], ["V1", 3]]);
  feed.setQuality({ epoch: 1, sample: 300, leads_off: ["V1"], rate_hz: null }, 4);
  assert.deepEqual([...feed.leadsOff], [["V1", 3]]);
});

test("one lead off in place of another is drawn anew", () => {
  const { feed } = page();
  feed.setQuality({ epoch: 1, sample: 100, leads_off: ["II"], rate_hz: null }, 2);
  const { revision } = feed;
  feed.setQuality({ epoch: 1, sample: 200, leads_off: ["V1"], rate_hz: null }, 3);
  assert.ok(feed.revision > revision);
});

test("a tile shows lead II where there is one, else the first", () => {
  const { feeds, feed } = page();
  assert.equal(feed.shownLead, 1);
  feeds.hear(info({ epoch: 2, leads: [{ name: "MLI", gain_uv: 5, baseline: 0 }], all_leads: ["MLI", "V5"] }), 1);
  assert.equal(feed.shownLead, 0);
});

test("a frozen feed keeps what was there, and nothing that comes", () => {
  const { feeds, feed } = page();
  feed.setQuality({ epoch: 1, sample: 10, leads_off: ["V1"], rate_hz: null }, 1);
  feed.setVitals({ epoch: 1, sample: 25, hr: 60, hr_source: "II", beats: [[12, "N"]] }, 1);
  const frozen = feed.frozen();
  const [first] = frozen.ring?.spans() ?? [];
  feeds.write(samples(25), 1.1);
  feed.setQuality({ epoch: 1, sample: 30, leads_off: [], rate_hz: null }, 1.2);
  feed.setVitals({ epoch: 1, sample: 50, hr: 60, hr_source: "II", beats: [[12, "N"], [40, "V"]] }, 1.2);
  assert.deepEqual([frozen.ring?.stop, feed.ring?.stop], [25, 50]);
  assert.deepEqual([first, frozen.ring?.spans()], [[0, 25], [[0, 25]]]);
  assert.equal(frozen.ring?.at(1, 7), feed.ring?.at(1, 7));
  assert.deepEqual([frozen.onSince("V1"), feed.onSince("V1")], [Infinity, 30]);
  assert.deepEqual(frozen.offAt("V1", 12, 25), { off: true, end: 25 });
  assert.deepEqual([frozen.beats.count, feed.beats.count], [1, 2]);
  assert.equal(frozen.playout?.timeOf(250), 1, "its time is that of the samples");
});

test("samples that came thinned or rounded are known up to where", () => {
  const { feeds, feed } = page();
  assert.equal(feed.coarseStop, 0);
  feeds.hear(info({ alias: 8, rendition: "display" }), 1);
  feeds.write({ ...samples(25), alias: 8 }, 1.1);
  assert.equal(feed.coarseStop, 50);
  feeds.write(samples(50), 1.2);
  assert.deepEqual([feed.coarseStop, feed.ring?.stop], [50, 75]);
});

test("the watchdog's limits: 1 s late, 3 s stale, 10 s lost", () => {
  assert.deepEqual([0, 1, 1.01, 3, 3.01, 10, 10.01].map((age) => freshness(age, 99)), [
    "live", "live", "late", "late", "stale", "stale", "lost",
  ]);
  assert.equal(freshness(Infinity, 2), "waiting");
  assert.equal(freshness(Infinity, 10.1), "lost");
});

test("data that never came is waited for from when it was first asked for", () => {
  const feeds = new Feeds();
  feeds.hear({ type: "roster", streams: [entry({})] }, 0);
  const feed = feeds.get("a");
  assert.equal(feed?.freshness(500), "waiting");
  feed?.ask(500);
  assert.equal(feed?.freshness(509), "waiting");
  feed?.ask(509);
  assert.equal(feed?.freshness(511), "lost");
});

test("ages are written as one reads them", () => {
  assert.deepEqual([0.04, 0.25, 9.94, 12.9, 65, 8040].map(ageText), ["0.0 s", "0.3 s", "9.9 s", "12 s", "1:05", "2 h 14 min"]);
  assert.equal(ageText(Infinity), "--");
  assert.equal(durationText(3599), "59:59");
});

test("renditions have as many bars as quality", () => {
  assert.deepEqual(["overview", "display", "diagnostic", "lossless", "vitals", undefined].map(levelOf), [1, 2, 3, 4, 0, 0]);
});

test("25 mm/s and 10 mm/mV at 4 px/mm are 100 px a second and 40 px a millivolt", () => {
  const scale = scaleOf({ pxPerMm: 4, speed: 25, gain: 10 }, 1);
  assert.equal(scale.second, 100);
  assert.ok(Math.abs(scale.microvolt * 1000 - 40) < 1e-9);
  assert.equal(scale.erase, 16);
  const dense = scaleOf({ pxPerMm: 4, speed: 25, gain: 10 }, 2);
  assert.equal(dense.second, 200);
  assert.equal(dense.erase, 32);
});

test("speed and gain move by steps and stop at the ends", () => {
  assert.equal(step(SPEEDS, 25, 1), 50);
  assert.equal(step(SPEEDS, 50, 1), 50);
  assert.equal(step(GAINS, 10, -1), 5);
  assert.equal(step(GAINS, 2.5, -1), 2.5);
});

test("the trend keeps an hour, and holes stay holes", () => {
  const trend = new HeartRateTrend();
  trend.set(10, 60);
  trend.set(13, 62);
  assert.deepEqual([9, 10, 11, 12, 13, 14].map((second) => trend.at(second)), [NaN, 60, NaN, NaN, 62, NaN]);
  trend.set(4000, 70);
  assert.equal(trend.at(12), NaN);
  assert.equal(trend.at(500), NaN);
  assert.equal(trend.first, 401);
});

test("a rate that comes a moment too late for its second leaves no hole in the trend", () => {
  const trend = new HeartRateTrend();
  for (const at of [1.99, 2.98, 4.01, 5]) trend.set(Math.floor(at), 60);
  assert.deepEqual([0, 1, 2, 3, 4, 5].map((second) => trend.at(second)), [NaN, 60, 60, 60, 60, 60]);
  trend.set(6, null);
  trend.set(8, 60);
  assert.deepEqual([6, 7, 8].map((second) => trend.at(second)), [NaN, NaN, 60]);
});

test("the trend's line breaks where the rate was unknown", () => {
  const trend = new HeartRateTrend();
  for (const second of [0, 1, 2, 5, 6]) trend.set(second, 100);
  assert.equal(linePath(trend, 6, 7, 50, 150), "M0.0 50.0L166.7 50.0L333.3 50.0M833.3 50.0L1000.0 50.0");
});

test("the trend's right edge is now, also when no rate came for a while", () => {
  const trend = new HeartRateTrend();
  for (const second of [0, 1, 2]) trend.set(second, 100);
  assert.equal(linePath(trend, 10, 11, 50, 150), "M0.0 50.0L100.0 50.0L200.0 50.0");
});

/** A page that lacks the samples 25 to 100 of its stream, and was told so. */
function pageWithGap() {
  const { feeds, feed } = page();
  feeds.write(samples(100), 1.5);
  feeds.hear({ type: "gap", stream: "a", epoch: 1, from: 25, to: 100, reason: "expired", recoverable: true }, 1.5);
  return { feeds, feed };
}

test("a page says what it has, and what it lacks while the network has room", () => {
  assert.deepEqual(page().feeds.resumes(["a", "nobody"]), [{ stream: "a", epoch: 1, next_sample: 25, newest_s: 64 }]);
  const { feeds, feed } = pageWithGap();
  feeds.hear({ type: "gap", stream: "a", epoch: 0, from: 25, to: 100, reason: "away", recoverable: false }, 1.5);
  assert.equal(feed.gaps.reasonAt(50), "expired");
  assert.deepEqual(feeds.asks(["a"], 9), []);
  feeds.hear(stats({}), 9);
  assert.deepEqual(feeds.asks(["a"], 9), [{ stream: "a", epoch: 1, next_sample: 25, to: 100 }]);
  assert.deepEqual(feeds.asks(["a"], 10), []);
});

test("a network has room that is good, or carries every sample while nothing waits", () => {
  /** @param {Parameters<typeof stats>[0]} fields */
  const asks = (fields) => {
    const { feeds } = pageWithGap();
    feeds.hear(stats(fields), 9);
    return feeds.asks(["a"], 9).length;
  };
  assert.equal(asks({ condition: "excellent", rendition: "display", queued: { high: 1 } }), 1);
  assert.equal(asks({ condition: "critical" }), 1);
  assert.equal(asks({ condition: "fair", rendition: "display" }), 0);
  assert.equal(asks({ condition: "critical", queued: { high: 0, low: 1 } }), 0);
});

test("samples of an epoch that has passed have no place, and do not end the present one", () => {
  const { feeds, feed } = page();
  feeds.hear(info({ alias: 9, epoch: 2 }), 2);
  feeds.write({ ...samples(0), alias: 9 }, 2);
  feeds.hear(info({ alias: 12, epoch: 1 }), 2.1);
  feeds.write({ ...samples(25, true), alias: 12 }, 2.2);
  assert.equal(feed.info?.epoch, 2);
  assert.deepEqual(feed.ring?.spans(), [[0, 25]]);
});
