// @ts-check
/** What the three tables have in their columns, in which words, and what their filter looks at. Pure. */

import { counted, count, lasting, milliseconds, percent, perSecond, size, UNKNOWN } from "./words.js";

/** @typedef {import("./deployment.js").ProcessRow} ProcessRow */
/** @typedef {import("./deployment.js").GroupRow} GroupRow */
/** @typedef {import("./deployment.js").ViewerRow} ViewerRow */
/** @typedef {import("./deployment.js").Deployment} Deployment */
/** @typedef {import("./names.js").Names} Names */
/** @template T @typedef {import("./table.js").Column<T>} Column */

const BITS = 8;

/** @param {Deployment} deployment @returns {Column<ProcessRow>[]} */
export function ofProcesses(deployment) {
  return [
    {
      title: "Process",
      say: ({ process }) => process,
      by: ({ process }) => process,
      small: ({ listed }) => (listed ? `${listed.host}, ${listed.pid}` : "in no list"),
    },
    {
      title: "State",
      say: (row, now) => processState(row, now),
      by: (row, now) => processState(row, now),
      small: (row) => processTrouble(row, deployment.version),
      strong: (row, now) => processState(row, now) !== "normal" || processTrouble(row, deployment.version) !== "",
    },
    { title: "Loop lag", number: true, say: ({ figures }) => milliseconds(figures?.lag_ms), by: ({ figures }) => figures?.lag_ms, spark: ({ lag }) => lag },
    {
      title: "Memory",
      number: true,
      say: ({ figures }) => size(figures && 1e6 * figures.rss_mb),
      by: ({ figures }) => figures?.rss_mb,
      spark: ({ memory }) => memory,
    },
    { title: "Viewers", number: true, say: ({ figures }) => count(figures?.viewer_count), by: ({ figures }) => figures?.viewer_count },
    {
      title: "Devices",
      number: true,
      say: ({ figures }) => count(figures?.devices),
      by: ({ figures }) => figures?.devices,
      small: ({ figures }) => (figures?.silent ? `${figures.silent} silent` : ""),
    },
    { title: "Sent", number: true, say: ({ bytesPerS }) => perSecond(bytesPerS), by: ({ bytesPerS }) => bytesPerS, spark: ({ bytes }) => bytes },
    { title: "Messages/s", number: true, say: ({ sentPerS }) => count(sentPerS), by: ({ sentPerS }) => sentPerS },
    {
      title: "Drops/s",
      number: true,
      say: ({ droppedPerS }) => count(droppedPerS, 1),
      by: ({ droppedPerS }) => droppedPerS,
      small: ({ figures }) => (figures?.dropped ? `${count(figures.dropped)} in all` : ""),
      strong: ({ droppedPerS }) => (droppedPerS ?? 0) > 0,
    },
    { title: "Queued", number: true, say: ({ figures }) => size(figures?.queued_bytes), by: ({ figures }) => figures?.queued_bytes },
    {
      title: "Settings",
      number: true,
      say: ({ figures, listed }) => count(figures?.settings_version ?? listed?.version),
      by: ({ figures, listed }) => figures?.settings_version ?? listed?.version,
    },
  ];
}

/** @param {Names} names @returns {Column<GroupRow>[]} */
export function ofGroups(names) {
  return [
    {
      title: "Group",
      say: ({ figures }) => figures.group,
      by: ({ figures }) => figures.group,
      small: ({ figures }) => names.stream(streamOf(figures.group)) ?? "",
    },
    { title: "Process", say: ({ process }) => process, by: ({ process }) => process, small: (row, now) => age(row, now) },
    {
      title: "State",
      say: ({ figures }) => figures.state,
      by: ({ figures }) => figures.state,
      strong: ({ figures }) => figures.state !== "normal",
    },
    { title: "Viewers", number: true, say: ({ figures }) => count(figures.viewers), by: ({ figures }) => figures.viewers },
    {
      title: "Messages/s",
      number: true,
      say: ({ figures }) => count(figures.rate, 1),
      by: ({ figures }) => figures.rate,
      spark: ({ rate }) => rate,
    },
    {
      title: "Saved against JSON",
      number: true,
      say: ({ figures }) => percent(figures.ratio === null ? null : figures.ratio / 100),
      by: ({ figures }) => figures.ratio,
      small: ({ figures }) => (figures.level ? `level ${figures.level}` : ""),
    },
    {
      title: "Queue",
      number: true,
      say: ({ figures }) => count(figures.queued),
      by: ({ figures }) => figures.queued_bytes,
      small: ({ figures }) => (figures.queued ? size(figures.queued_bytes) : ""),
    },
    { title: "Pressure", number: true, say: ({ figures }) => percent(figures.pressure), by: ({ figures }) => figures.pressure },
    {
      title: "Drops/s",
      number: true,
      say: ({ droppedPerS }) => count(droppedPerS, 1),
      by: ({ droppedPerS }) => droppedPerS,
      small: ({ figures }) => (figures.dropped ? `${count(figures.dropped)} in all` : ""),
      strong: ({ droppedPerS }) => (droppedPerS ?? 0) > 0,
    },
    {
      title: "Age p95",
      number: true,
      say: ({ figures }) => milliseconds(figures.age_p95_ms),
      by: ({ figures }) => figures.age_p95_ms,
      small: ({ figures }) => (figures.age_p50_ms === null ? "" : `p50 ${milliseconds(figures.age_p50_ms)}`),
    },
  ];
}

