// @ts-check
/** The list of keys, the switch that turns single ones off, the sounds to listen to, and what the user may not do. */

import { t, word } from "../i18n.js";
import { pick, write } from "./dom.js";
import { recall, remember } from "./preferences.js";

/** @typedef {import("./pulses.js").Severity} Severity */

/** @type {Record<string, string>} what needs a right, by its name in `alarms.may` */
const RIGHTS = {
  acknowledge: word("acknowledge alarms"),
  pause_audio: word("pause the sound"),
  switch_off: word("switch a patient's alarms off"),
  set_limits: word("change a patient's alarm limits"),
};

export class Help {
  #dialog = pick(document, "dialog.help", HTMLDialogElement);
  #rights = pick(document, ".help .rights", Element);
  #may;

  /** @param {{test: (severity: Severity) => string, may: (right: string) => boolean}} page `may` is true also while nobody has told */
  constructor({ test, may }) {
    this.#may = may;
    const keys = pick(this.#dialog, "input", HTMLInputElement);
    const heard = pick(this.#dialog, ".sounds output", Element);
    keys.checked = recall("keys") !== "off";
    keys.addEventListener("change", () => remember("keys", keys.checked ? "on" : "off"));
    this.#dialog.addEventListener("click", (event) => {
      const target = event.target;
      // The dialog itself is hit only outside of what it holds.
      if (target === this.#dialog || (target instanceof Element && target.closest("[data-close]"))) this.#dialog.close();
      const sample = target instanceof Element && target.closest("[data-sound]");
      if (sample instanceof HTMLElement) write(heard, test(/** @type {Severity} */ (sample.dataset.sound)));
    });
  }

  close() {
    this.#dialog.close();
  }

  open() {
    const denied = Object.keys(RIGHTS).filter((right) => !this.#may(right)).map((right) => t(RIGHTS[right]));
    write(this.#rights, denied.length > 0 ? t("Your account may not {rights}: whoever administers the ward can change that.", { rights: denied.join(t(", nor ")) }) : "");
    if (!this.#dialog.open) this.#dialog.showModal();
  }
}
