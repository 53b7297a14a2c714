"""One group's figures over a stretch of time, as lines of a bounded number of points."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, FloatField, Max, Q, QuerySet, Sum

from monitoring.buckets import Bucket, floor
from monitoring.counters import growth
from monitoring.models import MetricsSnapshot, Resolution
from monitoring.periods import Period, parts
from monitoring.rollup import Limits

MAX_POINTS = 500
STEPS_S = (
    *(10, 20, 30, 60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800),
)
"""Seconds between two points."""

SEEN_SPAN = timedelta(days=14)

_MEANS = ("messages_per_second", "age_p50_ms")
_LARGEST = (
    "age_p95_ms",
    "age_p99_ms",
    "encode_p95_ms",
    "queue_p95_ms",
    "buffer_utilization",
    "pressure",
    "high_watermark",
    "loop_lag_ms",
    "rss_mb",
)
"""Of several processes the one where it is most."""
_REASONS = ("expired", "dropped", "quota", "emergency", "overload")
_QUALITIES = ("lossless", "diagnostic", "display", "overview", "vitals")
_CONDITIONS = ("excellent", "good", "fair", "poor", "critical")
_SUMMED = ("buffer_size", "viewers", *(f"viewers_{name}" for name in (*_QUALITIES, *_CONDITIONS)))
_COUNTERS = (
    "waveform_bytes_out",
    "waveform_json_bytes",
    "bytes_in",
    "bytes_out",
    "compress_s",
    "messages_processed",
    "bytes_sent",
    "lost_snapshots",
    *(f"drops_{reason}" for reason in _REASONS),
)


@dataclass(slots=True)
class _Cell:
    """What one process did in one step of time."""

    last_at: float
    """When its last snapshot was taken, in Unix seconds."""
    largest: dict[str, float] = field(default_factory=dict)
    sums: dict[str, float] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    grown: dict[str, float] = field(default_factory=dict)
    """Of counters, since the step before in which there was anything; empty if there was none."""
    seconds: float = 0.0
    """Since then."""

    def take(self, row: Mapping[str, Any], last_at: float) -> None:
        """Rows of two resolutions may meet in one step."""
        self.last_at = max(self.last_at, last_at)
        for name in (*_LARGEST, *_SUMMED, *_COUNTERS):
            if (value := row[f"of_{name}"]) is not None:
                self.largest[name] = max(self.largest.get(name, value), value)
        for name in _MEANS:
            if row[f"weight_{name}"]:
                self.sums[name] = self.sums.get(name, 0.0) + row[f"of_{name}"]
                self.weights[name] = self.weights.get(name, 0.0) + row[f"weight_{name}"]


def step_s(period: Period, points: int, now: datetime) -> int:
    """The smallest step with which no more than `points` are needed, and of which rows are kept."""
    limits, age = Limits.of_settings(), now - period.start
    # Half an interval more or less must not leave a step without a snapshot.
    least = 2 * settings.VITAL_SNAPSHOT_INTERVAL_S
    if age > limits.full + timedelta(hours=1):
        kept = Resolution.HOUR if age > limits.minute + timedelta(hours=1) else Resolution.MINUTE
        least = max(least, kept)
    seconds = period.span.total_seconds()
    fitting = (step for step in STEPS_S if step >= least and seconds <= step * (points - 1))
    return next(fitting, STEPS_S[-1])


def series(group: str, process: str | None, period: Period, points: int, now: datetime) -> dict[str, Any]:
    """`t`, where each step begins in Unix seconds, and lines of as many values; None where nothing is stored.

    Several processes count together: rates and viewers add up; of percentiles, pressure, lag and memory the
    largest is told; ratios are of all bytes. `lost_snapshots` is how many the database did not take.
    """
    step = step_s(period, points, now)
    resolution = max(each for each in Resolution if each <= step)
    first = int(period.start.timestamp()) // step
    stop = min(-int(-period.stop.timestamp() // step), first + points)
    begin = period.start - timedelta(seconds=step)  # counters need the step before
    cells: dict[tuple[str, int], _Cell] = {}
    for each, rows in parts(resolution, begin, period.stop):
        # A row of a minute does not tell when its last snapshot was taken: an interval before its end.
        late_s = max(0, each - settings.VITAL_SNAPSHOT_INTERVAL_S)
        chosen = rows.filter(group=group)
        for row in _grouped(chosen.filter(process=process) if process else chosen, step):
            last_at = row["last_at"].timestamp() + late_s
            cells.setdefault((row["process"], row["bucket"]), _Cell(last_at)).take(row, last_at)
    _let_grow(cells)
    columns: dict[int, list[_Cell]] = {}
    for (_, bucket), cell in cells.items():
        columns.setdefault(bucket, []).append(cell)
    lines: dict[str, list[float | None]] = {}
    lost = 0.0
    for bucket in range(first, stop):
        column = columns.get(bucket, [])
        lost += _grown(column, "lost_snapshots") or 0.0
        for name, value in _values(column):
            lines.setdefault(name, []).append(None if value is None else round(value, 4))
    return {
        "group": group,
        "process": process,
        "step_s": step,
        "resolution": Resolution(resolution).label,
        "lost_snapshots": int(lost),
        "t": [bucket * step for bucket in range(first, stop)],
        "lines": lines,
    }


def _grouped(rows: QuerySet[MetricsSnapshot], step: int) -> Iterable[dict[str, Any]]:
    """One dict for each step and process."""
    counted: Any = rows  # the stubs name each annotation
    grouped: Iterable[dict[str, Any]] = (
        counted.annotate(bucket=Bucket("at", step))
        .values("bucket", "process")
        .annotate(
            last_at=Max("at"),
            **{f"of_{name}": Max(name) for name in (*_LARGEST, *_SUMMED, *_COUNTERS)},
            **{f"of_{name}": Sum(F(name) * F("samples"), output_field=FloatField()) for name in _MEANS},
            **{f"weight_{name}": Sum("samples", filter=Q(**{f"{name}__isnull": False})) for name in _MEANS},
        )
        .order_by()
    )
    return grouped


def _let_grow(cells: Mapping[tuple[str, int], _Cell]) -> None:
    """Turn counters into growth."""
    before: dict[str, int] = {}
    for process, bucket in sorted(cells):
        last = before.get(process)
        before[process] = bucket
        if last is None:
            continue
        cell, former = cells[process, bucket], cells[process, last]
        cell.seconds = cell.last_at - former.last_at
        for name in _COUNTERS:
            cell.grown[name] = growth(former.largest[name], cell.largest[name])


def _values(column: list[_Cell]) -> Iterator[tuple[str, float | None]]:
    """The lines' values in one step."""
    yield "saved_vs_json", _saved(column, "waveform_bytes_out", "waveform_json_bytes")
    yield "saved", _saved(column, "bytes_out", "bytes_in")
    yield "compress_ms", _ratio(_grown(column, "compress_s"), _grown(column, "messages_processed"), 1000)
    for name in _MEANS:
        means = [cell.sums[name] / cell.weights[name] for cell in column if name in cell.weights]
        yield name, _sum(means) if name == "messages_per_second" else _ratio(_sum(means), len(means))
    for name in _LARGEST:
        yield name, max((cell.largest[name] for cell in column if name in cell.largest), default=None)
    for name in _SUMMED:
        yield name, _sum([cell.largest[name] for cell in column])
    yield "sent_mbps", _rate(column, "bytes_sent", 8e-6)
    for reason in _REASONS:
        yield f"drops_{reason}_per_min", _rate(column, f"drops_{reason}", 60)


