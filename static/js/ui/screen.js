// @ts-check
/** What the page shows: ward or patient by the address, or why there is neither. */

import { t } from "../i18n.js";
import { arranged } from "./arrangement.js";
import { bedOf } from "./digits.js";
import { pick, stamp, write } from "./dom.js";
import { fetchPatientView, fetchReviewView } from "./fetched.js";
import { fault } from "./lane.js";
import { pathOf, reviewPathOf } from "./paths.js";
import { WardView } from "./ward.js";

const PATIENT = /^\/patients\/([^/]+)\/$/;
const REVIEW = /^\/patients\/([^/]+)\/review\/(?:(\d+)\/)?$/;
const NARROW = matchMedia("(max-width: 600px)");

/** @typedef {import("../stream/feed.js").Feed} Feed */
/** @typedef {import("./sweep.js").Sweep} Sweep */
/** @typedef {import("./palette.js").Palette} Palette */
/** @typedef {import("./arrangement.js").Layout} Layout */
/** @typedef {import("./patient.js").PatientView} PatientView */
/** @typedef {import("../review/view.js").ReviewView} ReviewView */

export class Screen {
  #connection;
  #feeds;
  #desk;
  #palette;
  #store;
  #now;
  #main = pick(document, "main", HTMLElement);
  #scale = pick(document, ".notice .scale", Element);
  #pager = pick(document, ".pager", HTMLElement);
  /** @type {WardView | PatientView | ReviewView | null} */ #view = null;
  /** @type {typeof import("./patient.js").PatientView | null} fetched when the ward is drawn, or sooner when it is wanted */ #Patient = null;
  #isFetched = false;
  /** @type {typeof import("../review/view.js").ReviewView | null} loaded when it is first wanted */ #Review = null;
  #state = "";
  #shownScale = "";
  #page = 0;
  /** The beds as the user has arranged them. @type {readonly Feed[]} */ #order = [];
  /** How alarms stood when the user sorted by them; null: not yet. @type {ReadonlyMap<string, number> | null} */ #ranks = null;
  /** Streams of the ward's page: they go on while one patient is looked at. @type {string[]} */ #wardStreams = [];
  #left = "";
  /** @type {string[]} what the server was last asked for */ #asked = [];
  /** Of the page, as long as no alarm changes it. */
  title = "VITAL";

  /**
   * @param {{connection: import("../stream/connection.js").Connection, feeds: import("../stream/feeds.js").Feeds,
   *   desk: import("./alarm-desk.js").AlarmDesk, store: import("./layout-store.js").LayoutStore, palette: Palette, now: () => number}} parts
   */
  constructor({ connection, feeds, desk, store, palette, now }) {
    this.#connection = connection;
    this.#feeds = feeds;
    this.#desk = desk;
    this.#store = store;
    this.#palette = palette;
    this.#now = now;
  }

  /** @returns {readonly Sweep[]} */
  get sweeps() {
    return this.#view?.sweeps ?? [];
  }

