// @ts-check
/** What all processes have told so far: the newest of each, rates between two tellings, and what is stale. Pure. */

import { Ring } from "./ring.js";

/** Seconds without figures after which those of a process are stale: it tells every second. */
export const STALE_S = 3.5;
/** Seconds after which a process that tells nothing, and is in no list, is forgotten. */
export const FORGOTTEN_S = 60;
/** Groups of a busy process come in turns. */
const GROUP_FORGOTTEN_S = 60;
const SPARK = 60;

/**
 * @typedef {object} Listed what a process has written into the table of processes
 * @property {string} process
 * @property {string} host
 * @property {number} pid
 * @property {number} version
 * @property {string | null} refusal
 * @property {number} silent_s
 * @property {boolean} is_gone
 */
/**
 * @typedef {object} ViewerFigures
 * @property {string} connection
 * @property {string} actor
 * @property {number | null} user
 * @property {number} since_s
 * @property {string} state
 * @property {string} condition
 * @property {number | null} rtt_ms
 * @property {number | null} goodput_bps
 * @property {number} window
 * @property {number} in_flight
 * @property {number} queued
 * @property {number} queued_bytes
 * @property {number} oldest_ms
 * @property {string} rendition
 * @property {string} reason
 * @property {Record<string, number>} drops
 * @property {number | null} lost_s
 * @property {number | null} acked_s
 * @property {number} watches
 * @property {string[]} streams
 */
/**
 * @typedef {object} GroupFigures
 * @property {string} group
 * @property {number} viewers
 * @property {string} state
 * @property {number} rate
 * @property {number | null} ratio
 * @property {number} level
 * @property {number} queued
 * @property {number} queued_bytes
 * @property {number} utilization
 * @property {number} pressure
 * @property {number} sent
 * @property {number} sent_bytes
 * @property {number} dropped
 * @property {number | null} age_p50_ms
 * @property {number | null} age_p95_ms
 * @property {number | null} age_p99_ms
 */
/**
 * @typedef {object} Figures
 * @property {string} process
 * @property {number} at_ms
 * @property {string} overload
 * @property {number} lag_ms
 * @property {number} rss_mb
 * @property {number} queued_bytes
 * @property {number} devices
 * @property {number} silent
 * @property {number} sent
 * @property {number} sent_bytes
 * @property {number} dropped
 * @property {string} layer
 * @property {number} lost_messages
 * @property {number} settings_version
 * @property {Record<string, string>} degraded
 * @property {GroupFigures[]} groups
 * @property {ViewerFigures[]} viewers
 * @property {number} viewer_count
 */

/** One process: a row of the first table. */
export class ProcessRow {
  /** @type {Listed | null} */ listed = null;
  /** @type {Figures | null} */ figures = null;
  /** When the figures came, in seconds of this page. */ at = -Infinity;
  /** @type {number | null} */ bytesPerS = null;
  /** @type {number | null} */ sentPerS = null;
  /** @type {number | null} */ droppedPerS = null;
  lag = new Ring(SPARK);
  memory = new Ring(SPARK);
  bytes = new Ring(SPARK);

  /** @param {string} process */
  constructor(process) {
    this.key = process;
    this.process = process;
  }

  /** @param {number} now */
  isStale(now) {
    return now - this.at > STALE_S;
  }

  /** @param {Figures} told @param {number} now */
  take(told, now) {
    const before = this.figures, seconds = before ? (told.at_ms - before.at_ms) / 1000 : 0;
    this.bytesPerS = before ? rate(before.sent_bytes, told.sent_bytes, seconds) : null;
    this.sentPerS = before ? rate(before.sent, told.sent, seconds) : null;
    this.droppedPerS = before ? rate(before.dropped, told.dropped, seconds) : null;
    this.figures = told;
    this.at = now;
    this.lag.push(told.lag_ms);
    this.memory.push(told.rss_mb);
    this.bytes.push(this.bytesPerS);
  }
}

/** One group in one process. */
export class GroupRow {
  /** @type {GroupFigures} */ figures;
  at = 0;
  #atMs = 0;
  /** @type {number | null} */ droppedPerS = null;
  rate = new Ring(SPARK);

  /** @param {string} key @param {string} process @param {GroupFigures} figures */
  constructor(key, process, figures) {
    this.key = key;
    this.process = process;
    this.figures = figures;
  }

