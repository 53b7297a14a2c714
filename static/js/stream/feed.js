// @ts-check
/** One stream as the page knows it: who it is, its samples, its numbers, and how fresh they are. */

import { Playout } from "../ecg/playout.js";
import { SampleRing } from "../ecg/ring.js";
import { freshness } from "./freshness.js";
import { HeartRateTrend } from "./trend.js";

/** @typedef {import("./messages.js").RosterEntry} RosterEntry */
/** @typedef {import("./messages.js").Stream} StreamInfo */

const OFF_CHANGES = 64; // of one lead: a loose electrode must not fill the memory
const HR_HELD_S = 5; // vitals come about once a second; a rate without a fresh one is no longer known

export class Feed {
  /** @type {RosterEntry} */ entry;
  /** @type {StreamInfo | null} */ info = null;
  /** @type {SampleRing | null} */ ring = null;
  /** @type {Playout | null} */ playout = null;
  /** Counts the epochs: what was drawn before it changed is of another recording. */
  generation = 0;
  /** Counts the late samples that filled what may be drawn already. */
  revision = 0;
  /** Index up to which the trace is due, advanced once per animation frame. */
  position = 0;
  /** @type {Map<string, number>} leads that are off now, and since which second */
  leadsOff = new Map();
  /** @type {Map<string, number[]>} per lead: where it went off, where it came back, and so on */
  #offChanges = new Map();
  #askedAt = Infinity;
  #hr = /** @type {number | null} */ (null);
  #hrSource = /** @type {string | null} */ (null);
  #hrAt = -Infinity;
  trend = new HeartRateTrend();

  /** @param {RosterEntry} entry */
  constructor(entry) {
    this.entry = entry;
  }

  get id() {
    return this.entry.stream;
  }

  /** The mark that a view must show: the epoch's own source before the roster's. */
  get source() {
    return this.info?.source ?? this.entry.source;
  }

  /**
   * The stream was asked for: from the first time on, its data is waited for.
   * @param {number} now seconds
   */
  ask(now) {
    this.#askedAt = Math.min(this.#askedAt, now);
  }

  /**
   * The server described the stream. A new epoch, or other leads, starts an empty ring.
   * @param {StreamInfo} info
   * @param {number} now
   */
  describe(info, now) {
    const before = this.info;
    this.info = info;
    if (before && before.epoch === info.epoch && sameSignals(before, info)) return;
    this.ring = new SampleRing(info.leads.length, info.rate_hz);
    this.playout = new Playout(info.rate_hz);
    this.position = 0;
    this.generation++;
    this.leadsOff = new Map();
    this.#offChanges.clear();
    this.#hrAt = -Infinity;
    this.#askedAt = now;
  }

  /**
   * Decoded samples, lead after lead, came at `now`.
   * @param {number} first
   * @param {Int16Array | Int32Array} planes
   * @param {number} count samples per lead
   * @param {boolean} late whether they fill an earlier hole
   * @param {number} now
   */
  write(first, planes, count, late, now) {
    if (!this.ring || !this.playout) return;
    this.ring.write(first, planes, count);
    if (!late) this.playout.arrive(first, first + count, now);
    if (first < this.position) this.revision++;
  }

  /** @param {number} now */
  advance(now) {
    if (this.playout) this.position = this.playout.advance(now);
  }

  /**
   * @param {{epoch: number, hr: number | null, hr_source: string | null}} vitals
   * @param {number} now
   */
  setVitals(vitals, now) {
    if (this.info && vitals.epoch !== this.info.epoch) return;
    this.#hr = vitals.hr;
    this.#hrSource = vitals.hr_source;
    this.#hrAt = now;
    this.trend.set(Math.floor(now), vitals.hr);
  }

  /**
   * @param {{epoch: number, sample: number, leads_off: string[], rate_hz: number | null}} quality
   * @param {number} now
   */
  setQuality(quality, now) {
    if (this.info && quality.epoch !== this.info.epoch) return;
    const off = new Map(quality.leads_off.map((name) => [name, this.leadsOff.get(name) ?? now]));
    for (const name of new Set([...off.keys(), ...this.leadsOff.keys()])) {
      if (off.has(name) === this.leadsOff.has(name)) continue;
      const changes = this.#offChanges.get(name) ?? [];
      this.revision++;
      changes.push(quality.sample);
      if (changes.length > OFF_CHANGES) changes.splice(0, 2);
      this.#offChanges.set(name, changes);
    }
    this.leadsOff = off;
    if (quality.rate_hz) this.playout?.measured(quality.rate_hz);
  }

  /**
   * Whether the lead was off at a sample, and the index at which that ends, at most `limit`.
   * @param {string} name
   * @param {number} index
   * @param {number} limit
   * @returns {{off: boolean, end: number}}
   */
  offAt(name, index, limit) {
    const changes = this.#offChanges.get(name);
    if (!changes) return { off: false, end: limit };
    const at = changes.findIndex((change) => change > index);
    const passed = at < 0 ? changes.length : at;
    return { off: passed % 2 === 1, end: at < 0 ? limit : Math.min(changes[at], limit) };
  }

  /**
   * The sample from which a lead is on, as far as is known; Infinity while it is off.
   * @param {string} name
   */
  onSince(name) {
    return this.leadsOff.has(name) ? Infinity : (this.#offChanges.get(name)?.at(-1) ?? 0);
  }

  /** The lead that a tile shows: II, else the first. */
  get shownLead() {
    const leads = this.info?.leads ?? [];
    const preferred = leads.findIndex((lead) => lead.name === "II");
    return Math.max(preferred, 0);
  }

  /**
   * Seconds since the newest sample was taken; Infinity before the first.
   * @param {number} now
   */
  age(now) {
    return this.playout?.age(now) ?? Infinity;
  }

  /**
   * Seconds since what stands at the cursor was taken: the age that a viewer reads.
   * @param {number} now
   */
  shownAge(now) {
    return Math.max(this.age(now), this.playout?.delay ?? 0);
  }

  /** @param {number} now */
  freshness(now) {
    return freshness(this.age(now), now - this.#askedAt);
  }

  /**
   * Heart rate and the lead it came from; unknown once stale, never held.
   * @param {number} now
   * @returns {{hr: number | null, source: string | null}}
   */
  heartRate(now) {
    const state = this.freshness(now);
    const fresh = (state === "live" || state === "late") && now - this.#hrAt < HR_HELD_S;
    return { hr: fresh ? this.#hr : null, source: this.#hrSource };
  }
}

/**
 * @param {StreamInfo} a
 * @param {StreamInfo} b
 */
function sameSignals(a, b) {
  return (
    a.rate_hz === b.rate_hz &&
    a.leads.length === b.leads.length &&
    a.leads.every((lead, at) => {
      const other = b.leads[at];
      return lead.name === other.name && lead.gain_uv === other.gain_uv && lead.baseline === other.baseline;
    })
  );
}
