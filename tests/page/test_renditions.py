"""What a page shows of streams that a narrow network thins out, told by a test in place of the server."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np
import pytest
from playwright.async_api import Page, WebSocketRoute, expect

from streaming.client import Pacer
from streaming.client.playback import simulated_leads
from streaming.core import messages
from streaming.core.frames import FrameKind, encode_frame
from streaming.core.framing import encode_bundle
from streaming.core.messages import RosterEntry
from streaming.core.streams import Source, StreamInfo
from streaming.ecg.codec import Samples, WaveformEncoder
from streaming.ecg.simulator import Simulator
from tests.page.scene import DEADLINE_MS, RATE_HZ, Scene, stop_of, traced

pytestmark = [pytest.mark.server, pytest.mark.browser]

expect.set_options(timeout=DEADLINE_MS)

STREAM, OTHER = "aaaaaaaaaaaa", "bbbbbbbbbbbb"
LEADS = ("V1", "II")
LOSSLESS, OVERVIEW, NUMBERS = 1, 2, 3
FACTOR = 5
V1_ROW, II_ROW = (0.02, 0.45), (0.5, 1.0)
"""Of the height of a patient's canvas."""
OVERVIEW_S = 0.5


class Line:
    """The server's end of one page's WebSocket, with two beds; the first one is `patient`."""

    def __init__(self) -> None:
        self.patient = Simulator("sinus", rate_hz=RATE_HZ, leads=LEADS, seed=1)
        self.subscriptions: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.next_sample = 0
        self._last: Samples = np.zeros((len(LEADS), 0), np.int16)
        self._info = StreamInfo(
            STREAM, 1, "P-1", "w", Source.SIM, RATE_HZ, tuple(simulated_leads(self.patient))
        )
        self._encoder = WaveformEncoder()
        self._pacer = Pacer()
        self._socket: WebSocketRoute | None = None

    async def subscribed(self) -> dict[str, Any]:
        """What the page asks for next; TimeoutError when it asks for nothing."""
        async with asyncio.timeout(DEADLINE_MS / 1000):
            return await self.subscriptions.get()

    def answer(self, socket: WebSocketRoute) -> None:
        """A page has connected."""
        self._socket = socket
        socket.on_message(self._heard)

    def _heard(self, text: str | bytes) -> None:
        message = json.loads(text)
        if message["type"] == "hello":
            beds = [
                RosterEntry(stream, f"P-{bed}", "", "w", "Ward", bed, Source.SIM, online=True)
                for stream, bed in ((STREAM, "01"), (OTHER, "02"))
            ]
            self.send(messages.welcome(connection="c-1", server_ms=0.0))
            self.send(messages.roster(beds))
        elif message["type"] == "subscribe":
            self.subscriptions.put_nowait(message)
        elif message["type"] == "time":
            self.send(messages.time(0.0, t0=message["t0"]))

    def send(self, message: str | bytes) -> None:
        assert self._socket is not None
        self._socket.send(message)

    def announce(self, alias: int, rendition: str, *, factor: int = 1, leads: Sequence[str] = LEADS) -> None:
        """Say what an alias means; `leads` are those that are sent under it."""
        message = json.loads(messages.stream(self._info, alias, rendition=rendition, factor=factor))
        message["leads"] = [lead for lead in message["leads"] if lead["name"] in leads]
        self.send(json.dumps(message))

    async def lossless(self, seconds: float) -> None:
        """Frames of 0.1 s as they are due, the first with what an overview before it left out."""
        left_out = self._last[:, 1 - FACTOR :]
        for _ in range(round(seconds / 0.1)):
            samples = await self._due(0.1)
            self._frame(LOSSLESS, np.concatenate([left_out, samples], axis=1, dtype=np.int16), 1)
            left_out = samples[:, :0]

    async def overview(self, seconds: float) -> None:
        """The second lead alone, every fifth sample."""
        for _ in range(round(seconds / OVERVIEW_S)):
            samples = await self._due(OVERVIEW_S)
            self._frame(OVERVIEW, samples[1:, ::FACTOR].astype(np.int16), FACTOR)

    async def numbers(self, seconds: int) -> None:
        """A heart rate each second, and no samples."""
        for _ in range(seconds):
            await self._due(1.0)
            self.send(messages.vitals(STREAM, epoch=1, sample=self.next_sample, hr=72, hr_source="II"))

    @asynccontextmanager
    async def going_on(self, sending: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
        """What is sent beside the body, and no longer."""
        task = asyncio.create_task(sending)
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _due(self, seconds: float) -> Samples:
        samples = self.patient.read(round(seconds * RATE_HZ))
        self.next_sample += samples.shape[1]
        self._last = samples
        await self._pacer.until(self.next_sample / RATE_HZ)
        return samples

    def _frame(self, alias: int, samples: Samples, factor: int) -> None:
        first = self.next_sample - samples.shape[1] * factor
        payload = self._encoder.encode(samples)
        self.send(encode_bundle([encode_frame(FrameKind.WAVEFORM, alias, first, payload)]))


async def _shares(page: Page, first: int, stop: int) -> tuple[float, float]:
    """Where two samples stand on the canvas, as shares of its width."""
    arguments = [STREAM, first, stop]
    left, right = await page.evaluate(
        """([stream, first, stop]) => {
          const { width } = document.querySelector("canvas.trace");
          return window.vital.columns(stream, [first, stop]).map((column) => column / width);
        }""",
        arguments,
    )
    return left, right


async def test_a_lead_that_is_not_sent_is_hatched_and_named_until_it_is_back(ward: Scene) -> None:
    line = Line()
    page = await ward.open(
        f"/patients/{STREAM}/", answer=line.answer, viewport={"width": 1920, "height": 900}
    )
    await line.subscribed()
    line.announce(LOSSLESS, "lossless")
    await line.lossless(2.0)
    line.announce(OVERVIEW, "overview", factor=FACTOR, leads=("II",))
    labels, note = page.locator(".row-labels li"), page.locator(".wave-note")
    async with asyncio.TaskGroup() as beside:  # while it comes: of what is stale nothing of this is said
        beside.create_task(line.overview(3.0))
        await expect(labels).to_have_text(["V1 not sent", "II"])
        await expect(note).to_have_text("Lead V1 not sent: narrow network")
        await expect(page.locator('[data-part="leads"]')).to_have_text("1 of 2")
        await expect(page.locator('[data-part="rate"]')).to_have_text("50 Hz")
        await expect(page.locator('[data-part="rendition-word"]')).to_have_text("overview")
        await expect(page.locator('[data-part="rendition"]')).to_have_attribute("data-level", "1")
    await line.lossless(2.0)
    await stop_of(page, STREAM, 1700)
    await expect(labels).to_have_text(["V1", "II"])
    await expect(note).to_have_text("")
    await expect(page.locator('[data-part="rendition-word"]')).to_have_text("lossless")
    (held,) = [stream for stream in await page.evaluate("() => window.vital.streams()") if stream["stop"]]
    assert held["spans"] == [[0, 1750]]
    for first, stop, of_v1 in ((50, 490, True), (510, 1240, False), (1260, 1650, True)):
        left, right = await _shares(page, first, stop)
        v1, ii, hatched = [
            await traced(page, ".waves", left, right, token=token, rows=rows)
            for token, rows in (("--trace", V1_ROW), ("--trace", II_ROW), ("--hatch", V1_ROW))
        ]
        assert ii > 100, "II is traced throughout"
        assert (v1 > 100, hatched > 100) == (of_v1, not of_v1)


async def test_numbers_alone_keep_a_bed_live_until_they_stop(ward: Scene) -> None:
    line = Line()
    page = await ward.open(answer=line.answer, viewport={"width": 1920, "height": 900})
    await line.subscribed()
    tile = page.locator(f'[data-stream="{STREAM}"]')
    line.announce(LOSSLESS, "lossless")
    await line.lossless(2.0)
    line.announce(NUMBERS, "vitals")
    await line.numbers(5)
    async with line.going_on(line.numbers(60)):
        await expect(tile).to_have_attribute("data-state", re.compile("live|late"))
        await expect(tile.locator(".wave-note")).to_have_text("Numbers only: narrow network")
        await expect(tile.locator(".hr-val")).to_have_text("72")
        await expect(tile.locator(".what")).to_have_text("")
        await expect(tile.locator(".rend")).to_have_text("vitals")
        await expect(tile).to_have_attribute("aria-label", re.compile("heart rate 72, rendition vitals"))
        ended, later = await _shares(page, 500, 1000)
        assert await traced(page, ".tile", ended + 0.005, later) == 0
        assert await traced(page, ".tile", ended + 0.005, later, token="--hatch") > 100
    async with line.going_on(line.lossless(60)):
        await expect(tile.locator(".rend")).to_have_text("lossless")
        await expect(tile.locator(".wave-note")).to_have_text("")
        await stop_of(page, STREAM, line.next_sample)
    line.announce(NUMBERS, "vitals")
    await line.numbers(1)
    await expect(tile).to_have_attribute("data-state", "stale")
    await expect(tile.locator(".what")).to_have_text(re.compile(r"^No data \d+ s$"))
    await expect(tile.locator(".hr-val")).to_have_text("--")


async def test_the_patient_that_is_looked_at_is_the_focus_and_the_ward_goes_on(ward: Scene) -> None:
    line = Line()
    page = await ward.open(answer=line.answer)
    watched = await line.subscribed()
    assert (watched["streams"], watched["focus"]) == ([STREAM, OTHER], None)
    await page.click(f'[data-stream="{OTHER}"]')
    watched = await line.subscribed()
    assert (sorted(watched["streams"]), watched["focus"]) == ([STREAM, OTHER], OTHER)
    await page.keyboard.press("Escape")
    assert (await line.subscribed())["focus"] is None
