// @ts-check
/** When the page takes its machine to have slept; and what is old then. */

import assert from "node:assert/strict";
import test from "node:test";

import { Feed } from "../../static/js/stream/feed.js";
import { Watchdog } from "../../static/js/stream/watchdog.js";

function clocks() {
  const at = { monotonic: 10, wall: 1000 };
  return { at, watchdog: new Watchdog(() => at.monotonic, () => at.wall) };
}

test("clocks that go on together mean that nobody slept", () => {
  const { at, watchdog } = clocks();
  for (let step = 0; step < 5; step++) {
    at.monotonic += 20;
    at.wall += 20.4; // a clock that is slewed
    assert.equal(watchdog.look(), 0);
  }
});

test("what the wall's clock has gone ahead is told once", () => {
  const { at, watchdog } = clocks();
  at.wall += 60;
  assert.equal(watchdog.look(), 60);
  assert.equal(watchdog.look(), 0);
});

test("a wall's clock that is set back is nothing", () => {
  const { at, watchdog } = clocks();
  at.wall -= 3600;
  assert.equal(watchdog.look(), 0);
  at.wall += 60;
  assert.equal(watchdog.look(), 60);
});

test("after a sleep all that a feed has is old, until something fresh comes", () => {
  const entry = /** @type {any} */ ({ stream: "a", bed: "1", source: "SIM" });
  const feed = new Feed(entry);
  /** @type {any} */
  const info = { epoch: 1, rate_hz: 250, factor: 1, rendition: "lossless", leads: [{ name: "II", gain_uv: 5, baseline: 0 }], all_leads: ["II"], source: "SIM" };
  feed.ask(0);
  const format = feed.describe(info, 0);
  feed.write(format, 0, new Int16Array(25), 25, false, 0.1);
  feed.setVitals({ epoch: 1, sample: 20, hr: 70, hr_source: "II" }, 0.1);
  assert.equal(feed.freshness(0.2), "live");
  assert.equal(feed.heartRate(0.2).hr, 70);
  feed.sleep(60);
  assert.equal(feed.freshness(0.2), "lost");
  assert.equal(feed.heartRate(0.2).hr, null);
  feed.write(format, 25, new Int16Array(25), 25, true, 0.2);
  assert.equal(feed.freshness(0.2), "lost", "what is late is no sign of life");
  feed.write(format, 25, new Int16Array(25), 25, false, 0.2);
  assert.equal(feed.freshness(0.3), "live");
});
