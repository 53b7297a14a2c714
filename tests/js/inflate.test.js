// @ts-check
/** Inflate against zlib: the same bytes, and the same refusals. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";

import { inflateInto } from "../../static/js/stream/inflate.js";
import { ProtocolError } from "../../static/js/stream/protocol-error.js";
import { mutated, randomOf } from "./vectors.js";

const room = new Uint8Array(100_000);
const STRATEGIES = [
  constants.Z_DEFAULT_STRATEGY,
  constants.Z_FILTERED,
  constants.Z_HUFFMAN_ONLY,
  constants.Z_RLE,
  constants.Z_FIXED,
];

/**
 * @param {Uint8Array} body
 * @param {Uint8Array} [dictionary]
 */
function inflated(body, dictionary) {
  return new Uint8Array(room.subarray(0, inflateInto(body, room, dictionary)));
}

/**
 * What zlib makes of it; null when it refuses it, or when something follows its end.
 * @param {Uint8Array} body
 * @param {Uint8Array} [dictionary]
 */
function byZlib(body, dictionary) {
  try {
    const options = /** @type {any} */ ({ dictionary, info: true });
    const { buffer, engine } = /** @type {any} */ (inflateRawSync(body, options));
    return engine.bytesWritten === body.length ? new Uint8Array(buffer) : null;
  } catch {
    return null;
  }
}

/**
 * Bytes of which some repeat near and far, some are runs, and some are noise.
 * @param {number} size
 * @param {() => number} random
 */
function content(size, random) {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; ) {
    const length = Math.min(1 + Math.floor(random() * 300), size - at);
    const kind = random();
    if (kind < 0.3) bytes.fill(Math.floor(random() * 256), at, at + length);
    else if (kind < 0.7 && at > 0) bytes.copyWithin(at, Math.floor(random() * at), at);
    else for (let each = at; each < at + length; each++) bytes[each] = random() * random() * 256;
    at += length;
  }
  return bytes;
}

test("inflates what zlib deflates, at every level, strategy and window", () => {
  const random = randomOf(1);
  let rounds = 0;
  for (const strategy of STRATEGIES) {
    for (const level of [0, 1, 5, 6, 9]) {
      for (const size of [0, 1, 2, 300, 5000, 90_000]) {
        const plain = content(size, random);
        const windowBits = 9 + (rounds % 7);
        const memLevel = 1 + (rounds++ % 9);
        const body = deflateRawSync(plain, { level, strategy, windowBits, memLevel });
        assert.deepEqual(inflated(body), plain, `${strategy} ${level} ${size}`);
      }
    }
  }
});

test("reads out of a dictionary, and over its end into what was written", () => {
  const random = randomOf(2);
  const dictionary = content(3000, random);
  for (const from of [0, 1, 1500, 2900]) {
    const plain = new Uint8Array(4000);
    plain.set(dictionary.subarray(from));
    plain.copyWithin(3000, 0);
    const body = deflateRawSync(plain, { dictionary });
    assert.ok(body.length < deflateRawSync(plain).length);
    assert.deepEqual(inflated(body, dictionary), plain);
    assert.throws(() => inflated(body), ProtocolError);
    assert.throws(() => inflated(body, dictionary.subarray(from + 10)), ProtocolError);
  }
});

test("several blocks follow each other, and empty ones", () => {
  const part = deflateRawSync(Buffer.from("a trace, "), { finishFlush: constants.Z_SYNC_FLUSH });
  const whole = Buffer.concat([part, part, deflateRawSync(Buffer.from("and its end"))]);
  assert.equal(Buffer.from(inflated(whole)).toString(), "a trace, a trace, and its end");
});

test("what would overflow the room is cut off", () => {
  const plain = content(700, randomOf(3));
  for (const strategy of STRATEGIES) {
    for (const level of [0, 6]) {
      const body = deflateRawSync(plain, { level, strategy });
      for (let size = 0; size <= plain.length; size++) {
        const out = new Uint8Array(size + 1).fill(0xa5);
        assert.equal(inflateInto(body, out.subarray(0, size)), size);
        assert.deepEqual(out.subarray(0, size), plain.subarray(0, size));
        assert.equal(out[size], 0xa5);
      }
    }
  }
});

test("a stream that is cut short, or goes on, is refused", () => {
  const plain = content(500, randomOf(4));
  for (const strategy of STRATEGIES) {
    for (const level of [0, 6]) {
      const body = deflateRawSync(plain, { level, strategy });
      for (let size = 0; size < body.length; size++) assert.throws(() => inflated(body.subarray(0, size)), ProtocolError);
      assert.throws(() => inflated(Buffer.concat([body, Buffer.of(0)])), /behind its end/);
    }
  }
});

test("agrees with zlib about 3,000 damaged streams", () => {
  const random = randomOf(5);
  let accepted = 0;
  for (let round = 0; round < 3000; round++) {
    const plain = content(Math.floor(random() * 200), random);
    const dictionary = round % 3 === 0 ? content(300, random) : undefined;
    const strategy = STRATEGIES[round % STRATEGIES.length];
    const body = mutated(deflateRawSync(plain, { level: round % 10, strategy, dictionary }), random);
    const expected = byZlib(body, dictionary);
    if (expected === null) {
      assert.throws(() => inflated(body, dictionary), ProtocolError, Buffer.from(body).toString("hex"));
    } else if (expected.length < room.length) {
      accepted++;
      assert.deepEqual(inflated(body, dictionary), expected, Buffer.from(body).toString("hex"));
    }
  }
  assert.ok(accepted > 100, String(accepted));
});
