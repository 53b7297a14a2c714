// @ts-check
/** The lane of a bed: what is technically wrong with it now, and since when. */

import { durationText } from "../stream/freshness.js";
import { mark, pick, write } from "./dom.js";

const NAMED = 3; // leads in a note; of more, two and the number of the others: a phone has no more room

/** @typedef {import("../stream/feed.js").Feed} Feed */
/** @typedef {{what: string, note: string, since: number | null, alarm: boolean}} Fault words for the lane and the trace */

/**
 * What is technically wrong with a bed now, whichever leads are shown; null when nothing is.
 * @param {Feed} feed
 * @param {readonly string[]} shown the leads whose traces one looks at
 * @param {number} now
 * @returns {Fault | null}
 */
export function fault(feed, shown, now) {
  const state = feed.freshness(now);
  const age = feed.age(now);
  const unplugged = !feed.entry.online;
  if (state === "lost") {
    const note = unplugged ? "device not connected" : "no data";
    // Also when this page has never seen any: it may have been opened after the device died.
    return { what: "No data", note, since: Number.isFinite(age) ? age : null, alarm: true };
  }
  if (state === "stale") return { what: `No data ${Math.floor(age)} s`, note: "no data", since: null, alarm: false };
  if (state === "waiting") {
    return { what: "", note: unplugged ? "device not connected" : "waiting for data", since: null, alarm: false };
  }
  const unsent = unsentNote(feed, shown);
  if (feed.leadsOff.size === 0) return unsent ? { what: "", note: unsent, since: null, alarm: false } : null;
  const off = [...feed.leadsOff.keys()];
  const all = off.length > 1 && off.length === feed.leads.length;
  const what = all ? "All leads off" : `Lead off ${off.join(", ")}`;
  const since = now - Math.min(...feed.leadsOff.values());
  // A lead that is still traced needs no note over it.
  const untraced = shown.every((name) => feed.leadsOff.has(name));
  const note = untraced && !feed.numbersOnly ? untracedNote(feed, shown, now) : unsent;
  return { what, note, since, alarm: true };
}

/**
 * What the network leaves out of the traces, in words; empty when they are whole.
 * @param {Feed} feed
 * @param {readonly string[]} shown
 */
function unsentNote(feed, shown) {
  if (feed.numbersOnly) return "Numbers only: narrow network";
  const unsent = shown.filter((name) => feed.unsent.includes(name));
  if (unsent.length === 0) return "";
  const named = unsent.length > NAMED ? unsent.slice(0, NAMED - 1) : unsent;
  const more = unsent.length > NAMED ? ` and ${unsent.length - named.length} more` : "";
  return `${unsent.length > 1 ? "Leads" : "Lead"} ${named.join(", ")}${more} not sent: narrow network`;
}

/**
 * @param {Feed} feed
 * @param {readonly string[]} shown
 * @param {number} now
 */
function untracedNote(feed, shown, now) {
  const { hr, source } = feed.heartRate(now);
  const from = hr !== null && source !== null && !feed.leadsOff.has(source) ? ` · heart rate from ${source}` : "";
  return `${shown.length > 1 ? "Leads" : "Lead"} ${shown.join(", ")} off${from}`;
}

/** Its element's `data-state` and `data-alarm` are what the stylesheet goes by. */
export class Lane {
  #element;
  #what;
  #since;

  /** @param {Element} element holds the lane and what is framed with it */
  constructor(element) {
    this.#element = element;
    this.#what = pick(element, ".msg .what", Element);
    this.#since = pick(element, ".msg .since", Element);
  }

  /**
   * @param {string} state the freshness of the bed's data
   * @param {Fault | null} wrong
   */
  update(state, wrong) {
    mark(this.#element, "data-state", state);
    mark(this.#element, "data-alarm", wrong?.alarm ? "tech" : null);
    write(this.#what, wrong?.what ?? "");
    write(this.#since, wrong?.alarm && wrong.since !== null ? durationText(wrong.since) : "");
  }
}
