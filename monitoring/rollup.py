"""How snapshots become rows of minutes, those rows of hours, and when each is deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Case, F, FloatField, IntegerField, Max, Model, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Cast

from monitoring.buckets import Bucket, begin_of, floor
from monitoring.figures import FIGURES, USAGE, Figure, Keep
from monitoring.models import MetricsSnapshot, Resolution, UsageSnapshot

BATCH_ROWS = 200
"""Rows per write: SQLite holds its write lock some milliseconds for them."""
WINDOW_BUCKETS = 10
"""Minutes, or hours, that are read at a time."""
SETTLE_S = 600.0
"""For so long after its end a minute may still get rows, of processes whose writes had to wait."""


@dataclass(frozen=True, slots=True)
class Limits:
    """For how long rows of each resolution are kept, and when a minute is complete."""

    full: timedelta
    minute: timedelta
    hour: timedelta
    settle: timedelta = timedelta(seconds=SETTLE_S)

    @classmethod
    def of_settings(cls) -> Limits:
        """As the environment says; a backlog of seven intervals may come late."""
        return cls(
            full=timedelta(days=settings.VITAL_SNAPSHOT_FULL_DAYS),
            minute=timedelta(days=settings.VITAL_SNAPSHOT_MINUTE_DAYS),
            hour=timedelta(days=settings.VITAL_SNAPSHOT_HOUR_DAYS),
            settle=timedelta(seconds=max(SETTLE_S, 8 * settings.VITAL_SNAPSHOT_INTERVAL_S)),
        )


@dataclass(frozen=True, slots=True)
class Step:
    """What one step wrote and deleted."""

    made: int = 0
    deleted: int = 0

    def __add__(self, other: Step) -> Step:
        return Step(self.made + other.made, self.deleted + other.deleted)

    def __str__(self) -> str:
        return f"{self.made:,} rows of minutes and hours made, {self.deleted:,} old rows deleted"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of snapshots: whose each row is, and what becomes of its columns."""

    model: type[Model]
    keys: tuple[str, ...]
    figures: tuple[Figure, ...]
    empty: Mapping[str, Any] = field(default_factory=dict)
    """Columns that rows of minutes and hours have nothing in."""

    @property
    def rows(self) -> Any:
        """All of them."""
        return self.model._default_manager.order_by()


TABLES = (
    Table(MetricsSnapshot, ("group", "process"), FIGURES, {"detail": {}}),
    Table(UsageSnapshot, ("process",), USAGE),
)


def upkeep(limits: Limits, now: datetime) -> Iterator[Step]:
    """All that is due, in steps of BATCH_ROWS rows at most; each is a transaction of its own, and blocks.

    A minute is written some time after its end, and never again: what is there already stays. So it may be
    broken off anywhere, repeated, and done by several processes at once. Rows are deleted by whole minutes
    or hours, once what they become has been written.
    """
    settled = now - limits.settle
    minutes, hours = floor(settled, Resolution.MINUTE), floor(settled, Resolution.HOUR)
    for table in TABLES:
        yield from _condense(table, Resolution.FULL, Resolution.MINUTE, minutes)
        yield from _condense(table, Resolution.MINUTE, Resolution.HOUR, hours)
        for resolution, kept, condensed in (
            (Resolution.FULL, limits.full, minutes),
            (Resolution.MINUTE, limits.minute, hours),
            (Resolution.HOUR, limits.hour, hours),
        ):
            yield from _delete(table, resolution, min(floor(now - kept, Resolution.HOUR), condensed))


def upkeep_by_settings(now: datetime) -> Iterator[Step]:
    """The same by the limits of the environment."""
    return upkeep(Limits.of_settings(), now)


