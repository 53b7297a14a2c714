// @ts-check
/** The lane of a bed: its gravest alarm, or what is technically wrong with it, and since when. */

import { plural, t } from "../i18n.js";
import { codeOf } from "../stream/alarm-text.js";
import { MARKS, iconOf, overText, sinceText } from "./alarm-words.js";
import { drawIcon, mark, pick, write } from "./dom.js";

const NAMED = 3; // leads in a note; of more, two and the number of the others: a phone has no more room

/** @typedef {import("../stream/feed.js").Feed} Feed */
/** @typedef {import("../stream/alarm-list.js").Entry} Entry */
/** @typedef {{kind: string, what: string, note: string, since: number | null, alarm: boolean}} Fault words for the lane and the trace */

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
    const note = unplugged ? t("device not connected") : t("no data");
    // Also when this page has never seen any: it may have been opened after the device died.
    return { kind: "no data", what: t("No data"), note, since: Number.isFinite(age) ? age : null, alarm: true };
  }
  if (state === "stale") return remark(t("No data {n} s", { n: Math.floor(age) }), t("no data"));
  if (state === "waiting") return remark("", unplugged ? t("device not connected") : t("waiting for data"));
  const unsent = unsentNote(feed, shown);
  if (feed.leadsOff.size === 0) return unsent ? remark("", unsent) : null;
  const off = [...feed.leadsOff.keys()];
  const all = off.length > 1 && off.length === feed.leads.length;
  const what = all ? t("All leads off") : t("Lead off {leads}", { leads: off.join(", ") });
  const since = now - Math.min(...feed.leadsOff.values());
  // A lead that is still traced needs no note over it.
  const untraced = shown.every((name) => feed.leadsOff.has(name));
  const note = untraced && !feed.numbersOnly ? untracedNote(feed, shown, now) : unsent;
  return { kind: "lead off", what, note, since, alarm: true };
}

/**
 * What is no alarm yet.
 * @param {string} what
 * @param {string} note
 * @returns {Fault}
 */
function remark(what, note) {
  return { kind: "", what, note, since: null, alarm: false };
}

/**
 * What the network leaves out of the traces, in words; empty when they are whole.
 * @param {Feed} feed
 * @param {readonly string[]} shown
 */
function unsentNote(feed, shown) {
  if (feed.numbersOnly) return t("Numbers only: narrow network");
  const unsent = shown.filter((name) => feed.unsent.includes(name));
  if (unsent.length === 0) return "";
  const named = unsent.length > NAMED ? unsent.slice(0, NAMED - 1) : unsent;
  const more = unsent.length > NAMED ? ` ${t("and {n} more", { n: unsent.length - named.length })}` : "";
  const leads = named.join(", ") + more;
  return plural(unsent.length, "Lead {leads} not sent: narrow network", "Leads {leads} not sent: narrow network", { leads });
}

/**
 * @param {Feed} feed
 * @param {readonly string[]} shown
 * @param {number} now
 */
function untracedNote(feed, shown, now) {
  const { hr, source } = feed.heartRate(now);
  const from = hr !== null && source !== null && !feed.leadsOff.has(source) ? ` · ${t("heart rate from {lead}", { lead: source })}` : "";
  return plural(shown.length, "Lead {leads} off", "Leads {leads} off", { leads: shown.join(", ") }) + from;
}

/**
 * What stands in the lane, and how it is framed: `data-alarm`, `data-standing` and `data-state` of its element are what
 * the stylesheet goes by.
 */
export class Lane {
  #element;
  #icon;
  /** @type {HTMLElement} */ #name;
  #measure;
  #limit;
  #more;
  #check;
  #over;
  #since;
  #narrow = matchMedia("(max-width: 600px)");

  /** @param {Element} element holds the lane and what is framed with it */
  constructor(element) {
    this.#element = element;
    const part = (/** @type {string} */ name) => pick(element, `.msg .${name}`, Element);
    this.#icon = part("icon");
    this.#name = pick(element, ".msg .name", HTMLElement);
    this.#measure = part("measure");
    this.#limit = part("limit");
    this.#more = part("more");
    this.#check = part("check");
    this.#over = part("over");
    this.#since = part("since");
  }

  /**
   * @param {string} state the freshness of the bed's data
   * @param {Fault | null} wrong
   * @param {readonly Entry[]} entries the alarms of the bed, in order
   * @param {{nowMs: number, confirmed: boolean}} told
   */
  update(state, wrong, entries, { nowMs, confirmed }) {
    const entry = entries[0];
    mark(this.#element, "data-state", state);
    mark(this.#element, "data-standing", entry?.state ?? null);
    mark(this.#element, "data-alarm", entry ? MARKS[entry.severity] : null);
    drawIcon(this.#icon, entry ? iconOf(entry) : wrong?.what ? "clock" : null);
    drawIcon(this.#check, entry?.state === "acknowledged" ? "check" : null);
    const coded = entry?.alarm && this.#narrow.matches ? codeOf(entry.alarm) : entry?.text;
    const [name, measure, limit] = cutAtMeasure(coded ?? wrong?.what ?? "");
    write(this.#name, name);
    if (measure.length !== this.#measure.textContent?.length) this.#name.style.setProperty("--value", String(measure.length));
    write(this.#measure, measure);
    write(this.#limit, limit);
    write(this.#more, entries.length > 1 ? `+${entries.length - 1}` : "");
    write(this.#over, overText(entry));
    write(this.#since, entry ? sinceText(entry, nowMs, confirmed) : "");
  }
}

/**
 * The name of what is wrong, behind it the value, and the limit that it is beyond, where there are any; together the whole text.
 * @param {string} text
 * @returns {[name: string, measure: string, limit: string]}
 */
export function cutAtMeasure(text) {
  const at = text.search(/ [<>]?=? ?\d[\d.,]*(?: |$)/);
  if (at < 0) return [text, "", ""];
  const beyond = text.slice(at + 1).search(/ [<>]/);
  const end = beyond < 0 ? text.length : at + 1 + beyond;
  return [text.slice(0, at), text.slice(at, end), text.slice(end)];
}
