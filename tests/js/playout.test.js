// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { Playout } from "../../static/js/ecg/playout.js";

const RATE = 250;
const CHUNK = 25;
const FRAME_S = 1 / 60;

/**
 * Feed chunks of 100 ms that arrive by `delayOf(k)` seconds after their last sample was taken, and look at the
 * position at 60 frames a second.
 * @param {Playout} playout
 * @param {{chunks: number, delay?: (k: number) => number, rateHz?: number, from?: number, start?: number}} plan
 */
function play(playout, { chunks, delay = () => 0.02, rateHz = RATE, from = 0, start = 100 }) {
  const arrivals = [];
  for (let k = 0; k < chunks; k++) {
    const stop = (k + 1) * CHUNK;
    arrivals.push({ first: from + k * CHUNK, stop: from + stop, at: start + stop / rateHz + delay(k) });
  }
  arrivals.sort((a, b) => a.at - b.at);
  const frames = [];
  let now = arrivals[0].at;
  let next = 0;
  const end = arrivals[arrivals.length - 1].at;
  while (now <= end) {
    while (next < arrivals.length && arrivals[next].at <= now) {
      const { first, stop, at } = arrivals[next++];
      playout.arrive(first, stop, at);
    }
    frames.push({ now, position: playout.advance(now), newest: playout.newest, age: playout.age(now) });
    now += 1 / 60;
  }
  return frames;
}

/**
 * Feed chunks of the given lengths one after the other, each `late(k)` seconds after its last sample was taken.
 * @param {Playout} playout
 * @param {number[]} lengths seconds
 * @param {(k: number) => number} [late]
 */
function playLengths(playout, lengths, late = () => 0.02) {
  /** @type {{now: number, position: number, newest: number, age: number}[]} */
  const frames = [];
  let first = 0;
  let now = 100;
  lengths.forEach((length, k) => {
    const stop = first + length * RATE;
    const at = 100 + stop / RATE + late(k);
    for (; now < at; now += 1 / 60) {
      frames.push({ now, position: playout.advance(now), newest: playout.newest, age: playout.age(now) });
    }
    playout.arrive(first, stop, at);
    first = stop;
  });
  return frames;
}

/** So many chunks of a length. @param {number} count @param {number} length */
const of = (count, length) => /** @type {number[]} */ (new Array(count).fill(length));

/** Seconds during which the trace stood. @param {{now: number, position: number}[]} frames */
function halted(frames) {
  return speeds(frames).filter((speed) => speed < 0.5).length / 60;
}

/** @param {{now: number, position: number}[]} frames */
function speeds(frames) {
  return frames.slice(1).map((frame, at) => (frame.position - frames[at].position) * 60 / RATE);
}

test("even chunks are played at the speed of the signal, without a halt", () => {
  const frames = play(new Playout(RATE), { chunks: 200 });
  for (const speed of speeds(frames.slice(60))) assert.ok(speed > 0.94 && speed < 1.06, `speed ${speed}`);
});

test("the trace is one chunk behind what has arrived, less what the last painting comes before the next", () => {
  const playout = new Playout(RATE);
  play(playout, { chunks: 200 });
  assert.ok(playout.delay > 0.1 - FRAME_S && playout.delay < 0.101, `delay ${playout.delay}`);
});

test("whatever the phase of paintings and arrivals, a chunk is all there in the last painting before the next", () => {
  for (const phase of [0.001, 0.006, 0.011, 0.016]) {
    const playout = new Playout(RATE);
    let painted = 0;
    for (let k = 0; k < 200; k++) {
      playout.arrive(k * CHUNK, (k + 1) * CHUNK, 100 + k / 10);
      for (let n = 0; n < 6; n++) painted = playout.advance(100 + k / 10 + phase + n * FRAME_S);
      if (k > 100) assert.ok(painted > (k + 1) * CHUNK - 0.01, `${painted} of ${(k + 1) * CHUNK} at ${phase}`);
    }
    assert.ok(Math.abs(playout.delay - (phase + 5 * FRAME_S)) < 0.001, `delay ${playout.delay} at ${phase}`);
  }
});