def _saved(column: list[_Cell], out: str, given: str) -> float | None:
    share = _ratio(_grown(column, out), _grown(column, given))
    return None if share is None else 100 * (1 - share)


def _grown(column: list[_Cell], name: str) -> float | None:
    return _sum([cell.grown[name] for cell in column if cell.grown])


def _rate(column: list[_Cell], name: str, factor: float) -> float | None:
    """Per second, times `factor`."""
    return _sum([factor * cell.grown[name] / cell.seconds for cell in column if cell.seconds > 0])


def _ratio(part: float | None, whole: float | None, factor: float = 1.0) -> float | None:
    return factor * part / whole if part is not None and whole else None


def _sum(values: list[float]) -> float | None:
    return sum(values) if values else None


def busiest_group(period: Period, now: datetime) -> str | None:
    """The group with most messages at the period's end, a stream's before `control`; None without any."""
    for resolution, rows in reversed(parts(period.resolution(now), period.start, period.stop)):
        latest = rows.order_by("-at").values_list("at", flat=True).first()
        if latest is not None:
            recent = rows.filter(at__gte=latest - timedelta(seconds=max(30, resolution)))
            # "ecg." comes after "control", of which there is little to draw while nobody watches.
            return recent.order_by("-messages_per_second", "-group").values_list("group", flat=True).first()
    return None


def seen(column: str, period: Period, now: datetime) -> list[str]:
    """The groups, or processes, with rows in a period, of a long one in its last two weeks; from few rows."""
    start = max(period.start, min(period.stop, now) - SEEN_SPAN)
    values: set[str] = set()
    for _, rows in parts(Resolution.HOUR, floor(start, Resolution.HOUR), period.stop):
        values.update(rows.values_list(column, flat=True).distinct())
    return sorted(values)
