"""Snapshots as the operator reads them: what, of which group, when, and how it went."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from monitoring.models import MetricsSnapshot
from monitoring.trend import BOX, Point, charts

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[MetricsSnapshot]
else:
    _ModelAdmin = admin.ModelAdmin  # generic in the stubs alone

HOURS = {"1h": 1, "6h": 6, "24h": 24}
DEFAULT_PERIOD = "1h"


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time, start inclusive and stop exclusive; never longer than a day and its clock change."""

    start: datetime
    stop: datetime


def chosen_period(value: str | None, now: datetime) -> Period:
    """What the time filter's value means: some last hours, or one day; else the last hour."""
    try:
        day = date.fromisoformat(value or "")
    except ValueError:
        hours = HOURS.get(value or "", HOURS[DEFAULT_PERIOD])
        return Period(now - timedelta(hours=hours), now)
    midnights = (datetime.combine(day + timedelta(days=n), time()) for n in (0, 1))
    # In UTC: the difference of two times of one zone ignores that its clock may change between them.
    start, stop = (timezone.make_aware(midnight).astimezone(UTC) for midnight in midnights)
    return Period(start, stop)


class TimeFilter(admin.SimpleListFilter):
    """The last hours, or one of the days that are kept; never all at once.

    In place of `date_hierarchy`, which reads every row of the table through a Python function on SQLite:
    3.7 s for 300,000 rows, with the interpreter held, in the process that carries the frames.
    """

    title = "time"
    parameter_name = "time"

    def lookups(self, _request: HttpRequest, _model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        """The choices: hours, then days from today backwards."""
        hours = [(key, "Last hour" if n == 1 else f"Last {n} hours") for key, n in HOURS.items()]
        today = timezone.localdate()
        kept = [today - timedelta(days=n) for n in range(settings.VITAL_SNAPSHOT_RETENTION_DAYS + 1)]
        return hours + [(day.isoformat(), "Today" if day == today else f"{day:%a %d %b}") for day in kept]

    def queryset(
        self, _request: HttpRequest, queryset: QuerySet[MetricsSnapshot]
    ) -> QuerySet[MetricsSnapshot]:
        """The rows of the chosen period."""
        period = chosen_period(self.value(), timezone.now())
        return queryset.filter(at__gte=period.start, at__lt=period.stop)

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Without "All", and with the last hour chosen where nothing is."""
        chosen = self.value() or DEFAULT_PERIOD
        for value, title in self.lookup_choices:
            yield {
                "selected": chosen == str(value),
                "query_string": changelist.get_query_string({self.parameter_name: value}),
                "display": title,
            }


class ColumnFilter(admin.SimpleListFilter):
    """The values that one column has within the chosen period."""

    column: ClassVar[str]

    def lookups(self, request: HttpRequest, _model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        """What was seen in the period, and what is chosen though it was not."""
        period = chosen_period(request.GET.get(TimeFilter.parameter_name), timezone.now())
        rows = MetricsSnapshot.objects.filter(at__gte=period.start, at__lt=period.stop).order_by()
        seen = {str(value) for value in rows.values_list(self.column, flat=True).distinct()}
        chosen = request.GET.get(str(self.parameter_name))
        return [(value, value) for value in sorted(seen | ({chosen} if chosen else set()))]

    def queryset(
        self, _request: HttpRequest, queryset: QuerySet[MetricsSnapshot]
    ) -> QuerySet[MetricsSnapshot]:
        """The rows with the chosen value."""
        return queryset.filter(**{self.column: self.value()}) if self.value() else queryset


class GroupFilter(ColumnFilter):
    """By channel-layer group."""

    title = parameter_name = column = "group"


class ProcessFilter(ColumnFilter):
    """By server process."""

    title = parameter_name = column = "process"


def _percent(share: float | None) -> str:
    return "--" if share is None else f"{share * 100:.1f} %"


def _ratio(percent: float | None) -> str:
    return "--" if percent is None else f"{percent:.1f} %"


def _size(size_bytes: float) -> str:
    if size_bytes < 1_000_000:
        return f"{size_bytes / 1000:.1f} kB"
    if size_bytes < 1_000_000_000:
        return f"{size_bytes / 1_000_000:.1f} MB"
    return f"{size_bytes / 1_000_000_000:,.1f} GB"


def _yes_or_no(fact: bool) -> str:
    return "yes" if fact else "no"


def _as_json(value: Any) -> SafeString:
    return format_html("<pre>{}</pre>", json.dumps(value, indent=2))


@admin.register(MetricsSnapshot)
class MetricsSnapshotAdmin(_ModelAdmin):
    """Read-only: rows are written by the server, and deleted by it when they are old."""

    change_list_template = "admin/monitoring/metricssnapshot/change_list.html"
    list_display = (
        "when",
        "group",
        "process",
        "viewers",
        "state",
        "utilization",
        "rate",
        "lost",
        "json_ratio",
        "latency",
        "sent_bytes",
    )
    list_filter = (TimeFilter, GroupFilter, ProcessFilter, "backpressure_active", "emergency_mode")
    list_per_page = 60
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # a count for each choice of each filter
    # (at, group) is an index; ordering by more columns would sort a day's rows for every page.
    ordering = ("-at", "group")
    fieldsets = (
        (None, {"fields": (("when", "group"), ("process", "viewers"))}),
        (
            "Compression",
            {
                "fields": (
                    ("current_level", "messages_processed"),
                    ("compression_ratio", "json_ratio"),
                    ("latency", "saved"),
                )
            },
        ),
        ("Backpressure: buffer", {"fields": (("buffer_size", "utilization", "watermark"),)}),
        (
            "Backpressure: performance",
            {
                "fields": (
                    ("sent_messages", "dropped_messages", "lost"),
                    ("rate", "sent_bytes", "gaps"),
                )
            },
        ),
        ("Backpressure: state", {"fields": (("backpressure", "emergency", "waiting"),)}),
        ("Adaptive", {"fields": ("adaptive",)}),
        ("History", {"fields": ("history",)}),
        ("All of it", {"classes": ("collapse",), "fields": ("whole",)}),
    )

    class Media:
        css: ClassVar[dict[str, tuple[str, ...]]] = {"all": ("monitoring/admin.css",)}

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """Nobody adds a measurement by hand."""
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: MetricsSnapshot | None = None) -> bool:
        """Nobody edits one."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: MetricsSnapshot | None = None) -> bool:
        """The server deletes what is older than the retention."""
        return False

    def get_readonly_fields(
        self, _request: HttpRequest, _obj: MetricsSnapshot | None = None
    ) -> tuple[str, ...]:
        """All: several are texts made of a column and its unit."""
        return tuple(
            name
            for _, options in self.fieldsets
            for line in options["fields"]
            for name in ((line,) if isinstance(line, str) else line)
        )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, below the trend of the chosen group, or of the busiest."""
        response = super().changelist_view(request, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data is not None:
            response.context_data |= _trend(request)
        return response

    @admin.display(ordering="at", description="time")
    def when(self, row: MetricsSnapshot) -> str:
        """To the second, which Django's own format leaves out."""
        return f"{timezone.localtime(row.at):%d %b %H:%M:%S}"

    @admin.display(description="state")
    def state(self, row: MetricsSnapshot) -> SafeString | str:
        """The states that are on, in words; emphasised, not coloured: red and yellow mean an alarm."""
        states = {
            "emergency": row.emergency_mode,
            "backpressure": row.backpressure_active,
            "paused": row.paused,
        }
        active = ", ".join(name for name, on in states.items() if on)
        return format_html("<strong>{}</strong>", active) if active else "normal"

    @admin.display(ordering="buffer_utilization", description="utilization")
    def utilization(self, row: MetricsSnapshot) -> str:
        """Percent of the fullest viewer's buffer."""
        return _percent(row.buffer_utilization)

    @admin.display(ordering="high_watermark", description="high watermark")
    def watermark(self, row: MetricsSnapshot) -> str:
        """Percent."""
        return _percent(row.high_watermark)

    @admin.display(ordering="messages_per_second", description="messages/s")
    def rate(self, row: MetricsSnapshot) -> str:
        """One decimal: a group sends some ten messages a second to each viewer."""
        return f"{row.messages_per_second:,.1f}"

    @admin.display(ordering="drop_rate", description="drop rate")
    def lost(self, row: MetricsSnapshot) -> str:
        """Percent with two decimals: the target is below 0.1 %."""
        return f"{row.drop_rate * 100:.2f} %"

    @admin.display(ordering="average_compression_ratio", description="compression ratio")
    def compression_ratio(self, row: MetricsSnapshot) -> str:
        """Percent saved of the bytes given."""
        return _ratio(row.average_compression_ratio)

    @admin.display(ordering="ratio_vs_json", description="saved against JSON")
    def json_ratio(self, row: MetricsSnapshot) -> str:
        """Percent saved of the same samples as JSON."""
        return _ratio(row.ratio_vs_json)

    @admin.display(ordering="average_latency_ms", description="compression time")
    def latency(self, row: MetricsSnapshot) -> str:
        """Milliseconds."""
        return "--" if row.average_latency_ms is None else f"{row.average_latency_ms:.2f} ms"

    @admin.display(ordering="bytes_sent", description="sent")
    def sent_bytes(self, row: MetricsSnapshot) -> str:
        """Decimal kB, MB or GB."""
        return _size(row.bytes_sent)

    @admin.display(ordering="space_saved_mb", description="space saved")
    def saved(self, row: MetricsSnapshot) -> str:
        """Decimal kB, MB or GB."""
        return _size(row.space_saved_mb * 1_000_000)

    @admin.display(description="backpressure active")
    def backpressure(self, row: MetricsSnapshot) -> str:
        """In words: Django's icons for yes and no are green and red."""
        return _yes_or_no(row.backpressure_active)

    @admin.display(description="emergency mode")
    def emergency(self, row: MetricsSnapshot) -> str:
        """In words."""
        return _yes_or_no(row.emergency_mode)

    @admin.display(description="paused")
    def waiting(self, row: MetricsSnapshot) -> str:
        """In words."""
        return _yes_or_no(row.paused)

    @admin.display(description="adaptation")
    def adaptive(self, row: MetricsSnapshot) -> SafeString | str:
        """What the adaptive compression told of itself, if it runs."""
        told = row.detail.get("adaptive")
        return "not adapted" if told is None else _as_json(told)

    @admin.display(description="since the process began")
    def history(self, row: MetricsSnapshot) -> SafeString | str:
        """What was stored of the stream, and what was lost, where it is recorded by this process."""
        told = row.detail.get("history")
        return "not recorded by this process" if told is None else _as_json(told)

    @admin.display(description="figures")
    def whole(self, row: MetricsSnapshot) -> SafeString:
        """Every figure, laid out as the metrics' dicts."""
        return _as_json(row.stats.metrics)


def _trend(request: HttpRequest) -> dict[str, Any]:
    """Template context: the charts of the chosen group over the chosen period."""
    period = chosen_period(request.GET.get(TimeFilter.parameter_name), timezone.now())
    rows = MetricsSnapshot.objects.filter(at__gte=period.start, at__lt=period.stop)
    process = request.GET.get(str(ProcessFilter.parameter_name))
    if process:
        rows = rows.filter(process=process)
    group = request.GET.get(str(GroupFilter.parameter_name)) or _busiest_group(rows)
    if group is None:
        return {}
    points = rows.filter(group=group).values_list(
        "at", "process", "ratio_vs_json", "buffer_utilization", "high_watermark", "messages_per_second"
    )
    return {
        "trend_group": group,
        "trend_chosen": bool(request.GET.get(str(GroupFilter.parameter_name))),
        "trend_process": process,
        "trend_period": period,
        "trend_box": BOX,
        "trend_charts": charts((Point(*point) for point in points.order_by()), period.start, period.stop),
    }


def _busiest_group(rows: QuerySet[MetricsSnapshot]) -> str | None:
    latest = rows.order_by("-at").values_list("at", flat=True).first()
    if latest is None:
        return None
    recent = rows.filter(at__gte=latest - timedelta(seconds=30))
    return recent.order_by("-messages_per_second", "group").values_list("group", flat=True).first()
