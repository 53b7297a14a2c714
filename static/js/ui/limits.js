// @ts-check
/** The drawer with one patient's alarm limits: what holds, what may be set, and who has set what. */

import { decimal, t, word, zone } from "../i18n.js";
import { mark, pick, write } from "./dom.js";
import { ask } from "./http.js";

/** @typedef {Record<string, number>} Limits */
/** @typedef {{at_ms: number, by: string, changed: Record<string, [number, number]>}} Change */
/** @typedef {{limits: Limits, defaults: Limits, bounds: Record<string, [number, number]>, may: boolean, changes: Change[]}} Known */

/** In the order in which they must rise. */
const RISING = ["extreme_bradycardia", "hr_low", "hr_high", "extreme_tachycardia"];

/** @type {Record<string, [name: string, unit: string]>} */
const NAMES = {
  extreme_bradycardia: [word("Extreme bradycardia below"), word("bpm")],
  hr_low: [word("HR low below"), word("bpm")],
  hr_high: [word("HR high above"), word("bpm")],
  extreme_tachycardia: [word("Extreme tachycardia above"), word("bpm")],
  hr_signal_delay_s: [word("Delay of HR alarms"), word("s")],
  asystole_s: [word("Asystole after"), word("s")],
  run_beats: [word("Ventricular run from"), word("beats")],
  run_rate: [word("and at least"), word("bpm")],
};

/**
 * Why a value cannot be a limit, in words; empty when it can.
 * @param {string} name
 * @param {Limits} wanted NaN for what is no number
 * @param {Record<string, [number, number]>} bounds
 */
export function faultOf(name, wanted, bounds) {
  const value = wanted[name];
  const [least, greatest] = bounds[name];
  if (!Number.isFinite(value)) return t("A number is needed");
  if (value < least || value > greatest) return t("{least} to {greatest}", { least: text(name, least), greatest: text(name, greatest) });
  if (!name.endsWith("_s") && !Number.isInteger(value)) return t("A whole number is needed");
  const at = RISING.indexOf(name);
  if (at <= 0) return "";
  const before = RISING[at - 1];
  const isEqual = value === wanted[before];
  // Below and above the same rate, there would always be an alarm.
  if (value < wanted[before] || (isEqual && name === "hr_high")) {
    return t("Must be above “{name}” ({value})", { name: t(NAMES[before][0]), value: wanted[before] });
  }
  return "";
}

/**
 * A change in words, such as `HR high above 120 → 130 bpm`.
 * @param {Change["changed"]} changed
 */
export function changeText(changed) {
  return Object.entries(changed)
    .filter(([name]) => Object.hasOwn(NAMES, name))
    .map(([name, [before, after]]) => `${t(NAMES[name][0])} ${text(name, before)} → ${text(name, after)} ${t(NAMES[name][1])}`)
    .join(", ");
}

/**
 * @param {HTMLElement} element
 * @param {import("../stream/feed.js").Feed} feed
 */
