// @ts-check
/** The page's WebSocket: it acknowledges what it takes, notices when nothing comes, and comes back with jitter. */

import { delayOf, finalState } from "../../stream/reconnect.js";

/** @typedef {import("../../stream/reconnect.js").Final} Final */
/** @typedef {{type: string, [field: string]: any}} Message */
/** @typedef {"connecting" | "live" | "waiting" | Final} Phase */
/**
 * @typedef {object} Handlers
 * @property {(message: Message) => void} message every message but `bye`
 * @property {() => void} changed the phase is another one
 */
/** @typedef {Pick<WebSocket, "send" | "close" | "onopen" | "onmessage" | "onclose">} Socket */

const PROTOCOL = "vital.live.v1";
/** Figures come every second: after so many without a message the connection is taken for dead. */
export const SILENT_S = 8;
const STABLE_S = 5;

export class LiveSocket {
  /** @type {Handlers} */ #handlers;
  /** @type {() => Socket} */ #open;
  /** @type {() => number} seconds */ #now;
  /** @type {() => number} */ #random;
  /** @type {Socket | null} */ #socket = null;
  /** @type {number | null} */ #retryAfterMs = null;
  #taken = 0;
  #heardAt = 0;
  #liveSince = 0;
  #attempt = 0;
  /** @type {Phase} */ phase = "connecting";
  /** When the next attempt is due, while waiting. */ retryAt = 0;
  /** What the server gave as its reason to close. */ reason = "";

  /**
   * @param {Handlers} handlers
   * @param {{open: () => Socket, now: () => number, random: () => number}} [world]
   */
  constructor(handlers, world = { open, now: () => performance.now() / 1000, random: Math.random }) {
    this.#handlers = handlers;
    this.#open = world.open;
    this.#now = world.now;
    this.#random = world.random;
  }

  /** Connect; called again, do it at once. */
  start() {
    this.#drop();
    this.#taken = 0;
    this.#retryAfterMs = null;
    this.#heardAt = this.#now();
    const socket = this.#socket = this.#open();
    this.#enter("connecting");
    socket.onopen = () => this.#send({ type: "hello", protocol: PROTOCOL });
    socket.onmessage = (event) => this.#heard(String(event.data));
    socket.onclose = (event) => this.#closed(event.code);
  }

  /** Look at the clock, a few times a second: is the connection dead, or the next attempt due? */
  tick() {
    const now = this.#now();
    if (this.phase === "waiting" && now >= this.retryAt) this.start();
    else if (this.#socket && now - this.#heardAt > SILENT_S) this.#closed(1006);
  }

  /** Say something, while there is a connection; whether there was. @param {Message} message */
  say(message) {
    if (this.phase !== "live") return false;
    this.#send(message);
    return true;
  }

  /** @param {string} text */
  #heard(text) {
    this.#heardAt = this.#now();
    /** @type {Message} */
    const message = JSON.parse(text);
    if (message.type === "bye") {
      this.reason = message.reason;
      this.#retryAfterMs = message.retry_after_ms ?? null;
      return;
    }
    if (message.type === "welcome") {
      this.#liveSince = this.#now();
      this.#enter("live");
    } else {
      this.#send({ type: "ack", n: ++this.#taken });
    }
    this.#handlers.message(message);
  }

  /** @param {number} code */
  #closed(code) {
    this.#drop();
    const now = this.#now(), final = finalState(code);
    if (final) {
      this.#enter(final);
      return;
    }
    this.#attempt = this.phase === "live" && now - this.#liveSince > STABLE_S ? 1 : this.#attempt + 1;
    this.retryAt = now + delayOf(code, this.#attempt - 1, this.#retryAfterMs, this.#random());
    this.#enter("waiting");
  }

  #drop() {
    const socket = this.#socket;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    this.#socket = null;
  }

  /** @param {Phase} phase */
  #enter(phase) {
    this.phase = phase;
    this.#handlers.changed();
  }

  /** @param {Message} message */
  #send(message) {
    this.#socket?.send(JSON.stringify(message));
  }
}

function open() {
  return new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/live/`, PROTOCOL);
}
