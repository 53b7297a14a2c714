"""Sample to screen: from the SDK handing a chunk to its socket to the chunk's last sample drawn on the page.

Daphne serves, simulated devices send 100 ms chunks over their WebSockets through `streaming.client`, and a
signed-in Chromium shows all of them in the ward view at 1920 x 1080, smooth playout on. A chunk's time begins
when `Device.send` is called with it, before it is encoded, and ends in the animation frame in which the page
has painted its last sample on the canvas. Devices, server and browser share one machine and its clock. What a
screen takes to show a painted frame is not included.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from playwright.async_api import Page

from bench.support.page import Ward, ward
from bench.support.report import Figure, at_most, parser, report
from streaming.client.playback import CHUNK_S
from tests.page.lethal import compare_clocks

RATE_HZ = 250.0
WARM_UP_S = 10.0
TAKE_S = 5.0
"""Often enough for few records at a time; the page keeps its last 65,536 paintings."""
SETTLE_S = 3.0
"""After this a sample has been drawn, or never will be: longer than the longest playout delay."""
_TAKE = """() => ({
  drawn: window.vital.probe.take(),
  frames: window.vital.stats().frames,
  streams: window.vital.streams(),
})"""


@dataclass(slots=True)
class Seen:
    """What the page told, per stream: indices drawn up to, and when in seconds since 1970; both ascend."""

    stops: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    at: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    async def take(self, page: Page) -> int:
        """Fetch what was drawn since the last time; the animation frames so far. RuntimeError for a gap."""
        told: dict[str, Any] = await page.evaluate(_TAKE)
        for stream, _epoch, stop, ms in told["drawn"]:
            self.stops[stream].append(stop)
            self.at[stream].append(ms / 1000)
        for stream in told["streams"]:
            if len(stream["spans"]) != 1:
                raise RuntimeError(f"samples of {stream['stream']} are missing: {stream['spans']}")
        return int(told["frames"])

    def drawn_at(self, stream: str, stop: int) -> float:
        """When a chunk's last sample was on the canvas. RuntimeError when it never was."""
        place = bisect_left(self.stops[stream], stop)
        if place == len(self.stops[stream]):
            raise RuntimeError(f"{stream} was not drawn up to {stop}")
        return self.at[stream][place]


async def measure(beds: Ward, seconds: float) -> list[Figure]:
    """The figures over the chunks handed over within so many seconds, after a warm-up."""
    watched = await beds.open("/?probe=1")
    page = watched.page
    await asyncio.sleep(WARM_UP_S)
    await compare_clocks(page)
    seen = Seen()
    frames, began = await seen.take(page), time.time()
    while (left := began + seconds - time.time()) > TAKE_S:
        await asyncio.sleep(TAKE_S)
        await seen.take(page)
    await asyncio.sleep(max(left, 0.0))
    frames, ended = await seen.take(page) - frames, time.time()
    await asyncio.sleep(SETTLE_S)
    await seen.take(page)
    await compare_clocks(page)
    beds.check(watched)
    latencies_ms = 1000 * np.array(
        [
            seen.drawn_at(bed.name, stop) - at
            for bed in beds.beds
            for stop, at in bed.handed_over
            if began <= at < ended
        ]
    )
    median, p95 = np.percentile(latencies_ms, [50, 95])
    conditions = (
        f"{len(beds.beds)} patients, {CHUNK_S * 1000:.0f} ms chunks, {RATE_HZ:g} Hz, {beds.rendering}"
    )
    return [
        Figure("chunks", len(latencies_ms), ""),
        Figure("animation frames", frames / (ended - began), "Hz"),
        at_most("sample to screen, median", float(median), 150, "ms", against=conditions),
        at_most("sample to screen, 95th percentile", float(p95), 250, "ms", against=conditions),
        Figure("sample to screen, longest", float(latencies_ms.max()), "ms"),
    ]


async def main(options: argparse.Namespace) -> int:
    """Start all, measure, report."""
    async with ward(options.patients, RATE_HZ, leads=1) as beds:
        figures = await measure(beds, options.seconds)
    return report(figures, as_json=options.json)


if __name__ == "__main__":
    choices = parser("From a device's hand-over of a chunk to its last sample drawn in Chromium.")
    choices.add_argument(
        "--seconds", type=float, default=60.0, help="measured, after a warm-up (default: 60)"
    )
    choices.add_argument("--patients", type=int, default=16, help="one device each (default: 16)")
    sys.exit(asyncio.run(main(choices.parse_args())))
