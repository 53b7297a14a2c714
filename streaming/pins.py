"""Which stretches of the history must stay for longer, because something grave happened in them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from streaming.core.streams import StreamInfo

logger = logging.getLogger(__name__)

AROUND_S = 60.0
"""How much of the signal before and after what is grave is kept."""
MAX_WAITING = 1000
"""Pins that the history does not take; beyond, the oldest are given up."""


@dataclass(frozen=True, slots=True)
class Pin:
    """Samples `first` to `stop` (exclusive) of an epoch, and why they stay."""

    stream: str
    epoch: int
    first: int
    stop: int
    reason: str


class PinStore(Protocol):
    """Where pins go."""

    async def pin(self, pins: Sequence[Pin]) -> None:
        """Store them; one that has the stream, epoch and first sample of an earlier one takes its place.

        Raises whatever the database does.
        """


class Pins:
    """One per process. The owner calls `write` every few seconds, and once more at its end.

    A history that is away costs pins and nothing else: they wait, MAX_WAITING at most; said once an outage.
    """

    def __init__(self, store: PinStore) -> None:
        self._store = store
        self._open: dict[str, Pin] = {}
        """The newest of each stream, which may become longer."""
        self._waiting: dict[tuple[str, int, int], Pin] = {}
        """Those that are not stored as they are, oldest first."""
        self._is_away = False

    def note(self, info: StreamInfo, sample: int, reason: str) -> None:
        """Something grave is at this sample: what is around it stays. Never waits and never raises."""
        around = round(AROUND_S * info.rate_hz)
        pin = self._open.get(info.stream)
        if pin is not None and pin.epoch == info.epoch and pin.first <= sample <= pin.stop:
            pin = replace(pin, stop=sample + around)
        else:
            pin = Pin(info.stream, info.epoch, max(0, sample - around), sample + around, reason)
        self._open[info.stream] = pin
        self._wait(pin)

    async def write(self) -> None:
        """Store what is new."""
        pins, self._waiting = list(self._waiting.values()), {}
        if not pins:
            return
        try:
            await self._store.pin(pins)
        except Exception as error:  # noqa: BLE001  # whatever it is, the next attempt may succeed
            newer, self._waiting = self._waiting, {}
            for pin in (*pins, *newer.values()):
                self._wait(pin)
            if not self._is_away:
                self._is_away = True
                logger.warning("pins of the history are not stored, trying again: %s", type(error).__name__)
        else:
            self._is_away = False

    def forget(self, kept: frozenset[str]) -> None:
        """Drop what is known of all streams but these."""
        for stream in self._open.keys() - kept:
            del self._open[stream]

    def _wait(self, pin: Pin) -> None:
        key = pin.stream, pin.epoch, pin.first
        self._waiting[key] = pin
        if len(self._waiting) > MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]
