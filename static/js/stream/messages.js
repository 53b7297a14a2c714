// @ts-check
/** The JSON that a vital.v1 server sends to a viewer: its types, and reading it without trust. */

import { ProtocolError } from "./protocol-error.js";

const MAX_LEADS = 16;
const MAX_TEXT = 1024 * 1024; // the roster of a large hospital has to pass

/** @typedef {"LIVE" | "SIM" | "REPLAY"} Source */
/** @typedef {{name: string, gain_uv: number, baseline: number}} Lead microvolts = (sample - baseline) * gain_uv */
/** @typedef {{stream: string, patient: string, name: string, ward: string, ward_name: string, bed: string, source: Source, online: boolean, hr_low?: number | null, hr_high?: number | null}} RosterEntry beats a minute beyond which an alarm is due */
/** @typedef {{type: "welcome", protocol: string, connection: string, server_ms: number, ack: {messages: number, ms: number}, keepalive_s: number}} Welcome */
/** @typedef {{type: "roster", streams: RosterEntry[]}} Roster */
/** @typedef {{type: "stream", alias: number, stream: string, epoch: number, rendition: string, rate_hz: number, factor: number, leads: Lead[], all_leads: string[], unit: string, source: Source, patient: string, frame_ms: number}} Stream `rate_hz` is the native rate, of which every `factor`th sample of `leads` is sent; `all_leads` are those of the stream */
/** @typedef {{type: "vitals", stream: string, epoch: number, sample: number, hr: number | null, hr_source: string | null, rhythm?: string, pvc_per_min?: number, beats?: [number, string][]}} Vitals `rhythm` is information, no alarm; `beats`: sample and kind of the last seconds' */
/** @typedef {{type: "quality", stream: string, epoch: number, sample: number, state: "live" | "silent", leads_off: string[], rate_hz: number | null}} Quality */
/** @typedef {{type: "gap", stream: string, epoch: number, from: number, to: number, reason: string, recoverable: boolean}} Gap samples from (inclusive) to (exclusive) */
/** @typedef {{type: "denied", stream: string}} Denied */
/** @typedef {{type: "time", t0?: number, server_ms: number}} Time */
/** @typedef {{type: "stats", rtt_ms: number | null, goodput_bps: number | null, window_bytes: number, in_flight_bytes: number, queued: Record<string, number>, dropped: number, expired: number, drops?: Record<string, number>, condition: string, rendition: string, reason: string, overload?: string, layer?: string}} Stats */
/** @typedef {{type: "bye", code: number, reason: string, retry_after_ms: number | null}} ServerBye */
/** @typedef {{type: "review", id: number, more: boolean, data: string}} ReviewPiece of an answer, base64 */
/** @typedef {{type: "cadence", messages: number, ms: number}} Cadence */
/** @typedef {"high" | "medium" | "low" | "technical"} Severity */
/** @typedef {{type: "alarm", alarm: string, state: "active" | "acknowledged" | "ended" | "closed", origin: string, stream: string, epoch: number, ward: string, patient: string, kind: string, severity: Severity, priority: string, latching: boolean, text: string, value: number | null, limit: number | null, unit: string, from: number, to: number, lead: string, sample: number, revision: number, condition_delay_s: number, signal_delay_s: number, raised_ms: number, cleared_ms: number | null, acknowledged_ms: number | null, acknowledged_by: string, unstored: boolean}} Alarm `stream` is empty for an alarm of the system */
/** @typedef {{type: "alarms", count: number, may: string[], paused_until_ms: number | null}} Alarms */
/** @typedef {{type: "alarm_withdrawn", alarm: string}} AlarmWithdrawn */
/** @typedef {{type: "audio", paused_until_ms: number | null, broken_by: string | null}} Audio */
/** @typedef {{type: "refused", of: string, target: string, reason: string}} Refused */
/** @typedef {{type: "throttled", link: string, left_s: number}} Throttled */
/** @typedef {Welcome | Roster | Stream | Vitals | Quality | Gap | Denied | Alarm | AlarmWithdrawn | Alarms | Audio | Refused | Throttled | ReviewPiece | Cadence | Time | Stats | ServerBye} ServerMessage */

/** @typedef {(value: any) => boolean} Check */

/** @type {Check} */
const isText = (value) => typeof value === "string";
/** @type {Check} */
const isNumber = (value) => typeof value === "number"; // JSON has neither NaN nor, below 1e309, Infinity
/** @type {Check} */
const isFlag = (value) => typeof value === "boolean";
/** @type {Check} */
const isCount = (value) => Number.isSafeInteger(value) && value >= 0;
/** @type {Check} */
const isPositive = (value) => isNumber(value) && value > 0 && value < Infinity;
/** @type {Check} */
const isSource = (value) => value === "LIVE" || value === "SIM" || value === "REPLAY";
/** @type {Check} */
const isCounts = (value) => isObject(value) && Object.values(value).every(isCount);
/** @type {(check: Check) => Check} */
const orNull = (check) => (value) => value === null || check(value);
/** @type {(check: Check) => Check} */
const orMissing = (check) => (value) => value === undefined || check(value);
/** @type {(check: Check) => Check} */
const listOf = (check) => (value) => Array.isArray(value) && value.every(check);
/** @type {(check: Check) => Check} */
const someOf = (check) => (value) => listOf(check)(value) && value.length >= 1 && value.length <= MAX_LEADS;
/** @type {(fields: Record<string, Check>) => Check} */
const shaped = (fields) => {
  const checks = Object.entries(fields);
  return (value) => isObject(value) && checks.every(([name, check]) => check(value[name]));
};

