// @ts-check
/** Puts the page together: connection, feeds, the view that the address names, keys, and two clocks. */

import { expose } from "./debug.js";
import { Connection, SUBPROTOCOL } from "./stream/connection.js";
import { Feeds } from "./stream/feeds.js";
import { startHeartbeat } from "./stream/heartbeat.js";
import { Help } from "./ui/help.js";
import { Loop } from "./ui/loop.js";
import { readPalette } from "./ui/palette.js";
import { recall, remember } from "./ui/preferences.js";
import { Screen } from "./ui/screen.js";
import { TopBar } from "./ui/topbar.js";

const UPDATE_S = 0.25; // texts change at most four times a second: a rate and an age are read, not watched

const now = () => performance.now() / 1000;
const address = new URL("/ws/viewer/", location.href);
address.protocol = address.protocol.replace("http", "ws");

const feeds = new Feeds();
const connection = new Connection(
  () => new WebSocket(address, SUBPROTOCOL),
  {
    message: (message, at) => {
      if (feeds.hear(message, at)) screen.bedsChanged();
    },
    samples: (samples, at) => feeds.write(samples, at),
    welcomed: () => feeds.forgetConnection(),
    resumes: (streams) => feeds.resumes(streams),
    changed: () => screen.connectionChanged(),
  },
  { now },
);
const screen = new Screen({ connection, feeds, palette: readPalette(), now });
const topBar = new TopBar(connection);
const help = new Help();
const loop = new Loop(() => screen.sweeps, now);

let updatedAt = -Infinity;
startHeartbeat(() => {
  connection.tick();
  const at = now();
  if (at - updatedAt < UPDATE_S) return;
  updatedAt = at;
  for (const resume of feeds.asks(connection.streams, at)) connection.resume(resume);
  screen.update(at);
  topBar.update({ feeds: feeds.inOrder, wards: feeds.wards, wrong: screen.technical(at) }, at);
});

function changeTheme() {
  const theme = document.documentElement.dataset.theme === "light" ? "dark" : "light";
  document.documentElement.dataset.theme = theme;
  remember("theme", theme);
  screen.palette = readPalette();
}

/** @type {Record<string, () => void>} */
const actions = {
  theme: changeTheme,
  help: () => help.open(),
  retry: () => connection.connect(),
  previous: () => screen.turn(-1),
  next: () => screen.turn(1),
  reload: () => location.reload(),
};

document.addEventListener("click", (event) => {
  if (!(event.target instanceof Element)) return;
  const button = event.target.closest("[data-action]");
  if (button instanceof HTMLElement) actions[button.dataset.action ?? ""]?.();
  const link = event.target.closest("a");
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (link && plain && screen.follow(link.pathname)) event.preventDefault();
});

document.addEventListener("keydown", (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey || help.isOpen) return;
  if (event.target instanceof Element && event.target.closest("input, select, textarea")) return;
  const single = event.key.length === 1;
  if (single && recall("keys") === "off") return;
  if (event.key === "?") help.open();
  else if (event.key === "t" || event.key === "T") changeTheme();
  else if (!screen.key(event.key)) return;
  event.preventDefault();
});

addEventListener("popstate", () => screen.route());
addEventListener("online", () => connection.connect());
// Calibration and the phone's scale come from the stylesheet: read again when another of its rules may hold.
matchMedia("(max-width: 600px)").addEventListener("change", () => (screen.palette = readPalette()));

screen.route();
expose({ feeds, connection, loop, sweeps: () => screen.sweeps });
loop.start();
connection.connect();
