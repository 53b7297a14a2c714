"""Minutes in little as they are stored: written with the history, read for a range, given up with it."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from math import inf

import numpy as np
import numpy.typing as npt
from django.db import transaction
from django.db.models import QuerySet, Sum

from streaming.core.minutes import COARSE_COLUMNS, FINE_COLUMNS, FINE_PER_COARSE, Minute, Rates
from streaming.models_history import HistoryMinute
from streaming.store.routing import HISTORY

STEP_ROWS = 500
_INT16 = np.dtype("<i2")
_LEVEL = 1
"""It takes a third of what level 6 does, for a tenth more bytes."""
_LONGEST = timedelta(seconds=70)
"""Of a minute by its own columns, whose samples are whole: at 50 to 2000 Hz they are up to a tenth longer."""


@dataclass(frozen=True, slots=True)
class RatedMinute:
    """The heart rate of a minute, all parts of it joined."""

    began_ms: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Ranges:
    """Parts of minutes of one epoch: `ranges` is (parts, leads, 2, columns)."""

    epoch: int
    began_ms: npt.NDArray[np.int64]
    column_s: npt.NDArray[np.float64]
    ranges: npt.NDArray[np.int16] = field(repr=False)


def write(minutes: Sequence[Minute]) -> None:
    """Store all of them in one transaction; blocks. One that is stored twice says the same as once."""
    HistoryMinute.objects.bulk_create([_row(minute) for minute in minutes])


def _row(minute: Minute) -> HistoryMinute:
    coarse = minute.coarse.astype("<i2").tobytes()
    fine = zlib.compress(minute.fine.astype("<i2").tobytes(), _LEVEL)
    return HistoryMinute(
        stream=minute.stream,
        epoch=minute.epoch,
        first=minute.first,
        began_ms=_ms(minute.began_at),
        column_s=minute.column_s,
        leads=minute.fine.shape[0],
        told=minute.rates.told,
        counted=minute.rates.counted,
        hr_total=minute.rates.total,
        hr_low=minute.rates.low,
        hr_high=minute.rates.high,
        coarse=coarse,
        fine=fine,
        size_bytes=len(coarse) + len(fine),
    )


def rates(stream: str, since: datetime, until: datetime) -> list[RatedMinute]:
    """The minutes that have any of a time, in order; blocks, one query."""
    joined: dict[tuple[int, int], RatedMinute] = {}
    rows = _rows(stream, since, until).values_list(
        "epoch", "first", "began_ms", "told", "counted", "hr_total", "hr_low", "hr_high"
    )
    for epoch, first, began_ms, *facts in rows:
        known = joined.get((epoch, first))
        if known is None:
            joined[epoch, first] = RatedMinute(began_ms, Rates(*facts))
        else:
            known.rates.join(Rates(*facts))
    return list(joined.values())


def ranges(stream: str, since: datetime, until: datetime, *, fine: bool) -> Iterator[Ranges]:
    """The ranges of all leads of a time, epoch by epoch, without what is damaged; blocks, one query."""
    columns, name = (FINE_COLUMNS, "fine") if fine else (COARSE_COLUMNS, "coarse")
    rows = _rows(stream, since, until).values_list("epoch", "leads", "began_ms", "column_s", name)
    for (epoch, leads), group in groupby(rows, key=lambda row: row[:2]):
        size = leads * 2 * columns * _INT16.itemsize
        whole = [(*row[2:4], plain) for row in group if len(plain := _plain(row[4], fine)) == size]
        if whole:
            began_ms, column_s, blobs = zip(*whole, strict=True)
            yield Ranges(
                epoch,
                np.array(began_ms, np.int64),
                np.array(column_s, np.float64) * (1 if fine else FINE_PER_COARSE),
                np.frombuffer(b"".join(blobs), _INT16).reshape(-1, leads, 2, columns),
            )


def _plain(blob: bytes, fine: bool) -> bytes:
    """Inflated where it is deflated; nothing where it is damaged."""
    try:
        return zlib.decompress(blob) if fine else bytes(blob)
    except zlib.error:
        return b""


def size() -> int:
    """Bytes of all of them; blocks, one query of an index."""
    return int(HistoryMinute.objects.aggregate(size=Sum("size_bytes"))["size"] or 0)


def delete_oldest(*, enough_bytes: float) -> Iterator[list[int]]:
    """As `delete`, until enough bytes are gone."""
    yield from _remove(HistoryMinute.objects.all(), enough_bytes)


def delete(*, streams: Collection[str] | None = None, before: datetime | None = None) -> Iterator[list[int]]:
    """As `history_limits.delete`, of minutes: after each step the bytes of each row that it deleted."""
    rows = HistoryMinute.objects.all()
    if streams is not None:
        rows = rows.filter(stream__in=streams)
    if before is not None:
        rows = rows.filter(began_ms__lt=_ms(before))
    yield from _remove(rows)


def _rows(stream: str, since: datetime, until: datetime) -> QuerySet[HistoryMinute]:
    span = {"began_ms__gt": _ms(since - _LONGEST), "began_ms__lt": _ms(until)}
    return HistoryMinute.objects.filter(stream=stream, **span).order_by("began_ms")


def _ms(at: datetime) -> int:
    return round(1000 * at.timestamp())


def _remove(rows: QuerySet[HistoryMinute], enough_bytes: float = inf) -> Iterator[list[int]]:
    """Oldest first, step by step, until none is left or enough bytes are gone."""
    while enough_bytes > 0:
        with transaction.atomic(using=HISTORY):
            step = rows.order_by("began_ms").select_for_update(skip_locked=True)
            chosen: dict[int, int] = {}
            for pk, size_bytes in step.values_list("pk", "size_bytes")[:STEP_ROWS]:
                if enough_bytes <= 0:
                    break
                chosen[pk] = size_bytes
                enough_bytes -= size_bytes
            HistoryMinute.objects.filter(pk__in=chosen).delete()
        if not chosen:
            return
        yield list(chosen.values())
