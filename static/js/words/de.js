// @ts-check
/** German: what each English text of the page is in it. */

/** @type {Readonly<Record<string, import("../i18n.js").Translation>>} */
export const words = {};
