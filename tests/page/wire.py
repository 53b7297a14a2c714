"""The server's end of one page's WebSocket, for tests of the paper: the samples that a test says, as due."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image
from playwright.async_api import WebSocketRoute

from streaming.client import Pacer
from streaming.core import messages
from streaming.core.frames import FrameKind, encode_frame
from streaming.core.framing import encode_bundle
from streaming.core.messages import RosterEntry
from streaming.core.streams import Lead, Source, StreamInfo
from streaming.ecg.codec import WaveformEncoder
from tests.page.scene import DEADLINE_MS

STREAM = "aaaaaaaaaaaa"
GAIN_UV = 5.0
CHUNK_S = 0.1
Pixels = npt.NDArray[np.uint8]


class Wire:
    """Give `answer` to `Scene.open`. One bed, at `rate_hz`."""

    def __init__(self, leads: Sequence[str] = ("II",), rate_hz: float = 500.0) -> None:
        self.leads = leads
        self.rate_hz = rate_hz
        self.next_sample = 0
        self._info = StreamInfo(
            STREAM, 1, "P-1", "w", Source.SIM, rate_hz, tuple(Lead(name, GAIN_UV) for name in leads)
        )
        self._encoder = WaveformEncoder()
        self._pacer = Pacer()
        self._socket: WebSocketRoute | None = None
        self._subscribed = asyncio.Event()

    def answer(self, socket: WebSocketRoute) -> None:
        """A page has connected."""
        self._socket = socket
        self._subscribed.clear()
        socket.on_message(self._heard)

    def _heard(self, text: str | bytes) -> None:
        message = json.loads(text)
        if message["type"] == "hello":
            self.send(messages.welcome(connection="c-1", server_ms=0.0))
            self.send(
                messages.roster([RosterEntry(STREAM, "P-1", "", "w", "Ward", "01", Source.SIM, online=True)])
            )
        elif message["type"] == "subscribe":
            self.describe("lossless")
            self._subscribed.set()
        elif message["type"] == "time":
            self.send(messages.time(0.0, t0=message["t0"]))

    def send(self, message: str | bytes) -> None:
        assert self._socket is not None
        self._socket.send(message)

    def describe(self, rendition: str) -> None:
        """What the frames that follow are."""
        self.send(messages.stream(self._info, 1, rendition=rendition))

    async def subscribed(self) -> None:
        """Wait until the page has asked for the bed, and was told what its frames are."""
        async with asyncio.timeout(DEADLINE_MS / 1000):
            await self._subscribed.wait()

    async def play(self, microvolts: npt.NDArray[np.float64]) -> None:
        """Samples, (leads, n), in chunks as they are due, to a page that has asked for them."""
        await self.subscribed()
        steps = np.rint(microvolts / GAIN_UV).astype(np.int16)
        size = round(CHUNK_S * self.rate_hz)
        for at in range(0, steps.shape[1], size):
            chunk = np.ascontiguousarray(steps[:, at : at + size])
            first, self.next_sample = self.next_sample, self.next_sample + chunk.shape[1]
            await self._pacer.until(self.next_sample / self.rate_hz)
            frame = encode_frame(FrameKind.WAVEFORM, 1, first, self._encoder.encode(chunk))
            self.send(encode_bundle([frame]))

    @asynccontextmanager
    async def playing(self, microvolts: npt.NDArray[np.float64]) -> AsyncIterator[None]:
        """`play` beside the body, and no longer."""
        task = asyncio.create_task(self.play(microvolts))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def skip(self, samples: int) -> None:
        """So many are never sent."""
        self.next_sample += samples

    def beats(self, *beats: tuple[int, bool]) -> None:
        """Tell of beats: the sample of each, and whether it is ventricular."""
        self.send(
            messages.vitals(STREAM, epoch=1, sample=self.next_sample, hr=60, hr_source="II", beats=beats)
        )


def pulses(seconds: float, rate_hz: float) -> npt.NDArray[np.float64]:
    """A pulse of 1 mV and 200 ms each second."""
    index = np.arange(round(seconds * rate_hz))
    return np.where(index % rate_hz < 0.2 * rate_hz, 1000.0, 0.0)[np.newaxis]


def pixels(png: bytes) -> Pixels:
    """A screenshot's pixels, (height, width, 3)."""
    return np.asarray(Image.open(BytesIO(png)).convert("RGB"))
