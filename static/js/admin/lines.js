// @ts-check
/** Which charts there are of a group's figures, and what each of their lines is. */

/**
 * @typedef {object} Line
 * @property {string} name of the figure in the server's answer
 * @property {string} label
 * @property {number} [factor] from the server's unit to the chart's
 */
/**
 * @typedef {object} ChartOf
 * @property {string} title
 * @property {string} unit
 * @property {number} digits
 * @property {number} [most] the axis never shows more
 * @property {boolean} [free] the axis need not begin at zero
 * @property {Line[]} lines
 */

/** @type {ChartOf[]} */
export const CHARTS = [
  {
    title: "Saved by compression", unit: "%", digits: 1, most: 100, free: true,
    lines: [
      { name: "saved_vs_json", label: "against JSON" },
      { name: "saved", label: "of the bytes given" },
    ],
  },
  {
    title: "Age when acknowledged", unit: "ms", digits: 0,
    lines: [
      { name: "age_p50_ms", label: "p50" },
      { name: "age_p95_ms", label: "p95" },
      { name: "age_p99_ms", label: "p99" },
    ],
  },
  { title: "Compression of one message", unit: "ms", digits: 3, lines: [{ name: "compress_ms", label: "mean" }] },
  {
    title: "Frame gathered and encoded, and queued", unit: "ms", digits: 1,
    lines: [
      { name: "encode_p95_ms", label: "encoded p95" },
      { name: "queue_p95_ms", label: "queued p95" },
    ],
  },
  { title: "Messages sent", unit: "/s", digits: 1, lines: [{ name: "messages_per_second", label: "all viewers" }] },
  { title: "Sent", unit: "Mbit/s", digits: 3, lines: [{ name: "sent_mbps", label: "all viewers" }] },
  { title: "Queue", unit: "messages", digits: 0, lines: [{ name: "buffer_size", label: "all viewers" }] },
  {
    title: "Fullest queue", unit: "%", digits: 1,
    lines: [
      { name: "pressure", label: "pressure", factor: 100 },
      { name: "buffer_utilization", label: "utilization", factor: 100 },
      { name: "high_watermark", label: "high watermark", factor: 100 },
    ],
  },
  {
    title: "Drops by reason", unit: "/min", digits: 1,
    lines: ["expired", "dropped", "quota", "emergency", "overload"].map((reason) => ({
      name: `drops_${reason}_per_min`, label: reason,
    })),
  },
  {
    title: "Viewers by rendition", unit: "", digits: 0,
    lines: [
      { name: "viewers", label: "all" },
      ...["lossless", "diagnostic", "display", "overview", "vitals"].map((quality) => ({
        name: `viewers_${quality}`, label: quality,
      })),
    ],
  },
  {
    title: "Viewers by network", unit: "", digits: 0,
    lines: ["excellent", "good", "fair", "poor", "critical"].map((condition) => ({
      name: `viewers_${condition}`, label: condition,
    })),
  },
  { title: "Event-loop lag", unit: "ms", digits: 1, lines: [{ name: "loop_lag_ms", label: "process" }] },
  { title: "Resident memory", unit: "MB", digits: 0, free: true, lines: [{ name: "rss_mb", label: "process" }] },
];

/**
 * @param {number | null | undefined} value
 * @param {number} digits
 */
export function said(value, digits) {
  return value === null || value === undefined ? "--" : value.toLocaleString("en", {
    minimumFractionDigits: digits, maximumFractionDigits: digits,
  });
}
