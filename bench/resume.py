"""Viewers whose connections are cut at random, on a real server: how soon they have all that they missed.

One server, devices that send every 100 ms, viewers of all of them in this process. A cut drops the TCP
connection without a word, and the viewer comes back after a random time, drawn here in place of its back-off.
A resume is complete when every sample up to the reconnect has come or is told to be lost; the time runs from
the welcome.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.support.report import Figure, at_least, at_most, parser, report
from streaming.client import Device, Frame, Gap, Lead, Source, Viewer
from streaming.core.spans import SpanSet
from tests.e2e.shell import Shell
from tests.servers import DaphneServer, migrated, servers

RATE_HZ = 250.0
CHUNK = 25
AWAY_S = (0.05, 3.0)
BETWEEN_S = (0.3, 1.5)
PATIENCE_S = 30.0
LEADS = [Lead("II", 5.0), Lead("V1", 5.0)]


def samples_of(first: int, stop: int) -> NDArray[np.int16]:
    """Every sample says which one it is."""
    ramp = (np.arange(first, stop) * 7919 % 20_000 - 10_000).astype(np.int16)
    return np.stack([ramp, -ramp])


class Stream:
    """What one viewer has of one stream."""

    def __init__(self) -> None:
        self.settled = SpanSet()
        self.had = SpanSet()
        self.lost = 0
        self.wrong = 0
        self.twice = 0
        self.first: int | None = None

    def take(self, event: Frame | Gap) -> None:
        """Note what came or is lost."""
        if self.first is None:
            self.first = event.first
        if isinstance(event, Gap):
            if not event.recoverable:
                self.settled.add(event.first, event.stop)
                self.lost += event.stop - event.first
            return
        if event.info.factor == 1 and event.info.rendition == "lossless":
            self.wrong += int((event.samples != samples_of(event.first, event.stop)).any())
        self.twice += bool(self.had.overlap(event.first, event.stop))
        self.had.add(event.first, event.stop)
        self.settled.add(event.first, event.stop)

    def hidden(self, stop: int) -> int:
        """Samples before `stop` that neither came nor are told to be lost."""
        if self.first is None:
            return 0
        return stop - self.first - sum(b - a for a, b in self.settled.overlap(self.first, stop))


class Away(random.Random):
    """Keeps a viewer away for as long as a cut lasts, whatever its back-off would be."""

    def uniform(self, a: float, b: float) -> float:  # noqa: ARG002
        """Seconds to stay away."""
        return super().uniform(*AWAY_S)


class CutViewer(Viewer):
    """A viewer that pulls its own plug, and knows when it was welcome again."""

    def __init__(self, url: str, *, token: str, rng: random.Random) -> None:
        super().__init__(url, token=token, rng=rng)
        self.back = asyncio.Event()
        self.back_at = 0.0
        told = self._connector.welcomed

        def welcomed() -> None:
            told()
            self.back_at = time.perf_counter()
            self.back.set()

        self._connector.welcomed = welcomed  # type: ignore[method-assign]

    def pull_the_plug(self) -> None:
        """No close frame."""
        self.back.clear()
        if self._line is not None:
            self._line._socket.transport.abort()


async def watch(
    url: str,
    token: str,
    devices: dict[str, Device],
    cuts: int,
    rng: random.Random,
    times_s: list[float],
) -> tuple[dict[str, Stream], int]:
    """Cut one viewer so many times; what it has, and how many samples stayed hidden."""
    known = {stream: Stream() for stream in devices}
    changed = asyncio.Event()
    async with CutViewer(url, token=token, rng=Away(rng.random())) as nurse:

        async def read() -> None:
            async for event in nurse:
                if isinstance(event, Frame | Gap):
                    known[event.stream].take(event)
                    changed.set()

        reading = asyncio.create_task(read())
        await nurse.subscribe(devices)
        hidden = 0
        for _ in range(cuts):
            await asyncio.sleep(rng.uniform(*BETWEEN_S))
            nurse.pull_the_plug()
            async with asyncio.timeout(PATIENCE_S):
                await nurse.back.wait()
            stops = {stream: device.next_sample for stream, device in devices.items()}
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S):
                    while any(known[stream].hidden(stop) for stream, stop in stops.items()):
                        changed.clear()
                        await changed.wait()
            hidden += sum(known[stream].hidden(stop) for stream, stop in stops.items())
            times_s.append(time.perf_counter() - nurse.back_at)
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
    return known, hidden


async def feed(device: Device) -> None:
    """Send in real time."""
    began = asyncio.get_running_loop().time()
    while True:
        first = device.next_sample
        await device.send(samples_of(first, first + CHUNK))
        await asyncio.sleep(max(0.0, began + (first + CHUNK) / RATE_HZ - asyncio.get_running_loop().time()))


async def measure(
    url: str, beds: Sequence[dict[str, str]], token: str, options: argparse.Namespace
) -> list[Figure]:
    """All viewers at once."""
    rng = random.Random(options.seed)
    times_s: list[float] = []
    async with asyncio.TaskGroup() as group, asyncio.timeout(3600):
        devices = {
            bed["stream"]: Device(url, bed["token"], signals=LEADS, rate_hz=RATE_HZ, source=Source.SIM)
            for bed in beds
        }
        for device in devices.values():
            await device.__aenter__()
            await device.wait_connected()
        feeding = [group.create_task(feed(device)) for device in devices.values()]
        cuts = -(-options.cuts // options.viewers)
        watching = [
            group.create_task(watch(url, token, devices, cuts, random.Random(rng.random()), times_s))
            for _ in range(options.viewers)
        ]
        results = [await task for task in watching]
        for task in feeding:
            task.cancel()
        for device in devices.values():
            await device.__aexit__(RuntimeError, None, None)
    streams = [stream for known, _ in results for stream in known.values()]
    conditions = f"{options.viewers} viewers of {len(beds)} patients, one server, {len(times_s)} cuts"
    p50, p99 = np.percentile(np.array(times_s), [50, 99])
    return [
        at_least("cuts", len(times_s), options.cuts, "", against=conditions),
        Figure("reconnected to complete, median", 1000 * float(p50), "ms"),
        at_most(
            "reconnected to complete, 99th percentile", 1000 * float(p99), 1000, "ms", against=conditions
        ),
        at_most(
            "samples neither delivered nor told of",
            sum(hidden for _, hidden in results),
            0,
            "",
            against=conditions,
        ),
        at_most(
            "frames with a wrong sample", sum(stream.wrong for stream in streams), 0, "", against=conditions
        ),
        at_most("frames that came twice", sum(stream.twice for stream in streams), 0, "", against=conditions),
        Figure("samples told to be lost", sum(stream.lost for stream in streams), ""),
    ]


def main(options: argparse.Namespace) -> int:
    """Start the server, measure, report."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        start = stack.enter_context(servers(DaphneServer, migrated(directory / "template"), directory))
        server = start()
        shell = stack.enter_context(Shell(server))
        beds = [shell.run("admit", f"monitor {number}") for number in range(options.patients)]
        token = shell.run("employ", "nurse", "Ward a")
        figures = asyncio.run(measure(server.ws_url, beds, token, options))
    return report(figures, as_json=options.json)


if __name__ == "__main__":
    choices = parser("Random cuts of viewers' connections: how soon they have all that they missed.")
    choices.add_argument("--cuts", type=int, default=1000, help="over all viewers (default: 1000)")
    choices.add_argument("--viewers", type=int, default=10, help="at the same time (default: 10)")
    choices.add_argument("--patients", type=int, default=2, help="whom each watches (default: 2)")
    choices.add_argument("--seed", type=int, default=1)
    sys.exit(main(choices.parse_args()))
