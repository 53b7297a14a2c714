// @ts-check
/** One stream as the page knows it: who it is, its samples, its numbers, and how fresh they are. */

import { Playout } from "../ecg/playout.js";
import { KEPT_S, SampleRing } from "../ecg/ring.js";
import { Beats } from "./beats.js";
import { freshness } from "./freshness.js";
import { Gaps } from "./gaps.js";
import { NUMBERS_ONLY, formatOf } from "./rendition.js";
import { HeartRateTrend } from "./trend.js";

/** @typedef {import("./messages.js").RosterEntry} RosterEntry */
/** @typedef {import("./messages.js").Stream} StreamInfo */
/** @typedef {import("./rendition.js").Format} Format */

/** Renditions whose samples are not all the source's: nothing is measured on them. */
const COARSE = new Set(["display", "overview"]);
const PASSED = -1; // no generation has this number
const OFF_CHANGES = 64; // of one lead: a loose electrode must not fill the memory
const HR_HELD_S = 5; // vitals come about once a second; a rate without a fresh one is no longer known

export class Feed {
  /** @type {RosterEntry} */ entry;
  /** What was said last; its rendition is that of its alias alone. @type {StreamInfo | null} */ info = null;
  /** What it is sent as now: what its newest frame is. @type {Format | null} */ format = null;
  /** @type {SampleRing | null} */ ring = null;
  /** @type {Playout | null} */ playout = null;
  /** Counts the epochs: what was drawn before it changed is of another recording. */
  generation = 0;
  /** Counts the late samples that filled what may be drawn already. */
  revision = 0;
  /** Index up to which the trace is due, advanced with each painting. */
  position = 0;
  gaps = new Gaps();
  beats = new Beats();
  /** Index after the newest sample that came coarsened, as `display` or `overview`. */
  coarseStop = 0;
  /** @type {Map<string, number>} leads that are off now, and since which second */
  leadsOff = new Map();
  /** @type {Map<string, number[]>} per lead: where it went off, where it came back, and so on */
  #offChanges = new Map();
  #askedAt = Infinity;
  #hr = /** @type {number | null} */ (null);
  #hrSource = /** @type {string | null} */ (null);
  #hrAt = -Infinity;
  #rhythm = /** @type {{name: string, pvcPerMin: number}} */ ({ name: "", pvcPerMin: 0 });
  trend = new HeartRateTrend();
  /** Seconds that this page did not run for and its clock does not know of; what it has is older by so much. */ #sleptS = 0;

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

  /** The rendition that it is sent as now. */
  get rendition() {
    return this.format?.info.rendition;
  }

  /** Whether no trace is sent, so that the vitals alone say that the bed is there. */
  get numbersOnly() {
    return this.rendition === NUMBERS_ONLY;
  }

  /** Names of all leads of the stream, in the order of the ring. */
  get leads() {
    return this.info?.all_leads ?? [];
  }

  /** Names of the leads that are left out now, where others are sent. */
  get unsent() {
    return this.format?.unsent.map((lead) => this.leads[lead]) ?? [];
  }

  /**
   * The server said what an alias of the stream means. A new epoch, or other leads, starts an empty ring; frames
   * of an epoch that has passed have no place any more.
   * @param {StreamInfo} info
   * @param {number} now
   * @returns {Format} to be handed in with the frames under that alias
   */
  describe(info, now) {
    const before = this.info;
    if (before && info.epoch < before.epoch) return formatOf(info, PASSED);
    this.info = info;
    if (!before || before.epoch !== info.epoch || !sameSource(before, info)) this.#begin(info, now);
    const format = formatOf(info, this.generation);
    if (info.rendition === NUMBERS_ONLY || this.format === null) this.format = format;
    return format;
  }

