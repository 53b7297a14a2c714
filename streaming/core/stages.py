"""Where the time of a message goes: one is followed from its ingest to the ack of one viewer."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from streaming.core.items import Item

SPAN_S = 300.0
"""How far back the figures go."""
_MOST_KEPT = 600


class Stage(StrEnum):
    """The points that a message passes, in their order; a stage's time is that since the point before."""

    INGEST = "ingest"
    """Its first samples were taken from the device's socket."""
    ENCODED = "encoded"
    """Checked, analysed, its frame full and encoded."""
    PUBLISHED = "published"
    """Given to the hub."""
    QUEUED = "queued"
    """Rendered for the viewer, its tick come, and offered to the viewer's queue."""
    WRITTEN = "written"
    """There was credit, and the server was given it to send."""
    ACKED = "acked"
    """The ack of the WebSocket message that held it was read; a client may hold that, see `cadence`."""


@dataclass(slots=True, eq=False)
class Journey:
    """One message on its way to one viewer: the last sample of a live frame, in whatever is made of it."""

    stream: str
    epoch: int
    sample: int
    viewer: object
    ingest: float
    encoded: float
    published: float
    item: Item | None = None
    queued: float = math.nan
    number: int | None = None
    """Of the WebSocket message that holds it, once that is known."""
    written: float = math.nan
    acked: float = math.nan
    is_lost: bool = False
    """Whether it was dropped on the way."""

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.is_lost or not math.isnan(self.acked)

    def find(self, items: Iterable[Item]) -> Item | None:
        """The item that brings the sample to the viewer, if it is among these."""
        for item in items:
            span = item.span
            if (
                span is not None
                and not item.control
                and span.stream == self.stream
                and span.epoch == self.epoch
                and span.first <= self.sample < span.stop
            ):
                return item
        return None

    def durations_us(self) -> tuple[int, ...]:
        """What each stage took, in whole microseconds: their sum is the way from end to end."""
        marks = (self.ingest, self.encoded, self.published, self.queued, self.written, self.acked)
        return tuple(later - earlier for earlier, later in pairwise(round(1e6 * mark) for mark in marks))


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of one stage, or of the whole way, in seconds."""

    p50_s: float
    p95_s: float
    p99_s: float
    max_s: float


class StageTimes:
    """The journeys of the last minutes."""

    def __init__(self) -> None:
        self._taken: deque[tuple[float, tuple[int, ...], str]] = deque(maxlen=_MOST_KEPT)
        self.lost = 0
        """Messages that were dropped on the way, or not acked in time to be followed further."""

    def add(self, journey: Journey) -> None:
        """Count a journey that is over."""
        if journey.is_lost:
            self.lost += 1
        else:
            self._taken.append((journey.acked, journey.durations_us(), journey.stream))

    def last(self) -> Mapping[Stage, int]:
        """The stages of the newest journey in microseconds; empty when there is none."""
        return dict(zip(tuple(Stage)[1:], self._taken[-1][1], strict=True)) if self._taken else {}

    def summary(self, now: float) -> Mapping[str, Percentiles]:
        """By stage, and of the whole way as `total`; empty when nothing was followed lately."""
        self._forget(now)
        return _summary([durations for _, durations, _ in self._taken])

    def by_stream(self, now: float) -> Mapping[str, tuple[Mapping[str, Percentiles], int]]:
        """The summary of each stream of which something was followed lately, and of how many messages."""
        self._forget(now)
        rows: dict[str, list[tuple[int, ...]]] = {}
        for _, durations, stream in self._taken:
            rows.setdefault(stream, []).append(durations)
        return {stream: (_summary(taken), len(taken)) for stream, taken in rows.items()}

    def _forget(self, now: float) -> None:
        while self._taken and now - self._taken[0][0] > SPAN_S:
            self._taken.popleft()


def _summary(rows: Sequence[tuple[int, ...]]) -> Mapping[str, Percentiles]:
    if not rows:
        return {}
    columns = dict(zip(tuple(Stage)[1:], zip(*rows, strict=True), strict=True))
    return {
        **{stage.value: _percentiles(column) for stage, column in columns.items()},
        "total": _percentiles([sum(row) for row in rows]),
    }


def _percentiles(values_us: Iterable[int]) -> Percentiles:
    ordered = sorted(values_us)
    last = len(ordered) - 1
    p50, p95, p99 = (ordered[math.ceil(share * last)] / 1e6 for share in (0.5, 0.95, 0.99))
    return Percentiles(p50, p95, p99, ordered[-1] / 1e6)
