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

/** @param {Pick<import("./messages.js").Alarm, "origin" | "text">} alarm */
export function saidOf({ origin, text }) {
  if (origin === "device" || language === "en") return text;
  const title = TITLES.find((one) => text === one || text.startsWith(`${one} `));
  if (title === undefined) return text;
  const rest = text.slice(title.length).replace("UNBROKEN", t("UNBROKEN"));
  return t(title) + rest.replace(/(\d+)\.(\d)\b/g, (number) => decimal(Number(number), 1));
}
