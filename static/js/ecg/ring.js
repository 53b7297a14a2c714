// @ts-check
/** The last minute of one epoch's samples, by sample index, and which of them are there. */

/** Seconds that a ring keeps at least: longer than the widest screen shows at the slowest speed. */
export const KEPT_S = 64;

/**
 * How the planes of a frame become microvolts of a ring's leads.
 * @typedef {object} Layout
 * @property {number} factor indices from one sample of the frame to the next
 * @property {{lead: number, gain_uv: number, baseline: number}[]} signals of each plane: its lead here, its scale
 * @property {number[]} unsent the ring's leads that no plane is of
 */

/**
 * A ring of microvolts, of all leads of one epoch.
 *
 * Sample `i` of lead `l` lies at `data[l * capacity + (i & mask)]`; it is NaN where others were sent at that
 * index, and that lead was not. What was never written, or has left the ring, is absent: nobody may read a number
 * where there is none, so ask `presentEnd` / `absentEnd` first. `first` is inclusive and `stop` exclusive, as
 * everywhere.
 */
export class SampleRing {
  /** @type {number[]} */ #firsts = [];
  /** @type {number[]} */ #stops = [];
  /** Of each span: how far before its first index the frame speaks that began it. @type {number[]} */ #reaches = [];

  /**
   * @param {number} leads
   * @param {number} rateHz nominal rate; the capacity is the power of two that holds KEPT_S seconds of it
   */
  constructor(leads, rateHz) {
    this.leads = leads;
    this.capacity = 2 ** Math.ceil(Math.log2(rateHz * KEPT_S));
    this.mask = this.capacity - 1;
    this.data = new Float32Array(leads * this.capacity);
    /** Index after the newest sample ever written. */
    this.stop = 0;
    /** Index of the first sample ever written; what lies before it is not a gap. */
    this.origin = Infinity;
  }

  /** A ring of the same spans, with room for other values: `aside` keeps it so. */
  beside() {
    const other = new SampleRing(this.leads, this.capacity / KEPT_S);
    this.aside(other);
    return other;
  }

  /**
   * Let a ring that was made by `beside` know what is here now.
   * @param {SampleRing} other
   */
  aside(other) {
    other.#firsts = this.#firsts;
    other.#stops = this.#stops;
    other.#reaches = this.#reaches;
    other.stop = this.stop;
    other.origin = this.origin;
  }

  /** A ring of its own, with all that this one holds now. */
  copy() {
    const copy = this.beside();
    copy.#firsts = [...this.#firsts];
    copy.#stops = [...this.#stops];
    copy.#reaches = [...this.#reaches];
    copy.data.set(this.data);
    return copy;
  }

  /** The oldest index that may still be held. */
  get oldest() {
    return Math.max(0, this.stop - this.capacity);
  }

