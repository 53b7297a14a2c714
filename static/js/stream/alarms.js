// @ts-check
/** The alarms that this viewer was told of: one of each, for as long as it is open, and which were told as displayed. */

/** @typedef {import("./messages.js").Alarm} Alarm */
/** @typedef {import("./messages.js").ServerMessage} Message */

/** What a new connection has not told is over unless it is told within so long: a process may take that to store what a dead one left. */
const SETTLING_S = 20;
/** So long nothing brings a closed alarm back: longer than anything can be under way. */
const TOMBSTONE_S = 600;
/** Ids that one `alarm_displayed` may carry. */
export const REPORT_MAX = 64;

/** The kind of the alarm that says that a patient's alarms are off. */
export const ALARMS_OFF = "alarms off";

export class Alarms {
  /** @type {Map<string, {alarm: Alarm, heardAt: number}>} */ #held = new Map();
  /** Ids that had not been told when `alarms` said that this was all, and until when they may be. @type {Map<string, number>} */
  #doubted = new Map();
  /** Ids that are closed, oldest first, and since when. @type {Map<string, number>} */ #closed = new Map();
  /** What this connection has told of. @type {Set<string>} */ #told = new Set();
  /** What this connection was told as displayed, and how. @type {Map<string, "hidden" | "seen">} */ #reported = new Map();
  /** What the user may do. @type {ReadonlySet<string>} */ may = new Set();
  /** No sound until then, on the server's clock; null while there is sound. @type {number | null} */ pausedUntilMs = null;
  /** Whether this connection has told all that is open: until then, they are what was known last. */
  confirmed = false;
  /** Why what was asked for last was not done. @type {Map<string, string>} */ #refusals = new Map();

