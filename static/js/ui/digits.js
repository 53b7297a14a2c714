// @ts-check
/** The bed that a digit key means. */

/** @typedef {import("../stream/feed.js").Feed} Feed */

/**
 * The bed of that number: of the ward that one is in, else of the first that has one. Pressed again, the
 * next ward's. Null when there is none.
 * @param {string} digit 0 means bed 10
 * @param {readonly Feed[]} feeds in order
 * @param {Feed | null} current the bed that is selected or open
 */
export function bedOf(digit, feeds, current) {
  const number = digit === "0" ? 10 : Number(digit);
  const named = feeds.filter((feed) => numberOf(feed.entry.bed) === number);
  const at = current ? named.indexOf(current) : -1;
  if (at >= 0) return named[(at + 1) % named.length];
  return named.find((feed) => feed.entry.ward === current?.entry.ward) ?? named[0] ?? null;
}

/**
 * The last number in a bed's name: 12 of `4B-12`.
 * @param {string} bed
 */
function numberOf(bed) {
  return Number(/(\d+)\D*$/.exec(bed)?.[1]);
}
