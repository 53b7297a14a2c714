"""A viewer whose TCP connection is cut has every sample in the end, of a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest

from streaming.client import Device, Disconnected, Frame, Gap, Lead, Source, Viewer
from streaming.core.spans import SpanSet
from tests.e2e.peers import DEADLINE_S, RATE_HZ, viewer
from tests.e2e.shell import Shell
from tests.servers import Server, StartServer

pytestmark = pytest.mark.server

CHUNK = 25


class Recorder:
    """All that a viewer yields; a value is its own index."""

    def __init__(self) -> None:
        self.had = SpanSet()
        self.late = 0
        self.gaps: list[Gap] = []
        self.cuts = 0
        self.changed = asyncio.Condition()

    async def record(self, nurse: Viewer) -> None:
        async for event in nurse:
            async with self.changed:
                if isinstance(event, Frame):
                    assert event.samples[0].tolist() == [n % 1000 for n in range(event.first, event.stop)]
                    assert not self.had.overlap(event.first, event.stop), "no sample comes twice"
                    self.had.add(event.first, event.stop)
                    self.late += not event.live
                elif isinstance(event, Gap):
                    self.gaps.append(event)
                self.cuts += isinstance(event, Disconnected)
                self.changed.notify_all()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S), self.changed:
            await self.changed.wait_for(holds)


async def _feed(device: Device) -> None:
    while True:
        first = device.next_sample
        await device.send((np.arange(first, first + CHUNK) % 1000).astype(np.int16)[None, :])
        await asyncio.sleep(CHUNK / RATE_HZ)


def _cut(nurse: Viewer) -> None:
    """As when somebody pulls the plug: no close frame."""
    line = nurse._line
    assert line is not None
    line._socket.transport.abort()


async def test_cut_viewer_has_every_sample_in_the_end(daphne: StartServer) -> None:
    server = daphne()
    with Shell(server) as shell:
        bed, token = shell.run("admit", "monitor"), shell.run("employ", "nurse", "Ward a")
    recorder = Recorder()
    async with _device(server, bed["token"]) as device, Viewer(server.ws_url, token=token) as nurse:
        await device.wait_connected()
        await nurse.subscribe([bed["stream"]])
        tasks = [asyncio.create_task(recorder.record(nurse)), asyncio.create_task(_feed(device))]
        await recorder.until(lambda: len(recorder.had) > 0)
        for cut in range(1, 5):
            _cut(nurse)
            await recorder.until(lambda cut=cut: recorder.cuts == cut)  # type: ignore[misc]
            stop = device.next_sample
            await recorder.until(lambda stop=stop: list(recorder.had)[-1][1] > stop)  # type: ignore[misc]
        stop = device.next_sample
        await recorder.until(lambda: len(recorder.had) == 1 and list(recorder.had)[-1][1] >= stop)
        assert recorder.late > 0
        assert {(gap.reason, gap.recoverable) for gap in recorder.gaps} == {("away", True)}
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_who_may_not_see_a_stream_cannot_resume_it(daphne: StartServer) -> None:
    server = daphne()
    with Shell(server) as shell:
        mine, other = shell.run("admit", "mine"), shell.run("admit", "other", "Ward b")
        token = shell.run("employ", "nurse", "Ward a")
    async with viewer(server, token, mine["stream"]) as peer:
        for stream in (other["stream"], "nobody"):
            await peer.say({"type": "resume", "stream": stream, "epoch": 1, "next_sample": 0})
            assert (await peer.hear("denied"))["stream"] == stream
        await peer.say({"type": "resume", "stream": mine["stream"], "epoch": 1, "next_sample": 2**40})
        ending = await peer.ended()
    assert (ending.code, ending.reason) == (4400, "next_sample is not from 0 to 4294967296")


def _device(server: Server, token: str) -> Device:
    return Device(server.ws_url, token, signals=[Lead("II", 5.0)], rate_hz=RATE_HZ, source=Source.SIM)
