// @ts-check
/** What calipers say of two samples of a trace, and the peak that one of them is drawn to. */

import { decimal, t } from "../i18n.js";

/** A beat's sample is where the server's band-passed signal is largest; the peak of a lead lies at most so far from it. */
const PEAK_S = 0.06;

/**
 * Milliseconds between two samples, the rate that they would mean as an RR interval, and the millivolts from the first to the
 * second; null where there are none.
 * @param {Pick<import("./ring.js").SampleRing, "has" | "at">} ring
 * @param {number | null} lead null: the two do not stand on one lead's trace
 * @param {number} a
 * @param {number} b
 * @param {number} rateHz
 * @returns {{ms: number, bpm: number | null, mv: number | null}}
 */
export function measure(ring, lead, a, b, rateHz) {
  const ms = (1000 * Math.abs(b - a)) / rateHz;
  const bpm = ms > 0 ? 60000 / ms : null;
  const volts = lead !== null && ring.has(a) && ring.has(b) ? (ring.at(lead, b) - ring.at(lead, a)) / 1000 : NaN;
  return { ms, bpm, mv: Number.isNaN(volts) ? null : volts };
}

/**
 * @param {{ms: number, bpm: number | null, mv: number | null}} measured
 */
export function measureText({ ms, bpm, mv }) {
  const rate = bpm === null ? "--" : bpm < 1000 ? decimal(bpm, bpm < 100 ? 1 : 0) : "--";
  const volts = mv === null ? "--" : `${mv < 0 ? "−" : "+"}${decimal(Math.abs(mv), 2)}`;
  return `${Math.round(ms)} ms · ${rate} ${t("bpm")} · ${volts} mV`;
}

/**
 * The sample near a beat at which the lead is furthest from where it runs: its R, or the S of a lead that points away.
 * @param {Pick<import("./ring.js").SampleRing, "has" | "at">} ring
 * @param {number} lead
 * @param {number} beat
 * @param {number} rateHz
 */
export function peakNear(ring, lead, beat, rateHz) {
  const reach = Math.round(PEAK_S * rateHz);
  /** @type {number[]} */
  const values = [];
  for (let at = beat - reach; at <= beat + reach; at++) {
    const value = ring.has(at) ? ring.at(lead, at) : NaN;
    values.push(value);
  }
  const known = values.filter((value) => !Number.isNaN(value)).sort((x, y) => x - y);
  if (known.length === 0) return beat;
  const level = (known[0] + known[known.length - 1]) / 2 < known[known.length >> 1] ? known[known.length - 1] : known[0];
  let peak = reach;
  values.forEach((value, at) => {
    if (Math.abs(value - level) > Math.abs(values[peak] - level) || Number.isNaN(values[peak])) peak = at;
  });
  return beat - reach + peak;
}
