// @ts-check
/** What alarms sound like, and when they sound. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { BURSTS, Rhythm } from "../../static/js/ui/pulses.js";
import { Speaker } from "../../static/js/ui/speaker.js";

test("each severity has its own number of pulses, pitch and pause, within what is heard and told apart", () => {
  assert.deepEqual(Object.entries(BURSTS).map(([name, { pulses, everyS }]) => [name, pulses.length, everyS]), [
    ["high", 10, 5], ["medium", 3, 10], ["low", 2, 20], ["technical", 1, 20],
  ]);
  const pitches = Object.values(BURSTS).map(({ pulses }) => pulses[0].hz);
  assert.equal(new Set(pitches).size, 4);
  for (const { pulses, everyS } of Object.values(BURSTS)) {
    for (const { hz } of pulses) assert.ok(hz >= 150 && hz <= 1000);
    for (let at = 1; at < pulses.length; at++) assert.ok(pulses[at].at > pulses[at - 1].at + pulses[at - 1].seconds);
    const last = pulses[pulses.length - 1];
    assert.ok(last.at + last.seconds < everyS);
  }
});

test("a burst begins at once and comes back after its time", () => {
  const rhythm = new Rhythm();
  assert.equal(rhythm.next("medium", 100), BURSTS.medium);
  assert.equal(rhythm.next("medium", 109.9), null);
  assert.equal(rhythm.next("medium", 110), BURSTS.medium);
});

test("a graver alarm does not wait, and silence ends what sounds", () => {
  const rhythm = new Rhythm();
  assert.equal(rhythm.next(null, 100), null);
  assert.equal(rhythm.next("technical", 100), BURSTS.technical);
  assert.equal(rhythm.next("high", 100.05), BURSTS.high);
  assert.equal(rhythm.next(null, 101), "stop");
  assert.equal(rhythm.next(null, 101.05), null);
  assert.equal(rhythm.next("high", 101.1), BURSTS.high);
});

/** @param {object} fields */
const context = (fields) =>
  /** @type {any} */ ({ state: "running", currentTime: 0, createPeriodicWave: () => ({}), addEventListener: () => {}, ...fields });

test("a browser that waits for a gesture blocks the sound until it has been let", () => {
  let resumed = 0;
  const made = context({ state: "suspended", resume: async () => void resumed++ });
  const speaker = new Speaker(() => made);
  assert.equal(speaker.look(1), "blocked");
  speaker.unlock();
  assert.equal(resumed, 1);
  made.state = "running";
  speaker.unlock();
  assert.equal(resumed, 1);
  assert.equal(speaker.look(1.1), "on");
});

test("a clock of the sound that stands still means that there is no device", () => {
  const made = context({});
  const speaker = new Speaker(() => made);
  assert.equal(speaker.look(1), "on");
  assert.equal(speaker.look(2.9), "on");
  assert.equal(speaker.look(3.1), "none");
  made.currentTime = 0.5;
  assert.equal(speaker.look(3.2), "on");
});

test("a browser without sound says so", () => {
  const none = new Speaker(() => {
    throw new Error("no AudioContext");
  });
  assert.equal(none.look(1), "none");
  none.unlock();
  none.play(BURSTS.high);
});
