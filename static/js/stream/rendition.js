// @ts-check
/** The quality steps of a trace, by the name that the server gives them and the bars that show them. */

const LEVELS = Object.freeze({ vitals: 0, overview: 1, display: 2, diagnostic: 3, lossless: 4 });

/**
 * Bars out of four; an unknown rendition shows none.
 * @param {string | undefined} rendition
 */
export function levelOf(rendition) {
  return LEVELS[/** @type {keyof typeof LEVELS} */ (rendition)] ?? 0;
}
