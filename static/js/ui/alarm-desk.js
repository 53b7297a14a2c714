// @ts-check
/** What the page does about alarms: keeps their list, tells the server what is displayed, and acts for the user. */

import { word } from "../i18n.js";
import { AlarmList } from "../stream/alarm-list.js";
import { ALARMS_OFF, Alarms } from "../stream/alarms.js";
import { ranksOf } from "./arrangement.js";

export const PAUSE_S = 120;
const AT_ONCE = 32; // acknowledgements that a server lets wait
const NOT_SENT = word("No connection: not sent");
const NOT_ALLOWED = word("Not allowed for you");

/** @typedef {import("../stream/alarm-list.js").Entry} Entry */
/** @typedef {import("../stream/alarm-list.js").Found} Found */
/** @typedef {import("../stream/feed.js").Feed} Feed */

export class AlarmDesk {
  #connection;
  #feeds;
  #alarms = new Alarms();
  #list = new AlarmList();
  /** Ids that stand in the document. @type {readonly string[]} */ #drawn = [];
  #reporting = false;
  #wasOffline = false;
  /** Called with the ids that are told as displayed. @type {((alarms: readonly string[]) => void) | null} */ displayed = null;

  /**
   * @param {import("../stream/connection.js").Connection} connection
   * @param {import("../stream/feeds.js").Feeds} feeds
   */
  constructor(connection, feeds) {
    this.#connection = connection;
    this.#feeds = feeds;
  }

  /**
   * What the server says of an alarm, and when it last said so, in seconds.
   * @param {string} id
   */
  told(id) {
    return this.#alarms.told(id);
  }

  /** All alarms in order. */
  get entries() {
    return this.#list.entries;
  }

  /** @param {Feed} feed */
  of(feed) {
    return this.#list.of(feed);
  }

  /** Milliseconds since 1970 on the server's clock, as well as is known. */
  get nowMs() {
    return this.#connection.serverMs ?? Date.now();
  }

  /** Whether there was a connection, and is none. */
  get isOffline() {
    return this.#connection.phase !== "online" && this.#connection.connections > 0;
  }

  /** Whether the server says now that these alarms are open. */
  get confirmed() {
    return this.#connection.phase === "online" && this.#alarms.confirmed;
  }

