// @ts-check
/** Runs before the first paint: the theme that was chosen last, so that a light page never flashes dark. */

try {
  const chosen = localStorage.getItem("vital.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage may be switched off; the theme is then dark.
}
