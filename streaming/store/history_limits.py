"""What the history gives up, by its limits and on request, in steps that hold no lock for long."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Sum

from streaming.models_history import HistoryChunk, HistoryPin
from streaming.store import minutes
from streaming.store.history import size_text
from streaming.store.routing import HISTORY

STEP_CHUNKS = 100
"""Rows a transaction: a megabyte or so, for which SQLite holds its write lock 20 ms on a busy machine."""
STEP_PINS = 100
PINNED_SHARE = 0.5
"""Of the bytes of the history: an alarm that repeats for a week must not drive out what is of today."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the history is kept, and how much of it."""

    max_age: timedelta
    max_bytes: int

    @classmethod
    def of_settings(cls) -> Limits:
        """As the environment says."""
        return cls(timedelta(hours=settings.VITAL_HISTORY_HOURS), settings.VITAL_HISTORY_MAX_MB * 1_000_000)


@dataclass(frozen=True, slots=True)
class Removed:
    """What was deleted."""

    chunks: int = 0
    size_bytes: int = 0
    """Of chunks and minutes."""
    pins: int = 0
    minutes: int = 0

    def __add__(self, other: Removed) -> Removed:
        return Removed(
            self.chunks + other.chunks,
            self.size_bytes + other.size_bytes,
            self.pins + other.pins,
            self.minutes + other.minutes,
        )

    def __bool__(self) -> bool:
        return self != Removed()

    def __str__(self) -> str:
        chunks, pins = _counted(self.chunks, "chunk"), _counted(self.pins, "pin")
        minutes_too = f", {_counted(self.minutes, 'minute')} in little" if self.minutes else ""
        return f"{chunks}{minutes_too} ({size_text(self.size_bytes)}) and {pins}"


def prune(limits: Limits, *, now: datetime) -> Iterator[Removed]:
    """Delete what is too old, then the oldest of what is too much; each step is a transaction, and blocks.

    Pinned spans stay until their time is over, or until they take more than half of the bytes. Any number of
    processes may do this at once. Minutes in little count as what they take, and go with the chunks of their
    time, pinned or not.
    """
    yield from _drop_pins(HistoryPin.objects.filter(until__lte=now))
    yield from _remove(_unpinned(now).filter(began_at__lt=now - limits.max_age))
    yield from map(_minutes, minutes.delete(before=now - limits.max_age))
    if (surplus := _size(HistoryChunk.objects.all()) + minutes.size() - limits.max_bytes) > 0:
        while _size(_pinned(now)) > PINNED_SHARE * limits.max_bytes:
            yield _drop_oldest_pins()
        yield from _remove_surplus(_unpinned(now), surplus)


def delete(*, streams: Collection[str] | None = None, before: datetime | None = None) -> Iterator[Removed]:
    """Delete, pinned or not, what there is of these streams (None: of all) that began before `before`.

    Each step is a transaction, and blocks. Pins of whole streams go with them; `before` leaves pins, which
    may be of what comes later.
    """
    chunks, pins = HistoryChunk.objects.all(), HistoryPin.objects.all()
    if streams is not None:
        chunks, pins = chunks.filter(stream__in=streams), pins.filter(stream__in=streams)
    if before is not None:
        chunks, pins = chunks.filter(began_at__lt=before), pins.none()
    yield from _remove(chunks)
    yield from map(_minutes, minutes.delete(streams=streams, before=before))
    yield from _drop_pins(pins)


def _overlap() -> Q:
    """Of pins, seen from a chunk."""
    return Q(
        stream=OuterRef("stream"),
        epoch=OuterRef("epoch"),
        first__lt=OuterRef("stop"),
        stop__gt=OuterRef("first"),
    )


def _unpinned(now: datetime) -> QuerySet[HistoryChunk]:
    return HistoryChunk.objects.filter(~Exists(HistoryPin.objects.filter(_overlap(), until__gt=now)))


def _pinned(now: datetime) -> QuerySet[HistoryChunk]:
    return HistoryChunk.objects.filter(Exists(HistoryPin.objects.filter(_overlap(), until__gt=now)))


def _size(chunks: QuerySet[HistoryChunk]) -> int:
    return int(chunks.aggregate(size=Sum("size_bytes"))["size"] or 0)


def _minutes(sizes: Sequence[int]) -> Removed:
    return Removed(minutes=len(sizes), size_bytes=sum(sizes))


def _remove(chunks: QuerySet[HistoryChunk]) -> Iterator[Removed]:
    """Oldest first, step by step, until none is left."""
    for rows in _steps(chunks, _Surplus()):
        yield _chunks(rows)


def _remove_surplus(chunks: QuerySet[HistoryChunk], surplus_bytes: float) -> Iterator[Removed]:
    """Oldest first, chunks and the minutes of before their end, until enough bytes are gone.

    Where no chunk may go any more, the oldest minutes go alone.
    """
    surplus = _Surplus(surplus_bytes)
    for rows in _steps(chunks, surplus):
        yield _chunks(rows)
        for sizes in minutes.delete(before=rows[-1].began_at):
            surplus.left_bytes -= sum(sizes)
            yield _minutes(sizes)
    yield from map(_minutes, minutes.delete_oldest(enough_bytes=surplus.left_bytes))


@dataclass(slots=True)
class _Surplus:
    """What is still to go."""

    left_bytes: float = inf


class _Row(NamedTuple):
    pk: int
    size_bytes: int
    began_at: datetime


def _chunks(rows: Sequence[_Row]) -> Removed:
    return Removed(len(rows), sum(row.size_bytes for row in rows))


def _steps(chunks: QuerySet[HistoryChunk], surplus: _Surplus) -> Iterator[list[_Row]]:
    """Delete the oldest in steps, as long as there is a surplus, and take each step off it."""
    since: datetime | None = None
    while surplus.left_bytes > 0:
        # What was passed over in the last step, because it is pinned, is not looked at once more.
        step = chunks if since is None else chunks.filter(began_at__gte=since)
        with transaction.atomic(using=HISTORY):
            found = (
                step.order_by("began_at")
                .select_for_update(skip_locked=True)
                .values_list("pk", "size_bytes", "began_at")[:STEP_CHUNKS]
            )
            chosen: list[_Row] = []
            for row in map(_Row._make, found):
                if surplus.left_bytes <= 0:
                    break
                chosen.append(row)
                surplus.left_bytes -= row.size_bytes
            HistoryChunk.objects.filter(pk__in=[row.pk for row in chosen]).delete()
        if not chosen:
            return
        since = chosen[-1].began_at
        yield chosen


def _drop_pins(pins: QuerySet[HistoryPin]) -> Iterator[Removed]:
    while chosen := list(pins.values_list("pk", flat=True)[:STEP_PINS]):
        HistoryPin.objects.filter(pk__in=chosen).delete()
        yield Removed(pins=len(chosen))


def _drop_oldest_pins() -> Removed:
    oldest = list(HistoryPin.objects.order_by("made_at").values_list("pk", flat=True)[:STEP_PINS])
    HistoryPin.objects.filter(pk__in=oldest).delete()
    return Removed(pins=len(oldest))


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
