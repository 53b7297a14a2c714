// @ts-check
/** The bar on top: which ward, what is technically wrong in it, how the connection fares, and the time. */

import { STALE_S, durationText } from "../stream/freshness.js";
import { mark, pick, write } from "./dom.js";

/** @typedef {import("../stream/feed.js").Feed} Feed */

export class TopBar {
  #connection;
  #parts;

  /**
   * @param {import("../stream/connection.js").Connection} connection
   */
  constructor(connection) {
    this.#connection = connection;
    const part = (/** @type {string} */ selector) => pick(document, `.topbar ${selector}`, HTMLElement);
    this.#parts = {
      ward: part(".place b"),
      beds: part(".place span"),
      alarm: part(".sum-n"),
      alarms: part(".sum-n b"),
      where: part(".sum-n .beds"),
      said: part(".said"),
      offline: part(".offline"),
      outage: part(".outage"),
      attempt: part(".attempt"),
      conn: part(".conn"),
      phase: part(".conn b"),
      figures: part(".conn small"),
      clock: part(".clock"),
    };
  }

  /**
   * @param {{feeds: Feed[], wards: string[], wrong: Feed[]}} beds all beds, their wards, and the beds with a technical alarm
   * @param {number} now
   */
  update({ feeds, wards, wrong }, now) {
    const parts = this.#parts;
    const connection = this.#connection;
    const live = feeds.filter((feed) => isLive(feed, now, connection.phase === "online")).length;
    write(parts.ward, wards.length === 1 ? wards[0] : wards.length === 0 ? "No ward" : `${wards.length} wards`);
    write(parts.beds, `${bedsText(feeds.length)} · ${live} live`);

    const down = connection.phase !== "online" && connection.connections > 0;
    parts.offline.hidden = !down || connection.isFinal;
    parts.alarm.hidden = down || wrong.length === 0;
    mark(document.body, "data-offline", parts.offline.hidden ? null : "");
    // Read aloud when it changes, so without seconds that do.
    write(parts.said, down ? "No connection" : wrong.length > 0 ? `${bedsText(wrong.length)} with a technical alarm` : "");
    if (wrong.length > 0) {
      write(parts.alarms, String(wrong.length));
      write(parts.where, placesText(wrong, wards.length > 1));
      mark(parts.alarm, "href", `/patients/${encodeURIComponent(wrong[0].id)}/`);
    }
    if (!parts.offline.hidden) {
      write(parts.outage, `No connection ${durationText(now - connection.since)}`);
      const wait = Math.max(0, Math.ceil(connection.retryAt - now));
      write(parts.attempt, connection.phase === "waiting" ? `try ${connection.attempt} in ${wait} s` : "trying now");
    }

    const answers = connection.silentS <= STALE_S;
    mark(parts.conn, "data-phase", answers ? "online" : "offline");
    write(parts.phase, connection.phase === "online" && !answers ? "No answer" : PHASES[connection.phase]);
    const rtt = connection.rttS;
    write(parts.figures, !answers || rtt === null ? "" : `RTT ${(rtt * 1000).toFixed(0)} ms`);
    const time = connection.serverMs;
    write(parts.clock, clockText(new Date(time ?? Date.now())));
  }
}

/**
 * By its samples where they are watched; of the other beds the roster tells whether their device is there,
 * as long as there is somebody who would send another one.
 * @param {Feed} feed
 * @param {number} now
 * @param {boolean} isOnline
 */
function isLive(feed, now, isOnline) {
  const state = feed.freshness(now);
  return state === "live" || state === "late" || (isOnline && feed.info === null && feed.entry.online);
}

/** @param {number} count */
function bedsText(count) {
  return `${count} ${count === 1 ? "bed" : "beds"}`;
}

/**
 * The first of some beds by name, and how many more there are.
 * @param {Feed[]} feeds
 * @param {boolean} several whether a bed's name needs its ward's
 */
function placesText(feeds, several) {
  const shown = several ? 1 : 3;
  const more = feeds.length > shown ? ` +${feeds.length - shown}` : "";
  const beds = feeds.slice(0, shown).map((feed) => feed.entry.bed);
  return `${several ? `${feeds[0].entry.ward_name} bed` : "Bed"} ${beds.join(", ")}${more}`;
}

/** @type {Record<import("../stream/connection.js").Phase, string>} */
const PHASES = {
  connecting: "Connecting",
  online: "Connected",
  waiting: "Offline",
  "signed-out": "Signed out",
  forbidden: "Not allowed",
  refused: "Refused",
};

/** @param {Date} date */
function clockText(date) {
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":");
}
