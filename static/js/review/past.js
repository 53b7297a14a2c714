// @ts-check
/** What is asked of the past, and the answers put together out of their pieces. */

import { inflateInto } from "../stream/inflate.js";
import { ProtocolError } from "../stream/protocol-error.js";

const MAX_BODY = 8 * 1024 * 1024;

/** @typedef {import("../stream/messages.js").ServerMessage} ServerMessage */
/** @typedef {{stream: string, what: "trend" | "overview" | "wave" | "events", from_ms: number, to_ms: number, columns?: number, lead?: string}} Question */
/** @typedef {{facts: any, data: Uint8Array}} Answer `facts` as protocol.md has them */
/** @typedef {{slot: string, stream: string, pieces: Uint8Array[], resolve: (answer: Answer) => void, reject: (error: PastError) => void}} Open */

/** Why there is no answer. */
export class PastError extends Error {
  /**
   * @param {"replaced" | "refused" | "denied" | "offline"} kind
   * @param {string} [reason] for people
   */
  constructor(kind, reason = kind) {
    super(reason);
    this.kind = kind;
  }
}

export class Past {
  #tell;
  #next = 1;
  /** @type {Map<number, Open>} */ #open = new Map();

  /** @param {(message: {type: string, [field: string]: unknown}) => boolean} tell false while there is no connection */
  constructor(tell) {
    this.#tell = tell;
  }

  /**
   * The answer to a question; a newer question in its slot takes its place. Rejects with PastError.
   * @param {string} slot
   * @param {Question} question
   * @returns {Promise<Answer>}
   */
  ask(slot, question) {
    for (const [id, open] of this.#open) if (open.slot === slot) this.#fail(id, new PastError("replaced"));
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#open.set(id, { slot, stream: question.stream, pieces: [], resolve, reject });
      if (!this.#tell({ type: "review", id, slot, ...question })) this.#fail(id, new PastError("offline"));
    });
  }

  /** @param {ServerMessage} message */
  hear(message) {
    if (message.type === "review") this.#take(message);
    else if (message.type === "refused" && message.of === "review") {
      this.#fail(Number(message.target), new PastError("refused", message.reason));
    } else if (message.type === "denied") {
      for (const [id, { stream }] of this.#open) if (stream === message.stream) this.#fail(id, new PastError("denied"));
    }
  }

  /** The connection is gone, and with it what was asked for. */
  forget() {
    for (const id of [...this.#open.keys()]) this.#fail(id, new PastError("offline"));
  }

  /** @param {import("../stream/messages.js").ReviewPiece} piece */
  #take({ id, more, data }) {
    const open = this.#open.get(id);
    if (!open) return;
    open.pieces.push(bytesOf(data));
    if (more) return;
    this.#open.delete(id);
    open.resolve(answerOf(joined(open.pieces)));
  }

  /**
   * @param {number} id
   * @param {PastError} error
   */
  #fail(id, error) {
    const open = this.#open.get(id);
    this.#open.delete(id);
    open?.reject(error);
  }
}

/** @param {string} text base64 */
function bytesOf(text) {
  try {
    const binary = atob(text);
    return Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
  } catch {
    throw new ProtocolError("data of an answer is not base64");
  }
}

/** @param {Uint8Array[]} pieces */
function joined(pieces) {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/**
 * The answer in a body; throws ProtocolError when it is malformed.
 * @param {Uint8Array} body
 * @returns {Answer}
 */
export function answerOf(body) {
  const size = sizeAt(body);
  if (size > MAX_BODY) throw new ProtocolError("an answer is larger than 8 MiB");
  const plain = new Uint8Array(size + 1);
  if (inflateInto(body.subarray(4), plain) !== size) throw new ProtocolError("an answer has another size than it says");
  const facts = sizeAt(plain);
  if (4 + facts > size) throw new ProtocolError("the facts of an answer are cut off");
  return { facts: JSON.parse(new TextDecoder().decode(plain.subarray(4, 4 + facts))), data: plain.subarray(4 + facts, size) };
}

/** @param {Uint8Array} bytes */
function sizeAt(bytes) {
  if (bytes.length < 4) throw new ProtocolError("an answer is cut off");
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}
