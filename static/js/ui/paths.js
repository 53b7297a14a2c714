// @ts-check
/** The addresses of this page. */

/** @param {import("../stream/feed.js").Feed} feed */
export function pathOf(feed) {
  return `/patients/${encodeURIComponent(feed.id)}/`;
}

/**
 * The past of a patient, where `ms` says at which time since 1970.
 * @param {import("../stream/feed.js").Feed} feed
 * @param {number} [ms]
 */
export function reviewPathOf(feed, ms) {
  return `${pathOf(feed)}review/${ms === undefined ? "" : `${Math.floor(ms)}/`}`;
}
