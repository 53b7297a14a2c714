// @ts-check
/** The drawer in which the user arranges the ward: the order of its beds, which come first, and how many stand on a page. */

import { t } from "../i18n.js";
import { ORDERS, PER_PAGE, withPin } from "./arrangement.js";
import { mark, pick, write } from "./dom.js";

/** @typedef {import("./arrangement.js").Order} Order */

/**
 * @param {HTMLElement} element
 * @param {{screen: import("./screen.js").Screen, feeds: import("../stream/feeds.js").Feeds,
 *   store: import("./layout-store.js").LayoutStore}} page
 */
export function begin(element, { screen, feeds, store }) {
  const list = pick(element, "ul", HTMLElement);
  const again = pick(element, "[data-part=again]", HTMLButtonElement);
  const saved = pick(element, "[data-part=saved]", Element);
  let listed = "";

  element.addEventListener("change", ({ target }) => {
    if (!(target instanceof HTMLInputElement)) return;
    if (target.name === "order") screen.arrange({ ...store.value, order: /** @type {Order} */ (target.value) });
    else if (target.name === "per_page") screen.arrange({ ...store.value, per_page: Number(target.value) });
    else screen.arrange(withPin(store.value, target.value, (stream) => feeds.get(stream) !== null));
    update();
  });
  again.addEventListener("click", () => screen.arrange(store.value));

  function update() {
    for (const order of ORDERS) pick(element, `[value=${order}]`, HTMLInputElement).checked = store.value.order === order;
    for (const beds of PER_PAGE) pick(element, `[value="${beds}"]`, HTMLInputElement).checked = store.value.per_page === beds;
    again.hidden = store.value.order !== "alarm";
    write(saved, store.isUnsaved ? t("Kept in this browser until the server answers") : t("Kept for you on the server"));
    const beds = feeds.inOrder.map(({ id, entry }) => `${id} ${entry.ward_name} ${entry.bed}`).join();
    if (beds !== listed) {
      listed = beds;
      list.replaceChildren(...feeds.inOrder.map(row));
    }
    for (const box of list.querySelectorAll("input")) box.checked = store.value.pinned.includes(box.value);
  }

  /** @param {import("../stream/feed.js").Feed} feed */
  function row({ id, entry }) {
    const line = document.createElement("li");
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.value = id;
    const bed = document.createElement("b");
    bed.textContent = entry.bed;
    const who = document.createElement("span");
    who.textContent = [entry.name || entry.patient, feeds.wards.length > 1 && entry.ward_name].filter(Boolean).join(" · ");
    label.append(box, bed, who);
    line.append(label);
    mark(line, "data-bed", id);
    return line;
  }

  update();
  return { update };
}