/** @param {Names} names @returns {Column<ViewerRow>[]} */
export function ofViewers(names) {
  return [
    {
      title: "Viewer",
      say: ({ figures }) => names.user(figures.user, figures.actor),
      by: ({ figures }) => names.user(figures.user, figures.actor),
      small: ({ figures, process }) => `${figures.connection} at ${process}`,
    },
    {
      title: "State",
      say: (row, now) => (row.isStale(now) ? `${lasting(now - row.at)} old` : row.figures.state),
      by: ({ rank }) => rank,
      small: ({ figures }) => `network ${figures.condition}`,
      strong: ({ figures }) => figures.state !== "normal",
    },
    {
      title: "Round trip",
      number: true,
      say: ({ figures }) => milliseconds(figures.rtt_ms),
      by: ({ figures }) => figures.rtt_ms,
      spark: ({ rtt }) => rtt,
    },
    {
      title: "Arrives",
      number: true,
      say: ({ figures }) => perSecond(figures.goodput_bps === null ? null : figures.goodput_bps / BITS),
      by: ({ figures }) => figures.goodput_bps,
    },
    {
      title: "In flight",
      number: true,
      say: ({ figures }) => size(figures.in_flight),
      by: ({ figures }) => figures.in_flight,
      small: ({ figures }) => `of ${size(figures.window)}`,
    },
    {
      title: "Queue",
      number: true,
      say: ({ figures }) => count(figures.queued),
      by: ({ figures }) => figures.queued_bytes,
      small: ({ figures }) => (figures.queued ? `${size(figures.queued_bytes)}, ${milliseconds(figures.oldest_ms)}` : ""),
    },
    {
      title: "Sent as",
      say: ({ figures }) => figures.rendition,
      by: ({ figures }) => QUALITIES.indexOf(figures.rendition),
      small: ({ figures }) => figures.reason,
      strong: ({ figures }) => figures.rendition !== "lossless",
    },
    {
      title: "Drops",
      number: true,
      say: ({ figures }) => count(total(figures.drops)),
      by: ({ figures }) => total(figures.drops),
      small: ({ figures }) => (figures.lost_s === null ? "" : `last ${lasting(figures.lost_s)} ago`),
      strong: ({ figures }) => figures.lost_s !== null && figures.lost_s < 10,
    },
    { title: "Ack", number: true, say: ({ figures }) => ago(figures.acked_s), by: ({ figures }) => figures.acked_s },
    {
      title: "Watches",
      say: ({ figures }) => counted(figures.watches, "stream"),
      by: ({ figures }) => figures.watches,
      small: ({ figures }) => watched(figures, names),
    },
    { title: "Since", number: true, say: ({ figures }) => lasting(figures.since_s), by: ({ figures }) => figures.since_s },
  ];
}

const QUALITIES = ["lossless", "diagnostic", "display", "overview", "vitals"];

/**
 * What the filter of each table looks at: all that its rows show as words.
 * @param {ProcessRow} row
 * @param {number} now
 * @param {number} version
 */
export function processText(row, now, version) {
  return [row.process, row.listed?.host, processState(row, now), processTrouble(row, version)].join(" ");
}

/** @param {GroupRow} row @param {Names} names */
export function groupText({ process, figures }, names) {
  return [process, figures.group, figures.state, names.stream(streamOf(figures.group))].join(" ");
}

/** @param {ViewerRow} row @param {Names} names */
export function viewerText({ process, figures }, names) {
  return [
    process,
    figures.connection,
    figures.actor,
    names.user(figures.user, figures.actor),
    figures.state,
    figures.condition,
    figures.rendition,
    figures.reason,
    ...figures.streams.flatMap((stream) => [stream, names.stream(stream)]),
  ].join(" ");
}

/** @param {string} group */
export function streamOf(group) {
  return group.startsWith("ecg.") ? group.slice(4) : "";
}

/** @param {ProcessRow} row @param {number} now */
export function processState(row, now) {
  if (row.figures && !row.isStale(now)) return row.figures.overload;
  if (row.figures) return `stale, ${lasting(now - row.at)} old`;
  return row.listed?.is_gone ? `not heard for ${lasting(row.listed.silent_s)}` : "no figures yet";
}

/** @param {ProcessRow} row @param {number} version */
function processTrouble({ figures, listed }, version) {
  const trouble = [];
  if (figures && figures.layer !== "ok") trouble.push("channel layer away");
  for (const [what, why] of Object.entries(figures?.degraded ?? {})) trouble.push(`${what}: ${why}`);
  if (listed?.refusal) trouble.push(`refuses settings: ${listed.refusal}`);
  else if (figures && version && figures.settings_version !== version) trouble.push(`loads settings ${version}`);
  return trouble.join("; ");
}

/** @param {GroupRow} row @param {number} now */
function age(row, now) {
  return row.isStale(now) ? `read ${lasting(now - row.at)} ago` : "";
}

/** @param {number | null} seconds */
function ago(seconds) {
  return seconds === null ? UNKNOWN : `${seconds.toFixed(1)} s ago`;
}

/** @param {import("./deployment.js").ViewerFigures} figures @param {Names} names */
function watched({ streams, watches }, names) {
  const [first] = streams;
  if (!first) return "";
  const name = names.stream(first) ?? first;
  return watches > 1 ? `${name} and ${watches - 1} more` : name;
}

/** @param {Record<string, number>} drops */
export function total(drops) {
  return Object.values(drops).reduce((sum, each) => sum + each, 0);
}
