// @ts-check
/** The alarms of all beds in the bar on top: a sum for each severity, and on demand every one of them. */

import { t } from "../i18n.js";
import { codeOf } from "../stream/alarm-text.js";
import { MARKS, SEVERITIES, iconOf, overText, sinceText } from "./alarm-words.js";
import { drawIcon, mark, pick, stamp, write } from "./dom.js";
import { pathOf } from "./paths.js";

/** @typedef {import("../stream/alarm-list.js").Entry} Entry */
/** @typedef {import("../stream/feed.js").Feed} Feed */
/** @typedef {import("../stream/messages.js").Severity} Severity */
/** @typedef {import("./alarm-desk.js").AlarmDesk} AlarmDesk */

const NAMED = 3; // beds in a sum
const LONG = 24; // letters of a text that has no room in the bar of a laptop

export class AlarmBar {
  #desk;
  #bar = pick(document, ".sum", HTMLElement);
  #sums = SEVERITIES.map((severity) => new Sum(severity));
  #quiet = pick(document, ".sum .quiet", Element);
  #button = pick(document, ".sum .all", HTMLButtonElement);
  #count = pick(document, ".sum .all b", Element);
  #panel = pick(document, ".alarm-list", HTMLElement);
  #how = pick(document, ".alarm-list .how", Element);
  #rows = pick(document, ".alarm-list ol", Element);
  /** @type {Map<string, HTMLElement>} by the entry's key */ #lines = new Map();

  /** @param {AlarmDesk} desk */
  constructor(desk) {
    this.#desk = desk;
  }

  get isOpen() {
    return !this.#panel.hidden;
  }

  /** Show every alarm, or no longer. */
  toggle() {
    const isLeft = this.#panel.contains(document.activeElement);
    this.#panel.hidden = !this.#panel.hidden;
    mark(this.#button, "aria-expanded", String(this.isOpen));
    if (this.isOpen) this.#list();
    else if (isLeft) this.#button.focus();
  }

  /**
   * A link was followed: where it stands in the list, that would lie over what it leads to.
   * @param {Element} link
   */
  followed(link) {
    if (this.#panel.contains(link)) this.toggle();
  }

  /** @param {Feed | null} patient whose page is open: there, what is wrong with others is said first */
  update(patient) {
    const { entries, confirmed } = this.#desk;
    mark(this.#bar, "data-unconfirmed", confirmed ? null : "");
    for (const sum of this.#sums) sum.update(entries, patient);
    const foremost = (entries.find(({ feed }) => feed !== patient) ?? entries[0])?.severity;
    for (const sum of this.#sums) sum.isFirst = sum.severity === foremost;
    mark(this.#quiet, "hidden", entries.length > 0 ? "" : null);
    write(this.#quiet, confirmed ? t("No alarms") : t("Alarms not known"));
    mark(this.#button, "hidden", entries.length > 0 || this.isOpen ? null : "");
    write(this.#count, String(entries.length));
    if (this.isOpen) this.#list();
  }

  #list() {
    const { entries, confirmed, nowMs } = this.#desk;
    write(this.#how, confirmed ? (entries.length === 0 ? t("none") : "") : t("last known: no connection"));
    const lines = entries.map((entry) => {
      const line = this.#lines.get(entry.key) ?? stamp("alarm-line");
      this.#lines.set(entry.key, line);
      const part = (/** @type {string} */ name) => pick(line, `.${name}`, Element);
      mark(line, "data-alarm", MARKS[entry.severity]);
      mark(line, "data-standing", entry.state);
      mark(pick(line, "a", Element), "href", entry.feed ? pathOf(entry.feed) : null);
      drawIcon(part("icon"), iconOf(entry));
      drawIcon(part("check"), entry.state === "acknowledged" ? "check" : null);
      write(part("where"), entry.place);
      write(part("what"), entry.text);
      write(part("note"), noteOf(entry, this.#desk));
      write(part("since"), sinceText(entry, nowMs, confirmed));
      return line;
    });
    for (const [key, line] of this.#lines) {
      if (lines.includes(line)) continue;
      line.remove();
      this.#lines.delete(key);
    }
    // One that is moved loses its focus: only a change of order moves any.
    lines.forEach((line, at) => {
      if (this.#rows.children[at] !== line) this.#rows.insertBefore(line, this.#rows.children[at] ?? null);
    });
  }
}

/** All alarms of one severity: how many, and where. */
class Sum {
  #element;
  #count;
  #beds;
  #narrow = matchMedia("(max-width: 1599px)");

  /** @param {Severity} severity */
  constructor(severity) {
    this.severity = severity;
    this.#element = pick(document, `.sum-n[data-severity="${severity}"]`, HTMLElement);
    this.#count = pick(this.#element, "b", Element);
    this.#beds = pick(this.#element, ".beds", Element);
  }

  /** Where there is room for one alone, it is this one's. @param {boolean} first */
  set isFirst(first) {
    mark(this.#element, "data-first", first ? "" : null);
  }

  /**
   * @param {readonly Entry[]} entries
   * @param {Feed | null} patient
   */
  update(entries, patient) {
    const own = entries.filter(({ severity }) => severity === this.severity);
    this.#element.hidden = own.length === 0;
    if (own.length === 0) return;
    const first = own.find(({ feed, state }) => feed !== patient && state !== "acknowledged") ?? own[0];
    // What nobody has seen to is filled; what is left is an outline, as in a tile.
    mark(this.#element, "data-standing", own.some(({ state }) => state === "active") ? "active" : own[0].state);
    mark(this.#element, "href", first.feed ? pathOf(first.feed) : "/");
    write(this.#count, String(own.length));
    // Of a high one also what it is.
    const coded = first.alarm && first.text.length > LONG && this.#narrow.matches ? { ...first, text: codeOf(first.alarm) } : first;
    write(this.#beds, this.severity === "high" ? alarmText(coded) : placesText(own));
  }
}

/**
 * Where it is, and what; where there are several wards, the ward at the end, which is cut first.
 * @param {Entry} entry
 */
export function alarmText({ feed, place, text }) {
  const bed = feed && t("Bed {bed}", { bed: feed.entry.bed });
  return feed && place !== bed ? `${bed}  ${text}  ${feed.entry.ward_name}` : `${place}  ${text}`;
}

/**
 * The first of some beds by name, and how many more there are.
 * @param {readonly Entry[]} entries
 */
export function placesText(entries) {
  const places = [...new Set(entries.map(({ place }) => place))];
  // With the bed alone, one word serves for several of them.
  const before = t("Bed {bed}", { bed: "" });
  const short = places.every((place) => place.startsWith(before));
  const named = places.slice(0, short ? NAMED : 1);
  const more = places.length > named.length ? ` +${places.length - named.length}` : "";
  return `${short ? before + named.map((place) => place.slice(before.length)).join(", ") : named.join(", ")}${more}`;
}

/**
 * What else has to be said of an alarm.
 * @param {Entry} entry
 * @param {AlarmDesk} desk
 */
function noteOf(entry, desk) {
  const { alarm } = entry;
  const notes = alarm ? [t(desk.refusal("alarm_ack", alarm.alarm)), alarm.unstored && t("not stored yet")] : [];
  return [overText(entry), ...notes].filter(Boolean).join(" · ");
}
