// @ts-check
/** Messages about alarms for tests: of one medium alarm, but for what is given. */

/** @typedef {import("../../static/js/stream/messages.js").Alarm} Alarm */

/** @param {Partial<Alarm>} fields @returns {Alarm} */
export const alarm = (fields) => ({
  type: "alarm", alarm: "a1", state: "active", origin: "analysis", stream: "a", epoch: 1, ward: "w", patient: "P-1", kind: "hr high",
  severity: "medium", priority: "critical", latching: false, text: "HR 134 > 120", value: 134, limit: 120, unit: "bpm",
  from: 100, to: 900, lead: "II", sample: 900, revision: 0, condition_delay_s: 3, signal_delay_s: 0, raised_ms: 1000,
  cleared_ms: null, acknowledged_ms: null, acknowledged_by: "", unstored: false, ...fields,
});

/** @param {Partial<import("../../static/js/stream/messages.js").Alarms>} fields @returns {import("../../static/js/stream/messages.js").Alarms} */
export const alarms = (fields) => ({
  type: "alarms", count: 0, may: ["acknowledge", "pause_audio", "switch_off"], paused_until_ms: null, ...fields,
});
