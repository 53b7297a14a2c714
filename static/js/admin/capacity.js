// @ts-check
/** The charts of the page Capacity: hourly peaks of each resource, and its limit where that is near enough. */

import { pick } from "../ui/dom.js";
import { Chart, readLooks } from "./chart.js";

/** @typedef {import("./lines.js").ChartOf} ChartOf */
/** @typedef {import("./values.js").Values} Values */
/**
 * @typedef {object} Answer
 * @property {number[]} t
 * @property {Record<string, Values>} lines
 * @property {Record<string, number | null>} limits
 */
/** @typedef {{name: string, title: string, unit: string, digits: number, factor?: number}} Resource */

/** @type {Resource[]} */
const RESOURCES = [
  { name: "CPU", title: "CPU, busiest process", unit: "% of a core", digits: 1, factor: 100 },
  { name: "memory", title: "Memory, largest process", unit: "MB", digits: 0 },
  { name: "bandwidth", title: "Bandwidth, all processes", unit: "Mbit/s", digits: 2 },
  { name: "buffer", title: "Buffer, fullest viewer", unit: "%", digits: 1, factor: 100 },
  { name: "viewers", title: "Viewers, all processes", unit: "", digits: 0 },
  { name: "databases", title: "Databases", unit: "MB", digits: 0 },
];
const NAMES = ["--chart-1", "--chart-2"];
/** A limit that is further away would press the line onto the axis. */
const NEAR = 4;

class CapacityCharts {
  /** @type {HTMLElement} */ #root;
  /** @type {{of: Resource, chart: Chart}[]} */ #charts;
  /** @type {Answer | null} */ #answer = null;
  /** @type {[number, number] | null} */ #span = null;
  /** @type {Intl.DateTimeFormat} */ #clock;
  /** @type {Intl.DateTimeFormat} */ #calendar;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root;
    const timeZone = root.dataset.zone ?? "UTC";
    this.#clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone });
    this.#calendar = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone });
    this.#charts = RESOURCES.map((of) => ({ of, chart: this.#chart(of, timeZone) }));
    pick(root, ".charts", HTMLElement).replaceChildren(...this.#charts.map(({ chart }) => chart.element));
    new ResizeObserver(() => this.#charts.forEach(({ chart }) => chart.resize())).observe(root);
    const redraw = () => this.#draw();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  }

  async load() {
    this.#root.setAttribute("aria-busy", "true");
    try {
      const response = await fetch(this.#root.dataset.url ?? "", { headers: { Accept: "application/json" } });
      if (response.redirected) throw new Error("you are not signed in any more");
      if (!response.ok) throw new Error(`the server answered ${response.status}`);
      this.#answer = await response.json();
      this.#draw();
    } catch (error) {
      this.#say(`The figures could not be fetched: ${error instanceof Error ? error.message : error}.`);
    }
    this.#root.removeAttribute("aria-busy");
  }

  /** @param {Resource} of @param {string} zone */
  #chart(of, zone) {
    const lines = [{ name: of.name, label: "peak" }, { name: "limit", label: "limit" }];
    const chart = new Chart({ title: of.title, unit: of.unit, digits: of.digits, lines }, {
      clock: this.#clock,
      calendar: this.#calendar,
      zone,
      onSpan: (from, to) => this.#go([from, to]),
      onReset: () => this.#go(null),
      onCursor: (index) => this.#charts.forEach((each) => each.chart.show(index)),
    });
    chart.element.addEventListener("moved", (event) => {
      const index = /** @type {CustomEvent<number | null>} */ (event).detail;
      for (const each of this.#charts) each.chart.show(index, true);
      pick(this.#root, ".charts-said", HTMLElement).textContent =
        index === null ? "" : `${this.#moment(this.#shown.t[index] ?? 0)}. ${chart.words(index)}`;
    });
    return chart;
  }

  /** @param {[number, number] | null} span */
  #go(span) {
    this.#span = span;
    this.#draw();
  }

  /** What of the answer lies in the span; all of it where that would be nothing to draw. */
  get #shown() {
    const answer = this.#answer;
    if (!answer) return { t: [], first: 0, stop: 0 };
    const [from, to] = this.#span ?? [-Infinity, Infinity];
    const first = answer.t.findIndex((time) => time >= from);
    const after = answer.t.findIndex((time) => time > to);
    const stop = after < 0 ? answer.t.length : after;
    if (first < 0 || stop - first < 2) return { t: answer.t, first: 0, stop: answer.t.length };
    return { t: answer.t.slice(first, stop), first, stop };
  }

  #draw() {
    const answer = this.#answer;
    if (!answer) return;
    const looks = readLooks(this.#root, NAMES), { t, first, stop } = this.#shown;
    for (const { of, chart } of this.#charts) {
      const factor = of.factor ?? 1;
      const peaks = (answer.lines[of.name] ?? []).slice(first, stop)
        .map((value) => typeof value === "number" ? value * factor : null);
      const limit = answer.limits[of.name];
      const most = Math.max(...peaks.map((value) => value ?? 0));
      const near = typeof limit === "number" && limit * factor <= NEAR * most;
      const limits = t.map(() => near ? limit * factor : null);
      chart.draw({ t, lines: [peaks, limits], others: [], otherName: "" }, looks);
    }
    this.#say(t.length
      ? `${this.#moment(t[0] ?? 0)} to ${this.#moment(t[t.length - 1] ?? 0)}, a point every hour. A limit is drawn where it is less than ${NEAR} times the peak.`
      : "Nothing is stored yet.");
  }

  /** @param {number} seconds */
  #moment(seconds) {
    return `${this.#calendar.format(1000 * seconds)} ${this.#clock.format(1000 * seconds)}`;
  }

  /** @param {string} text */
  #say(text) {
    pick(this.#root, ".charts-state", HTMLElement).textContent = text;
  }
}

const root = document.querySelector("#capacity-charts");
if (root instanceof HTMLElement) void new CapacityCharts(root).load();
