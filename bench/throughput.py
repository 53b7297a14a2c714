"""Throughput and loss: a million frames, bundled, to viewers who acknowledge, without overload.

A schedule inside the server publishes a frame of each of 32 patients five times a second to 200 viewers. The
frames have one lead, so that every viewer is sent each of them as it is, and they can be counted exactly. The
figures are how many frames a second one core delivers (the frames, over the server's user and system time),
and how many of them never came. Ten seconds go before, in which viewers are told of 32 streams at once and
their networks get known.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from bench.fanout import ADMIT, ScheduledServer, swarm
from bench.support.report import Figure, at_least, at_most, parser, report
from bench.support.schedule import PATH
from tests.servers import migrated

PATIENTS = 32
VIEWERS = 200
PER_S = 5.0
WARM_UP = 50
FRAMES = 157
"""Of each patient: 1,004,800 to all viewers."""
ARRIVAL_S = 5.0
"""For the last ones, at most."""


async def main(*, as_json: bool) -> int:
    """Send them all, and count."""
    offered = FRAMES * PATIENTS * VIEWERS
    async with contextlib.AsyncExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        server = stack.enter_context(ScheduledServer(migrated(Path(directory) / "var"), {"BENCH_LEADS": "1"}))
        streams, _, tokens = server.python(ADMIT.format(patients=PATIENTS)).split()
        viewers = await stack.enter_async_context(swarm(f"{server.ws_url}/ws/viewer/", tokens, streams))
        start = f"{server.url}{PATH}?streams={streams}&per_s={PER_S}"
        await asyncio.to_thread(lambda: urllib.request.urlopen(f"{start}&count={WARM_UP}").read())
        await viewers.expect("ready")
        await asyncio.sleep(WARM_UP / PER_S + 2)
        before, cpu_s, began = await viewers.counts(), server.cpu_seconds(), time.monotonic()
        await asyncio.to_thread(
            lambda: urllib.request.urlopen(f"{start}&first={WARM_UP}&count={FRAMES}").read()
        )
        await asyncio.sleep(began + FRAMES / PER_S - time.monotonic())
        deadline, counts = time.monotonic() + ARRIVAL_S, dict[str, float]()
        while not counts or (counts["frames"] < offered and time.monotonic() < deadline):
            await asyncio.sleep(0.1)
            now = await viewers.counts()
            counts = {name: now[name] - before[name] for name in now}
        cpu_s = server.cpu_seconds() - cpu_s
    label = f"{PATIENTS} x {PER_S:g} frames/s to {VIEWERS} viewers"
    return report(
        [
            at_least(
                f"{label}: frames/s and core",
                counts["frames"] / cpu_s,
                100_000,
                "1/s",
                against="spec: 1,000/s",
            ),
            Figure(f"{label}: frames per WebSocket message", counts["frames"] / counts["messages"], ""),
            Figure(f"{label}: offered", offered, "frames"),
            at_most(f"{label}: lost", offered - counts["frames"], 0, "frames", against="spec: < 0.1 %"),
        ],
        as_json=as_json,
    )


if __name__ == "__main__":
    options = parser("Frames a second and core, and how many are lost.").parse_args()
    sys.exit(asyncio.run(main(as_json=options.json)))
