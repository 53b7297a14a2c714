"""Fan-out: server CPU per delivered frame, VITAL against `group_send` to one consumer per client.

Both run on Daphne in this run, in turns and twice over, and publish the same frames of about 600 bytes on a
schedule inside the server, to 200 viewers: fifty messages a second of one patient, of which each leaves by
itself; and five times a second a frame of each of ten patients, which VITAL puts into one message. It runs an
outbox, a window and acks at the default cadence for every viewer; the peer copies bytes. CPU is all user and
system time of the server process, per frame delivered, and the share that was delivered is told, for the peer
does not keep up. A third server shows the least that any application on Daphne spends: a loop that sends to
everybody, without queue, window or acks.

The last comparison goes the whole way, from devices: a ward of eight patients behind one gateway that sends a
frame of each every second, which VITAL decodes, analyses and encodes besides. At that rate every message of
one patient alone would be acked by itself, and nothing can be bundled: that row has no bound.
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
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from bench.support.report import Figure, at_least, at_most, parser, report
from bench.support.schedule import PATH
from streaming.client import Device, Lead, Source
from streaming.ecg.planes import encode_planes
from tests.servers import DaphneServer, Server, migrated

VIEWERS = 200
SAMPLES = 50
"""Of a scheduled frame (bench.support.scheduled)."""
SETTLE_S = 5.0
"""Until all that is measured flows, and viewers on a calm path ack as seldom as they do in the long run."""
WINDOW_S = 8.0
ROUNDS = 2
WARD = 8
FRAMES_PER_S = 1
RATE_HZ = 500.0
LEADS = 1
NOISE_STEPS = 150
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


class BenchServer(Server):
    """Daphne with an application of bench/support."""

    application: str
    ready = False

    def __init__(self, var_dir: Path, env: Mapping[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", "0", self.application]
        listening = re.compile(r"Listening on TCP address 127\.0\.0\.1:(\d+)")
        super().__init__(command, listening, var_dir, env or {})

    def __enter__(self) -> Self:
        return self.start(ready=self.ready)


class NaiveServer(BenchServer):
    """The peer."""

    application = "bench.support.naive:application"


class LeastServer(BenchServer):
    """A loop that sends to everybody."""

    application = "bench.support.least:application"


class ScheduledServer(BenchServer):
    """The product, with a schedule that publishes into its hub."""

    application = "bench.support.scheduled:application"
    ready = True


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

    async def counts(self, schedule: dict[str, Any] | None = None) -> dict[str, float]:
        """What the viewers got so far, and how late by the last schedule that they were told of."""
        assert self._process.stdin is not None
        self._process.stdin.write((json.dumps(schedule) if schedule else "").encode() + b"\n")
        counts: dict[str, float] = json.loads(await self.line())
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


@dataclass(frozen=True, slots=True)
class Cost:
    """What a server spent over WINDOW_S of a running feed."""

    us_per_frame: float
    frames_per_message: float
    share_delivered: float
    p99_ms: float = 0.0
    """How late messages came by their schedule."""


async def measure(
    server: Server, viewers: Swarm, frames_per_s: float, schedule: dict[str, Any] | None = None
) -> Cost:
    """Read the counts and the server's CPU at both ends of the window."""
    await viewers.expect("ready")
    await asyncio.sleep(SETTLE_S)
    before, cpu = await viewers.counts(schedule), server.cpu_seconds()
    await asyncio.sleep(WINDOW_S)
    after, cpu = await viewers.counts(), server.cpu_seconds() - cpu
    got = {name: after[name] - before[name] for name in before}
    return Cost(
        cpu * 1e6 / got["frames"],
        got["frames"] / got["messages"],
        got["frames"] / (WINDOW_S * VIEWERS * frames_per_s),
        after.get("p99_ms", 0.0),
    )


# -- on a schedule


async def scheduled(var_dir: Path, *, kind: type[BenchServer], patients: int, per_s: float) -> Cost:
    """One server, which publishes `per_s` frames a second of each patient."""
    ours = kind is ScheduledServer
    async with contextlib.AsyncExitStack() as stack:
        server = stack.enter_context(kind(var_dir))
        if ours:
            streams, _, tokens = server.python(ADMIT.format(patients=patients)).split()
            viewers = swarm(f"{server.ws_url}/ws/viewer/", tokens, streams)
        else:
            streams = ",".join(map(str, range(patients)))
            viewers = swarm(f"{server.ws_url}/ws/viewer/{patients}/", options=["--frames", "1"])
        there = await stack.enter_async_context(viewers)
        url = f"{server.url}{PATH}?streams={streams}&per_s={per_s}"
        answer = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read())
        schedule = json.loads(answer) | {"per_s": per_s, "samples": SAMPLES if ours else 0}
        return await measure(server, there, patients * per_s, schedule)


