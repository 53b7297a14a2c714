// @ts-check
/** What the animation loop paints in a frame: all that is due, for as long as one frame may take. */

import assert from "node:assert/strict";
import test from "node:test";

import { Loop } from "../../static/js/ui/loop.js";

const FRAME_S = 1 / 60;

/** A page with a clock that goes on by what is painted, and no browser behind it. */
class Stage {
  now = 0;
  /** @type {string[]} */ painted = [];
  /** @type {FrameRequestCallback | null} */ #callback = null;

  /**
   * @param {string} names a letter for each trace
   * @param {number} costS of painting one of them
   */
  constructor(names, costS) {
    Object.assign(globalThis, {
      requestAnimationFrame: (/** @type {FrameRequestCallback} */ callback) => (this.#callback = callback),
      MessageChannel: class {
        port1 = { onmessage: (/** @type {{data: unknown}} */ _) => {} };
        port2 = { postMessage: (/** @type {unknown} */ data) => this.port1.onmessage({ data }) };
      },
    });
    const sweeps = [...names].map((name) => ({
      pixels: 1,
      feed: { advance() {} },
      frame: () => {
        this.painted.push(name);
        this.now += costS;
        return true;
      },
    }));
    this.loop = new Loop(() => /** @type {any} */ (sweeps), () => this.now);
    this.loop.start();
  }

  /** The next frame, and what is painted in it. */
  frame() {
    this.now = (Math.floor(this.now / FRAME_S) + 1) * FRAME_S;
    this.painted = [];
    this.#callback?.(1000 * this.now);
    return this.painted.join("");
  }
}

test("traces that are painted on take one frame together", () => {
  const stage = new Stage("abcdefgh", 0.0001);
  assert.equal(stage.frame(), "abcdefgh");
  assert.equal(stage.frame(), "abcdefgh");
  assert.equal(stage.loop.paintings, 16);
});

test("what takes too long for one frame goes on in the next, whether all are due again or not", () => {
  const stage = new Stage("abcdefgh", 0.0035);
  const frames = Array.from({ length: 12 }, () => stage.frame());
  assert.deepEqual([...new Set(frames)], ["ab", "cd", "ef", "gh"], "6 ms of a frame, and what was begun");
  assert.equal(frames.join(""), "abcdefgh".repeat(3));
});
