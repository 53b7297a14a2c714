"""A link that is worse than the real one: when what is written to it gets to the other end."""

from __future__ import annotations

from collections import deque
from enum import StrEnum

STALL_S = 5.0
"""Longer than a page calls data stale (3 s), shorter than it takes a path for dead (8 s)."""
LONGEST_S = 300.0
"""After so long a link is as it was, whoever forgot it."""


class Throttle(StrEnum):
    """What a viewer's link is to be, by the name under which it is asked for."""

    OFF = "off"
    SLOW = "64k"
    SLOWER = "8k"
    NARROW = "2k"
    STALL = "stall"
    CUT = "cut"


BYTES_PER_S = {Throttle.SLOW: 64_000.0, Throttle.SLOWER: 8_000.0, Throttle.NARROW: 2_000.0}


class SlowLink:
    """Messages in the order in which they were written; each has arrived once its last byte has passed.

    Like a bottleneck with a buffer that is never full: it drops nothing, and who fills it sees late acks.
    """

    def __init__(self) -> None:
        self.throttle = Throttle.OFF
        self._until = 0.0
        self._waiting: deque[tuple[bytes | str, int]] = deque()
        self._passed = 0.0
        """Bytes of the first message that have passed."""
        self._at = 0.0

    def set(self, throttle: Throttle, now: float) -> None:
        """It is like this from now on, until `ends_at`."""
        self._advance(now)
        self.throttle = throttle
        self._until = now + (STALL_S if throttle is Throttle.STALL else LONGEST_S)

    @property
    def is_clear(self) -> bool:
        """Whether what is written now arrives at once."""
        return self.throttle is Throttle.OFF and not self._waiting

    @property
    def ends_at(self) -> float | None:
        """When it will be as it was; None: it is."""
        return None if self.throttle is Throttle.OFF else self._until

    def put(self, message: bytes | str, now: float) -> None:
        """A message is written."""
        self._advance(now)
        size = len(message) if isinstance(message, bytes) else len(message.encode())
        self._waiting.append((message, size))

    def take(self, now: float) -> list[bytes | str]:
        """What has arrived by now, each message once."""
        self._advance(now)
        arrived: list[bytes | str] = []
        while self._waiting and (self.throttle is Throttle.OFF or self._passed >= self._waiting[0][1]):
            message, size = self._waiting.popleft()
            self._passed = max(0.0, self._passed - size)
            arrived.append(message)
        if not self._waiting:
            self._passed = 0.0
        return arrived

    def due(self) -> float | None:
        """When there is something to do: a message has arrived, or the throttle ends; None: never."""
        rate = BYTES_PER_S.get(self.throttle)
        if rate is None or not self._waiting:
            return self.ends_at
        return min(self._until, self._at + max(0.0, self._waiting[0][1] - self._passed) / rate)

    def _advance(self, now: float) -> None:
        rate = BYTES_PER_S.get(self.throttle)
        if rate is not None and self._waiting:
            self._passed += rate * (min(now, self._until) - self._at)
        self._at = now
        if self.throttle is not Throttle.OFF and now >= self._until:
            self.throttle = Throttle.OFF
