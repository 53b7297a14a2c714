// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { AckCadence } from "../../static/js/stream/acks.js";
import { ServerClock } from "../../static/js/stream/clock.js";
import { Connection } from "../../static/js/stream/connection.js";
import { delayOf, finalState } from "../../static/js/stream/reconnect.js";

const WELCOME = {
  type: "welcome",
  protocol: "vital.v1",
  connection: "c",
  server_ms: 1_700_000_000_000,
  limits: { max_streams: 64, max_message_bytes: 65536 },
  ack: { messages: 4, ms: 100 },
  keepalive_s: 3,
};

class FakeSocket {
  binaryType = /** @type {BinaryType} */ ("blob");
  /** @type {((event: any) => void) | null} */ onopen = null;
  /** @type {((event: any) => void) | null} */ onmessage = null;
  /** @type {((event: any) => void) | null} */ onclose = null;
  /** @type {any[]} */ sent = [];
  /** @type {number[]} */ closedWith = [];
  /** @param {string} text */
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close(code = 1000) {
    this.closedWith.push(code);
  }
  /** @param {string} type */
  of(type) {
    return this.sent.filter((message) => message.type === type);
  }
}

/** A page's connection with a clock that the test moves. */
class Bench {
  now = 10;
  /** @type {FakeSocket[]} */ sockets = [];
  /** @type {any[]} */ heard = [];
  /** @type {any[]} what the page has of its streams */ held = [];
  phases = /** @type {string[]} */ ([]);
  connection = new Connection(
    () => {
      const socket = new FakeSocket();
      this.sockets.push(socket);
      return socket;
    },
    {
      message: (message) => this.heard.push(message),
      samples: () => {},
      welcomed: () => {},
      resumes: (streams) => streams.flatMap((stream) => this.held.filter((resume) => resume.stream === stream)),
      changed: () => this.phases.push(this.connection.phase),
    },
    { now: () => this.now, random: () => 0.5 },
  );

  get socket() {
    return this.sockets[this.sockets.length - 1];
  }

  /** @param {object} message */
  receive(message) {
    this.socket.onmessage?.({ data: JSON.stringify(message) });
  }

  online() {
    this.connection.connect();
    this.socket.onopen?.({});
    this.receive(WELCOME);
    return this;
  }

  /** @param {number} code */
  lose(code) {
    this.socket.onclose?.({ code });
  }

  /** @param {number} seconds */
  pass(seconds) {
    for (let left = seconds; left > 0; left -= 0.05) {
      this.now += 0.05;
      this.connection.tick();
    }
  }
}

const keepalive = { type: "time", server_ms: 1_700_000_000_000 };

test("the first message is hello, and after welcome the page is online", () => {
  const bench = new Bench().online();
  assert.equal(bench.socket.sent[0].type, "hello");
  assert.equal(bench.socket.sent[0].protocol, "vital.v1");
  assert.equal(bench.socket.binaryType, "arraybuffer");
  assert.deepEqual(bench.phases, ["connecting", "online"]);
});

test("welcome is message number 0: four messages after it are acked as 4", () => {
  const bench = new Bench().online();
  for (let i = 0; i < 4; i++) bench.receive(keepalive);
  assert.deepEqual(bench.socket.of("ack").map((ack) => ack.n), [4]);
});

test("a single message is acked within 100 ms, without any frame being drawn", () => {
  const bench = new Bench().online();
  bench.receive(keepalive);
  assert.equal(bench.socket.of("ack").length, 0);
  bench.pass(0.1);
  assert.deepEqual(bench.socket.of("ack").map((ack) => ack.n), [1]);
});

test("nothing new, no ack", () => {
  const bench = new Bench().online();
  bench.receive(keepalive);
  bench.pass(3);
  assert.equal(bench.socket.of("ack").length, 1);
});

test("an array of messages is one message on the wire", () => {
  const bench = new Bench().online();
  bench.socket.onmessage?.({ data: JSON.stringify([keepalive, { type: "denied", stream: "a" }, { type: "denied", stream: "b" }]) });
  bench.pass(0.1);
  assert.equal(bench.socket.of("ack")[0].n, 1);
  assert.deepEqual(bench.heard.map((message) => message.stream), ["a", "b"]);
});

test("the wanted streams are asked for once, and again on the next connection", () => {
  const bench = new Bench();
  bench.connection.subscribe(["a", "b"], null);
  bench.online();
  bench.connection.subscribe(["a", "b"], null);
  assert.deepEqual(bench.socket.of("subscribe"), [{ type: "subscribe", streams: ["a", "b"], focus: null }]);
  bench.connection.subscribe(["a", "b"], "b");
  assert.equal(bench.socket.of("subscribe").length, 2);
  bench.lose(1006);
  bench.pass(1);
  bench.online();
  assert.deepEqual(bench.socket.of("subscribe"), [{ type: "subscribe", streams: ["a", "b"], focus: "b" }]);
});

