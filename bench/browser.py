"""Drawing: what a page of live traces costs Chromium, against an empty page in the same run.

Daphne serves, simulated devices in this process feed it all the time (it gives way to what it has started:
devices have processors of their own), and one headless Chromium at 1920 x 1080 opens, in turns, an empty page
(about:blank) and VITAL's, each in a context of its own. There are two scenes: a ward of 32 patients, all of
them on its page, and one patient of 12 leads. Figures are medians over the turns:
- frames: `requestAnimationFrame` callbacks a second, as a share of the empty page's;
- paintings: how often a second each trace was painted on, which the page adapts to what a painting takes;
- main thread busy: the time within tasks of the page's main thread (Chromium's TaskDuration, by wall time, so
  that being preempted counts), as a share of the time that passed;
- all of Chromium on CPUs: user and system time of its processes, raster and compositing included, in software
  where there is no GPU, as a share of one core;
- longest task: the longest that a PerformanceObserver reports as `longtask`; 0 when none took 50 ms;
- JS heap growth: after a forced collection at either end. `--minutes 10` is what its bound is meant for.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from time import monotonic

from playwright.async_api import CDPSession, Page

from bench.support.page import VIEWPORT, Ward, ward
from bench.support.report import Figure, at_least, at_most, parser, report
from tests.browser import Chromium

ROUNDS = 2
NICE = 9
LONGEST_EMPTY_S = 60.0
WARM_UP_S = 10.0
LONG_S, LONG_WARM_UP_S = 120.0, 70.0
"""Before so long a turn: the page's minute of signal is full then, and the engine has compiled what runs."""
DRAWN_SHARE = 0.9
"""Of the samples that are due while it is measured: a page that draws less is not what was to be measured."""
_WATCH = """(seconds) => new Promise((done) => {
  let frames = 0;
  let longest = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) longest = Math.max(longest, duration);
  });
  observer.observe({ type: "longtask" });
  let began = null;
  requestAnimationFrame(function frame(now) {
    began ??= now;
    if (now - began < seconds * 1000) {
      frames++;
      requestAnimationFrame(frame);
      return;
    }
    observer.disconnect();
    done([frames / ((now - began) / 1000), longest]);
  });
})"""
_STATS = "() => window.vital.stats()"
FLAT_KIB = 1024.0
"""What a heap may grow by and be called flat: less than a second of what a ward is sent."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is measured: so many patients and leads, and which of VITAL's pages shows them."""

    view: str
    patients: int
    leads: int

    @property
    def name(self) -> str:
        """For the figures."""
        return (
            f"{self.patients} x {self.leads} leads" if self.view == "patient" else f"ward of {self.patients}"
        )


SCENES = {"ward": Scene("ward", 32, 1), "patient": Scene("patient", 1, 12)}


@dataclass(frozen=True, slots=True)
class Turn:
    """What one page cost; `busy`, `main_cpu` and `all_cpu` are shares of the time that passed."""

    streams: int
    """Streams that it drew."""
    frames_hz: float
    busy: float
    main_cpu: float
    all_cpu: float
    longest_ms: float
    heap_growth_bytes: float
    paintings_hz: float = 0.0
    """Of each trace."""


async def watch(chromium: Chromium, page: Page, seconds: float, streams: int = 0) -> Turn:
    """Measure a page that is at its work."""
    browser = await chromium.browser.new_browser_cdp_session()
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Performance.enable")
    heap = await _heap_bytes(devtools)
    spent = await _cpu_seconds(browser)
    before = await _metrics(devtools)
    frames_hz, longest_ms = await page.evaluate(_WATCH, seconds)
    after = await _metrics(devtools)
    all_cpu = sum(at - spent.get(pid, 0.0) for pid, at in (await _cpu_seconds(browser)).items())
    heap = await _heap_bytes(devtools) - heap
    passed = after["Timestamp"] - before["Timestamp"]
    busy, main_cpu = ((after[name] - before[name]) / passed for name in ("TaskDuration", "ThreadTime"))
    return Turn(streams, frames_hz, busy, main_cpu, all_cpu / passed, longest_ms, heap)


async def _metrics(devtools: CDPSession) -> dict[str, float]:
    answer = await devtools.send("Performance.getMetrics")
    return {metric["name"]: metric["value"] for metric in answer["metrics"]}


async def _cpu_seconds(browser: CDPSession) -> dict[int, float]:
    """Spent so far by each process; one that ended is no longer among them."""
    processes = (await browser.send("SystemInfo.getProcessInfo"))["processInfo"]
    return {process["id"]: process["cpuTime"] for process in processes}


async def _heap_bytes(devtools: CDPSession) -> float:
    await devtools.send("HeapProfiler.collectGarbage")
    return float((await devtools.send("Runtime.getHeapUsage"))["usedSize"])


