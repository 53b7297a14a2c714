// @ts-check
/** The bar on top: which ward, how the connection fares, and the time. */

import { decimal, plural, t, word, zone } from "../i18n.js";
import { STALE_S, durationText } from "../stream/freshness.js";
import { CUT } from "../stream/reconnect.js";
import { clockText } from "./alarm-words.js";
import { conditionText } from "./condition.js";
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
      offline: part(".offline"),
      outage: part(".outage"),
      attempt: part(".attempt"),
      conn: part(".conn"),
      phase: part(".conn b"),
      figures: part(".conn small"),
      clock: part(".clock b"),
      zone: part(".clock small"),
    };
  }

  /**
   * @param {import("../stream/feeds.js").Feeds} beds all beds, their wards, and what the server tells of this connection
   * @param {number} now
   */
  update({ inOrder: feeds, wards, stats }, now) {
    const parts = this.#parts;
    const connection = this.#connection;
    const live = feeds.filter((feed) => isLive(feed, now, connection.phase === "online")).length;
    write(parts.ward, wards.length === 1 ? wards[0] : wards.length === 0 ? t("No ward") : plural(wards.length, "{n} ward", "{n} wards"));
    write(parts.beds, plural(feeds.length, "{n} bed · {live} live", "{n} beds · {live} live", { live }));

    const down = connection.phase !== "online" && (connection.connections > 0 || connection.attempt > 0);
    parts.offline.hidden = !down || connection.isFinal;
    mark(document.body, "data-offline", parts.offline.hidden ? null : "");
    if (!parts.offline.hidden) {
      const isCut = connection.closeCode === CUT;
      write(parts.outage, `${isCut ? t("Cut by an operator") : t("No connection")} ${durationText(now - connection.since)}`);
      const wait = Math.max(0, Math.ceil(connection.retryAt - now)), reason = isCut ? operatorsWords(connection.reason) : "";
      const next = connection.phase === "waiting" ? t("try {n} in {wait} s", { n: connection.attempt, wait }) : t("trying now");
      write(parts.attempt, reason ? `${next}: ${reason}` : next);
      // Where the bar has no room for it, it is there to be pointed at.
      mark(parts.offline, "title", parts.attempt.textContent);
    }

    const answers = connection.silentS <= STALE_S;
    mark(parts.conn, "data-phase", answers ? "online" : "offline");
    write(parts.phase, connection.phase === "online" && !answers ? t("No answer") : t(PHASES[connection.phase]));
    const rtt = connection.rttS;
    const network = stats && !GOOD.has(stats.condition) ? ` · ${conditionText(stats.condition)}` : "";
    write(parts.figures, !answers || rtt === null ? "" : `RTT ${decimal(rtt * 1000, 0)} ms${network}`);
    const time = connection.serverMs;
    write(parts.clock, clockText(time ?? Date.now()));
    write(parts.zone, zone.label);
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

/** What the operator gave as a reason; nothing where there was none. @param {string} reason of the `bye` */
function operatorsWords(reason) {
  const at = reason.indexOf(": ");
  return at < 0 ? "" : reason.slice(at + 2);
}

/** @type {Record<import("../stream/connection.js").Phase, string>} */
const PHASES = {
  connecting: word("Connecting"),
  online: word("Connected"),
  waiting: word("Offline"),
  "signed-out": word("Signed out"),
  forbidden: word("Not allowed"),
  refused: word("Refused"),
};

const GOOD = new Set(["excellent", "good"]);
