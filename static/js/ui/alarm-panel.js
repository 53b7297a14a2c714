// @ts-check
/** All alarms of one patient, what each rests on, and what the user may do about them. */

import { decimal, figure, t } from "../i18n.js";
import { ALARMS_OFF } from "../stream/alarms.js";
import { PAUSE_S } from "./alarm-desk.js";
import { MARKS, WORDS, clockText, iconOf, lastedText, seenText } from "./alarm-words.js";
import { drawIcon, mark, pick, stamp, write } from "./dom.js";
import { reviewPathOf } from "./paths.js";
import { Strip } from "./strip.js";

/** @typedef {import("../stream/alarm-list.js").Entry} Entry */
/** @typedef {import("../stream/feed.js").Feed} Feed */
/** @typedef {import("../stream/messages.js").Alarm} Alarm */

const CONFIRM_S = 5; // within which a second press switches alarms off

export class AlarmPanel {
  #feed;
  #desk;
  #strip;
  #now;
  #parts;
  #rows;
  /** @type {Map<string, HTMLElement>} by the entry's key */ #lines = new Map();
  #confirmUntil = -Infinity;

  /**
   * @param {Element} element
   * @param {Feed} feed
   * @param {{desk: import("./alarm-desk.js").AlarmDesk, strip: Strip, now: () => number}} parts
   */
  constructor(element, feed, { desk, strip, now }) {
    this.#feed = feed;
    this.#desk = desk;
    this.#strip = strip;
    this.#now = now;
    const part = (/** @type {string} */ name) => pick(element, `[data-part="alarm-${name}"]`, Element);
    this.#parts = {
      count: part("count"),
      off: part("off"),
      note: part("note"),
      none: part("none"),
      pause: part("pause"),
      pauseText: part("pause-text"),
      switch: part("switch"),
      switchText: part("switch-text"),
    };
    this.#rows = pick(element, "ol", Element);
    element.addEventListener("click", (event) => {
      const button = event.target instanceof Element && event.target.closest("button");
      if (button) this.#press(button, event instanceof MouseEvent && event.detail > 1);
    });
  }

  /** @param {number} now */
  update(now) {
    const desk = this.#desk;
    const entries = desk.of(this.#feed);
    const count = (/** @type {Entry["state"]} */ state) => entries.filter((entry) => entry.state === state).length;
    const active = count("active"), ended = count("ended"), acknowledged = count("acknowledged");
    const counts = [
      active > 0 && t("{n} active", { n: active }),
      ended > 0 && t("{n} ended", { n: ended }),
      acknowledged > 0 && t("{n} acknowledged", { n: acknowledged }),
    ];
    write(this.#parts.count, counts.filter(Boolean).join(" · "));
    mark(this.#parts.none, "hidden", entries.length === 0 ? null : "");
    write(this.#parts.none, desk.confirmed ? t("No alarms") : t("Alarms not known: no connection"));
    const first = desk.unseen(this.#feed);
    this.#show(entries.map((entry) => this.#line(entry, entry === first)));
    this.#updateButtons(now);
  }

  /** @param {number} now */
  #updateButtons(now) {
    const desk = this.#desk;
    const parts = this.#parts;
    const isOff = desk.isOff(this.#feed);
    const asks = now < this.#confirmUntil && !isOff;
    mark(parts.off, "hidden", isOff ? null : "");
    mark(parts.pause, "hidden", desk.may("pause_audio") ? null : "");
    write(parts.pauseText, desk.pausedS > 0 ? t("Resume audio") : t("Pause audio {n} min", { n: PAUSE_S / 60 }));
    mark(parts.switch, "hidden", desk.may("switch_off") ? null : "");
    mark(parts.switch, "data-asks", asks ? "" : null);
    write(parts.switchText, isOff ? t("Alarms on") : asks ? t("Press again: alarms off") : t("Alarms off"));
    write(parts.note, t(desk.refusal("alarms_off", this.#feed.id) || desk.refusal("audio_pause", "")));
  }

  /**
   * @param {Entry} entry
   * @param {boolean} foremost whether it is what `A` acknowledges
   */
  #line(entry, foremost) {
    const { alarm } = entry;
    const line = this.#lines.get(entry.key) ?? stamp("alarm-row");
    this.#lines.set(entry.key, line);
    line.dataset.key = entry.key;
    const part = (/** @type {string} */ name) => pick(line, `.${name}`, Element);
    mark(line, "data-alarm", MARKS[entry.severity]);
    mark(line, "data-standing", entry.state);
    drawIcon(part("icon"), iconOf(entry));
    write(part("what"), entry.text);
    write(part("standing"), this.#standingText(entry));
    write(part("measured"), alarm ? measuredText(alarm) : t("found by this page"));
    const lead = alarm && Strip.leadOf(this.#feed, alarm);
    const shown = alarm !== null && this.#strip.alarm === alarm.alarm;
    write(part("evidence"), alarm ? evidenceText(alarm, this.#feed) : "");
    mark(part("look"), "hidden", lead || shown ? null : "");
    mark(part("look"), "aria-pressed", String(shown));
    mark(part("past"), "hidden", alarm ? null : "");
    mark(part("past"), "href", alarm ? reviewPathOf(this.#feed, alarm.raised_ms) : null);
    const open = entry.state !== "acknowledged";
    mark(part("acknowledge"), "hidden", open && (!alarm || this.#desk.may("acknowledge")) ? null : "");
    part("acknowledge").classList.toggle("btn-primary", foremost);
    mark(part("key"), "hidden", foremost ? null : "");
    write(part("refusal"), alarm ? t(this.#desk.refusal("alarm_ack", alarm.alarm)) : "");
    return line;
  }

  /** @param {Entry} entry */
  #standingText(entry) {
    const { nowMs, confirmed } = this.#desk;
    const began = entry.sinceMs === null ? "" : t("since {time} ({lasted})", { time: clockText(entry.sinceMs), lasted: lastedText(entry, nowMs) });
    const ended = entry.alarm?.cleared_ms ? t("ended {time}", { time: clockText(entry.alarm.cleared_ms) }) : "";
    const seen = entry.state === "acknowledged" ? t("acknowledged {when}", { when: seenText(entry) }) : "";
    const unstored = entry.alarm?.unstored ? t("not stored yet") : "";
    const known = confirmed || !entry.alarm ? "" : t("last known");
    return [WORDS[entry.severity], seen, ended, began, unstored, known].filter(Boolean).join(" · ");
  }

  /** @param {HTMLElement[]} lines */
  #show(lines) {
    for (const [key, line] of this.#lines) {
      if (lines.includes(line)) continue;
      line.remove();
      this.#lines.delete(key);
    }
    // One that is moved loses its focus: only a change of order moves any.
    lines.forEach((line, at) => {
      if (this.#rows.children[at] !== line) this.#rows.insertBefore(line, this.#rows.children[at] ?? null);
    });
  }

  /**
   * @param {HTMLButtonElement} button
   * @param {boolean} isDouble whether this click makes the one before it a double click
   */
  #press(button, isDouble) {
    const now = this.#now();
    const key = button.closest("li")?.dataset.key;
    const entry = this.#desk.of(this.#feed).find((one) => one.key === key);
    if (button === this.#parts.pause) this.#desk.pause();
    else if (button === this.#parts.switch) this.#switch(now, isDouble);
    else if (entry && button.classList.contains("acknowledge")) this.#desk.acknowledge(entry);
    else if (entry?.alarm && button.classList.contains("look")) this.#look(entry.alarm);
    this.update(now);
  }

  /**
   * @param {number} now
   * @param {boolean} isDouble
   */
  #switch(now, isDouble) {
    const off = !this.#desk.isOff(this.#feed);
    if (off && (isDouble || now >= this.#confirmUntil)) {
      this.#confirmUntil = now + CONFIRM_S;
      return;
    }
    this.#confirmUntil = -Infinity;
    this.#desk.switchAlarms(this.#feed, off);
  }

  /** @param {Alarm} alarm */
  #look(alarm) {
    if (this.#strip.alarm === alarm.alarm) this.#strip.close();
    else this.#strip.open(alarm);
  }
}

/**
 * The value and its limit as numbers, and how long it took from the event to the alarm.
 * @param {Alarm} alarm
 */
export function measuredText({ kind, value, limit, unit: told, condition_delay_s, signal_delay_s, origin }) {
  const unit = told === "bpm" ? t("bpm") : told;
  const number = (/** @type {number} */ it) => figure(Number(it.toFixed(1)));
  // What the analysis measures has a unit; that alarms are off has nothing measured.
  const isMeasured = origin === "device" || unit !== "";
  const measured = value === null || !isMeasured ? "" : t("value {value} {unit}", { value: number(value), unit }).trim();
  const against = limit === null || !isMeasured ? "" : t("limit {value} {unit}", { value: number(limit), unit }).trim();
  // Of what a device found, it alone knows how long that took.
  const delays = t("condition delay {condition}\u00a0s, signal delay {signal}\u00a0s", {
    condition: decimal(condition_delay_s, 1),
    signal: decimal(signal_delay_s, 1),
  });
  // That alarms are off is set by somebody: there was nothing to wait for.
  const how = origin === "device" ? t("found by the device") : kind === ALARMS_OFF ? "" : delays;
  return [measured, against, how].filter(Boolean).join(" · ");
}

/**
 * Where in the recording it can be seen.
 * @param {Alarm} alarm
 * @param {Feed} feed
 */
function evidenceText({ from, to, lead, epoch }, { info }) {
  if (to <= from) return "";
  const long = info?.epoch === epoch ? `${decimal((to - from) / info.rate_hz, 1)} s` : t("an earlier recording");
  return t("Evidence: {leads} {long} from sample {from}", { leads: lead.replaceAll(",", ", "), long, from });
}