def _condense(table: Table, source: Resolution, target: Resolution, until: datetime) -> Iterator[Step]:
    """Write the rows of `target` that begin before `until` and are not there yet, oldest first."""
    rows, keys = table.rows, table.keys
    # What a clock that was ahead has left in the future says nothing of what is done until now.
    done = rows.filter(resolution=target, at__lt=until)
    newest = done.order_by("-at").values_list("at", flat=True).first()
    # Beside the newest others may be missing that were to be written next.
    there = set(rows.filter(resolution=target, at=newest).values_list(*keys)) if newest else ()
    left = rows.filter(resolution=source, at__lt=until)
    begin = newest
    while True:
        waiting = left if begin is None else left.filter(at__gte=begin)
        oldest = waiting.order_by("at").values_list("at", flat=True).first()
        if oldest is None:
            return
        begin = floor(oldest, target)
        stop = min(begin + timedelta(seconds=WINDOW_BUCKETS * target), until)
        groups = [
            group
            for group in _grouped(table, left.filter(at__gte=begin, at__lt=stop), target)
            if begin_of(group["bucket"], target) != newest or tuple(group[key] for key in keys) not in there
        ]
        for first in range(0, len(groups), BATCH_ROWS):
            made = _rows(table, groups[first : first + BATCH_ROWS], target)
            table.model._default_manager.bulk_create(made, ignore_conflicts=True)
            yield Step(made=len(made))
        begin = stop


def _grouped(table: Table, rows: QuerySet[Any], target: Resolution) -> Iterable[dict[str, Any]]:
    """One dict for each bucket and what a row is of, in this order."""
    keys = ("bucket", *table.keys)
    most = {f"of_{each.name}": _most(table, each) for each in table.figures if each.keep is Keep.MOST}
    means = {f"of_{each.name}": _mean(each.name) for each in table.figures if each.keep is Keep.MEAN}
    grouped: Iterable[dict[str, Any]] = (
        rows.annotate(bucket=Bucket("at", target))
        .values(*keys)
        .annotate(last=Max("pk"), taken=Sum("samples"), **most, **means)
        .order_by(*keys)
    )
    return grouped


def _most(table: Table, figure: Figure) -> Max:
    """A whole number for what is true or false, or has words: PostgreSQL has no greatest of them."""
    if figure.order:
        ranks = (When(**{figure.name: word}, then=Value(rank)) for rank, word in enumerate(figure.order))
        return Max(Case(*ranks, output_field=IntegerField()))
    if table.model._meta.get_field(figure.name).get_internal_type() == "BooleanField":
        return Max(Cast(figure.name, IntegerField()))
    return Max(figure.name)


def _mean(name: str) -> Any:
    """Weighted by how many snapshots a row stands for; None where none has the figure."""
    weight = Cast(Sum("samples", filter=Q(**{f"{name}__isnull": False})), FloatField())
    return Sum(F(name) * F("samples"), output_field=FloatField()) / weight


def _rows(table: Table, groups: Sequence[dict[str, Any]], target: Resolution) -> list[Any]:
    """The unsaved rows. The last snapshot of each gives what is kept as it was last."""
    last = table.rows.defer(*table.empty).in_bulk([group["last"] for group in groups])
    made = []
    for group in groups:
        row = last.get(group["last"])
        if row is None:  # another process has condensed and deleted it meanwhile
            continue
        values = {
            figure.name: getattr(row, figure.name) if figure.keep is Keep.LAST else _value(figure, group)
            for figure in table.figures
        }
        of = {key: group[key] for key in table.keys}
        facts = {"at": begin_of(group["bucket"], target), "resolution": target, "samples": group["taken"]}
        made.append(table.model(**facts, **of, **table.empty, **values))
    return made


def _value(figure: Figure, group: dict[str, Any]) -> Any:
    value = group[f"of_{figure.name}"]
    if figure.order:
        return "" if value is None else figure.order[value]
    return value


def _delete(table: Table, resolution: Resolution, before: datetime) -> Iterator[Step]:
    rows = table.rows.filter(resolution=resolution, at__lt=before).order_by("at")
    while True:
        oldest = list(rows.values_list("pk", flat=True)[:BATCH_ROWS])
        if not oldest:
            return
        deleted, _ = table.rows.filter(pk__in=oldest).delete()
        yield Step(deleted=deleted)