  /** All that are open, in no order. */
  get open() {
    return Array.from(this.#held.values(), ({ alarm }) => alarm);
  }

  /** @param {string} id */
  get(id) {
    return this.told(id)?.alarm ?? null;
  }

  /**
   * An alarm as it was told last, and when, in seconds.
   * @param {string} id
   */
  told(id) {
    return this.#held.get(id) ?? null;
  }

  /** A new connection: it has been told of no display, and has yet to tell what is open. What is known stays. */
  forgetConnection() {
    this.#told.clear();
    this.#reported.clear();
    this.#doubted.clear();
    this.#refusals.clear();
    this.confirmed = false;
  }

  /**
   * @param {Message} message
   * @param {number} now seconds
   * @returns {boolean} whether it has to be seen at once: more than another value of what is shown
   */
  hear(message, now) {
    switch (message.type) {
      case "alarm":
        return this.#take(message, now);
      case "alarms":
        this.confirmed = true;
        this.may = new Set(message.may);
        this.pausedUntilMs = message.paused_until_ms;
        this.#doubt(now);
        return true;
      case "alarm_withdrawn":
        this.#drop(message.alarm);
        return true;
      case "roster":
        return this.#leave(new Set(message.streams.map(({ stream }) => stream)));
      case "audio":
        this.pausedUntilMs = message.paused_until_ms;
        return true;
      case "refused":
        this.refuse(message.of, message.target, message.reason);
        return true;
      default:
        return false;
    }
  }

  /**
   * What this connection is still to be told as displayed; what was displayed in a hidden page, once more when it is seen.
   * @param {readonly string[]} drawn ids that stand in the document
   * @param {boolean} hidden whether nobody can see it
   */
  unreported(drawn, hidden) {
    return drawn.filter((id) => {
      const reported = this.#reported.get(id);
      return this.#told.has(id) && (reported === undefined || (reported === "hidden" && !hidden));
    });
  }

  /**
   * The same, REPORT_MAX at most, each of which then counts as told.
   * @param {readonly string[]} drawn
   * @param {boolean} hidden
   */
  report(drawn, hidden) {
    const ids = this.unreported(drawn, hidden).slice(0, REPORT_MAX);
    for (const id of ids) this.#reported.set(id, hidden ? "hidden" : "seen");
    return ids;
  }

  /**
   * Why what was asked for last was not done; empty when it was.
   * @param {string} of the type of the message
   * @param {string} target
   */
  refusal(of, target) {
    return this.#refusals.get(askedKey(of, target)) ?? "";
  }

  /**
   * @param {string} of
   * @param {string} target
   * @param {string} reason empty: it was done, or is asked for again
   */
  refuse(of, target, reason) {
    if (reason) this.#refusals.set(askedKey(of, target), reason);
    else this.#refusals.delete(askedKey(of, target));
  }

  /**
   * @param {Alarm} told
   * @param {number} now
   */
  #take(told, now) {
    this.#forgetClosed(now);
    const { alarm: id } = told;
    if (this.#closed.has(id)) return false;
    const before = this.#held.get(id)?.alarm;
    const alarm = before ? merged(before, told) : told;
    if (alarm.state === "closed" || told.state === "closed") {
      this.#drop(id);
      this.#closed.set(id, now);
      return before !== undefined;
    }
    this.#held.set(id, { alarm, heardAt: now });
    this.#told.add(id);
    this.#doubted.delete(id);
    if (alarm.acknowledged_ms !== null) this.refuse("alarm_ack", id, "");
    // The server says so too, in an `audio` that may come later.
    if (!before && alarm.state === "active" && alarm.severity !== "low") this.pausedUntilMs = null;
    return before?.state !== alarm.state;
  }

  /**
   * All that is open was told: of what only an earlier connection has told, its process may not know yet.
   * @param {number} now
   */
  #doubt(now) {
    const untold = [...this.#held.keys()].filter((id) => !this.#told.has(id));
    this.#doubted = new Map(untold.map((id) => [id, this.#doubted.get(id) ?? now + SETTLING_S]));
  }

  /**
   * What was not told again, and is of a patient that the viewer sees no more, is not waited for.
   * @param {ReadonlySet<string>} visible
   */
  #leave(visible) {
    let left = false;
    for (const id of this.#doubted.keys()) {
      if (visible.has(this.#held.get(id)?.alarm.stream ?? "")) continue;
      this.#drop(id);
      left = true;
    }
    return left;
  }

  /** The viewer may see nothing any more. */
  clear() {
    for (const id of this.#held.keys()) this.#drop(id);
    this.may = new Set();
    this.pausedUntilMs = null;
  }

  /**
   * Let go of what was in doubt, and has not been told again since.
   * @param {number} now
   */
  settle(now) {
    for (const [id, until] of this.#doubted) if (now >= until) this.#drop(id);
  }

  /** @param {string} id */
  #drop(id) {
    this.#held.delete(id);
    this.#told.delete(id);
    this.#doubted.delete(id);
    this.#reported.delete(id);
    this.refuse("alarm_ack", id, "");
  }

  /** @param {number} now */
  #forgetClosed(now) {
    for (const [id, at] of this.#closed) {
      if (now - at < TOMBSTONE_S) return;
      this.#closed.delete(id);
    }
  }
}

/**
 * @param {string} of
 * @param {string} target
 */
function askedKey(of, target) {
  // There is one sound for all alarms.
  return of === "audio_pause" ? of : `${of} ${target}`;
}

/**
 * What two messages about one alarm say together, in whatever order they came.
 * @param {Alarm} a
 * @param {Alarm} b
 * @returns {Alarm}
 */
export function merged(a, b) {
  // As the server does it where two processes wrote the same revision.
  const facts = b.revision > a.revision || (b.revision === a.revision && b.text > a.text) ? b : a;
  const acknowledged = (b.acknowledged_ms ?? Infinity) < (a.acknowledged_ms ?? Infinity) ? b : a;
  const alarm = {
    ...facts,
    raised_ms: Math.min(a.raised_ms, b.raised_ms),
    cleared_ms: earlier(a.cleared_ms, b.cleared_ms),
    acknowledged_ms: acknowledged.acknowledged_ms,
    acknowledged_by: acknowledged.acknowledged_by,
    unstored: a.unstored && b.unstored,
  };
  return { ...alarm, state: stateOf(alarm) };
}

/**
 * @param {Pick<Alarm, "cleared_ms" | "acknowledged_ms" | "latching">} alarm
 * @returns {Alarm["state"]}
 */
function stateOf({ cleared_ms, acknowledged_ms, latching }) {
  if (cleared_ms === null) return acknowledged_ms === null ? "active" : "acknowledged";
  return latching && acknowledged_ms === null ? "ended" : "closed";
}

/**
 * @param {number | null} a
 * @param {number | null} b
 */
function earlier(a, b) {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
}
