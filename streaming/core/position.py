"""Where a stream stands in its epoch: which samples are new, which fill a hole, which came twice."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from streaming.core.messages import SAMPLE_LIMIT
from streaming.exceptions import ProtocolError

MAX_JUMP_S = 600.0
"""A device that was away for longer begins a new epoch; further ahead is a wrong index, not an outage."""
MAX_HOLES = 256
"""Ten minutes of losing every twentieth chunk of 100 ms leave 300 holes; each costs about 200 bytes."""


@dataclass(frozen=True, slots=True)
class SampleRange:
    """Sample indices `first` up to but not including `stop`."""

    first: int
    stop: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """What one chunk brought: every sample of it is live, backfill or duplicate.

    live        samples at the front of the stream, None when the chunk is late
    hole        samples before `live` that did not come: a gap, recoverable while it is remembered
    backfill    late samples that fill holes, in order
    duplicates  number of samples to drop: known already, or of a hole that is forgotten
    forgotten   the oldest holes, given up because there were too many: never to be filled
    """

    live: SampleRange | None
    hole: SampleRange | None = None
    backfill: tuple[SampleRange, ...] = ()
    duplicates: int = 0
    forgotten: tuple[SampleRange, ...] = ()


class StreamPosition:
    """The samples of one epoch that have come, in memory bounded by `max_holes`.

    `start` is the first index that may come; what lies before it counts as known, but for `holes`, which are
    in order and neither touch nor overlap.
    """

    __slots__ = ("_firsts", "_max_holes", "_max_jump", "_next", "_stops")

    def __init__(
        self,
        rate_hz: float,
        *,
        start: int = 0,
        holes: Iterable[SampleRange] = (),
        max_holes: int = MAX_HOLES,
    ) -> None:
        self._next = start
        self._max_jump = int(rate_hz * MAX_JUMP_S)
        self._max_holes = max_holes
        # Holes as two sorted lists: bisect works on plain integers.
        holes = tuple(holes)
        self._firsts = [hole.first for hole in holes]
        self._stops = [hole.stop for hole in holes]

    @property
    def next_sample(self) -> int:
        """One past the newest sample that came; also where a resuming device goes on."""
        return self._next

    @property
    def holes(self) -> tuple[SampleRange, ...]:
        """The remembered holes, in order; they neither touch nor overlap."""
        return tuple(map(SampleRange, self._firsts, self._stops))

    def accept(self, first: int, count: int) -> Accepted:
        """Take note of samples `first` to `first + count`, and say what they are.

        Raises ProtocolError, and changes nothing, when the indices leave the epoch (2^32) or lie more than
        ten minutes ahead.
        """
        stop = first + count
        if first < 0 or count < 1 or stop > SAMPLE_LIMIT:
            raise ProtocolError("sample index leaves the epoch: begin a new session")
        if first == self._next:
            self._next = stop
            return Accepted(SampleRange(first, stop))
        if first - self._next > self._max_jump:
            raise ProtocolError("sample index jumps more than ten minutes ahead")
        hole = None
        if first > self._next:
            hole = SampleRange(self._next, first)
            self._firsts.append(hole.first)
            self._stops.append(hole.stop)
        late_stop = min(stop, self._next)
        backfill = self._fill(first, late_stop) if first < late_stop else ()
        live = None
        if stop > self._next:
            live = SampleRange(max(first, self._next), stop)
            self._next = stop
        new = sum(span.stop - span.first for span in backfill) + (live.stop - live.first if live else 0)
        return Accepted(live, hole, backfill, count - new, self._forget_surplus())

    def _forget_surplus(self) -> tuple[SampleRange, ...]:
        surplus = max(0, len(self._firsts) - self._max_holes)
        forgotten = self.holes[:surplus]
        del self._firsts[:surplus], self._stops[:surplus]
        return forgotten

    def _fill(self, first: int, stop: int) -> tuple[SampleRange, ...]:
        """Take [first, stop) out of the holes; what was taken, in order."""
        low = bisect_right(self._stops, first)
        high = low
        filled: list[SampleRange] = []
        rest: list[tuple[int, int]] = []
        while high < len(self._firsts) and self._firsts[high] < stop:
            hole_first, hole_stop = self._firsts[high], self._stops[high]
            filled.append(SampleRange(max(first, hole_first), min(stop, hole_stop)))
            if hole_first < first:
                rest.append((hole_first, first))
            if hole_stop > stop:
                rest.append((stop, hole_stop))
            high += 1
        self._firsts[low:high] = [hole[0] for hole in rest]
        self._stops[low:high] = [hole[1] for hole in rest]
        return tuple(filled)
