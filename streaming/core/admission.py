"""How many viewers may come in a second, and when the others are to come again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streaming.core.token_bucket import TokenBucket

if TYPE_CHECKING:
    import random

PER_S = 100.0
BURST = 200.0
"""A process takes a tenth of a second for the sign-ins of ten; a ward of 200 comes back at once."""
OVERLOADED_PER_S = 10.0
"""How many are asked to try again in a second while the process has too much to do."""
_JITTER_S = 0.5
_LONGEST_S = 60.0


class Admission:
    """A token for each viewer; those who find none are told of a time of their own, so that they come spread.

    Pure: time comes as `now`, and the jitter from `rng`.
    """

    def __init__(self, *, now: float, rng: random.Random, per_s: float = PER_S, burst: float = BURST) -> None:
        self._bucket = TokenBucket(per_s, burst, now)
        self._rng = rng
        self._per_s = per_s
        self._promised_until = now
        self.refused = 0

    def retry_after_s(self, now: float, *, overloaded: bool = False) -> float | None:
        """None for who may come in; else the seconds after which there is a place.

        Nobody may while the process is overloaded: those whose network is not known yet cost it most.
        """
        if not overloaded and self._bucket.take(1.0, now):
            return None
        self.refused += 1
        per_s = OVERLOADED_PER_S if overloaded else self._per_s
        self._promised_until = min(max(self._promised_until, now) + 1 / per_s, now + _LONGEST_S)
        return self._promised_until - now + self._rng.uniform(0.0, _JITTER_S)

    def give_back(self) -> None:
        """Who was let in turned out to be nobody: who is must not wait for that."""
        self._bucket.give_back(1.0)
