"""Fan-out: server CPU per delivered frame, VITAL against `group_send` to one consumer per client.

Both run on Daphne in this run, in turns and twice over: a ward of eight patients behind one gateway, which
sends a frame of each every second, and 200 viewers who watch all of them; about 600 bytes a frame. VITAL
decodes, analyses and encodes the samples, runs an outbox, a window and acks for every viewer, and bundles
what leaves within a tick; the peer copies bytes. CPU is all user and system time of the server process. The
rate is one that the peer keeps up with; the share delivered is told. A second comparison has one patient
alone, where nothing can be bundled and every message is acked: it has no bound.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from bench.support.report import Figure, at_least, parser, report
from streaming.client import Device, Lead, Source
from streaming.ecg.planes import encode_planes
from tests.servers import DaphneServer, Server, migrated

VIEWERS = 200
WARD = 8
FRAMES_PER_S = 1
RATE_HZ = 500.0
LEADS = 1
NOISE_STEPS = 150
WINDOW_S = 8.0
ROUNDS = 2
ADMIT = """
from django.contrib.auth import get_user_model
from streaming.models import Device, Ward
from streaming.core.streams import Source
from streaming.store import feeds, tokens
beds = [feeds.ensure_feed("Bench", f"Bench {{n}}", f"bench-{{n}}", Source.SIM) for n in range({patients})]
user, _ = get_user_model().objects.get_or_create(username="bench", is_superuser=True)
wards = Ward.objects.all()
viewers = [tokens.issue_api_token(user, f"bench {{n}}", wards, actor="bench").text for n in range(4)]
print(",".join(f.stream for f in beds), ",".join(f.token for f in beds), ",".join(viewers))
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

    async def expect(self, word: str) -> None:
        """Wait until the process says `word`."""
        if await self.line() != word:
            raise RuntimeError(f"the viewers did not get to {word!r}")

    async def counts(self) -> dict[str, int]:
        """What the viewers got so far."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        counts: dict[str, int] = json.loads(await self.line())
        if counts["closed"]:
            raise RuntimeError(f"{counts['closed']} viewers were cut")
        return counts


@contextlib.asynccontextmanager
async def swarm(
    url: str, tokens: str = "", streams: str = "", *, viewers: int = VIEWERS, options: Sequence[str] = ()
) -> AsyncIterator[Swarm]:
    """The viewers, once they are connected; ended whatever happens."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.support.viewers", url, str(viewers)),
        *("--tokens", tokens, "--streams", streams, *options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        there = Swarm(process)
        await there.expect("connected")
        yield there
    finally:
        process.kill()
        await process.wait()


Send = Callable[[np.ndarray], Awaitable[None]]


@contextlib.asynccontextmanager
async def feeding(senders: list[Send], rng: np.random.Generator) -> AsyncIterator[None]:
    """Send a chunk every second to each, at the same moment, for as long as the body runs."""

    async def feed(send: Send) -> None:
        for number in itertools.count():
            await asyncio.sleep(max(0.0, began + number / FRAMES_PER_S - time.monotonic()))
            await send(chunk(rng))

    began = time.monotonic()
    tasks = [asyncio.create_task(feed(send)) for send in senders]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a server spent over WINDOW_S of a running feed."""

    us_per_frame: float
    frames_per_message: float
    share_delivered: float


async def measure(server: Server, viewers: Swarm, patients: int) -> Cost:
    """Read the counts and the server's CPU at both ends of the window."""
    await viewers.expect("ready")
    before, cpu = await viewers.counts(), server.cpu_seconds()
    await asyncio.sleep(WINDOW_S)
    after, cpu = await viewers.counts(), server.cpu_seconds() - cpu
    got = {name: after[name] - before[name] for name in after}
    offered = WINDOW_S * FRAMES_PER_S * VIEWERS * patients
    return Cost(cpu * 1e6 / got["frames"], got["frames"] / got["messages"], got["frames"] / offered)


def chunk(rng: np.random.Generator) -> np.ndarray:
    """A second of noise that encodes to about 600 bytes."""
    shape = (LEADS, round(RATE_HZ / FRAMES_PER_S))
    return rng.normal(0, NOISE_STEPS, shape).astype(np.int16)


async def ours(var_dir: Path, patients: int, rng: np.random.Generator) -> Cost:
    """The product itself."""
    async with contextlib.AsyncExitStack() as stack:
        server = stack.enter_context(DaphneServer(var_dir))
        streams, device_tokens, viewer_tokens = server.python(ADMIT.format(patients=patients)).split()
        leads = [Lead(f"L{number}", 5.0) for number in range(LEADS)]
        devices = [
            await stack.enter_async_context(
                Device(server.ws_url, token, signals=leads, rate_hz=RATE_HZ, source=Source.SIM)
            )
            for token in device_tokens.split(",")
        ]
        viewers = await stack.enter_async_context(
            swarm(f"{server.ws_url}/ws/viewer/", viewer_tokens, streams)
        )
        await stack.enter_async_context(feeding([device.send for device in devices], rng))
        return await measure(server, viewers, patients)


async def naive(var_dir: Path, patients: int, rng: np.random.Generator) -> Cost:
    """The peer."""
    async with contextlib.AsyncExitStack() as stack:
        server = stack.enter_context(NaiveServer(var_dir))

        def sender(device: ClientConnection) -> Send:
            async def send(samples: np.ndarray) -> None:
                await device.send(bytes(8) + encode_planes(samples, level=6, window_bits=12, mem_level=5))

            return send

        devices = [
            await stack.enter_async_context(connect(f"{server.ws_url}/ws/device/{number}/"))
            for number in range(patients)
        ]
        viewers = await stack.enter_async_context(
            swarm(f"{server.ws_url}/ws/viewer/{patients}/", options=["--frames", "1"])
        )
        await stack.enter_async_context(feeding([sender(device) for device in devices], rng))
        return await measure(server, viewers, patients)


async def compare(patients: int, rng: np.random.Generator) -> dict[str, Cost]:
    """Both in turns; of each the run with the median cost."""
    costs: dict[str, list[Cost]] = {"naive": [], "VITAL": []}
    with tempfile.TemporaryDirectory() as directory:
        for number in range(ROUNDS):
            naive_dir = Path(directory) / f"naive{number}"
            naive_dir.mkdir()
            costs["naive"].append(await naive(naive_dir, patients, rng))
            costs["VITAL"].append(await ours(migrated(Path(directory) / f"ours{number}"), patients, rng))
    return {
        name: sorted(runs, key=lambda cost: cost.us_per_frame)[len(runs) // 2] for name, runs in costs.items()
    }


async def main(*, as_json: bool) -> int:
    """The ward, which has the bound, and one patient alone."""
    rng = np.random.default_rng(20)
    figures: list[Figure] = []
    peer = f"group_send to {VIEWERS} consumers, in-memory layer, Daphne, same run"
    for patients, bound in ((WARD, 5.0), (1, None)):
        costs = await compare(patients, rng)
        label = f"{patients} x {FRAMES_PER_S} frames/s"
        for name, cost in costs.items():
            figures += [
                Figure(f"{label}, {name}: server CPU per delivered frame", cost.us_per_frame, "us"),
                Figure(f"{label}, {name}: frames per WebSocket message", cost.frames_per_message, ""),
                Figure(f"{label}, {name}: delivered of what was offered", 100 * cost.share_delivered, "%"),
            ]
        ratio = costs["naive"].us_per_frame / costs["VITAL"].us_per_frame
        name = f"{label}, fan-out: naive / VITAL"
        figures.append(
            Figure(name, ratio, "x", against=peer)
            if bound is None
            else at_least(name, ratio, bound, "x", against=peer)
        )
    return report(figures, as_json=as_json)


if __name__ == "__main__":
    options = parser("Server CPU per delivered message, against naive Channels.").parse_args()
    sys.exit(asyncio.run(main(as_json=options.json)))
