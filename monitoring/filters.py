"""What the list of snapshots is narrowed by: time, resolution, group, process, state and network."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from monitoring.models import MetricsSnapshot, Resolution, State
from monitoring.periods import DEFAULT_PERIOD, LAST, Period, chosen_period, first_day, next_month
from monitoring.series import seen
from streaming.core.network import NetworkCondition

_LAST_NAMES = {
    "1h": "Last hour",
    "6h": "Last 6 hours",
    "24h": "Last 24 hours",
    "7d": "Last 7 days",
    "30d": "Last 30 days",
    "365d": "Last year",
}

Rows = QuerySet[MetricsSnapshot]


class TimeFilter(admin.SimpleListFilter):
    """The last hours or days, or one day or month of those that are kept; never all at once.

    Months and days are links above the list (`calendar`), computed from the clock, in place of
    `date_hierarchy`, which reads every row of the table through a Python function on SQLite: 3.7 s for
    300,000 rows, with the interpreter held, in the process that carries the frames.
    """

    title = "time"
    parameter_name = "time"

    def lookups(self, request: HttpRequest, _model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        """The last hours and days, and the day or month that is chosen."""
        chosen = request.GET.get(self.parameter_name)
        named = [(chosen, chosen)] if chosen and first_day(chosen) else []
        return [(key, _LAST_NAMES[key]) for key in LAST] + named

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
        """The rows of the chosen period, of one resolution."""
        period = period_of(request)
        return queryset.filter(at__gte=period.start, at__lt=period.stop, resolution=resolution_of(request))

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Without "All", and with the last hour chosen where nothing is."""
        chosen = self.value() or DEFAULT_PERIOD
        for value, title in self.lookup_choices:
            yield {
                "selected": chosen == str(value),
                "query_string": changelist.get_query_string({self.parameter_name: value}),
                "display": title,
            }


class ResolutionFilter(admin.SimpleListFilter):
    """Which rows: by default the finest that are kept of the whole period, and are not too many."""

    title = "resolution"
    parameter_name = "resolution"

    def lookups(self, _request: HttpRequest, _model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        """All that there are."""
        return [(str(each.value), str(each.label)) for each in Resolution]

    def queryset(self, _request: HttpRequest, queryset: Rows) -> Rows:
        """Time and resolution are one condition, which the time filter makes."""
        return queryset

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """With "fitting" in place of "All"."""
        first, *others = super().choices(changelist)
        yield {**first, "display": "fitting the time"}
        yield from others


class ColumnFilter(admin.SimpleListFilter):
    """The values that one column has within the chosen period."""

    column: ClassVar[str]

    def lookups(self, request: HttpRequest, _model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        """What was seen in the period, and what is chosen though it was not."""
        chosen = request.GET.get(str(self.parameter_name))
        values = {*seen(self.column, period_of(request), timezone.now()), *([chosen] if chosen else [])}
        return [(value, value) for value in sorted(values)]

    def queryset(self, _request: HttpRequest, queryset: Rows) -> Rows:
        """The rows with the chosen value."""
        return queryset.filter(**{self.column: self.value()}) if self.value() else queryset


class GroupFilter(ColumnFilter):
    """By channel-layer group."""

    title = parameter_name = column = "group"


class ProcessFilter(ColumnFilter):
    """By server process."""

    title = parameter_name = column = "process"


class StateFilter(admin.SimpleListFilter):
    """By the gravest state."""

    title = parameter_name = "state"

    def lookups(self, _request: HttpRequest, _model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        """All that there are, by their words."""
        return [(each.label, each.label) for each in State]

    def queryset(self, _request: HttpRequest, queryset: Rows) -> Rows:
        """The rows whose gravest state it is."""
        values = {each.label: each for each in State}
        state = values.get(self.value() or "")
        return queryset if state is None else queryset.filter(state=state)


class ConditionFilter(admin.SimpleListFilter):
    """By the worst network of a group's viewers."""

    title, parameter_name = "network", "network"

    def lookups(self, _request: HttpRequest, _model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        """All that there are."""
        return [(each.value, each.value) for each in NetworkCondition]

    def queryset(self, _request: HttpRequest, queryset: Rows) -> Rows:
        """The rows in which it is the worst."""
        return queryset.filter(network_condition=self.value()) if self.value() else queryset


def period_of(request: HttpRequest) -> Period:
    """The period that a request is about."""
    return chosen_period(request.GET.get(TimeFilter.parameter_name), timezone.now())


def resolution_of(request: HttpRequest) -> Resolution:
    """The resolution that a request asks for, or that fits its period."""
    try:
        return Resolution(int(request.GET.get(ResolutionFilter.parameter_name, "")))
    except ValueError:
        return period_of(request).resolution(timezone.now())


def calendar(request: HttpRequest, changelist: ChangeList) -> dict[str, Any]:
    """Template context: links to the months that are kept, or to the days of the chosen one."""

    def link(value: str, title: str) -> dict[str, Any]:
        query = changelist.get_query_string({TimeFilter.parameter_name: value}, remove=["p"])
        return {"query": query, "title": title, "chosen": value == chosen}

    chosen = request.GET.get(TimeFilter.parameter_name)
    today = timezone.localdate()
    oldest = today - timedelta(days=settings.VITAL_SNAPSHOT_HOUR_DAYS)
    day = first_day(chosen)
    if day is None:
        months = []
        month = today.replace(day=1)
        while next_month(month) > oldest:
            months.append(link(f"{month:%Y-%m}", f"{month:%B %Y}"))
            month = (month - timedelta(days=1)).replace(day=1)
        return {"calendar": months}
    days = []
    each: date = day.replace(day=1)
    while each < next_month(day):
        if oldest <= each <= today:
            days.append(link(each.isoformat(), f"{each.day}"))
        each += timedelta(days=1)
    return {
        "calendar": days,
        "calendar_month": link(f"{day:%Y-%m}", f"{day:%B %Y}"),
        "calendar_all": changelist.get_query_string(remove=[TimeFilter.parameter_name, "p"]),
    }
