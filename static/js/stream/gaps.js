// @ts-check
/** What a stream's server said of samples that are missing: why, whether they may still come, and what to ask for. */

import { t } from "../i18n.js";

const REMEMBERED = 256;
/** What the server fills by itself has come by then: it is not asked for a second time. */
const PATIENCE_S = 2;
const ASKED_AT_ONCE = 4;

/** @type {Record<string, string>} */
const WORDS = {
  away: t("no connection"),
  dropped: t("lost on the way"),
  emergency: t("overload"),
  expired: t("came too late"),
  quota: t("too much at once"),
  rendition: t("numbers only"),
  source: t("not sent by the device"),
};

/**
 * @param {string | null} reason
 * @returns {string} empty for what this page does not know
 */
export function gapText(reason) {
  return Object.hasOwn(WORDS, reason ?? "") ? WORDS[reason ?? ""] : "";
}

/** The gaps of one epoch, as they were told; of an index the last word holds. */
export class Gaps {
  /** @type {{from: number, to: number, reason: string, recoverable: boolean, at: number, asked: boolean}[]} */
  #told = [];

  /**
   * @param {{from: number, to: number, reason: string, recoverable: boolean}} gap
   * @param {number} now
   */
  hear({ from, to, reason, recoverable }, now) {
    this.#told.push({ from, to, reason, recoverable, at: now, asked: false });
    if (this.#told.length > REMEMBERED) this.#told.shift();
  }

  copy() {
    const copy = new Gaps();
    copy.#told = this.#told.map((gap) => ({ ...gap }));
    return copy;
  }

  /** A new connection: what was asked for on the last one has to be asked for again. */
  forgetConnection() {
    for (const gap of this.#told) gap.asked = false;
  }

  /**
   * Why a sample is missing; null when nobody said.
   * @param {number} index
   */
  reasonAt(index) {
    return this.#last(index)?.reason ?? null;
  }

  /**
   * Spans [from, to) that are to be asked for now, newest first: they may still come, and have not by themselves.
   * What the device has not sent, nobody else has.
   * @param {import("../ecg/ring.js").SampleRing} ring
   * @param {number} first nothing before it is wanted
   * @param {number} now
   * @returns {[number, number][]}
   */
  wanted(ring, first, now) {
    /** @type {[number, number][]} */
    const spans = [];
    for (let k = this.#told.length - 1; k >= 0 && spans.length < ASKED_AT_ONCE; k--) {
      const gap = this.#told[k];
      if (!gap.recoverable || gap.asked || gap.reason === "source" || now - gap.at < PATIENCE_S) continue;
      gap.asked = true;
      const to = Math.min(gap.to, ring.stop);
      let at = Math.max(gap.from, first, ring.oldest);
      while (at < to) {
        const begin = ring.presentEnd(at);
        const end = ring.absentEnd(begin, to);
        if (begin < end && this.#last(begin) === gap) spans.push([begin, end]);
        at = Math.max(end, begin + 1);
      }
    }
    return spans;
  }

  /** @param {number} index */
  #last(index) {
    for (let k = this.#told.length - 1; k >= 0; k--) {
      const gap = this.#told[k];
      if (gap.from <= index && index < gap.to) return gap;
    }
    return null;
  }
}
