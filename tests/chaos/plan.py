"""Which part is killed, and when: the same for a seed every time, in any order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

PAUSE_S = 1.0
"""A strike follows its alarm by up to so long, so that it meets whatever is under way by then."""


@dataclass(frozen=True, slots=True)
class Strike:
    """One SIGKILL: of `part`, so long after so many alarms have been raised."""

    alarms: int
    pause_s: float
    part: str


def strikes(rng: random.Random, parts: Sequence[str], *, kills: int, alarms: int) -> list[Strike]:
    """`kills` of them, the same number of each part (or one more), while `alarms` are raised."""
    shuffled = [parts[number % len(parts)] for number in range(kills)]
    rng.shuffle(shuffled)
    moments = sorted(rng.randrange(1, max(2, alarms)) for _ in range(kills))
    return [
        Strike(moment, rng.uniform(0, PAUSE_S), part) for moment, part in zip(moments, shuffled, strict=True)
    ]
