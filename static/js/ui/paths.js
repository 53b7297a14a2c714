// @ts-check
/** The addresses of this page. */

/** @param {import("../stream/feed.js").Feed} feed */
export function pathOf(feed) {
  return `/patients/${encodeURIComponent(feed.id)}/`;
}
