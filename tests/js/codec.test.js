// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { decode } from "../../static/js/ecg/codec.js";
import { ProtocolError } from "../../static/js/stream/protocol-error.js";
import { fromHex, mutated, randomOf, vectors } from "./vectors.js";

const { valid, malformed } = vectors("waveforms");

for (const { name, hex, samples, bits } of valid) {
  test(`decodes ${name}`, () => {
    const waveform = decode(fromHex(hex));
    assert.equal(waveform.leads, samples.length);
    assert.equal(waveform.samples, samples[0].length);
    assert.equal(waveform.data.BYTES_PER_ELEMENT * 8, bits);
    assert.deepEqual([...waveform.data], samples.flat());
  });
}

for (const { name, hex } of malformed) {
  test(`refuses ${name}`, () => assert.throws(() => decode(fromHex(hex)), ProtocolError));
}

test("a waveform keeps its samples when the next is decoded", () => {
  const first = decode(fromHex(valid[1].hex));
  for (const { hex } of valid) decode(fromHex(hex));
  assert.deepEqual([...first.data], valid[1].samples.flat());
});

test("only ProtocolError comes out of mutated payloads, and a decoded one has its announced size", () => {
  const random = randomOf(2);
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
