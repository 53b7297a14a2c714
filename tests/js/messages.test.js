// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { parseServerMessages } from "../../static/js/stream/messages.js";
import { ProtocolError } from "../../static/js/stream/protocol-error.js";
import { randomOf, vectors } from "./vectors.js";

const { viewer, malformed, malformed_for_viewers: malformedForViewers } = vectors("messages");

for (const { name, text, types } of viewer) {
  test(`reads ${name}`, () => {
    const messages = parseServerMessages(text);
    assert.deepEqual(
      messages.map((message) => message.type),
      types,
    );
  });
}

for (const { name, text } of [...malformed, ...malformedForViewers]) {
  test(`refuses ${name}`, () => assert.throws(() => parseServerMessages(text), ProtocolError));
}

test("a type named like a method of every object is unknown", () => {
  assert.deepEqual(parseServerMessages('{"type":"toString"}'), []);
});

test("refuses more than 1 MiB", () => {
  assert.throws(() => parseServerMessages(`[${" ".repeat(2 ** 20)}]`), ProtocolError);
});

test("deep nesting is an answer, not a crash", () => {
  assert.throws(() => parseServerMessages("[".repeat(500_000)), ProtocolError);
  assert.deepEqual(parseServerMessages(`{"type":"new","x":${"[".repeat(5000)}${"]".repeat(5000)}}`), []);
});

test("only ProtocolError comes out of mutated texts", () => {
  const random = randomOf(3);
  for (let round = 0; round < 5000; round++) {
    const { text } = viewer[round % viewer.length];
    const at = Math.floor(random() * text.length);
    const instead = ["", "0", '"', "null", "[", "-1e400", "}"][Math.floor(random() * 7)];
    try {
      parseServerMessages(text.slice(0, at) + instead + text.slice(at + 1 + Math.floor(random() * 3)));
    } catch (error) {
      assert.ok(error instanceof ProtocolError, String(error));
    }
  }
});
