"""What is still to be found of a span of samples, newest first, and which source is to be asked for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Part(NamedTuple):
    """Samples `first` to `stop`, to be had of source number `source` or of one behind it."""

    first: int
    stop: int
    source: int


class Search:
    """Goes through `sources` sources for each part of a span: what one lacks, the next is asked for."""

    def __init__(self, first: int, stop: int, sources: int) -> None:
        self._sources = sources
        self._parts = [Part(first, stop, 0)]

    @property
    def next(self) -> Part | None:
        """The newest part that is not settled; None when all is found or lost."""
        return self._parts[-1] if self._parts else None

    def found(self, spans: Sequence[tuple[int, int]], *, more: bool) -> list[tuple[int, int]]:
        """Take note of what the source had of the part `next`; return what no source has, newest first.

        `spans` lie in that part, newest first, and do not overlap; `more` is whether the source may have
        something below the last of them.
        """
        first, stop, source = self._parts.pop()
        holes: list[Part] = []
        at = stop
        for span_first, span_stop in spans:
            if span_stop < at:
                holes.append(Part(span_stop, at, source + 1))
            at = span_first
        if at > first:
            holes.append(Part(first, at, source if more and spans else source + 1))
        lost = [(hole.first, hole.stop) for hole in holes if hole.source >= self._sources]
        self._parts += reversed([hole for hole in holes if hole.source < self._sources])
        return lost
