// @ts-check
/** Runs before the first paint: the looks that were chosen last, and a watch over whether the page's modules start. */

(() => {
  const root = document.documentElement;
  const AGAIN_MS = 60_000; // one attempt by itself in this time
  const LOADING_MS = 20_000;
  let contrast = null;
  try {
    const chosen = localStorage.getItem("vital.theme");
    if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
    contrast = localStorage.getItem("vital.contrast");
  } catch {
    // Storage may be switched off; the theme is then dark.
  }
  if (contrast === "more" || (contrast !== "normal" && matchMedia("(prefers-contrast: more)").matches)) root.dataset.contrast = "more";

  // Modules of two versions do not fit together, as when files change while the page loads; nor does half of them.
  function broken() {
    if ("started" in root.dataset) return;
    try {
      const last = Number(sessionStorage.getItem("vital.loaded-again"));
      if (Date.now() - last > AGAIN_MS) {
        sessionStorage.setItem("vital.loaded-again", String(Date.now()));
        location.reload();
        return;
      }
    } catch {
      // Without storage nobody knows whether it was tried: say so, and leave it to the user.
    }
    const told = document.querySelector("template#state-broken");
    const main = document.querySelector("main");
    if (!(told instanceof HTMLTemplateElement) || !main) return;
    main.replaceChildren(told.content.cloneNode(true));
    main.querySelector("button")?.addEventListener("click", () => location.reload());
    root.dataset.broken = "";
  }

  /** @param {ErrorEvent | Event} event */
  function failed(event) {
    const ours = event.target === window || (event.target instanceof HTMLScriptElement && event.target.type === "module");
    if (!ours || "started" in root.dataset) return;
    if (document.readyState === "loading") addEventListener("DOMContentLoaded", broken, { once: true });
    else broken();
  }

  addEventListener("error", failed, { capture: true });
  addEventListener("load", () => setTimeout(broken, LOADING_MS));
})();
