"""A set of sample indices, kept as the spans that it consists of."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator


class SpanSet:
    """Spans that neither touch nor overlap, in order; `first` is inclusive and `stop` exclusive."""

    __slots__ = ("_firsts", "_stops")

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._stops: list[int] = []

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(list(zip(self._firsts, self._stops, strict=True)))

    def __len__(self) -> int:
        return len(self._firsts)

    def add(self, first: int, stop: int) -> None:
        """Put the indices of a span in."""
        low, high = bisect_left(self._stops, first), bisect_right(self._firsts, stop)
        if low < high:
            first, stop = min(first, self._firsts[low]), max(stop, self._stops[high - 1])
        self._firsts[low:high] = [first]
        self._stops[low:high] = [stop]

    def remove(self, first: int, stop: int) -> None:
        """Take the indices of a span out, as far as they are in."""
        low, high = bisect_right(self._stops, first), bisect_left(self._firsts, stop)
        if low >= high:
            return
        rest = []
        if self._firsts[low] < first:
            rest.append((self._firsts[low], first))
        if self._stops[high - 1] > stop:
            rest.append((stop, self._stops[high - 1]))
        self._firsts[low:high] = [span[0] for span in rest]
        self._stops[low:high] = [span[1] for span in rest]

    def overlap(self, first: int, stop: int) -> list[tuple[int, int]]:
        """What of a span is in, in order."""
        low, high = bisect_right(self._stops, first), bisect_left(self._firsts, stop)
        return [(max(first, self._firsts[at]), min(stop, self._stops[at])) for at in range(low, high)]