  /** @param {GroupFigures} told @param {number} atMs @param {number} now */
  take(told, atMs, now) {
    if (this.#atMs) this.droppedPerS = rate(this.figures.dropped, told.dropped, (atMs - this.#atMs) / 1000);
    this.figures = told;
    this.at = now;
    this.#atMs = atMs;
    this.rate.push(told.rate);
  }

  /** @param {number} now */
  isStale(now) {
    return now - this.at > STALE_S;
  }
}

/** One viewer. */
export class ViewerRow {
  /** @type {ViewerFigures} */ figures;
  at = 0;
  /** Its place in what its process told: the first fares worst. */ rank = 0;
  rtt = new Ring(SPARK);

  /** @param {string} process @param {ViewerFigures} figures */
  constructor(process, figures) {
    this.key = figures.connection;
    this.process = process;
    this.figures = figures;
  }

  /** @param {string} process @param {ViewerFigures} told @param {number} rank @param {number} now */
  take(process, told, rank, now) {
    this.process = process;
    this.rank = rank;
    this.figures = told;
    this.at = now;
    this.rtt.push(told.rtt_ms);
  }

  /** @param {number} now */
  isStale(now) {
    return now - this.at > STALE_S;
  }
}

export class Deployment {
  /** @type {Map<string, ProcessRow>} */ processes = new Map();
  /** @type {Map<string, GroupRow>} */ groups = new Map();
  /** @type {Map<string, ViewerRow>} */ viewers = new Map();
  /** The newest version of the settings. */ version = 0;

  /** @param {{processes: Listed[], version: number}} message */
  list(message) {
    this.version = message.version;
    const listed = new Map(message.processes.map((each) => [each.process, each]));
    for (const [process, each] of listed) this.#process(process).listed = each;
    for (const row of this.processes.values()) row.listed = listed.get(row.process) ?? null;
  }

  /** @param {Figures} told @param {number} now */
  take(told, now) {
    const { process } = told;
    this.#process(process).take(told, now);
    for (const group of told.groups) {
      const key = `${process} ${group.group}`, row = this.groups.get(key) ?? new GroupRow(key, process, group);
      this.groups.set(key, row);
      row.take(group, told.at_ms, now);
    }
    const seen = new Set();
    for (const [rank, viewer] of told.viewers.entries()) {
      seen.add(viewer.connection);
      const row = this.viewers.get(viewer.connection) ?? new ViewerRow(process, viewer);
      this.viewers.set(viewer.connection, row);
      row.take(process, viewer, rank, now);
    }
    for (const [key, row] of this.viewers) if (row.process === process && !seen.has(key)) this.viewers.delete(key);
  }

  /** What nobody tells of any more goes, after it was shown as stale. @param {number} now */
  forget(now) {
    for (const [key, row] of this.processes) {
      if (row.listed === null && now - row.at > FORGOTTEN_S) this.processes.delete(key);
    }
    for (const [key, row] of this.groups) if (now - row.at > GROUP_FORGOTTEN_S) this.groups.delete(key);
    for (const [key, row] of this.viewers) if (now - row.at > FORGOTTEN_S) this.viewers.delete(key);
  }

  /** How many viewers the processes have that tell now, shown or not. @param {number} now */
  viewerCount(now) {
    let sum = 0;
    for (const row of this.processes.values()) if (!row.isStale(now)) sum += row.figures?.viewer_count ?? 0;
    return sum;
  }

  /** @param {string} process */
  #process(process) {
    const row = this.processes.get(process) ?? new ProcessRow(process);
    this.processes.set(process, row);
    return row;
  }
}

/**
 * How much a second between two readings of a counter; null where it began anew, or no time passed.
 * @param {number} before
 * @param {number} now
 * @param {number} seconds
 */
export function rate(before, now, seconds) {
  return seconds > 0 && now >= before ? (now - before) / seconds : null;
}

/**
 * Rows in the order of a figure, those that have none last whatever the direction; equals by their key.
 * @template {{key: string}} T
 * @param {T[]} rows
 * @param {(row: T) => string | number | null | undefined} read
 * @param {boolean} falling
 */
export function ordered(rows, read, falling) {
  const sign = falling ? -1 : 1;
  return rows
    .map((row) => ({ row, value: read(row) }))
    .sort((a, b) => {
      if (a.value === b.value) return a.row.key < b.row.key ? -1 : 1;
      if (a.value === null || a.value === undefined) return 1;
      if (b.value === null || b.value === undefined) return -1;
      return a.value < b.value ? -sign : sign;
    })
    .map(({ row }) => row);
}

/**
 * Whether every word of the filter is somewhere in the text, in whatever case.
 * @param {string} text
 * @param {string} filter
 */
export function matches(text, filter) {
  const low = text.toLowerCase();
  return filter.toLowerCase().split(/\s+/).every((word) => low.includes(word));
}
