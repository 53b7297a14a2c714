"""How late an event loop is: what waits in the process must not be taken for what waits on the network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

EVERY_S = 0.025
LEAST_S = 0.01
"""A loop that is late by less is not late: timers are only as exact as the system's scheduler."""


class LoopLag:
    """Reads how late a timer comes, forty times a second.

    `late_s` is that of the last one: about how long the loop's turns take now. A message waits up to one of
    them before it leaves, and its ack another before it is read.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.late_s = 0.0
        self._clock = clock
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to read, on the loop that runs."""
        self._due = self._clock() + EVERY_S
        self._timer = asyncio.get_running_loop().call_later(EVERY_S, self._read)

    def close(self) -> None:
        """Read no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _read(self) -> None:
        late_s = self._clock() - self._due
        self.late_s = late_s if late_s >= LEAST_S else 0.0
        self.start()
