"""Snapshots as a file: CSV or JSON, read and sent in batches, so that no export is held in memory."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from asgiref.sync import sync_to_async
from django.db.models import Q, QuerySet

from monitoring.figures import FIGURES
from monitoring.models import MetricsSnapshot, Resolution, State
from monitoring.periods import Period

BATCH_ROWS = 500
MAX_ROWS = 200_000
"""A client that reads slowly is not waited for by every server: this is 70 MB of CSV."""

KEYS = ("at", "resolution", "samples", "group", "process")
UNITS = {
    "at": "UTC",
    "samples": "snapshots",
    **{figure.name: figure.unit for figure in FIGURES if figure.unit},
}
COLUMNS = (*KEYS, *(figure.name for figure in FIGURES))

Row = dict[str, Any]


class TooManyRowsError(Exception):
    """The rows are more than one export holds."""


def check_size(rows: QuerySet[MetricsSnapshot]) -> None:
    """Raise TooManyRowsError where there are more than MAX_ROWS."""
    if rows.order_by()[: MAX_ROWS + 1].count() > MAX_ROWS:
        raise TooManyRowsError


def file_name(period: Period, group: str | None, ending: str) -> str:
    """What, and of when."""
    of = re.sub(r"[^\w.-]+", "_", group or "all")
    return f"vital-snapshots-{of}-{period.start:%Y%m%dT%H%MZ}-{period.stop:%Y%m%dT%H%MZ}.{ending}"


async def as_csv(rows: QuerySet[MetricsSnapshot]) -> AsyncIterator[str]:
    """A header of names with their units in brackets, then a line a row; what is not known is empty."""
    yield _csv_lines([[f"{name} [{UNITS[name]}]" if name in UNITS else name for name in COLUMNS]])
    async for text in _texts(
        rows, lambda batch: _csv_lines([row[name] for name in COLUMNS] for row in batch)
    ):
        yield text


async def as_json(rows: QuerySet[MetricsSnapshot]) -> AsyncIterator[str]:
    """One object: `units` by name, then `rows`; what is not known is null."""
    yield f'{{"units": {json.dumps(UNITS)}, "rows": ['
    separator = "\n"
    async for text in _texts(rows, lambda batch: ",\n".join(map(json.dumps, batch))):
        yield separator + text
        separator = ",\n"
    yield "\n]}\n"


async def _texts(
    rows: QuerySet[MetricsSnapshot], write: Callable[[Sequence[Row]], str]
) -> AsyncIterator[str]:
    """What `write` makes of each batch, oldest first; a row that comes meanwhile may be among them."""
    ordered = rows.order_by("at", "pk")

    def read(after: tuple[datetime, int] | None) -> tuple[str, tuple[datetime, int] | None]:
        left = ordered
        if after is not None:
            at, pk = after
            left = ordered.filter(Q(at__gt=at) | Q(at=at, pk__gt=pk), at__gte=at)
        found = list(left.values("pk", *COLUMNS)[:BATCH_ROWS])
        if not found:
            return "", None
        last = found[-1]
        return write([_plain(row) for row in found]), (last["at"], last["pk"])

    after: tuple[datetime, int] | None = None
    while True:
        text, after = await sync_to_async(read)(after)
        if after is None:
            return
        yield text


def _plain(row: Row) -> Row:
    """In words, and as plain JSON values."""
    said = {
        "at": row["at"].isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "resolution": Resolution(row["resolution"]).label,
        "state": State(row["state"]).label,
    }
    return {name: said.get(name, row[name]) for name in COLUMNS}


def _csv_lines(lines: Iterable[Iterable[Any]]) -> str:
    file = io.StringIO()
    csv.writer(file).writerows(lines)
    return file.getvalue()
