// @ts-check
/** By which clock the page tells times: the hospital's where the server names one, or this device's. */

import { zone } from "../i18n.js";
import { recall, remember } from "./preferences.js";

export class Clock {
  /** @param {string} hospital its time zone; empty where the server names none */
  constructor(hospital) {
    this.hospital = hospital;
    this.#apply();
  }

  /** @returns {"hospital" | "device"} */
  get chosen() {
    return this.hospital && recall("clock") !== "device" ? "hospital" : "device";
  }

  /** @param {"hospital" | "device"} clock */
  choose(clock) {
    remember("clock", clock);
    this.#apply();
  }

  #apply() {
    zone.choose(this.chosen === "hospital" ? this.hospital : "");
  }
}
