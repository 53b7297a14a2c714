// @ts-check
/** The measuring of a display: a bank card or a ruler is held against the screen, once. */

import { decimal, t } from "../i18n.js";
import { DEVICE_PX_PER_MM, rememberDisplay } from "./millimetres.js";
import { pick, write } from "./dom.js";

const CARD = { wide: 85.6, high: 53.98 }; // mm, ISO/IEC 7810 ID-1
const RULER_MM = 100;
const FINE = 0.25; // CSS pixels of the card's width that a press of a button moves its edge

export class Calibration {
  #dialog;
  #slider;
  #changed;
  #pxPerMm = 4;

  /** @param {() => void} changed is called after another scale was stored */
  constructor(changed) {
    this.#changed = changed;
    this.#dialog = pick(document, "dialog.calibration", HTMLDialogElement);
    this.#slider = pick(this.#dialog, "input[type=range]", HTMLInputElement);
    this.#slider.addEventListener("input", () => this.#draw(Number(this.#slider.value) / CARD.wide));
    this.#dialog.addEventListener("change", () => this.#draw(this.#pxPerMm));
    this.#dialog.addEventListener("click", (event) => {
      const button = event.target instanceof Element && event.target.closest("button");
      if (!(button instanceof HTMLElement)) return;
      const { fit } = button.dataset;
      if (fit === "store") this.#store(this.#pxPerMm);
      else if (fit === "forget") this.#store(null);
      else if (fit) this.#draw(this.#pxPerMm + (Number(fit) * FINE) / CARD.wide);
      else this.#dialog.close();
    });
  }

  open() {
    const style = getComputedStyle(document.documentElement);
    const { least, most } = DEVICE_PX_PER_MM;
    this.#slider.min = String(Math.ceil((least / devicePixelRatio) * CARD.wide));
    this.#slider.max = String(Math.floor(Math.min((most / devicePixelRatio) * CARD.wide, innerWidth - 48)));
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#draw(Number(style.getPropertyValue("--px-per-mm")));
  }

  /** @param {number} pxPerMm */
  #draw(pxPerMm) {
    const least = Number(this.#slider.min) / CARD.wide;
    const most = Number(this.#slider.max) / CARD.wide;
    this.#pxPerMm = Math.min(Math.max(pxPerMm, least), most);
    const byRuler = pick(this.#dialog, "input[value=ruler]", HTMLInputElement).checked;
    const room = innerWidth - 48;
    // A ruler's line that does not fit is drawn half as long.
    const ruler = RULER_MM * this.#pxPerMm <= room ? RULER_MM : RULER_MM / 2;
    const shape = pick(this.#dialog, ".gauge", HTMLElement);
    shape.dataset.by = byRuler ? "ruler" : "card";
    shape.style.width = `${(byRuler ? ruler : CARD.wide) * this.#pxPerMm}px`;
    shape.style.height = byRuler ? "" : `${CARD.high * this.#pxPerMm}px`;
    write(pick(shape, "span", Element), byRuler ? `${ruler} mm` : t("bank card"));
    this.#slider.value = String(this.#pxPerMm * CARD.wide);
    write(pick(this.#dialog, "output", Element), t("{n} pixels per mm", { n: decimal(this.#pxPerMm, 2) }));
  }

  /** @param {number | null} pxPerMm */
  #store(pxPerMm) {
    rememberDisplay(pxPerMm);
    this.#dialog.close();
    this.#changed();
  }
}
