// @ts-check
/** The viewer that is looked at: why it is slow, its figures now and since it was chosen, and what it is sent. */

import { mark, pick, write } from "../../ui/dom.js";
import { Ring } from "./ring.js";
import { drawSpark } from "./spark.js";
import { count, counted, lasting, milliseconds, perSecond, size, UNKNOWN } from "./words.js";

/** @typedef {import("./spark.js").Looks} Looks */
/** @typedef {import("./names.js").Names} Names */
/**
 * @typedef {import("./deployment.js").ViewerFigures & {
 *   process: string,
 *   peer?: string,
 *   queues: Record<string, number>,
 *   empty_rtt_ms: number,
 *   carries_bps: number | null,
 *   need_bps: number,
 *   wanted_bps: number,
 *   backlog: number,
 *   decoded_ms: number,
 *   sent_as: Record<string, {group: string, quality: string, frame_s: number}>,
 *   suspected: string[],
 *   focus: string | null,
 *   why: {cause: string, text: string}[],
 * }} ViewerDetail
 */

/** Five minutes of seconds. */
const KEPT = 300;
/** Seconds without figures of the viewer after which they are stale. */
const STALE_S = 3.5;

const CHARTS = /** @type {const} */ ([
  { name: "rtt", title: "Round trip" },
  { name: "goodput", title: "Arrives" },
  { name: "flight", title: "In flight; dashed: window" },
  { name: "queue", title: "Queued" },
]);

export class Panel {
  /** @type {HTMLElement} */ #root;
  /** @type {Names} */ #names;
  /** @type {ViewerDetail | null} */ #detail = null;
  #at = 0;
  #gone = false;
  #mayCut = false;
  /** @type {Record<"rtt" | "goodput" | "flight" | "queue", {ring: Ring, canvas: HTMLCanvasElement, value: HTMLElement}>} */ #charts;
  #window = new Ring(KEPT);
  /** @type {string | null} whom it shows */ connection = null;