test("arrivals while nothing is painted ask for the whole of a chunk", () => {
  const playout = new Playout(RATE);
  for (let k = 0; k < 100; k++) {
    playout.arrive(k * CHUNK, (k + 1) * CHUNK, 100 + k / 10);
    playout.advance(100 + k / 10);
  }
  assert.ok(Math.abs(playout.delay - 0.1) < 0.001, `delay ${playout.delay}`);
});

test("jitter of 40 ms makes the delay longer, and the trace runs on", () => {
  const playout = new Playout(RATE);
  const frames = play(playout, { chunks: 300, delay: (k) => 0.02 + ((k * 37) % 40) / 1000 });
  assert.ok(playout.delay > 0.12 && playout.delay < 0.16, `delay ${playout.delay}`);
  for (const speed of speeds(frames.slice(120))) assert.ok(speed > 0.9 && speed < 1.1, `speed ${speed}`);
});

test("the position never goes back, and never beyond what has arrived", () => {
  const frames = play(new Playout(RATE), { chunks: 300, delay: (k) => (k % 50 < 5 ? 0.6 : 0.02) });
  frames.forEach((frame, at) => {
    assert.ok(frame.position <= frame.newest);
    if (at > 0) assert.ok(frame.position >= frames[at - 1].position);
  });
});

test("one chunk that comes half a second late does not lengthen the delay for good", () => {
  const playout = new Playout(RATE);
  play(playout, { chunks: 200, delay: (k) => (k === 60 ? 0.5 : 0.02) });
  assert.ok(playout.delay < 0.14, `delay ${playout.delay}`);
});

test("age is zero when a prompt chunk arrives, and grows while none does", () => {
  const playout = new Playout(RATE);
  const frames = play(playout, { chunks: 100 });
  const ages = frames.slice(60).map((frame) => frame.age);
  assert.ok(Math.min(...ages) < 0.02 && Math.max(...ages) < 0.125);
  assert.ok(Math.abs(playout.age(100 + 10 + 0.02 + 5) - 5) < 0.15);
});

test("data that comes steadily two seconds late after prompt data reads two seconds old", () => {
  const playout = new Playout(RATE);
  const frames = play(playout, { chunks: 400, delay: (k) => (k < 100 ? 0.02 : 0.02 + Math.min(2, (k - 100) * 0.02)) });
  const age = frames[frames.length - 1].age;
  assert.ok(age > 1.9 && age < 2.1, `age ${age}`);
});

test("a first chunk that was late does not make the others look early for long", () => {
  const playout = new Playout(RATE);
  play(playout, { chunks: 100, delay: (k) => (k === 0 ? 1.5 : 0.02) });
  const now = 100 + 10 + 0.02;
  assert.ok(Math.abs(playout.timeOf(100 * CHUNK) - now) < 0.1);
});

test("a source that paused and goes on where it was is live again after two seconds", () => {
  const playout = new Playout(RATE);
  const before = play(playout, { chunks: 100 });
  const paused = before[before.length - 1].now + 14;
  const after = play(playout, { chunks: 60, from: 100 * CHUNK, start: paused });
  assert.ok(after[3].age > 10, "the pause is told first");
  assert.ok(after[after.length - 1].age < 0.1, `age ${after[after.length - 1].age}`);
  assert.ok(playout.delay < 0.2, `delay ${playout.delay}`);
  assert.equal(playout.breaks, 1);
  for (const speed of speeds(after.slice(-60))) assert.ok(speed > 0.9 && speed < 1.1, `speed ${speed}`);
});

test("a queue that drains after a silence is no new beginning", () => {
  const playout = new Playout(RATE);
  const frames = play(playout, {
    chunks: 300,
    // Chunks 100-149 wait until second 15.02, then come 20 ms apart until the queue is empty.
    delay: (k) => Math.max(0.02, k >= 100 ? 115.02 + (k - 100) * 0.02 - (100 + (k + 1) / 10) : 0),
  });
  assert.equal(playout.breaks, 0);
  assert.ok(frames[frames.length - 1].age < 0.1);
});

