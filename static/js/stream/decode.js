// @ts-check
/** One WebSocket message taken apart: JSON messages to one side, decoded samples to the other. */

import { decode } from "../ecg/codec.js";
import { FrameKind, decodeBundle, frameText } from "./frames.js";
import { parseServerMessages } from "./messages.js";

/** @typedef {import("./messages.js").ServerMessage} Message */

/**
 * @typedef {object} Samples
 * @property {number} alias
 * @property {number} first index of the first sample
 * @property {number} leads
 * @property {number} count samples per lead
 * @property {Int16Array | Int32Array} data lead after lead, in ADC steps
 * @property {boolean} late whether they fill an earlier hole
 */

/**
 * Hand over the parts of `data` in their order; throws ProtocolError when it is malformed.
 * @param {string | ArrayBuffer} data
 * @param {{message: (message: Message) => void, samples: (samples: Samples) => void}} sink
 */
export function decodeMessage(data, sink) {
  if (typeof data === "string") {
    for (const message of parseServerMessages(data)) sink.message(message);
    return;
  }
  for (const frame of decodeBundle(data)) {
    if (frame.kind === FrameKind.JSON) {
      for (const message of parseServerMessages(frameText(frame))) sink.message(message);
      continue;
    }
    const { leads, samples, data: planes } = decode(frame.payload);
    const late = frame.kind === FrameKind.BACKFILL;
    sink.samples({ alias: frame.alias, first: frame.first, leads, count: samples, data: planes, late });
  }
}