  /**
   * @param {HTMLElement} root
   * @param {Names} names
   * @param {{close: () => void, cut: (viewer: ViewerDetail) => void}} wishes
   */
  constructor(root, names, wishes) {
    this.#root = root;
    this.#names = names;
    const charts = CHARTS.map(({ name, title }) => [name, this.#chart(title)]);
    this.#charts = Object.fromEntries(charts);
    pick(root, "button[name=close]", HTMLButtonElement).addEventListener("click", wishes.close);
    this.#cutButton.addEventListener("click", () => {
      if (this.#detail && !this.#gone) wishes.cut(this.#detail);
    });
    root.addEventListener("keydown", (event) => {
      if (event.key === "Escape") wishes.close();
    });
  }

  /** Look at another one, with nothing known of it yet; null: at none. @param {string | null} connection @param {number} now */
  look(connection, now) {
    this.connection = connection;
    this.#detail = null;
    this.#gone = false;
    this.#at = now;
    this.#window = new Ring(KEPT);
    for (const { name } of CHARTS) this.#charts[name].ring = new Ring(KEPT);
    this.#root.hidden = connection === null;
    write(pick(this.#root, "#live-viewer-title", HTMLElement), `Viewer ${connection ?? ""}`);
    this.show(now);
  }

  /** Put the keyboard into the panel. */
  focus() {
    pick(this.#root, "#live-viewer-title", HTMLElement).focus();
  }

  /** @param {boolean} may */
  allowCut(may) {
    this.#mayCut = may;
    this.#cutButton.hidden = !may;
  }

  /** @param {ViewerDetail} detail @param {number} now */
  take(detail, now) {
    if (detail.connection !== this.connection) return;
    this.#detail = detail;
    this.#at = now;
    this.#gone = false;
    this.#charts.rtt.ring.push(detail.rtt_ms);
    this.#charts.goodput.ring.push(detail.goodput_bps);
    this.#charts.flight.ring.push(detail.in_flight);
    this.#charts.queue.ring.push(detail.queued_bytes);
    this.#window.push(detail.window);
  }

  /** No process tells of it any more. @param {string} connection */
  lost(connection) {
    if (connection === this.connection) this.#gone = true;
  }

  /** @param {number} now */
  show(now) {
    if (this.connection === null) return;
    const detail = this.#detail, stale = this.#gone || (detail !== null && now - this.#at > STALE_S);
    mark(this.#root, "data-stale", stale ? "" : null);
    write(pick(this.#root, ".live-viewer-state", HTMLElement), this.#state(now, stale));
    this.#cutButton.disabled = detail === null || this.#gone;
    this.#cutButton.hidden = !this.#mayCut;
    write(pick(this.#root, ".live-viewer-who", HTMLElement), detail ? this.#who(detail) : "");
    this.#showWhy(detail);
    this.#showFacts(detail);
    this.#showSent(detail);
    write(this.#charts.rtt.value, milliseconds(detail?.rtt_ms));
    write(this.#charts.goodput.value, bits(detail?.goodput_bps));
    write(this.#charts.flight.value, detail ? `${size(detail.in_flight)} of ${size(detail.window)}` : UNKNOWN);
    write(this.#charts.queue.value, detail ? `${counted(detail.queued, "message")}, ${size(detail.queued_bytes)}` : UNKNOWN);
  }

  /** @param {Looks} looks */
  draw(looks) {
    if (this.connection === null) return;
    for (const { name } of CHARTS) {
      const { canvas, ring } = this.#charts[name];
      drawSpark(canvas, ring, looks, name === "flight" ? this.#window : null);
    }
  }

  /** @param {number} now @param {boolean} stale */
  #state(now, stale) {
    if (this.#gone) {
      return this.#detail
        ? "The connection has ended, or its process does not tell of it any more. These are its last figures."
        : "No process has a viewer with this connection.";
    }
    if (!this.#detail) return "Asking for its figures.";
    return stale ? `These figures are ${lasting(now - this.#at)} old.` : "";
  }

  /** @param {ViewerDetail} detail */
  #who(detail) {
    const from = detail.peer ? `, from ${detail.peer}` : "";
    return `${this.#names.user(detail.user, detail.actor)}${from}, at process ${detail.process}, connected for ${lasting(detail.since_s)}`;
  }

  /** @param {ViewerDetail | null} detail */
  #showWhy(detail) {
    const list = pick(this.#root, ".live-why", HTMLElement), why = detail?.why ?? [];
    while (list.children.length > why.length) list.lastElementChild?.remove();
    while (list.children.length < why.length) list.append(document.createElement("li"));
    why.forEach(({ text, cause }, n) => {
      const item = list.children[n];
      if (!item) return;
      write(item, text);
      mark(item, "data-cause", cause);
    });
  }

  /** @param {ViewerDetail | null} detail */
  #showFacts(detail) {
    const list = pick(this.#root, ".live-facts", HTMLElement), facts = detail ? this.#facts(detail) : [];
    while (list.children.length > facts.length) list.lastElementChild?.remove();
    while (list.children.length < facts.length) {
      const pair = document.createElement("div");
      pair.append(document.createElement("dt"), document.createElement("dd"));
      list.append(pair);
    }
    facts.forEach(([term, value], n) => {
      const [dt, dd] = list.children[n]?.children ?? [];
      if (!dt || !dd) return;
      write(dt, term);
      write(dd, value);
    });
  }

  /** @param {ViewerDetail} detail @returns {[string, string][]} */
  #facts(detail) {
    const drops = Object.entries(detail.drops).map(([reason, n]) => `${count(n)} ${reason}`).join(", ");
    const queues = Object.entries(detail.queues).map(([priority, n]) => `${count(n)} ${priority}`).join(", ");
    return [
      ["State", `${detail.state}, network ${detail.condition}`],
      ["Round trip on the empty path", milliseconds(detail.empty_rtt_ms || null)],
      ["Path carries", detail.carries_bps === null ? "not known: it was never full" : bits(detail.carries_bps)],
      ["Needs as it is sent", bits(detail.need_bps)],
      ["Least for its best quality", bits(detail.wanted_bps)],
      ["Last acknowledgement", detail.acked_s === null ? UNKNOWN : `${detail.acked_s.toFixed(1)} s ago`],
      ["Decoding", `${milliseconds(detail.decoded_ms)}, ${counted(detail.backlog, "message")} waiting`],
      ["Waits in the queue", queues ? `${queues}; the oldest for ${milliseconds(detail.oldest_ms)}` : "nothing"],
      ["Dropped since it connected", drops ? `${drops}; last ${lasting(detail.lost_s)} ago` : "nothing"],
    ];
  }

  /** @param {ViewerDetail | null} detail */
  #showSent(detail) {
    const body = pick(this.#root, ".live-sent tbody", HTMLTableSectionElement);
    /** @param {string} stream */
    const name = (stream) => this.#names.stream(stream) ?? stream;
    const sent = Object.entries(detail?.sent_as ?? {}).sort(([one], [other]) => name(one).localeCompare(name(other), "en"));
    while (body.rows.length > sent.length) body.deleteRow(-1);
    while (body.rows.length < sent.length) {
      const row = body.insertRow(), head = document.createElement("th");
      head.scope = "row";
      row.append(head);
      row.insertCell();
      row.insertCell().className = "number";
      row.insertCell();
    }
    sent.forEach(([stream, { quality, frame_s }], n) => {
      const notes = [stream === detail?.focus ? "looked at" : "", detail?.suspected.includes(stream) ? "arrhythmia suspected" : ""];
      const texts = [name(stream), quality, `${frame_s} s`, notes.filter(Boolean).join(", ")];
      texts.forEach((text, at) => {
        const cell = body.rows[n]?.cells[at];
        if (cell) write(cell, text);
      });
    });
  }

  /** @param {string} title */
  #chart(title) {
    const figure = document.createElement("figure"), caption = document.createElement("figcaption");
    const value = document.createElement("strong"), canvas = document.createElement("canvas");
    caption.append(`${title} `, value);
    canvas.className = "live-chart";
    canvas.setAttribute("aria-hidden", "true");
    figure.append(caption, canvas);
    pick(this.#root, ".live-charts", HTMLElement).append(figure);
    return { ring: new Ring(KEPT), canvas, value };
  }

  get #cutButton() {
    return pick(this.#root, "button[name=cut]", HTMLButtonElement);
  }
}

/** @param {number | null | undefined} perS bits a second */
function bits(perS) {
  return perSecond(perS === null || perS === undefined ? null : perS / 8);
}
