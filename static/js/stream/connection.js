// @ts-check
/** The page's WebSocket: hello, acks, time and reconnects of vital.v1; what arrives goes to its handlers. */

import { AckCadence } from "./acks.js";
import { ServerClock } from "./clock.js";
import { decodeMessage } from "./decode.js";
import { delayOf, finalState } from "./reconnect.js";

export const SUBPROTOCOL = "vital.v1";
const CLIENT = "vital-page/1";
const ASK_TIME_S = 2;
const SILENT_S = 8; // the server writes every 3 s; after two misses the way is dead, whatever TCP believes
const OPENING_S = 10;
const STABLE_S = 5; // a connection that lived this long starts the back-off anew

/** @typedef {"connecting" | "online" | "waiting" | import("./reconnect.js").Final} Phase */
/** @typedef {import("./decode.js").Message} Message */
/** @typedef {import("./decode.js").Samples} Samples */

/** @typedef {{stream: string, epoch: number, next_sample: number, to?: number, newest_s?: number}} Resume */

/**
 * @typedef {object} Handlers
 * @property {(message: Message, now: number) => void} message every JSON message except welcome, time and bye
 * @property {(samples: Samples, now: number) => void} samples
 * @property {() => void} welcomed a new connection knows nothing yet: aliases of the last one are void
 * @property {(streams: string[]) => Resume[]} resumes what is held of streams that were just subscribed to
 * @property {() => void} changed the phase changed
 */

/** What a Connection needs of a WebSocket; tests bring their own. @typedef {Pick<WebSocket, "send" | "close" | "binaryType" | "onopen" | "onmessage" | "onclose">} Socket */

/**
 * One lasting connection over any number of sockets.
 *
 * It has no timer of its own: `tick` is called at least every 50 ms, by a worker's clock, also in hidden tabs.
 * Times are seconds of one monotonic clock.
 */
export class Connection {
  #open;
  #handlers;
  #now;
  #random;
  /** @type {Socket | null} */ #socket = null;
  /** @type {AckCadence | null} null until welcome */ #acks = null;
  /** @type {{streams: string[], focus: string | null} | null} */ #wanted = null;
  #clock = new ServerClock();
  #heardAt = 0;
  #askedAt = 0;
  /** @type {number | null} what this socket's `bye` named */ #retryAfterMs = null;
  /** @type {Phase} */ phase = "connecting";
  /** When the phase began, or, while not online, when the page was last online. */
  since = 0;
  /** Failures in a row; while waiting, also the number of the next attempt, from 1. */
  attempt = 0;
  retryAt = 0;
  /** Sockets that got a welcome. */
  connections = 0;
  messages = 0;
  bytes = 0;
  /** What the server gave as the reason of its last `bye`. */
  reason = "";
  /** With which code the last socket was closed; 0 before one was. */
  closeCode = 0;

  /**
   * @param {() => Socket} open makes a socket that speaks SUBPROTOCOL
   * @param {Handlers} handlers
   * @param {{now: () => number, random?: () => number}} sources
   */
  constructor(open, handlers, { now, random = Math.random }) {
    this.#open = open;
    this.#handlers = handlers;
    this.#now = now;
    this.#random = random;
    this.since = now();
  }

  get isFinal() {
    return this.phase !== "connecting" && this.phase !== "online" && this.phase !== "waiting";
  }

  /** Seconds of the last round trip; null before the first. */
  get rttS() {
    return this.#clock.rttS;
  }

  /** Seconds since anything came; Infinity while there is no way to the server. */
  get silentS() {
    return this.phase === "online" ? this.#now() - this.#heardAt : Infinity;
  }

  /** Milliseconds since 1970 on the server's clock; null before the first answer. */
  get serverMs() {
    return this.#clock.serverMs(this.#now());
  }

