"""A page whose connection was cut has every sample in the end, at its own index, and says what it lacks."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import numpy as np
import pytest
from playwright.async_api import Page, WebSocketRoute

from streaming.client import Device, Pacer
from streaming.client.playback import Step, play, simulated, simulated_leads
from streaming.ecg.simulator import Simulator
from tests.page.scene import RATE_HZ, Scene, stop_of

pytestmark = [pytest.mark.server, pytest.mark.browser]

CHUNK = 25


async def _feed(device: Device) -> None:
    """Every sample is its own index."""
    while True:
        first = device.next_sample
        await device.send(np.arange(first, first + CHUNK, dtype=np.int16)[None, :])
        await asyncio.sleep(CHUNK / RATE_HZ)


async def _relayed(ward: Scene) -> tuple[Page, list[WebSocketRoute]]:
    """A page whose sockets pass through the test."""
    sockets: list[WebSocketRoute] = []
    page = await ward.open()

    def relay(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        socket.connect_to_server()

    await page.route_web_socket("**/ws/viewer/", relay)
    await page.reload()
    return page, sockets


async def test_a_cut_page_has_every_sample_in_the_end(ward: Scene) -> None:
    bed = ward.admit("monitor")
    page, sockets = await _relayed(ward)
    async with ward.device(bed) as device:
        feeding = asyncio.create_task(_feed(device))
        await stop_of(page, bed.stream, 100)
        for cut in range(1, 3):
            await sockets[-1].close(code=1011, reason="test")
            await page.wait_for_function("(n) => window.vital.stats().connections > n", arg=cut)
            await stop_of(page, bed.stream, device.next_sample + 2 * CHUNK)
        await page.wait_for_function("() => window.vital.streams()[0].spans.length === 1")
        feeding.cancel()
        with suppress(asyncio.CancelledError):
            await feeding
    (held,) = await page.evaluate("() => window.vital.streams()")
    first, stop = held["spans"][0]
    assert stop - first >= 100
    (samples,) = await page.evaluate("(range) => window.vital.samples(...range)", [bed.stream, first, stop])
    assert samples == [5.0 * index for index in range(first, stop)]


async def test_a_gap_tells_why_in_words(ward: Scene) -> None:
    bed = ward.admit("monitor")
    page = await ward.open()
    patient = Simulator("sinus", rate_hz=RATE_HZ, seed=1)
    steps = [*simulated(patient, 1.0), Step(1000, None), *simulated(patient, 1.5)]
    async with ward.device(bed, signals=simulated_leads(patient)) as device:
        await play(device, steps, Pacer())
        await stop_of(page, bed.stream, 1500)
    await page.evaluate(_TOLD)
    await page.keyboard.press("t")  # all is painted anew
    await page.wait_for_function(
        "(gap) => window.told.some((text) => text.includes(gap))", arg="gap 4.0 s: not sent by the device"
    )


_TOLD = """() => {
  window.told = [];
  const fill = CanvasRenderingContext2D.prototype.fillText;
  CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
    window.told.push(text);
    return fill.call(this, text, ...place);
  };
}"""
