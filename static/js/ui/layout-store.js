// @ts-check
/** The user's layout: kept by the server, so that it follows them; by this browser as long as the server has not got it. */

import { layoutOf } from "./arrangement.js";
import { ask } from "./http.js";
import { recall, remember } from "./preferences.js";

/** @typedef {import("./arrangement.js").Layout} Layout */

const NAME = "layout";

export class LayoutStore {
  #path;
  #user;
  #told;
  #isUnsaved = false;
  #isSaving = false;
  /** @type {Layout} */ value;

  /**
   * @param {{user: string, served: unknown, path: string, tell?: typeof ask}} page what the server has sent with the page
   */
  constructor({ user, served, path, tell = ask }) {
    this.#user = user;
    this.#path = path;
    this.#told = tell;
    const kept = parsed(recall(NAME));
    this.#isUnsaved = kept?.user === user && kept.unsaved === true;
    this.value = layoutOf(this.#isUnsaved ? kept.layout : served);
  }

  /** Whether the server has yet to be told. */
  get isUnsaved() {
    return this.#isUnsaved;
  }

  /** @param {Layout} layout */
  change(layout) {
    this.value = layout;
    this.#isUnsaved = true;
    this.#keep();
    return this.save();
  }

  /** Tell the server what it has not got; called again whenever there is a connection. */
  async save() {
    if (!this.#isUnsaved || this.#isSaving) return;
    const sent = this.value;
    this.#isSaving = true;
    const { status } = await this.#told(this.#path, sent);
    this.#isSaving = false;
    if (this.value !== sent) return void this.save();
    // What it refuses it will refuse again.
    if (status === 200 || status === 400) this.#isUnsaved = false;
    this.#keep();
  }

  #keep() {
    remember(NAME, JSON.stringify({ user: this.#user, layout: this.value, unsaved: this.#isUnsaved }));
  }
}

/** @param {string | null} text */
function parsed(text) {
  try {
    return JSON.parse(text ?? "null");
  } catch {
    return null;
  }
}
