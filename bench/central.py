"""A central station: sixteen patients, four frames a second each, two hundred viewers of all of them.

Server CPU as a share of a core (all user and system time of the server's process), VITAL against servers that
only pass messages on: `websockets` with its broadcast and `ws` on node, each with permessage-deflate and
without. All get the same simulated ECG, encoded with `ecg1` by sixteen devices behind one gateway, and send
one message a frame; in a second row they get our bundles, made for them by the gateway. VITAL checks, decodes
and analyses what it gets, runs an outbox, a window and acks for each viewer, and bundles by itself. Three
leads are what most bedside monitors send to a central station; twelve are compared as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from websockets.asyncio.client import connect

from bench.fanout import ADMIT, Swarm, swarm
from bench.support.report import Figure, parser, report
from streaming.client import Device, Source
from streaming.client.playback import simulated_leads
from streaming.core.frames import FrameKind, encode_frame
from streaming.core.framing import encode_bundle
from streaming.ecg.codec import WaveformEncoder
from streaming.ecg.leads import TWELVE_LEADS
from streaming.ecg.simulator import Simulator
from tests.servers import ROOT, DaphneServer, Server, migrated

PATIENTS = 16
FRAMES_PER_S = 4
VIEWERS = 200
RATE_HZ = 500.0
SETTLE_S = 10.0
"""Until viewers have climbed to the top of the ladder, and ack seldom."""
WINDOW_S = 6.0
FEW_LEADS = ("II", "V1", "V5")
ROUNDS = 2
_LISTENING = re.compile(r"listening on 127\.0\.0\.1:(\d+)")

Send = Callable[[Sequence[np.ndarray]], Awaitable[None]]
"""Of a frame of every patient."""


class PeerServer(Server):
    """A server that only passes messages on."""

    def __init__(self, command: Sequence[str], var_dir: Path) -> None:
        super().__init__(command, _LISTENING, var_dir, {})

    def __enter__(self) -> Self:
        return self.start(ready=False)


PEERS = {
    "websockets broadcast": (sys.executable, "-m", "bench.support.peers.broadcast", "plain"),
    "websockets broadcast, permessage-deflate": (
        *(sys.executable, "-m", "bench.support.peers.broadcast", "deflate"),
    ),
    "node ws": ("node", "bench/support/peers/broadcast.mjs", "plain"),
    "node ws, permessage-deflate": ("node", "bench/support/peers/broadcast.mjs", "deflate"),
}


@dataclass(frozen=True, slots=True)
class Load:
    """What a server spent and delivered over WINDOW_S."""

    cpu: float
    """As a share of a core."""
    frames_per_message: float
    delivered: float
    """Of what was sent, as a share."""
    payload_bytes: float
    """That each viewer got in a second."""


class Patients:
    """Sixteen simulated patients, a frame of each at a time."""

    def __init__(self, leads: tuple[str, ...]) -> None:
        self.simulators = [
            Simulator("sinus", rate_hz=RATE_HZ, leads=leads, seed=number) for number in range(PATIENTS)
        ]

    def frames(self) -> list[np.ndarray]:
        """The next quarter of a second of each, (leads, 125)."""
        return [simulator.read(round(RATE_HZ / FRAMES_PER_S)) for simulator in self.simulators]


@contextlib.asynccontextmanager
async def feeding(send: Send, leads: tuple[str, ...]) -> AsyncIterator[None]:
    """Send a frame of every patient at the same moment, for as long as the body runs."""
    patients = Patients(leads)

    async def feed() -> None:
        began, number = time.monotonic(), 0
        while True:
            frames = patients.frames()
            number += 1
            await asyncio.sleep(max(0.0, began + number / FRAMES_PER_S - time.monotonic()))
            await send(frames)

    task = asyncio.create_task(feed())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def measure(server: Server, viewers: Swarm) -> Load:
    """Read the counts and the server's CPU at both ends of the window."""
    await viewers.expect("ready")
    await asyncio.sleep(SETTLE_S)
    before, cpu = await viewers.counts(), server.cpu_seconds()
    await asyncio.sleep(WINDOW_S)
    after, cpu = await viewers.counts(), server.cpu_seconds() - cpu
    got = {name: after[name] - before[name] for name in after}
    offered = WINDOW_S * FRAMES_PER_S * VIEWERS * PATIENTS
    return Load(
        cpu / WINDOW_S,
        got["frames"] / got["messages"],
        got["frames"] / offered,
        got["payload_bytes"] / VIEWERS / WINDOW_S,
    )


