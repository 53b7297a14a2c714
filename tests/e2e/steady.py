"""A patient and a colleague to whom nothing may happen while a test does its worst beside them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streaming.client import Device, Disconnected, Frame, Gap, Pacer, Viewer
from streaming.client.playback import play, simulated, simulated_leads
from streaming.core.streams import Source
from streaming.ecg.simulator import Simulator
from tests.e2e.peers import DEADLINE_S
from tests.servers import Server


class Steady:
    """One simulated patient in real time, and a viewer that insists on every sample of it."""

    def __init__(self) -> None:
        self.next_sample: int | None = None
        self.complaints: list[str] = []
        self.frames = 0
        self._progress = asyncio.Condition()

    async def goes_on(self, frames: int = 2) -> None:
        """Wait for frames from now on; AssertionError when anything was missing since the beginning."""
        # Under load a frame holds up to a second.
        async with asyncio.timeout(DEADLINE_S + frames), self._progress:
            until = self.frames + frames
            await self._progress.wait_for(lambda: self.frames >= until or bool(self.complaints))
        assert self.complaints == [], str(self.complaints)

    async def watch(self, viewer: Viewer) -> None:
        """Check what comes; runs until cancelled."""
        async for event in viewer:
            async with self._progress:
                if isinstance(event, Gap | Disconnected):
                    self.complaints.append(repr(event))
                elif isinstance(event, Frame):
                    if event.first != (self.next_sample or event.first):
                        self.complaints.append(f"frame at {event.first}, not at {self.next_sample}")
                    self.next_sample = event.stop
                    self.frames += 1
                self._progress.notify_all()


@asynccontextmanager
async def steady(
    server: Server, stream: str, device_token: str, viewer_token: str, *, watch_at: Server | None = None
) -> AsyncIterator[Steady]:
    """Both at work, the viewer perhaps at another server; leaving checks once more that they still are."""
    patient = Simulator("sinus", rate_hz=250.0, seed=1)
    watched = Steady()
    async with (
        Device(
            server.ws_url,
            device_token,
            signals=simulated_leads(patient),
            rate_hz=patient.rate_hz,
            source=Source.SIM,
        ) as device,
        Viewer((watch_at or server).ws_url, token=viewer_token) as viewer,
    ):
        await viewer.subscribe([stream])
        tasks = [
            asyncio.create_task(play(device, simulated(patient), Pacer())),
            asyncio.create_task(watched.watch(viewer)),
        ]
        try:
            await watched.goes_on()
            yield watched
            await watched.goes_on()
            assert device.reconnects == viewer.reconnects == 0
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
