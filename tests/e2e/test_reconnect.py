"""A cut connection and a restarted server cost no sample: the session goes on where it was."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import numpy as np
import pytest

from streaming.client import Device, Frame, Gap, GapReason, Lead, Source, Viewer
from tests.e2e.peers import DEADLINE_S, RATE_HZ, chunk, device, hello, opened, viewer
from tests.e2e.shell import Shell
from tests.servers import Server, StartServer

pytestmark = pytest.mark.server

CHUNK = 25


@dataclass(slots=True)
class _Seen:
    """Which samples a viewer has, and which it was told are missing; a value is its own index."""

    epochs: set[int] = field(default_factory=set)
    samples: set[int] = field(default_factory=set)
    gaps: list[Gap] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def watch(self, viewer: Viewer) -> None:
        async for event in viewer:
            async with self.changed:
                if isinstance(event, Gap):
                    self.gaps.append(event)
                elif isinstance(event, Frame):
                    assert event.samples[0].tolist() == [n % 1000 for n in range(event.first, event.stop)]
                    self.epochs.add(event.epoch)
                    self.samples.update(range(event.first, event.stop))
                self.changed.notify_all()

    async def has(self, first: int, stop: int) -> None:
        """Wait until every one of these samples has come."""
        async with asyncio.timeout(DEADLINE_S), self.changed:
            await self.changed.wait_for(lambda: self.samples.issuperset(range(first, stop)))


def _device(server: Server, token: str) -> Device:
    return Device(server.ws_url, token, signals=[Lead("II", 5.0)], rate_hz=RATE_HZ, source=Source.SIM)


async def _send(device: Device, chunks: int) -> None:
    for _ in range(chunks):
        first = device.next_sample
        await device.send((np.arange(first, first + CHUNK) % 1000).astype(np.int16)[None, :])


def _cut(device: Device) -> None:
    """As when somebody pulls the plug: no close frame."""
    line = device._line
    assert line is not None
    line._socket.transport.abort()


async def test_cut_connection_loses_nothing_and_keeps_the_epoch(daphne: StartServer) -> None:
    server = daphne()
    with Shell(server) as shell:
        bed, token = shell.run("admit", "monitor"), shell.run("employ", "nurse", "Ward a")
    seen = _Seen()
    async with (
        _device(server, bed["token"]) as device,
        Viewer(server.ws_url, token=token) as nurse,
    ):
        await device.wait_connected()
        await nurse.subscribe([bed["stream"]])
        watching = asyncio.create_task(seen.watch(nurse))
        begin = await _until_seen(device, seen)
        for _ in range(3):
            await _send(device, 2)
            _cut(device)
            await _send(device, 5)
            async with asyncio.timeout(DEADLINE_S):
                await device.drain()
        await seen.has(begin, device.next_sample)
        assert (seen.epochs, device.reconnects, device.abandoned_samples) == ({device.epoch}, 3, 0)
        assert seen.gaps == []
        watching.cancel()


async def test_restarted_server_continues_the_session(daphne: StartServer) -> None:
    server = daphne()
    with Shell(server) as shell:
        bed, token = shell.run("admit", "monitor"), shell.run("employ", "nurse", "Ward a")
    async with device(server, bed["token"], "session-one") as feed:
        epoch = feed.heard[0]["epoch"]
        await feed.say(chunk(0))
        assert (await feed.hear("ack"))["next_sample"] == CHUNK
        await asyncio.to_thread(server.stop)
    again = await asyncio.to_thread(server.start)
    async with viewer(again, token, bed["stream"]) as nurse, opened(again, "/ws/device/") as feed:
        await feed.say(hello(bed["token"], "session-one", next_sample=CHUNK))
        welcome = await feed.hear("welcome")
        assert (welcome["epoch"], welcome["next_sample"]) == (epoch, CHUNK)
        await feed.say(chunk(CHUNK))
        assert (await nurse.hear_frame()).first == CHUNK
        assert nurse.heard[-1]["type"] != "gap"


async def test_samples_that_come_late_fill_their_gap(daphne: StartServer) -> None:
    server = daphne()
    with Shell(server) as shell:
        bed, token = shell.run("admit", "monitor"), shell.run("employ", "nurse", "Ward a")
    async with Viewer(server.ws_url, token=token) as nurse:
        await nurse.subscribe([bed["stream"]])
        async with device(server, bed["token"], "session-one") as feed:
            for first in (0, 100):
                await feed.say(chunk(first))
            await feed.all_taken()
        async with device(server, bed["token"], "session-one") as feed:
            assert feed.heard[0]["next_sample"] == 125
            for first in (25, 50, 75, 125):
                await feed.say(chunk(first))
            frames: list[Frame] = []
            gaps: list[Gap] = []
            async with asyncio.timeout(DEADLINE_S):
                async for event in nurse:
                    if isinstance(event, Frame):
                        frames.append(event)
                    elif isinstance(event, Gap):
                        gaps.append(event)
                    if len(frames) == 6:  # the live one may overtake those that came late
                        break
    assert [(gap.first, gap.stop, gap.reason) for gap in gaps] == [(25, 100, GapReason.SOURCE)]
    assert sorted((frame.first, frame.live) for frame in frames) == [
        (0, True), (25, False), (50, False), (75, False), (100, True), (125, True),
    ]  # fmt: skip


async def _until_seen(device: Device, seen: _Seen) -> int:
    """Send until the viewer's subscription shows; the first sample that it has."""
    async with asyncio.timeout(DEADLINE_S):
        while not seen.samples:
            await _send(device, 1)
            await asyncio.sleep(0.1)  # the pace of a device
    return min(seen.samples)
