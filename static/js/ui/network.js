// @ts-check
/** The panel that says how the data comes: rendition, round trip, goodput, window, queues, losses. */

import { levelOf } from "../stream/rendition.js";
import { mark, pick, write } from "./dom.js";

const REMEMBERED = 60; // round trips, one every 2 s: two minutes
const CLASSES = ["critical", "high", "normal", "low", "bulk"];
const FULL_QUEUE = 64; // messages that fill the bar
const LEAST_SCALE_MS = 20;

export class NetworkPanel {
  #connection;
  #feeds;
  #parts;
  /** @type {number[]} */ #rtts = [];
  #sampledAt = -Infinity;

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
    const stats = this.#feeds.stats;
    const rendition = feed.info?.rendition;
    mark(parts.rendition, "data-level", String(levelOf(rendition)));
    write(parts.word, rendition ?? "--");
    write(parts.condition, stats ? `Network ${stats.condition}, as the server sees it` : "Waiting for the server's figures");
    const rtt = this.#connection.rttS;
    write(parts.rtt, rtt === null ? "--" : (rtt * 1000).toFixed(rtt < 0.01 ? 1 : 0));
    if (stats) {
      write(parts.goodput, stats.goodput_bps === null ? "--" : (stats.goodput_bps / 8000).toFixed(1));
      write(parts.window, `${kib(stats.in_flight_bytes)} / ${kib(stats.window_bytes)}`);
      write(parts.dropped, `${stats.dropped} / ${stats.expired}`);
      for (const { name, bar, text } of parts.queues) {
        const queued = stats.queued[name] ?? 0;
        write(text, `${queued} queued`);
        mark(bar, "width", String(Math.min(100, (100 * queued) / FULL_QUEUE)));
      }
    }
    if (rtt !== null && now - this.#sampledAt >= 2) {
      this.#sampledAt = now;
      this.#rtts.push(rtt * 1000);
      if (this.#rtts.length > REMEMBERED) this.#rtts.shift();
      this.#draw();
    }
  }

  #draw() {
    const top = Math.max(LEAST_SCALE_MS, ...this.#rtts) * 1.1;
    const from = REMEMBERED - this.#rtts.length;
    const points = this.#rtts.map((ms, at) => `${from + at} ${(100 - (100 * ms) / top).toFixed(1)}`);
    mark(this.#parts.spark, "d", `M${points.join("L")}`);
    write(this.#parts.top, `${Math.round(top)} ms`);
  }
}

/** @param {number} bytes */
function kib(bytes) {
  return (bytes / 1024).toFixed(1);
}
