"""Viewers that stop reading are cut, cost no memory, and harm nobody."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import pytest

from streaming.core.frames import FrameKind, encode_frame
from streaming.core.framing import encode_bundle
from streaming.exceptions import CloseCode
from tests.e2e.peers import Ending, Peer, device, payload, viewer
from tests.e2e.shell import Shell
from tests.e2e.steady import Steady, steady
from tests.servers import Server, StartServer

pytestmark = pytest.mark.server

OFFERED_BYTES = 100_000_000
MAX_GROWTH_BYTES = 8 * 2**20
FILLED_BYTES = 40_000_000
"""Until the feeds have sent so much, what is kept of them to resume from grows; then it is full."""
LIKE_S = (2.0, 9.0)
"""Of a stuck viewer's time, and of as long a one without: their memory is compared. It is cut after 10 s."""
LEADS, RATE_HZ, SAMPLES = 16, 2000.0, 960
"""Noise of 32 bits, which no codec makes smaller: 61,440 bytes in a chunk, as much as a message may hold."""
FEEDS = 4
STUCK = ((0, 1, 2, 3), (0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3))
"""Viewers that stop at once, and the feeds that each of them watches: no two share their messages. What the
server has resident comes and goes by as much as one of them may cost, and by little beside all of theirs."""
MAX_ROUNDS = 12
PACE_BYTES_PER_S = 3_800_000
"""A feed's share, below the 4 MiB/s from which on the server cuts a device."""
MAX_UNACKED = 16
"""Chunks: a device that does not wait for acks is cut, too, as soon as a server has 1 MiB of its messages."""
SIGNALS = [{"name": f"L{n}", "unit": "uV", "gain": 1.0, "baseline": 0, "adc_bits": 32} for n in range(LEADS)]
LEADS_OFF = [signal["name"] for signal in SIGNALS]
"""Nobody looks for beats in what the device says is no signal: this is about what viewers are sent."""
KERNEL_BYTES = 2**20
"""What the kernel takes for a stuck viewer: a window's messages, and the close frame behind them. What has
no room there is lost with the reset by which the server hangs up."""
ESTABLISHED = 1
"""Of the states in Linux's tcp_info (include/net/tcp_states.h)."""


