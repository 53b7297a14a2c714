// @ts-check
/** The quality steps of a trace: how their names are shown, and how their frames lie in a ring. */

const LEVELS = Object.freeze({ vitals: 0, overview: 1, display: 2, diagnostic: 3, lossless: 4 });

/** The rendition that has no samples, but numbers alone. */
export const NUMBERS_ONLY = "vitals";

/**
 * What frames under an alias are, as its `stream` message said.
 * @typedef {import("../ecg/ring.js").Layout & {info: import("./messages.js").Stream, generation: number}} Format
 * `generation` is that of the feed when it was told so
 */

/**
 * @param {import("./messages.js").Stream} info
 * @param {number} generation
 * @returns {Format}
 */
export function formatOf(info, generation) {
  const signals = info.leads.map(({ name, gain_uv, baseline }) => ({
    lead: info.all_leads.indexOf(name),
    gain_uv,
    baseline,
  }));
  const sent = new Set(signals.map(({ lead }) => lead));
  const unsent = [...info.all_leads.keys()].filter((lead) => !sent.has(lead));
  return { info, generation, factor: info.factor, signals, unsent };
}

/**
 * Bars out of four; an unknown rendition shows none.
 * @param {string | undefined} rendition
 */
export function levelOf(rendition) {
  return LEVELS[/** @type {keyof typeof LEVELS} */ (rendition)] ?? 0;
}
