"""A patient whose samples tell their own index, and a viewer that knows at once what is wrong with them."""

from __future__ import annotations

import asyncio
import ssl as ssl_module
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import numpy as np

from streaming.client import Device, Disconnected, Frame, Gap, Pacer, Stats, Viewer
from streaming.client.playback import CHUNK_S, Step, play
from streaming.core.renditions import Quality
from streaming.core.streams import Lead, Source

LEAD = Lead("II", 5.0)
RATE_HZ = 250.0
PERIOD = 2**14
DEADLINE_S = 20.0


def numbered() -> Iterator[Step]:
    """Sample i is i modulo 2^14, for ever."""
    count, first = round(CHUNK_S * RATE_HZ), 0
    while True:
        yield Step(count, _values(first, count))
        first += count


def _values(first: int, count: int, step: int = 1) -> np.ndarray[tuple[int, int], np.dtype[np.int16]]:
    return (first + step * np.arange(count)[None, :]).astype(np.int64).__mod__(PERIOD).astype(np.int16)


class Witness:
    """What one viewer was sent of one stream: every hole has a GAP, no sample is wrong or comes twice.

    After a reconnect the viewer begins at the present: nothing is asked of what lies between.
    """

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.next_sample: int | None = None
        self.gaps: list[Gap] = []
        self.longest_s = 0.0
        """The longest time between two live frames."""
        self.disconnects = 0
        self.layers: list[str] = []
        """What the server said of its layer, each change once."""
        self.epochs: list[int] = []
        self._gap_until = 0
        self._heard_at: float | None = None
        self._news = asyncio.Condition()

    async def watch(self, viewer: Viewer) -> None:
        """Judge what comes; runs until cancelled."""
        async for event in viewer:
            async with self._news:
                self._judge(event)
                self._news.notify_all()

    async def reaches(self, sample: int) -> float:
        """Wait until the trace stands at `sample`; the time it took."""
        return await self.until(lambda: (self.next_sample or 0) >= sample, f"deaf, waiting for {sample}")

    async def hears_that_the_layer_is(self, state: str) -> float:
        """Wait until the server says so; the time it took."""
        return await self.until(lambda: self.layers[-1:] == [state], f"never told that the layer is {state}")

    async def until(self, condition: Callable[[], bool], otherwise: str) -> float:
        """Wait for what comes to bring it about; AssertionError when it does not, or something is wrong."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(DEADLINE_S), self._news:
                await self._news.wait_for(lambda: bool(self.complaints) or condition())
        except TimeoutError:
            self.complaints.append(f"{otherwise} at {self.next_sample}")
        assert self.complaints == [], str(self.complaints)
        return loop.time() - began

    def forget_pause(self) -> None:
        """Measure `longest_s` from now on."""
        self.longest_s = 0.0

    def _judge(self, event: object) -> None:
        if isinstance(event, Disconnected):
            self.disconnects += 1
            self.next_sample = None
        elif isinstance(event, Stats):
            if self.layers[-1:] != [event.layer]:
                self.layers.append(event.layer)
        elif isinstance(event, Gap):
            self.gaps.append(event)
            self._gap_until = max(self._gap_until, event.stop)
        elif isinstance(event, Frame):
            self._judge_frame(event)

    def _judge_frame(self, frame: Frame) -> None:
        factor, count = frame.info.factor, frame.samples.shape[1]
        if frame.epoch not in self.epochs:
            self.epochs.append(frame.epoch)
        if frame.info.rendition == Quality.LOSSLESS and not np.array_equal(
            frame.samples, _values(frame.first, count)
        ):
            self.complaints.append(f"wrong samples from {frame.first}")
        if not frame.live:
            return
        now = asyncio.get_running_loop().time()
        if self._heard_at is not None:
            self.longest_s = max(self.longest_s, now - self._heard_at)
        self._heard_at = now
        known = self.next_sample
        if known is not None and frame.first + factor - 1 < known:
            self.complaints.append(f"{frame.first} came again at {known}")
        if known is not None and frame.first >= known + factor and self._gap_until < frame.first:
            self.complaints.append(f"hidden gap from {known} to {frame.first}")
        self.next_sample = frame.first + factor * count


@asynccontextmanager
async def numbered_device(
    url: str, token: str, *, ssl: ssl_module.SSLContext | None = None
) -> AsyncIterator[Device]:
    """The patient, in real time, at the server of this root."""
    async with Device(url, token, signals=[LEAD], rate_hz=RATE_HZ, source=Source.SIM, ssl=ssl) as device:
        playing = asyncio.create_task(play(device, numbered(), Pacer()))
        try:
            yield device
        finally:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)


@asynccontextmanager
async def witness(
    url: str, token: str, stream: str, *, ssl: ssl_module.SSLContext | None = None
) -> AsyncIterator[Witness]:
    """A viewer of `stream` at the server of this root; leaving checks that it still has no complaint."""
    async with Viewer(url, token=token, ssl=ssl) as viewer:
        await viewer.subscribe([stream])
        seen = Witness()
        watching = asyncio.create_task(seen.watch(viewer))
        try:
            yield seen
            assert seen.complaints == [], str(seen.complaints)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
