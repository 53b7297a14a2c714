// @ts-check
/** The live page: what comes is kept, and drawn once a second; what the user wants is asked for. */

import { mark, pick, write } from "../../ui/dom.js";
import { Alerts } from "./alerts.js";
import { groupText, ofGroups, ofProcesses, ofViewers, processText, viewerText } from "./columns.js";
import { Deployment, matches } from "./deployment.js";
import { Names } from "./names.js";
import { Panel } from "./panel.js";
import { LiveSocket } from "./socket.js";
import { LiveTable } from "./table.js";
import { counted } from "./words.js";

/** @typedef {import("./socket.js").Message} Message */
/** @typedef {import("./panel.js").ViewerDetail} ViewerDetail */

const TICK_MS = 500;
/** With reduced motion, lines move this seldom. */
const CALM_S = 10;
const OUTCOMES = /** @type {Record<string, string>} */ ({
  done: "was cut, and is asked to come back after 30 s.",
  unanswered: "was not cut: no process has this connection, or the one that has it does not answer.",
  unrecorded: "was not cut: the audit trail could not be written.",
  forbidden: "was not cut: you may not.",
});

class LivePage {
  /** @type {HTMLElement} */ #root;
  #deployment = new Deployment();
  #names = new Names();
  #socket = new LiveSocket({ message: (message) => this.#heard(message), changed: () => this.#drawState() });
  #panel;
  #processes;
  #viewers;
  #groups;
  #alerts;
  #process = "";
  #said = "";
  #held = false;
  #due = false;
  #drawnAt = -Infinity;
  #calm = matchMedia("(prefers-reduced-motion: reduce)");
  /** @type {ViewerDetail | null} */ #cutting = null;
  /** @type {Element | null} */ #cameFrom = null;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root;
    /** @param {string} name */
    const section = (name) => pick(root, `[data-table=${name}]`, HTMLElement);
    const redraw = () => this.#draw(true);
    this.#processes = new LiveTable(section("processes"), {
      columns: ofProcesses(this.#deployment),
      sorted: 0,
      stale: (row, now) => row.isStale(now),
      nothing: "No process tells anything.",
    }, redraw);
    this.#viewers = new LiveTable(section("viewers"), {
      columns: ofViewers(this.#names),
      sorted: 1,
      stale: (row, now) => row.isStale(now),
      chosen: ({ key }) => this.#look(key),
      nothing: "Nobody watches now.",
    }, redraw);
    this.#groups = new LiveTable(section("groups"), {
      columns: ofGroups(this.#names),
      sorted: 0,
      stale: (row, now) => row.isStale(now),
      nothing: "No group has viewers or a device now.",
    }, redraw);
    this.#alerts = new Alerts(pick(root, ".live-alerts", HTMLElement));
    this.#panel = new Panel(pick(root, ".live-viewer", HTMLElement), this.#names, {
      close: () => this.#look(null),
      cut: (viewer) => this.#askToCut(viewer),
    });
    this.#listen();
  }

  start() {
    this.#socket.start();
    setInterval(() => this.#tick(), TICK_MS);
  }

  #listen() {
    const tools = pick(this.#root, ".live-tools", HTMLFormElement), hold = pick(tools, "[name=hold]", HTMLButtonElement);
    tools.addEventListener("submit", (event) => {
      event.preventDefault();
      const wanted = pick(tools, "[name=connection]", HTMLInputElement);
      const connection = wanted.value.trim().toLowerCase();
      const valid = /^[0-9a-f]{8}$/.test(connection);
      wanted.setCustomValidity(valid || !connection ? "" : "The id of a connection: eight digits and letters a to f.");
      if (valid) this.#look(connection);
      else wanted.reportValidity();
    });
    pick(tools, "[name=connection]", HTMLInputElement).addEventListener("input", (event) => {
      if (event.target instanceof HTMLInputElement) event.target.setCustomValidity("");
    });
    this.#filterBox.addEventListener("input", () => this.#draw(true));
    hold.addEventListener("click", () => {
      this.#held = !this.#held;
      mark(hold, "aria-pressed", String(this.#held));
      this.#drawState();
      this.#draw(true);
    });
    const dialog = pick(this.#root, "dialog", HTMLDialogElement);
    pick(dialog, "[name=keep]", HTMLButtonElement).addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      if (dialog.open) return; // told of a former question, after it was asked again
      const viewer = this.#cutting;
      this.#cutting = null;
      if (viewer && dialog.returnValue === "cut") this.#cut(viewer.connection);
    });
    const redraw = () => this.#draw(true);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    new ResizeObserver(redraw).observe(this.#root);
  }

  /** @param {Message} message */
  #heard(message) {
    const now = clock();
    switch (message.type) {
      case "welcome":
        this.#process = message.process;
        this.#may(message);
        if (this.#panel.connection) this.#socket.say({ type: "inspect", connection: this.#panel.connection });
        this.#drawState();
        break;
      case "rights":
        this.#may(message);
        break;
      case "processes":
        this.#deployment.list(/** @type {any} */ (message));
        break;
      case "alerts":
        this.#alerts.take(/** @type {any} */ (message), now);
        break;
      case "figures":
        this.#deployment.take(/** @type {any} */ (message), now);
        break;
      case "viewer":
        this.#panel.take(/** @type {any} */ (message), now);
        break;
      case "gone":
        this.#panel.lost(message.connection);
        break;
      case "names":
        this.#names.take(/** @type {any} */ (message));
        break;
      case "cut":
        this.#say(`Viewer ${message.connection} ${OUTCOMES[message.outcome] ?? message.outcome}`);
        break;
    }
    this.#drawSoon();
  }

  /** @param {Message} message */
  #may(message) {
    this.#panel.allowCut(Boolean(message.may_cut));
    this.#alerts.allow(Boolean(message.may_see_alerts));
    this.#names.forget();
  }

  #tick() {
    this.#socket.tick();
    this.#drawState();
    this.#deployment.forget(clock());
    this.#drawSoon();
  }

  #drawSoon() {
    if (this.#due) return;
    this.#due = true;
    requestAnimationFrame(() => {
      this.#due = false;
      this.#draw();
    });
  }

  /** @param {boolean} [lines] draw lines as well, however seldom they are to move */
  #draw(lines = false) {
    if (this.#held && !lines) return;
    const now = clock(), filter = this.#filterBox.value;
    const { processes, groups, viewers, version } = this.#deployment;
    /** @template T @param {Map<string, T>} rows @param {(row: T) => string} text */
    const left = (rows, text) => [...rows.values()].filter((row) => !filter.trim() || matches(text(row), filter.trim()));
    this.#processes.show(left(processes, (row) => processText(row, now, version)), processes.size, now);
    const untold = this.#deployment.viewerCount(now) - viewers.size;
    const more = untold > 0
      ? `${counted(untold, "more viewer")} ${untold === 1 ? "fares" : "fare"} better than these: each process tells of those that fare worst. Inspect reaches any by its connection.` : "";
    this.#viewers.show(left(viewers, (row) => viewerText(row, this.#names)), viewers.size, now, more);
    this.#viewers.choose(this.#panel.connection);
    this.#groups.show(left(groups, (row) => groupText(row, this.#names)), groups.size, now);
    this.#alerts.show(now);
    this.#panel.show(now);
    if (lines || !this.#calm.matches || now - this.#drawnAt >= CALM_S) this.#drawLines(now);
    const question = this.#names.question(now);
    if (question) this.#socket.say({ type: "names", ...question });
  }

  /** @param {number} now */
  #drawLines(now) {
    this.#drawnAt = now;
    const style = getComputedStyle(this.#root);
    const looks = {
      line: style.getPropertyValue("--live-line").trim(),
      quiet: style.getPropertyValue("--hairline-color").trim(),
      ratio: devicePixelRatio,
    };
    for (const table of [this.#processes, this.#viewers, this.#groups]) table.drawSparks(looks);
    this.#panel.draw(looks);
  }

  #drawState() {
    const socket = this.#socket, state = pick(this.#root, ".live-state", HTMLElement);
    mark(this.#root, "data-phase", socket.phase);
    const words = {
      connecting: "Connecting.",
      live: `Live, by process ${this.#process}.${this.#held ? " Held: figures stand still until you press Hold again." : ""}`,
      waiting: `Connection lost${socket.reason ? ` (${socket.reason})` : ""}: figures stand still. Trying again in ${Math.max(0, Math.ceil(socket.retryAt - clock()))} s.`,
      "signed-out": "You are signed out. Sign in to see live figures.",
      forbidden: `Not allowed: ${socket.reason || "live figures are for staff who may view metrics snapshots"}.`,
      refused: `The server refused this page: ${socket.reason || "load it anew"}.`,
    }[socket.phase];
    write(state, this.#said ? `${words} ${this.#said}` : words);
    if (socket.phase === "signed-out" && !state.querySelector("a")) {
      const link = document.createElement("a");
      link.href = this.#root.dataset.login ?? "";
      link.textContent = "Sign in";
      state.append(" ", link);
    }
  }

  /** @param {string} text */
  #say(text) {
    this.#said = text;
    this.#drawState();
  }

  /** @param {string | null} connection */
  #look(connection) {
    if (connection !== null && this.#panel.connection === null) this.#cameFrom = document.activeElement;
    this.#panel.look(connection, clock());
    this.#socket.say({ type: "inspect", connection });
    this.#draw(true);
    if (connection !== null) this.#panel.focus();
    else if (this.#cameFrom instanceof HTMLElement && this.#cameFrom.isConnected) this.#cameFrom.focus();
    else this.#filterBox.focus();
  }

  /** @param {ViewerDetail} viewer */
  #askToCut(viewer) {
    const dialog = pick(this.#root, "dialog", HTMLDialogElement);
    this.#cutting = viewer;
    dialog.returnValue = "";
    pick(dialog, "[name=reason]", HTMLInputElement).value = "";
    write(
      pick(dialog, ".live-cut-whom", HTMLElement),
      `${this.#names.user(viewer.user, viewer.actor)}, connection ${viewer.connection}, who watches ${counted(viewer.watches, "stream")}.`,
    );
    dialog.showModal();
  }

  /** @param {string} connection */
  #cut(connection) {
    const reason = pick(this.#root, "dialog [name=reason]", HTMLInputElement).value.trim();
    const asked = this.#socket.say({ type: "cut", connection, reason });
    this.#say(asked ? `Cutting viewer ${connection}.` : `Viewer ${connection} was not cut: there is no connection.`);
  }

  get #filterBox() {
    return pick(this.#root, "[name=filter]", HTMLInputElement);
  }
}

function clock() {
  return performance.now() / 1000;
}

const root = document.querySelector("#live");
if (root instanceof HTMLElement) new LivePage(root).start();
