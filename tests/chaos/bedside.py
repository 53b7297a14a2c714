"""A device that raises alarms as fast as a server takes them, each with a name that no other has."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from streaming.client import AlarmSeverity, Device, Pacer
from streaming.client.playback import simulated_leads
from streaming.ecg.simulator import Simulator
from tests.chaos.book import Book

EVERY_S = 1 / 22
"""An alarm and its end are two messages, and a server takes fifty a second."""
MOST_UNSETTLED = 56
"""On, or not confirmed; a server takes 64 that are on."""
LEFT_ON = 3
"""Never ended, so that there is something to show in the end."""
LATCHING_SHARE = 0.05
"""Of high severity: they stand until somebody has acknowledged them, and may end before they are shown."""
HOLD_S = 1.0
KIND = "chaos"
RATE_HZ = 125.0
CHUNK = 50
_PATIENT = Simulator("sinus", rate_hz=RATE_HZ, seed=1)
LEADS = simulated_leads(_PATIENT)
WAVE = _PATIENT.read(200 * CHUNK)
"""80 s of a healthy heart, again and again: what the server finds in it itself is beside the point."""


@dataclass
class Bedside:
    """`wanted` says whether another alarm is to be raised."""

    name: str
    device: Device
    book: Book
    rng: random.Random
    wanted: Callable[[], bool]
    resends: int = 0
    """Beginnings and ends that were not confirmed when a connection was lost."""
    _on: dict[str, tuple[float, bool]] = field(default_factory=dict)
    """Those that are on: when each may end, and whether it waits for nobody to see it."""
    _count: int = 0
    _reconnects: int = 0
    _unconfirmed: int = 0

    async def run(self) -> None:
        """Raise and end alarms while more are wanted, then end all but the last few."""
        while self.wanted() or len(self._on) > LEFT_ON:
            await self._end_due()
            if self.wanted() and len(self._on) + self.device.unconfirmed_alarms < MOST_UNSETTLED:
                await self._raise()
            self._count_resends()
            await asyncio.sleep(EVERY_S)
        while self.device.unconfirmed_alarms:
            self._count_resends()
            await asyncio.sleep(EVERY_S)

    async def feed(self) -> None:
        """Send samples in real time, until it is cancelled: alarms of a stream that ends are ended."""
        pacer, sent = Pacer(), 0
        while True:
            at = sent % WAVE.shape[1]
            await self.device.send(WAVE[:, at : at + CHUNK])
            sent += CHUNK
            await pacer.until(sent / RATE_HZ)

    def _count_resends(self) -> None:
        if self.device.reconnects != self._reconnects:
            self._reconnects = self.device.reconnects
            self.resends += self._unconfirmed
        self._unconfirmed = self.device.unconfirmed_alarms

    async def _raise(self) -> None:
        self._count += 1
        name = f"{self.name}-{self._count}"
        is_latching = self.rng.random() < LATCHING_SHARE
        severity = (
            AlarmSeverity.HIGH if is_latching else self.rng.choice((AlarmSeverity.MEDIUM, AlarmSeverity.LOW))
        )
        self.book.raise_(name, time.monotonic())
        self._on[name] = time.monotonic() + self.rng.uniform(0, HOLD_S), is_latching
        await self.device.raise_alarm(name, kind=KIND, text=f"CHAOS {name}", severity=severity)

    async def _end_due(self) -> None:
        now = time.monotonic()
        due = [
            name
            for name, (until, is_latching) in self._on.items()
            if now >= until and (is_latching or name in self.book.first_shown)
        ]
        for name in due[: max(0, len(self._on) - LEFT_ON)]:
            del self._on[name]
            self.book.end(name)
            await self.device.end_alarm(name)
