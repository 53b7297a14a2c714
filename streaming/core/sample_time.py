"""When a sample was taken, as far as the times at which samples arrived can tell."""

from __future__ import annotations

from datetime import datetime, timedelta

CREEP = 0.01
"""How fast the estimate follows a device whose rate is not its nominal one; clocks differ by far less.

It is also the error that an outage leaves: samples that were kept for a minute look 0.6 s too new.
"""
MAX_DELAY = timedelta(minutes=10)
"""Nothing is resent later than this (`core/position.py`): what seems older comes too slowly."""


class SampleTime:
    """One epoch's way from sample index to UTC.

    A sample can arrive late, never early: the earliest arrival of all, each counted back to sample 0 at the
    nominal rate, is the best guess of when the epoch began. Times come in as they are read; a wall clock that
    jumps back moves the guess with it.
    """

    __slots__ = ("_at", "_origin", "_rate_hz")

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._origin: datetime | None = None
        self._at: datetime | None = None

    def arrived(self, stop: int, at: datetime) -> None:
        """Samples up to index `stop` (exclusive) of the live edge have arrived at `at`."""
        seen = at - self._after(stop)
        if self._origin is None or self._at is None:
            self._origin = seen
        else:
            crept = self._origin + CREEP * max(at - self._at, timedelta())
            self._origin = min(seen, max(crept, seen - MAX_DELAY))
        self._at = at

    def of(self, sample: int, *, otherwise: datetime) -> datetime:
        """When `sample` was taken; `otherwise` before anything has arrived."""
        return otherwise if self._origin is None else self._origin + self._after(sample)

    def _after(self, samples: int) -> timedelta:
        return timedelta(seconds=samples / self._rate_hz)
