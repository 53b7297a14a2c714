// @ts-check
/** One bed of the ward: its identity, trace, numbers, and what is wrong with them. */

import { LATE_S, ageText, durationText } from "../stream/freshness.js";
import { levelOf } from "../stream/rendition.js";
import { mark, pick, stamp, write } from "./dom.js";
import { Sweep } from "./sweep.js";

/** @typedef {import("../stream/feed.js").Feed} Feed */

/**
 * What is technically wrong with a feed now, as words for its lane and its trace; null when nothing is.
 * @param {Feed} feed
 * @param {number} now
 * @returns {{what: string, note: string, since: number | null, alarm: boolean} | null}
 */
export function fault(feed, now) {
  const state = feed.freshness(now);
  const age = feed.age(now);
  const unplugged = !feed.entry.online;
  if (state === "lost") {
    const note = unplugged ? "device not connected" : "no data";
    // Also when this page has never seen any: it may have been opened after the device died.
    return { what: "No data", note, since: Number.isFinite(age) ? age : null, alarm: true };
  }
  if (state === "stale") return { what: `No data ${Math.floor(age)} s`, note: "no data", since: null, alarm: false };
  if (state === "waiting") {
    return { what: "", note: unplugged ? "device not connected" : "waiting for data", since: null, alarm: false };
  }
  const name = feed.info?.leads[feed.shownLead]?.name;
  if (name === undefined || !feed.leadsOff.has(name)) return null;
  const { hr, source } = feed.heartRate(now);
  const from = hr !== null && source !== null && source !== name ? ` · heart rate from ${source}` : "";
  return { what: `Lead off ${name}`, note: `Lead ${name} off${from}`, since: now - feed.leadsOffSince, alarm: true };
}

export class Tile {
  #feed;
  #parts;
  sweep;

  /**
   * @param {Feed} feed
   * @param {import("./palette.js").Palette} palette
   */
  constructor(feed, palette) {
    this.#feed = feed;
    this.element = stamp("tile");
    const part = (/** @type {string} */ selector) => pick(this.element, selector, Element);
    this.#parts = {
      bed: part(".bed"),
      name: part(".pseud"),
      mark: part(".mark"),
      lead: part(".lead"),
      what: part(".what"),
      since: part(".since"),
      age: part(".age"),
      rendition: part(".rend"),
      renditionWord: part(".rend span"),
      note: part(".wave-note"),
      source: part(".hr-source"),
      hr: part(".hr-val"),
      rhythm: part(".rhythm"),
    };
    this.sweep = new Sweep(pick(this.element, ".wave", HTMLElement), feed, {
      palette,
      rowsOf: (shown) => [shown.shownLead],
    });
    this.element.dataset.stream = feed.id;
    mark(this.element, "href", `/patients/${encodeURIComponent(feed.id)}/`);
  }

  close() {
    this.sweep.close();
    this.element.remove();
  }

  /** @param {number} now */
  update(now) {
    const feed = this.#feed;
    const { entry, info } = feed;
    const parts = this.#parts;
    const state = feed.freshness(now);
    const wrong = fault(feed, now);
    const { hr, source } = feed.heartRate(now);
    const lead = info?.leads[feed.shownLead]?.name ?? "";
    const beats = hr === null ? "--" : String(Math.round(hr));
    const name = entry.name || entry.patient;

    mark(this.element, "data-state", state);
    mark(this.element, "data-alarm", wrong?.alarm ? "tech" : null);
    write(parts.bed, entry.bed);
    write(parts.name, name);
    write(parts.mark, feed.source);
    mark(parts.mark, "data-source", feed.source);
    write(parts.lead, lead);
    write(parts.what, wrong?.what ?? "");
    write(parts.since, wrong?.alarm && wrong.since !== null ? durationText(wrong.since) : "");
    write(parts.note, wrong?.note ?? "");
    write(parts.age, ageText(feed.shownAge(now)));
    mark(parts.age, "data-late", feed.shownAge(now) > LATE_S ? "" : null);
    write(parts.renditionWord, info?.rendition ?? "");
    mark(parts.rendition, "data-level", String(levelOf(info?.rendition)));
    write(parts.source, source ?? "");
    write(parts.hr, beats);
    mark(parts.hr, "data-unknown", hr === null ? "" : null);
    write(parts.rhythm, wrong && state !== "live" && state !== "late" ? "no data" : "");
    const told = hr === null ? "heart rate unknown" : `heart rate ${beats}`;
    mark(this.element, "aria-label", `Bed ${entry.bed}, ${name}, ${feed.source}, ${told}${wrong?.what ? `, ${wrong.what}` : ""}`);
    this.sweep.label = `ECG lead ${lead}, bed ${entry.bed}`;
  }
}
