// @ts-check
/** Keeps the screen on while the page is looked at, where the user wants it and the browser does it; says which. */

import { recall, remember } from "./preferences.js";

/** @typedef {"on" | "off" | "refused" | "none"} WakeState  `none`: this browser cannot, or the page came without https */

export class WakeLock {
  /** @type {WakeLockSentinel | null} */ #held = null;
  #isAsking = false;
  #isRefused = false;

  constructor() {
    document.addEventListener("visibilitychange", () => void this.#hold());
    void this.#hold();
  }

  /** @returns {WakeState} */
  get state() {
    if (!("wakeLock" in navigator)) return "none";
    if (this.#held) return "on";
    return this.wanted && this.#isRefused ? "refused" : "off";
  }

  get wanted() {
    return recall("awake") !== "off";
  }

  /** @param {boolean} wanted */
  set wanted(wanted) {
    remember("awake", wanted ? "on" : "off");
    if (wanted) void this.#hold();
    else void this.#held?.release();
  }

  /** A browser lets go of it whenever the page is hidden, and may refuse it, say for a low battery. */
  async #hold() {
    if (!("wakeLock" in navigator) || !this.wanted || document.hidden || this.#held || this.#isAsking) return;
    this.#isAsking = true;
    try {
      const held = await navigator.wakeLock.request("screen");
      held.addEventListener("release", () => (this.#held = null));
      this.#held = held;
      this.#isRefused = false;
    } catch {
      this.#isRefused = true;
    }
    this.#isAsking = false;
    if (!this.wanted) void this.#held?.release();
  }
}
