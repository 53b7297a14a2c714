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

test("samples of 16 bits are the same in 32", () => {
  const WIDE = 0x04;
  for (const { name, hex } of valid.filter(({ bits }) => bits === 16)) {
    const payload = fromHex(hex);
    const narrow = decode(payload);
    payload[0] |= WIDE;
    assert.deepEqual([...decode(payload).data], [...narrow.data], name);
  }
});

test("what does not fit 16 bits is refused, and the same as of 32 bits", () => {
  const WIDE = 0x04;
  let refused = 0;
  for (const { name, hex } of valid.filter(({ bits }) => bits === 32)) {
    const payload = fromHex(hex);
    const { data } = decode(payload);
    payload[0] &= ~WIDE;
    if (data.every((value) => value === (value << 16) >> 16)) {
      assert.deepEqual([...decode(payload).data], [...data], name);
    } else {
      assert.throws(() => decode(payload), ProtocolError, name);
      refused++;
    }
  }
  assert.ok(refused > 0);
});

test("a payload whose last byte is missing is refused, though that is where the one before had it", () => {
  for (const { name, hex } of valid) {
    const payload = fromHex(hex);
    decode(payload);
    assert.throws(() => decode(payload.subarray(0, -1)), ProtocolError, name);
  }
});

test("samples on a grid that do not fit are refused", () => {
  // One sample of 2^20 steps of 4.096: 2^32 thousandths, which fit by their lowest 32 bits.
  assert.throws(() => decode(fromHex("18000002100005a00000")), ProtocolError);
  assert.equal(decode(fromHex("1c000002100005a00000")).data[0], Math.round(2 ** 32 / 1000));
  // One of -2^25 steps of 65.535, and of 31.
  assert.throws(() => decode(fromHex("1c000002ffff06bffffff0")), ProtocolError);
  assert.equal(decode(fromHex("1c000002791806bffffff0")).data[0], -31 * 2 ** 25);
  // Lead III deviates by 2^20 from limb leads in values.
  const limb = "b0000a07d00000000000000000000005a0000000000000";
  assert.throws(() => decode(fromHex("1a" + limb)), ProtocolError);
  assert.equal(decode(fromHex("1e" + limb)).data[2], 2 ** 20);
});

test("a payload that ends in the middle of a long row is refused", () => {
  // Each is larger than those before, so that there is no more room behind it than a payload always has.
  for (let value = 0; value < 256; value++) {
    const payload = new Uint8Array(5000 + 100 * value).fill(value);
    payload.fill(0, 3, 23).set([0x10, 0xff, 0xff]);
    assert.throws(() => decode(payload), ProtocolError);
  }
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
