// @ts-check
/** The loudspeaker: plays bursts of pulses, and knows whether the browser lets it. */

/** @typedef {import("./pulses.js").Burst} Burst */
/** @typedef {"on" | "blocked" | "none"} SpeakerState `none`: there is no device, or it stands still */

/** Strength of the fundamental and its harmonics: with several of them a sound can be located and is heard over noise. */
const HARMONICS = [0, 1, 0.7, 0.5, 0.35, 0.25, 0.15];
const RISE_S = 0.02; // a pulse that begins or ends at once clicks
const LEVEL = 0.4;
const AHEAD_S = 0.03;
const STILL_S = 2; // a running context whose clock stands for so long has no device

export class Speaker {
  /** @type {AudioContext | null} */ #context;
  /** @type {PeriodicWave | null} */ #wave = null;
  /** @type {GainNode | null} what sounds now */ #burst = null;
  #clock = -1;
  #movedAt = -Infinity;
  #failed = false;

  /** @param {() => AudioContext} [make] */
  constructor(make = () => new AudioContext()) {
    try {
      this.#context = make();
      this.#wave = this.#context.createPeriodicWave(new Float32Array(HARMONICS.length), new Float32Array(HARMONICS));
      this.#context.addEventListener("error", () => (this.#failed = true));
    } catch {
      this.#context = null; // no such thing in this browser, or no device to be had
    }
  }

  /** The browser lets a page sound once its user has done something: to be called then. */
  unlock() {
    if (this.#context && this.#context.state !== "running") this.#context.resume().catch(() => {});
  }

  /**
   * @param {number} now seconds
   * @returns {SpeakerState}
   */
  look(now) {
    const context = this.#context;
    if (!context || this.#failed || context.state === "closed") return "none";
    if (context.state !== "running") {
      this.#movedAt = now;
      return "blocked";
    }
    if (context.currentTime !== this.#clock) {
      this.#clock = context.currentTime;
      this.#movedAt = now;
    }
    return now - this.#movedAt > STILL_S ? "none" : "on";
  }

  /**
   * End what sounds, and begin this.
   * @param {Burst} burst
   */
  play(burst) {
    this.stop();
    const context = this.#context;
    if (!context || !this.#wave || context.state !== "running") return;
    const out = new GainNode(context, { gain: LEVEL });
    out.connect(context.destination);
    this.#burst = out;
    for (const { at, hz, seconds } of burst.pulses) {
      const begin = context.currentTime + AHEAD_S + at;
      const tone = new OscillatorNode(context, { frequency: hz, periodicWave: this.#wave });
      const shape = new GainNode(context, { gain: 0 });
      shape.gain.setValueAtTime(0, begin);
      shape.gain.linearRampToValueAtTime(1, begin + RISE_S);
      shape.gain.setValueAtTime(1, begin + seconds - RISE_S);
      shape.gain.linearRampToValueAtTime(0, begin + seconds);
      tone.connect(shape).connect(out);
      tone.start(begin);
      tone.stop(begin + seconds);
    }
  }

  /** End what sounds now. */
  stop() {
    this.#burst?.disconnect();
    this.#burst = null;
  }
}
