// @ts-check
/** All streams that this viewer may see, in bed order, and which of them an alias means. */

import { Feed } from "./feed.js";

/** @typedef {import("./messages.js").ServerMessage} Message */
/** @typedef {import("./decode.js").Samples} Samples */

const GOOD = new Set(["excellent", "good"]);
/** Reasons of decisions that changed nothing. */
const UNCHANGED = new Set(["steady", "quiet"]);

/**
 * Whether the network has room for what is late: it is good, or carries every sample and nothing waits. The condition is
 * that of the last 5 s.
 * @param {Extract<Message, {type: "stats"}>} stats
 */
function hasRoom({ condition, rendition, queued }) {
  return GOOD.has(condition) || (rendition === "lossless" && Object.values(queued).every((count) => count === 0));
}

export class Feeds {
  /** @type {Map<string, Feed>} */ #byId = new Map();
  /** @type {Map<number, {feed: Feed, format: import("./rendition.js").Format}>} */ #byAlias = new Map();
  /** @type {Feed[]} by ward and bed */
  inOrder = [];
  /** @type {string[]} names of the wards that have beds, in order */
  wards = [];
  /** @type {Set<string>} streams that the server refused */
  denied = new Set();
  /** Whether a roster has come: until then nobody knows that there are no beds. */
  known = false;
  /** @type {Extract<Message, {type: "stats"}> | null} */
  stats = null;
  /** Why the server last sent more or less, on this connection. @type {string | null} */ reason = null;
  /** Samples decoded, over all leads. */
  samples = 0;

  /** @param {string} id */
  get(id) {
    return this.#byId.get(id) ?? null;
  }

  /** A new connection: its aliases are not those of the last one, nor are its figures. */
  forgetConnection() {
    this.#byAlias.clear();
    this.denied.clear();
    this.stats = null;
    this.reason = null;
    for (const feed of this.inOrder) feed.gaps.forgetConnection();
  }

  /**
   * The page has slept for so long, and its clock with it.
   * @param {number} seconds
   */
  sleep(seconds) {
    for (const feed of this.inOrder) feed.sleep(seconds);
  }

  /**
   * What the page has of these streams, for a connection that does not know.
   * @param {string[]} streams
   */
  resumes(streams) {
    return streams.flatMap((id) => this.#byId.get(id)?.resume() ?? []);
  }

  /**
   * What is missing of these streams and is to be asked for now: nothing while the network has no room for it.
   * @param {string[]} streams
   * @param {number} now
   */
  asks(streams, now) {
    if (!this.stats || !hasRoom(this.stats)) return [];
    return streams.flatMap((id) => this.#byId.get(id)?.asks(now) ?? []);
  }

  /**
   * @param {Message} message
   * @param {number} now
   * @returns {boolean} whether the list of beds changed
   */
  hear(message, now) {
    switch (message.type) {
      case "roster":
        this.#enrol(message.streams);
        return true;
      case "stream": {
        const feed = this.#byId.get(message.stream);
        if (feed) this.#byAlias.set(message.alias, { feed, format: feed.describe(message, now) });
        return false;
      }
      case "vitals":
        this.#byId.get(message.stream)?.setVitals(message, now);
        return false;
      case "quality":
        this.#byId.get(message.stream)?.setQuality(message, now);
        return false;
      case "gap":
        this.#byId.get(message.stream)?.hearGap(message, now);
        return false;
      case "denied":
        this.denied.add(message.stream);
        return true;
      case "stats":
        this.stats = message;
        if (!UNCHANGED.has(message.reason)) this.reason = message.reason;
        return false;
      default:
        return false;
    }
  }

  /**
   * @param {Samples} samples
   * @param {number} now
   */
  write(samples, now) {
    const meant = this.#byAlias.get(samples.alias);
    // Frames on their way when a stream was given up still arrive; they have no place any more.
    if (!meant || meant.format.signals.length !== samples.leads) return;
    const { first, data, count, late } = samples;
    if (meant.feed.write(meant.format, first, data, count, late, now)) this.samples += count * samples.leads;
  }

  /**
   * @param {import("./messages.js").RosterEntry[]} entries
   */
  #enrol(entries) {
    this.known = true;
    const before = this.#byId;
    this.#byId = new Map();
    for (const entry of entries) {
      const feed = before.get(entry.stream) ?? new Feed(entry);
      feed.entry = entry;
      this.#byId.set(entry.stream, feed);
    }
    this.inOrder = [...this.#byId.values()].sort(byPlace);
    this.wards = [...new Set(this.inOrder.map((feed) => feed.entry.ward_name))];
  }
}

const inBedOrder = new Intl.Collator("en", { numeric: true });

/**
 * @param {Feed} a
 * @param {Feed} b
 */
function byPlace(a, b) {
  return inBedOrder.compare(a.entry.ward_name, b.entry.ward_name) || inBedOrder.compare(a.entry.bed, b.entry.bed);
}