  /**
   * @param {StreamInfo} info
   * @param {number} now
   */
  #begin(info, now) {
    this.ring = new SampleRing(info.all_leads.length, info.rate_hz);
    this.playout = new Playout(info.rate_hz);
    this.gaps = new Gaps();
    this.beats = new Beats();
    this.coarseStop = 0;
    this.format = null;
    this.position = 0;
    this.generation++;
    this.leadsOff = new Map();
    this.#offChanges.clear();
    this.#hrAt = -Infinity;
    this.#askedAt = now;
  }

  /**
   * Decoded samples, lead after lead, came at `now`. Those of an earlier epoch have no place any more.
   * @param {Format} format
   * @param {number} first
   * @param {Int16Array | Int32Array} planes
   * @param {number} count samples per lead
   * @param {boolean} late whether they fill an earlier hole
   * @param {number} now
   * @returns {boolean} whether they had a place
   */
  write(format, first, planes, count, late, now) {
    const { ring, playout } = this;
    if (!ring || !playout || format.generation !== this.generation) return false;
    const from = ring.write(first, planes, count, format, late);
    if (from < this.position) this.revision++;
    if (late) return true;
    this.#sleptS = 0;
    const stop = first + (count - 1) * format.factor + 1;
    playout.arrive(from, stop, now);
    this.format = format;
    if (COARSE.has(format.info.rendition)) this.coarseStop = stop;
    return true;
  }

  /**
   * What this page has of the stream, for a server that does not know; null when it has nothing.
   * @returns {{stream: string, epoch: number, next_sample: number, newest_s: number} | null}
   */
  resume() {
    if (!this.info || !this.ring || this.ring.stop === 0) return null;
    return { stream: this.id, epoch: this.info.epoch, next_sample: this.ring.stop, newest_s: KEPT_S };
  }

  /**
   * What to ask for of what is missing, now that the network has room for it.
   * @param {number} now
   */
  asks(now) {
    const { info, ring } = this;
    if (!info || !ring) return [];
    const first = ring.stop - Math.ceil(KEPT_S * info.rate_hz);
    return this.gaps.wanted(ring, first, now).map(([next_sample, to]) => ({
      stream: this.id,
      epoch: info.epoch,
      next_sample,
      to,
    }));
  }

  /**
   * @param {import("./messages.js").Gap} gap
   * @param {number} now
   */
  hearGap(gap, now) {
    if (!this.info || gap.epoch !== this.info.epoch) return;
    this.gaps.hear(gap, now);
    if (gap.from < this.position) this.revision++;
  }

  /** @param {number} now */
  advance(now) {
    if (this.playout) this.position = this.playout.advance(now);
  }

  /** All that may be drawn now, in a feed of its own that nothing is added to; its time is that of the source's samples. */
  frozen() {
    const copy = new Feed(this.entry);
    copy.info = this.info;
    copy.format = this.format;
    copy.ring = this.ring?.copy() ?? null;
    copy.playout = this.info && new Playout(this.info.rate_hz);
    copy.position = this.position;
    copy.gaps = this.gaps.copy();
    copy.beats = this.beats.copy();
    copy.coarseStop = this.coarseStop;
    copy.leadsOff = new Map(this.leadsOff);
    for (const [name, changes] of this.#offChanges) copy.#offChanges.set(name, [...changes]);
    return copy;
  }

  /**
   * @param {{epoch: number, sample: number, hr: number | null, hr_source: string | null, rhythm?: string, pvc_per_min?: number, beats?: [number, string][]}} vitals
   * @param {number} now
   */
  setVitals(vitals, now) {
    if (this.info && vitals.epoch !== this.info.epoch) return;
    if (this.numbersOnly) {
      this.#sleptS = 0;
      this.playout?.hear(vitals.sample, now);
    }
    this.#hr = vitals.hr;
    this.#hrSource = vitals.hr_source;
    this.#rhythm = { name: vitals.rhythm ?? "", pvcPerMin: vitals.pvc_per_min ?? 0 };
    this.#hrAt = now;
    if (vitals.beats) this.beats.hear(vitals.beats);
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
    return Math.max(this.leads.indexOf("II"), 0);
  }

  /**
   * Seconds since the newest sample was taken, or the newest number where only those are sent; Infinity before.
   * @param {number} now
   */
  age(now) {
    return (this.playout?.age(now) ?? Infinity) + this.#sleptS;
  }

  /**
   * Seconds since what stands at the cursor was taken, or the newest number: the age that a viewer reads.
   * @param {number} now
   */
  shownAge(now) {
    return this.numbersOnly ? this.age(now) : Math.max(this.age(now), this.playout?.delay ?? 0);
  }

  /**
   * The page has slept: until something fresh comes, all that it has of the stream is old.
   * @param {number} seconds
   */
  sleep(seconds) {
    this.#sleptS += seconds;
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

  /**
   * What the server says of the beats, as information; empty with an unknown heart rate.
   * @param {number} now
   */
  rhythm(now) {
    return this.heartRate(now).hr === null ? { name: "", pvcPerMin: 0 } : this.#rhythm;
  }
}

/**
 * @param {StreamInfo} a
 * @param {StreamInfo} b
 */
function sameSource(a, b) {
  return (
    a.rate_hz === b.rate_hz &&
    a.all_leads.length === b.all_leads.length &&
    a.all_leads.every((name, at) => name === b.all_leads[at])
  );
}
