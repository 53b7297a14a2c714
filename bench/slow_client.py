"""How late an alarm comes to a viewer whose link is offered twice what it carries, and how old traces are.

A real server; devices that send noise, whose lossless frames are twice the link and which the ladder is kept
from making smaller; one viewer behind a link of its own, or behind a proxy that takes all that it is given
without bound. Some times a second the server sends a CRITICAL message; its way ends where the viewer has it.
The last figure is of virtual time: what a BackpressureHandler makes of a long path when all is BULK.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.support.hoarder import hoarder
from bench.support.report import Figure, at_least, at_most, parser, report
from bench.support.ward import Beds, admit, noise
from streaming.backpressure import BackpressureHandler
from streaming.core.items import Item
from streaming.core.priority import MessagePriority
from streaming.core.window import SendWindow
from streaming.loadtest.viewer import LoadViewer, Origin, Shared
from tests.fakes import ThrottledLink, VirtualLoop
from tests.servers import DaphneServer, migrated

SETTLE_S = 4.0
MEASURE_S = 12.0
ALARM_EVERY_S = 0.15
MAX_AGE_S = 1.0
"""Of what waits for a viewer: HIGH expires after this."""
LISTENING = re.compile(r"Listening on TCP address 127\.0\.0\.1:(\d+)")


class HookedServer(DaphneServer):
    """Daphne with the server that a benchmark can steer."""

    def __init__(self, var_dir: Path, *, env: Mapping[str, str] | None = None) -> None:
        super().__init__(var_dir, env=env)
        self._command[-1] = "bench.support.hooked:application"

    async def call(self, hook: str) -> None:
        """One of the hooks."""
        request = f"{self.url}/bench/{hook}"
        await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=10).read())


@dataclass(frozen=True, slots=True)
class Case:
    """A link, what is sent through it, and how late an alarm may be."""

    name: str
    bytes_per_s: float
    leads: int
    bound_s: float
    is_hoarded: bool = False


CASES = (
    Case("64 kB/s, direct", 64_000.0, 8, 0.25),
    Case("64 kB/s, behind a proxy without bound", 64_000.0, 8, 0.25, is_hoarded=True),
    Case("8 kB/s, direct", 8_000.0, 1, 1.5),
)
PATIENTS = 8
RATE_HZ = 1000.0
"""Eight patients of 16 bits at 1 kHz are 17 kB/s a lead: twice 8 kB/s, and with eight leads twice 64."""


async def measure(server: HookedServer, beds: Beds, case: Case) -> list[Figure]:
    """The figures of one case."""
    delays: list[float] = []
    loop = asyncio.get_running_loop()

    def hear(item: dict[str, Any]) -> None:
        if item["type"] == "alarm":
            delays.append(loop.time() - item["at"])

    async with noise(server.ws_url, beds.devices, leads=case.leads, rate_hz=RATE_HZ) as origins:
        shared = Shared(origins={name: Origin(*origin) for name, origin in origins.items()}, on_text=hear)
        async with _watching(server, beds, shared, case):
            await asyncio.sleep(SETTLE_S)
            delays.clear()
            shared.tally.newest = type(shared.tally.newest)()
            shared.tally.size_bytes = 0
            rng, sent = random.Random(1), 0
            ends_at = loop.time() + MEASURE_S
            while loop.time() < ends_at:
                await asyncio.sleep(rng.uniform(0.5, 1.5) * ALARM_EVERY_S)
                await server.call("alarm")
                sent += 1
            carried = shared.tally.size_bytes / MEASURE_S / case.bytes_per_s
            await asyncio.sleep(2 * case.bound_s)
    tally = shared.tally
    offered = f"{PATIENTS} patients x {case.leads} leads of noise at {RATE_HZ:g} Hz, {sent} alarms"
    summary = tally.newest.summary_ms() or {"max": float("nan"), "p50": float("nan")}
    ordered = sorted(delays) or [float("nan")]
    return [
        Figure(f"{case.name}: alarms, median", 1000 * ordered[len(ordered) // 2], "ms", against=offered),
        at_most(
            f"{case.name}: alarms, latest", 1000 * ordered[-1], 1000 * case.bound_s, "ms", against=offered
        ),
        at_least(f"{case.name}: alarms that came", len(delays), sent, "", against="of those sent"),
        Figure(f"{case.name}: link in use", 100 * carried, "%"),
        Figure(f"{case.name}: age of traces, median", summary["p50"], "ms"),
        at_most(
            f"{case.name}: age of traces, oldest",
            summary["max"],
            1000 * (MAX_AGE_S + case.bound_s),
            "ms",
            against="1 s in the queue, and the way of an alarm",
        ),
        at_most(f"{case.name}: samples missing unnamed", tally.lost_samples, 0, "", against="GAPs"),
    ]


@asynccontextmanager
async def _watching(server: HookedServer, beds: Beds, shared: Shared, case: Case) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        url, pace = server.ws_url, case.bytes_per_s
        if case.is_hoarded:
            url, _ = await stack.enter_async_context(hoarder(server.ws_url, pace))
        viewer = LoadViewer(shared, beds.viewers[0], beds.streams)
        await viewer.open(urlsplit(url), None if case.is_hoarded else pace)
        try:
            yield
        finally:
            if viewer.ended.done():
                raise RuntimeError(f"the viewer was cut: {viewer.ended.result()}")
            assert viewer.wire is not None
            viewer.wire.close()


BACKFILL_BYTES_PER_S, BACKFILL_WAY_S, BACKFILL_S, PIECE_BYTES = 1e6, 0.1, 20.0, 4096


async def _backfill() -> float:
    """The share of a long path that BULK uses, offered as fast as it leaves; in virtual time."""
    loop = asyncio.get_running_loop()
    link = ThrottledLink(BACKFILL_BYTES_PER_S, delay_s=BACKFILL_WAY_S, ack_messages=4)
    window = SendWindow()
    handler = BackpressureHandler(link, window, clock=loop.time, rng=random.Random(1))
    link.on_ack = handler.on_ack
    ends_at = loop.time() + BACKFILL_S
    payload = bytes(PIECE_BYTES)
    while loop.time() < ends_at:
        while handler.queued_bytes < 8 * PIECE_BYTES:
            handler.offer(Item(payload, MessagePriority.BULK, loop.time(), PIECE_BYTES))
        await asyncio.sleep(0.005)
    await handler.aclose()
    arrived = sum(len(data) for at, data in link.received if at > ends_at - BACKFILL_S / 2)
    return arrived / (BACKFILL_S / 2) / BACKFILL_BYTES_PER_S


def _in_virtual_time() -> float:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(_backfill())


async def main(*, as_json: bool) -> int:
    """Each case at one server, then the long path; report."""
    with tempfile.TemporaryDirectory(prefix="vital-bench-") as directory:
        var = migrated(Path(directory) / "var")
        with HookedServer(var) as server:
            beds = admit(server, PATIENTS)
            await server.call("hold")
            figures = [figure for case in CASES for figure in await measure(server, beds, case)]
    share = await asyncio.to_thread(_in_virtual_time)
    against = "BULK offered to a BackpressureHandler as fast as it leaves, virtual time"
    figures.append(at_least("1 MB/s, 200 ms RTT: link in use", 100 * share, 80, "%", against=against))
    return report(figures, as_json=as_json)


if __name__ == "__main__":
    options = parser("Alarm latency at twice the capacity of a narrow link.").parse_args()
    sys.exit(asyncio.run(main(as_json=options.json)))
