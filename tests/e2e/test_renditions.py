"""A real server, a viewer whose path is narrow for a while, and one whose path is wide."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest

from streaming.client import Device, Disconnected, Frame, Gap, GapReason, Pacer, Stats, Viewer
from streaming.client.playback import play, simulated, simulated_leads
from streaming.core.streams import Source
from streaming.ecg.leads import TWELVE_LEADS
from streaming.ecg.simulator import Simulator
from tests.e2e.shell import Shell
from tests.narrow import narrow_path
from tests.servers import StartServer

pytestmark = pytest.mark.server

NARROW_BYTES_PER_S = 1_700.0
"""Twelve leads at 500 Hz take 3,000 as they come, 1,000 as `display`."""
DEADLINE_S = 60.0
STALE_S = 3.5
"""By when a frame of half a second has to be there: what the page calls stale, and a frame."""


class Watch:
    """What one viewer was sent of its only stream."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.ages: list[float] = []
        """By how much each frame came later than its last sample, against the promptest frame of all."""
        self.holes: list[tuple[int, int]] = []
        self.gaps: list[Gap] = []
        self.stats: list[Stats] = []
        self._heard = asyncio.Condition()

    async def read(self, viewer: Viewer) -> None:
        """Until cancelled."""
        reached: int | None = None
        async for event in viewer:
            async with self._heard:
                assert not isinstance(event, Disconnected), event
                if isinstance(event, Frame):
                    if reached is not None and event.first >= reached + event.info.factor:
                        self.holes.append((reached, event.first))
                    reached = event.stop
                    self.frames.append(event)
                    self.ages.append(time.monotonic() - event.stop / event.info.rate_hz)
                elif isinstance(event, Gap):
                    self.gaps.append(event)
                    reached = max(reached or 0, event.stop)
                elif isinstance(event, Stats):
                    self.stats.append(event)
                self._heard.notify_all()

    async def until(self, true: Callable[[Watch], bool]) -> None:
        """Wait for what is asked."""
        async with asyncio.timeout(DEADLINE_S), self._heard:
            await self._heard.wait_for(lambda: true(self))

    @property
    def rendition(self) -> str:
        """Of the newest frame."""
        return self.frames[-1].info.rendition if self.frames else ""


@asynccontextmanager
async def watching(url: str, token: str, stream: str) -> AsyncIterator[Watch]:
    watch = Watch()
    async with Viewer(url.replace("http", "ws", 1), token=token) as viewer:
        await viewer.subscribe([stream])
        reading = asyncio.create_task(watch.read(viewer))
        try:
            yield watch
            assert not reading.done()
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def test_a_path_that_is_narrow_for_a_while(daphne: StartServer) -> None:
    server = daphne()
    with Shell(server) as shell:
        bed = shell.run("admit", "monitor")
        token = shell.run("employ", "nurse", "Ward a")
    patient = Simulator("sinus", rate_hz=500.0, leads=TWELVE_LEADS, seed=1, gain_uv=1.0)
    async with (
        narrow_path(server.url, NARROW_BYTES_PER_S) as path,
        Device(
            server.ws_url,
            bed["token"],
            signals=simulated_leads(patient),
            rate_hz=patient.rate_hz,
            source=Source.SIM,
        ) as device,
        watching(path.url, token, bed["stream"]) as narrow,
        watching(server.url, token, bed["stream"]) as wide,
    ):
        playing = asyncio.create_task(play(device, simulated(patient), Pacer()))
        try:
            await wide.until(lambda seen: seen.rendition == "lossless")
            began = len(wide.frames)
            await narrow.until(lambda seen: seen.rendition in {"display", "overview"})
            settled = len(narrow.frames)
            await narrow.until(lambda seen: len(seen.frames) > settled + 20)
            promptest = min(wide.ages)
            late = [age - promptest > STALE_S for age in narrow.ages[settled + 10 :]]
            assert np.mean(late) < 0.1
            assert narrow.holes == []
            assert {stats.rendition for stats in narrow.stats} & {"display", "overview"}

            path.bytes_per_s = math.inf
            await narrow.until(
                lambda seen: seen.rendition == "lossless" and seen.frames[-1].info.frame_ms == 100
            )
            await narrow.until(lambda seen: seen.stats[-1].rendition == "lossless")
            assert narrow.holes == wide.holes == []
            assert wide.gaps == []
            reasons = {gap.reason for gap in narrow.gaps}
            assert reasons <= {GapReason.EXPIRED, GapReason.DROPPED, GapReason.RENDITION}
            assert {frame.info.rendition for frame in wide.frames[began:]} == {"lossless"}
        finally:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
