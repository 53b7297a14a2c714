// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { decode } from "../../static/js/ecg/codec.js";
import { ProtocolError } from "../../static/js/stream/protocol-error.js";
import { crc32, fromHex, mutated, randomOf, vectors } from "./vectors.js";

const { valid, malformed } = vectors("ecg1");

for (const { name, hex, leads, samples, bits, crc } of valid) {
  test(`decodes ${name}`, () => {
    const waveform = decode(fromHex(hex));
    assert.equal(waveform.leads, leads);
    assert.equal(waveform.samples, samples);
    assert.equal(waveform.data.BYTES_PER_ELEMENT * 8, bits);
    assert.equal(crc32(waveform.data), crc);
  });
}

for (const { name, hex } of malformed) {
  test(`refuses ${name}`, () => assert.throws(() => decode(fromHex(hex)), ProtocolError));
}

test("a waveform keeps its samples when the next is decoded", () => {
  const first = decode(fromHex(valid[1].hex));
  for (const { hex } of valid) decode(fromHex(hex));
  assert.equal(crc32(first.data), valid[1].crc);
});

test("what a payload says does not follow from those before it", () => {
  for (const { hex } of malformed) assert.throws(() => decode(fromHex(hex)), ProtocolError);
  for (const { hex, crc } of [...valid].reverse()) assert.equal(crc32(decode(fromHex(hex)).data), crc);
});

test("only ProtocolError comes out of mutated payloads, and a decoded one has its announced size", () => {
  const random = randomOf(3);
  for (let round = 0; round < 5000; round++) {
    const { hex } = valid[round % valid.length];
    try {
      const waveform = decode(mutated(fromHex(hex), random));
      assert.equal(waveform.data.length, waveform.leads * waveform.samples);
    } catch (error) {
      assert.ok(error instanceof ProtocolError, String(error));
    }
  }
});
