"""How much of what is late may leave now, so that what is live finds the path nearly empty."""

from __future__ import annotations

import math

from streaming.core.window import SendWindow

_STALLED_ROUNDS = 3
_GROWTH = 1.15
"""A path that delivers no faster than this in three round trips is full (as in BBR, IETF draft)."""
_CYCLE = (1.06, 0.92, 1.0, 1.0, 1.0, 1.0)
"""Times the delivery rate, a round trip each: a little faster to see whether there is more, then the rest."""
_DRAIN = 0.7
_ROUND_S = 0.05
"""A round is at least this long: acks may be held for 100 ms."""
_PIECES = 8
"""A window holds at least so many: a client acks after four messages, and may hold an ack of fewer."""
_RESERVED = 1 / 8
"""The share of the window that is left to what is live."""


class SpareRoom:
    """Paces pieces by what the window measures. Pure: every call carries its time.

    Until the path is full, as fast as the window opens. From then on at the delivery rate, and below it
    while round trips tell of a queue that is longer than a piece takes.
    """

    def __init__(self, window: SendWindow) -> None:
        self.next_at = math.inf
        """When the next piece may leave; infinite where that is not a matter of time."""
        self.waits_for_window = False
        """Whether the window was all that kept the last piece back."""
        self._window = window
        self._free_at = -math.inf
        self._round = 0
        self._round_until = -math.inf
        self._best = 0.0
        self._stalled = 0

    def limit(self, now: float) -> int:
        """Bytes of the next piece; 0 when none may leave now."""
        window = self._window
        room = window.room - int(_RESERVED * window.size)
        self.next_at = math.inf
        self.waits_for_window = room <= 0
        if room <= 0:
            return 0
        if now < self._free_at:
            self.next_at = self._free_at
            return 0
        return min(room, window.bundle_limit, window.size // _PIECES)

    def took(self, size_bytes: int, now: float) -> None:
        """A piece has left."""
        rate, base_s = self._window.network.delivery_rate, self._window.network.rtt_min_s
        if rate is None or base_s is None:
            return
        if now >= self._round_until:
            self._begin_round(rate, now + max(base_s, _ROUND_S))
        if self._stalled >= _STALLED_ROUNDS:
            self._free_at = max(now, self._free_at) + size_bytes / (self._gain(rate, base_s) * rate)

    def _begin_round(self, rate: float, until: float) -> None:
        self._round += 1
        self._round_until = until
        if rate > _GROWTH * self._best:
            self._best, self._stalled = rate, 0
        elif self._stalled < _STALLED_ROUNDS:
            self._stalled += 1

    def _gain(self, rate: float, base_s: float) -> float:
        queue_s = self._window.network.latest_rtt_s - base_s
        if queue_s > 1.5 * self._window.bundle_limit / rate + 0.005:
            return _DRAIN
        return _CYCLE[self._round % len(_CYCLE)]
