"""Two hundred viewers stop reading while 10 MB are offered to each: what that costs the server and others.

A real server. A device pushes noise so fast that it makes 11 MB in the 10 s after which a viewer that acks
nothing is cut; two hundred viewers watch it, and hang with their first frame. Others watch a patient beside
it, in a process of their own: the 99th percentile of their samples' age before and meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from bench.support.report import Figure, at_least, at_most, parser, report
from bench.support.ward import Beds, admit
from streaming.core.client_messages import device_hello
from streaming.core.frames import SUBPROTOCOL, FrameKind, encode_frame
from streaming.core.framing import encode_bundle
from streaming.core.streams import Lead, Source
from streaming.ecg.planes import encode_planes
from streaming.loadtest.crew import Order
from streaming.loadtest.feed import Feed, Patients
from streaming.loadtest.tally import Tally
from streaming.loadtest.team import Team
from streaming.loadtest.viewer import LoadViewer, Shared
from tests.servers import DaphneServer, Server, migrated

STALLED, HEALTHY = 200, 20
OFFERED_BYTES = 10e6
STALL_S = 10.0
AT_ONCE = 16
"""Connections that are being made at the same time: it is not they that are measured."""
BEFORE_S = 12.0
LEADS, RATE_HZ, SAMPLES = 16, 2000.0, 960
"""Noise of 32 bits, which no codec makes smaller: 61,440 bytes in a chunk, as much as a message may hold."""
ESTABLISHED = 1
"""Of the states in Linux's tcp_info (include/net/tcp_states.h)."""
POLL_S = 0.05


class Hose:
    """A device that pushes noise, and knows how much of it the server has acknowledged."""

    def __init__(self) -> None:
        noise = np.random.default_rng(1).integers(-(2**31), 2**31, (LEADS, SAMPLES), np.int32)
        self._payload = encode_planes(noise, level=1, window_bits=12, mem_level=8)
        self.sent_bytes = 0

    @asynccontextmanager
    async def pushing(self, url: str, token: str) -> AsyncIterator[None]:
        """Push for as long as the body runs, at the pace that makes 10 MB of the time until a cut."""
        options = {"subprotocols": [Subprotocol(SUBPROTOCOL)], "compression": None, "proxy": None}
        async with connect(f"{url}/ws/device/", **options) as device:  # type: ignore[arg-type]  # of several types
            await device.send(
                device_hello(
                    token=token,
                    session="stalled-bench",
                    next_sample=0,
                    source=Source.SIM,
                    rate_hz=RATE_HZ,
                    leads=[Lead(f"L{number}", 1.0, 0, 32) for number in range(LEADS)],
                )
            )
            await device.recv()

            async def push() -> None:
                began = time.monotonic()
                for number in range(1_000_000):
                    frame = encode_frame(FrameKind.WAVEFORM, number & 0xFFFF, number * SAMPLES, self._payload)
                    await device.send(encode_bundle([frame]))
                    self.sent_bytes += len(self._payload)
                    due = began + self.sent_bytes * STALL_S / (1.1 * OFFERED_BYTES)
                    await asyncio.sleep(max(0.0, due - time.monotonic()))

            async def drain() -> None:
                async for _ in device:
                    pass

            tasks = [asyncio.create_task(push()), asyncio.create_task(drain())]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


async def stall(
    server: Server, token: str, stream: str, hose: Hose, gate: asyncio.Semaphore, hung: asyncio.Semaphore
) -> tuple[float, int]:
    """One viewer that hangs with its first frame: how long until it is cut, and what it was offered."""
    viewer = LoadViewer(Shared(), token, [stream])
    async with gate:
        await viewer.open(urlsplit(server.ws_url))
        await viewer.has_frames.wait()
    viewer.hang()
    hung.release()
    began, offered = time.monotonic(), hose.sent_bytes
    assert viewer.wire is not None
    raw = viewer.wire.socket()
    while True:  # a socket that nobody reads tells nobody that it was closed
        if raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != ESTABLISHED:
            break
        await asyncio.sleep(POLL_S)
    lasted, offered = time.monotonic() - began, hose.sent_bytes - offered
    viewer.wire.close()
    return lasted, offered


