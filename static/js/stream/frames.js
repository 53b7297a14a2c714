// @ts-check
/** The bytes of vital.v1: bundles of frames in one WebSocket message, and an 8-byte header before each payload. */

import { DICTIONARY } from "./dictionary.js";
import { inflateInto } from "./inflate.js";
import { ProtocolError } from "./protocol-error.js";

export const FrameKind = Object.freeze({ WAVEFORM: 1, BACKFILL: 2, JSON: 3 });
export const FrameFlag = Object.freeze({ DEFLATED: 1, DICTIONARY: 2 });

const WITH_DICTIONARY = FrameFlag.DEFLATED | FrameFlag.DICTIONARY;
const BUNDLE_VERSION = 1;
const HEADER_BYTES = 8;
const MAX_FRAME_BYTES = 64 * 1024;
const MAX_TEXT_BYTES = 1024 * 1024; // the roster of a large hospital has to pass
const MAX_LENGTH_SHIFT = 14; // three bytes of seven bits

/**
 * @typedef {object} Frame
 * @property {number} kind a FrameKind
 * @property {number} flags
 * @property {number} alias names the stream, as its `stream` message said
 * @property {number} first sample index of the first sample
 * @property {Uint8Array} payload a view into the message
 */

/**
 * The frames of one binary message; throws ProtocolError, and returns none, when any is malformed.
 * @param {ArrayBuffer | Uint8Array} message
 * @returns {Frame[]}
 */
export function decodeBundle(message) {
  const bytes = message instanceof Uint8Array ? message : new Uint8Array(message);
  const end = bytes.length;
  if (end === 0 || bytes[0] !== BUNDLE_VERSION) throw new ProtocolError("bundle version is not 1");
  if (end === 1) throw new ProtocolError("bundle is empty");
  const frames = [];
  let at = 1;
  while (at < end) {
    let size = 0;
    let shift = 0;
    for (;;) {
      if (at >= end) throw new ProtocolError("frame length is cut off");
      const byte = bytes[at++];
      size |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (byte === 0 && shift > 0) throw new ProtocolError("frame length has a needless byte");
        break;
      }
      shift += 7;
      if (shift > MAX_LENGTH_SHIFT) throw new ProtocolError("frame length has too many bytes");
    }
    if (size <= HEADER_BYTES || size > MAX_FRAME_BYTES || at + size > end) {
      throw new ProtocolError("frame length is out of bounds");
    }
    frames.push(decodeFrame(bytes, at, at + size));
    at += size;
  }
  return frames;
}

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 * @param {number} end
 * @returns {Frame}
 */
function decodeFrame(bytes, at, end) {
  const kind = bytes[at];
  const flags = bytes[at + 1];
  if (kind < FrameKind.WAVEFORM || kind > FrameKind.JSON) throw new ProtocolError("frame kind is unknown");
  if (flags !== 0 && (kind !== FrameKind.JSON || (flags !== FrameFlag.DEFLATED && flags !== WITH_DICTIONARY))) {
    throw new ProtocolError("frame flags do not fit its kind");
  }
  return {
    kind,
    flags,
    alias: bytes[at + 2] | (bytes[at + 3] << 8),
    first: (bytes[at + 4] | (bytes[at + 5] << 8) | (bytes[at + 6] << 16) | (bytes[at + 7] << 24)) >>> 0,
    payload: bytes.subarray(at + HEADER_BYTES, end),
  };
}

/**
 * The text of a JSON frame, inflated where its flag says so, at most 1 MiB of it.
 * @param {Frame} frame
 */
export function frameText(frame) {
  const plain = frame.flags & FrameFlag.DEFLATED ? inflateText(frame) : frame.payload;
  try {
    return utf8.decode(plain);
  } catch {
    throw new ProtocolError("frame is not UTF-8");
  }
}

/**
 * @param {Frame} frame
 * @returns {Uint8Array} a view that the next call writes over
 */
function inflateText({ flags, payload }) {
  const dictionary = flags & FrameFlag.DICTIONARY ? DICTIONARY : undefined;
  for (;;) {
    const size = inflateInto(payload, room, dictionary);
    if (size < room.length) return room.subarray(0, size);
    if (room.length > MAX_TEXT_BYTES) throw new ProtocolError("frame inflates to more than 1 MiB");
    room = new Uint8Array(Math.min(4 * room.length, MAX_TEXT_BYTES + 1));
  }
}

/** One byte more than the longest text so far, to show when there are more. */
let room = new Uint8Array(16 * 1024);

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
