// @ts-check
/** The drawer in which the user says how this screen shows the page: looks, clock, language, and whether it stays on. */

import { t, word } from "../i18n.js";
import { pick, write } from "./dom.js";

/** @type {Record<import("./wake-lock.js").WakeState, string>} */
export const AWAKE = {
  on: word("The screen stays on"),
  off: word("The screen may go dark"),
  refused: word("This browser does not keep the screen on now"),
  none: word("This browser cannot keep the screen on here (it needs https)"),
};

/**
 * @param {HTMLElement} element
 * @param {{looks: import("./looks.js").Looks, wakeLock: import("./wake-lock.js").WakeLock, clock: import("./clock.js").Clock}} page
 */
export function begin(element, { looks, wakeLock, clock }) {
  const awake = pick(element, "[name=awake]", HTMLInputElement);
  const state = pick(element, "[data-part=awake]", Element);
  element.addEventListener("change", ({ target }) => {
    if (target instanceof HTMLSelectElement) target.form?.requestSubmit(); // the language: another page
    if (!(target instanceof HTMLInputElement)) return;
    const value = /** @type {any} */ (target.value);
    if (target.name === "theme") looks.theme = value;
    else if (target.name === "contrast") looks.contrast = value;
    else if (target.name === "clock") clock.choose(value);
    else if (target === awake) wakeLock.wanted = awake.checked;
    update();
  });

  function update() {
    const chosen = { theme: looks.theme, contrast: looks.contrast, clock: clock.chosen };
    for (const [name, value] of Object.entries(chosen)) {
      pick(element, `[name=${name}][value=${value}]`, HTMLInputElement).checked = true;
    }
    pick(element, "[name=clock][value=hospital]", HTMLInputElement).disabled = !clock.hospital;
    write(pick(element, "[data-part=hospital]", Element), clock.hospital || t("not set on this server"));
    awake.checked = wakeLock.wanted;
    awake.disabled = wakeLock.state === "none";
    write(state, t(AWAKE[wakeLock.state]));
  }
  update();
  return { update };
}
