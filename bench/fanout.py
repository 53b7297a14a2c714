"""Fan-out: server CPU per delivered message, VITAL against `group_send` to one consumer per client.

Both run on Daphne in this run, one after the other and twice over: a device sends five frames a second over
its WebSocket, 200 viewers get each of them, about 600 bytes a frame. VITAL decodes, analyses and encodes the
samples, and runs an outbox, a window and acks for every viewer; the peer copies bytes. CPU is all user and
system time of the server process.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Self

import numpy as np
from websockets.asyncio.client import connect

from bench.support.report import Figure, at_least, parser, report
from streaming.client import Device, Lead, Source
from streaming.ecg.codec import encode_planes
from tests.servers import DaphneServer, Server, migrated

VIEWERS = 200
FRAMES_PER_S = 5
RATE_HZ = 500.0
LEADS = 4
NOISE_STEPS = 150
WINDOW_S = 8.0
ROUNDS = 2
_FEED = """
from django.contrib.auth import get_user_model
from streaming.models import Device, Ward
from streaming.core.streams import Source
from streaming.store import feeds, tokens
feed = feeds.ensure_feed("Bench", "Bench 1", "bench-1", Source.SIM)
user, _ = get_user_model().objects.get_or_create(username="bench", is_superuser=True)
wards = Ward.objects.all()
viewers = [tokens.issue_api_token(user, f"bench {n}", wards, actor="bench").text for n in range(4)]
print(feed.stream, feed.token, ",".join(viewers))
"""


class NaiveServer(Server):
    """Daphne with the peer's application."""

    def __init__(self, var_dir: Path) -> None:
        command = [
            sys.executable,
            "-m",
            "daphne",
            "-b",
            "127.0.0.1",
            "-p",
            "0",
            "bench.support.naive:application",
        ]
        super().__init__(command, re.compile(r"Listening on TCP address 127\.0\.0\.1:(\d+)"), var_dir, {})

    def __enter__(self) -> Self:
        return self.start(ready=False)


class Swarm:
    """The viewers, in a process of their own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> str:
        """What the process prints next."""
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().strip()

    async def counts(self) -> dict[str, int]:
        """What the viewers got so far."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        counts: dict[str, int] = json.loads(await self.line())
        if counts["closed"]:
            raise RuntimeError(f"{counts['closed']} viewers were cut")
        return counts


@contextlib.asynccontextmanager
async def swarm(url: str, *access: str) -> AsyncIterator[Swarm]:
    """The viewers, once each of them has got a frame; ended whatever happens."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.support.viewers", url, str(VIEWERS), *access),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        viewers = Swarm(process)
        if await viewers.line() != "ready":
            raise RuntimeError("the viewers could not connect")
        yield viewers
    finally:
        process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def feeding(
    send: Callable[[np.ndarray], Awaitable[None]], rng: np.random.Generator
) -> AsyncIterator[None]:
    """Send a chunk every fifth of a second for as long as the body runs."""

    async def feed() -> None:
        began = time.monotonic()
        for number in itertools.count():
            await asyncio.sleep(max(0.0, began + number / FRAMES_PER_S - time.monotonic()))
            await send(chunk(rng))

    task = asyncio.create_task(feed())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def measure(server: Server, viewers: Swarm) -> tuple[float, float]:
    """CPU microseconds per delivered frame, and bytes per message, over WINDOW_S of a running feed."""
    before, cpu = await viewers.counts(), server.cpu_seconds()
    await asyncio.sleep(WINDOW_S)
    after, cpu = await viewers.counts(), server.cpu_seconds() - cpu
    frames = after["frames"] - before["frames"]
    expected = WINDOW_S * FRAMES_PER_S * VIEWERS
    if frames < 0.9 * expected:
        raise RuntimeError(f"only {frames} of {expected:.0f} frames were delivered: no fair comparison")
    return cpu * 1e6 / frames, (after["payload_bytes"] - before["payload_bytes"]) / (
        after["messages"] - before["messages"]
    )


def chunk(rng: np.random.Generator) -> np.ndarray:
    """A fifth of a second of noise that encodes to about 600 bytes."""
    shape = (LEADS, round(RATE_HZ / FRAMES_PER_S))
    return rng.normal(0, NOISE_STEPS, shape).astype(np.int16)


async def ours(var_dir: Path, rng: np.random.Generator) -> tuple[float, float]:
    """The product itself."""
    with DaphneServer(var_dir) as server:
        stream, device_token, viewer_tokens = server.python(_FEED).split()
        leads = [Lead(f"L{number}", 5.0) for number in range(LEADS)]
        async with (
            Device(server.ws_url, device_token, signals=leads, rate_hz=RATE_HZ, source=Source.SIM) as device,
            feeding(device.send, rng),
            swarm(f"{server.ws_url}/ws/viewer/", viewer_tokens, stream) as viewers,
        ):
            return await measure(server, viewers)


async def naive(var_dir: Path, rng: np.random.Generator) -> tuple[float, float]:
    """The peer."""
    with NaiveServer(var_dir) as server:
        async with connect(f"{server.ws_url}/ws/device/") as device:

            async def send(samples: np.ndarray) -> None:
                await device.send(bytes(8) + encode_planes(samples, level=6, window_bits=12, mem_level=5))

            async with feeding(send, rng), swarm(f"{server.ws_url}/ws/viewer/") as viewers:
                return await measure(server, viewers)


async def main(*, as_json: bool) -> int:
    """Run both, in turns."""
    rng = np.random.default_rng(20)
    figures: dict[str, list[tuple[float, float]]] = {"naive": [], "ours": []}
    with tempfile.TemporaryDirectory() as directory:
        for number in range(ROUNDS):
            naive_dir = Path(directory) / f"naive{number}"
            naive_dir.mkdir()
            figures["naive"].append(await naive(naive_dir, rng))
            figures["ours"].append(await ours(migrated(Path(directory) / f"ours{number}"), rng))
    cost = {name: statistics.median(value for value, _ in runs) for name, runs in figures.items()}
    size = {name: statistics.median(value for _, value in runs) for name, runs in figures.items()}
    peer = f"group_send to {VIEWERS} consumers, in-memory layer, Daphne, same run"
    return report(
        [
            Figure("naive: server CPU per delivered frame", cost["naive"], "us"),
            Figure("naive: bytes per message", size["naive"], "B"),
            Figure("VITAL: server CPU per delivered frame, acks included", cost["ours"], "us"),
            Figure("VITAL: bytes per message", size["ours"], "B"),
            at_least("fan-out: naive / VITAL", cost["naive"] / cost["ours"], 5, "x", against=peer),
        ],
        as_json=as_json,
    )


if __name__ == "__main__":
    options = parser("Server CPU per delivered message, against naive Channels.").parse_args()
    sys.exit(asyncio.run(main(as_json=options.json)))
