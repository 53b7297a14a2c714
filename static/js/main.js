// @ts-check
/** Puts the page together: connection, feeds, the view that the address names, keys, and two clocks. */

import { expose } from "./debug.js";
import { t } from "./i18n.js";
import { Connection, SUBPROTOCOL } from "./stream/connection.js";
import { Feeds } from "./stream/feeds.js";
import { startHeartbeat } from "./stream/heartbeat.js";
import { Watchdog } from "./stream/watchdog.js";
import { AlarmBar } from "./ui/alarm-bar.js";
import { AlarmDesk } from "./ui/alarm-desk.js";
import { titleText } from "./ui/alarm-words.js";
import { Announcer } from "./ui/announcer.js";
import { PLAIN, withPin } from "./ui/arrangement.js";
import { Clock } from "./ui/clock.js";
import { holdIcons, mark, write } from "./ui/dom.js";
import { Drawers } from "./ui/drawer.js";
import { fetchStyles } from "./ui/fetched.js";
import { Flash } from "./ui/flash.js";
import { Help } from "./ui/help.js";
import { LayoutStore } from "./ui/layout-store.js";
import { Looks } from "./ui/looks.js";
import { Loop } from "./ui/loop.js";
import { useDisplay } from "./ui/millimetres.js";
import { readPalette } from "./ui/palette.js";
import { recall } from "./ui/preferences.js";
import { Screen } from "./ui/screen.js";
import { Sound } from "./ui/sound.js";
import { Speaker } from "./ui/speaker.js";
import { TopBar } from "./ui/topbar.js";
import { WakeLock } from "./ui/wake-lock.js";

const UPDATE_S = 0.25; // texts change at most four times a second, with what flashes: a rate and an age are read, not watched

const STOOD_STILL_S = 1; // four times the longest that texts are not looked at

const now = () => performance.now() / 1000;
const served = document.body.dataset;
const address = new URL("/ws/viewer/", location.href);
address.protocol = address.protocol.replace("http", "ws");

useDisplay();
const feeds = new Feeds();
const connection = new Connection(
  () => new WebSocket(address, SUBPROTOCOL),
  {
    message: (message, at) => {
      if (feeds.hear(message, at)) screen.bedsChanged();
      lab?.hear(message, at);
      screen.hear(message);
      // After all that came with it: a hundred alarms in one message are drawn once.
      if (desk.hear(message, at) && !due) {
        due = true;
        queueMicrotask(draw);
      }
    },
    samples: (samples, at) => feeds.write(samples, at),
    welcomed: () => {
      feeds.forgetConnection();
      desk.forgetConnection();
      lab?.forgetConnection();
      void store.save();
    },
    resumes: (streams) => feeds.resumes(streams),
    changed: () => {
      desk.connectionChanged();
      screen.connectionChanged();
    },
  },
  { now },
);
const store = new LayoutStore({
  user: served.user ?? "",
  served: JSON.parse(document.getElementById("layout")?.textContent ?? "null") ?? PLAIN,
  path: "/layout/",
});
const clock = new Clock(served.timeZone ?? "");
const wakeLock = new WakeLock();
const drawers = new Drawers();
/** What makes this page's link worse, where the server lets one try that. @type {import("./ui/lab.js").Lab | null} */
let lab = null;
const desk = new AlarmDesk(connection, feeds);
const screen = new Screen({ connection, feeds, desk, store, palette: readPalette(), now });
const looks = new Looks(() => (screen.palette = readPalette()));
const topBar = new TopBar(connection);
const alarmBar = new AlarmBar(desk);
const announcer = new Announcer();
const sound = new Sound(new Speaker());
const help = new Help({ test: (severity) => sound.test(severity, now()), may: (right) => !desk.confirmed || desk.may(right) });
const flash = new Flash(document.documentElement);
const loop = new Loop(() => screen.sweeps, now);
// After a stand-still the first thing that is painted says how old all is.
loop.begins = (/** @type {number} */ at) => {
  if (at - drawnAt > STOOD_STILL_S) wakeUp();
};

