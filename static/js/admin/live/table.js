// @ts-check
/** One table of rows that live: sorted by a click on a head, each row keeps its elements from second to second. */

import { mark, pick, write } from "../../ui/dom.js";
import { ordered } from "./deployment.js";
import { drawSpark } from "./spark.js";

/** @typedef {import("./ring.js").Ring} Ring */
/** @typedef {import("./spark.js").Looks} Looks */

const MOST_ROWS = 300;

/**
 * @template T
 * @typedef {object} Column
 * @property {string} title
 * @property {(row: T, now: number) => string} say the cell's text
 * @property {(row: T, now: number) => string | number | null | undefined} by what it is sorted by
 * @property {boolean} [number] right-aligned, and at first sorted from the greatest down
 * @property {(row: T, now: number) => string} [small] a second, quiet line
 * @property {(row: T) => Ring} [spark]
 * @property {(row: T, now: number) => boolean} [strong] whether it is worth a look
 */
/**
 * @template T
 * @typedef {object} Wishes
 * @property {Column<T>[]} columns the first is the row's head
 * @property {number} sorted the column that it is sorted by at first
 * @property {(row: T, now: number) => boolean} stale
 * @property {(row: T) => void} [chosen] the row's head is a button
 * @property {string} nothing what to say where there are no rows
 */

/** @typedef {{row: HTMLTableRowElement, cells: {text: HTMLElement, small: HTMLElement | null, canvas: HTMLCanvasElement | null}[]}} Drawn */

/** @template {{key: string}} T */
export class LiveTable {
  /** @type {Wishes<T>} */ #wishes;
  /** @type {HTMLElement} */ #count;
  /** @type {HTMLElement} */ #note;
  /** @type {HTMLTableSectionElement} */ #body;
  /** @type {HTMLElement[]} */ #heads = [];
  /** @type {Map<string, Drawn>} */ #drawn = new Map();
  /** @type {T[]} */ #shown = [];
  #sorted;
  #falling;
  /** @type {() => void} */ #changed;

  /**
   * @param {HTMLElement} section
   * @param {Wishes<T>} wishes
   * @param {() => void} changed the order is another one: draw again
   */
  constructor(section, wishes, changed) {
    this.#wishes = wishes;
    this.#changed = changed;
    this.#count = pick(section, ".live-count", HTMLElement);
    this.#note = pick(section, ".live-note", HTMLElement);
    this.#body = pick(section, "tbody", HTMLTableSectionElement);
    this.#sorted = wishes.sorted;
    this.#falling = Boolean(wishes.columns[wishes.sorted]?.number);
    const heads = pick(section, "thead tr", HTMLTableRowElement);
    wishes.columns.forEach((column, n) => {
      const head = document.createElement("th"), button = document.createElement("button");
      head.scope = "col";
      head.className = column.number ? "number" : "";
      button.type = "button";
      button.textContent = column.title;
      button.addEventListener("click", () => this.#sortBy(n));
      head.append(button);
      heads.append(head);
      this.#heads.push(head);
    });
    this.#markHeads();
  }

  /**
   * @param {T[]} rows those that the filter leaves
   * @param {number} all how many there are in all
   * @param {number} now
   * @param {string} [more] what to say beside that
   */
  show(rows, all, now, more = "") {
    const column = this.#wishes.columns[this.#sorted];
    const sorted = ordered(rows, (row) => column?.by(row, now), this.#falling);
    this.#shown = sorted.slice(0, MOST_ROWS);
    const kept = new Set(this.#shown.map(({ key }) => key));
    for (const [key, { row }] of this.#drawn) {
      if (kept.has(key)) continue;
      row.remove();
      this.#drawn.delete(key);
    }
    const focused = this.#body.contains(document.activeElement) ? document.activeElement : null;
    let at = this.#body.firstElementChild;
    for (const row of this.#shown) {
      const drawn = this.#drawn.get(row.key) ?? this.#add(row);
      if (drawn.row === at) at = at.nextElementSibling;
      else this.#body.insertBefore(drawn.row, at);
      this.#write(drawn, row, now);
    }
    // A row that moves would lose the keyboard's focus.
    if (focused instanceof HTMLElement && focused.isConnected) focused.focus({ preventScroll: true });
    write(this.#count, rows.length === all ? `${all}` : `${rows.length} of ${all}`);
    const cut = sorted.length - this.#shown.length;
    const hidden = cut > 0 ? `${cut} more rows: filter, or sort otherwise. ` : "";
    write(this.#note, rows.length ? `${hidden}${more}` : all ? "Nothing matches the filter." : this.#wishes.nothing);
  }

  /** Draw the small lines. @param {Looks} looks */
  drawSparks(looks) {
    for (const row of this.#shown) {
      const drawn = this.#drawn.get(row.key);
      this.#wishes.columns.forEach((column, n) => {
        const canvas = drawn?.cells[n]?.canvas;
        if (canvas && column.spark) drawSpark(canvas, column.spark(row), looks);
      });
    }
  }

  /** Mark the row that is looked at. @param {string | null} key */
  choose(key) {
    for (const [each, { row }] of this.#drawn) mark(row, "aria-current", each === key ? "true" : null);
  }

  /** @param {number} n */
  #sortBy(n) {
    this.#falling = n === this.#sorted ? !this.#falling : Boolean(this.#wishes.columns[n]?.number);
    this.#sorted = n;
    this.#markHeads();
    this.#changed();
  }

  #markHeads() {
    this.#heads.forEach((head, n) => {
      mark(head, "aria-sort", n === this.#sorted ? (this.#falling ? "descending" : "ascending") : null);
    });
  }

  /** @param {T} of */
  #add(of) {
    const row = document.createElement("tr"), { chosen } = this.#wishes;
    const cells = this.#wishes.columns.map((column, n) => {
      const cell = document.createElement(n ? "td" : "th");
      if (cell instanceof HTMLTableCellElement && !n) cell.scope = "row";
      if (column.number) cell.className = "number";
      const text = document.createElement(!n && chosen ? "button" : "span");
      if (text instanceof HTMLButtonElement) {
        text.type = "button";
        text.addEventListener("click", () => chosen?.(of));
      }
      cell.append(text);
      const canvas = column.spark ? document.createElement("canvas") : null;
      if (canvas) {
        canvas.className = "live-spark";
        canvas.setAttribute("aria-hidden", "true");
        cell.append(canvas);
      }
      const small = column.small ? document.createElement("small") : null;
      if (small) cell.append(small);
      row.append(cell);
      return { text, small, canvas };
    });
    const drawn = { row, cells };
    this.#drawn.set(of.key, drawn);
    return drawn;
  }

  /** @param {Drawn} drawn @param {T} row @param {number} now */
  #write({ row: element, cells }, row, now) {
    mark(element, "data-stale", this.#wishes.stale(row, now) ? "" : null);
    this.#wishes.columns.forEach((column, n) => {
      const cell = cells[n];
      if (!cell) return;
      write(cell.text, column.say(row, now));
      if (cell.small) write(cell.small, column.small?.(row, now) ?? "");
      if (column.strong) mark(cell.text, "data-strong", column.strong(row, now) ? "" : null);
    });
  }
}
