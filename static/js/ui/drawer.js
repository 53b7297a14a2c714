// @ts-check
/** A dialog beside the ward: what it says about alarms stays in sight, is heard, and can be acted upon. */

import { pick, stamp } from "./dom.js";

/** Opens what a `<template>` holds, one at a time; the code of each is fetched when it is first opened. */
export class Drawers {
  /** @type {HTMLElement | null} */ #open = null;
  /** @type {(() => void) | null} */ #closed = null;
  /** @type {Element | null} */ #before = null;
  /** @type {((now: number) => void) | null} */ #update = null;

  /** The template's id of the open one; empty. */
  get name() {
    return this.#open?.dataset.drawer ?? "";
  }

  /**
   * @param {string} name of its template
   * @param {(element: HTMLElement) => {update?: (now: number) => void, close?: () => void} | void} begin
   */
  show(name, begin) {
    const again = this.name === name;
    this.close();
    if (again) return;
    this.#before = document.activeElement;
    const element = stamp(name);
    element.dataset.drawer = name;
    element.addEventListener("click", (event) => {
      if (event.target instanceof Element && event.target.closest("[data-close]")) this.close();
    });
    document.body.append(element);
    this.#open = element;
    const made = begin(element);
    this.#update = made?.update ?? null;
    this.#closed = made?.close ?? null;
    pick(element, "h2", HTMLElement).focus();
  }

  /** @returns {boolean} whether one was open */
  close() {
    if (!this.#open) return false;
    this.#closed?.();
    this.#open.remove();
    this.#open = this.#closed = this.#update = null;
    if (this.#before instanceof HTMLElement && this.#before.isConnected) this.#before.focus();
    return true;
  }

  /** @param {number} now */
  update(now) {
    this.#update?.(now);
  }
}
