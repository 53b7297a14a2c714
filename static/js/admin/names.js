// @ts-check
/** Names for what Django's own widgets leave without one, and a way by keyboard into what scrolls sideways. */

/** A picture whose words are in its label, beside the search of a list of choices; Django makes these on `load`, too. */
addEventListener("load", () => {
  for (const tooltip of document.querySelectorAll("span.help-tooltip[aria-label]")) tooltip.setAttribute("role", "img");
});

/** A date and a time share one label: each says which of them it is. */
for (const field of document.querySelectorAll("p.datetime input")) {
  const label = field.closest(".form-row")?.querySelector("label, legend")?.textContent?.trim().replace(/:$/, "");
  const part = field.classList.contains("vDateField") ? "date" : "time";
  field.setAttribute("aria-label", label ? `${label}, ${part}` : part);
}

/** The label of the search is a picture that the style hides. */
document.querySelector("#searchbar:not([aria-label])")?.setAttribute("aria-label", "Search");

const scrolling = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.setAttribute("tabindex", "0");
    else target.removeAttribute("tabindex");
  }
});
for (const area of document.querySelectorAll(".inline-group, .sideways, #changelist .results")) scrolling.observe(area);
