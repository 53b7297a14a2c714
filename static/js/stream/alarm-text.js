// @ts-check
/** What is written of an alarm: the server's own in the page's language, a device's as the device says it. */

import { decimal, language, t } from "../i18n.js";

/** How texts of the server begin, the longest first where one is part of another. */
const TITLES = Object.freeze([
  "ASYSTOLE",
  "VENT FIB/FLUTTER",
  "VENT TACHY",
  "EXTREME TACHY",
  "EXTREME BRADY",
  "HR",
  "LEAD OFF",
  "NO ECG SIGNAL",
  "ARRHYTHMIA OFF",
  "NO DATA",
  "ALARMS OFF",
  "ALARMS NOT STORED",
]);

/** Of the longest ones, in any language, what a phone's lane has room for beside the value. @type {Readonly<Record<string, string>>} */
const CODES = Object.freeze({
  "VENT FIB/FLUTTER": "VFIB",
  "VENT TACHY": "VTACH",
  "EXTREME TACHY": "XTACHY",
  "EXTREME BRADY": "XBRADY",
});

/** @typedef {Pick<import("./messages.js").Alarm, "origin" | "text">} Said */

/** @param {Said} alarm */
export function saidOf(alarm) {
  return language === "en" ? alarm.text : called(alarm, t);
}

/** With a code in place of a long name. @param {Said} alarm */
export function codeOf(alarm) {
  return called(alarm, (title) => CODES[title] ?? t(title));
}

/**
 * @param {Said} alarm
 * @param {(title: string) => string} name
 */
function called({ origin, text }, name) {
  const title = origin === "device" ? undefined : TITLES.find((one) => text === one || text.startsWith(`${one} `));
  if (title === undefined) return text;
  const rest = text.slice(title.length).replace("UNBROKEN", t("UNBROKEN"));
  return name(title) + rest.replace(/(\d+)\.(\d)\b/g, (number) => decimal(Number(number), 1));
}