export function begin(element, feed) {
  const path = `/patients/${encodeURIComponent(feed.id)}/limits/`;
  const form = pick(element, "form", HTMLFormElement);
  const fields = pick(element, "fieldset", HTMLFieldSetElement);
  const rows = pick(element, ".limit-rows", HTMLElement);
  const note = pick(element, "[role=status]", Element);
  const log = pick(element, "ol", Element);
  /** @type {Known | null} */ let known = null;
  let isOpen = true;
  let isSetting = false;

  write(pick(element, "[data-part=whose]", Element), t("Bed {bed} · {name}", { bed: feed.entry.bed, name: feed.entry.name || feed.entry.patient }));
  rows.append(...Object.keys(NAMES).map(rowOf));

  /** @param {string} name */
  const input = (name) => pick(rows, `[name=${name}]`, HTMLInputElement);
  /** @returns {Limits} */
  const wanted = () => Object.fromEntries(Object.keys(NAMES).map((name) => [name, input(name).valueAsNumber]));

  /** @param {string} why of the values now in the form */
  function check(why = "") {
    if (!known) return false;
    const values = wanted();
    let good = true;
    for (const name of Object.keys(NAMES)) {
      const fault = faultOf(name, values, known.bounds);
      explain(name, fault);
      good &&= fault === "";
    }
    const isChanged = Object.keys(NAMES).some((name) => values[name] !== known?.limits[name]);
    pick(form, "[type=submit]", HTMLButtonElement).disabled = !good || !isChanged || !known.may;
    write(note, why);
    return good;
  }

  /**
   * @param {string} name
   * @param {string} fault
   */
  function explain(name, fault) {
    write(pick(rows, `#why-${name}`, Element), fault);
    mark(input(name), "aria-invalid", fault ? "true" : null);
  }

  /** @param {Known} now */
  function show(now) {
    known = now;
    for (const name of Object.keys(NAMES)) {
      const [least, greatest] = now.bounds[name];
      const field = input(name);
      field.value = String(now.limits[name]);
      field.min = String(least);
      field.max = String(greatest);
      const told = { default: text(name, now.defaults[name]), least: text(name, least), greatest: text(name, greatest) };
      write(pick(rows, `#of-${name}`, Element), t("{least} to {greatest}, default {default}", told));
    }
    fields.disabled = !now.may;
    pick(element, "[data-part=may-not]", HTMLElement).hidden = now.may;
    log.replaceChildren(
      ...now.changes.map(({ at_ms, by, changed }) => {
        const line = document.createElement("li");
        line.textContent = `${zone.moment(at_ms)} ${by}: ${changeText(changed)}`;
        return line;
      }),
    );
    pick(element, "[data-part=no-log]", HTMLElement).hidden = now.changes.length > 0;
    check();
  }

  /** @returns {Promise<boolean>} whether what holds is shown */
  async function load() {
    const { status, value } = await ask(path);
    if (!isOpen) return false;
    if (status === 200) show(value);
    else write(note, t(value.fault));
    return status === 200;
  }

  form.addEventListener("input", () => check());
  pick(form, "[data-part=defaults]", HTMLButtonElement).addEventListener("click", () => {
    if (!known) return;
    for (const name of Object.keys(NAMES)) input(name).value = String(known.defaults[name]);
    check();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    // A second Enter meanwhile would be told that somebody else has changed them.
    if (isSetting || !known || !check(t("Setting …"))) return;
    isSetting = true;
    const { status, value } = await ask(path, { seen: known.limits, limits: wanted() });
    isSetting = false;
    if (!isOpen) return;
    if (status === 200) {
      show(value);
      write(note, t("Set: the limits hold from now on"));
    } else if (status === 409) {
      if (await load()) write(note, t("Somebody else has changed them meanwhile: this is what holds now"));
    } else {
      const told = /** @type {Record<string, string>} */ (value.fields ?? {});
      for (const [name, why] of Object.entries(told)) if (Object.hasOwn(NAMES, name)) explain(name, why);
      write(note, t("Not set: {why}", { why: told.__all__ ?? t(value.fault) }));
    }
  });
  load();
  return { close: () => void (isOpen = false) };
}

/** @param {string} name */
function rowOf(name) {
  const [label, unit] = NAMES[name];
  const row = document.createElement("p");
  const text = document.createElement("label");
  text.htmlFor = `limit-${name}`;
  text.textContent = t(label);
  const field = document.createElement("input");
  Object.assign(field, { id: `limit-${name}`, name, type: "number", required: true, step: name.endsWith("_s") ? "0.1" : "1" });
  field.setAttribute("aria-describedby", `why-${name} of-${name}`);
  row.append(text, field, piece("span", "", t(unit)), piece("small", `of-${name}`), piece("strong", `why-${name}`));
  return row;
}

/**
 * @param {string} tag
 * @param {string} id
 * @param {string} [content]
 */
function piece(tag, id, content = "") {
  const element = document.createElement(tag);
  if (id) element.id = id;
  element.textContent = content;
  return element;
}

/**
 * @param {string} name
 * @param {number} value
 */
function text(name, value) {
  return decimal(value, name.endsWith("_s") ? 1 : 0);
}
