// @ts-check
/** What a ward's page does without and a patient's needs: code, styles and templates, fetched once and together. */

import { showHeldIcons } from "./dom.js";

const PARTS = "/patients/parts/";
const DEADLINE_MS = 8000;
/** In the order in which they overrule each other. */
const STYLES = ["alarm-panel", "patient", "paper", "network"];

/** @type {Map<string, Promise<void>>} */ const held = new Map();

/** The view of a patient, with all that it looks like. */
export async function fetchPatientView() {
  const [{ PatientView }] = await Promise.all([import("./patient.js"), once(PARTS, fetchTemplates), fetchStyles()]);
  return PatientView;
}

/** The view of a patient's past, likewise. */
export async function fetchReviewView() {
  const all = [import("../review/view.js"), once(PARTS, fetchTemplates), fetchStyles("review")];
  const [{ ReviewView }] = await Promise.all(/** @type {[Promise<typeof import("../review/view.js")>]} */ (all));
  return ReviewView;
}

/**
 * The styles of patients' pages, and these.
 * @param {string[]} more
 */
export async function fetchStyles(...more) {
  await Promise.all([...STYLES, ...more].map((name) => once(name, () => fetchStyle(name))));
}

/**
 * Fetch it, unless it is here or on its way; what failed is fetched again.
 * @param {string} name
 * @param {() => Promise<void>} fetched
 */
function once(name, fetched) {
  const promise = held.get(name) ?? fetched();
  held.set(name, promise);
  promise.catch(() => held.delete(name));
  return promise;
}

async function fetchTemplates() {
  if (document.querySelector("template#patient")) return; // came with the page
  const answer = await fetch(PARTS, { signal: AbortSignal.timeout(DEADLINE_MS) });
  const parts = new DOMParser().parseFromString(await answer.text(), "text/html");
  // Who is signed out is sent to the login.
  if (!parts.querySelector("template#patient")) throw new Error(`${PARTS} has no templates: ${answer.status}`);
  for (const template of parts.querySelectorAll("template")) {
    document.body.append(document.adoptNode(template));
    showHeldIcons(template.content);
  }
}

/**
 * Where it would stand if it had come with the page: those of every view overrule a patient's.
 * @param {string} name
 * @returns {Promise<void>}
 */
function fetchStyle(name) {
  const href = new URL(`../../css/${name}.css`, import.meta.url).href;
  const links = Array.from(document.querySelectorAll("link"));
  if (links.some((link) => link.rel === "stylesheet" && link.href === href)) return Promise.resolve();
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = href;
  return new Promise((done, failed) => {
    link.onload = () => done();
    link.onerror = () => {
      link.remove();
      failed(new Error(href));
    };
    document.head.insertBefore(link, STYLES.includes(name) ? document.querySelector("link[data-views-end]") : null);
  });
}
