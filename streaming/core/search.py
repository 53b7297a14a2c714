"""What is still to be found of a span of samples, newest first, and which source is to be asked for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Part(NamedTuple):
    """Samples `first` to `stop`, to be had of source number `source` or of one behind it.

    `unheard` is whether one before it may have them all the same.
    """

    first: int
    stop: int
    source: int
    unheard: bool = False


class Search:
    """Goes through `sources` sources for each part of a span: what one lacks, the next is asked for.

    What none has is lost, or `open` where a source was not heard: `look_again` begins with that anew.
    """

    def __init__(self, first: int, stop: int, sources: int) -> None:
        self.open: list[tuple[int, int]] = []
        """What may be had later, newest first."""
        self._sources = sources
        self._parts = [Part(first, stop, 0)]

    @property
    def next(self) -> Part | None:
        """The newest part that is not settled; None when all is found, lost or open."""
        return self._parts[-1] if self._parts else None

    def found(
        self, spans: Sequence[tuple[int, int]], *, more: bool, unheard: bool = False
    ) -> list[tuple[int, int]]:
        """Take note of what the source had of the part `next`; return what is lost, newest first.

        `spans` lie in that part, newest first, and do not overlap; `more` is whether the source may have
        something below the last of them, `unheard` whether it may have what it did not give.
        """
        part = self._parts.pop()
        unheard |= part.unheard
        holes: list[Part] = []
        at = part.stop
        for span_first, span_stop in spans:
            if span_stop < at:
                holes.append(Part(span_stop, at, part.source + 1, unheard))
            at = span_first
        if at > part.first:
            source = part.source if more and spans else part.source + 1
            holes.append(Part(part.first, at, source, unheard))
        ended = [hole for hole in holes if hole.source >= self._sources]
        self.open += [(hole.first, hole.stop) for hole in ended if hole.unheard]
        self._parts += reversed([hole for hole in holes if hole.source < self._sources])
        return [(hole.first, hole.stop) for hole in ended if not hole.unheard]

    def look_again(self) -> None:
        """Ask every source anew for what is open."""
        self._parts[:0] = [Part(first, stop, 0) for first, stop in reversed(self.open)]
        self.open = []
