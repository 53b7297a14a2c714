// @ts-check
/** What the reader of one patient's traces chose: layout, lead, sweep or scroll, speed, gain, filters, marks. */

import { filterText } from "../ecg/filters.js";
import { KINDS, arrange, kindsFor, rhythmLead } from "../ecg/layouts.js";
import { figure, t, word } from "../i18n.js";
import { mark, pick, write } from "./dom.js";
import { labelsOf } from "./labels.js";
import { recall, remember } from "./preferences.js";
import { GAINS, SPEEDS, step } from "./scale.js";
import { Sweep } from "./sweep.js";

/** @typedef {import("../stream/feed.js").Feed} Feed */
/** @typedef {import("../ecg/layouts.js").Kind} Kind */
/** @typedef {import("../ecg/filters.js").Choice} Choice */

const SPEED = 25; // mm/s, on a phone too: one patient has the room
/** @type {(0 | 50 | 60)[]} */
const MAINS = [0, 50, 60];
/** @type {Record<Kind, string>} */
const NAMES = { standard: word("3×4 + rhythm"), stacked: word("stacked"), one: word("one lead") };

export class Paper {
  #feed;
  #element;
  #labels;
  #chips;
  #parts;
  #changed;
  #narrow = matchMedia("(max-width: 600px)");
  #generation = -1;
  #placed = -1;
  /** Layout as chosen; null for the usual one. @type {Kind | null} */ #kind;
  #lead = "";
  #speed = SPEED;
  #gain;
  /** @type {Choice} */ filters = { baseline: false, mains: 0 };
  marked;
  sweep;

