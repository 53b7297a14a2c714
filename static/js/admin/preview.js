// @ts-check
/** The preview below a profile's form, without leaving it. Without this the button opens a page of its own. */

import { pick } from "../ui/dom.js";

const FAILED = "The preview could not be fetched";

/**
 * @param {HTMLInputElement} button
 * @param {HTMLElement} place
 */
function listen(button, place) {
  const form = button.form;
  if (!form) return;
  /** @type {AbortController | null} */
  let asking = null;
  button.addEventListener("click", async (event) => {
    event.preventDefault();
    asking?.abort();
    const own = asking = new AbortController();
    place.setAttribute("aria-busy", "true");
    try {
      place.replaceChildren(await asked(button.formAction, new FormData(form), own.signal));
      pick(place, "h2", HTMLElement).focus();
    } catch (error) {
      if (own.signal.aborted) return;
      place.textContent = `${FAILED}: ${error instanceof Error ? error.message : error}.`;
    }
    place.removeAttribute("aria-busy");
  });
}

/**
 * @param {string} url
 * @param {FormData} body
 * @param {AbortSignal} signal
 * @returns {Promise<Element>}
 */
async function asked(url, body, signal) {
  const response = await fetch(url, { method: "POST", body, signal });
  if (response.redirected) throw new Error("you are not signed in any more");
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const section = page.querySelector("#profile-preview");
  if (!section) throw new Error("the answer is no preview");
  section.querySelector("h2")?.setAttribute("tabindex", "-1");
  return section;
}

const button = document.querySelector("#ask-preview");
const place = document.querySelector("#preview-place");
if (button instanceof HTMLInputElement && place instanceof HTMLElement) listen(button, place);
