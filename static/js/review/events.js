// @ts-check
/** The alarms of the hours that are shown, newest first: which is chosen, and what is said of it. */

import { decimal, t } from "../i18n.js";
import { durationText } from "../stream/freshness.js";
import { MARKS, WORDS, clockText } from "../ui/alarm-words.js";
import { drawIcon, mark, pick, write } from "../ui/dom.js";

/** @typedef {"high" | "medium" | "low" | "technical"} Severity */
/** @typedef {{alarm: string, kind: string, severity: Severity, text: string, origin: string, epoch: number, from: number, to: number, sample: number, lead: string, condition_delay_s: number, signal_delay_s: number, raised_ms: number, cleared_ms: number | null, acknowledged_ms: number | null, acknowledged_by: string}} Event */

export class EventList {
  #list;
  #none;
  #count;
  #severities;
  #choose;
  /** Whether these are those of the hours that are shown. */ #known = false;
  #unknown = "";
  /** @type {readonly Event[]} */ #all = [];
  /** Those that the choice of types leaves, newest first; the same list until they are others. @type {readonly Event[]} */ shown = [];
  #more = false;
  /** @type {Severity | ""} */ #severity = "";
  /** @type {Event | null} */ chosen = null;

  /**
   * @param {Element} card
   * @param {(event: Event) => void} choose
   */
  constructor(card, choose) {
    this.#list = pick(card, "ol", Element);
    this.#none = pick(card, ".none", Element);
    this.#count = pick(card, '[data-part="count"]', Element);
    this.#choose = choose;
    this.#severities = pick(card, "select", HTMLSelectElement);
    this.#severities.addEventListener("change", () => {
      this.#severity = /** @type {Severity | ""} */ (this.#severities.value);
      this.#select();
    });
    card.addEventListener("click", (event) => {
      const row = event.target instanceof Element && event.target.closest("[data-alarm-id]");
      const found = row instanceof HTMLElement && this.#all.find(({ alarm }) => alarm === row.dataset.alarmId);
      if (found) this.choose(found);
    });
  }

  /**
   * @param {readonly Event[]} events
   * @param {boolean} more whether there are older ones that did not come
   */
  set(events, more) {
    this.#all = events;
    this.#known = true;
    this.#more = more;
    if (this.chosen) this.chosen = events.find(({ alarm }) => alarm === this.chosen?.alarm) ?? this.chosen;
    this.#select();
  }

  /** Those of other hours are asked for: nothing is said of how many there are until they come. */
  wait() {
    this.#known = false;
    this.#tell();
  }

  /** What is said in place of a list that has not come. @param {string} text */
  set unknown(text) {
    this.#unknown = text;
    this.#tell();
  }

  /** @param {Event} event */
  choose(event) {
    this.chosen = event;
    this.#show();
    this.#reveal();
    this.#choose(event);
  }

  /** None is looked at any more. */
  leave() {
    this.chosen = null;
    this.#show();
  }

  /**
   * The neighbour in time.
   * @param {1 | -1} by 1: a later one
   * @param {number} ms from where, when none is chosen
   * @returns {boolean} whether there was one
   */
  step(by, ms) {
    const from = this.chosen?.raised_ms ?? ms;
    const others = this.shown.filter(({ alarm, raised_ms }) => alarm !== this.chosen?.alarm && (raised_ms - from) * by >= 0);
    const next = by > 0 ? others.at(-1) : others[0];
    if (next) this.choose(next);
    return next !== undefined;
  }

  /** Let the list show the row that is chosen, and leave the page where it is. */
  #reveal() {
    const row = this.#list.querySelector('[aria-current="true"]')?.getBoundingClientRect();
    if (!row) return;
    const { top, bottom } = this.#list.getBoundingClientRect();
    this.#list.scrollTop += Math.min(row.top - top, Math.max(row.bottom - bottom, 0));
  }

  #select() {
    this.shown = this.#all.filter(({ severity }) => this.#severity === "" || severity === this.#severity);
    this.#show();
  }

  #show() {
    this.#tell();
    this.#list.replaceChildren(...this.shown.map((event) => rowOf(event, event.alarm === this.chosen?.alarm)));
  }

  #tell() {
    const { length } = this.shown;
    const none = this.#all.length > 0 ? t("No alarms of this type") : t("No alarms in these hours");
    write(this.#count, !this.#known ? "" : this.#more ? t("{n}+, the newest", { n: length }) : String(length));
    mark(this.#none, "hidden", length > 0 ? "" : null);
    write(this.#none, this.#known ? none : this.#unknown);
    mark(this.#severities, "disabled", this.#all.length > 0 ? null : "");
  }
}

/**
 * @param {Event} event
 * @param {boolean} chosen
 */
function rowOf(event, chosen) {
  const row = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.alarmId = event.alarm;
  if (chosen) button.setAttribute("aria-current", "true");
  const symbol = /** @type {Element} */ (pick(document, "template#review", HTMLTemplateElement).content.querySelector(".chip svg")?.cloneNode(true));
  symbol.setAttribute("class", `i k-${MARKS[event.severity]}`);
  drawIcon(symbol, MARKS[event.severity]);
  const part = (/** @type {string} */ name, /** @type {string} */ text) => {
    const element = document.createElement("span");
    element.className = name;
    element.textContent = text;
    return element;
  };
  const seen = event.acknowledged_ms === null ? "" : t("seen {time} {name}", { time: clockText(event.acknowledged_ms).slice(0, 5), name: event.acknowledged_by });
  button.append(symbol, part("vh", WORDS[event.severity]), part("at", clockText(event.raised_ms)), part("what", event.text), part("lasted", lastedText(event)), part("seen", seen.trim()));
  row.append(button);
  return row;
}

/**
 * How long its condition held.
 * @param {Event} event
 */
export function lastedText({ raised_ms, cleared_ms }) {
  return cleared_ms === null ? t("holds") : durationText(Math.max(0, cleared_ms - raised_ms) / 1000);
}

/**
 * How long before the alarm its condition began, in seconds. What shows it, from `from` to `to`, is told anew while the
 * alarm holds, and moves on: this stays.
 * @param {Pick<Event, "condition_delay_s" | "signal_delay_s">} event
 */
export function delayOf({ condition_delay_s, signal_delay_s }) {
  return condition_delay_s + signal_delay_s;
}

/**
 * What there is to say of an event, as pairs.
 * @param {Event} event
 * @returns {[string, string][]}
 */
export function factsOf(event) {
  const { raised_ms, cleared_ms, acknowledged_ms } = event;
  const delay = delayOf(event);
  const precise = (/** @type {number} */ ms) => `${clockText(ms)}.${Math.floor((ms % 1000) / 100)}`;
  return [
    [t("Severity"), WORDS[event.severity]],
    [t("Began"), event.origin === "device" ? t("the device knows") : precise(raised_ms - 1000 * delay)],
    [t("Alarm"), event.origin === "device" ? precise(raised_ms) : `${precise(raised_ms)} (+${decimal(delay, 1)} s)`],
    [t("Lasted"), cleared_ms === null ? t("holds still") : t("{time}, until {clock}", { time: lastedText(event), clock: clockText(cleared_ms) })],
    [t("Acknowledged"), acknowledged_ms === null ? t("by nobody") : `${clockText(acknowledged_ms)} ${event.acknowledged_by}`.trim()],
    [t("Source"), [event.lead.replaceAll(",", ", "), event.origin === "device" ? t("device") : t("server")].filter(Boolean).join(" · ")],
    [t("Rendition"), t("lossless (stored)")],
  ];
}
