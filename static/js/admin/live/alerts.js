// @ts-check
/** The open alerts of the system, above the figures: the gravest of them, and how many there are in all. */

import { mark, pick, write } from "../../ui/dom.js";
import { counted, lasting } from "./words.js";

/**
 * @typedef {object} OpenAlert
 * @property {string} alert
 * @property {string} severity
 * @property {string} rule
 * @property {string} condition
 * @property {string} group
 * @property {string} process
 * @property {string} value_text
 * @property {number} open_s
 */
/** @typedef {{alerts: OpenAlert[], count: number}} Told */

/** They come every five seconds: seconds after which they are said to be old. */
export const STALE_S = 12;

export class Alerts {
  /** @type {HTMLElement} */ #root;
  /** @type {Told | null} */ #told = null;
  #at = 0;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root;
  }

  /** @param {Told} told @param {number} now */
  take(told, now) {
    this.#told = told;
    this.#at = now;
  }

  /** Whether the user may be told of any. @param {boolean} may */
  allow(may) {
    if (!may) this.#told = null;
  }

  /** @param {number} now */
  show(now) {
    const told = this.#told, list = pick(this.#root, "ul", HTMLElement);
    this.#root.hidden = told === null;
    if (told === null) return;
    const { alerts, count } = told;
    write(pick(this.#root, "h2", HTMLElement), headline(count));
    write(pick(this.#root, ".live-alerts-age", HTMLElement), age(now - this.#at));
    write(pick(this.#root, ".live-alerts-all a", HTMLElement), remainder(count - alerts.length));
    pick(this.#root, ".live-alerts-all", HTMLElement).hidden = count === 0;
    while (list.children.length > alerts.length) list.lastElementChild?.remove();
    while (list.children.length < alerts.length) list.append(item());
    alerts.forEach((alert, n) => {
      const [severity, link, rest] = list.children[n]?.children ?? [];
      if (!severity || !link || !rest) return;
      write(severity, alert.severity);
      write(link, alert.rule);
      mark(link, "href", `${this.#root.dataset.page ?? ""}${encodeURIComponent(alert.alert)}/change/`);
      write(rest, course(alert, now - this.#at));
    });
  }
}

/** @param {number} count */
export function headline(count) {
  if (count === 0) return "No alert of the system is open";
  return `${counted(count, "alert")} of the system ${count === 1 ? "is" : "are"} open`;
}

/** @param {OpenAlert} alert @param {number} since seconds since it was told */
export function course(alert, since) {
  const where = `${alert.group ? `${alert.group}, ` : ""}process ${alert.process}`;
  return `: ${alert.condition}; now ${alert.value_text}; ${where}, for ${lasting(alert.open_s + since)}`;
}

/** @param {number} more than are shown */
export function remainder(more) {
  return more > 0 ? `${more} more; see all` : "See all";
}

/** @param {number} seconds since they were told */
export function age(seconds) {
  return seconds > STALE_S ? `As it was ${lasting(seconds)} ago: the database has not been read since.` : "";
}

function item() {
  const made = document.createElement("li");
  made.append(document.createElement("strong"), " ", document.createElement("a"), document.createElement("span"));
  return made;
}