const isLead = shaped({ name: isText, gain_uv: isPositive, baseline: Number.isSafeInteger });
const isGapShape = shaped({
  stream: isText,
  epoch: isCount,
  from: isCount,
  to: isCount,
  reason: isText,
  recoverable: isFlag,
});
const isStreamShape = shaped({
  alias: (value) => isCount(value) && value <= 0xffff,
  stream: isText,
  epoch: isCount,
  rendition: isText,
  rate_hz: isPositive,
  factor: (value) => Number.isSafeInteger(value) && value >= 1,
  leads: someOf(isLead),
  all_leads: someOf(isText),
  unit: (value) => value === "uV",
  source: isSource,
  patient: isText,
  frame_ms: isPositive,
});
const place = { stream: isText, epoch: isCount, sample: isCount };

/** @type {Record<ServerMessage["type"], Check>} */
const SHAPES = {
  welcome: shaped({
    protocol: (value) => value === "vital.v1",
    connection: isText,
    server_ms: isNumber,
    ack: shaped({ messages: isPositive, ms: isPositive }),
    keepalive_s: isPositive,
  }),
  roster: shaped({
    streams: listOf(
      shaped({
        stream: isText,
        patient: isText,
        name: isText,
        ward: isText,
        ward_name: isText,
        bed: isText,
        source: isSource,
        online: isFlag,
        hr_low: orMissing(orNull(isCount)),
        hr_high: orMissing(orNull(isCount)),
      }),
    ),
  }),
  stream: (value) =>
    isStreamShape(value) && value.leads.every((/** @type {Lead} */ { name }) => value.all_leads.includes(name)),
  vitals: shaped({
    ...place,
    hr: orNull((value) => isNumber(value) && value >= 0),
    hr_source: orNull(isText),
    rhythm: orMissing(isText),
    pvc_per_min: orMissing(isCount),
    beats: orMissing(listOf((beat) => Array.isArray(beat) && beat.length === 2 && isCount(beat[0]) && isText(beat[1]))),
  }),
  quality: shaped({
    ...place,
    state: (value) => value === "live" || value === "silent",
    leads_off: listOf(isText),
    rate_hz: orNull(isPositive),
  }),
  gap: (value) => isGapShape(value) && value.from < value.to,
  denied: shaped({ stream: isText }),
  alarm: shaped({
    alarm: isText,
    state: (value) => value === "active" || value === "acknowledged" || value === "ended" || value === "closed",
    origin: isText,
    stream: isText,
    epoch: isCount,
    ward: isText,
    patient: isText,
    kind: isText,
    severity: (value) => value === "high" || value === "medium" || value === "low" || value === "technical",
    priority: isText,
    latching: isFlag,
    text: isText,
    value: orNull(isNumber),
    limit: orNull(isNumber),
    unit: isText,
    from: isCount,
    to: isCount,
    lead: isText,
    sample: isCount,
    revision: isCount,
    condition_delay_s: isNumber,
    signal_delay_s: isNumber,
    raised_ms: isNumber,
    cleared_ms: orNull(isNumber),
    acknowledged_ms: orNull(isNumber),
    acknowledged_by: isText,
    unstored: isFlag,
  }),
  alarm_withdrawn: shaped({ alarm: isText }),
  alarms: shaped({ count: isNumber, may: listOf(isText), paused_until_ms: orNull(isNumber) }),
  audio: shaped({ paused_until_ms: orNull(isNumber), broken_by: orNull(isText) }),
  refused: shaped({ of: isText, target: isText, reason: isText }),
  throttled: shaped({ link: isText, left_s: isNumber }),
  review: shaped({ id: isCount, more: isFlag, data: isText }),
  cadence: shaped({ messages: isPositive, ms: isPositive }),
  time: shaped({ t0: orMissing(isNumber), server_ms: isNumber }),
  stats: shaped({
    rtt_ms: orNull(isNumber),
    goodput_bps: orNull(isNumber),
    window_bytes: isCount,
    in_flight_bytes: isCount,
    queued: isCounts,
    dropped: isCount,
    expired: isCount,
    drops: orMissing(isCounts),
    condition: isText,
    rendition: isText,
    reason: isText,
    overload: orMissing(isText),
    layer: orMissing(isText),
  }),
  bye: shaped({ code: isCount, reason: isText, retry_after_ms: orNull(isNumber) }),
};

/**
 * The messages in one text: an object, or an array of objects. Unknown types are left out, unless they must
 * be understood; those, and what is malformed, throw ProtocolError.
 * @param {string} text
 * @returns {ServerMessage[]}
 */
export function parseServerMessages(text) {
  if (text.length > MAX_TEXT) throw new ProtocolError("message is larger than 1 MiB");
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ProtocolError("message is not valid JSON");
  }
  /** @type {ServerMessage[]} */
  const messages = [];
  for (const message of Array.isArray(value) ? value : [value]) {
    if (!isObject(message) || !isText(message.type)) throw new ProtocolError("message is not an object with a type");
    if (Object.hasOwn(SHAPES, message.type)) {
      if (!SHAPES[/** @type {ServerMessage["type"]} */ (message.type)](message)) {
        throw new ProtocolError(`${message.type} has a field that is missing or wrong`);
      }
      messages.push(/** @type {ServerMessage} */ (message));
    } else if (message.must_understand === true) {
      throw new ProtocolError("type is unknown, and must be understood");
    }
  }
  return messages;
}

/** @type {Check} */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