  /** @param {Palette} palette */
  set palette(palette) {
    this.#palette = palette;
    if (this.#view) this.#view.palette = palette;
    this.#writeScale(this.#view instanceof WardView ? this.#view.scale : this.#shownScale);
  }

  /** @param {number} now */
  update(now) {
    this.#view?.update(now);
    // A patient is opened at once, and when the server is away.
    if (this.#isFetched || !this.sweeps.some(({ drawn }) => drawn > 0)) return;
    this.#isFetched = true;
    (globalThis.requestIdleCallback ?? setTimeout)(() => void this.#fetchPatient().catch(() => {}));
  }

  async #fetchPatient() {
    this.#Patient ??= await fetchPatientView();
  }

  /** The open patient's. @returns {PatientView | null} */
  get #patientView() {
    return this.#Patient && this.#view instanceof this.#Patient ? this.#view : null;
  }

  /**
   * The technical alarms that this page finds by itself at the beds it watches.
   * @param {number} now
   * @returns {import("../stream/alarm-list.js").Found[]}
   */
  found(now) {
    return this.#feeds.inOrder.flatMap((feed) => {
      const wrong = this.#asked.includes(feed.id) ? fault(feed, [], now) : null;
      return wrong?.alarm ? [{ feed, kind: wrong.kind, what: wrong.what, since: wrong.since }] : [];
    });
  }

  /** The patient whose page is open, or on its way: by the address, which is there before the page is fetched. */
  get patient() {
    const stream = addressed();
    return stream !== null && this.#stateOf(stream) === null ? this.#feeds.get(stream) : null;
  }

  /** @param {import("../stream/messages.js").ServerMessage} message */
  hear(message) {
    if (this.#Review && this.#view instanceof this.#Review) this.#view.hear(message);
  }

  /** The bed that keys act on: the open patient's, or the one that is selected. */
  get bed() {
    if (this.patient) return this.patient;
    const tile = document.activeElement?.closest("[data-stream]");
    return tile instanceof HTMLElement ? this.#feeds.get(tile.dataset.stream ?? "") : null;
  }

  /**
   * Select a bed of the ward, on whichever page it is; on a patient's page, open it.
   * @param {Feed} bed
   */
  goTo(bed) {
    if (this.patient) {
      this.follow(pathOf(bed));
      return;
    }
    this.#page = this.#pageOf(bed);
    this.route();
    if (this.#view instanceof WardView) this.#view.focus(bed.id);
  }

  /**
   * The user wants the ward like this. Sorting by alarms is of this moment: nothing moves by itself afterwards.
   * @param {Layout} layout
   */
  arrange(layout) {
    const { value: before } = this.#store;
    if (layout === before || layout.order !== before.order) this.#ranks = null;
    // What stood first on the page stays on it.
    this.#page = Math.floor((this.#page * before.per_page) / layout.per_page);
    void this.#store.change(layout);
    const view = this.#patientView;
    if (view) view.pinned = this.#isPinned(view.stream);
    this.bedsChanged();
  }

  /** @param {string} stream */
  #isPinned(stream) {
    return this.#store.value.pinned.includes(stream);
  }

  /** @param {Feed} bed */
  #pageOf(bed) {
    return Math.floor(this.#order.indexOf(bed) / this.#store.value.per_page);
  }

  /**
   * Go to a path of this page.
   * @param {string} path
   * @returns {boolean} false: it belongs to another page
   */
  follow(path) {
    if (path !== "/" && !PATIENT.test(path) && !REVIEW.test(path)) return false;
    if (path !== location.pathname) history.pushState(null, "", path + location.search);
    this.route();
    return true;
  }

  /** Show what the address says. */
  route() {
    const review = REVIEW.exec(location.pathname);
    const stream = addressed();
    const state = this.#stateOf(stream);
    this.#pager.hidden = true;
    if (state) this.#showState(state);
    else if (stream === null) this.#showWard();
    else if (review) this.#showReview(stream, review[2] ? Number(review[2]) : null);
    else this.#showPatient(stream);
    for (const link of document.querySelectorAll("[data-view]")) {
      const current = link.getAttribute("data-view") === (stream === null ? "ward" : "patient");
      if (current) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    this.update(this.#now());
  }

  bedsChanged() {
    this.#arrange();
    this.route();
  }

  #arrange() {
    this.#ranks ??= this.#desk.ranks();
    this.#order = arranged(this.#feeds.inOrder, this.#store.value, this.#ranks ?? new Map());
  }

  connectionChanged() {
    if (this.#connection.isFinal || this.#state) this.route();
  }

  /**
   * Turn to another page of beds.
   * @param {number} by
   */
  turn(by) {
    this.#page += by;
    this.route();
  }

  /**
   * @param {string} key
   * @param {boolean} far whether it was pressed with Shift
   * @returns {boolean} whether it meant something
   */
  key(key, far) {
    if ((this.#view || this.patient) && /^[0-9]$/.test(key)) return this.#toBed(key);
    const patient = this.#patientView;
    if (patient) {
      if (patient.key(key, far)) return true;
      if (key === "Escape") return this.follow("/");
      if (key.toLowerCase() === "r") return this.#withPatient((feed) => this.follow(reviewPathOf(feed)));
      if (key === "ArrowLeft" || key === "ArrowRight") return this.#neighbour(key === "ArrowLeft" ? -1 : 1);
      return false;
    }
    if (this.#Review && this.#view instanceof this.#Review) {
      if (this.#view.key(key, far)) return true;
      if (key === "Escape" || key.toLowerCase() === "r") return this.#withPatient((feed) => this.follow(pathOf(feed)));
      return false;
    }
    if (key === "Escape" && this.patient) return this.follow("/"); // whose page is on its way
    if (key === "PageDown" || key === "PageUp") {
      this.turn(key === "PageDown" ? 1 : -1);
      return true;
    }
    return this.#view?.key(key) ?? false;
  }

  /**
   * A digit selects a bed of the ward; on a patient's page it opens one.
   * @param {string} digit
   */
  #toBed(digit) {
    const bed = bedOf(digit, this.#feeds.inOrder, this.bed);
    if (bed) this.goTo(bed);
    return bed !== null;
  }

  /** @param {number} by */
  #neighbour(by) {
    const order = this.#order;
    const at = order.findIndex((feed) => feed.id === this.#patientView?.stream);
    const next = order[at + by];
    return next ? this.follow(pathOf(next)) : true;
  }

  /**
   * The template that is shown in place of beds; null when beds can be shown.
   * @param {string | null} stream
   */
  #stateOf(stream) {
    const { phase, isFinal } = this.#connection;
    if (isFinal) return phase;
    if (!this.#feeds.known) return "loading";
    if (stream !== null) {
      const known = this.#feeds.get(stream) && !this.#feeds.denied.has(stream);
      return known ? null : "unknown";
    }
    return this.#feeds.inOrder.length === 0 ? "empty" : null;
  }

  /** @param {string} state */
  #showState(state) {
    if (this.#state === state) return;
    this.#writeScale(""); // of no trace
    this.#replace(null, stamp(`state-${state}`));
    this.#state = state;
  }

  #showWard() {
    const all = this.#order;
    const { per_page } = this.#store.value;
    const pages = Math.ceil(all.length / per_page);
    this.#page = Math.min(Math.max(this.#page, 0), pages - 1);
    const first = this.#page * per_page;
    const shown = this.#bedsOfPage();
    this.#wardStreams = shown.map((feed) => feed.id);
    this.#ask(this.#wardStreams, null);
    const arrangement = { several: this.#feeds.wards.length > 1, layout: this.#store.value };
    this.#pager.hidden = pages < 2;
    const place = { first: first + 1, last: first + shown.length, all: all.length };
    write(pick(this.#pager, "span", Element), t("{first}–{last} of {all}", place));
    if (this.#view instanceof WardView) {
      this.#view.show(shown, arrangement);
      return;
    }
    const view = new WardView(shown, arrangement, { desk: this.#desk, palette: this.#palette, scaleChanged: (scale) => this.#writeScale(scale) });
    this.#replace(view, view.element);
    this.#writeScale(view.scale);
    if (this.#left) view.focus(this.#left);
    this.title = `${t("Ward")} · VITAL`;
  }

  #bedsOfPage() {
    const { per_page } = this.#store.value;
    return this.#order.slice(this.#page * per_page, (this.#page + 1) * per_page);
  }

  /** @param {(feed: Feed) => boolean} act */
  #withPatient(act) {
    return this.patient !== null && act(this.patient);
  }

  /**
   * Its live data go on beneath: what is asked of the past is in nobody's way.
   * @param {string} stream
   * @param {number | null} ms since 1970, where the address names a time
   */
  #showReview(stream, ms) {
    const feed = this.#watch(stream);
    this.title = `${t("Review of bed {bed}", { bed: feed.entry.bed })} · VITAL`;
    const Review = this.#Review;
    if (!Review) {
      this.#showState("loading");
      fetchReviewView().then(
        (view) => {
          this.#Review = view;
          this.route();
        },
        () => this.#state === "loading" && this.#showState("refused"), // the server has another version of the page by now, or is away
      );
      return;
    }
    if (this.#view instanceof Review && this.#view.stream === stream) {
      if (ms !== null && ms !== this.#view.addressed) this.#view.goTo(ms);
      return;
    }
    const view = new Review(feed, { palette: this.#palette, connection: this.#connection, now: this.#now, ms, scaleChanged: (scale) => this.#writeScale(scale) });
    this.#replace(view, view.element);
  }

  /**
   * Watch a patient, and the beds of its page.
   * @param {string} stream
   */
  #watch(stream) {
    const feed = /** @type {Feed} */ (this.#feeds.get(stream));
    // Opened by its address: the beds about it are watched all the same, for their alarms.
    if (this.#wardStreams.length === 0) this.#page = this.#pageOf(feed);
    this.#wardStreams = this.#bedsOfPage().map((bed) => bed.id);
    this.#ask([...new Set([stream, ...this.#wardStreams])], stream);
    return feed;
  }

  /** @param {string} stream */
  #showPatient(stream) {
    const feed = this.#watch(stream);
    if (this.#patientView?.stream === stream) return;
    this.#left = stream;
    const Patient = this.#Patient;
    if (!Patient) {
      this.#showState("loading");
      this.#fetchPatient().then(
        () => this.route(),
        () => this.#state === "loading" && this.#showState("refused"), // as with the review
      );
      return;
    }
    const view = new Patient(feed, {
      palette: this.#palette,
      connection: this.#connection,
      feeds: this.#feeds,
      desk: this.#desk,
      now: this.#now,
      scaleChanged: (scale) => this.#writeScale(scale),
    });
    view.pinned = this.#isPinned(stream);
    this.#replace(view, view.element);
    this.title = `${t("Bed {bed}", { bed: feed.entry.bed })} · VITAL`;
  }

  /**
   * @param {string[]} streams
   * @param {string | null} focus
   */
  #ask(streams, focus) {
    this.#asked = streams;
    for (const stream of streams) this.#feeds.get(stream)?.ask(this.#now());
    this.#connection.subscribe(streams, focus);
  }

  /**
   * @param {WardView | PatientView | ReviewView | null} view
   * @param {HTMLElement} element
   */
  #replace(view, element) {
    this.#view?.close();
    this.#view = view;
    this.#state = "";
    this.#main.replaceChildren(element);
  }

  /** @param {string} scale that of the traces shown; empty where there are none */
  #writeScale(scale) {
    this.#shownScale = scale;
    const truth = this.#palette.calibrated ? t("to scale") : NARROW.matches ? t("not to scale") : t("not to scale (uncalibrated)");
    write(this.#scale, scale && `${scale} · ${truth}`);
  }
}

/** The stream that the address names; null where it names none. */
function addressed() {
  const found = REVIEW.exec(location.pathname) ?? PATIENT.exec(location.pathname);
  return found ? decodeURIComponent(found[1]) : null;
}
