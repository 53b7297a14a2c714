// @ts-check
/** The panel that says how the data comes: rendition, round trip, goodput, window, queues, losses. */

import { decimal, t, word } from "../i18n.js";
import { STALE_S, durationText } from "../stream/freshness.js";
import { levelOf } from "../stream/rendition.js";
import { mark, pick, write } from "./dom.js";
import { conditionText } from "./condition.js";

const EVERY_S = 2;
const REMEMBERED = 60; // round trips, one every 2 s: two minutes
const CLASSES = ["critical", "high", "normal", "low", "bulk"];
const FULL_QUEUE = 64; // messages that fill the bar
const LEAST_SCALE_MS = 20;

export class NetworkPanel {
  #connection;
  #feeds;
  #parts;
  #rtts = new RoundTrips();

  /**
   * @param {Element} element
   * @param {import("../stream/connection.js").Connection} connection
   * @param {import("../stream/feeds.js").Feeds} feeds
   */
  constructor(element, connection, feeds) {
    this.#connection = connection;
    this.#feeds = feeds;
    const part = (/** @type {string} */ name) => pick(element, `[data-part="${name}"]`, Element);
    this.#parts = {
      rendition: part("rendition"),
      word: part("rendition-word"),
      condition: part("condition"),
      reason: part("reason"),
      layer: part("layer"),
      rtt: part("rtt"),
      goodput: part("goodput"),
      window: part("window"),
      dropped: part("dropped"),
      spark: part("spark"),
      top: part("spark-top"),
      queues: CLASSES.map((name) => ({
        name,
        bar: pick(element, `[data-queue="${name}"] .bar`, Element),
        text: pick(element, `[data-queue="${name}"] span`, Element),
      })),
    };
  }

  /**
   * @param {import("../stream/feed.js").Feed} feed
   * @param {number} now
   */
  update(feed, now) {
    const parts = this.#parts;
    const trouble = troubleOf(this.#connection, now);
    // Figures of a way that is gone would praise it: then none is shown. A busy server sends none.
    const busy = trouble ? null : overloadNote(this.#feeds.stats);
    const stats = trouble || busy ? null : this.#feeds.stats;
    const rtt = trouble ? null : this.#connection.rttS;
    const rendition = trouble ? undefined : feed.rendition;
    mark(parts.rendition, "data-level", String(levelOf(rendition)));
    write(parts.word, trouble?.what ?? (rendition ? t(rendition) : "--"));
    const told = stats && !isOutdated(stats, rendition) ? stats : null;
    const condition = told ? t("Network {condition}, as the server sees it", { condition: conditionText(told.condition) }) : t("Waiting for the server's figures");
    write(parts.condition, trouble?.note ?? busy ?? condition);
    write(parts.reason, told ? reasonText(this.#feeds.reason) : "");
    write(parts.layer, layerText(stats?.layer));
    write(parts.rtt, rtt === null ? "--" : decimal(rtt * 1000, rtt < 0.01 ? 1 : 0));
    write(parts.goodput, stats?.goodput_bps == null ? "--" : decimal(stats.goodput_bps / 8000, 1));
    write(parts.window, stats ? `${kib(stats.in_flight_bytes)} / ${kib(stats.window_bytes)}` : "--");
    write(parts.dropped, stats ? `${stats.dropped} / ${stats.expired}` : "--");
    for (const { name, bar, text } of parts.queues) {
      const queued = stats?.queued[name] ?? 0;
      write(text, stats ? t("{n} queued", { n: queued }) : "--");
      mark(bar, "width", String(Math.min(100, (100 * queued) / FULL_QUEUE)));
    }
    this.#rtts.set(Math.floor(now / EVERY_S), rtt === null ? NaN : rtt * 1000);
    const top = this.#rtts.highest;
    mark(parts.spark, "d", this.#rtts.path(Math.max(LEAST_SCALE_MS, top) * 1.1));
    write(parts.top, top > 0 ? `${Math.round(Math.max(LEAST_SCALE_MS, top) * 1.1)} ms` : "--");
  }
}

/**
 * Whether figures are of before a step down: on a narrow path they come seconds behind the samples.
 * @param {{rendition: string}} stats their rendition is the coarsest of all streams then
 * @param {string | undefined} rendition of one stream now
 */
export function isOutdated(stats, rendition) {
  return rendition !== undefined && levelOf(rendition) < levelOf(stats.rendition);
}

/** @type {Record<string, string>} */
const REASONS = {
  streams: word("Chosen anew: other beds are watched, or one needs more"),
  trial: word("More is tried: there was neither delay nor loss for a while"),
  known: word("More is sent: the network has carried it before"),
  sampled: word("More was tried for a moment, to see how long it takes"),
  queueing: word("Less is sent: the data waited too long on its way"),
  expiry: word("Less is sent: data came too late and was dropped"),
  rate: word("Less is sent: the network carried less than was needed"),
  overload: word("Less is sent: the server has too much to do"),
};

/**
 * Why the server last sent more or less than before, in words; empty for what this page does not know.
 * @param {string | null} reason
 */
export function reasonText(reason) {
  return Object.hasOwn(REASONS, reason ?? "") ? t(REASONS[reason ?? ""]) : "";
}

/**
 * What a server with too much to do has told of itself; null of one that has not.
 * @param {{overload?: string} | null} stats
 * @returns {string | null}
 */
export function overloadNote(stats) {
  switch (stats?.overload ?? "normal") {
    case "normal":
      return null;
    case "shedding":
      return t("The server has too much to do: history and these figures wait");
    default:
      return t("The server has too much to do: less is sent than the network carries. Numbers and alarms stay");
  }
}

/**
 * What it means for this viewer that the server's processes do not reach each other; empty while they do.
 * @param {string | undefined} layer
 */
export function layerText(layer) {
  return layer === "away" ? t("The server's processes do not reach each other: some beds may stand still") : "";
}

/**
 * Why nothing is known of the network, in words; null while it answers.
 * @param {import("../stream/connection.js").Connection} connection
 * @param {number} now
 * @returns {{what: string, note: string} | null}
 */
export function troubleOf({ phase, since, silentS }, now) {
  if (phase !== "online") {
    return { what: t("No connection"), note: t("Lost {time} ago. No figures until it is back.", { time: durationText(now - since) }) };
  }
  if (silentS > STALE_S) {
    return { what: t("No answer"), note: t("Nothing came for {time}. No figures until it does.", { time: durationText(silentS) }) };
  }
  return null;
}

/** The round trips of the last two minutes, in milliseconds; NaN where there was none. */
export class RoundTrips {
  #values = new Float64Array(REMEMBERED).fill(NaN);
  #last = -Infinity;

  /**
   * @param {number} slot steps of 2 s of the page's clock
   * @param {number} ms
   */
  set(slot, ms) {
    for (let missed = Math.max(this.#last + 1, slot - REMEMBERED + 1); missed < slot; missed++) {
      this.#values[missed % REMEMBERED] = NaN;
    }
    this.#values[slot % REMEMBERED] = ms;
    this.#last = slot;
  }

  /** 0 when there is none. */
  get highest() {
    return this.#values.reduce((most, ms) => (ms > most ? ms : most), 0);
  }

  /**
   * The line in a box of 59 x 100 that ends at its right edge now, broken where there was no round trip.
   * @param {number} top milliseconds at the upper edge
   */
  path(top) {
    let path = "";
    let open = false;
    for (let at = 0; at < REMEMBERED; at++) {
      const ms = this.#values[(this.#last + 1 + at) % REMEMBERED];
      if (!Number.isNaN(ms)) path += `${open ? "L" : "M"}${at} ${(100 - (100 * ms) / top).toFixed(1)}`;
      open = !Number.isNaN(ms);
    }
    return path;
  }
}

/** @param {number} bytes */
function kib(bytes) {
  return decimal(bytes / 1024, 1);
}
