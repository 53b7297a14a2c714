"""One patient for each lethal alarm, played in real time, and when a page has drawn what they raise."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from playwright.async_api import Page

from streaming.client import Device, Pacer
from streaming.client.playback import play, simulated, simulated_leads
from streaming.ecg.alarms import AlarmKind
from streaming.ecg.simulator import Simulator
from tests.alarm_onsets import RHYTHMS, due, onset, sinus_then
from tests.page.scene import RATE_HZ, Scene

SINUS_S = 30.0
PATIENCE_S = 30.0
"""After the onset; twice what the slowest of them may take."""
ASYSTOLE_S = 5.5
"""The most from the onset of an asystole until it is shown."""
BEYOND_S = 1.5
"""The same of every other one, on top of what its rule needs to see of the signal."""
CLOCKS_APART_MS = 5.0
_CLOCK = "() => [Date.now(), performance.timeOrigin + performance.now()]"
_ALL_DISPLAYED = """(wanted) => wanted.every(([stream, kind]) =>
  window.vital.probe.alarms.some((told) => told.stream === stream && told.kind === kind))"""


@dataclass(frozen=True, slots=True)
class Shown:
    """A lethal alarm on the page, in seconds after the first sample of its rhythm was there at the device."""

    kind: AlarmKind
    due_s: float
    """When its rule could first hold, by the labels."""
    raised_s: float
    """When the server's desk had it."""
    shown_s: float
    """When the page had painted it."""

    @property
    def bound_s(self) -> float:
        """By when it has to be shown."""
        return ASYSTOLE_S if self.kind is AlarmKind.ASYSTOLE else self.due_s + BEYOND_S


async def play_lethal(ward: Scene, leads: tuple[str, ...], seed: int) -> list[Shown]:
    """All of RHYTHMS at once, in a bed each, 30 s of sinus first; a page at rest shows the ward meanwhile.

    A sample is there when it is due by the device's clock, up to a chunk before it is sent. Raises
    RuntimeError where a device could not keep time.
    """
    beds = {kind: ward.admit(kind.replace(" ", "-")) for kind in RHYTHMS}
    page = await ward.open("/?probe=1")
    patients = {
        kind: Simulator(sinus_then(kind, SINUS_S), rate_hz=RATE_HZ, leads=leads, seed=seed + number)
        for number, kind in enumerate(RHYTHMS)
    }
    pacers = {kind: Pacer() for kind in RHYTHMS}
    began_s: dict[AlarmKind, float] = {}

    async def feed(kind: AlarmKind, device: Device) -> None:
        began_s[kind] = time.time()
        await play(device, simulated(patients[kind]), pacers[kind])

    async with AsyncExitStack() as stack:
        devices = {
            kind: await stack.enter_async_context(
                ward.device(beds[kind], signals=simulated_leads(patients[kind]))
            )
            for kind in RHYTHMS
        }
        for device in devices.values():
            await device.wait_connected()
        playing = [asyncio.create_task(feed(kind, device)) for kind, device in devices.items()]
        try:
            await page.wait_for_function(
                _ALL_DISPLAYED,
                arg=[[beds[kind].stream, kind] for kind in RHYTHMS],
                timeout=1000 * (SINUS_S + PATIENCE_S),
            )
        finally:
            for task in playing:
                task.cancel()
            await asyncio.gather(*playing, return_exceptions=True)
    if late := [kind for kind, pacer in pacers.items() if pacer.written_off_s]:
        raise RuntimeError(f"these could not be played in real time: {', '.join(late)}")
    await compare_clocks(page)
    told = await page.evaluate("window.vital.probe.alarms")
    await page.context.close()
    return [
        _shown(kind, patients[kind], began_s[kind], _first(told, beds[kind].stream, kind)) for kind in RHYTHMS
    ]


def _first(told: list[dict[str, Any]], stream: str, kind: AlarmKind) -> Mapping[str, Any]:
    return next(alarm for alarm in told if (alarm["stream"], alarm["kind"]) == (stream, kind))


def _shown(kind: AlarmKind, patient: Simulator, began_s: float, alarm: Mapping[str, Any]) -> Shown:
    labels = patient.labels_from(0)
    began = onset(kind, labels)
    at_s = began_s + began / RATE_HZ
    return Shown(
        kind,
        due_s=(due(kind, labels, RATE_HZ) - began) / RATE_HZ,
        raised_s=alarm["raised_ms"] / 1000 - at_s,
        shown_s=alarm["displayed_ms"] / 1000 - at_s,
    )


async def compare_clocks(page: Page) -> None:
    """RuntimeError when the page's time has drifted from the machine's: its origin is read only once."""
    wall_ms, page_ms = await page.evaluate(_CLOCK)
    if abs(wall_ms - page_ms) > CLOCKS_APART_MS:
        raise RuntimeError(f"the page's clock is {page_ms - wall_ms:.1f} ms off the machine's")
