// @ts-check
/** Puts the page together: connection, feeds, the view that the address names, keys, and two clocks. */

import { expose } from "./debug.js";
import { Connection, SUBPROTOCOL } from "./stream/connection.js";
import { Feeds } from "./stream/feeds.js";
import { startHeartbeat } from "./stream/heartbeat.js";
import { AlarmBar } from "./ui/alarm-bar.js";
import { AlarmDesk } from "./ui/alarm-desk.js";
import { titleText } from "./ui/alarm-words.js";
import { Announcer } from "./ui/announcer.js";
import { holdIcons } from "./ui/dom.js";
import { keepFlashesInPhase } from "./ui/flash.js";
import { Help } from "./ui/help.js";
import { Loop } from "./ui/loop.js";
import { readPalette } from "./ui/palette.js";
import { recall, remember } from "./ui/preferences.js";
import { Screen } from "./ui/screen.js";
import { Sound } from "./ui/sound.js";
import { Speaker } from "./ui/speaker.js";
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
    },
    resumes: (streams) => feeds.resumes(streams),
    changed: () => {
      desk.connectionChanged();
      screen.connectionChanged();
    },
  },
  { now },
);
const desk = new AlarmDesk(connection, feeds);
const screen = new Screen({ connection, feeds, desk, palette: readPalette(), now });
const topBar = new TopBar(connection);
const alarmBar = new AlarmBar(desk);
const announcer = new Announcer();
const sound = new Sound(new Speaker());
const help = new Help({ test: (severity) => sound.test(severity, now()), may: (right) => desk.may(right) });
const loop = new Loop(() => screen.sweeps, now);

let drawnAt = -Infinity;
let due = false;

/** Write what is known now into the document, alarms before all that could fail. */
function draw() {
  const at = now();
  drawnAt = at;
  due = false;
  desk.arrange(screen.found(at));
  alarmBar.update(screen.patient);
  sound.show(desk.pausedS, { may: desk.mayPause, refusal: desk.refusal("audio_pause", "") });
  announcer.update(desk.entries);
  document.title = titleText(desk.entries, screen.title);
  screen.update(at);
  topBar.update(feeds, at);
  desk.drawn();
}

startHeartbeat(() => {
  connection.tick();
  const at = now();
  desk.tick(at);
  sound.tick(desk.audible, desk.pausedS, at);
  if (at - drawnAt < UPDATE_S) return;
  for (const resume of feeds.asks(connection.streams, at)) connection.resume(resume);
  draw();
});

function changeTheme() {
  const theme = document.documentElement.dataset.theme === "light" ? "dark" : "light";
  document.documentElement.dataset.theme = theme;
  remember("theme", theme);
  screen.palette = readPalette();
}

/** Acknowledge the foremost alarm of the bed that is selected, and of no other. */
function acknowledge() {
  const bed = screen.bed;
  const entry = bed && desk.unseen(bed);
  if (!bed) announcer.say("Select a bed first: A acknowledges its alarm");
  else if (!entry) announcer.say("No alarm of this bed to acknowledge");
  else {
    desk.acknowledge(entry);
    if (entry.alarm) announcer.say(desk.refusal("alarm_ack", entry.alarm.alarm));
  }
  draw();
}

function pause() {
  desk.pause();
  draw();
}

/** Go to the bed of the next alarm after the one that is selected. */
function nextAlarm() {
  const beds = [...new Set(desk.entries.flatMap(({ feed }) => feed ?? []))];
  const bed = beds[(beds.indexOf(/** @type {any} */ (screen.bed)) + 1) % beds.length];
  if (bed) screen.goTo(bed);
}

/** @type {Record<string, () => void>} */
const keys = {
  "?": () => help.open(),
  a: acknowledge,
  n: nextAlarm,
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
  if (event.metaKey || event.ctrlKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target instanceof Element && event.target.closest("input, select, textarea")) return;
  const single = event.key.length === 1;
  if (single && recall("keys") === "off") return;
  const key = event.key.toLowerCase();
  if (key === "escape" && alarmBar.isOpen) alarmBar.toggle();
  else if (Object.hasOwn(keys, key)) {
    // A key that is held down acknowledges one alarm, not all of them.
    if (!event.repeat) keys[key]();
  } else if (!screen.key(event.key)) return;
  event.preventDefault();
});

addEventListener("popstate", () => screen.route());
addEventListener("online", () => connection.connect());
// Calibration and the phone's scale come from the stylesheet: read again when another of its rules may hold.
matchMedia("(max-width: 600px)").addEventListener("change", () => (screen.palette = readPalette()));

keepFlashesInPhase();
holdIcons().catch(() => {}); // then each is fetched where it is first shown
screen.route();
expose({ feeds, connection, desk, loop, sweeps: () => screen.sweeps });
loop.start();
connection.connect();
