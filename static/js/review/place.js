// @ts-check
/** Which hours of the past, which moment in them and which lead are looked at. Times in ms, by the server's clock. */

import { DAY_MS, within } from "./window.js";

/** @typedef {import("./window.js").Span} Span */

export const HOURS = Object.freeze([1, 4, 8, 24]);
export const HOUR_MS = 3600e3;
const START_HOURS = 4;
const AROUND_MS = 10e3;
const MINUTE_MS = 60e3;

export class Place {
  hours = START_HOURS;
  /** The newest time that is shown. */ until;
  /** What is looked at, in the middle of the strip. */ at;
  /** The time that the address named. @type {number | null} */ addressed;
  lead = "";
  /** @type {readonly string[]} */ leads = [];
  #wasMoved = false;
  #hoursAreChosen = false;

  /**
   * @param {number} until
   * @param {number | null} ms the time to begin with
   */
  constructor(until, ms) {
    this.until = until;
    this.at = ms ?? until - 2 * AROUND_MS;
    this.addressed = ms;
    if (ms !== null) this.hours = HOURS.find((hours) => until - ms < hours * HOUR_MS - MINUTE_MS) ?? 24;
  }

  /** The hours. @returns {Span} */
  get span() {
    return { from: this.until - this.hours * HOUR_MS, to: this.until };
  }

  /**
   * The time to look at for the strip to end there.
   * @param {number} ms
   */
  endingAt(ms) {
    return ms - AROUND_MS;
  }

  /** Of what there are hours to choose. @returns {Span} */
  get bounds() {
    return { from: this.until - DAY_MS, to: this.until };
  }

  /** What the strip has. @returns {Span} */
  get around() {
    return aboutOf(this.at);
  }

  /** The same as a stretch to zoom from. @returns {Span} */
  get window() {
    return within(this.around, this.bounds);
  }

  get leadIndex() {
    return Math.max(0, this.leads.indexOf(this.lead));
  }

  /** Whether nobody has said yet what to look at: then it is the newest that is stored. */
  get isUnmoved() {
    return this.addressed === null && !this.#wasMoved;
  }

  /** Somebody says what to look at. */
  wasMoved() {
    this.#wasMoved = true;
  }

  /** @param {number} ms */
  goTo(ms) {
    this.at = Math.min(Math.max(ms, this.bounds.from), this.bounds.to);
  }

  /** @param {number} ms what the address names now */
  goToAddressed(ms) {
    this.addressed = ms;
    if (ms < this.span.from) this.hours = 24;
  }

  /** @param {number} hours */
  chooseHours(hours) {
    this.hours = hours;
    this.#hoursAreChosen = true;
  }

  /**
   * To the fewest hours that hold all that is stored of those shown, as long as nobody has chosen any.
   * @param {[from: number, to: number] | null} stored
   * @returns {boolean} whether these are fewer
   */
  narrow(stored) {
    if (!stored || !this.isUnmoved || this.#hoursAreChosen) return false;
    const before = this.hours;
    this.chooseHours(Math.min(before, HOURS.find((hours) => this.until - stored[0] < hours * HOUR_MS) ?? before));
    return this.hours < before;
  }

  /**
   * Fewer hours, or more.
   * @param {1 | -1} by
   */
  stepOfHours(by) {
    return HOURS[Math.min(Math.max(HOURS.indexOf(this.hours) + by, 0), HOURS.length - 1)];
  }

  /** The lead after the one that is looked at; null as long as none is known. */
  get nextLead() {
    return this.leads.length > 0 ? this.leads[(this.leadIndex + 1) % this.leads.length] : null;
  }

  /**
   * These are the leads of the newest that is stored.
   * @param {readonly string[]} leads
   */
  takeLeads(leads) {
    this.leads = leads;
    if (!leads.includes(this.lead)) this.lead = leads[0] ?? "";
  }
}

/**
 * Ten seconds on either side.
 * @param {number} ms
 * @returns {Span}
 */
export function aboutOf(ms) {
  return { from: ms - AROUND_MS, to: ms + AROUND_MS };
}
