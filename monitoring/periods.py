"""Which stretch of time an operator means, and by rows of which resolution it is told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import QuerySet
from django.utils import timezone

from monitoring.models import MetricsSnapshot, Resolution
from monitoring.rollup import Limits

LAST = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "365d": timedelta(days=365),
}
DEFAULT_PERIOD = "1h"
FIRST_YEAR, LAST_YEAR = 1970, 9998
"""Within which a day, a month and a zone more or less are still in the calendar."""
_DATE = re.compile(r"(\d{4})-(\d{2})(?:-(\d{2}))?")
_FULL_SPAN, _MINUTE_SPAN = timedelta(hours=25), timedelta(days=7, hours=1)
"""Up to which a list shows rows as taken, and of minutes; with the hour by which a clock may change."""


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time, start inclusive and stop exclusive."""

    start: datetime
    stop: datetime

    @property
    def span(self) -> timedelta:
        """How long it is."""
        return self.stop - self.start

    def resolution(self, now: datetime) -> Resolution:
        """The finest rows that are kept of all of it, and are not too many to be listed."""
        limits, age = Limits.of_settings(), now - self.start
        if self.span <= _FULL_SPAN and age <= max(limits.full, _FULL_SPAN):
            return Resolution.FULL
        if self.span <= _MINUTE_SPAN and age <= limits.minute:
            return Resolution.MINUTE
        return Resolution.HOUR


def chosen_period(value: str | None, now: datetime) -> Period:
    """What the time filter's value means: the last hours or days, a day, or a month; else the last hour."""
    if (first := first_day(value)) is not None:
        after = first + timedelta(days=1) if _has_day(value) else next_month(first)
        # In UTC: the difference of two times of one zone ignores that its clock may change between them.
        start, stop = (
            timezone.make_aware(datetime.combine(day, time())).astimezone(UTC) for day in (first, after)
        )
        return Period(start, stop)
    return Period(now - LAST.get(value or "", LAST[DEFAULT_PERIOD]), now)


def first_day(value: str | None) -> date | None:
    """The day, or the first one of the month, that a value names; None where it names none."""
    match = _DATE.fullmatch(value or "")
    if match is None or not FIRST_YEAR <= int(match[1]) <= LAST_YEAR:
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3] or 1))
    except ValueError:
        return None


def next_month(day: date) -> date:
    """The first day of the month after that of `day`."""
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def parts(
    resolution: Resolution, start: datetime, stop: datetime
) -> list[tuple[Resolution, QuerySet[MetricsSnapshot]]]:
    """The rows between, each moment once: of `resolution` as far as there are any, then finer ones."""
    rows = MetricsSnapshot.objects.order_by()
    found = []
    for each in sorted(Resolution, reverse=True):
        if each > resolution:
            continue
        until = stop
        if each is not Resolution.FULL:
            there = rows.filter(resolution=each, at__lt=stop)
            newest = there.order_by("-at").values_list("at", flat=True).first()
            if newest is None:
                continue
            until = min(stop, newest + timedelta(seconds=each))
        if start < until:
            found.append((each, rows.filter(resolution=each, at__gte=start, at__lt=until)))
            start = until
    return found


def _has_day(value: str | None) -> bool:
    return len(value or "") == len("2026-03-01")
