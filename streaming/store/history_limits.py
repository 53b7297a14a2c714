"""What the history gives up, by its limits and on request, in steps that hold no lock for long."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

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
    pins: int = 0

    def __add__(self, other: Removed) -> Removed:
        return Removed(self.chunks + other.chunks, self.size_bytes + other.size_bytes, self.pins + other.pins)

    def __bool__(self) -> bool:
        return self != Removed()

    def __str__(self) -> str:
        chunks, pins = _counted(self.chunks, "chunk"), _counted(self.pins, "pin")
        return f"{chunks} ({size_text(self.size_bytes)}) and {pins}"


def prune(limits: Limits, *, now: datetime) -> Iterator[Removed]:
    """Delete what is too old, then the oldest of what is too much; each step is a transaction, and blocks.

    Pinned spans stay until their time is over, or until they take more than half of the bytes. Any number of
    processes may do this at once. Minutes in little go by their age alone.
    """
    yield from _drop_pins(HistoryPin.objects.filter(until__lte=now))
    yield from _remove(_unpinned(now).filter(began_at__lt=now - limits.max_age))
    yield from (Removed() for _ in minutes.prune(now - limits.max_age))
    if (surplus := _size(HistoryChunk.objects.all()) - limits.max_bytes) > 0:
        while _size(_pinned(now)) > PINNED_SHARE * limits.max_bytes:
            yield _drop_oldest_pins()
        yield from _remove(_unpinned(now), enough_bytes=surplus)


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
    yield from (Removed() for _ in minutes.delete(streams=streams, before=before))
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


def _remove(chunks: QuerySet[HistoryChunk], *, enough_bytes: int | None = None) -> Iterator[Removed]:
    """Oldest first, step by step, until none is left or enough bytes are gone."""
    gone_bytes = 0
    since: datetime | None = None
    while enough_bytes is None or gone_bytes < enough_bytes:
        # What was passed over in the last step, because it is pinned, is not looked at once more.
        step = chunks if since is None else chunks.filter(began_at__gte=since)
        with transaction.atomic(using=HISTORY):
            rows = list(
                step.order_by("began_at")
                .select_for_update(skip_locked=True)
                .values_list("pk", "size_bytes", "began_at")[:STEP_CHUNKS]
            )
            chosen: list[int] = []
            for pk, size_bytes, _began_at in rows:
                if enough_bytes is not None and gone_bytes >= enough_bytes:
                    break
                chosen.append(pk)
                gone_bytes += size_bytes
            HistoryChunk.objects.filter(pk__in=chosen).delete()
        if not chosen:
            return
        since = rows[len(chosen) - 1][2]
        yield Removed(len(chosen), sum(row[1] for row in rows[: len(chosen)]))


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
