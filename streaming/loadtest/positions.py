"""What one viewer has been sent of each stream, and whether all that is missing was named by a GAP."""

from __future__ import annotations

from typing import NamedTuple

_MOST_GAPS = 256
"""Kept per stream until frames have passed them; adjacent ones are one."""


class _Stream:
    """Where one stream stands: the last sample that came, and the GAPs that name what follows it."""

    __slots__ = ("epoch", "factor", "gaps", "holes", "last")

    def __init__(self) -> None:
        self.holes: list[tuple[int, int]] = []
        """Where samples are missing that no GAP has named yet."""
        self.epoch = -1
        self.last = -1
        """-1 before the first frame of an epoch."""
        self.factor = 1
        self.gaps: list[tuple[int, int]] = []

    def begin(self, epoch: int) -> None:
        """Another epoch counts anew."""
        self.epoch, self.last, self.gaps, self.holes = epoch, -1, [], []

    def unnamed(self, first: int, stop: int) -> int:
        """Of the samples from `first` to `stop` (exclusive), those that no GAP names."""
        missing = 0
        for gap_first, gap_stop in sorted(self.gaps):
            if gap_first >= stop:
                break
            missing += max(0, gap_first - first)
            first = max(first, gap_stop)
        return missing + max(0, stop - first)


class Format(NamedTuple):
    """What an alias stands for."""

    name: str
    epoch: int
    rendition: str
    factor: int
    rate_hz: float
    stream: _Stream


class Verdict(NamedTuple):
    """What a frame says about those before it, in samples of the source."""

    lost: int
    """Missing, and named by no GAP: nobody would know."""
    is_repeated: bool


_GOOD = Verdict(0, False)


class Positions:
    """The streams of one connection of one viewer; pure."""

    def __init__(self) -> None:
        self.formats: dict[int, Format] = {}
        self._streams: dict[str, _Stream] = {}

    def announce(
        self, alias: int, name: str, epoch: int, *, rendition: str, factor: int, rate_hz: float
    ) -> None:
        """A `stream` message: what the frames under `alias` are."""
        stream = self._streams.setdefault(name, _Stream())
        self.formats[alias] = Format(name, epoch, rendition, factor, rate_hz, stream)

    def forget(self, names: set[str]) -> None:
        """These are no longer watched: what comes of them next begins anew."""
        for name in names & self._streams.keys():
            self._streams[name].begin(-1)

    def gap(self, name: str, epoch: int, first: int, stop: int) -> int:
        """A GAP of the samples from `first` to `stop` (exclusive).

        Returns how many of them were taken for lost: a GAP that comes behind the frame that follows it.
        """
        stream = self._streams.setdefault(name, _Stream())
        if epoch != stream.epoch:
            if epoch < stream.epoch:
                return 0
            stream.begin(epoch)
        if stop <= stream.last:
            late = [(max(first, a), min(stop, b)) for a, b in stream.holes if a < stop and first < b]
            stream.holes = [hole for hole in stream.holes if not (hole[0] < stop and first < hole[1])]
            return sum(b - a for a, b in late)
        gaps = stream.gaps
        if gaps and gaps[-1][0] <= first <= gaps[-1][1]:
            gaps[-1] = gaps[-1][0], max(stop, gaps[-1][1])
        elif len(gaps) < _MOST_GAPS:
            gaps.append((first, stop))
        return 0

    def frame(self, known: Format, first: int, count: int) -> Verdict:
        """A live frame of `count` samples from index `first` on, under an alias that means `known`."""
        stream, factor = known.stream, known.factor
        if known.epoch != stream.epoch:
            stream.begin(known.epoch)
        before = stream.last
        last = first + (count - 1) * factor
        if before < 0:
            stream.last, stream.factor = last, factor
            return _GOOD
        if last <= before:
            return Verdict(0, True)
        lost = 0
        if first - before > factor:
            # Between two samples of a thinned stream lie `factor` - 1 that they speak for.
            lost = stream.unnamed(before + stream.factor, first - factor + 1)
            if lost and len(stream.holes) < _MOST_GAPS:
                stream.holes.append((before + stream.factor, first - factor + 1))
        stream.last, stream.factor = last, factor
        if stream.gaps:
            stream.gaps = [gap for gap in stream.gaps if gap[1] > last]
        return Verdict(lost, False) if lost else _GOOD