/** Whose limits were opened last. @type {import("./stream/feed.js").Feed | null} */
let limited = null;
let drawnAt = -Infinity;
let due = false;
/** @type {import("./ui/calibration.js").Calibration | null} */
let calibration = null;

/** Write what is known now into the document, alarms before all that could fail. */
function draw() {
  const at = now();
  drawnAt = at;
  due = false;
  desk.arrange(screen.found(at));
  alarmBar.update(screen.patient);
  sound.show(desk.pausedS, { may: desk.mayPause, refusal: desk.refusal("audio_pause", "") });
  announcer.update(desk.entries, desk.isOffline);
  document.title = titleText(desk.entries, screen.title);
  screen.update(at);
  topBar.update(feeds, at);
  // Limits of one patient must not stand beside another.
  if (drawers.name === "limits" && screen.patient && screen.patient !== limited) drawers.close();
  drawers.update(at);
  mark(document.documentElement, "data-awake", wakeLock.state);
  mark(document.documentElement, "data-asleep", null);
  desk.drawn();
}

const watchdog = new Watchdog(now, () => Date.now() / 1000);

/** What came before the page slept is old, whatever its clock says. */
function wake() {
  const slept = watchdog.look();
  if (slept === 0) return;
  feeds.sleep(slept);
  connection.renew();
  draw();
}

startHeartbeat(() => {
  wake();
  connection.tick();
  const at = now();
  flash.tick(at * 1000);
  desk.tick(at);
  sound.tick(desk.audible, desk.pausedS, at);
  if (Math.floor(at / UPDATE_S) === Math.floor(drawnAt / UPDATE_S)) return;
  for (const resume of feeds.asks(connection.streams, at)) connection.resume(resume);
  draw();
});

/** The page is about to be frozen: what stands there when it wakes, before anything of it runs, must not look live. */
function fallAsleep() {
  mark(document.documentElement, "data-asleep", "");
  flash.rest();
  for (const rate of document.querySelectorAll(".hr-val")) {
    write(rate, "--");
    mark(rate, "data-unknown", "");
  }
  for (const age of document.querySelectorAll(".age")) write(age, "--");
}

/** It runs again: ages first, of whatever stands there. */
function wakeUp() {
  wake();
  draw();
}

document.addEventListener("freeze", fallAsleep);
document.addEventListener("resume", wakeUp);
document.addEventListener("visibilitychange", () => document.hidden || wakeUp());
addEventListener("pagehide", fallAsleep);
addEventListener("pageshow", wakeUp);

function changeTheme() {
  looks.theme = looks.theme === "light" ? "dark" : "light";
}

/**
 * Open a drawer, whose code comes with its first opening; pressed again, it closes.
 * @param {string} name
 */
async function openDrawer(name) {
  try {
    await DRAWERS[name]();
    draw();
  } catch (error) {
    console.warn("vital: a part of the page could not be loaded", error);
    announcer.say(t("This part could not be loaded: try again, or load the page again"));
  }
}

/** @type {Record<string, () => Promise<void>>} */
const DRAWERS = {
  order: async () => {
    const { begin } = await import("./ui/order.js");
    drawers.show("order", (element) => begin(element, { screen, feeds, store }));
  },
  display: async () => {
    const { begin } = await import("./ui/display.js");
    drawers.show("display", (element) => begin(element, { looks, wakeLock, clock }));
  },
  limits: async () => {
    const bed = screen.bed;
    const { begin } = await import("./ui/limits.js");
    limited = bed;
    if (bed) drawers.show("limits", (element) => begin(element, bed));
    else announcer.say(t("Select a bed first"));
  },
  lab: async () => {
    const [{ Lab, begin }] = await Promise.all([import("./ui/lab.js"), fetchStyles()]);
    const told = (lab ??= new Lab());
    drawers.show("lab", (element) => begin(element, { connection, feeds, lab: told }));
  },
};

/** Put the selected bed before the others, or back to its place. */
function pin() {
  const bed = screen.bed;
  if (bed) screen.arrange(withPin(store.value, bed.id, (stream) => feeds.get(stream) !== null));
  else announcer.say(t("Select a bed first"));
}

