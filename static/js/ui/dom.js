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
