// @ts-check
/** Which lead stands where on a patient's paper: the standard twelve, one below the other, or one alone. */

/** The order of a printed 12-lead ECG, column by column. */
const STANDARD = Object.freeze(["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]);
const RHYTHM = Object.freeze(["II", "MLII"]);
const ROWS = 3;
/** With fewer leads each has a row of its own all the time, which shows more of it. */
const LEAST_LEADS = 6;
/** Of the standard layout: four columns of 2.5 s at 25 mm/s. */
export const STANDARD_MM = 250;

/** @typedef {"standard" | "stacked" | "one"} Kind */
/**
 * One lead's place: a row, and from where to where of the width, as shares.
 * @typedef {{lead: number, row: number, left: number, right: number}} Cell
 */
/**
 * Cells that share a stretch of time and adjoin; no trace leaves its block.
 * @typedef {{left: number, right: number, top: number, bottom: number, cells: Cell[]}} Block `top` and `bottom` are rows
 */
/** @typedef {{rows: number, columns: number, blocks: Block[]}} Layout */

export const KINDS = /** @type {readonly Kind[]} */ (Object.freeze(["standard", "stacked", "one"]));

/**
 * The layouts that make a difference with so many leads, the usual one first.
 * @param {number} leads
 * @param {boolean} narrow whether the screen is a phone's
 * @returns {Kind[]}
 */
export function kindsFor(leads, narrow) {
  if (leads <= 1) return ["stacked"];
  if (narrow) return leads >= LEAST_LEADS ? ["one", "stacked", "standard"] : ["one", "stacked"];
  return leads >= LEAST_LEADS ? ["standard", "stacked", "one"] : ["stacked", "one"];
}

/**
 * The lead to look at when only one is shown: II, else the first.
 * @param {readonly string[]} leads
 */
export function rhythmLead(leads) {
  return leads.find((name) => RHYTHM.includes(name)) ?? leads[0] ?? "";
}

/**
 * @param {Kind} kind
 * @param {readonly string[]} leads names, in the order of their numbers
 * @param {string} chosen the lead that stands alone, or below the standard ones
 * @returns {Layout}
 */
export function arrange(kind, leads, chosen) {
  const alone = Math.max(leads.indexOf(leads.includes(chosen) ? chosen : rhythmLead(leads)), 0);
  if (kind === "one") return stack(leads.length > 0 ? [alone] : []);
  if (kind === "stacked") return stack([...leads.keys()]);
  const order = [...leads.keys()].sort((a, b) => placeOf(leads[a], a) - placeOf(leads[b], b));
  const columns = Math.max(Math.ceil(order.length / ROWS), 1);
  const blocks = Array.from({ length: columns }, (_, column) => {
    const left = column / columns;
    const right = (column + 1) / columns;
    const cells = order.slice(column * ROWS, (column + 1) * ROWS).map((lead, row) => ({ lead, row, left, right }));
    return { left, right, top: 0, bottom: ROWS, cells };
  });
  const rhythm = { lead: alone, row: ROWS, left: 0, right: 1 };
  blocks.push({ left: 0, right: 1, top: ROWS, bottom: ROWS + 1, cells: [rhythm] });
  return { rows: ROWS + 1, columns, blocks };
}

/**
 * @param {number[]} leads
 * @returns {Layout}
 */
function stack(leads) {
  const rows = Math.max(leads.length, 1);
  const cells = leads.map((lead, row) => ({ lead, row, left: 0, right: 1 }));
  return { rows, columns: 1, blocks: [{ left: 0, right: 1, top: 0, bottom: rows, cells }] };
}

/**
 * @param {string} name
 * @param {number} number
 */
function placeOf(name, number) {
  const at = STANDARD.indexOf(name);
  return at < 0 ? STANDARD.length + number : at;
}