test("acks start again from nothing on a new connection", () => {
  const bench = new Bench().online();
  for (let i = 0; i < 4; i++) bench.receive(keepalive);
  bench.lose(1006);
  bench.pass(2);
  bench.online();
  bench.receive(keepalive);
  bench.pass(0.1);
  assert.equal(bench.socket.of("ack")[0].n, 1);
});

test("a lost connection is tried again with growing, jittered pauses", () => {
  const bench = new Bench().online();
  const pauses = [];
  for (let i = 0; i < 4; i++) {
    bench.lose(1006);
    assert.equal(bench.connection.phase, "waiting");
    pauses.push(bench.connection.retryAt - bench.now);
    bench.pass(bench.connection.retryAt - bench.now + 0.1);
    assert.equal(bench.connection.phase, "connecting");
  }
  assert.deepEqual(pauses.map((pause) => Math.round(pause * 100) / 100), [0.25, 0.5, 1, 2]);
});

test("the first attempt after a failure is number 1 to the user, and has the shortest pause", () => {
  const bench = new Bench().online();
  bench.lose(1006);
  assert.equal(bench.connection.attempt, 1);
  assert.equal(bench.connection.retryAt - bench.now, 0.25);
});

test("a connection that lived makes the next pause short again", () => {
  const bench = new Bench().online();
  for (let i = 0; i < 3; i++) {
    bench.lose(1006);
    bench.pass(bench.connection.retryAt - bench.now + 0.1);
  }
  bench.online();
  bench.now += 6;
  bench.lose(1006);
  assert.equal(bench.connection.retryAt - bench.now, 0.25);
});

test("a server that names a time is not asked before it", () => {
  const bench = new Bench().online();
  bench.receive({ type: "bye", code: 4012, reason: "going away", retry_after_ms: 3000 });
  bench.lose(4012);
  assert.equal(bench.connection.retryAt - bench.now, 3.25);
  assert.equal(bench.connection.reason, "going away");
});

test("a server whose bye got lost is not asked for a second", () => {
  const bench = new Bench().online();
  bench.lose(4012);
  assert.equal(bench.connection.retryAt - bench.now, 1.25);
});

test("the time that a bye named holds for its own connection only", () => {
  const bench = new Bench().online();
  bench.receive({ type: "bye", code: 4012, reason: "going away", retry_after_ms: 3000 });
  bench.lose(4012);
  bench.pass(3.3);
  assert.equal(bench.connection.phase, "connecting");
  bench.lose(1006);
  assert.equal(bench.connection.retryAt - bench.now, 0.5);
});

for (const [code, phase] of /** @type {[number, string][]} */ ([[4401, "signed-out"], [4403, "forbidden"], [4400, "refused"]])) {
  test(`${code} is final: ${phase}, and no further attempt`, () => {
    const bench = new Bench().online();
    bench.lose(code);
    bench.pass(120);
    bench.connection.connect(); // as when the browser has a network again
    assert.equal(bench.connection.phase, phase);
    assert.equal(bench.connection.isFinal, true);
    assert.equal(bench.sockets.length, 1);
  });
}

test("a server that says nothing for eight seconds is given up", () => {
  const bench = new Bench().online();
  bench.pass(7.9);
  assert.equal(bench.connection.phase, "online");
  bench.pass(0.3);
  assert.deepEqual(bench.phases.slice(0, 3), ["connecting", "online", "waiting"]);
  assert.equal(bench.sockets[0].onmessage, null, "what it may still say is not heard");
});

test("a socket that does not open is given up", () => {
  const bench = new Bench();
  bench.connection.connect();
  bench.pass(10.2);
  assert.deepEqual(bench.phases.slice(0, 2), ["connecting", "waiting"]);
});

test("what cannot be decoded ends the connection, and another is tried", (context) => {
  context.mock.method(console, "error", () => {});
  const bench = new Bench().online();
  bench.socket.onmessage?.({ data: "{" });
  assert.deepEqual(bench.sockets[0].closedWith.slice(0, 1), [4400]);
  assert.equal(bench.connection.phase, "waiting");
});

test("an outage is counted from the last message, over all its attempts", () => {
  const bench = new Bench().online();
  bench.now += 20;
  bench.receive({ type: "time", t0: bench.now, server_ms: 5000 });
  const heard = bench.now;
  bench.now += 7;
  bench.lose(1006);
  bench.pass(1);
  bench.lose(1006);
  assert.equal(bench.connection.since, heard);
});

