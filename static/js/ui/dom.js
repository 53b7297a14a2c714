// @ts-check
/** The few ways in which the page touches its document: find, copy, and write only what changed. */

/**
 * The element that must be there.
 * @template {Element} T
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => T} kind
 * @returns {T}
 */
export function pick(root, selector, kind) {
  const found = root.querySelector(selector);
  if (!(found instanceof kind)) throw new Error(`no ${kind.name} at ${selector}`);
  return found;
}

/**
 * A copy of the one element in `<template id=...>`.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function stamp(id) {
  const first = pick(document, `template#${id}`, HTMLTemplateElement).content.firstElementChild;
  if (!(first instanceof HTMLElement)) throw new Error(`template ${id} is empty`);
  return /** @type {HTMLElement} */ (document.importNode(first, true));
}

/**
 * @param {Element} element
 * @param {string} value
 */
export function write(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

/**
 * Set an attribute, or take it away when the value is null.
 * @param {Element} element
 * @param {string} name
 * @param {string | null} value
 */
export function mark(element, name, value) {
  if (element.getAttribute(name) === value) return;
  if (value === null) element.removeAttribute(name);
  else element.setAttribute(name, value);
}

/**
 * Let an <svg> show another symbol of the sprite that its <use> names; none when the id is null.
 * @param {Element} svg
 * @param {string | null} id
 */
export function drawIcon(svg, id) {
  mark(svg, "hidden", id === null ? "" : null);
  const use = svg.firstElementChild;
  if (use && id !== null) mark(use, "href", symbolOf(use, id));
}

const HELD = "icon-";

/** Take the sprite into the page: a symbol that is first shown while the server is away could not be fetched. */
export async function holdIcons() {
  const uses = [document, ...Array.from(document.querySelectorAll("template"), ({ content }) => content)].flatMap((root) =>
    Array.from(root.querySelectorAll("use")),
  );
  const answer = await fetch(spriteOf(uses[0]));
  if (!answer.ok) return;
  const svg = new DOMParser().parseFromString(await answer.text(), "image/svg+xml").documentElement;
  for (const symbol of svg.querySelectorAll("symbol")) symbol.id = HELD + symbol.id;
  svg.setAttribute("class", "vh");
  svg.setAttribute("aria-hidden", "true");
  document.body.append(svg);
  for (const use of uses) mark(use, "href", symbolOf(use, idOf(use)));
}

/**
 * Let what came later show the symbols that the page holds.
 * @param {ParentNode} root
 */
export function showHeldIcons(root) {
  for (const use of root.querySelectorAll("use")) mark(use, "href", symbolOf(use, idOf(use)));
}

/**
 * @param {Element} use
 * @param {string} id
 */
function symbolOf(use, id) {
  return document.getElementById(HELD + id) ? `#${HELD}${id}` : `${spriteOf(use)}#${id}`;
}

/** @param {Element} use */
function spriteOf(use) {
  return use.getAttribute("href")?.split("#")[0] ?? "";
}

/** @param {Element} use */
function idOf(use) {
  return use.getAttribute("href")?.split("#")[1].replace(HELD, "") ?? "";
}
