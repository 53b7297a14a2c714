// @ts-check
/** Reads alarms aloud through two live regions: high ones at once, all others when there is time; each once. */

import { plural, t } from "../i18n.js";
import { pick, write } from "./dom.js";
import { spokenText } from "./alarm-words.js";

const SPOKEN_AT_ONCE = 4; // of more that come together, the number

/** @typedef {import("../stream/alarm-list.js").Entry} Entry */

export class Announcer {
  #assertive = pick(document, ".said-high", Element);
  #polite = pick(document, ".said", Element);
  #spoken = new Spoken();
  #wasOffline = false;

  /**
   * @param {readonly Entry[]} entries
   * @param {boolean} isOffline whether no alarm can come: that is heard, so it is said as well
   */
  update(entries, isOffline) {
    // What is over, or not this user's any more, is not to be found in a region that nobody sees.
    if (entries.length === 0 && this.#spoken.count > 0) for (const region of [this.#assertive, this.#polite]) write(region, "");
    const fresh = this.#spoken.fresh(entries);
    if (fresh.high) speak(this.#assertive, fresh.high);
    const turned = isOffline !== this.#wasOffline && (isOffline ? t("No connection") : t("Connected"));
    this.#wasOffline = isOffline;
    const others = [turned, fresh.others].filter(Boolean).join(". ");
    if (others) speak(this.#polite, others);
  }

  /**
   * Something that is no alarm.
   * @param {string} text
   */
  say(text) {
    speak(this.#polite, text);
  }
}

/**
 * The same words again are another text: of a region that stays as it is, nothing is read.
 * @param {Element} region
 * @param {string} text
 */
function speak(region, text) {
  write(region, region.textContent === text ? `${text}\u00a0` : text);
}

/** What was read aloud already. */
export class Spoken {
  /** @type {Set<string>} */ #keys = new Set();

  get count() {
    return this.#keys.size;
  }

  /**
   * The texts of what is new among these, and nobody has seen to.
   * @param {readonly Entry[]} entries
   */
  fresh(entries) {
    const fresh = entries.filter(({ key, state }) => state !== "acknowledged" && !this.#keys.has(key));
    this.#keys = new Set(entries.map(({ key }) => key));
    const high = fresh.filter(({ severity }) => severity === "high");
    return { high: joined(high), others: joined(fresh.filter((entry) => !high.includes(entry))) };
  }
}

/** @param {Entry[]} entries */
function joined(entries) {
  const texts = entries.slice(0, SPOKEN_AT_ONCE).map(spokenText);
  const more = entries.length - texts.length;
  return [...texts, ...(more > 0 ? [plural(more, "{n} more alarm", "{n} more alarms")] : [])].join(". ");
}