test("the server's time is asked for at once and then every two seconds", () => {
  const bench = new Bench().online();
  assert.equal(bench.socket.of("time").length, 1);
  bench.now += 0.03;
  bench.receive({ type: "time", t0: bench.socket.of("time")[0].t0, server_ms: 5000 });
  assert.ok(Math.abs((bench.connection.rttS ?? 0) - 0.03) < 1e-9);
  assert.ok(Math.abs((bench.connection.serverMs ?? 0) - 5015) < 1e-6);
  bench.pass(4.1);
  assert.equal(bench.socket.of("time").length, 3);
});

test("of several answers the least delayed sets the clock", () => {
  const clock = new ServerClock();
  assert.equal(clock.serverMs(1), null);
  clock.answered(1, 1.01, 100_000);
  clock.answered(3, 4, 102_900); // half a second each way would put it at 102.4
  assert.equal(clock.rttS, 1);
  assert.ok(Math.abs((clock.serverMs(5) ?? 0) - 103_995) < 1e-6);
});

test("acks are due after four messages or half of the allowed time", () => {
  const acks = new AckCadence({ messages: 4, ms: 100 });
  assert.equal(acks.isDue(0), false);
  acks.handled(1, 0.002);
  assert.equal(acks.isDue(1.04), false);
  assert.equal(acks.isDue(1.05), true);
  assert.deepEqual(acks.take(1.05), { type: "ack", n: 1, decoded_ms: 2, backlog: 0, held_ms: 50 });
  assert.equal(acks.isDue(9), false);
  for (let i = 0; i < 4; i++) acks.handled(9, 0.001);
  assert.equal(acks.isDue(9), true);
  assert.equal(acks.take(9).n, 5);
});

test("full jitter: between nothing and the cap, which is 30 s", () => {
  assert.equal(delayOf(1006, 0, null, 0), 0);
  assert.equal(delayOf(1006, 3, null, 0.5), 2);
  assert.equal(delayOf(1006, 50, null, 1), 30);
});

test("4000-4099 add the jitter to the time that the server named, or to a second", () => {
  assert.equal(delayOf(4009, 1, 2000, 0), 2);
  assert.equal(delayOf(4009, 1, 2000, 0.5), 2.5);
  assert.equal(delayOf(4009, 1, 0, 0.5), 0.5);
  assert.equal(delayOf(4008, 0, null, 0), 1);
  assert.equal(delayOf(4100, 1, 2000, 0.5), 0.5);
});

test("whom an operator has cut comes back, and not before half a minute", () => {
  assert.equal(finalState(4014), null);
  assert.equal(delayOf(4014, 0, 30_000, 0), 30);
  assert.equal(delayOf(4014, 0, 30_000, 0.5), 30.25);
});

test("close codes outside 4400-4499 ask for another attempt", () => {
  for (const code of [1000, 1001, 1006, 1011, 4008, 4009, 4012, 4029, 4100, 4101]) assert.equal(finalState(code), null);
});

test("silence is counted from what came last, and is endless without a connection", () => {
  const bench = new Bench();
  assert.equal(bench.connection.silentS, Infinity);
  bench.online();
  bench.now += 2;
  assert.equal(bench.connection.silentS, 2);
  bench.receive({ type: "time", server_ms: 0 });
  assert.equal(bench.connection.silentS, 0);
  bench.lose(1006);
  assert.equal(bench.connection.silentS, Infinity);
});

const HELD = { stream: "a", epoch: 3, next_sample: 500, newest_s: 64 };

test("what is held of the streams is said behind each subscribe, and once a connection", () => {
  const bench = new Bench();
  bench.held = [HELD, { ...HELD, stream: "b" }];
  bench.connection.subscribe(["a"], null);
  bench.online();
  const types = () => bench.socket.sent.map((message) => message.type);
  assert.deepEqual(types(), ["hello", "time", "subscribe", "resume"]);
  assert.deepEqual(bench.socket.of("resume"), [{ type: "resume", ...HELD }]);
  bench.connection.subscribe(["a", "b"], null);
  assert.deepEqual(bench.socket.of("resume").map((message) => message.stream), ["a", "b"]);
  bench.lose(1006);
  bench.pass(1);
  bench.socket.onopen?.({});
  bench.receive(WELCOME);
  assert.deepEqual(bench.socket.of("resume").map((message) => message.stream), ["a", "b"]);
});

test("nothing is asked for without a connection", () => {
  const bench = new Bench();
  bench.connection.resume(HELD);
  bench.online();
  assert.equal(bench.socket.of("resume").length, 0);
  bench.connection.resume({ ...HELD, to: 700 });
  assert.equal(bench.socket.of("resume")[0].to, 700);
});
