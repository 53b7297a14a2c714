// @ts-check
/** How many pixels a millimetre has on the display that the page is on, as somebody measured it once. */

import { recall, remember } from "./preferences.js";

/** What a display may have, in device pixels per mm: 38 to 635 dpi. */
export const DEVICE_PX_PER_MM = Object.freeze({ least: 1.5, most: 25 });

/** A display is known by its size: browsers say no more of it. */
const nameOf = () => `px-per-mm.${screen.width}x${screen.height}`;

/** Use what was measured on this display; CSS pixels change with the zoom of the page, device pixels do not. */
export function useDisplay() {
  const { style } = document.documentElement;
  const measured = Number(recall(nameOf()));
  const isKnown = measured >= DEVICE_PX_PER_MM.least && measured <= DEVICE_PX_PER_MM.most;
  if (isKnown) style.setProperty("--px-per-mm", String(measured / devicePixelRatio));
  else style.removeProperty("--px-per-mm");
}

/**
 * Remember what was measured on this display; null to forget it.
 * @param {number | null} cssPxPerMm
 */
export function rememberDisplay(cssPxPerMm) {
  remember(nameOf(), cssPxPerMm === null ? "" : String(cssPxPerMm * devicePixelRatio));
  useDisplay();
}
