// @ts-check
/** The sound of alarms: what is heard now, what keeps it from being heard, and the button in the bar that says so. */

import { plural, t } from "../i18n.js";
import { durationText } from "../stream/freshness.js";
import { mark, pick, write } from "./dom.js";
import { BURSTS, Rhythm } from "./pulses.js";

/** @typedef {import("./pulses.js").Severity} Severity */
/** @typedef {"on" | "paused" | "blocked" | "none"} SoundState */

const TEXTS = {
  on: t("Sound on"),
  paused: t("Audio paused"),
  blocked: t("Sound blocked – click to enable"),
  /** Where there is little room. */ blockedShort: t("Sound blocked, tap"),
  none: t("No sound device"),
};

const NARROW = matchMedia("(max-width: 600px)");

export class Sound {
  #speaker;
  #rhythm = new Rhythm();
  #button = pick(document, ".audio", HTMLButtonElement);
  #text = pick(document, ".audio .text", Element);
  #left = pick(document, ".audio .left", Element);
  #testingUntil = -Infinity;
  /** Whether the last gesture was what let it sound: it is not meant as a press of the button as well. */ enabled = false;
  /** @type {SoundState} */ state = "blocked";

  /** @param {import("./speaker.js").Speaker} speaker */
  constructor(speaker) {
    this.#speaker = speaker;
    for (const gesture of ["pointerdown", "keydown"]) {
      document.addEventListener(
        gesture,
        () => {
          this.enabled = this.state === "blocked";
          this.#speaker.unlock();
        },
        { capture: true },
      );
    }
  }

  /**
   * Let it be heard when it is due.
   * @param {Severity | null} audible
   * @param {number} pausedS seconds left without sound
   * @param {number} now
   */
  tick(audible, pausedS, now) {
    const speaker = this.#speaker.look(now);
    this.state = speaker === "on" ? (pausedS > 0 ? "paused" : "on") : speaker;
    if (now < this.#testingUntil) return;
    const next = this.#rhythm.next(this.state === "on" ? audible : null, now);
    if (next === "stop") this.#speaker.stop();
    else if (next) this.#speaker.play(next);
  }

  /**
   * Play what a severity sounds like, also in a pause.
   * @param {Severity} severity
   * @param {number} now
   * @returns {string} what should be heard, or why nothing is
   */
  test(severity, now) {
    if (this.state === "blocked" || this.state === "none") return TEXTS[this.state];
    const { pulses } = BURSTS[severity];
    const last = pulses[pulses.length - 1];
    this.#testingUntil = now + last.at + last.seconds;
    this.#speaker.play(BURSTS[severity]);
    return plural(pulses.length, "You should hear {n} tone", "You should hear {n} tones");
  }

  /**
   * @param {number} pausedS
   * @param {{may: boolean, refusal: string}} pause whether the user may pause, and why that was not done
   */
  show(pausedS, { may, refusal }) {
    const left = pausedS > 0 ? durationText(Math.ceil(pausedS)) : "";
    const told = this.state === "blocked" && NARROW.matches ? TEXTS.blockedShort : TEXTS[this.state];
    const text = pausedS > 0 && this.state !== "paused" ? t("{state}, paused", { state: told }) : told;
    mark(this.#button, "data-state", this.state);
    write(this.#text, t(refusal) || text);
    write(this.#left, left);
    const acts = this.state === "blocked" || may;
    mark(this.#button, "aria-disabled", acts ? null : "true");
    const action = { on: t("Pause it for two minutes"), paused: t("Resume"), blocked: t("Enable it"), none: "" }[this.state];
    mark(this.#button, "aria-label", [`${t("Alarm sound")}: ${text} ${left}`.trim(), acts ? action : ""].filter(Boolean).join(". "));
  }
}
