// @ts-check
/** One chart: its lines, what they are called, their values at the cursor, and all of them as a table. */

import uPlot from "../../vendor/uplot/uPlot.esm.js";
import { said } from "./lines.js";
import { moments } from "./span.js";
import { at, latest, summary } from "./values.js";

/** @typedef {import("./lines.js").ChartOf} ChartOf */
/** @typedef {import("./values.js").Values} Values */

const HEIGHT = 190;
/** Lines differ by colour and by dash. */
const DASHES = [[], [7, 3], [2, 3], [10, 3, 2, 3], [4, 2], [1, 4]];
const SVG = "http://www.w3.org/2000/svg";

/**
 * @typedef {object} Drawn
 * @property {number[]} t
 * @property {Values[]} lines
 * @property {Values[]} others what is compared, as many; or none
 * @property {string} otherName
 */
/**
 * @typedef {object} Looks
 * @property {string[]} series
 * @property {string} compared
 * @property {string} axis
 * @property {string} grid
 * @property {string} font
 */
/**
 * @typedef {object} Wishes
 * @property {(from: number, to: number) => void} onSpan a stretch was drawn
 * @property {() => void} onReset
 * @property {(index: number | null) => void} onCursor
 * @property {Intl.DateTimeFormat} clock
 * @property {Intl.DateTimeFormat} calendar
 * @property {string} zone
 */

export class Chart {
  /** @type {ChartOf} */ #of;
  /** @type {Wishes} */ #wishes;
  /** @type {uPlot | null} */ #plot = null;
  /** @type {Drawn} */ #drawn = { t: [], lines: [], others: [], otherName: "" };
  #canvas = document.createElement("div");
  #table = document.createElement("details");
  /** @type {{button: HTMLButtonElement, value: HTMLElement, other: HTMLElement}[]} */ #keys = [];
  element = document.createElement("figure");