  /** Begin anew: what was on the way while the page slept is of then, and the way itself may be gone. */
  renew() {
    if (!this.#socket) return;
    this.#closed(1006);
    this.connect();
  }

  /** Open a socket now, whatever the back-off says; not where the server has said that trying again is of no use. */
  connect() {
    if (this.#socket || this.isFinal) return;
    const socket = this.#open();
    this.#socket = socket;
    this.#acks = null;
    this.#retryAfterMs = null;
    this.#heardAt = this.#now();
    this.#enter("connecting");
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#send({ type: "hello", protocol: SUBPROTOCOL, client: CLIENT });
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = (event) => this.#closed(event.code);
  }

  /**
   * The streams to be sent from now on, and the one that the user looks at.
   * @param {string[]} streams
   * @param {string | null} focus
   */
  subscribe(streams, focus) {
    if (this.#wanted && this.#wanted.focus === focus && sameList(this.#wanted.streams, streams)) return;
    const before = this.#wanted?.streams ?? [];
    this.#wanted = { streams, focus };
    if (this.#acks) this.#follow(streams.filter((stream) => !before.includes(stream)));
  }

  /** The streams that were asked for last. */
  get streams() {
    return this.#wanted?.streams ?? [];
  }

  /**
   * Ask for samples that are missing.
   * @param {Resume} resume
   */
  resume(resume) {
    this.tell({ type: "resume", ...resume });
  }

  /**
   * Send a message, where there is somebody to hear it.
   * @param {{type: string, [field: string]: unknown}} message
   * @returns {boolean} whether it was sent
   */
  tell(message) {
    if (!this.#acks) return false;
    this.#send(message);
    return true;
  }

  /**
   * Say what is wanted, and what is held of those streams that are new to this connection.
   * @param {string[]} streams
   */
  #follow(streams) {
    this.#send({ type: "subscribe", ...this.#wanted });
    for (const resume of this.#handlers.resumes(streams)) this.resume(resume);
  }

  /** Acks, time questions, deadlines, and the next attempt when it is due. */
  tick() {
    const now = this.#now();
    if (this.phase === "waiting" && now >= this.retryAt) this.connect();
    if (!this.#socket) return;
    if (this.#acks) {
      if (this.#acks.isDue(now)) this.#send(this.#acks.take(now));
      if (now - this.#askedAt >= ASK_TIME_S) {
        this.#askedAt = now;
        this.#send({ type: "time", t0: now });
      }
    }
    if (now - this.#heardAt > (this.#acks ? SILENT_S : OPENING_S)) this.#closed(1006);
  }

  /** @param {string | ArrayBuffer} data */
  #receive(data) {
    const began = this.#now();
    this.#heardAt = began;
    this.messages++;
    this.bytes += typeof data === "string" ? data.length : data.byteLength;
    const welcomed = this.#acks !== null;
    try {
      decodeMessage(data, {
        message: (message) => this.#heard(message, began),
        samples: (samples) => this.#handlers.samples(samples, began),
      });
    } catch (error) {
      // Not ours to repair: the next connection starts from a clean state.
      console.error("vital: a message of the server could not be decoded", error);
      this.#socket?.close(4400, "undecodable message");
      this.#closed(4100);
      return;
    }
    const now = this.#now();
    if (!welcomed || !this.#acks) return;
    this.#acks.handled(began, now - began);
    if (this.#acks.isDue(now)) this.#send(this.#acks.take(now));
  }

  /**
   * @param {Message} message
   * @param {number} now
   */
  #heard(message, now) {
    switch (message.type) {
      case "welcome":
        this.#acks = new AckCadence(message.ack);
        this.#clock = new ServerClock();
        this.#askedAt = now;
        this.connections++;
        this.#enter("online");
        this.#handlers.welcomed();
        this.#send({ type: "time", t0: now });
        if (this.#wanted) this.#follow(this.#wanted.streams);
        return;
      case "cadence":
        this.#acks?.change(message);
        return;
      case "review":
        this.#acks?.hurry();
        this.#handlers.message(message, now);
        return;
      case "time":
        if (message.t0 !== undefined) this.#clock.answered(message.t0, now, message.server_ms);
        return;
      case "bye":
        this.reason = message.reason;
        this.#retryAfterMs = message.retry_after_ms ?? null;
        return;
      default:
        this.#handlers.message(message, now);
    }
  }

  /** @param {number} code */
  #closed(code) {
    const socket = this.#socket;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    this.#socket = null;
    this.#acks = null;
    this.closeCode = code;
    const now = this.#now();
    const final = finalState(code);
    if (final) {
      this.#enter(final);
      return;
    }
    const lived = this.phase === "online" && now - this.since > STABLE_S;
    this.attempt = lived ? 1 : this.attempt + 1;
    this.retryAt = now + delayOf(code, this.attempt - 1, this.#retryAfterMs, this.#random());
    this.#enter("waiting");
  }

  /** @param {Phase} phase */
  #enter(phase) {
    // An attempt in between does not end the outage: its clock runs on until the page is online again. It began
    // when the last message came: a path that went dead is noticed seconds later.
    if (phase === "online") this.since = this.#now();
    else if (this.phase === "online") this.since = this.#heardAt;
    this.phase = phase;
    this.#handlers.changed();
  }

  /** @param {object} message */
  #send(message) {
    this.#socket?.send(JSON.stringify(message));
  }
}

/**
 * @param {string[]} a
 * @param {string[]} b
 */
function sameList(a, b) {
  return a.length === b.length && a.every((value, at) => value === b[at]);
}
