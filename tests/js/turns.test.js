// @ts-check
/** In which frame each trace is painted, where one has not the time for all. */

import assert from "node:assert/strict";
import test from "node:test";

import { Turns } from "../../static/js/ui/turns.js";

/** A page, and what each of its frames paints. */
class Frames {
  turns = new Turns();

  /**
   * @param {string} all a letter for each trace
   * @param {{anew?: boolean, most?: number}} [how] `most`: for how many there is time
   */
  paint(all, { anew = true, most = Infinity } = {}) {
    let painted = "";
    this.turns.take([...all], { anew, isOver: () => painted.length >= most }, (one) => (painted += one));
    return painted;
  }
}

test("with time for all, all are painted whenever they are due, and none in between", () => {
  const frames = new Frames();
  assert.equal(frames.paint("abcd"), "abcd");
  assert.equal(frames.turns.areLeft, false);
  assert.equal(frames.paint("abcd", { anew: false }), "");
  assert.equal(frames.paint("abcd"), "abcd");
});

test("what one frame has not the time for is painted in the next, and nothing else", () => {
  const frames = new Frames();
  assert.equal(frames.paint("abcde", { most: 2 }), "ab");
  assert.equal(frames.turns.areLeft, true);
  assert.equal(frames.paint("abcde", { anew: false, most: 2 }), "cd");
  assert.equal(frames.paint("abcde", { anew: false, most: 2 }), "e");
  assert.equal(frames.turns.areLeft, false);
});

test("where there is never time for all, each comes as often as the others", () => {
  const frames = new Frames();
  const painted = Array.from({ length: 5 }, () => frames.paint("abcde", { most: 3 })).join("");
  assert.equal(painted, "abcdeabcdeabcde");
});

test("at least one is painted, however little time there is", () => {
  const frames = new Frames();
  assert.equal(frames.paint("abc", { most: 0 }), "a");
  assert.equal(frames.paint("abc", { most: 0 }), "b");
});

test("those that leave the page, or come to it, are no matter", () => {
  const frames = new Frames();
  assert.equal(frames.paint("abcdef", { most: 5 }), "abcde");
  assert.equal(frames.paint("ab", { anew: false }), "b");
  assert.equal(frames.paint(""), "");
  assert.equal(frames.paint("", { anew: false }), "");
  assert.equal(frames.turns.areLeft, false);
  assert.equal(frames.paint("abc").length, 3);
});
