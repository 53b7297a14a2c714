// @ts-check
/** One bed of the ward: its identity, trace, numbers, and what is wrong with them. */

import { arrange } from "../ecg/layouts.js";
import { t } from "../i18n.js";
import { LATE_S, ageText } from "../stream/freshness.js";
import { levelOf } from "../stream/rendition.js";
import { about, limitsText, rhythmText, spokenText } from "./alarm-words.js";
import { mark, pick, stamp, write } from "./dom.js";
import { Lane, fault } from "./lane.js";
import { pathOf } from "./paths.js";
import { Sweep } from "./sweep.js";

/** @typedef {import("../stream/feed.js").Feed} Feed */

export class Tile {
  #feed;
  #desk;
  #parts;
  #lane;
  #isPinned = false;
  /** What the numbers that stand there go with: when that is another, they do not wait. */ #standing = "";
  sweep;

  /**
   * @param {Feed} feed
   * @param {import("./alarm-desk.js").AlarmDesk} desk
   * @param {import("./palette.js").Palette} palette
   */
  constructor(feed, desk, palette) {
    this.#feed = feed;
    this.#desk = desk;
    this.element = stamp("tile");
    const part = (/** @type {string} */ selector) => pick(this.element, selector, Element);
    this.#parts = {
      bed: part(".bed"),
      name: part(".pseud"),
      ward: part(".of-ward"),
      mark: part(".mark"),
      lead: part(".lead"),
      age: part(".age"),
      rendition: part(".rend"),
      renditionWord: part(".rend span"),
      note: part(".wave-note"),
      source: part(".hr-source"),
      hr: part(".hr-val"),
      rhythm: part(".rhythm"),
      off: part(".alarms-off"),
      pin: part(".pin"),
      limits: part(".hr-limits"),
    };
    this.#lane = new Lane(this.element);
    this.sweep = new Sweep(pick(this.element, ".wave", HTMLElement), feed, {
      palette,
      layoutOf: (shown) => arrange("one", shown.leads, shown.leads[shown.shownLead] ?? ""),
    });
    this.element.dataset.stream = feed.id;
    mark(this.element, "href", pathOf(feed));
  }

  /** Whether the user has put it before the others. @param {boolean} pinned */
  set pinned(pinned) {
    mark(this.#parts.pin, "hidden", pinned ? null : "");
    this.#isPinned = pinned;
  }

  close() {
    this.sweep.close();
    this.element.remove();
  }

  /**
   * @param {number} now
   * @param {{named: boolean, figures: boolean}} told `named`: whether it says which ward the bed is in; `figures`: whether
   *   numbers are due
   */
  update(now, { named, figures }) {
    const feed = this.#feed;
    const { entry } = feed;
    const parts = this.#parts;
    const state = feed.freshness(now);
    // Bars that stay full would praise what does not come.
    const rendition = state === "live" || state === "late" ? feed.rendition : undefined;
    const lead = feed.leads[feed.shownLead] ?? "";
    const wrong = fault(feed, [lead], now);
    const { hr, source } = feed.heartRate(now);
    const beats = hr === null ? "--" : String(Math.round(hr));
    const name = entry.name || entry.patient;
    const alarms = this.#desk.of(feed);
    const isOff = this.#desk.isOff(feed);

    this.#lane.update(state, wrong, alarms, this.#desk);
    mark(this.element, "data-on", about(alarms[0]));
    mark(parts.off, "hidden", isOff ? null : "");
    write(parts.bed, entry.bed);
    write(parts.name, name);
    write(parts.ward, named ? entry.ward_name : "");
    write(parts.mark, feed.source);
    mark(parts.mark, "data-source", feed.source);
    write(parts.lead, lead);
    write(parts.note, wrong?.note ?? "");
    const late = feed.shownAge(now) > LATE_S;
    const standing = [state, late, hr === null, source, alarms[0]?.key, alarms[0]?.text].join();
    if (figures || late || standing !== this.#standing) {
      write(parts.age, ageText(feed.shownAge(now)));
      write(parts.hr, beats);
    }
    this.#standing = standing;
    mark(parts.age, "data-late", late ? "" : null);
    write(parts.renditionWord, rendition ? t(rendition) : "");
    mark(parts.rendition, "data-level", String(levelOf(rendition)));
    write(parts.source, source ?? "");
    write(parts.limits, limitsText(entry));
    mark(parts.hr, "data-unknown", hr === null ? "" : null);
    const current = state === "live" || state === "late";
    write(parts.rhythm, wrong && !current ? t("no data") : rhythmText(alarms[0], feed.rhythm(now)));
    const told = hr === null ? t("heart rate unknown") : t("heart rate {n}", { n: beats });
    const place = named ? t("{ward}, bed {bed}", { ward: entry.ward_name, bed: entry.bed }) : t("Bed {bed}", { bed: entry.bed });
    // The label stands in place of all that is in the link, so it says what bars say to the eye.
    const what = alarms.length > 0 ? alarms.map(spokenText) : [wrong?.what];
    const label = [place, name, feed.source, told, rendition && t("rendition {name}", { name: t(rendition) }), isOff && t("alarms off"), this.#isPinned && t("pinned"), ...what];
    mark(this.element, "aria-label", label.filter(Boolean).join(", "));
    this.sweep.label = t("ECG lead {lead}, bed {bed}", { lead, bed: entry.bed });
  }
}
