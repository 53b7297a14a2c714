// @ts-check
/** The tokens of the stylesheet that canvases draw with, read once per theme. */

/**
 * @typedef {object} Palette
 * @property {string} surface
 * @property {string} trace
 * @property {string} traceDim
 * @property {string} gridMinor
 * @property {string} gridMajor
 * @property {string} hatch
 * @property {string} edge
 * @property {string} text
 * @property {string} font
 * @property {number} pxPerMm
 * @property {boolean} calibrated whether somebody measured pxPerMm on this display
 * @property {number} speed
 * @property {number} gain
 */

/** @returns {Palette} */
export function readPalette() {
  const style = getComputedStyle(document.documentElement);
  /** @param {string} token */
  const of = (token) => style.getPropertyValue(token).trim();
  return {
    surface: of("--surface-1"),
    trace: of("--trace"),
    traceDim: of("--trace-dim"),
    gridMinor: of("--grid-minor"),
    gridMajor: of("--grid-major"),
    hatch: of("--hatch"),
    edge: of("--text-3"),
    text: of("--text-1"),
    font: of("--font"),
    pxPerMm: Number(of("--px-per-mm")),
    calibrated: document.documentElement.style.getPropertyValue("--px-per-mm") !== "",
    speed: Number(of("--speed")),
    gain: Number(of("--gain")),
  };
}
