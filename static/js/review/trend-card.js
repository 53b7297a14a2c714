// @ts-check
/** The card with the heart rate of the hours: drawn with the alarms over it, and pressed to go to a time. */

import { decimal, t, zone } from "../i18n.js";
import { pick, write } from "../ui/dom.js";
import { LEAST_HEIGHT, drawTrend, placeWindow, timeAt } from "./trend-chart.js";

/** @typedef {import("./window.js").Span} Span */
/** @typedef {import("./trend-chart.js").Trend & {stored: [number, number] | null, leads: string[], source: string | null, patient: string | null}} Trend */

export class TrendCard {
  /** What was last told. @type {Trend | null} */ trend = null;
  /** The plot, whose size it is drawn to. @type {HTMLElement} */ plot;
  #svg;
  #window;
  #figures;
  /** @type {Span | null} of the trend that is here */ #span = null;
  /** What the chart was last drawn of. @type {readonly unknown[]} */ #drawn = [];

  /**
   * @param {Element} card
   * @param {(ms: number) => void} pressed is told at which time
   */
  constructor(card, pressed) {
    this.plot = pick(card, ".plot", HTMLElement);
    this.#svg = pick(this.plot, "svg", SVGSVGElement);
    this.#window = pick(this.plot, ".window", HTMLElement);
    this.#figures = pick(card, '[data-part="figures"]', Element);
    this.plot.addEventListener("click", ({ clientX }) => this.#span && pressed(timeAt(this.plot, this.#span, clientX)));
  }

  /**
   * @param {Trend} trend
   * @param {Span} span that was asked for
   */
  take(trend, span) {
    this.trend = trend;
    this.#span = span;
  }

  /**
   * Minutes stand where they were asked for: the chart keeps its own span until the next answer, and is drawn anew
   * with what it is made of, not with each step of a zoom.
   * @param {readonly import("./trend-chart.js").Event[]} events
   * @param {{chosen: string | null, window: Span}} shown
   */
  paint(events, { chosen, window }) {
    if (!this.trend || !this.#span) return;
    const { clientWidth: width, clientHeight: height } = this.plot;
    const size = { width, height };
    if (height < LEAST_HEIGHT) return;
    const made = [this.trend, events, chosen, width, height, zone.label];
    if (made.some((part, at) => part !== this.#drawn[at])) {
      this.#drawn = made;
      drawTrend(this.#svg, size, this.#span, this.trend, events, chosen);
      write(this.#figures, figuresOf(this.trend, this.#span));
    }
    placeWindow(this.#window, size, this.#span, window);
  }
}

/**
 * What the hours come to, in words.
 * @param {import("./trend-chart.js").Trend} trend
 * @param {Span} span
 */
function figuresOf({ minutes }, span) {
  const lows = minutes.flatMap(([, low]) => low ?? []);
  const highs = minutes.flatMap(([, , , high]) => high ?? []);
  const means = minutes.flatMap(([, , mean]) => mean ?? []).sort((a, b) => a - b);
  const stored = t("{n} % stored", { n: decimal((100 * 60e3 * minutes.length) / (span.to - span.from), 1) });
  if (means.length === 0) return stored;
  return `${Math.min(...lows)}–${Math.max(...highs)} ${t("bpm")} · ${t("median {n}", { n: Math.round(means[means.length >> 1]) })} · ${stored}`;
}