/** Acknowledge the foremost alarm of the bed that is selected, and of no other. */
function acknowledge() {
  const bed = screen.bed;
  const entry = bed && desk.unseen(bed);
  if (!bed) announcer.say(t("Select a bed first: A acknowledges its alarm"));
  else if (!entry) announcer.say(t("No alarm of this bed to acknowledge"));
  else {
    desk.acknowledge(entry);
    if (entry.alarm) announcer.say(t(desk.refusal("alarm_ack", entry.alarm.alarm)));
  }
  draw();
}

async function calibrate() {
  const { Calibration } = await import("./ui/calibration.js");
  calibration ??= new Calibration(() => (screen.palette = readPalette()));
  help.close();
  calibration.open();
}

function pause() {
  desk.pause();
  draw();
}

/** Go to the bed of the next alarm after the one that is selected: of one that nobody has seen to, as long as there is any. */
function nextAlarm() {
  const unseen = desk.entries.filter(({ state, feed }) => state !== "acknowledged" && feed);
  const beds = [...new Set((unseen.length > 0 ? unseen : desk.entries).flatMap(({ feed }) => feed ?? []))];
  const bed = beds[(beds.indexOf(/** @type {any} */ (screen.bed)) + 1) % beds.length];
  if (bed) screen.goTo(bed);
}

/** @type {Record<string, () => void>} */
const keys = {
  "?": () => help.open(),
  a: acknowledge,
  b: pin,
  d: () => void openDrawer("display"),
  i: () => void openDrawer("limits"),
  n: nextAlarm,
  o: () => void openDrawer("order"),
  p: pause,
  t: changeTheme,
};

/** @type {Record<string, () => void>} */
const actions = {
  alarms: () => alarmBar.toggle(),
  audio: () => {
    if (!sound.enabled) pause();
  },
  theme: changeTheme,
  help: () => help.open(),
  order: () => void openDrawer("order"),
  display: () => void openDrawer("display"),
  limits: () => void openDrawer("limits"),
  lab: () => void openDrawer("lab"),
  pin,
  calibrate: () => void calibrate(),
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
  if (!link || !plain || !screen.follow(link.pathname)) return;
  event.preventDefault();
  alarmBar.followed(link);
});

/**
 * Whether keys are its own, as long as no dialog is open: one that has just closed keeps the focus until the next frame.
 * @param {Element} target
 */
function hasKeys(target) {
  return target.closest("input, select, textarea, .drawer") && !target.closest("dialog");
}

document.addEventListener("keydown", (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey || document.querySelector("dialog[open]")) return;
  // Held down, Enter would press a button again and again, and so confirm by itself what takes a second press.
  if (event.repeat && event.key === "Enter" && event.target instanceof HTMLButtonElement) return event.preventDefault();
  if (event.key === "Escape" && drawers.close()) return event.preventDefault();
  if (event.target instanceof Element && hasKeys(event.target)) return;
  const single = event.key.length === 1;
  if (single && recall("keys") === "off") return;
  const key = event.key.toLowerCase();
  if (key === "escape" && alarmBar.isOpen) alarmBar.toggle();
  else if (Object.hasOwn(keys, key)) {
    // A key that is held down acknowledges one alarm, not all of them.
    if (!event.repeat) keys[key]();
  } else if (!screen.key(event.key.length === 1 ? key : event.key, event.shiftKey)) return;
  event.preventDefault();
});

addEventListener("popstate", () => screen.route());
addEventListener("online", () => connection.connect());
// Calibration and the phone's scale come from the stylesheet: read again when another of its rules may hold.
matchMedia("(max-width: 600px)").addEventListener("change", () => (screen.palette = readPalette()));
// Moved to another display, or zoomed.
addEventListener("resize", () => {
  const before = document.documentElement.style.getPropertyValue("--px-per-mm");
  useDisplay();
  if (document.documentElement.style.getPropertyValue("--px-per-mm") !== before) screen.palette = readPalette();
});

holdIcons().catch(() => {}); // then each is fetched where it is first shown
screen.route();
document.documentElement.dataset.started = "";
expose({ feeds, connection, desk, loop, sweeps: () => screen.sweeps });
draw();
loop.start();
connection.connect();