test("a rate that differs from the nominal is followed without drifting away", () => {
  const playout = new Playout(RATE);
  playout.measured(RATE * 1.004);
  const frames = play(playout, { chunks: 3000, rateHz: RATE * 1.004 });
  assert.equal(playout.breaks, 0);
  assert.ok(frames[frames.length - 1].age < 0.1);
  for (const speed of speeds(frames.slice(120))) assert.ok(speed > 0.9 && speed < 1.1, `speed ${speed}`);
});

test("a measured rate that cannot be is ignored", () => {
  const playout = new Playout(RATE);
  playout.measured(RATE * 20);
  assert.equal(playout.rateHz, RATE);
});

test("a replay at twenty times the speed is drawn at that speed, not by jumps", () => {
  const playout = new Playout(RATE);
  const frames = play(playout, { chunks: 3000, rateHz: RATE * 20, delay: () => 0.02 });
  const late = frames.slice(-120);
  for (const frame of late) assert.ok((frame.newest - frame.position) / RATE < 5, "far behind");
  const mean = (late[119].position - late[0].position) / (late[119].now - late[0].now) / RATE;
  assert.ok(mean > 18 && mean < 22, `speed ${mean}`);
  assert.ok(frames[frames.length - 1].age < 0.1);
  for (let at = 0; at < 60; at++) playout.advance(frames[frames.length - 1].now + at / 60);
  assert.equal(playout.advance(frames[frames.length - 1].now + 1), playout.newest, "the last sample is shown");
});

test("sweep times of neighbouring samples are one period apart", () => {
  const playout = new Playout(RATE);
  play(playout, { chunks: 50 });
  assert.ok(Math.abs(playout.timeOf(501) - playout.timeOf(500) - 1 / RATE) < 1e-4);
  assert.ok(Math.abs(playout.indexAt(playout.timeOf(777)) - 777) < 1e-6);
});

test("before any sample there is no age and no position", () => {
  const playout = new Playout(RATE);
  assert.equal(playout.age(5), Infinity);
  assert.equal(playout.advance(5), 0);
  assert.equal(playout.newest, -1);
});

test("a chunk that arrives twice changes nothing", () => {
  const playout = new Playout(RATE);
  play(playout, { chunks: 50 });
  const { delay, newest } = playout;
  playout.arrive(0, CHUNK, 200);
  assert.equal(playout.delay, delay);
  assert.equal(playout.newest, newest);
});

for (const length of [0.25, 0.5, 1]) {
  test(`chunks that get as long as ${length} s halt the trace once, while the first of them is waited for`, () => {
    const playout = new Playout(RATE);
    const frames = playLengths(playout, [...of(100, 0.1), ...of(30, length)]);
    const change = frames.findIndex(({ now }) => now > 110 + length + 0.05);
    assert.ok(halted(frames.slice(60, change)) < length, `${halted(frames.slice(60, change))} s at the change`);
    assert.equal(halted(frames.slice(change)), 0);
    assert.ok(playout.delay > length - FRAME_S && playout.delay < length + 0.03, `delay ${playout.delay}`);
  });

  test(`chunks that get short again after ${length} s halt nothing, and the delay fits them soon`, () => {
    const playout = new Playout(RATE);
    const frames = playLengths(playout, [...of(30, length), ...of(250, 0.1)]);
    const change = frames.findIndex(({ now }) => now > 100 + 30 * length);
    assert.equal(halted(frames.slice(change)), 0);
    const jumps = speeds(frames.slice(change)).filter((speed) => speed > 1.1).length;
    assert.ok(jumps <= 1, `${jumps} jumps`);
    assert.ok(playout.delay < 0.13, `delay ${playout.delay}`);
  });
}

test("one short chunk among long ones changes nothing", () => {
  const playout = new Playout(RATE);
  const frames = playLengths(playout, [...of(20, 1), 0.1, ...of(10, 1)]);
  assert.equal(halted(frames.slice(120)), 0);
  assert.ok(playout.delay > 1 - FRAME_S, `delay ${playout.delay}`);
});

