// @ts-check
/** `window.vital`: what tests and benches read from the page. With `?probe=1` it also keeps what was drawn when. */

const PROBED = 1 << 16;
const DISPLAYED = 1 << 10;

/**
 * An alarm that was told as displayed, with milliseconds since 1970: raised by the server's clock, then told last, and
 * displayed, by the page's.
 * @typedef {{alarm: string, stream: string, kind: string, text: string, raised_ms: number, told_ms: number, displayed_ms: number}} Displayed
 */

/** A bounded record of paintings: stream (by number), epoch, index drawn up to, and the time since 1970; and of alarms. */
class Probe {
  #streams = /** @type {string[]} */ ([]);
  #stream = new Uint16Array(PROBED);
  #epoch = new Float64Array(PROBED);
  #stop = new Float64Array(PROBED);
  #ms = new Float64Array(PROBED);
  #count = 0;
  /** Alarms as they were told as displayed, oldest first. @type {Displayed[]} */ alarms = [];

  /** @param {import("./ui/sweep.js").Sweep} sweep */
  record(sweep) {
    const { id, info } = sweep.feed;
    let number = this.#streams.indexOf(id);
    if (number < 0) number = this.#streams.push(id) - 1;
    const slot = this.#count++ % PROBED;
    this.#stream[slot] = number;
    this.#epoch[slot] = info?.epoch ?? 0;
    this.#stop[slot] = sweep.drawn;
    this.#ms[slot] = performance.timeOrigin + performance.now();
  }

  /**
   * @param {import("./ui/alarm-desk.js").AlarmDesk} desk
   * @param {readonly string[]} ids
   */
  display(desk, ids) {
    const displayed_ms = performance.timeOrigin + performance.now();
    for (const id of ids) {
      const told = desk.told(id);
      if (!told) continue;
      const { alarm, stream, kind, text, raised_ms } = told.alarm;
      const told_ms = performance.timeOrigin + 1000 * told.heardAt;
      this.alarms.push({ alarm, stream, kind, text, raised_ms, told_ms, displayed_ms });
    }
    this.alarms.splice(0, this.alarms.length - DISPLAYED);
  }

  /** All records since the last call, oldest first: [stream, epoch, stop, milliseconds since 1970]. */
  take() {
    const first = Math.max(0, this.#count - PROBED);
    const records = [];
    for (let at = first; at < this.#count; at++) {
      const slot = at % PROBED;
      records.push([this.#streams[this.#stream[slot]], this.#epoch[slot], this.#stop[slot], this.#ms[slot]]);
    }
    this.#count = 0;
    return records;
  }
}

/**
 * @param {{feeds: import("./stream/feeds.js").Feeds, connection: import("./stream/connection.js").Connection,
 *   desk: import("./ui/alarm-desk.js").AlarmDesk, loop: import("./ui/loop.js").Loop, sweeps: () => readonly import("./ui/sweep.js").Sweep[]}} page
 */
export function expose({ feeds, connection, desk, loop, sweeps }) {
  const probe = new URLSearchParams(location.search).get("probe") === "1" ? new Probe() : null;
  if (probe) {
    loop.painted = (sweep) => probe.record(sweep);
    desk.displayed = (ids) => probe.display(desk, ids);
  }
  const vital = {
    /** Streams that are known here, with what is held of each. */
    streams: () =>
      feeds.inOrder.map((feed) => ({
        stream: feed.id,
        patient: feed.entry.patient,
        epoch: feed.info?.epoch ?? null,
        leads: feed.leads,
        rendition: feed.rendition ?? null,
        first: feed.ring?.spans()[0]?.[0] ?? null,
        stop: feed.ring?.stop ?? 0,
        spans: feed.ring?.spans() ?? [],
        position: feed.position,
        delay: feed.playout?.delay ?? null,
      })),
    /** All alarms that are shown, in order. */
    alarms: () =>
      desk.entries.map(({ key, severity, state, feed, place, text }) => ({ key, severity, state, stream: feed?.id ?? null, place, text })),
    /**
     * Microvolts [first, stop) of each lead; null where none is held, NaN where the lead was not sent.
     * @param {string} stream
     * @param {number} first
     * @param {number} stop
     */
    samples: (stream, first, stop) => {
      const ring = feeds.get(stream)?.ring;
      if (!ring) return null;
      return Array.from({ length: ring.leads }, (_, lead) =>
        Array.from({ length: stop - first }, (_, at) => (ring.has(first + at) ? ring.at(lead, first + at) : null)),
      );
    },
    /**
     * The pixel columns at which samples of a stream stand on its canvas.
     * @param {string} stream
     * @param {number[]} indices
     */
    columns: (stream, indices) => {
      const sweep = sweeps().find((shown) => shown.feed.id === stream);
      return sweep ? indices.map((index) => sweep.columnOf(index)) : null;
    },
    /**
     * The pixel rows at which samples of a stream's lead stand on its canvas; null where they are not drawn.
     * @param {string} stream
     * @param {number} lead
     * @param {number[]} indices
     */
    heights: (stream, lead, indices) => {
      const sweep = sweeps().find((shown) => shown.feed.id === stream);
      return sweep ? indices.map((index) => sweep.heightOf(lead, index)) : null;
    },
    /** What the page did so far. */
    stats: () => ({
      phase: connection.phase,
      connections: connection.connections,
      messages: connection.messages,
      bytes: connection.bytes,
      samples: feeds.samples,
      rtt_ms: connection.rttS === null ? null : connection.rttS * 1000,
      frames: loop.frames,
      paintings: loop.paintings,
      busy_ms: loop.busyS * 1000,
      columns: sweeps().reduce((sum, sweep) => sum + sweep.columns, 0),
      drawn: Object.fromEntries(sweeps().map((sweep) => [sweep.feed.id, sweep.drawn])),
    }),
    probe,
  };
  Object.assign(window, { vital });
}
