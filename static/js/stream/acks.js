// @ts-check
/** When to acknowledge, and what: the count of messages handled since `welcome`. */

/** @typedef {{messages: number, ms: number}} Cadence an ack after so many messages, or `ms` after the first */

/**
 * The server frees its window by these acks, so each is sent after decoding, after `messages` messages or
 * once the oldest unacked has waited half of `ms`: whoever asks at least every 50 ms keeps to 100 ms.
 */
export class AckCadence {
  #messages;
  #holdS;
  #handled = 0;
  #acked = 0;
  #oldest = 0;
  #newest = 0;
  #spentS = 0;
  #hurried = false;

  /** @param {Cadence} cadence as `welcome` gave it */
  constructor({ messages, ms }) {
    this.#messages = messages;
    this.#holdS = ms / 2000;
  }

  /**
   * The server asks for another cadence: seldom acks while there is room to spare, often ones when it gets less.
   * @param {Cadence} cadence
   */
  change({ messages, ms }) {
    this.#messages = messages;
    this.#holdS = ms / 2000;
  }

  /**
   * One more message was decoded, in `spentS` seconds.
   * @param {number} now
   * @param {number} spentS
   */
  handled(now, spentS) {
    if (this.#handled === this.#acked) {
      this.#oldest = now;
      this.#spentS = 0;
    }
    this.#handled++;
    this.#newest = now;
    this.#spentS += spentS;
  }

  /** What comes next waits for this ack: it is due with the message that is being handled. */
  hurry() {
    this.#hurried = true;
  }

  /** @param {number} now */
  isDue(now) {
    if (this.#hurried && this.#handled > this.#acked) return true;
    const waiting = this.#handled - this.#acked;
    return waiting >= this.#messages || (waiting > 0 && now - this.#oldest >= this.#holdS);
  }

  /**
   * The `ack` for all that was handled. `decoded_ms` is the time that decoding it took; `held_ms` the time
   * since the newest was decoded, which the server takes off the round trip.
   * @param {number} now
   */
  take(now) {
    this.#acked = this.#handled;
    this.#hurried = false;
    const decoded_ms = Math.round(this.#spentS * 1e5) / 100;
    const held_ms = Math.round(Math.max(0, now - this.#newest) * 1e5) / 100;
    return { type: "ack", n: this.#acked, decoded_ms, backlog: 0, held_ms };
  }
}
