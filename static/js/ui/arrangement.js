// @ts-check
/** In which order the beds of the ward stand, and how many on a page: as the user has chosen it, and never otherwise by itself. */

/** @typedef {import("../stream/feed.js").Feed} Feed */
/** @typedef {"ward" | "bed" | "alarm"} Order */
/**
 * @typedef {{order: Order, pinned: readonly string[], per_page: number}} Layout
 *   `pinned`: ids of streams, which come first in each order; `per_page`: beds on a page
 */

/** @type {readonly Order[]} */
export const ORDERS = Object.freeze(["ward", "bed", "alarm"]);
/** @type {readonly number[]} */
export const PER_PAGE = Object.freeze([16, 32]);
/** What everybody begins with. @type {Layout} */
export const PLAIN = Object.freeze({ order: "ward", pinned: Object.freeze([]), per_page: PER_PAGE[0] });

const inOrder = new Intl.Collator("en", { numeric: true });

/**
 * What is a layout, whoever says so.
 * @param {any} value
 * @returns {Layout}
 */
export function layoutOf(value) {
  const isLayout = ORDERS.includes(value?.order) && Array.isArray(value.pinned);
  if (!isLayout) return PLAIN;
  const per_page = PER_PAGE.includes(value.per_page) ? value.per_page : PLAIN.per_page;
  return { order: value.order, pinned: value.pinned.map(String), per_page };
}

/**
 * @param {readonly Feed[]} feeds by ward and bed
 * @param {Layout} layout
 * @param {ReadonlyMap<string, number>} ranks by stream, the lowest first: how alarms stood when the user sorted by them
 * @returns {Feed[]}
 */
export function arranged(feeds, { order, pinned }, ranks) {
  const place = new Map(pinned.map((stream, at) => [stream, at]));
  const kept = (/** @type {Feed} */ { id }) => place.get(id) ?? pinned.length;
  const rank = (/** @type {Feed} */ { id }) => ranks.get(id) ?? Infinity;
  return [...feeds].sort(
    (a, b) =>
      kept(a) - kept(b) ||
      (order === "bed" ? inOrder.compare(a.entry.bed, b.entry.bed) : order === "alarm" ? compare(rank(a), rank(b)) : 0),
  );
}

/**
 * The rank of each bed with alarms, of their list in the order in which they want somebody.
 * @param {readonly {feed: Feed | null}[]} entries
 */
export function ranksOf(entries) {
  /** @type {Map<string, number>} */
  const ranks = new Map();
  for (const { feed } of entries) if (feed && !ranks.has(feed.id)) ranks.set(feed.id, ranks.size);
  return ranks;
}

/**
 * The same layout with a bed pinned behind the others, or no longer.
 * @param {Layout} layout
 * @param {string} stream
 * @param {(stream: string) => boolean} isThere whether there is such a bed: others are forgotten
 * @returns {Layout}
 */
export function withPin(layout, stream, isThere) {
  const others = layout.pinned.filter((other) => other !== stream && isThere(other));
  return { ...layout, pinned: layout.pinned.includes(stream) ? others : [...others, stream] };
}

/**
 * @param {number} a
 * @param {number} b
 */
function compare(a, b) {
  return a === b ? 0 : a - b; // two infinite ones have no difference
}
