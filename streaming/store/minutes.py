"""Minutes in little as they are stored: written with the history, read for a range, given up with it."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db import transaction
from django.db.models import QuerySet

from streaming.core.minutes import COARSE_COLUMNS, FINE_COLUMNS, FINE_PER_COARSE, Minute, Rates
from streaming.models_history import HistoryMinute
from streaming.store.routing import HISTORY

STEP_ROWS = 500
_LEVEL = 1
"""It takes a third of what level 6 does, for a tenth more bytes."""
_LONGEST = timedelta(seconds=70)
"""Of a minute by its own columns, whose samples are whole: at 50 to 2000 Hz they are up to a tenth longer."""


@dataclass(frozen=True, slots=True)
class StoredMinute:
    """A part of a minute; `ranges` are (leads, 2, columns), each column of `column_s`."""

    epoch: int
    first: int
    began_at: datetime
    column_s: float
    rates: Rates
    ranges: npt.NDArray[np.int16] | None = field(default=None, repr=False)


def write(minutes: Sequence[Minute]) -> None:
    """Store all of them in one transaction; blocks. One that is stored twice says the same as once."""
    HistoryMinute.objects.bulk_create(
        [
            HistoryMinute(
                stream=minute.stream,
                epoch=minute.epoch,
                first=minute.first,
                began_at=minute.began_at,
                column_s=minute.column_s,
                leads=minute.fine.shape[0],
                told=minute.rates.told,
                counted=minute.rates.counted,
                hr_total=minute.rates.total,
                hr_low=minute.rates.low,
                hr_high=minute.rates.high,
                coarse=minute.coarse.astype("<i2").tobytes(),
                fine=zlib.compress(minute.fine.astype("<i2").tobytes(), _LEVEL),
            )
            for minute in minutes
        ]
    )


def rates(stream: str, since: datetime, until: datetime) -> list[StoredMinute]:
    """Heart rates of the minutes that have any of a time, parts joined, in order; blocks, one query."""
    joined: dict[tuple[int, int], StoredMinute] = {}
    for row in _rows(stream, since, until).values_list(*_RATES):
        minute = _minute(row)
        known = joined.setdefault((minute.epoch, minute.first), minute)
        if known is not minute:
            known.rates.join(minute.rates)
    return list(joined.values())


def ranges(stream: str, since: datetime, until: datetime, *, fine: bool) -> Iterator[StoredMinute]:
    """The ranges of all leads of a time, part after part; blocks, one query. What is damaged is left out."""
    columns, name = (FINE_COLUMNS, "fine") if fine else (COARSE_COLUMNS, "coarse")
    rows = _rows(stream, since, until).values_list(*_RATES, "leads", name)
    for *facts, leads, blob in rows.iterator(chunk_size=500):
        minute = _minute(facts)
        try:
            plain = zlib.decompress(blob) if fine else bytes(blob)
            found = np.frombuffer(plain, "<i2").reshape(leads, 2, columns)
        except (zlib.error, ValueError):
            continue
        column_s = minute.column_s if fine else minute.column_s * FINE_PER_COARSE
        yield StoredMinute(minute.epoch, minute.first, minute.began_at, column_s, minute.rates, found)


def prune(before: datetime) -> Iterator[int]:
    """Delete what began before then, in steps that are transactions, and block."""
    yield from _remove(HistoryMinute.objects.filter(began_at__lt=before))


def delete(*, streams: Collection[str] | None = None, before: datetime | None = None) -> Iterator[int]:
    """As `history_limits.delete`, of minutes."""
    rows = HistoryMinute.objects.all()
    if streams is not None:
        rows = rows.filter(stream__in=streams)
    if before is not None:
        rows = rows.filter(began_at__lt=before)
    yield from _remove(rows)


_RATES = ("epoch", "first", "began_at", "column_s", "told", "counted", "hr_total", "hr_low", "hr_high")


def _rows(stream: str, since: datetime, until: datetime) -> QuerySet[HistoryMinute]:
    minutes = HistoryMinute.objects.filter(stream=stream, began_at__gt=since - _LONGEST, began_at__lt=until)
    return minutes.order_by("began_at")


def _minute(row: Sequence[Any]) -> StoredMinute:
    epoch, first, began_at, column_s, told, counted, total, low, high = row
    return StoredMinute(epoch, first, began_at, column_s, Rates(told, counted, total, low, high))


def _remove(rows: QuerySet[HistoryMinute]) -> Iterator[int]:
    while True:
        with transaction.atomic(using=HISTORY):
            step = rows.order_by("began_at").select_for_update(skip_locked=True)
            chosen = list(step.values_list("pk", flat=True)[:STEP_ROWS])
            HistoryMinute.objects.filter(pk__in=chosen).delete()
        if not chosen:
            return
        yield len(chosen)