class _Hose:
    """A device that pushes noise as fast as it is allowed."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        noise = np.random.default_rng(1).integers(-(2**31), 2**31, (LEADS, SAMPLES), np.int32)
        self._payload = payload(noise)
        self._acked = asyncio.Condition()
        self.taken = 0
        """Chunks that the server has acknowledged: by then each has been offered to every viewer."""

    @property
    def taken_bytes(self) -> int:
        """The size of what was taken."""
        return self.taken * len(self._payload)

    async def push(self) -> None:
        """Until cancelled; each chunk takes the next sample indices."""
        await self._peer.say({"type": "quality", "sample": 0, "leads_off": LEADS_OFF})
        for number in itertools.count():
            async with self._acked:
                while number - self.taken >= MAX_UNACKED:
                    await self._acked.wait()
            frame = encode_frame(FrameKind.WAVEFORM, number & 0xFFFF, number * SAMPLES, self._payload)
            # What was late is not made up for: a burst would keep a slow machine from everybody else.
            due = time.monotonic() + len(self._payload) / PACE_BYTES_PER_S
            await self._peer.say(encode_bundle([frame]))
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def read_acks(self) -> None:
        """Until cancelled."""
        async for message in self._peer.socket:
            async with self._acked:
                self.taken = max(self.taken, json.loads(message).get("next_sample", 0) // SAMPLES)
                self._acked.notify_all()


async def test_viewers_that_stop_reading_while_100_mb_are_offered(daphne: StartServer) -> None:
    server = daphne()
    with Shell(server) as shell:
        calm = shell.run("admit", "calm")
        beds = [shell.run("admit", f"noise {n}") for n in range(FEEDS)]
        token = shell.run("employ", "nurse", "Ward a")
        shell.run("set_profile", mem_level=8)  # noise costs deflate half the time then
    async with contextlib.AsyncExitStack() as stack:
        others = await stack.enter_async_context(steady(server, calm["stream"], calm["token"], token))
        hoses = [
            _Hose(
                await stack.enter_async_context(
                    device(server, bed["token"], f"firehose-{n}", signals=SIGNALS, rate_hz=RATE_HZ)
                )
            )
            for n, bed in enumerate(beds)
        ]
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(work) for hose in hoses for work in (hose.push(), hose.read_acks())]
            offered = 0
            # Three rounds on a free machine; where the server gets half a core, others until it is enough.
            for _ in range(MAX_ROUNDS):
                if offered >= OFFERED_BYTES:
                    break
                await _filled(others, hoses)
                got = await _round(server, token, calm["stream"], [bed["stream"] for bed in beds], hoses)
                offered += got.offered_bytes
                for ending in got.endings:
                    assert (ending.code, "not acked in time" in ending.reason) == (CloseCode.SLOW, True), got
                # Cut after 10 to 12 s; the engine waits 1 s for the other close frame before it hangs up.
                assert got.first_cut_s >= 10, got
                assert got.last_cut_s < 15, got
                assert got.grown_bytes < MAX_GROWTH_BYTES, got
            for task in running:
                task.cancel()
        await others.goes_on()
    assert offered >= OFFERED_BYTES


@dataclass(frozen=True, slots=True)
class _Round:
    """What came of viewers that stopped at once."""

    offered_bytes: int
    """To the one who was offered least."""
    grown_bytes: float
    """By a viewer."""
    first_cut_s: float
    """Since the first of them connected."""
    last_cut_s: float
    """Since the last of them has stopped."""
    endings: Sequence[Ending]


async def _round(
    server: Server, token: str, calm: str, feeds: Sequence[str], hoses: Sequence[_Hose]
) -> _Round:
    """Have the server's memory for a while without stuck viewers, then as long as all of them are stuck."""
    until = time.monotonic() + LIKE_S[1]
    alone = _typical(await _memory(server, lambda: time.monotonic() < until))
    stuck: list[Peer] = []
    async with contextlib.AsyncExitStack() as viewers:
        opening_at = time.monotonic()
        for watched in STUCK:
            streams = [calm, *(feeds[feed] for feed in watched)]
            peer = await viewers.enter_async_context(viewer(server, token, *streams))
            _stop_reading(peer)
            stuck.append(peer)
        stopped_at = time.monotonic()
        before = [hose.taken_bytes for hose in hoses]
        resident = await _memory(server, lambda: all(_is_open(peer) for peer in stuck))
        first_cut_at = time.monotonic()
        taken = [hose.taken_bytes - had for hose, had in zip(hoses, before, strict=True)]
        await _memory(server, lambda: any(_is_open(peer) for peer in stuck))
        last_cut_at = time.monotonic()
        endings = [await _read_on(peer) for peer in stuck]
    return _Round(
        offered_bytes=min(sum(taken[feed] for feed in watched) for watched in STUCK),
        grown_bytes=(_typical(resident) - alone) / len(STUCK),
        first_cut_s=first_cut_at - opening_at,
        last_cut_s=last_cut_at - stopped_at,
        endings=endings,
    )


async def _filled(others: Steady, hoses: Sequence[_Hose]) -> None:
    """Wait until the server holds all that it will of the feeds."""
    await others.goes_on()
    while sum(hose.taken_bytes for hose in hoses) < FILLED_BYTES:
        await others.goes_on()


async def _memory(server: Server, goes_on: Callable[[], bool]) -> list[tuple[float, int]]:
    """What the server has resident as long as that is true, and after how many seconds of it."""
    began, readings = time.monotonic(), list[tuple[float, int]]()
    async with asyncio.timeout(30):
        while goes_on():
            readings.append((time.monotonic() - began, server.rss_bytes()))
            await asyncio.sleep(0.05)  # a reading of memory is a sample: there is no event to wait for
    return readings


def _typical(readings: list[tuple[float, int]]) -> int:
    """The median within LIKE_S: by then a queue is as full as it gets; what comes and goes does not count."""
    return round(median(size for at, size in readings if LIKE_S[0] <= at <= LIKE_S[1]))


def _stop_reading(peer: Peer) -> None:
    raw = peer.socket.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BYTES)
    peer.socket.transport.pause_reading()


async def _read_on(peer: Peer) -> Ending:
    """What its kernel has kept for it, up to the end."""
    peer.socket.transport.resume_reading()
    return await peer.ended()


def _is_open(stuck: Peer) -> bool:
    """Whether the server has not hung up on the viewer, which does not read."""
    raw = stuck.socket.transport.get_extra_info("socket")
    state: int = raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return state == ESTABLISHED