  /**
   * @param {ChartOf} of
   * @param {Wishes} wishes
   */
  constructor(of, wishes) {
    this.#of = of;
    this.#wishes = wishes;
    const caption = document.createElement("figcaption");
    caption.textContent = of.unit ? `${of.title}, ${of.unit}` : of.title;
    const keys = document.createElement("ul");
    keys.className = "chart-keys";
    of.lines.forEach((line, n) => keys.append(this.#key(line.label, n)));
    this.#canvas.className = "chart-canvas";
    this.#canvas.tabIndex = 0;
    this.#canvas.setAttribute("role", "group");
    this.#canvas.setAttribute("aria-label", `${caption.textContent}: chart, arrow keys move the cursor`);
    const open = document.createElement("summary");
    open.textContent = "Values";
    open.setAttribute("aria-label", `Values of ${of.title}`);
    this.#table.append(open);
    this.#table.addEventListener("toggle", () => this.#fillTable());
    this.element.className = "chart";
    this.element.append(caption, keys, this.#canvas, this.#table);
    this.#canvas.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /**
   * @param {Drawn} drawn
   * @param {Looks} looks
   */
  draw(drawn, looks) {
    const hidden = this.#keys.map(({ button }) => button.getAttribute("aria-pressed") === "false");
    this.#drawn = drawn;
    this.#plot?.destroy();
    const data = /** @type {uPlot.AlignedData} */ (
      /** @type {unknown} */ ([drawn.t, ...drawn.others, ...drawn.lines])
    );
    this.#plot = new uPlot(this.#options(looks, hidden), data, this.#canvas);
    this.#paintKeys(looks);
    this.show(null);
    this.#fillTable();
  }

  /** Fit the room that there is. */
  resize() {
    this.#plot?.setSize({ width: this.#width, height: HEIGHT });
  }

  /**
   * Move the cursor to one of the times, or away, and say the values there; without one, the last.
   * @param {number | null} index
   * @param {boolean} [move]
   */
  show(index, move = false) {
    const { lines, others, t } = this.#drawn;
    /** @param {Values | undefined} values */
    const value = (values) => index === null ? latest(values ?? []) : at(values ?? [], index);
    this.#keys.forEach((key, n) => {
      key.value.textContent = said(value(lines[n]), this.#of.digits);
      key.other.textContent = others.length ? `(${said(value(others[n]), this.#of.digits)})` : "";
    });
    if (move && this.#plot) {
      const left = index === null ? -10 : this.#plot.valToPos(t[index] ?? 0, "x");
      this.#plot.setCursor({ left, top: index === null ? -10 : 10 }, false);
    }
  }

  /** What is said of the values at the cursor. @param {number} index */
  words(index) {
    const each = this.#of.lines.map((line, n) => {
      return `${line.label} ${said(at(this.#drawn.lines[n] ?? [], index), this.#of.digits)}`;
    });
    return `${this.#of.title}: ${each.join(", ")} ${this.#of.unit}`;
  }

  get #width() {
    return Math.max(200, this.#canvas.clientWidth);
  }

  /**
   * @param {Looks} looks
   * @param {boolean[]} hidden
   * @returns {uPlot.Options}
   */
  #options(looks, hidden) {
    const of = this.#of, wishes = this.#wishes;
    const axis = { stroke: looks.axis, font: looks.font, grid: { stroke: looks.grid, width: 1 }, ticks: { show: false } };
    /** @param {string} stroke @param {number} n @param {number} width @returns {uPlot.Series} */
    const series = (stroke, n, width) => ({
      stroke, width, dash: DASHES[n % DASHES.length] ?? [], show: !hidden[n], spanGaps: false, points: { size: 4 },
    });
    return {
      width: this.#width,
      height: HEIGHT,
      legend: { show: false },
      tzDate: (seconds) => uPlot.tzDate(new Date(1000 * seconds), wishes.zone),
      cursor: {
        y: false,
        drag: { x: true, y: false, setScale: false },
        sync: { key: "snapshots", setSeries: false },
        points: { size: 6 },
        bind: { dblclick: () => () => { wishes.onReset(); return null; } },
      },
      scales: { x: { time: true, range: (_, least, most) => moments(least, most) }, y: { range: (_, least, most) => limits(of, least, most) } },
      axes: [
        { ...axis, size: 32, space: 70, values: (_, splits, __, ___, step) => splits.map((each) => this.#time(each, step)) },
        { ...axis, size: 56, values: (_, splits) => splits.map((each) => each.toLocaleString("en")) },
      ],
      series: [
        {},
        ...this.#drawn.others.map((_, n) => series(looks.compared, n, 1.25)),
        ...this.#drawn.lines.map((_, n) => series(looks.series[n % looks.series.length] ?? "", n, 2)),
      ],
      hooks: {
        setSelect: [(plot) => {
          const { left, width } = plot.select;
          if (width < 4) return;
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          wishes.onSpan(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
        }],
        setCursor: [(plot) => {
          if (plot.cursor.event) wishes.onCursor(plot.cursor.idx ?? null);
        }],
      },
    };
  }

  /** @param {number} seconds @param {number} step */
  #time(seconds, step) {
    return (step >= 86_400 ? this.#wishes.calendar : this.#wishes.clock).format(1000 * seconds);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const last = this.#drawn.t.length - 1;
    const now = this.#plot?.cursor.idx ?? null;
    const far = event.shiftKey ? 10 : 1;
    /** @type {Record<string, number | null>} */
    const moves = {
      ArrowLeft: Math.max(0, (now ?? last + 1) - far),
      ArrowRight: Math.min(last, (now ?? -1) + far),
      Home: 0,
      End: last,
      Escape: null,
    };
    if (!(event.key in moves) || last < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.element.dispatchEvent(new CustomEvent("moved", { detail: moves[event.key] ?? null }));
  }

  /** @param {string} label @param {number} n */
  #key(label, n) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    const [name, value, other] = [0, 1, 2].map(() => document.createElement("span"));
    if (!name || !value || !other) throw new Error("three spans were made");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    name.textContent = label;
    value.className = "chart-value";
    other.className = "chart-other";
    button.append(swatch(n), name, value, other);
    button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(shown));
      const compared = this.#drawn.others.length;
      this.#plot?.setSeries(1 + compared + n, { show: shown });
      if (compared) this.#plot?.setSeries(1 + n, { show: shown });
    });
    this.#keys.push({ button, value, other });
    item.append(button);
    return item;
  }