test("long chunks with jitter are played without a halt once ten seconds of it are known", () => {
  const frames = playLengths(new Playout(RATE), of(60, 1), (k) => 0.02 + ((k * 7) % 10) / 25);
  assert.equal(halted(frames.slice(14 * 60)), 0);
});

test("after a queue has drained, long chunks are soon played with the delay that they need", () => {
  const playout = new Playout(RATE);
  playLengths(playout, of(30, 1), (k) => (k < 12 ? 0.8 : 0.02));
  assert.ok(playout.delay < 1.1, `delay ${playout.delay}`);
});

test("the age of long chunks is that of the newest sample, not that of the last arrival", () => {
  const frames = playLengths(new Playout(RATE), [...of(50, 0.1), ...of(20, 1)], (k) => (k < 55 ? 0.02 : 0.52));
  const ages = frames.slice(-300).map(({ age }) => age);
  assert.ok(Math.min(...ages) > 0.4 && Math.max(...ages) < 1.6, `${Math.min(...ages)} to ${Math.max(...ages)}`);
  assert.ok(Math.max(...ages) > 1.4);
});

test("a second between long chunks is no silence, whose end would make late samples look new", () => {
  const playout = new Playout(RATE);
  const frames = playLengths(playout, of(60, 1), (k) => (k < 10 ? 0.02 : 0.7 + (k % 2) * 0.25));
  assert.equal(playout.breaks, 0);
  const ages = frames.slice(-120).map(({ age }) => age);
  assert.ok(Math.min(...ages) > 0.6, `age ${Math.min(...ages)}`);
});

test("a replay that slows down to real time goes on at that speed", () => {
  const playout = new Playout(RATE);
  const fast = play(playout, { chunks: 1200, rateHz: RATE * 20 });
  const from = 1200 * CHUNK;
  const slow = play(playout, { chunks: 200, from, start: fast[fast.length - 1].now });
  for (const speed of speeds(slow.slice(-120))) assert.ok(speed > 0.9 && speed < 1.1, `speed ${speed}`);
  assert.ok(playout.delay > 0.1 - FRAME_S && playout.delay < 0.2, `delay ${playout.delay}`);
});

test("where only numbers come, they keep the line and the age, and move no trace", () => {
  const playout = new Playout(RATE);
  play(playout, { chunks: 100 });
  const stop = playout.newest;
  for (let second = 1; second <= 600; second++) {
    playout.hear(stop + second * RATE * 1.001, 110 + second + 0.02);
    playout.advance(110 + second + 0.02);
  }
  assert.ok(playout.age(710.02) < 0.1, `age ${playout.age(710.02)}`);
  assert.ok(Math.abs(playout.age(714.02) - 4) < 0.1);
  assert.equal(playout.newest, stop);
  assert.equal(playout.advance(714), stop);
});

test("a number that is told twice is no fresher", () => {
  const playout = new Playout(RATE);
  playout.hear(1000, 100);
  playout.hear(1000, 105);
  assert.ok(Math.abs(playout.age(105) - 5) < 1e-9);
});

test("a number that is told twice says nothing of how late chunks are", () => {
  const playout = new Playout(RATE);
  playout.hear(1000, 100);
  playout.hear(1000, 101.2);
  playout.arrive(1000, 1300, 101.22);
  assert.ok(playout.delay < 1.3, `delay ${playout.delay}`);
});

test("one chunk in twenty that comes late does not hold up the trace, two in twenty do", () => {
  const rare = new Playout(RATE);
  play(rare, { chunks: 400, delay: (k) => (k % 25 === 7 ? 0.1 : 0.02) });
  assert.ok(rare.delay < 0.12, `${rare.delay} s`);
  const frequent = new Playout(RATE);
  play(frequent, { chunks: 400, delay: (k) => (k % 10 === 7 ? 0.1 : 0.02) });
  assert.ok(frequent.delay > 0.18 - FRAME_S, `${frequent.delay} s`);
});