@contextlib.asynccontextmanager
async def loaded(server: Server, leads: tuple[str, ...]) -> AsyncIterator[Swarm]:
    """The product itself, once its viewers are connected; fed for as long as the body runs."""
    async with contextlib.AsyncExitStack() as stack:
        streams, device_tokens, viewer_tokens = server.python(ADMIT.format(patients=PATIENTS)).split()
        signals = simulated_leads(Patients(leads).simulators[0])
        devices = [
            await stack.enter_async_context(
                Device(server.ws_url, token, signals=signals, rate_hz=RATE_HZ, source=Source.SIM)
            )
            for token in device_tokens.split(",")
        ]

        async def send(frames: Sequence[np.ndarray]) -> None:
            for device, samples in zip(devices, frames, strict=True):
                await device.send(samples)

        viewers = await stack.enter_async_context(
            swarm(f"{server.ws_url}/ws/viewer/", viewer_tokens, streams, viewers=VIEWERS)
        )
        await stack.enter_async_context(feeding(send, leads))
        yield viewers


async def ours(directory: Path, leads: tuple[str, ...]) -> Load:
    """The same, measured."""
    with DaphneServer(migrated(directory)) as server:
        async with loaded(server, leads) as viewers:
            return await measure(server, viewers)


async def theirs(directory: Path, command: Sequence[str], leads: tuple[str, ...], *, bundled: bool) -> Load:
    """A peer: a message a frame, or a bundle of all frames that the gateway has made."""
    async with contextlib.AsyncExitStack() as stack:
        server = stack.enter_context(PeerServer(command, directory))
        gateway = await stack.enter_async_context(connect(f"{server.ws_url}/ws/device/", compression=None))
        encoder, index = WaveformEncoder(), 0
        options = [
            "--frames",
            str(PATIENTS if bundled else 1),
            *(["--deflate"] if "deflate" in command else []),
        ]

        async def send(frames: Sequence[np.ndarray]) -> None:
            nonlocal index
            encoded = [
                encode_frame(FrameKind.WAVEFORM, alias, index, encoder.encode(samples))
                for alias, samples in enumerate(frames)
            ]
            index += frames[0].shape[1]
            for message in [encode_bundle(encoded)] if bundled else [encode_bundle([f]) for f in encoded]:
                await gateway.send(message)

        viewers = await stack.enter_async_context(
            swarm(f"{server.ws_url}/ws/viewer/", viewers=VIEWERS, options=options)
        )
        await stack.enter_async_context(feeding(send, leads))
        return await measure(server, viewers)


async def compare(leads: tuple[str, ...], peers: Sequence[tuple[str, bool]]) -> list[Figure]:
    """All of them in turns; of each the run with the least CPU: what disturbs a run only adds to it."""
    loads: dict[tuple[str, bool], list[Load]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for turn in range(ROUNDS):
            directory = Path(temporary) / str(turn)
            loads.setdefault(("VITAL", True), []).append(await ours(directory / "ours", leads))
            for number, (name, bundled) in enumerate(peers):
                place = directory / f"peer{number}"
                place.mkdir(parents=True)
                load = await theirs(place, PEERS[name], leads, bundled=bundled)
                loads.setdefault((name, bundled), []).append(load)
    best = {name: min(runs, key=lambda load: load.cpu) for name, runs in loads.items()}
    vital = best.pop(("VITAL", True))
    label = f"{PATIENTS} x {FRAMES_PER_S} frames/s of {len(leads)} leads, {VIEWERS} viewers"
    figures = [
        Figure(f"{label}: VITAL, server CPU", 100 * vital.cpu, "% of a core"),
        Figure(f"{label}: VITAL, frames a message", vital.frames_per_message, ""),
        Figure(f"{label}: VITAL, delivered", 100 * vital.delivered, "%"),
        Figure(f"{label}: VITAL, bytes to a viewer", vital.payload_bytes, "B/s"),
    ]
    for (name, bundled), load in best.items():
        how = "our bundles" if bundled else "a message a frame"
        against = (
            f"{name}: {100 * load.cpu:.1f} % of a core, {100 * load.delivered:.0f} % delivered, same run"
        )
        ratio = vital.cpu / load.cpu
        bound, ok = ("", None) if bundled else ("< 1", ratio < 1)
        figures += [
            Figure(f"{label}: {name}, {how}, server CPU", 100 * load.cpu, "% of a core"),
            Figure(f"{label}: VITAL / {name}, {how}", ratio, "x", bound, ok, against),
        ]
    return figures


async def main(*, as_json: bool) -> int:
    """Three leads against everybody, twelve against those who do not compress."""
    every = [(name, bundled) for name in PEERS for bundled in (False, True)]
    plain = [(name, False) for name in PEERS if "deflate" not in name]
    figures = await compare(FEW_LEADS, every) + await compare(TWELVE_LEADS, plain)
    return report(figures, as_json=as_json)


if __name__ == "__main__":
    if not (ROOT / "node_modules" / "ws").is_dir():
        sys.exit("The package ws is missing: run `npm ci --ignore-scripts` in the checkout.")
    options = parser(
        "Server CPU of a central station, against servers that only pass messages on."
    ).parse_args()
    sys.exit(asyncio.run(main(as_json=options.json)))