async def most_memory(server: Server) -> int:
    """The most that the server has resident until this is cancelled."""
    most = 0
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            most = max(most, server.rss_bytes())
            await asyncio.sleep(POLL_S)
    return most


async def p99_s(team: Team, seconds: float) -> tuple[float, Tally]:
    """The 99th percentile of the healthy viewers' ages over the next seconds."""
    await team.begin()
    await asyncio.sleep(seconds)
    tally = await team.count()
    return tally.newest.percentile_s(0.99) or math.nan, tally


async def measure(server: Server, beds: Beds) -> list[Figure]:
    """The figures at one server."""
    hose = Hose()
    async with (
        Feed(server.ws_url, beds.devices[1:], Patients()) as feed,
        hose.pushing(server.ws_url, beds.devices[0]),
    ):
        feed.begin()
        healthy = Order(
            server.ws_url, HEALTHY, beds.viewers[-1:], beds.streams[1:], origins=feed.origins(), decoders=1
        )
        async with Team(healthy, 1) as team:
            while True:
                if (await team.settling())[0]:
                    break
                await asyncio.sleep(0.2)
            before_s, _ = await p99_s(team, BEFORE_S)
            rss = server.rss_bytes()
            watching = asyncio.create_task(most_memory(server))
            cpu_s, began = server.cpu_seconds(), time.monotonic()
            gate, hung = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(0)
            stalls = [
                asyncio.create_task(
                    stall(server, beds.viewers[number // 60], beds.streams[0], hose, gate, hung)
                )
                for number in range(STALLED)
            ]
            for _ in range(STALLED):
                await hung.acquire()
            await team.begin()
            feed.late_s = 0.0
            endings = await asyncio.gather(*stalls)
            tally = await team.count()
            cpu_s, took_s = server.cpu_seconds() - cpu_s, time.monotonic() - began
            watching.cancel()
            grown = await watching - rss
    meanwhile_s = tally.newest.percentile_s(0.99) or math.nan
    lasted = sorted(ending[0] for ending in endings)
    offered = min(ending[1] for ending in endings)
    against = f"{STALLED} stalled beside {HEALTHY} healthy viewers"
    return [
        at_least(
            "offered to each of the stalled until its cut, least", offered / 1e6, 10, "MB", against=against
        ),
        at_most("server grows, a viewer", grown / STALLED / 2**20, 1, "MiB", against=against),
        Figure("first cut after", lasted[0], "s", against=against),
        at_most("last cut after", lasted[-1], 12, "s", against=against),
        Figure("healthy viewers, p99 of the age before", 1000 * before_s, "ms", against=against),
        Figure("the same meanwhile", 1000 * meanwhile_s, "ms", against=against),
        at_most("it grows by", 100 * (meanwhile_s / before_s - 1), 20, "%", against=against),
        at_most("healthy viewers: dropped", sum(tally.drops.values()), 0, "", against=against),
        at_most("healthy viewers: missing without a GAP", tally.lost_samples, 0, "", against=against),
        Figure("server", 100 * cpu_s / took_s, "% of a core", against=against),
        Figure("devices late, at most", 1000 * feed.late_s, "ms", against="this process, not the server"),
    ]


async def main(*, as_json: bool) -> int:
    """Start a server, stall it, report."""
    with (
        tempfile.TemporaryDirectory(prefix="vital-bench-") as directory,
        DaphneServer(migrated(Path(directory) / "var")) as server,
    ):
        beds = admit(server, 2, tokens=STALLED // 60 + 2)
        figures = await measure(server, beds)
    return report(figures, as_json=as_json)


if __name__ == "__main__":
    options = parser("What viewers that stop reading cost the server and the others.").parse_args()
    sys.exit(asyncio.run(main(as_json=options.json)))