  /**
   * @param {Element} element of the patient's view
   * @param {Feed} feed
   * @param {import("./palette.js").Palette} palette
   * @param {(scale: string) => void} changed is told what the traces are drawn to
   */
  constructor(element, feed, palette, changed) {
    this.#element = element;
    this.#feed = feed;
    this.#changed = changed;
    this.#gain = palette.gain;
    this.#kind = KINDS.find((kind) => kind === recall("layout")) ?? null;
    this.marked = recall("beats") !== "off";
    const part = (/** @type {string} */ name) => pick(element, `[data-part="${name}"]`, HTMLElement);
    this.#parts = {
      speed: part("speed"),
      gain: part("gain"),
      scale: part("scale"),
      lead: part("lead"),
      mode: part("mode"),
      baseline: part("baseline"),
      mains: part("mains"),
      beats: part("beats"),
      filter: part("filter"),
    };
    this.#labels = pick(element, ".row-labels", HTMLElement);
    this.#chips = pick(element, ".chips", HTMLElement);
    this.sweep = new Sweep(pick(element, ".waves .wave", HTMLElement), feed, {
      palette,
      layoutOf: () => this.layout,
      pulse: true,
    });
    this.sweep.mode = recall("mode") === "scroll" ? "scroll" : "sweep";
    this.sweep.marked = this.marked;
    this.sweep.paper = this.scale;
    this.#narrow.addEventListener("change", this.#turned);
    this.#show();
  }

  /** A phone was turned: another layout may be the usual one. */
  #turned = () => {
    this.sweep.rearrange();
    this.#show();
  };

  /** What the traces are drawn to, in words. */
  get text() {
    const scale = `${figure(this.#speed)} mm/s · ${figure(this.#gain)} mm/mV`;
    const filtered = filterText(this.filters, this.#feed.info?.rate_hz ?? null);
    return filtered ? `${scale} · ${filtered}` : scale;
  }

  /** Speed in mm/s and gain in mm/mV. */
  get scale() {
    return { speed: this.#speed, gain: this.#gain };
  }

  /** The layout in use: what was chosen where that makes a difference, else the usual one. @returns {Kind} */
  get kind() {
    const kinds = kindsFor(this.#feed.leads.length, this.#narrow.matches);
    return kinds.find((kind) => kind === this.#kind) ?? kinds[0];
  }

  get layout() {
    return arrange(this.kind, this.#feed.leads, this.lead);
  }

  /** The lead that stands alone, or below the standard ones. */
  get lead() {
    const { leads } = this.#feed;
    return leads.includes(this.#lead) ? this.#lead : rhythmLead(leads);
  }

  /**
   * What a control or a key means.
   * @param {string} name
   * @returns {boolean} whether it meant something
   */
  act(name) {
    switch (name) {
      case "[":
      case "]":
        this.#speed = step(SPEEDS, this.#speed, name === "]" ? 1 : -1);
        this.sweep.paper = this.scale;
        break;
      case "-":
      case "+":
        this.#gain = step(GAINS, this.#gain, name === "+" ? 1 : -1);
        this.sweep.paper = this.scale;
        break;
      case "v":
        this.#choose(next(kindsFor(this.#feed.leads.length, this.#narrow.matches), this.kind));
        break;
      case "l":
        this.#choose(this.kind, next(this.#feed.leads, this.lead));
        break;
      case "s":
        remember("mode", recall("mode") === "scroll" ? "sweep" : "scroll");
        this.sweep.mode = recall("mode") === "scroll" ? "scroll" : "sweep";
        break;
      case "h":
        this.filters = { ...this.filters, baseline: !this.filters.baseline };
        this.sweep.filters = this.filters;
        break;
      case "m":
        this.filters = { ...this.filters, mains: next(MAINS, this.filters.mains) };
        this.sweep.filters = this.filters;
        break;
      case "q":
        this.marked = !this.marked;
        remember("beats", this.marked ? "on" : "off");
        this.sweep.marked = this.marked;
        break;
      default:
        return false;
    }
    this.#show();
    return true;
  }

  /**
   * A control that names what it stands for was pressed.
   * @param {Element} target
   */
  press(target) {
    const button = target.closest("[data-kind], [data-lead]");
    if (!(button instanceof HTMLElement)) return;
    const kind = KINDS.find((name) => name === button.dataset.kind) ?? this.kind;
    this.#choose(kind, button.dataset.lead ?? this.#lead);
    this.#show();
  }

  /** Four times a second. */
  update() {
    const { generation, leads, unsent, leadsOff } = this.#feed;
    if (generation !== this.#generation) {
      this.#generation = generation;
      this.sweep.label = t("ECG of bed {bed}, leads {leads}", { bed: this.#feed.entry.bed, leads: leads.join(", ") });
      this.sweep.rearrange();
      this.#show();
    }
    if (this.sweep.placed !== this.#placed) this.#label();
    const { cells } = this.sweep;
    this.#labels.childNodes.forEach((label, at) => {
      const name = leads[cells[at].lead] ?? "";
      const why = leadsOff.has(name) ? ` ${t("off")}` : unsent.includes(name) ? ` ${t("not sent")}` : "";
      write(/** @type {Element} */ (label.firstChild), `${name}${why}`);
    });
    this.#placeNote(unsent);
  }

  close() {
    this.#narrow.removeEventListener("change", this.#turned);
    this.sweep.close();
  }

  /**
   * @param {Kind} kind
   * @param {string} [lead]
   */
  #choose(kind, lead = this.#lead) {
    this.#lead = lead;
    if (kind !== this.kind) {
      this.#kind = kind;
      remember("layout", kind);
    }
    this.sweep.rearrange();
  }

  /** Let the controls, the notes and the trace say what is chosen. */
  #show() {
    const { leads, info } = this.#feed;
    const { kind, layout } = this;
    const scale = `${figure(this.#speed)} mm/s · ${figure(this.#gain)} mm/mV`;
    const kinds = kindsFor(leads.length, this.#narrow.matches);
    write(this.#parts.speed, `${figure(this.#speed)} mm/s`);
    write(this.#parts.gain, `${figure(this.#gain)} mm/mV`);
    write(this.#parts.lead, this.lead);
    const alone = leads.length < 2 || kind === "stacked";
    mark(/** @type {Element} */ (this.#parts.lead.parentElement), "disabled", alone ? "" : null);
    const scrolls = recall("mode") === "scroll";
    write(this.#parts.mode, scrolls ? t("Scroll") : t("Sweep"));
    mark(/** @type {Element} */ (this.#parts.mode.parentElement), "aria-label", scrolls ? t("The paper scrolls; let a bar sweep") : t("A bar sweeps; let the paper scroll"));
    mark(this.#parts.baseline, "aria-pressed", String(this.filters.baseline));
    mark(this.#parts.mains, "aria-pressed", String(this.filters.mains > 0));
    write(this.#parts.mains, `${this.filters.mains || 50} Hz`);
    mark(this.#parts.beats, "aria-pressed", String(this.marked));
    write(this.#parts.filter, filterText(this.filters, info?.rate_hz ?? null));
    for (const button of this.#element.querySelectorAll("[data-kind]")) {
      const name = /** @type {Kind} */ (button.getAttribute("data-kind"));
      mark(button, "aria-pressed", String(name === kind));
      mark(button, "disabled", kinds.includes(name) ? null : "");
    }
    mark(this.#element, "data-layout", kind);
    /** @type {HTMLElement} */ (this.#element).style.setProperty("--leads", String(layout.rows));
    const each = this.sweep.seconds / layout.columns;
    const standard = kind === "standard" ? `${layout.columns} × ${figure(Number(each.toFixed(1)))} s · ` : "";
    write(this.#parts.scale, `${standard}${scale}`);
    mark(this.#parts.scale, "title", t("Layout: {name}", { name: t(NAMES[kind]) }));
    this.#showChips(kind);
    this.#changed(this.text);
  }

  /** @param {Kind} kind */
  #showChips(kind) {
    const { leads } = this.#feed;
    const shown = kind === "one" ? leads : [];
    if (this.#chips.childElementCount !== shown.length || shown.some((name, at) => this.#chips.children[at].textContent !== name)) {
      this.#chips.replaceChildren(
        ...shown.map((name) => {
          const chip = document.createElement("button");
          chip.type = "button";
          chip.className = "btn";
          chip.dataset.lead = name;
          chip.textContent = name;
          return chip;
        }),
      );
    }
    for (const chip of this.#chips.children) mark(chip, "aria-pressed", String(chip.textContent === this.lead));
  }

  /** One label for each cell, where it begins. */
  #label() {
    this.#placed = this.sweep.placed;
    this.#labels.replaceChildren(...labelsOf(this.sweep.cells, this.#feed.leads));
    this.#show();
  }

  /**
   * The note stands over no trace: where some leads are not sent, in the row of one of them.
   * @param {readonly string[]} unsent
   */
  #placeNote(unsent) {
    const lead = this.#feed.leads.indexOf(unsent[unsent.length >> 1]);
    const cell = this.sweep.cells.find((each) => each.lead === lead);
    const at = cell ? 100 * (cell.top + cell.high / 2) : 50;
    /** @type {HTMLElement} */ (this.#element).style.setProperty("--note-at", `${at}%`);
  }
}

/**
 * The entry after this one; after the last, the first.
 * @template T
 * @param {readonly T[]} list
 * @param {T} entry
 * @returns {T}
 */
function next(list, entry) {
  return list[(list.indexOf(entry) + 1) % list.length];
}
