// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateRawSync } from "node:zlib";

import { FrameKind, decodeBundle, frameText } from "../../static/js/stream/frames.js";
import { ProtocolError } from "../../static/js/stream/protocol-error.js";
import { fromHex, mutated, randomOf, toHex, vectors } from "./vectors.js";

const { valid, malformed, malformed_text: malformedText } = vectors("frames");

for (const { name, hex, frames, texts } of valid) {
  test(`reads ${name}`, () => {
    const decoded = decodeBundle(fromHex(hex));
    assert.deepEqual(
      decoded.map((frame) => ({ ...frame, payload: toHex(frame.payload) })),
      frames,
    );
    assert.deepEqual(decoded.filter((frame) => frame.kind === FrameKind.JSON).map(frameText), texts);
  });
}

for (const { name, hex } of malformed) {
  test(`refuses ${name}`, () => assert.throws(() => decodeBundle(fromHex(hex)), ProtocolError));
}

for (const { name, hex } of malformedText) {
  test(`refuses text: ${name}`, () => {
    const [frame] = decodeBundle(fromHex(hex));
    assert.throws(() => frameText(frame), ProtocolError);
  });
}

test("reads an ArrayBuffer, and a length of three bytes", () => {
  const size = 16384 + 5;
  const message = new Uint8Array(1 + 3 + size);
  message.set([1, (size & 0x7f) | 0x80, ((size >> 7) & 0x7f) | 0x80, size >> 14, 1, 0, 9]);
  const [frame] = decodeBundle(message.buffer);
  assert.equal(frame.alias, 9);
  assert.equal(frame.payload.length, size - 8);
});

test("refuses a frame that is too long though it is all there", () => {
  const message = new Uint8Array(1 + 3 + 65537);
  message.set([1, 0x81, 0x80, 0x04, 1]);
  assert.throws(() => decodeBundle(message), ProtocolError);
});

test("payloads are views, not copies", () => {
  const bytes = fromHex(valid[0].hex);
  assert.equal(decodeBundle(bytes)[0].payload.buffer, bytes.buffer);
});

test("only ProtocolError comes out of mutated bundles", () => {
  const random = randomOf(1);
  for (let round = 0; round < 5000; round++) {
    const { hex } = valid[round % valid.length];
    try {
      for (const frame of decodeBundle(mutated(fromHex(hex), random))) {
        if (frame.kind === FrameKind.JSON) frameText(frame);
      }
    } catch (error) {
      assert.ok(error instanceof ProtocolError, String(error));
    }
  }
});

test("a deflated text may have 1 MiB, whatever came before", () => {
  for (const size of [100, 2 ** 20, 2 ** 14, 2 ** 16, 200]) {
    const payload = deflateRawSync(Buffer.alloc(size, "x"));
    assert.equal(frameText({ kind: FrameKind.JSON, flags: 1, alias: 0, first: 0, payload }).length, size);
  }
});
