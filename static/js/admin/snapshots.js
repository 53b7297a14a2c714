// @ts-check
/** The charts above the list of snapshots: what they show, of when, and compared with what. */

import { pick } from "../ui/dom.js";
import { Chart, readLooks } from "./chart.js";
import { CHARTS } from "./lines.js";
import { between, closer, earlier, later, wider } from "./span.js";
import { together } from "./values.js";

/** @typedef {import("./span.js").Span} Span */
/** @typedef {import("./values.js").Values} Values */
/**
 * @typedef {object} Answer
 * @property {string} group
 * @property {number} step_s
 * @property {string} resolution
 * @property {number} lost_snapshots
 * @property {number[]} t
 * @property {Record<string, Values>} lines
 */

const NAMES = ["--chart-1", "--chart-2", "--chart-3", "--chart-4", "--chart-5", "--chart-6"];

class Charts {
  /** @type {HTMLElement} */ #root;
  /** @type {Span} */ #whole;
  /** @type {Span} */ #span;
  /** @type {Chart[]} */ #charts;
  /** @type {Answer | null} */ #answer = null;
  /** @type {Answer | null} */ #other = null;
  /** @type {AbortController | null} */ #asking = null;
  /** @type {number[]} */ #times = [];
  /** @type {Intl.DateTimeFormat} */ #clock;
  /** @type {Intl.DateTimeFormat} */ #calendar;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root;
    this.#whole = this.#span = { start: Number(root.dataset.start), stop: Number(root.dataset.stop) };
    const timeZone = root.dataset.zone ?? "UTC";
    this.#clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone });
    this.#calendar = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone });
    this.#charts = CHARTS.map((of) => new Chart(of, {
      clock: this.#clock,
      calendar: this.#calendar,
      zone: timeZone,
      onSpan: (from, to) => this.#go(between(from, to)),
      onReset: () => this.#go(this.#whole),
      onCursor: (index) => this.#showAt(index),
    }));
    pick(root, ".charts", HTMLElement).replaceChildren(...this.#charts.map((chart) => chart.element));
    this.#listen();
  }

  #listen() {
    /** @type {Record<string, () => Span>} */
    const moves = {
      closer: () => closer(this.#span),
      wider: () => wider(this.#span, now()),
      earlier: () => earlier(this.#span),
      later: () => later(this.#span, now()),
      whole: () => this.#whole,
    };
    for (const [name, move] of Object.entries(moves)) {
      pick(this.#root, `button[data-move="${name}"]`, HTMLButtonElement).addEventListener("click", () => this.#go(move()));
    }
    for (const select of [this.#otherGroup, this.#otherTime]) select.addEventListener("change", () => this.load());
    for (const chart of this.#charts) {
      chart.element.addEventListener("moved", (event) => {
        const index = /** @type {CustomEvent<number | null>} */ (event).detail;
        for (const each of this.#charts) each.show(index, true);
        this.#showTime(index);
        pick(this.#root, ".charts-said", HTMLElement).textContent =
          index === null ? "" : `${this.#when(index)}. ${chart.words(index)}`;
      });
    }
    new ResizeObserver(() => this.#charts.forEach((chart) => chart.resize())).observe(this.#root);
    const redraw = () => this.#draw();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  }

  /** Ask for what is chosen, and draw it; an answer that is overtaken is left. */
  async load() {
    this.#asking?.abort();
    const asking = this.#asking = new AbortController();
    const { group = "" } = this.#root.dataset;
    const shift = Number(this.#otherTime.value);
    const other = this.#otherGroup.value || group;
    const comparing = shift > 0 || other !== group;
    this.#root.setAttribute("aria-busy", "true");
    try {
      const asked = [this.#ask(group, 0, asking.signal)];
      if (comparing) asked.push(this.#ask(other, shift, asking.signal));
      const [answer, compared] = await Promise.all(asked);
      this.#answer = answer ?? null;
      this.#other = compared ?? null;
      this.#draw();
      this.#say(this.#words());
    } catch (error) {
      if (asking.signal.aborted) return;
      this.#say(`The figures could not be fetched: ${error instanceof Error ? error.message : error}.`);
    }
    this.#root.removeAttribute("aria-busy");
  }

  /** @param {Span} span */
  #go(span) {
    this.#span = span;
    void this.load();
  }

  /**
   * @param {string} group
   * @param {number} shift
   * @param {AbortSignal} signal
   * @returns {Promise<Answer>}
   */
  async #ask(group, shift, signal) {
    const { url = "", process = "" } = this.#root.dataset;
    const first = this.#charts[0]?.element.clientWidth ?? 400;
    const query = new URLSearchParams({
      group,
      process,
      start: String(this.#span.start - shift),
      stop: String(this.#span.stop - shift),
      points: String(Math.min(400, Math.max(60, Math.round(first / 1.2)))),
    });
    const response = await fetch(`${url}?${query}`, { signal, headers: { Accept: "application/json" } });
    if (response.redirected) throw new Error("you are not signed in any more");
    const answer = await response.json().catch(() => null);
    if (!response.ok) throw new Error(answer?.error ?? `the server answered ${response.status}`);
    return answer;
  }

  #draw() {
    const answer = this.#answer, other = this.#other;
    if (!answer) return;
    const looks = readLooks(this.#root, NAMES);
    const shift = other ? Number(this.#otherTime.value) : 0;
    CHARTS.forEach((of, n) => {
      /** @param {Answer} from */
      const lines = (from) => of.lines.map(({ name, factor = 1 }) => {
        return (from.lines[name] ?? []).map((value) => typeof value === "number" ? value * factor : null);
      });
      const drawn = other
        ? together(answer.t, lines(answer), other.t.map((time) => time + shift), lines(other))
        : { t: answer.t, lines: lines(answer), others: [] };
      this.#times = drawn.t;
      this.#charts[n]?.draw({ ...drawn, otherName: other ? this.#otherName : "" }, looks);
    });
    this.#showTime(null);
  }

  /** @param {number | null} index */
  #showAt(index) {
    for (const chart of this.#charts) chart.show(index);
    this.#showTime(index);
  }

  /** @param {number | null} index */
  #showTime(index) {
    pick(this.#root, ".charts-time", HTMLElement).textContent =
      index === null ? "Figures are the latest." : `Figures are those of ${this.#when(index)}.`;
  }

  /** @param {number} index */
  #when(index) {
    return this.#moment(this.#times[index] ?? 0);
  }

  /** @param {number} seconds */
  #moment(seconds) {
    return `${this.#calendar.format(1000 * seconds)} ${this.#clock.format(1000 * seconds)}`;
  }

  #words() {
    const answer = this.#answer;
    if (!answer) return "";
    const { start, stop } = this.#span;
    const lost = answer.lost_snapshots
      ? ` The database did not take ${answer.lost_snapshots} snapshots of its process meanwhile.` : "";
    const compared = this.#other ? ` Grey and in brackets: ${this.#otherName}.` : "";
    const nothing = Object.values(answer.lines).every((values) => values.every((value) => value === null))
      ? " Nothing was stored in this time." : "";
    return `${this.#moment(start)} to ${this.#moment(stop)}, a point every ${duration(answer.step_s)}.${nothing}${lost}${compared}`;
  }

  get #otherName() {
    const group = this.#otherGroup.value, time = this.#otherTime;
    const when = time.value === "0" ? "" : time.selectedOptions[0]?.textContent ?? "";
    return [group || (this.#root.dataset.group ?? ""), when].filter(Boolean).join(", ");
  }

  get #otherGroup() {
    return pick(this.#root, "select[name=other-group]", HTMLSelectElement);
  }

  get #otherTime() {
    return pick(this.#root, "select[name=other-time]", HTMLSelectElement);
  }

  /** @param {string} text */
  #say(text) {
    pick(this.#root, ".charts-state", HTMLElement).textContent = text;
  }
}

/** @param {number} seconds */
function duration(seconds) {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${seconds / 60} min`;
  return seconds < 86_400 ? `${seconds / 3600} h` : `${seconds / 86_400} d`;
}

function now() {
  return Date.now() / 1000;
}

const root = document.querySelector("#snapshot-charts");
if (root instanceof HTMLElement) void new Charts(root).load();
