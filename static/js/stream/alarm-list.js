// @ts-check
/** All alarms that a page shows, its own among them, in the order in which they want somebody. */

import { t } from "../i18n.js";
import { ALARMS_OFF } from "./alarms.js";
import { saidOf } from "./alarm-text.js";

/** @typedef {import("./alarms.js").Alarm} Alarm */
/** @typedef {import("./feed.js").Feed} Feed */
/** @typedef {import("./messages.js").Severity} Severity */

/**
 * One alarm as it is shown.
 * @typedef {object} Entry
 * @property {string} key of all that is shown, each has another
 * @property {Alarm | null} alarm null: the page found it by itself
 * @property {Severity} severity
 * @property {"active" | "acknowledged" | "ended"} state
 * @property {Feed | null} feed the bed on which it is drawn
 * @property {string} place the bed, with its ward where there are several; else who it is about
 * @property {string} text
 * @property {number | null} sinceMs when it began, on the server's clock; null where that is not known
 * @property {number | null} acknowledgedMs
 * @property {string} acknowledgedBy
 */

/** @typedef {{feed: Feed, kind: string, what: string, since: number | null}} Found what the page finds wrong with a bed, and seconds that it is */

/** @type {Readonly<Record<Severity, number>>} */
const RANK = { high: 0, medium: 1, low: 2, technical: 3 };
const HERE = t("on this page");

export class AlarmList {
  /** What was acknowledged here of what the page found by itself, and when. @type {Map<string, number>} */ #seen = new Map();
  /** In order: what nobody has seen to first, then by severity, the newest first. @type {readonly Entry[]} */ entries = [];
  /** @type {Map<Feed, Entry[]>} */ #ofBed = new Map();
  /** Keys of what the page had found by itself. @type {ReadonlySet<string>} */ #own = new Set();
  /** Whether the page has just found something that has stopped, or is wrong. */ hasFoundMore = false;

  /**
   * @param {object} known
   * @param {readonly Alarm[]} known.alarms
   * @param {readonly Found[]} known.found
   * @param {(stream: string) => Feed | null} known.bed
   * @param {boolean} known.several whether a bed's name needs its ward's
   * @param {boolean} known.offline then one cause is behind all that the page finds: it stays at its beds, and out of `entries`
   * @param {number} known.nowMs the server's clock
   */
  arrange({ alarms, found, bed, several, offline, nowMs }) {
    /** @type {Entry[]} */
    const entries = [];
    for (const alarm of alarms) entries.push(...told(alarm, bed(alarm.stream), several));
    // The server says the same in its own words; what a device says with them is something else.
    const known = new Set(alarms.flatMap(({ stream, kind, origin }) => (origin === "device" ? [] : `${kind} ${stream}`)));
    for (const wrong of found) {
      if (!known.has(`${wrong.kind} ${wrong.feed.id}`)) entries.push(this.#entry(wrong, several, nowMs));
    }
    const keys = new Set(entries.map(({ key }) => key));
    // Of data that the page never saw since it was opened nobody can say that they stopped.
    const own = new Set(entries.flatMap(({ key, alarm, sinceMs }) => (alarm === null && sinceMs !== null ? key : [])));
    this.hasFoundMore = [...own].some((key) => !this.#own.has(key));
    this.#own = own;
    for (const key of this.#seen.keys()) if (!keys.has(key)) this.#seen.delete(key);
    entries.sort(byUrgency);
    this.entries = offline ? entries.filter(({ alarm }) => alarm !== null) : entries;
    this.#ofBed = new Map();
    for (const entry of entries) {
      if (!entry.feed) continue;
      const beside = this.#ofBed.get(entry.feed);
      if (beside) beside.push(entry);
      else this.#ofBed.set(entry.feed, [entry]);
    }
  }

  /**
   * Those of one bed, in order.
   * @param {Feed} feed
   * @returns {readonly Entry[]}
   */
  of(feed) {
    return this.#ofBed.get(feed) ?? [];
  }

  /**
   * Somebody has seen to what this page found by itself; of that no server knows.
   * @param {string} key of its entry
   * @param {number} nowMs
   */
  see(key, nowMs) {
    this.#seen.set(key, nowMs);
  }

  /**
   * The severity that is to be heard now; null when nothing is. What was seen to or says that alarms are off makes no
   * sound; what latches is heard, as it is seen, until somebody has seen to it (IEC 60601-1-8, latching alarm signals).
   * @returns {Severity | null}
   */
  get audible() {
    const heard = this.entries.filter(({ state, alarm }) => state !== "acknowledged" && alarm?.kind !== ALARMS_OFF);
    return heard.map(({ severity }) => severity).sort((a, b) => RANK[a] - RANK[b])[0] ?? null;
  }

  /**
   * @param {Found} wrong
   * @param {boolean} several
   * @param {number} nowMs
   * @returns {Entry}
   */
  #entry({ feed, kind, what, since }, several, nowMs) {
    const key = `own ${kind} ${feed.id}`;
    const seenMs = this.#seen.get(key) ?? null;
    return {
      key,
      alarm: null,
      severity: "technical",
      state: seenMs === null ? "active" : "acknowledged",
      feed,
      place: placeOf(feed, several),
      text: what,
      sinceMs: since === null ? null : nowMs - since * 1000,
      acknowledgedMs: seenMs,
      acknowledgedBy: seenMs === null ? "" : HERE,
    };
  }
}

/**
 * An alarm, on its bed. One of another patient than the one who is in that bed is drawn on none, and a technical
 * alarm says so.
 * @param {Alarm} alarm
 * @param {Feed | null} feed
 * @param {boolean} several
 * @returns {Entry[]}
 */
function told(alarm, feed, several) {
  const fits = feed !== null && feed.entry.patient === alarm.patient;
  const state = alarm.state === "closed" ? "ended" : alarm.state;
  /** @type {Entry} */
  const entry = {
    key: alarm.alarm,
    alarm,
    severity: alarm.severity,
    state,
    feed: fits ? feed : null,
    place: fits ? placeOf(feed, several) : alarm.patient || t("System"),
    text: saidOf(alarm),
    sinceMs: alarm.raised_ms,
    acknowledgedMs: alarm.acknowledged_ms,
    acknowledgedBy: alarm.acknowledged_by,
  };
  if (fits || feed === null) return [entry];
  const place = placeOf(feed, several);
  const people = { theirs: alarm.patient, ours: feed.entry.patient };
  const wrong = t("Wrong patient: an alarm of {theirs} came for this bed of {ours}", people);
  const note = { key: `own patient ${alarm.alarm}`, severity: /** @type {const} */ ("technical"), place, text: wrong };
  return [entry, { ...entry, ...note, alarm: null }];
}

/**
 * @param {Feed} feed
 * @param {boolean} several
 */
function placeOf(feed, several) {
  const { bed, ward_name: ward } = feed.entry;
  return several ? t("{ward} bed {bed}", { ward, bed }) : t("Bed {bed}", { bed });
}

/**
 * By severity; what has ended comes behind a value that is beyond its limit now, which it would hide.
 * @param {Entry} entry
 */
function rank({ severity, state }) {
  return RANK[severity] + (state === "ended" ? 1.5 : 0);
}

/**
 * @param {Entry} a
 * @param {Entry} b
 */
function byUrgency(a, b) {
  return (
    Number(a.state === "acknowledged") - Number(b.state === "acknowledged") ||
    rank(a) - rank(b) ||
    (b.sinceMs ?? 0) - (a.sinceMs ?? 0) ||
    (a.key < b.key ? -1 : 1)
  );
}
