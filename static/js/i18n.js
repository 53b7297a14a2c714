// @ts-check
/** What the page says in its user's language: words by their English text, plurals, numbers and times of day. */

/** @typedef {string | Partial<Record<Intl.LDMLPluralRule, string>>} Translation  a plural one by its categories */

/** The page's language, as the server chose it. */
export const language = globalThis.document?.documentElement.lang || "en";
/** @type {Readonly<Record<string, Translation>>} */
const words = language === "de" ? ((await import("./words/de.js").catch(() => null))?.words ?? {}) : {}; // else in English

/** With the region that the browser names, where it is of this language: 24 hours or 12, a comma or a point. */
const locale = globalThis.navigator?.languages?.find((tag) => tag.split("-")[0] === language) ?? language;
const rules = new Intl.PluralRules(language);
/** @type {Map<number, Intl.NumberFormat>} */ const decimals = new Map();
const figures = new Intl.NumberFormat(locale, { maximumSignificantDigits: 4, useGrouping: false });

/**
 * A text in the page's language; `{name}` in it stands for `values.name`.
 * @param {string} text in English, as a literal: tests look for it in every catalogue
 * @param {Readonly<Record<string, string | number>>} [values]
 */
export function t(text, values) {
  const found = words[text];
  return filled(typeof found === "string" ? found : text, values);
}

/**
 * The text for a count, which is `{n}` in it.
 * @param {number} n
 * @param {string} one in English
 * @param {string} other in English, under which catalogues have it
 * @param {Readonly<Record<string, string | number>>} [values]
 */
export function plural(n, one, other, values) {
  const form = rules.select(n);
  const found = words[other];
  const text = typeof found === "object" ? (found[form] ?? found.other ?? other) : form === "one" ? one : other;
  return filled(text, { n, ...values });
}

/**
 * A text that `t` is given later, marked for those who look for texts.
 * @param {string} text
 */
export const word = (text) => text;

/**
 * A number with so many places.
 * @param {number} value
 * @param {number} places
 */
export function decimal(value, places) {
  let format = decimals.get(places);
  if (!format) {
    format = new Intl.NumberFormat(locale, { minimumFractionDigits: places, maximumFractionDigits: places, useGrouping: false });
    decimals.set(places, format);
  }
  return format.format(value);
}

/**
 * A number of four digits at most.
 * @param {number} value
 */
export function figure(value) {
  return figures.format(value);
}

/**
 * @param {string} text
 * @param {Readonly<Record<string, string | number>>} [values]
 */
function filled(text, values) {
  return values ? text.replace(/\{(\w+)\}/g, (hole, name) => String(values[name] ?? hole)) : text;
}

/** @type {Intl.DateTimeFormatOptions} */
const FIELDS = { year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", hourCycle: "h23" };

/** Which clock times are told by: the hospital's, or this device's. */
export class Zone {
  /** @type {string | undefined} undefined: this device's */ #name;
  #time = timeFormat(undefined);
  #label = "";

  /** @param {string} name of the IANA's list; empty for this device's */
  choose(name) {
    this.#name = name || undefined;
    try {
      this.#time = timeFormat(this.#name);
    } catch {
      this.#name = undefined; // one that this browser does not know
      this.#time = timeFormat(undefined);
    }
    this.#label = "";
  }

  /** Its short name now, such as `GMT+1`. */
  get label() {
    if (!this.#label) {
      const parts = new Intl.DateTimeFormat(locale, { timeZone: this.#name, timeZoneName: "short" }).formatToParts();
      this.#label = parts.find(({ type }) => type === "timeZoneName")?.value ?? "";
    }
    return this.#label;
  }

  /** @param {number} ms since 1970 */
  time(ms) {
    return this.#time.format(ms);
  }

  /**
   * Day and month.
   * @param {number} ms since 1970
   */
  day(ms) {
    return new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", timeZone: this.#name }).format(ms);
  }

  /**
   * How far its clock is ahead of UTC then, in ms.
   * @param {number} ms since 1970
   */
  ahead(ms) {
    const parts = new Intl.DateTimeFormat("en", { ...FIELDS, timeZone: this.#name }).formatToParts(ms);
    const part = (/** @type {string} */ type) => Number(parts.find((each) => each.type === type)?.value);
    const told = Date.UTC(part("year"), part("month") - 1, part("day"), part("hour"), part("minute"));
    return told - Math.floor(ms / 60e3) * 60e3;
  }

  /**
   * Day and time of day.
   * @param {number} ms since 1970
   */
  moment(ms) {
    const options = /** @type {const} */ ({ dateStyle: "short", timeStyle: "medium", timeZone: this.#name });
    return new Intl.DateTimeFormat(locale, options).format(ms);
  }
}

/** The page's. */
export const zone = new Zone();

/** @param {string | undefined} timeZone */
function timeFormat(timeZone) {
  // Always of 24 hours, with two digits each: a clock on a monitor keeps its width.
  return new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone });
}