  /** Seconds for which there will be no sound. */
  get pausedS() {
    return Math.max(0, ((this.#alarms.pausedUntilMs ?? 0) - this.nowMs) / 1000);
  }

  /** The severity to be heard; without a connection at least a technical one: alarms cannot come. */
  get audible() {
    return this.#list.audible ?? (this.isOffline ? "technical" : null);
  }

  /**
   * How grave it stands with each bed now, the gravest first.
   * @returns {ReadonlyMap<string, number> | null} null while the server has not told all alarms
   */
  ranks() {
    if (!this.confirmed) return null;
    if (this.entries.length > 0) return ranksOf(this.entries);
    // Alarms come before the beds: nothing may be drawn yet.
    const list = new AlarmList();
    list.arrange(this.#known([]));
    return ranksOf(list.entries);
  }

  /** @param {string} right */
  may(right) {
    return this.#alarms.may.has(right);
  }

  /** @param {Feed} feed */
  isOff(feed) {
    return this.of(feed).some(({ alarm }) => alarm?.kind === ALARMS_OFF);
  }

  /**
   * Why what the user asked for last was not done; empty when it was.
   * @param {string} of a type of message
   * @param {string} target
   */
  refusal(of, target) {
    return this.#alarms.refusal(of, target);
  }

  /** Without a right to see anything, the sound says no more than that. */
  get mayPause() {
    return this.may("pause_audio") || this.#connection.isFinal;
  }

  /** The phase of the connection changed: who is signed out, or not allowed any more, is shown no alarm of before. */
  connectionChanged() {
    if (this.#connection.isFinal) this.#alarms.clear();
    // That no alarm can come is a new alarm: a pause that begins after it is kept.
    if (this.isOffline && !this.#wasOffline) this.#alarms.pausedUntilMs = null;
    this.#wasOffline = this.isOffline;
  }

  forgetConnection() {
    this.#alarms.forgetConnection();
  }

  /**
   * @param {import("../stream/messages.js").ServerMessage} message
   * @param {number} now seconds
   * @returns {boolean} whether the page has to be drawn at once
   */
  hear(message, now) {
    return this.#alarms.hear(message, now);
  }

  /** @param {readonly Found[]} found what the page finds wrong with its beds */
  arrange(found) {
    this.#list.arrange(this.#known(found));
    if (this.#list.hasFoundMore && !this.isOffline) this.#alarms.pausedUntilMs = null;
  }

  /** @param {readonly Found[]} found */
  #known(found) {
    return {
      alarms: this.#alarms.open,
      found,
      bed: (/** @type {string} */ stream) => this.#feeds.get(stream),
      several: this.#feeds.wards.length > 1,
      offline: this.isOffline,
      nowMs: this.nowMs,
    };
  }

  /** The document shows what was arranged: the server is told once that has been painted. */
  drawn() {
    this.#drawn = this.#list.entries.flatMap(({ alarm }) => alarm?.alarm ?? []);
    if (this.#reporting || document.hidden || this.#alarms.unreported(this.#drawn, false).length === 0) return;
    this.#reporting = true;
    // The first frame's callback still runs before its painting.
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        this.#reporting = false;
        this.#report(document.hidden);
      }),
    );
  }

  /**
   * To be called by a clock that also runs where nobody looks: there, no frame is ever painted.
   * @param {number} now seconds
   */
  tick(now) {
    this.#alarms.settle(now);
    if (document.hidden) this.#report(true);
  }

  /** @param {boolean} hidden */
  #report(hidden) {
    while (this.#connection.phase === "online") {
      const alarms = this.#alarms.report(this.#drawn, hidden);
      if (alarms.length === 0) return;
      this.displayed?.(alarms);
      this.#connection.tell({ type: "alarm_displayed", alarms, hidden });
    }
  }

  /**
   * The first alarm of a bed that nobody has seen to.
   * @param {Feed} feed
   */
  unseen(feed) {
    return this.of(feed).find(({ state, alarm }) => state !== "acknowledged" && alarm?.kind !== ALARMS_OFF) ?? null;
  }

  /**
   * With what has ended and is about the same: who has seen to one of a bed's runs has seen to those before.
   * @param {Entry} entry
   */
  acknowledge({ alarm, feed, ...own }) {
    if (!alarm) {
      this.#list.see(own.key, this.nowMs);
      return;
    }
    const like = feed ? this.of(feed).filter((other) => other.state === "ended" && other.alarm?.kind === alarm.kind) : [];
    const ids = new Set([alarm.alarm, ...like.flatMap((other) => other.alarm?.alarm ?? [])]);
    for (const id of [...ids].slice(0, AT_ONCE)) this.#ask("acknowledge", { type: "alarm_ack", alarm: id }, id);
  }

  /** No sound for two minutes; or, in a pause, sound again. */
  pause() {
    const seconds = this.pausedS > 0 ? 0 : PAUSE_S;
    if (!this.isOffline) this.#ask("pause_audio", { type: "audio_pause", seconds }, "");
    else if (this.mayPause) this.#alarms.pausedUntilMs = seconds === 0 ? null : this.nowMs + seconds * 1000;
  }

  /**
   * @param {Feed} feed
   * @param {boolean} off
   */
  switchAlarms(feed, off) {
    this.#ask("switch_off", { type: "alarms_off", stream: feed.id, off }, feed.id);
  }

  /**
   * @param {string} right that it needs
   * @param {{type: string, [field: string]: unknown}} message
   * @param {string} target
   */
  #ask(right, message, target) {
    if (!this.may(right)) this.#alarms.refuse(message.type, target, NOT_ALLOWED);
    else if (this.#connection.tell(message)) this.#alarms.refuse(message.type, target, "");
    else this.#alarms.refuse(message.type, target, NOT_SENT);
  }
}
