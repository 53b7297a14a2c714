"""Which samples are missing while the signal goes on: short holes, each of which may hide a beat."""

from __future__ import annotations

from collections import deque

from streaming.core.position import SampleRange

BRIDGE_S = 0.3
"""A hole of up to this length, three chunks of most devices, is bridged; a longer one is a gap."""
TOUCH_S = 0.08
"""A QRS complex reaches so far to both sides: what is nearer to a hole than that has not been seen whole."""
BLIND_S, BLIND_OF_S = 2.4, 4.0
"""No more is bridged where no beat could have been seen for 2.4 of 4 s: too little of the signal is left.

With every tenth chunk of 100 ms lost at random it is 1 s of 4, and 2.4 s once in some minutes.
"""
KEPT_S = 60.0
"""Longer ago than any beat that is still counted with."""


class Holes:
    """The bridged holes of one stretch; what lies between two that touch the same beats counts as missing."""

    def __init__(self, rate_hz: float) -> None:
        self._longest = round(BRIDGE_S * rate_hz)
        self._touch = round(TOUCH_S * rate_hz)
        self._blind, self._blind_of = round(BLIND_S * rate_hz), round(BLIND_OF_S * rate_hz)
        self._kept = round(KEPT_S * rate_hz)
        self._ranges: deque[SampleRange] = deque()

    def bridge(self, first: int, stop: int) -> bool:
        """Whether samples `first` to `stop` (exclusive), behind all others, can be bridged; then they are."""
        if stop - first > self._longest:
            return False
        last = self._ranges[-1] if self._ranges else None
        hole = SampleRange(first, stop)
        if last is not None and first - last.stop <= 2 * self._touch:
            self._ranges.pop()
            hole = SampleRange(last.first, stop)
        while self._ranges and self._ranges[0].stop < first - self._kept:
            self._ranges.popleft()
        self._ranges.append(hole)
        since = stop - self._blind_of
        recent = [each for each in self._ranges if each.stop > since]
        blind = sum(each.stop - max(each.first, since) + 2 * self._touch for each in recent)
        return blind <= self._blind

    def touch(self, sample: int) -> bool:
        """Whether a beat at this sample lies in a hole, or too near to one."""
        return self.between(sample - self._touch, sample + self._touch)

    def between(self, first: int, stop: int) -> bool:
        """Whether there is a hole in samples `first` to `stop` (exclusive)."""
        return self.missing(first, stop) > 0

    def missing(self, first: int, stop: int) -> int:
        """How many of these samples are missing."""
        missing = 0
        for hole in reversed(self._ranges):
            if hole.stop <= first:
                break
            missing += max(0, min(hole.stop, stop) - max(hole.first, first))
        return missing
