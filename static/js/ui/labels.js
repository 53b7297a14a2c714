// @ts-check
/** The names of leads over a sheet: one at the beginning of each cell, and where a column of cells begins. */

/**
 * @param {readonly {lead: number, x: number, top: number, high: number}[]} cells of a sheet
 * @param {readonly string[]} leads
 * @returns {HTMLElement[]}
 */
export function labelsOf(cells, leads) {
  return cells.map(({ lead, x, top, high }) => {
    const label = document.createElement("li");
    const name = document.createElement("span");
    name.textContent = leads[lead] ?? "";
    label.append(name);
    label.style.left = `${x}px`;
    label.style.top = `${100 * top}%`;
    label.style.height = `${100 * high}%`;
    if (x > 0) label.className = "inner";
    return label;
  });
}
