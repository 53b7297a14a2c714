"""When each piece of a recording is due, so that it plays at its own speed without drifting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

MIN_SPEED, MAX_SPEED = 1.0, 20.0
MAX_LAG_S = 2.0
"""A lag up to this is caught up in a burst; a longer one (a laptop that slept) is written off."""


class Pacer:
    """Plays a timeline against a monotonic clock, `speed` seconds of it per second.

    Every deadline counts from the start, so the error of one wait never adds to the next. `clock` returns
    seconds, `wait` waits for so many of them.
    """

    def __init__(
        self,
        speed: float = 1.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        if not MIN_SPEED <= speed <= MAX_SPEED:
            raise ValueError(f"speed must be from {MIN_SPEED:g} to {MAX_SPEED:g}, not {speed:g}")
        self.speed = speed
        self.written_off_s = 0.0
        """Time by which the timeline was moved because a lag was too long to catch up."""
        self._clock = clock
        self._wait = wait
        self._start: float | None = None

    async def until(self, position_s: float) -> None:
        """Wait until second `position_s` of the timeline is over; the first call starts the clock at 0."""
        now = self._clock()
        if self._start is None:
            self._start = now
        ahead = self._start + position_s / self.speed - now
        if ahead < -MAX_LAG_S:
            self._start -= ahead
            self.written_off_s -= ahead
        # Also when late: whoever catches up must let the others of the loop run.
        await self._wait(max(ahead, 0.0))
