"""One group's figures over a period, as the lines of small charts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, log10

from django.utils import timezone

COLUMNS = 120
"""Steps in time; a snapshot every 10 s gives three to each column of an hour."""


@dataclass(frozen=True, slots=True)
class Box:
    """A chart's size and the area of its lines, in user units; the page scales it."""

    width: int = 270
    height: int = 120
    left: int = 44
    right: int = 262
    top: int = 8
    bottom: int = 100


BOX = Box()


@dataclass(frozen=True, slots=True)
class Point:
    """What one process measured of the group at one moment; None where there was nothing to average."""

    at: datetime
    process: str
    ratio_vs_json: float | None
    utilization: float
    high_watermark: float
    messages_per_second: float


@dataclass(frozen=True, slots=True)
class Tick:
    """One line of the grid: where it lies along its axis, and what is written there."""

    at: str
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart, ready to be drawn: SVG path data and positions are text, so no locale changes them."""

    slug: str
    title: str
    latest: str
    path: str
    """Breaks where nothing was stored."""
    limit: str
    """Height of the dashed line, or empty."""
    limit_label: str
    rows: tuple[Tick, ...]
    columns: tuple[Tick, ...]


def charts(points: Iterable[Point], start: datetime, stop: datetime) -> tuple[Chart, ...]:
    """Three charts of one group from `start` to `stop`: ratio against JSON, utilization, messages a second.

    Several processes at the same time count as one: their rates add up, the fullest buffer is shown,
    and the ratio is their mean.
    """
    columns: list[list[Point]] = [[] for _ in range(COLUMNS)]
    for point in points:
        column = int((point.at - start) / (stop - start) * COLUMNS)
        if 0 <= column < COLUMNS:
            columns[column].append(point)
    times = _time_ticks(start, stop)
    ratio = [_mean([p.ratio_vs_json for p in column if p.ratio_vs_json is not None]) for column in columns]
    utilization = [max((p.utilization for p in column), default=None) for column in columns]
    rate = [_summed_rate(column) for column in columns]
    watermark = max((p.high_watermark for column in columns for p in column), default=0.0)
    percent = [None if value is None else value * 100 for value in utilization]
    rate_top = _round_up(max((value for value in rate if value is not None), default=0.0))
    return (
        _chart(
            "ratio", "Saved against JSON", ratio, times, bottom=min([0.0, *_known(ratio)]), top=100, unit=" %"
        ),
        _chart(
            "utilization", "Buffer utilization", percent, times, top=100, unit=" %", limit=watermark * 100
        ),
        _chart("rate", "Messages per second", rate, times, top=rate_top, unit="/s"),
    )


def _chart(
    slug: str,
    title: str,
    values: Sequence[float | None],
    times: tuple[Tick, ...],
    *,
    top: float,
    bottom: float = 0.0,
    unit: str,
    limit: float = 0.0,
) -> Chart:
    def height(value: float) -> str:
        inside = min(max(value, bottom), top)
        return _number(BOX.bottom - (BOX.bottom - BOX.top) * (inside - bottom) / (top - bottom))

    # A column's value stands at its middle.
    across = [BOX.left + (BOX.right - BOX.left) * (n + 0.5) / COLUMNS for n in range(COLUMNS)]
    known = _known(values)
    middle = (top + bottom) / 2
    return Chart(
        slug=slug,
        title=title,
        latest=f"{_number(known[-1])}{unit}" if known else "--",
        path=_path(
            [(_number(x), None if v is None else height(v)) for x, v in zip(across, values, strict=True)]
        ),
        limit=height(limit) if limit else "",
        limit_label=f"high watermark {_number(limit)}{unit}" if limit else "",
        rows=tuple(Tick(height(value), f"{_number(value)}{unit}") for value in (bottom, middle, top)),
        columns=times,
    )


def _path(points: Sequence[tuple[str, str | None]]) -> str:
    parts: list[str] = []
    pen_down = False
    for x, y in points:
        if y is None:
            pen_down = False
            continue
        # A lone value would be invisible: a line of no length with round ends is a dot.
        parts.append(f"L{x} {y}" if pen_down else f"M{x} {y}h0")
        pen_down = True
    return "".join(parts)


def _time_ticks(start: datetime, stop: datetime) -> tuple[Tick, ...]:
    """Six full steps of the clock, in the server's time zone; the day on which it goes back has 25 hours."""
    span = stop - start
    step = next(s for s in (10, 60, 240) if span / timedelta(minutes=s) <= 6.25)
    local = timezone.localtime(start).replace(hour=0, minute=0, second=0, microsecond=0)
    ticks = []
    while local <= stop:
        if local >= start:
            x = BOX.left + (BOX.right - BOX.left) * ((local - start) / span)
            ticks.append(Tick(_number(x), f"{local:%H:%M}"))
        local += timedelta(minutes=step)
    return tuple(ticks)


def _summed_rate(column: Sequence[Point]) -> float | None:
    """The sum over processes of each one's mean, so that two snapshots in a column count once."""
    by_process: dict[str, list[float]] = {}
    for point in column:
        by_process.setdefault(point.process, []).append(point.messages_per_second)
    return sum(sum(rates) / len(rates) for rates in by_process.values()) if by_process else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _round_up(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten; at least 1."""
    if value <= 1:
        return 1.0
    power = 10.0 ** ceil(log10(value) - 1)
    return next(power * step for step in (1, 2, 5, 10) if value <= power * step * 1.000001)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
