"""How much of something a peer may still do: so much a second, and a burst."""

from __future__ import annotations


class TokenBucket:
    """Holds at most `burst` tokens, full at first, and gains `per_s` of them a second."""

    __slots__ = ("_burst", "_left", "_per_s", "_refilled_at")

    def __init__(self, per_s: float, burst: float, now: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._left = burst
        self._refilled_at = now

    def take(self, amount: float, now: float) -> bool:
        """Take `amount`; False, and nothing is taken, when there is not as much."""
        if amount > self.left(now):
            return False
        self._left -= amount
        return True

    def give_back(self, amount: float) -> None:
        """What was taken was not used."""
        self._left += amount

    def left(self, now: float) -> float:
        """How much could be taken now."""
        self._left = min(self._burst, self._left + (now - self._refilled_at) * self._per_s)
        self._refilled_at = now
        return self._left
