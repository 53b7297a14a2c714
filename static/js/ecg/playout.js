// @ts-check
/** When each sample is due on the screen: a steady clock over chunks that arrive in bursts. */

const HISTORY = 64; // arrivals remembered: 6.4 s of 100 ms chunks
const JITTER_S = 10; // of arrivals say how long the delay has to be: of 1 s chunks the last ten
const SAME_LENGTH = 3; // chunks in a row have to be shorter before the delay is
const LATE_SHARE = 0.05; // of the arrivals may find the trace waiting for them
const PAINTING_S = 0.1; // more than between two paintings (see ui/cadence.js): a trace that was not painted for longer is not shown, nor waited for
const MAX_DELAY_S = 2.5;
const SLEW = 0.05; // the trace runs at most 5 % faster or slower while the delay changes: 1.25 mm/s
const JUMP_S = 0.5; // a delay that is off by more has nothing smooth left to keep
const EARLY_S = 0.25; // a chunk this much before its time: the first one of all was late
const ALIGN_S = 20; // time constant of the alignment of sample times with arrivals
const MAX_EARLIER = 0.005;
// Lateness is forgotten slowly: a queue that holds 2 s must read 2 s for many minutes, not look live.
const MAX_LATER = 0.002;
const SILENCE_S = 1.5; // and the length of a chunk
const STEADY_ARRIVALS = 20;
const STEADY_S = 0.3;
const PAUSED_S = 0.5;
const RATE_TOLERANCE = 0.02;
const HURRY = 1.25; // times real time: a replay at speed
const HURRY_SPAN_S = 1.5;
const CHASE_S = 0.1;

/**
 * The playout clock of one epoch.
 *
 * It keeps a straight line from sample index to the page's clock (seconds), laid so that the promptest
 * arrivals come just when their last sample was taken: `timeOf(i)` is where sample `i` stands on the sweep, equal
 * for all healthy streams, and `age(now)` is what the newest sample lacks. The trace follows that line by a
 * delay with which it has just painted all of a chunk in the last painting before the next one comes, for 95 % of
 * their jitter. It changes by slewing; only where chunks get longer it is longer at once, since the trace has
 * waited for the first of them already.
 * All times are seconds of one monotonic clock, given by the caller.
 */
export class Playout {
  #nominalHz;
  #period;
  #anchorIndex = 0;
  #anchorTime = 0;
  /** Index after the newest live sample; -1 before the first. */
  #newest = -1;
  /** Index after the newest sample of which anything is known: live, or a number's. */
  #known = -1;
  #arrivedAt = 0;
  #position = 0;
  #advancedAt = 0;
  #delay = 0;
  #target = 0;
  /** Seconds of signal in each of the last chunks. */
  #lengths = new Float64Array(SAME_LENGTH);
  #chunks = 0;
  /** When each chunk arrived. */
  #times = new Float64Array(HISTORY);
  /** How long after its time each chunk's end arrived. */
  #lateness = new Float64Array(HISTORY);
  /** How long before each arrival the trace was last painted: so much sooner nobody would have seen it. */
  #unseen = new Float64Array(HISTORY);
  #sorted = new Float64Array(HISTORY);
  #arrivals = 0;
  /** Number of the first arrival that still says something about the next. */
  #counted = 0;
  #resuming = false;
  #hurried = false;
  #hurrySince = 0;
  #hurryIndex = 0;
  #hurrySeen = -Infinity;

  /** @param {number} rateHz nominal rate */
  constructor(rateHz) {
    this.#nominalHz = rateHz;
    this.#period = 1 / rateHz;
    this.rateHz = rateHz;
    /** Counts the breaks of the line: after one, what is drawn stands where `timeOf` no longer says. */
    this.breaks = 0;
  }

  /** Index after the newest live sample; -1 before the first. */
  get newest() {
    return this.#newest;
  }

