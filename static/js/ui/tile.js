// @ts-check
/** One bed of the ward: its identity, trace, numbers, and what is wrong with them. */

import { LATE_S, ageText } from "../stream/freshness.js";
import { levelOf } from "../stream/rendition.js";
import { mark, pick, stamp, write } from "./dom.js";
import { Lane, fault } from "./lane.js";
import { Sweep } from "./sweep.js";

/** @typedef {import("../stream/feed.js").Feed} Feed */

export class Tile {
  #feed;
  #parts;
  #lane;
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
    };
    this.#lane = new Lane(this.element);
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

  /**
   * @param {number} now
   * @param {boolean} named whether it says which ward the bed is in
   */
  update(now, named) {
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

    this.#lane.update(state, wrong);
    write(parts.bed, entry.bed);
    write(parts.name, name);
    write(parts.ward, named ? entry.ward_name : "");
    write(parts.mark, feed.source);
    mark(parts.mark, "data-source", feed.source);
    write(parts.lead, lead);
    write(parts.note, wrong?.note ?? "");
    write(parts.age, ageText(feed.shownAge(now)));
    mark(parts.age, "data-late", feed.shownAge(now) > LATE_S ? "" : null);
    write(parts.renditionWord, rendition ?? "");
    mark(parts.rendition, "data-level", String(levelOf(rendition)));
    write(parts.source, source ?? "");
    write(parts.hr, beats);
    mark(parts.hr, "data-unknown", hr === null ? "" : null);
    write(parts.rhythm, wrong && state !== "live" && state !== "late" ? "no data" : "");
    const told = hr === null ? "heart rate unknown" : `heart rate ${beats}`;
    const place = named ? `${entry.ward_name}, bed ${entry.bed}` : `Bed ${entry.bed}`;
    // The label stands in place of all that is in the link, so it says what bars say to the eye.
    const label = [place, name, feed.source, told, rendition && `rendition ${rendition}`, wrong?.what];
    mark(this.element, "aria-label", label.filter(Boolean).join(", "));
    this.sweep.label = `ECG lead ${lead}, bed ${entry.bed}`;
  }
}
