// @ts-check
/** The dialog in which one chooses what of the past to take along, and as what; its link has the file. */

import { t } from "../i18n.js";
import { durationText } from "../stream/freshness.js";
import { clockText } from "../ui/alarm-words.js";
import { pick, write } from "../ui/dom.js";
import { dayText } from "./window.js";

/** @typedef {import("./window.js").Span} Span */
/** @typedef {{strip: Span, zoom: Span, trend: Span}} Ranges that can be exported */

export class ExportDialog {
  #dialog;
  #path;
  #ranges;

  /**
   * @param {HTMLDialogElement} dialog
   * @param {string} path of the patient's page
   * @param {() => Ranges} ranges
   */
  constructor(dialog, path, ranges) {
    this.#dialog = dialog;
    this.#path = path;
    this.#ranges = ranges;
    dialog.addEventListener("change", () => this.#link());
  }

  open() {
    const names = { strip: t("The strip"), zoom: t("The zoomed stretch"), trend: t("All hours shown") };
    for (const [name, { from, to }] of Object.entries(this.#ranges())) {
      const label = this.#dialog.querySelector(`[data-part="export-${name}"]`);
      const what = names[/** @type {keyof Ranges} */ (name)];
      if (label) write(label, `${what}: ${dayText(from)} ${clockText(from)}, ${durationText((to - from) / 1000)}`);
    }
    this.#link();
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  close() {
    this.#dialog.close();
  }

  /** Who may not export has no form. */
  #link() {
    const form = this.#dialog.querySelector("form");
    if (!form) return;
    const chosen = new FormData(form);
    const { from, to } = this.#ranges()[/** @type {keyof Ranges} */ (chosen.get("range"))];
    const asked = new URLSearchParams({ format: String(chosen.get("format")), from_ms: String(Math.floor(from)), to_ms: String(Math.ceil(to)) });
    pick(form, "a", HTMLAnchorElement).href = `${this.#path}export/?${asked}`;
  }
}
