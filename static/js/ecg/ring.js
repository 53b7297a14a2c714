// @ts-check
/** The last minute of one epoch's samples, by sample index, and which of them are there. */

/** Seconds that a ring keeps at least: longer than the widest screen shows at the slowest speed. */
export const KEPT_S = 64;

/**
 * A ring of samples of all leads of one epoch.
 *
 * Sample `i` of lead `l` lies at `data[l * capacity + (i & mask)]`. What was never written, or has left
 * the ring, is absent: nobody may read a number where there is none, so ask `presentEnd` / `absentEnd` first.
 * `first` is inclusive and `stop` exclusive, as everywhere.
 */
export class SampleRing {
  /** @type {number[]} */ #firsts = [];
  /** @type {number[]} */ #stops = [];

  /**
   * @param {number} leads
   * @param {number} rateHz nominal rate; the capacity is the power of two that holds KEPT_S seconds of it
   */
  constructor(leads, rateHz) {
    this.leads = leads;
    this.capacity = 2 ** Math.ceil(Math.log2(rateHz * KEPT_S));
    this.mask = this.capacity - 1;
    this.data = new Int32Array(leads * this.capacity);
    /** Index after the newest sample ever written. */
    this.stop = 0;
    /** Index of the first sample ever written; what lies before it is not a gap. */
    this.origin = Infinity;
  }

  /** The oldest index that may still be held. */
  get oldest() {
    return Math.max(0, this.stop - this.capacity);
  }

  /**
   * Write samples [first, first + count). `planes` holds them lead after lead.
   * Samples too old for the ring are left out. Writing what is there already changes nothing.
   *
   * @param {number} first
   * @param {ArrayLike<number> & {subarray(from: number, to: number): ArrayLike<number>}} planes
   * @param {number} count samples per lead
   */
  write(first, planes, count) {
    const stop = first + count;
    this.stop = Math.max(this.stop, stop);
    this.origin = Math.min(this.origin, first);
    const from = Math.max(first, this.oldest);
    if (from >= stop) return;
    const slot = from & this.mask;
    const head = Math.min(stop - from, this.capacity - slot);
    for (let lead = 0; lead < this.leads; lead++) {
      const plane = lead * count - first;
      const base = lead * this.capacity;
      this.data.set(planes.subarray(plane + from, plane + from + head), base + slot);
      if (from + head < stop) this.data.set(planes.subarray(plane + from + head, plane + stop), base);
    }
    this.#add(from, stop);
    this.#forget(this.oldest);
  }

  /** @param {number} index */
  has(index) {
    return this.presentEnd(index) > index;
  }

  /**
   * The end of the run of present samples that holds `index`; `index` itself when it is absent.
   * @param {number} index
   */
  presentEnd(index) {
    const at = this.#spanUpTo(index);
    return at >= 0 ? Math.max(index, this.#stops[at]) : index;
  }

  /**
   * The next present index at or after `index`, at most `limit`.
   * @param {number} index
   * @param {number} limit
   */
  absentEnd(index, limit) {
    if (this.has(index)) return index;
    const next = this.#firsts[this.#spanUpTo(index) + 1];
    return next === undefined ? limit : Math.min(next, limit);
  }

  /**
   * The present index closest before `index`, plus one: where the absence around `index` began.
   * @param {number} index an absent index
   */
  absentFirst(index) {
    const at = this.#spanUpTo(index);
    return at >= 0 ? this.#stops[at] : 0;
  }

  /**
   * @param {number} lead
   * @param {number} index a present index
   */
  at(lead, index) {
    return this.data[lead * this.capacity + (index & this.mask)];
  }

  /** What is held, as [first, stop) pairs in order. */
  spans() {
    return this.#firsts.map((first, at) => [first, this.#stops[at]]);
  }

  /**
   * The last span that begins at or before `index`; -1 when there is none. Most questions are about the newest.
   * @param {number} index
   */
  #spanUpTo(index) {
    let at = this.#firsts.length - 1;
    while (at >= 0 && this.#firsts[at] > index) at--;
    return at;
  }

  /**
   * @param {number} first
   * @param {number} stop
   */
  #add(first, stop) {
    let from = this.#firsts.length;
    while (from > 0 && this.#stops[from - 1] >= first) from--;
    let to = from;
    while (to < this.#firsts.length && this.#firsts[to] <= stop) to++;
    if (to > from) {
      first = Math.min(first, this.#firsts[from]);
      stop = Math.max(stop, this.#stops[to - 1]);
      if (to - from === 1) {
        // The common case, a chunk right after the newest one, allocates nothing.
        this.#firsts[from] = first;
        this.#stops[from] = stop;
        return;
      }
    }
    this.#firsts.splice(from, to - from, first);
    this.#stops.splice(from, to - from, stop);
  }

  /** @param {number} oldest */
  #forget(oldest) {
    while (this.#stops.length > 0 && this.#stops[0] <= oldest) {
      this.#firsts.shift();
      this.#stops.shift();
    }
    if (this.#firsts.length > 0 && this.#firsts[0] < oldest) this.#firsts[0] = oldest;
  }
}
