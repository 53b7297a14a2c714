"""The history: encoded samples of every stream in chunks, written by one and read in pages."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from django.db.models import Count, Max, Min, QuerySet, Sum
from django.utils import timezone

from streaming.core.bundle import WaveFrame
from streaming.core.chunks import CHUNK_SAMPLES, LONGEST, Chunk, unpack
from streaming.core.position import SampleRange
from streaming.exceptions import ProtocolError
from streaming.models_history import HistoryChunk, HistoryPin

logger = logging.getLogger(__name__)

PAGE_BYTES = 64 * 1024
_PAGE_CHUNKS = 64


@dataclass(frozen=True, slots=True)
class Page:
    """Some frames, in the order of their samples; `next` goes on, None when that was all.

    Newest first, `next` is the `stop` to ask with for what lies before this page; else it is the `first`.
    """

    frames: tuple[WaveFrame, ...]
    next: int | None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Contiguous samples of one epoch that are stored, and when they were taken, as far as known."""

    epoch: int
    first: int
    stop: int
    began_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class StoredSize:
    """What the history has of one stream."""

    stream: str
    chunks: int
    size_bytes: int
    oldest: datetime
    newest: datetime

    def __str__(self) -> str:
        return (
            f"{size_text(self.size_bytes)}, "
            f"{self.oldest:%Y-%m-%d %H:%M:%S} to {self.newest:%Y-%m-%d %H:%M:%S} UTC"
        )


def size_text(size_bytes: int) -> str:
    """Bytes for people: in kB below one MB, so that little is not shown as nothing."""
    return f"{size_bytes / 1e3:,.1f} kB" if size_bytes < 1e6 else f"{size_bytes / 1e6:,.1f} MB"


def write(chunks: Sequence[Chunk]) -> None:
    """Store all of them in one transaction; blocks. One that is there already is left as it is."""
    HistoryChunk.objects.bulk_create(
        [
            HistoryChunk(
                stream=chunk.stream,
                epoch=chunk.epoch,
                first=chunk.first,
                stop=chunk.stop,
                began_at=chunk.began_at,
                ended_at=chunk.ended_at,
                size_bytes=len(chunk.blob),
                frames=chunk.blob,
            )
            for chunk in chunks
        ],
        ignore_conflicts=True,
    )


def read(
    stream: str,
    epoch: int,
    first: int,
    stop: int,
    *,
    newest_first: bool = True,
    max_bytes: int = PAGE_BYTES,
) -> Page:
    """A page of the frames that overlap samples `first` to `stop` (exclusive); blocks, two queries.

    About `max_bytes` of payload, and one frame at least where there is any. A frame that is stored twice
    comes once; one that overlaps the edge of the span comes whole. A chunk that is damaged is a hole.
    """
    while True:
        page = _page(stream, epoch, first, stop, newest_first=newest_first, max_bytes=max_bytes)
        if page.frames or page.next is None:
            return page
        first, stop = (first, page.next) if newest_first else (page.next, stop)


def _page(stream: str, epoch: int, first: int, stop: int, *, newest_first: bool, max_bytes: int) -> Page:
    """As `read`, of the next few chunks, all of which may be damaged."""
    found = list(
        _overlapping(stream, epoch, first, stop)
        .order_by("-first" if newest_first else "first")
        .values_list("first", "stop", "size_bytes")[:_PAGE_CHUNKS]
    )
    taken = size_bytes = 0
    while taken < len(found) and size_bytes < max_bytes:
        size_bytes += found[taken][2]
        taken += 1
    # The samples that this page is about: all chunks that have any of them are looked at together, so that
    # what two processes wrote of the same samples is put in order and told apart.
    low, high = first, stop
    if taken < len(found) or taken == _PAGE_CHUNKS:
        low, high = (max(first, found[taken - 1][0]), stop) if newest_first else (first, found[taken - 1][1])
    frames = _frames(stream, epoch, low, high)
    kept = _fitting(frames, max_bytes, newest_first=newest_first)
    if newest_first:
        begun = kept[0].first if len(kept) < len(frames) else low
        return Page(tuple(kept), begun if begun > first else None)
    ended = kept[-1].first + kept[-1].count if len(kept) < len(frames) else high
    return Page(tuple(kept), ended if ended < stop else None)


def spans(stream: str, epoch: int, first: int, stop: int) -> tuple[SampleRange, ...]:
    """What is stored of samples `first` to `stop` (exclusive), joined and in order; blocks, one query."""
    joined: list[tuple[int, int]] = []
    rows = _overlapping(stream, epoch, first, stop).order_by("first").values_list("first", "stop")
    for begun, ended in rows.iterator(chunk_size=2000):
        if joined and begun <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], ended))
        else:
            joined.append((begun, ended))
    return tuple(SampleRange(max(first, begun), min(stop, ended)) for begun, ended in joined)


