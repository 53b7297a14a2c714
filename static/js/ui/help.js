// @ts-check
/** The list of keys, and the switch that turns single ones off. */

import { pick } from "./dom.js";
import { recall, remember } from "./preferences.js";

export class Help {
  #dialog = pick(document, "dialog.help", HTMLDialogElement);

  constructor() {
    const keys = pick(this.#dialog, "input", HTMLInputElement);
    keys.checked = recall("keys") !== "off";
    keys.addEventListener("change", () => remember("keys", keys.checked ? "on" : "off"));
    this.#dialog.addEventListener("click", (event) => {
      const target = event.target;
      // The dialog itself is hit only outside of what it holds.
      if (target === this.#dialog || (target instanceof Element && target.closest("[data-close]"))) this.#dialog.close();
    });
  }

  get isOpen() {
    return this.#dialog.open;
  }

  open() {
    if (!this.#dialog.open) this.#dialog.showModal();
  }
}