  /** @param {Looks} looks */
  #paintKeys(looks) {
    this.#keys.forEach(({ button }, n) => {
      button.querySelector("line")?.setAttribute("stroke", looks.series[n % looks.series.length] ?? "");
    });
  }

  /** The same values in rows, made when somebody opens it. */
  #fillTable() {
    this.#table.querySelector("div")?.remove();
    if (!this.#table.open) return;
    const { t, lines, others, otherName } = this.#drawn;
    const names = this.#of.lines.map((line) => line.label);
    const columns = [...lines, ...others];
    const frame = document.createElement("div");
    frame.className = "chart-table";
    frame.tabIndex = 0;
    frame.setAttribute("role", "region");
    frame.setAttribute("aria-label", `Values of ${this.#of.title}`);
    const table = document.createElement("table");
    const caption = table.createCaption();
    caption.textContent = this.#of.unit ? `${this.#of.title}, ${this.#of.unit}` : this.#of.title;
    const head = table.createTHead().insertRow();
    for (const name of ["Time", ...names, ...(others.length ? names.map((each) => `${each}, ${otherName}`) : [])]) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = name;
      head.append(cell);
    }
    const body = table.createTBody();
    const sums = columns.map(summary);
    /** @type {["latest" | "least" | "mean" | "most", string][]} */
    const kinds = [["latest", "Latest"], ["least", "Least"], ["mean", "Mean"], ["most", "Most"]];
    for (const [kind, name] of kinds) this.#row(body, name, sums.map((sum) => sum[kind]));
    t.forEach((time, n) => {
      const { calendar, clock } = this.#wishes;
      const name = `${calendar.format(1000 * time)} ${clock.format(1000 * time)}`;
      this.#row(body, name, columns.map((values) => values[n]));
    });
    frame.append(table);
    this.#table.append(frame);
  }

  /**
   * @param {HTMLTableSectionElement} body
   * @param {string} name
   * @param {Values} values
   */
  #row(body, name, values) {
    const row = body.insertRow();
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = name;
    row.append(head);
    for (const value of values) row.insertCell().textContent = said(value, this.#of.digits);
  }
}

/**
 * @param {ChartOf} of
 * @param {number | null} least
 * @param {number | null} most
 * @returns {[number, number]}
 */
function limits(of, least, most) {
  const low = of.free ? least ?? 0 : Math.min(0, least ?? 0);
  const high = Math.max(most ?? 0, low);
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  return [of.free && least !== null ? low - room : low, Math.min(high + room, Math.max(of.most ?? Infinity, high))];
}

/** @param {number} n */
function swatch(n) {
  const svg = document.createElementNS(SVG, "svg");
  const line = document.createElementNS(SVG, "line");
  svg.setAttribute("viewBox", "0 0 22 8");
  svg.setAttribute("width", "22");
  svg.setAttribute("height", "8");
  svg.setAttribute("aria-hidden", "true");
  for (const [name, value] of [["x1", "0"], ["x2", "22"], ["y1", "4"], ["y2", "4"], ["stroke-width", "2.5"]]) {
    line.setAttribute(name ?? "", value ?? "");
  }
  line.setAttribute("stroke-dasharray", (DASHES[n % DASHES.length] ?? []).join(" "));
  svg.append(line);
  return svg;
}

/**
 * The colours of the page now; of the series, those that are named.
 * @param {HTMLElement} root
 * @param {readonly string[]} names
 * @returns {Looks}
 */
export function readLooks(root, names) {
  const style = getComputedStyle(root);
  /** @param {string} name */
  const of = (name) => style.getPropertyValue(name).trim();
  return {
    series: names.map(of),
    compared: of("--chart-compared"),
    axis: of("--body-quiet-color"),
    grid: of("--hairline-color"),
    font: "12px system-ui, sans-serif",
  };
}
