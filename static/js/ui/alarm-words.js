// @ts-check
/** How an alarm is said: its severity in a word, since when, who has seen to it, and which bed. */

import { t, word, zone } from "../i18n.js";
import { ALARMS_OFF } from "../stream/alarms.js";
import { durationText } from "../stream/freshness.js";

/** @typedef {import("../stream/alarm-list.js").Entry} Entry */
/** @typedef {import("../stream/messages.js").Severity} Severity */

/** From the gravest on. @type {readonly Severity[]} */
export const SEVERITIES = Object.freeze(["high", "medium", "low", "technical"]);

/** Names of a severity in the stylesheet, where low looks as technical does but for its symbol. */
export const MARKS = Object.freeze({ high: "high", medium: "med", low: "low", technical: "tech" });

export const WORDS = Object.freeze({ high: t("High"), medium: t("Medium"), low: t("Low"), technical: t("Technical") });

/**
 * The symbol of an alarm in the sprite.
 * @param {Entry} entry
 */
export function iconOf({ severity, alarm }) {
  return alarm?.kind === ALARMS_OFF ? "bell-off" : MARKS[severity];
}

/**
 * Hours, minutes and seconds of the day, by the page's clock.
 * @param {number} ms since 1970
 */
export function clockText(ms) {
  return zone.time(ms);
}

/**
 * How long it stands; empty where nobody knows.
 * @param {Entry} entry
 * @param {number} nowMs
 */
export function lastedText({ sinceMs }, nowMs) {
  return sinceMs === null ? "" : durationText(Math.max(0, nowMs - sinceMs) / 1000);
}

/**
 * When somebody saw to it, and who.
 * @param {Entry} entry
 */
export function seenText({ acknowledgedMs, acknowledgedBy }) {
  return acknowledgedMs === null ? "" : `${clockText(acknowledgedMs).slice(0, 5)} ${acknowledgedBy}`.trim();
}

/**
 * What stands behind the text in a lane.
 * @param {Entry} entry
 * @param {number} nowMs
 * @param {boolean} confirmed whether the server says so now
 */
export function sinceText(entry, nowMs, confirmed) {
  const lasted = lastedText(entry, nowMs);
  if (!confirmed && entry.alarm) return `${lasted} · ${t("last known")}`;
  if (entry.state === "acknowledged") return [lasted, seenText(entry)].filter(Boolean).join(" · ");
  return lasted;
}

/**
 * That its condition has ended, while it waits for somebody.
 * @param {Entry | undefined} entry
 */
export function overText(entry) {
  return entry?.state === "ended" ? t("ended") : "";
}

/**
 * The title of the page, by which a tab in the background is noticed: a high alarm that nobody has seen to comes first.
 * @param {readonly Entry[]} entries
 * @param {string} title without alarms
 */
export function titleText(entries, title) {
  const entry = entries.find(({ severity, state, alarm }) => severity === "high" && state === "active" && alarm);
  if (!entry?.alarm) return title;
  return `(!) ${kindText(entry.alarm.kind).toUpperCase()} ${entry.place.replace(/^Bed/, "bed")} - VITAL`;
}

/**
 * What is read aloud of an alarm, once.
 * @param {Entry} entry
 */
export function spokenText({ severity, state, place, text }) {
  const values = { severity: WORDS[severity], place, text };
  return state === "ended" ? t("{severity} alarm, {place}: {text}, ended", values) : t("{severity} alarm, {place}: {text}", values);
}

/**
 * The value that an alarm is about, as the stylesheet names it; null for what no number here shows.
 * @param {Entry | undefined} entry
 */
export function about(entry) {
  return entry?.alarm?.unit === "bpm" && entry.state !== "ended" ? "hr" : null;
}

/** @type {Record<string, string>} */
const RHYTHMS = { af: t("AF?"), bigeminy: t("Bigeminy"), couplet: t("Couplets"), run: t("V run") };

/**
 * The rhythm that a high alarm says there is, else what stands out of the beats: information, no alarm.
 * @param {Entry | undefined} entry
 * @param {{name: string, pvcPerMin: number}} beats
 */
export function rhythmText(entry, beats) {
  if (!entry?.alarm || entry.severity !== "high" || entry.state === "ended") {
    const pvcs = beats.pvcPerMin > 0 ? t("PVC {n}/min", { n: beats.pvcPerMin }) : "";
    return [RHYTHMS[beats.name] ?? "", pvcs].filter(Boolean).join(" · ");
  }
  return kindText(entry.alarm.kind);
}

/** @type {Record<string, string>} kinds that stand for a rhythm */
const KINDS = {
  asystole: word("Asystole"),
  fibrillation: word("Fibrillation"),
  "ventricular tachycardia": word("Ventricular tachycardia"),
  "extreme tachycardia": word("Extreme tachycardia"),
  "extreme bradycardia": word("Extreme bradycardia"),
};

/** @param {string} kind */
function kindText(kind) {
  return Object.hasOwn(KINDS, kind) ? t(KINDS[kind]) : kind.charAt(0).toUpperCase() + kind.slice(1);
}

/**
 * Beyond which heart rates an alarm is due, as a range; empty where nobody says.
 * @param {import("../stream/messages.js").RosterEntry} entry
 */
export function limitsText({ hr_low, hr_high }) {
  return hr_low == null || hr_high == null ? "" : `${hr_low}–${hr_high}`;
}