  /**
   * Write a frame: samples at `first`, `first + factor` and so on, and straight lines between them.
   *
   * A frame speaks for the indices since the sample before it, where that is at most `factor` away; a hole that
   * is longer stays one. Samples too old for the ring are left out.
   *
   * @param {number} first
   * @param {Int16Array | Int32Array} planes lead after lead, in ADC steps
   * @param {number} count samples per lead
   * @param {Layout} layout
   * @param {boolean} over whether it is written over what is held at its beginning, which else stays as it is
   * @returns {number} the first index that changed; the frame's end when none did
   */
  write(first, planes, count, { factor, signals, unsent }, over) {
    const last = first + (count - 1) * factor;
    const stop = last + 1;
    const before = this.#presentBefore(first);
    this.stop = Math.max(this.stop, stop);
    const from = Math.max(over ? first : this.presentEnd(first), this.oldest);
    if (from >= stop) return stop;
    for (let plane = 0; plane < signals.length; plane++) {
      const { lead, gain_uv, baseline } = signals[plane];
      const end = (plane + 1) * count;
      if (factor === 1) this.#scale(lead, from, planes, end - (stop - from), end, gain_uv, baseline);
      else this.#interpolate(lead, from, first, planes, end - count, end, factor, gain_uv, baseline);
    }
    for (const lead of unsent) for (let i = from; i < stop; i++) this.data[this.#slot(lead, i)] = NaN;
    const joins = from === first && before >= this.oldest && first - before <= factor;
    if (joins) this.#bridge(before, first);
    const begin = joins ? before + 1 : from;
    const next = this.#spanUpTo(last) + 1;
    const reached = next < this.#firsts.length && this.#firsts[next] - last <= this.#reaches[next];
    if (reached) this.#bridge(last, this.#firsts[next]);
    this.origin = Math.min(this.origin, begin);
    this.#add(begin, reached ? this.#firsts[next] : stop, factor);
    this.#forget(this.oldest);
    return begin;
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
   * Microvolts; NaN where the lead was not sent.
   * @param {number} lead
   * @param {number} index a present index
   */
  at(lead, index) {
    return this.data[this.#slot(lead, index)];
  }

  /**
   * The end of the run that begins at `from` and in which a lead was sent at each index, or at none.
   * @param {number} lead
   * @param {number} from
   * @param {number} to the samples [from, to) are present
   */
  sentEnd(lead, from, to) {
    const { data, mask } = this;
    const base = lead * this.capacity;
    const unsent = Number.isNaN(data[base + (from & mask)]);
    let end = from + 1;
    while (end < to && Number.isNaN(data[base + (end & mask)]) === unsent) end++;
    return end;
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
   * The present index closest before `index`; -1 when there is none.
   * @param {number} index
   */
  #presentBefore(index) {
    const at = this.#spanUpTo(index - 1);
    return at < 0 ? -1 : Math.min(this.#stops[at], index) - 1;
  }

  /**
   * @param {number} lead
   * @param {number} index
   */
  #slot(lead, index) {
    return lead * this.capacity + (index & this.mask);
  }

  /**
   * Write planes [at, end), a sample for each index from `from` on.
   * @param {number} lead
   * @param {number} from
   * @param {Int16Array | Int32Array} planes
   * @param {number} at
   * @param {number} end
   * @param {number} gain
   * @param {number} baseline
   */
  #scale(lead, from, planes, at, end, gain, baseline) {
    const { data, capacity } = this;
    const base = lead * capacity;
    let slot = from & this.mask;
    while (at < end) {
      data[base + slot] = (planes[at++] - baseline) * gain;
      if (++slot === capacity) slot = 0;
    }
  }

  /**
   * Write planes [at, end), a sample for every `factor`th index from `first` on, and straight lines between.
   * @param {number} lead
   * @param {number} from nothing before it is written
   * @param {number} first
   * @param {Int16Array | Int32Array} planes
   * @param {number} at
   * @param {number} end
   * @param {number} factor
   * @param {number} gain
   * @param {number} baseline
   */
  #interpolate(lead, from, first, planes, at, end, factor, gain, baseline) {
    const { data } = this;
    let value = (planes[at++] - baseline) * gain;
    if (first >= from) data[this.#slot(lead, first)] = value;
    for (let index = first; at < end; index += factor) {
      const next = (planes[at++] - baseline) * gain;
      const step = (next - value) / factor;
      for (let j = 1; j < factor; j++) {
        if (index + j >= from) data[this.#slot(lead, index + j)] = value + j * step;
      }
      if (index + factor >= from) data[this.#slot(lead, index + factor)] = next;
      value = next;
    }
  }

  /**
   * A straight line of every lead from one present sample to another, where the lead was sent at both.
   * @param {number} from
   * @param {number} to
   */
  #bridge(from, to) {
    for (let lead = 0; lead < this.leads; lead++) {
      const step = (this.at(lead, to) - this.at(lead, from)) / (to - from);
      for (let i = from + 1; i < to; i++) this.data[this.#slot(lead, i)] = this.at(lead, i - 1) + step;
    }
  }

  /**
   * @param {number} first
   * @param {number} stop
   * @param {number} reach
   */
  #add(first, stop, reach) {
    let from = this.#firsts.length;
    while (from > 0 && this.#stops[from - 1] >= first) from--;
    let to = from;
    while (to < this.#firsts.length && this.#firsts[to] <= stop) to++;
    if (to > from) {
      if (first >= this.#firsts[from]) reach = this.#reaches[from];
      first = Math.min(first, this.#firsts[from]);
      stop = Math.max(stop, this.#stops[to - 1]);
      if (to - from === 1) {
        // The common case, a chunk right after the newest one, allocates nothing.
        this.#firsts[from] = first;
        this.#stops[from] = stop;
        this.#reaches[from] = reach;
        return;
      }
    }
    this.#firsts.splice(from, to - from, first);
    this.#stops.splice(from, to - from, stop);
    this.#reaches.splice(from, to - from, reach);
  }

  /** @param {number} oldest */
  #forget(oldest) {
    while (this.#stops.length > 0 && this.#stops[0] <= oldest) {
      this.#firsts.shift();
      this.#stops.shift();
      this.#reaches.shift();
    }
    if (this.#firsts.length > 0 && this.#firsts[0] < oldest) this.#firsts[0] = oldest;
  }
}