  /**
   * The rate that the server measured; one too far from the nominal is ignored.
   * @param {number} rateHz
   */
  measured(rateHz) {
    if (Math.abs(rateHz / this.#nominalHz - 1) < RATE_TOLERANCE) this.rateHz = rateHz;
  }

  /**
   * A live chunk that speaks for [first, stop) was decoded at `now`. Late chunks (backfill) do not belong here.
   * @param {number} first
   * @param {number} stop
   * @param {number} now
   */
  arrive(first, stop, now) {
    if (stop <= this.#newest) return;
    const before = this.#length;
    this.#lengths[this.#chunks++ % SAME_LENGTH] = (stop - first) / this.#nominalHz;
    this.#note(stop, now, before);
    if (this.#newest < 0) this.#position = first;
    if (this.#newest < 0 || this.#length > before) this.#delay = Math.max(this.#delay, this.#target);
    this.#newest = stop;
  }

  /**
   * A number came at `now` that is of the time just before sample `stop`: where no samples are sent, the line
   * is kept by these.
   * @param {number} stop
   * @param {number} now
   */
  hear(stop, now) {
    if (stop > this.#known) this.#note(stop, now, this.#length);
  }

  /**
   * The index up to which the trace is due at `now`, exclusive and with a fraction. It never goes back, and
   * never beyond what has arrived.
   * @param {number} now
   */
  advance(now) {
    if (this.#newest < 0) return 0;
    const dt = Math.max(0, now - this.#advancedAt);
    this.#advancedAt = now;
    let due;
    if (this.#hurried) {
      const behind = this.#newest - this.#position;
      due = this.#position + behind * (1 - Math.exp(-dt / CHASE_S)) + dt / this.#period;
    } else {
      const off = this.#target - this.#delay;
      if (Math.abs(off) > JUMP_S) this.#delay = this.#target;
      else this.#delay += Math.min(Math.max(off, -SLEW * dt), SLEW * dt);
      due = this.indexAt(now - this.#delay);
    }
    this.#position = Math.max(this.#position, Math.min(due, this.#newest));
    return this.#position;
  }

  /**
   * The second of the page's clock at which this sample stands on the sweep.
   * @param {number} index
   */
  timeOf(index) {
    return this.#anchorTime + (index - this.#anchorIndex) * this.#period;
  }

  /**
   * The index, with a fraction, of the sample that stands at this second: the inverse of `timeOf`.
   * @param {number} time
   */
  indexAt(time) {
    return this.#anchorIndex + (time - this.#anchorTime) / this.#period;
  }

  /**
   * Seconds since the newest sample was taken, or that of the newest number, as far as arrivals tell;
   * Infinity before the first.
   * @param {number} now
   */
  age(now) {
    if (this.#known < 0) return Infinity;
    return Math.max(0, now - (this.#hurried ? this.#arrivedAt : this.timeOf(this.#known)));
  }

  /** Seconds by which the trace follows the samples' times. */
  get delay() {
    return this.#delay;
  }

  /**
   * Something about the signal until `stop` arrived.
   * @param {number} stop
   * @param {number} now
   * @param {number} length seconds of signal that come at a time, as far as was known
   */
  #note(stop, now, length) {
    if (this.#known < 0) {
      this.#anchor(stop, now);
      this.#advancedAt = now;
      this.#target = this.#length;
    } else {
      if (now - this.#arrivedAt > SILENCE_S + length) this.#restart();
      const slot = this.#arrivals++ % HISTORY;
      this.#times[slot] = now;
      this.#lateness[slot] = now - this.timeOf(stop);
      const unseen = now - this.#advancedAt;
      this.#unseen[slot] = unseen < PAINTING_S ? unseen : 0;
      this.#align(stop, now);
      this.#target = Math.min(this.#length + this.#lateQuantile(now), MAX_DELAY_S);
    }
    this.#known = Math.max(this.#known, stop);
    this.#arrivedAt = now;
  }

  /** Seconds of signal in a chunk: the longest of the last few. */
  get #length() {
    return Math.max(...this.#lengths);
  }

  /**
   * Keep the line where the promptest arrivals are.
   * @param {number} stop
   * @param {number} now
   */
  #align(stop, now) {
    if (this.#hurried) {
      this.#leaveHurry(stop, now);
      return;
    }
    const count = this.#window;
    let least = Infinity;
    let most = -Infinity;
    for (let k = this.#arrivals - count; k < this.#arrivals; k++) {
      least = Math.min(least, this.#lateness[k % HISTORY]);
      most = Math.max(most, this.#lateness[k % HISTORY]);
    }
    if (least < -EARLY_S) {
      this.#early(stop, now, least);
    } else if (this.#resuming && count === STEADY_ARRIVALS && most - least < STEADY_S) {
      // A queue between us and the source drains faster than real time, so its lateness falls. One that
      // stays is a source that paused and went on counting where it was: its samples are new.
      this.#counted = this.#arrivals - count;
      this.#resuming = false;
      if (least > PAUSED_S) this.#shift(least);
    } else {
      const drift = Math.min(Math.max(least / ALIGN_S, -MAX_EARLIER), MAX_LATER);
      this.#anchor(stop, this.timeOf(stop));
      this.#period = (1 + drift) / this.rateHz;
    }
  }

  /**
   * A chunk came before its time: the line was laid by a late one, or the source runs faster than real time.
   * @param {number} stop
   * @param {number} now
   * @param {number} least
   */
  #early(stop, now, least) {
    if (now - this.#hurrySeen > 1) {
      this.#hurrySince = now;
      this.#hurryIndex = stop;
    }
    this.#hurrySeen = now;
    const span = now - this.#hurrySince;
    if (span > HURRY_SPAN_S && (stop - this.#hurryIndex) / this.rateHz > HURRY * span) {
      this.#hurried = true;
      this.#hurrySince = now;
      this.#hurryIndex = stop;
      this.#period = 1 / this.rateHz;
      return;
    }
    this.#shift(least);
  }

  /**
   * @param {number} stop
   * @param {number} now
   */
  #leaveHurry(stop, now) {
    const span = now - this.#hurrySince;
    if (span < HURRY_SPAN_S) return;
    if ((stop - this.#hurryIndex) / this.rateHz < HURRY * span) {
      this.#hurried = false;
      this.breaks++;
      this.#restart();
      this.#anchor(stop, now);
    }
    this.#hurrySince = now;
    this.#hurryIndex = stop;
  }

  /**
   * Move the line by so many seconds; the trace goes on from where it is.
   * @param {number} seconds
   */
  #shift(seconds) {
    this.#anchorTime += seconds;
    this.#delay -= seconds;
    for (let slot = 0; slot < HISTORY; slot++) {
      this.#lateness[slot] -= seconds;
    }
    this.breaks++;
  }

  /** Forget the arrivals before a silence: they say nothing about those after it. */
  #restart() {
    this.#counted = this.#arrivals;
    this.#resuming = true;
  }

  /** How many of the last arrivals count: after a silence few, so that a drained queue is soon forgotten. */
  get #window() {
    return Math.min(this.#arrivals - this.#counted, this.#resuming ? STEADY_ARRIVALS : HISTORY);
  }

  /**
   * @param {number} index
   * @param {number} time
   */
  #anchor(index, time) {
    this.#anchorIndex = index;
    this.#anchorTime = time;
  }

  /**
   * How late after its time a chunk is missed, at most, in 95 % of cases: by the last painting before it arrives,
   * which is the last that has to do without it.
   * @param {number} now
   */
  #lateQuantile(now) {
    let count = 0;
    while (count < this.#window) {
      const slot = (this.#arrivals - 1 - count) % HISTORY;
      if (now - this.#times[slot] > JITTER_S) break;
      this.#sorted[count++] = this.#lateness[slot] - this.#unseen[slot];
    }
    if (count === 0) return 0;
    // So few lie above it that they are put in order at the front; to sort all cost ten times as much.
    const above = count - Math.ceil(count * (1 - LATE_SHARE));
    for (let place = 0; place <= above; place++) {
      let most = place;
      for (let k = place + 1; k < count; k++) if (this.#sorted[k] > this.#sorted[most]) most = k;
      const value = this.#sorted[most];
      this.#sorted[most] = this.#sorted[place];
      this.#sorted[place] = value;
    }
    return this.#sorted[above];
  }
}
