// @ts-check
/** Answers with traces: the range of a lead column by column, or its samples as they were. */

import { decode } from "../ecg/codec.js";

/** @typedef {import("./past.js").Answer} Answer */
/** @typedef {import("./window.js").Span} Span */

/** A lead in little: the lowest and highest microvolts of each column, low above high where nothing is stored. */
export class Overview {
  /** @param {Answer} answer */
  constructor({ facts, data }) {
    /** @type {number} */ this.from = facts.from_ms;
    /** @type {number} */ this.step = facts.step_ms;
    /** @type {string | null} */ this.lead = facts.lead;
    const values = new Int16Array(data.slice().buffer);
    this.low = values.subarray(0, facts.columns);
    this.high = values.subarray(facts.columns);
  }

  get to() {
    return this.from + this.step * this.low.length;
  }

  /**
   * What has samples.
   * @returns {Span[]}
   */
  get held() {
    const spans = [];
    for (let at = 0; at < this.low.length; at++) {
      if (this.low[at] > this.high[at]) continue;
      const begin = at;
      while (at + 1 < this.low.length && this.low[at + 1] <= this.high[at + 1]) at++;
      spans.push({ from: this.from + begin * this.step, to: this.from + (at + 1) * this.step });
    }
    return spans;
  }

  /** The middle of what is there, in microvolts: where the zero line is best put. */
  get middle() {
    const middles = [];
    for (let at = 0; at < this.low.length; at++) {
      if (this.low[at] <= this.high[at]) middles.push((this.low[at] + this.high[at]) / 2);
    }
    return median(middles);
  }
}

/** @typedef {{from: number, to: number, epoch: number, first: number, rateHz: number, values: Float32Array[]}} Run of samples, lead by lead in microvolts */

/** Samples of all leads as they are stored. */
export class Wave {
  /**
   * @param {Answer} answer
   * @param {Span} span that was asked for
   */
  constructor({ facts, data }, { from, to }) {
    this.from = from;
    this.to = facts.cut_ms ?? to;
    /** @type {Run[]} */ this.runs = [];
    /** @type {string[]} */ this.leads = [];
    let at = 0;
    let anchor = { epoch: -1, first: 0, ms: 0 };
    for (const part of facts.parts) {
      this.leads = part.leads.map((/** @type {{name: string}} */ { name }) => name);
      // Times of parts are estimates, each by itself: samples of an epoch stand by their index.
      if (anchor.epoch !== part.epoch) anchor = { epoch: part.epoch, first: part.first, ms: part.began_ms };
      const { first: begun, ms: began } = anchor;
      const ms = (/** @type {number} */ index) => began + ((index - begun) * 1000) / part.rate_hz;
      const [last] = part.frames.slice(-1);
      const count = last[0] + last[1] - part.first;
      const values = part.leads.map(() => new Float32Array(count));
      for (const [first, samples, bytes] of part.frames) {
        const { data: steps } = decode(data.subarray(at, at + bytes));
        at += bytes;
        part.leads.forEach((/** @type {{gain_uv: number, baseline: number}} */ { gain_uv, baseline }, /** @type {number} */ lead) => {
          for (let sample = 0; sample < samples; sample++) {
            values[lead][first - part.first + sample] = (steps[lead * samples + sample] - baseline) * gain_uv;
          }
        });
      }
      const run = { from: ms(part.first), to: ms(part.first + count), epoch: part.epoch, first: part.first, rateHz: part.rate_hz, values };
      const before = this.runs.at(-1);
      if (before && before.epoch === run.epoch && before.first + before.values[0].length === run.first) join(before, run);
      else this.runs.push(run);
    }
  }

  /** @returns {Span[]} */
  get held() {
    return this.runs;
  }

  /**
   * When a sample was taken; null where its epoch is not in here.
   * @param {number} epoch
   * @param {number} sample
   */
  timeOf(epoch, sample) {
    const run = this.runs.find((one) => one.epoch === epoch);
    return run ? run.from + ((sample - run.first) * 1000) / run.rateHz : null;
  }

  /**
   * The middle of a lead within a span.
   * @param {number} lead
   * @param {Span} span
   */
  middleOf(lead, { from, to }) {
    const some = [];
    for (const run of this.runs) {
      const values = run.values[lead] ?? [];
      const begin = Math.max(0, Math.floor(((from - run.from) * run.rateHz) / 1000));
      const end = Math.min(values.length, Math.ceil(((to - run.from) * run.rateHz) / 1000));
      const step = Math.max(1, Math.floor((end - begin) / 500));
      for (let at = begin; at < end; at += step) some.push(values[at]);
    }
    return median(some);
  }
}

/**
 * @param {Run} into
 * @param {Run} run
 */
function join(into, run) {
  into.values = into.values.map((values, lead) => {
    const longer = new Float32Array(values.length + run.values[lead].length);
    longer.set(values);
    longer.set(run.values[lead], values.length);
    return longer;
  });
  into.to = run.to;
}

/** @param {number[]} values */
function median(values) {
  values.sort((a, b) => a - b);
  return values.length > 0 ? values[values.length >> 1] : 0;
}

/**
 * The line of a lead's samples over a span of time, as path commands of a pen or of a Path2D.
 * @param {Pick<CanvasRenderingContext2D, "moveTo" | "lineTo">} pen
 * @param {Wave} wave
 * @param {number} lead
 * @param {Span} span
 * @param {(ms: number) => number} x
 * @param {(microvolts: number) => number} y
 */
export function drawLine(pen, wave, lead, span, x, y) {
  for (const run of wave.runs) {
    const values = run.values[lead];
    if (!values) continue;
    const dx = 1000 / run.rateHz;
    const begin = Math.max(0, Math.floor((span.from - run.from) / dx));
    const end = Math.min(values.length, Math.ceil((span.to - run.from) / dx) + 1);
    for (let at = begin; at < end; at++) {
      const px = x(run.from + at * dx);
      if (at === begin) pen.moveTo(px, y(values[at]));
      else pen.lineTo(px, y(values[at]));
    }
  }
}
