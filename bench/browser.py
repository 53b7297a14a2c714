"""Drawing: what a page of live traces costs Chromium, against an empty page in the same run.

Daphne serves, simulated devices in this process feed it all the time, and one headless Chromium at
1920 x 1080 opens, in turns, an empty page (about:blank) and VITAL's, each in a context of its own. The
figures are the medians over the turns of
- frames: `requestAnimationFrame` callbacks a second, as a share of the empty page's;
- main thread busy: the time within tasks of the page's main thread (Chromium's TaskDuration, by wall time, so
  that being preempted counts), as a share of the time that passed;
- all of Chromium on CPUs: user and system time of its processes, raster and compositing included, in software
  where there is no GPU, as a share of one core;
- longest task: the longest that a PerformanceObserver reports as `longtask`; 0 when none took 50 ms;
- JS heap growth: after a forced collection at either end.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from playwright.async_api import CDPSession, Page

from bench.support.page import VIEWPORT, Ward, ward
from bench.support.report import Figure, at_least, at_most, parser, report
from tests.browser import Chromium

ROUNDS = 2
WARM_UP_S = 10.0
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
_DRAWN = "() => window.vital.stats().drawn"


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


async def vital(beds: Ward, path: str, seconds: float) -> Turn:
    """VITAL's page. RuntimeError when it did not draw what was due."""
    watched = await beds.open(path)
    page = watched.page
    await asyncio.sleep(WARM_UP_S)
    before = await page.evaluate(_DRAWN)
    turn = await watch(beds.browser, page, seconds, len(before))
    after = await page.evaluate(_DRAWN)
    beds.check(watched)
    due = DRAWN_SHARE * seconds * beds.beds[0].rate_hz
    if behind := [stream for stream in before if after[stream] - before[stream] < due]:
        raise RuntimeError(f"{len(behind)} of {len(before)} streams were not drawn as they came")
    await page.context.close()
    return turn


def figures(peer: Sequence[Turn], ours: Sequence[Turn], conditions: str) -> list[Figure]:
    """Medians over the turns, for people and programs."""
    empty_hz = median(turn.frames_hz for turn in peer)
    frames_hz = median(turn.frames_hz for turn in ours)
    against = f"empty page, same run; {conditions}"
    return [
        Figure("empty page: frames", empty_hz, "Hz"),
        Figure("empty page: main thread busy", 100 * median(turn.busy for turn in peer), "%"),
        Figure("empty page: all of Chromium on CPUs", 100 * median(turn.all_cpu for turn in peer), "%"),
        Figure("VITAL: frames", frames_hz, "Hz"),
        at_least("VITAL / empty page: frames", 100 * frames_hz / empty_hz, 92, "%", against=against),
        at_most(
            "VITAL: main thread busy", 100 * median(turn.busy for turn in ours), 25, "%", against=conditions
        ),
        Figure("VITAL: main thread on a CPU", 100 * median(turn.main_cpu for turn in ours), "%"),
        Figure("VITAL: all of Chromium on CPUs", 100 * median(turn.all_cpu for turn in ours), "%"),
        Figure("VITAL: longest task", max(turn.longest_ms for turn in ours), "ms"),
        Figure("VITAL: JS heap growth", median(turn.heap_growth_bytes for turn in ours) / 1024, "KiB"),
    ]


async def main(options: argparse.Namespace) -> int:
    """Run both, in turns."""
    peer: list[Turn] = []
    ours: list[Turn] = []
    async with ward(options.patients, options.rate, options.leads) as beds:
        path = "/" if options.view == "ward" else f"/patients/{beds.beds[0].name}/"
        for _ in range(ROUNDS):
            peer.append(await empty(beds, options.seconds))
            ours.append(await vital(beds, path, options.seconds))
        conditions = (
            f"{ours[0].streams} of {options.patients} patients shown, {options.leads} x {options.rate:g} Hz, "
            f"{options.view} view, 1920 x 1080, {beds.rendering}"
        )
    return report(figures(peer, ours, conditions), as_json=options.json)


if __name__ == "__main__":
    choices = parser("Frames and main thread of a page of live traces, against an empty page.")
    choices.add_argument("--seconds", type=float, default=20.0, help="measured per turn (default: 20)")
    choices.add_argument("--patients", type=int, default=16, help="one device each (default: 16)")
    choices.add_argument("--rate", type=float, default=500.0, help="Hz (default: 500)")
    choices.add_argument("--leads", type=int, default=1, help="of each patient, at most 12 (default: 1)")
    choices.add_argument(
        "--view",
        choices=("ward", "patient"),
        default="ward",
        help="the ward shows one lead of each bed, a patient's page every lead of the first (default: ward)",
    )
    sys.exit(asyncio.run(main(choices.parse_args())))
