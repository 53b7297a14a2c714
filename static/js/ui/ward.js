// @ts-check
/** The ward: a page of beds in the user's order, moved through by arrows. */

import { figure, t } from "../i18n.js";
import { mark } from "./dom.js";
import { Tile } from "./tile.js";

/** @typedef {import("./palette.js").Palette} Palette */
/** @typedef {{several: boolean, layout: import("./arrangement.js").Layout}} Arrangement `several`: the user sees more than one ward */

const FIGURES_S = 0.5; // between numbers of tiles: each new text has the browser look through the page
const BEDS_PER_COLUMN = 8;
const LEAST_ROWS = 4;
const FULL_TILE_PX = 96; // what the figures of a full tile take of its height
const WIDE = matchMedia("not all and (max-width: 1599px)"); // where rows share the height of the page; as in ward.css

export class WardView {
  element = document.createElement("div");
  /** @type {Map<import("../stream/feed.js").Feed, Tile>} */ #tiles = new Map();
  /** @type {Map<string, HTMLElement>} by the ward's name */ #headings = new Map();
  /** @type {import("./sweep.js").Sweep[]} */ sweeps = [];
  #desk;
  #palette;
  #scaleChanged;
  #named = false;
  #isDense = false;
  #rows = LEAST_ROWS;
  #beat = -1;
  #fitting = new ResizeObserver(() => this.#fit());

  /**
   * @param {import("../stream/feed.js").Feed[]} feeds of this page, in order
   * @param {Arrangement} arrangement
   * @param {{desk: import("./alarm-desk.js").AlarmDesk, palette: Palette, scaleChanged: (scale: string) => void}} page
   */
  constructor(feeds, arrangement, { desk, palette, scaleChanged }) {
    this.#desk = desk;
    this.#palette = palette;
    this.#scaleChanged = scaleChanged;
    this.element.className = "ward";
    this.element.setAttribute("aria-label", t("Beds"));
    this.element.setAttribute("role", "group");
    this.show(feeds, arrangement);
    this.#fitting.observe(this.element);
  }

  /** Of the traces, in words. */
  get scale() {
    const { speed, gain } = this.#tilePalette;
    return `${figure(speed)} mm/s · ${figure(gain)} mm/mV`;
  }

  /** In the low tiles of many rows a QRS complex has half of its height. @returns {Palette} */
  get #tilePalette() {
    const isHalf = this.#isDense && this.#rows > BEDS_PER_COLUMN;
    return isHalf ? { ...this.#palette, gain: this.#palette.gain / 2 } : this.#palette;
  }

  /**
   * @param {import("../stream/feed.js").Feed[]} feeds
   * @param {Arrangement} arrangement
   */
  show(feeds, { several, layout: { order, pinned } }) {
    // Beds of a ward stand below its heading only where wards stand together; elsewhere each tile names its own.
    const headings = order === "ward" && (several || feeds.some(({ id }) => pinned.includes(id)));
    const headingOf = (/** @type {import("../stream/feed.js").Feed | undefined} */ feed) =>
      feed && (pinned.includes(feed.id) ? t("Pinned") : feed.entry.ward_name);
    this.#named = several;
    mark(this.element, "data-headings", headings ? "" : null);
    for (const [feed, tile] of this.#tiles) {
      if (feeds.includes(feed)) continue;
      tile.close();
      this.#tiles.delete(feed);
    }
    for (const feed of feeds) {
      const tile = this.#tiles.get(feed) ?? new Tile(feed, this.#desk, this.#tilePalette);
      this.#tiles.set(feed, tile);
    }
    const inOrder = feeds.map((feed) => /** @type {Tile} */ (this.#tiles.get(feed)));
    const elements = inOrder.flatMap((tile, at) => {
      tile.pinned = pinned.includes(feeds[at].id);
      const heading = headings ? headingOf(feeds[at]) : undefined;
      return heading && heading !== headingOf(feeds[at - 1]) ? [this.#heading(heading), tile.element] : [tile.element];
    });
    for (const heading of this.#headings.values()) if (!elements.includes(heading)) heading.remove();
    // An element that is moved loses its focus, so only a change of order moves any.
    elements.forEach((element, at) => {
      if (this.element.children[at] !== element) this.element.insertBefore(element, this.element.children[at] ?? null);
    });
    const columns = feeds.length > BEDS_PER_COLUMN ? 2 : 1;
    const before = this.scale;
    const rows = Math.max(Math.ceil(feeds.length / columns), LEAST_ROWS);
    this.#rows = rows;
    mark(this.element, "data-columns", String(columns));
    this.element.style.setProperty("--rows", String(rows));
    inOrder.forEach(({ element }, at) => {
      element.style.setProperty("--row", String(at % rows));
      element.style.setProperty("--column", String(Math.floor(at / rows)));
    });
    this.sweeps = inOrder.map((tile) => tile.sweep);
    this.#fit(before);
  }

  /**
   * Small figures where the rows leave no room for large ones; which they are has no bearing on the rows.
   * @param {string} [before] the scale that the traces have now
   */
  #fit(before = this.scale) {
    const [first] = this.#tiles.values();
    const height = first?.element.clientHeight ?? 0;
    this.#isDense = WIDE.matches && height > 0 && height < FULL_TILE_PX;
    mark(this.element, "data-dense", this.#isDense ? "" : null);
    if (this.scale === before) return;
    this.palette = this.#palette;
    this.#scaleChanged(this.scale);
  }

  /** @param {number} now */
  update(now) {
    const beat = Math.floor(now / FIGURES_S);
    const figures = beat !== this.#beat;
    this.#beat = beat;
    for (const tile of this.#tiles.values()) tile.update(now, { named: this.#named, figures });
  }

  /** @param {Palette} palette */
  set palette(palette) {
    this.#palette = palette;
    for (const sweep of this.sweeps) sweep.palette = this.#tilePalette;
  }

  /** @param {string} stream */
  focus(stream) {
    /** @type {HTMLElement | null} */ (this.element.querySelector(`[data-stream="${CSS.escape(stream)}"]`))?.focus();
  }

  /**
   * Arrow keys: to the neighbour that lies in that direction on the screen.
   * @param {string} key
   */
  key(key) {
    const direction = ARROWS[key];
    if (!direction) return false;
    const tiles = /** @type {HTMLElement[]} */ ([...this.element.querySelectorAll(".tile")]);
    const from = tiles.findIndex((tile) => tile === document.activeElement);
    if (from < 0) {
      tiles[0]?.focus();
      return true;
    }
    const here = tiles[from].getBoundingClientRect();
    let nearest = null;
    let least = Infinity;
    for (const tile of tiles) {
      const there = tile.getBoundingClientRect();
      const along = (there.left - here.left) * direction[0] + (there.top - here.top) * direction[1];
      const across = Math.abs((there.left - here.left) * direction[1] + (there.top - here.top) * direction[0]);
      if (along > 1 && along + 2 * across < least) {
        least = along + 2 * across;
        nearest = tile;
      }
    }
    nearest?.focus();
    return true;
  }

  /** @param {string} ward */
  #heading(ward) {
    const heading = this.#headings.get(ward) ?? document.createElement("h2");
    heading.textContent = ward;
    this.#headings.set(ward, heading);
    return heading;
  }

  close() {
    this.#fitting.disconnect();
    for (const tile of this.#tiles.values()) tile.close();
    this.element.remove();
  }
}

/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
