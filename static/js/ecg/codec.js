// @ts-check
/** The waveform payload: ECG1, or samples of all leads as differences, zigzag, byte planes and raw deflate. */

import { inflateInto } from "../stream/inflate.js";
import { ProtocolError } from "../stream/protocol-error.js";
import * as ecg1 from "./ecg1.js";

const HEADER_BYTES = 4;
const MAX_LEADS = 16;
const MAX_SAMPLES = 8192;
const PLANES16 = 1;
const PLANES32 = 2;
const ECG1 = 0x10;

/** Room for the planes of one payload, and one byte that shows when there are more; grows to the largest. */
let room = new Uint8Array(16 * 1024);

/**
 * @typedef {object} Waveform
 * @property {number} leads
 * @property {number} samples per lead
 * @property {Int16Array | Int32Array} data lead after lead, in ADC steps
 */

/**
 * The samples of a payload; throws ProtocolError when it is malformed.
 * @param {Uint8Array} payload
 * @returns {Waveform}
 */
export function decode(payload) {
  if ((payload[0] & 0xf0) === ECG1) return ecg1.decode(payload);
  if (payload.length <= HEADER_BYTES) throw new ProtocolError("payload is shorter than its header");
  const codec = payload[0];
  const leads = payload[1];
  const samples = payload[2] | (payload[3] << 8);
  if (codec !== PLANES16 && codec !== PLANES32) throw new ProtocolError("payload codec is unknown");
  if (leads < 1 || leads > MAX_LEADS || samples < 1 || samples > MAX_SAMPLES) {
    throw new ProtocolError("payload leads or samples are out of bounds");
  }
  const planes = inflatePlanes(payload.subarray(HEADER_BYTES), leads * samples * (codec === PLANES16 ? 2 : 4));
  const data = codec === PLANES16 ? joined16(planes, leads, samples) : joined32(planes, leads, samples);
  return { leads, samples, data };
}

/**
 * @param {Uint8Array} body
 * @param {number} size
 */
function inflatePlanes(body, size) {
  // No encoder makes a body of twice the size; a longer one could only be meant to cost time.
  if (body.length > 2 * size + 64) throw new ProtocolError("payload body is longer than its samples");
  if (room.length <= size) room = new Uint8Array(size + 1);
  if (inflateInto(body, room.subarray(0, size + 1)) !== size) {
    throw new ProtocolError("payload body has another size than its header says");
  }
  return room;
}

/**
 * @param {Uint8Array} planes
 * @param {number} leads
 * @param {number} samples
 */
function joined16(planes, leads, samples) {
  const total = leads * samples;
  const data = new Int16Array(total);
  for (let at = 0; at < total; ) {
    let value = 0; // the typed array takes it modulo 2^16
    for (const end = at + samples; at < end; at++) {
      const zigzag = planes[at] | (planes[total + at] << 8);
      value = (value + ((zigzag >>> 1) ^ -(zigzag & 1))) | 0;
      data[at] = value;
    }
  }
  return data;
}

/**
 * @param {Uint8Array} planes
 * @param {number} leads
 * @param {number} samples
 */
function joined32(planes, leads, samples) {
  const total = leads * samples;
  const data = new Int32Array(total);
  for (let at = 0; at < total; ) {
    let value = 0;
    for (const end = at + samples; at < end; at++) {
      const low = planes[at] | (planes[total + at] << 8);
      const zigzag = low | (planes[2 * total + at] << 16) | (planes[3 * total + at] << 24);
      value = (value + ((zigzag >>> 1) ^ -(zigzag & 1))) | 0;
      data[at] = value;
    }
  }
  return data;
}