async def empty(beds: Ward, seconds: float) -> Turn:
    """The peer: a page with nothing on it."""
    watched = await beds.browser.page(viewport=VIEWPORT)
    turn = await watch(beds.browser, watched.page, seconds)
    await watched.page.context.close()
    return turn


async def vital(beds: Ward, scene: Scene, seconds: float) -> Turn:
    """VITAL's page. RuntimeError when it did not draw all patients as their samples came."""
    path = "/" if scene.view == "ward" else f"/patients/{beds.beds[0].name}/"
    watched = await beds.open(path)
    page = watched.page
    await asyncio.sleep(WARM_UP_S if seconds < LONG_S else LONG_WARM_UP_S)
    before = await page.evaluate(_STATS)
    began = monotonic()
    turn = await watch(beds.browser, page, seconds, len(before["drawn"]))
    after, passed = await page.evaluate(_STATS), monotonic() - began
    beds.check(watched)
    drawn = {stream: stop - before["drawn"][stream] for stream, stop in after["drawn"].items()}
    if len(drawn) < scene.patients:
        raise RuntimeError(f"{len(drawn)} of {scene.patients} patients were drawn")
    due = DRAWN_SHARE * seconds * beds.beds[0].rate_hz
    if behind := [stream for stream, samples in drawn.items() if samples < due]:
        raise RuntimeError(f"{len(behind)} of {len(drawn)} streams were not drawn as they came")
    await page.context.close()
    paintings = after["paintings"] - before["paintings"]
    return replace(turn, paintings_hz=paintings / passed / len(drawn))


def figures(scene: Scene, peer: Sequence[Turn], ours: Sequence[Turn], conditions: str) -> list[Figure]:
    """Medians over the turns, for people and programs."""
    name = scene.name
    empty_hz = median(turn.frames_hz for turn in peer)
    frames_hz = median(turn.frames_hz for turn in ours)
    busy = 100 * median(turn.busy for turn in ours)
    growth_kib = median(turn.heap_growth_bytes for turn in ours) / 1024
    longest_ms = max(turn.longest_ms for turn in ours)
    against = f"empty page, same run; {conditions}"
    return [
        Figure(f"{name}: empty page: frames", empty_hz, "Hz"),
        Figure(f"{name}: empty page: main thread busy", 100 * median(turn.busy for turn in peer), "%"),
        Figure(f"{name}: empty page: all on CPUs", 100 * median(turn.all_cpu for turn in peer), "%"),
        Figure(f"{name}: frames", frames_hz, "Hz"),
        at_least(f"{name}: frames / empty page's", 100 * frames_hz / empty_hz, 92, "%", against=against),
        Figure(f"{name}: paintings of a trace", median(turn.paintings_hz for turn in ours), "Hz"),
        at_most(f"{name}: main thread busy", busy, 30, "%", against=conditions),
        Figure(f"{name}: main thread on a CPU", 100 * median(turn.main_cpu for turn in ours), "%"),
        Figure(f"{name}: all of Chromium on CPUs", 100 * median(turn.all_cpu for turn in ours), "%"),
        at_most(f"{name}: longest task", longest_ms, 50, "ms", against=conditions),
        at_most(f"{name}: JS heap growth", growth_kib, FLAT_KIB, "KiB", against=conditions),
    ]


async def measured(scene: Scene, rate_hz: float, rounds: int, seconds: float) -> list[Figure]:
    """Run the empty page and VITAL's, in turns."""
    peer: list[Turn] = []
    ours: list[Turn] = []
    async with ward(scene.patients, rate_hz, scene.leads) as beds:
        os.nice(NICE)  # below what was started with it, in the second scene as well
        for _ in range(rounds):
            peer.append(await empty(beds, min(seconds, LONGEST_EMPTY_S)))
            ours.append(await vital(beds, scene, seconds))
        conditions = (
            f"{ours[0].streams} of {scene.patients} patients shown, {scene.leads} x {rate_hz:g} Hz, "
            f"{rounds} x {seconds:g} s, 1920 x 1080, {beds.rendering}"
        )
    return figures(scene, peer, ours, conditions)


async def main(options: argparse.Namespace) -> int:
    """One scene after the other."""
    found: list[Figure] = []
    rounds, seconds = (1, options.minutes * 60) if options.minutes else (ROUNDS, options.seconds)
    for name in options.scene or SCENES:
        found += await measured(SCENES[name], options.rate, rounds, seconds)
    return report(found, as_json=options.json)


if __name__ == "__main__":
    choices = parser("Frames and main thread of a page of live traces, against an empty page.")
    choices.add_argument("--seconds", type=float, default=20.0, help="measured per turn (default: 20)")
    choices.add_argument("--minutes", type=float, help="one turn of so many in place of two of --seconds")
    choices.add_argument("--rate", type=float, default=500.0, help="Hz (default: 500)")
    choices.add_argument(
        "--scene", choices=list(SCENES), action="append", help="only this one (default: all)"
    )
    sys.exit(asyncio.run(main(choices.parse_args())))