def coverage(stream: str, since: datetime, until: datetime) -> tuple[Stretch, ...]:
    """What is stored of a time, by epoch and in order, each hole between two stretches; blocks, one query."""
    rows = (
        HistoryChunk.objects.filter(stream=stream, began_at__gt=since - LONGEST)
        .filter(began_at__lt=until, ended_at__gt=since)
        .order_by("epoch", "first")
        .values_list("epoch", "first", "stop", "began_at", "ended_at")
    )
    stretches: list[Stretch] = []
    for row in rows.iterator(chunk_size=2000):
        found = Stretch(*row)
        last = stretches[-1] if stretches else None
        if last is not None and last.epoch == found.epoch and found.first <= last.stop:
            ended = max(last, found, key=lambda stretch: stretch.stop)
            stretches[-1] = Stretch(last.epoch, last.first, ended.stop, last.began_at, ended.ended_at)
        else:
            stretches.append(found)
    return tuple(stretches)


def sizes(streams: Iterable[str] | None = None) -> tuple[StoredSize, ...]:
    """What the history has of each stream, or of these alone, by stream; blocks, one query of an index."""
    chunks = HistoryChunk.objects.all()
    if streams is not None:
        chunks = chunks.filter(stream__in=list(streams))
    rows = (
        chunks.values("stream")
        .annotate(chunks=Count("*"), size=Sum("size_bytes"), oldest=Min("began_at"), newest=Max("ended_at"))
        .order_by("stream")
    )
    return tuple(
        StoredSize(row["stream"], row["chunks"], row["size"], row["oldest"], row["newest"]) for row in rows
    )


def pin(stream: str, epoch: int, first: int, stop: int, *, reason: str, until: datetime) -> None:
    """Keep samples `first` to `stop` (exclusive) until then, what is stored and what will be; blocks.

    `reason` is for people: what kind of thing wants them, and no name. Pinned spans have a limit of their
    own, half of what the history may take: beyond it the oldest pins are given up.
    Raises ValueError for an empty span, and for an end that has passed.
    """
    if not first < stop:
        raise ValueError("a span has at least one sample")
    if until <= timezone.now():
        raise ValueError("a pin ends in the future")
    HistoryPin.objects.create(
        stream=stream, epoch=epoch, first=first, stop=stop, reason=reason[:80], until=until
    )


def _overlapping(stream: str, epoch: int, first: int, stop: int) -> QuerySet[HistoryChunk]:
    """By the index on (stream, epoch, first): none that begins earlier is long enough to reach `first`."""
    return HistoryChunk.objects.filter(
        stream=stream, epoch=epoch, first__gt=first - CHUNK_SAMPLES, first__lt=stop, stop__gt=first
    )


def _frames(stream: str, epoch: int, first: int, stop: int) -> list[WaveFrame]:
    """The frames that have samples of `first` to `stop`, in order, without any that adds nothing."""
    found = [
        frame
        for begins, blob in _overlapping(stream, epoch, first, stop).values_list("first", "frames")
        for frame in _unpacked(stream, epoch, begins, bytes(blob))
        if frame.first < stop and frame.first + frame.count > first
    ]
    found.sort(key=lambda frame: (frame.first, -frame.count))
    frames: list[WaveFrame] = []
    covered = -1
    for frame in found:
        if frame.first + frame.count > covered:
            frames.append(frame)
            covered = frame.first + frame.count
    return frames


def _unpacked(stream: str, epoch: int, first: int, blob: bytes) -> list[WaveFrame]:
    """The frames of one chunk; none where it is damaged."""
    try:
        return list(unpack(blob))
    except ProtocolError as error:
        _say_damaged(stream, epoch, first, error.reason)
        return []


@lru_cache(maxsize=256)
def _say_damaged(stream: str, epoch: int, first: int, reason: str) -> None:
    """Once for each chunk, however often it is read."""
    logger.error("the history's chunk at %s of epoch %s of %s is damaged: %s", first, epoch, stream, reason)


def _fitting(frames: list[WaveFrame], max_bytes: int, *, newest_first: bool) -> list[WaveFrame]:
    """As many of them as `max_bytes` hold, from that end; one at least."""
    kept = size_bytes = 0
    for frame in reversed(frames) if newest_first else frames:
        size_bytes += len(frame.payload)
        if kept and size_bytes > max_bytes:
            break
        kept += 1
    return frames[len(frames) - kept :] if newest_first else frames[:kept]
