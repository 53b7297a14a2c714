// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { Playout } from "../../static/js/ecg/playout.js";

const RATE = 250;
const CHUNK = 25;

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

/** @param {{now: number, position: number}[]} frames */
function speeds(frames) {
  return frames.slice(1).map((frame, at) => (frame.position - frames[at].position) * 60 / RATE);
}

test("even chunks are played at the speed of the signal, without a halt", () => {
  const frames = play(new Playout(RATE), { chunks: 200 });
  for (const speed of speeds(frames.slice(60))) assert.ok(speed > 0.94 && speed < 1.06, `speed ${speed}`);
});

test("the trace is one chunk and a few milliseconds behind what has arrived", () => {
  const playout = new Playout(RATE);
  play(playout, { chunks: 200 });
  assert.ok(playout.delay > 0.1 && playout.delay < 0.115, `delay ${playout.delay}`);
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
