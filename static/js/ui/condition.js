// @ts-check
/** How the server judges the network of a viewer, in words. */

import { t } from "../i18n.js";

/** @type {Record<string, string>} */
const CONDITIONS = { excellent: t("excellent"), good: t("good"), fair: t("fair"), poor: t("poor"), critical: t("critical") };

/** @param {string} condition */
export function conditionText(condition) {
  return Object.hasOwn(CONDITIONS, condition) ? CONDITIONS[condition] : condition;
}
