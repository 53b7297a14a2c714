"""What a load test has counted, in values that several processes can add up."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

_BINS = 30_000
"""Milliseconds that are told apart; what is longer counts as this long, and the longest is kept besides."""


class Delays:
    """Delays to a millisecond: adding one costs an addition, whatever their number."""

    __slots__ = ("_bins", "longest_s")

    def __init__(self) -> None:
        self._bins = [0] * (_BINS + 1)
        self.longest_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one; below zero (clocks) it is none."""
        place = int(1000 * seconds)
        self._bins[place if 0 <= place < _BINS else 0 if place < 0 else _BINS] += 1
        self.longest_s = max(self.longest_s, seconds)

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self._bins)

    def percentile_s(self, share: float) -> float | None:
        """The delay that so large a share does not exceed; None when there is none."""
        wanted = math.ceil(share * self.count)
        if not wanted:
            return None
        for place, count in enumerate(self._bins):
            wanted -= count
            if wanted <= 0:
                return min((place + 1) / 1000, self.longest_s)
        raise AssertionError("the bins hold as many as they count")

    def summary_ms(self) -> dict[str, float] | None:
        """p50, p95, p99 and the longest, in milliseconds; None when there is none."""
        if not self.count:
            return None
        shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
        found = {name: 1000 * (self.percentile_s(share) or 0.0) for name, share in shares.items()}
        return {name: round(value, 1) for name, value in (found | {"max": 1000 * self.longest_s}).items()}

    def __iadd__(self, other: Delays) -> Delays:
        self._bins = [mine + theirs for mine, theirs in zip(self._bins, other._bins, strict=True)]
        self.longest_s = max(self.longest_s, other.longest_s)
        return self

    def to_json(self) -> dict[str, Any]:
        """Bins that hold something, as [place, count], and the longest."""
        return {"bins": [[at, n] for at, n in enumerate(self._bins) if n], "longest_s": self.longest_s}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Delays:
        """The inverse of `to_json`."""
        made = cls()
        for place, count in value["bins"]:
            made._bins[place] = count
        made.longest_s = value["longest_s"]
        return made


def _counts() -> Counter[str]:
    return Counter()


@dataclass(slots=True)
class Tally:
    """Everything counted since the measurement began; frames and texts are logical messages.

    `drops` is what the server told its viewers of in `stats`; `gaps` counts GAPs, `gap_samples` the samples
    of a lead that they name; `lost_samples` are those that are missing and that no GAP names.
    """

    connected: int = 0
    """Viewers that are welcome now, and have had a frame."""
    messages: int = 0
    size_bytes: int = 0
    """Of WebSocket messages, without their headers."""
    by_class: Counter[str] = field(default_factory=_counts)
    bytes_by_class: Counter[str] = field(default_factory=_counts)
    renditions: Counter[str] = field(default_factory=_counts)
    """Live frames by what they were sent as."""
    decoded_frames: int = 0
    """Of which the samples were decoded, too."""
    newest: Delays = field(default_factory=Delays)
    """Age of the newest sample of each live frame when it was decoded."""
    oldest: Delays = field(default_factory=Delays)
    """Age of its oldest one."""
    round_trips: Delays = field(default_factory=Delays)
    """Of `time` requests, whose answers are CRITICAL."""
    gaps: Counter[str] = field(default_factory=_counts)
    gap_samples: Counter[str] = field(default_factory=_counts)
    drops: Counter[str] = field(default_factory=_counts)
    lost_samples: int = 0
    lost_holes: int = 0
    late_gap_samples: int = 0
    """Missing samples whose GAP came behind the frame that follows them."""
    repeated_frames: int = 0
    malformed: int = 0
    closes: Counter[str] = field(default_factory=_counts)
    """Connections that ended while they were to go on, by close code."""
    reconnects: int = 0
    refused: Counter[str] = field(default_factory=_counts)
    """Attempts to connect that failed, by why."""
    overload: Counter[str] = field(default_factory=_counts)
    """`stats` by the state of the server that they told."""

    def __iadd__(self, other: Tally) -> Tally:
        for each in fields(self):
            mine = getattr(self, each.name)
            mine += getattr(other, each.name)
            setattr(self, each.name, mine)
        return self

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {n: v.to_json() if isinstance(v, Delays) else v for n, v in values.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Tally:
        """The inverse of `to_json`."""
        made = cls()
        for each in fields(cls):
            value, kind = values[each.name], type(getattr(made, each.name))
            setattr(made, each.name, Delays.from_json(value) if kind is Delays else kind(value))
        return made
