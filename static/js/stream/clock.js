// @ts-check
/** The server's clock as seen from here: round-trip time, and the offset of the least delayed answer. */

const REMEMBERED = 8;

export class ServerClock {
  /** @type {{rttS: number, offsetS: number}[]} */ #answers = [];
  /** Seconds that the last question took; null before the first answer. */
  rttS = /** @type {number | null} */ (null);

  /**
   * @param {number} askedAt seconds of the page's clock
   * @param {number} now seconds of the page's clock
   * @param {number} serverMs milliseconds since 1970, as the server wrote them
   */
  answered(askedAt, now, serverMs) {
    this.rttS = now - askedAt;
    this.#answers.push({ rttS: this.rttS, offsetS: serverMs / 1000 - (askedAt + this.rttS / 2) });
    if (this.#answers.length > REMEMBERED) this.#answers.shift();
  }

  /**
   * Milliseconds since 1970 on the server at second `now` of the page's clock; null before the first answer.
   * @param {number} now
   */
  serverMs(now) {
    if (this.#answers.length === 0) return null;
    const best = this.#answers.reduce((a, b) => (b.rttS < a.rttS ? b : a));
    return (now + best.offsetS) * 1000;
  }
}
