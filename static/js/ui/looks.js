// @ts-check
/** How the page looks: dark or light, and with how much contrast; by the user's choice, else by the device's. */

import { recall, remember } from "./preferences.js";

const MORE = matchMedia("(prefers-contrast: more)");

export class Looks {
  #changed;

  /** @param {() => void} changed colours are others */
  constructor(changed) {
    this.#changed = changed;
    MORE.addEventListener("change", () => this.#apply());
  }

  /** @returns {"dark" | "light"} */
  get theme() {
    return document.documentElement.dataset.theme === "light" ? "light" : "dark";
  }

  /** @param {"dark" | "light"} theme */
  set theme(theme) {
    document.documentElement.dataset.theme = theme;
    remember("theme", theme);
    this.#changed();
  }

  /** @returns {"auto" | "more" | "normal"} */
  get contrast() {
    const chosen = recall("contrast");
    return chosen === "more" || chosen === "normal" ? chosen : "auto";
  }

  /** @param {"auto" | "more" | "normal"} contrast */
  set contrast(contrast) {
    remember("contrast", contrast);
    this.#apply();
  }

  #apply() {
    const isMore = this.contrast === "more" || (this.contrast === "auto" && MORE.matches);
    if (isMore) document.documentElement.dataset.contrast = "more";
    else delete document.documentElement.dataset.contrast;
    this.#changed();
  }
}
