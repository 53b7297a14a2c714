// @ts-check
/** The printed strip: two rows of ten seconds in millimetres of paper, so that a PDF of it can be measured with a ruler. */

import { decimal, t, zone } from "../i18n.js";
import { clockText } from "../ui/alarm-words.js";
import { drawLine } from "./traces.js";
import { holes } from "./window.js";

/** @typedef {import("./traces.js").Wave} Wave */

const SVG = "http://www.w3.org/2000/svg";
const SPEED = 25; // mm/s
const GAIN = 10; // mm/mV
const ROW_S = 10;
const PULSE_MM = 10; // left of the trace
const WIDTH = PULSE_MM + ROW_S * SPEED;
const BAND = 36; // height of one lead
const SLACK_MS = 60;

/**
 * Nothing of the name; nothing at all as long as there are no samples.
 * @param {Element} sheet what is printed, and nothing else
 * @param {import("./strip.js").Strip} strip
 * @param {{entry: import("../stream/messages.js").RosterEntry, source: string, foot: string}} about
 */
export function printStrip(sheet, { wave, leads, span, middle, marks, event }, { entry, source, foot }) {
  if (!wave) return;
  const names = leads.map((lead) => wave.leads[lead]).join(", ");
  const head = [
    t("Patient {patient} · {ward} · bed {bed} · {source}", { patient: entry.patient, ward: entry.ward_name, bed: entry.bed, source }),
    `${event ? `${event.text} · ` : ""}${zone.moment(middle)} (${zone.label}) · ${t("leads {leads}", { leads: names })} · ${SPEED} mm/s · ${GAIN} mm/mV · ${t("lossless, no filter")}`,
  ];
  const rows = [span.from, middle].map((ms) => t("{clock}, ten seconds", { clock: clockText(ms) }));
  const paragraph = (/** @type {string} */ text, /** @type {string} */ name) => {
    const element = document.createElement("p");
    element.className = name;
    element.textContent = text;
    return element;
  };
  sheet.replaceChildren(
    ...head.map((text) => paragraph(text, "sheet-head")),
    ...rows.flatMap((text, row) => [paragraph(text, "sheet-row"), paper(wave, leads, span.from + 1000 * ROW_S * row, marks)]),
    paragraph(foot, "sheet-foot"),
  );
}

/**
 * @param {Wave} wave
 * @param {readonly number[]} leads
 * @param {number} from
 * @param {readonly {ms: number, text: string}[]} marks
 */
function paper(wave, leads, from, marks) {
  const height = BAND * leads.length;
  const svg = make("svg", { width: `${WIDTH}mm`, height: `${height}mm`, viewBox: `0 0 ${WIDTH} ${height}`, class: "paper-mm" });
  for (const [every, name] of /** @type {[number, string][]} */ ([[1, "minor"], [5, "major"]])) {
    let path = "";
    for (let x = 0; x <= WIDTH; x += every) path += `M${x} 0V${height}`;
    for (let y = 0; y <= height; y += every) path += `M0 ${y}H${WIDTH}`;
    svg.append(make("path", { class: name, d: path }));
  }
  const span = { from, to: from + 1000 * ROW_S };
  const x = (/** @type {number} */ ms) => PULSE_MM + ((ms - from) * SPEED) / 1000;
  for (const hole of holes(span, wave.held, SLACK_MS)) {
    svg.append(make("rect", { class: "hole", x: x(hole.from), y: 0, width: x(hole.to) - x(hole.from), height }));
    svg.append(make("text", { x: x(hole.from) + 1, y: height - 2 }, `${t("not stored")}${hole.closed ? ` ${decimal((hole.to - hole.from) / 1000, 1)} s` : ""}`));
  }
  leads.forEach((lead, row) => {
    const zero = BAND * (row + 0.5) + (wave.middleOf(lead, span) * GAIN) / 1000;
    const pulse = BAND * (row + 0.5) + 5;
    svg.append(make("path", { class: "line", d: `M1 ${pulse}h1v-10h5v10h1` }));
    const line = new Line();
    drawLine(line, wave, lead, span, x, (microvolts) => clamp(zero - (microvolts * GAIN) / 1000, BAND * row, BAND * (row + 1)));
    svg.append(make("path", { class: "line", d: line.d }));
    svg.append(make("text", { x: 1, y: BAND * row + 4 }, wave.leads[lead] ?? ""));
  });
  for (const { ms, text } of marks) {
    if (ms < span.from || ms > span.to) continue;
    svg.append(make("path", { class: "mark-line", d: `M${x(ms)} 0V${height}` }), make("text", { x: x(ms) + 1, y: 4 }, text));
  }
  return svg;
}

/** A pen that writes path data. */
class Line {
  d = "";

  /**
   * @param {number} x
   * @param {number} y
   */
  moveTo(x, y) {
    this.d += `M${x.toFixed(2)} ${y.toFixed(2)}`;
  }

  /**
   * @param {number} x
   * @param {number} y
   */
  lineTo(x, y) {
    this.d += `L${x.toFixed(2)} ${y.toFixed(2)}`;
  }
}

/**
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 * @param {string} [text]
 */
function make(name, attributes, text = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.textContent = text;
  return element;
}

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