# -- from devices

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


def chunk(rng: np.random.Generator) -> np.ndarray:
    """A second of noise that encodes to about 600 bytes."""
    shape = (LEADS, round(RATE_HZ / FRAMES_PER_S))
    return rng.normal(0, NOISE_STEPS, shape).astype(np.int16)


async def ours(var_dir: Path, *, patients: int, rng: np.random.Generator) -> Cost:
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
        return await measure(server, viewers, patients * FRAMES_PER_S)


async def naive(var_dir: Path, *, patients: int, rng: np.random.Generator) -> Cost:
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
        return await measure(server, viewers, patients * FRAMES_PER_S)


# -- the comparisons

Run = Callable[[Path], Awaitable[Cost]]


async def in_turns(runs: dict[str, Run]) -> dict[str, Cost]:
    """All in turns; of each the run with the least cost: what disturbs a run only adds to it."""
    costs: dict[str, list[Cost]] = {name: [] for name in runs}
    with tempfile.TemporaryDirectory() as directory:
        for number in range(ROUNDS):
            for name, run in runs.items():
                var_dir = migrated(Path(directory) / f"{name}{number}")
                costs[name].append(await run(var_dir))
    return {name: min(turns, key=lambda cost: cost.us_per_frame) for name, turns in costs.items()}


def told(label: str, costs: dict[str, Cost]) -> list[Figure]:
    """What each of them spent and delivered."""
    figures = []
    for name, cost in costs.items():
        figures += [
            Figure(f"{label}, {name}: server CPU per delivered frame", cost.us_per_frame, "us"),
            Figure(f"{label}, {name}: frames per WebSocket message", cost.frames_per_message, ""),
            Figure(f"{label}, {name}: delivered of what was offered", 100 * cost.share_delivered, "%"),
        ]
    return figures


async def main(*, as_json: bool) -> int:
    """Every comparison, and its bound."""
    rng = np.random.default_rng(20)
    figures: list[Figure] = []
    peer = f"group_send to {VIEWERS} consumers, in-memory layer, Daphne, same run"
    kinds = {"naive": NaiveServer, "least": LeastServer, "VITAL": ScheduledServer}
    for label, patients, per_s, bound in (
        ("1 x 50 messages/s", 1, 50.0, 6.0),
        ("10 patients x 5 frames/s in bundles", 10, 5.0, 40.0),
    ):
        runs: dict[str, Run] = {
            name: partial(scheduled, kind=kind, patients=patients, per_s=per_s)
            for name, kind in kinds.items()
        }
        costs = await in_turns(runs)
        figures += told(label, costs)
        ratio = costs["naive"].us_per_frame / costs["VITAL"].us_per_frame
        figures.append(at_least(f"{label}: naive / VITAL", ratio, bound, "x", against=peer))
        least = costs["naive"].us_per_frame / costs["least"].us_per_frame
        figures.append(Figure(f"{label}: naive / the least that Daphne takes", least, "x", against=peer))
        if patients == 1:
            late = costs["VITAL"].p99_ms
            figures.append(at_most(f"{label}, VITAL: late, 99th percentile", late, 20.0, "ms", against=""))
            figures.append(Figure(f"{label}, naive: late, 99th percentile", costs["naive"].p99_ms, "ms"))
    for patients, least_ratio in ((WARD, 5.0), (1, None)):
        runs = {
            "naive": partial(naive, patients=patients, rng=rng),
            "VITAL": partial(ours, patients=patients, rng=rng),
        }
        costs = await in_turns(runs)
        label = f"{patients} x {FRAMES_PER_S} frames/s from devices"
        figures += told(label, costs)
        ratio = costs["naive"].us_per_frame / costs["VITAL"].us_per_frame
        name = f"{label}: naive / VITAL"
        figures.append(
            Figure(name, ratio, "x", against=peer)
            if least_ratio is None
            else at_least(name, ratio, least_ratio, "x", against=peer)
        )
    return report(figures, as_json=as_json)


if __name__ == "__main__":
    options = parser("Server CPU per delivered message, against naive Channels.").parse_args()
    sys.exit(asyncio.run(main(as_json=options.json)))
