"""Snapshots as the operator reads them: what, of which group, when, and how it went."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

from monitoring import (  # noqa: F401  # the first three register their pages
    admin_alert_rules,
    admin_alerts,
    admin_channels,
    capacity_admin,
    live_page,
    profile_preview,
    snapshot_views,
)
from monitoring.admin_parts import to_the_second
from monitoring.filters import (
    ConditionFilter,
    GroupFilter,
    ProcessFilter,
    ResolutionFilter,
    StateFilter,
    TimeFilter,
    calendar,
    period_of,
    resolution_of,
)
from monitoring.models import MetricsSnapshot, Resolution
from monitoring.series import busiest_group, seen

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[MetricsSnapshot]
    _Paginator = Paginator[MetricsSnapshot]
else:
    _ModelAdmin, _Paginator = admin.ModelAdmin, Paginator  # generic in the stubs alone

NEWEST_ROWS = 10_000


def _percent(share: float | None) -> str:
    return "--" if share is None else f"{share * 100:.1f} %"


def _ratio(percent: float | None) -> str:
    return "--" if percent is None else f"{percent:.1f} %"


def _ms(milliseconds: float | None) -> str:
    return "--" if milliseconds is None else f"{milliseconds:.1f} ms"


def _size(size_bytes: float) -> str:
    if size_bytes < 1_000_000:
        return f"{size_bytes / 1000:.1f} kB"
    if size_bytes < 1_000_000_000:
        return f"{size_bytes / 1_000_000:.1f} MB"
    return f"{size_bytes / 1_000_000_000:,.1f} GB"


def _yes_or_no(fact: bool) -> str:
    return "yes" if fact else "no"


def _told(row: MetricsSnapshot, name: str, absent: str) -> SafeString | str:
    if row.resolution != Resolution.FULL:
        return "kept in rows as taken alone"
    told = row.detail.get(name)
    return absent if told is None else _as_json(told)


def _as_json(value: Any) -> SafeString:
    return format_html("<pre>{}</pre>", json.dumps(value, indent=2))


class NewestPaginator(_Paginator):
    """Pages of the newest NEWEST_ROWS: nobody turns further, and counting a million rows takes too long."""

    @cached_property
    def count(self) -> int:
        """Up to NEWEST_ROWS."""
        rows: Any = self.object_list
        return int(rows[:NEWEST_ROWS].count())


@admin.register(MetricsSnapshot)
class MetricsSnapshotAdmin(_ModelAdmin):
    """Read-only: rows are written by the server, and deleted by it when they are old."""

    change_list_template = "admin/monitoring/metricssnapshot/change_list.html"
    list_display = (
        "when",
        "group",
        "process",
        "viewers",
        "states",
        "utilization",
        "rate",
        "lost",
        "json_ratio",
        "latency",
        "age_p95",
    )
    list_filter = (TimeFilter, GroupFilter, ProcessFilter, StateFilter, ConditionFilter, ResolutionFilter)
    paginator = NewestPaginator
    list_per_page = 60
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # a count for each choice of each filter
    # Ordering by other columns would sort a day's rows for every page, unless they are of one group.
    ordering = ("-at", "group", "process", "resolution")
    fieldsets = (
        (None, {"fields": (("when", "group"), ("resolution", "samples"), ("process", "lost_snapshots"))}),
        (
            "Viewers",
            {
                "fields": (
                    ("viewers", "viewers_lossless", "viewers_diagnostic"),
                    ("viewers_display", "viewers_overview", "viewers_vitals"),
                    ("viewers_excellent", "viewers_good", "viewers_fair"),
                    ("viewers_poor", "viewers_critical", "network_condition"),
                )
            },
        ),
        (
            "Latency",
            {
                "fields": (
                    ("age_p50", "age_p95", "age_p99"),
                    ("encode_p95", "queue_p95", "followed_messages"),
                )
            },
        ),
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
        (
            "Backpressure: buffer",
            {"fields": (("buffer_size", "queued_bytes"), ("utilization", "pressed", "watermark"))},
        ),
        (
            "Backpressure: performance",
            {
                "fields": (
                    ("offered_messages", "sent_messages", "gaps"),
                    ("dropped_messages", "lost", "drops_expired"),
                    ("drops_dropped", "drops_quota", "drops_emergency"),
                    ("drops_overload", "rate", "sent_bytes"),
                )
            },
        ),
        ("Backpressure: state", {"fields": (("backpressure", "emergency", "waiting"),)}),
        ("Process", {"fields": (("overload", "lag", "memory"),)}),
        ("Adaptive", {"fields": ("throughput", "adaptive")}),
        ("History", {"fields": ("history",)}),
        ("All of it", {"classes": ("collapse",), "fields": ("whole",)}),
    )

    class Media:
        css: ClassVar[dict[str, tuple[str, ...]]] = {
            "all": ("vendor/uplot/uPlot.min.css", "monitoring/admin.css", "monitoring/alerts.css"),
        }

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

    def get_queryset(self, request: HttpRequest) -> QuerySet[MetricsSnapshot]:
        """Without the detail, which the page of one row asks for: sorting would carry it about."""
        return super().get_queryset(request).defer("detail")

    def get_sortable_by(self, request: HttpRequest) -> tuple[str, ...]:
        """By time, or by all columns where one group is chosen."""
        chosen = request.GET.get(str(GroupFilter.parameter_name))
        return tuple(map(str, self.get_list_display(request))) if chosen else ("when",)

    def get_urls(self) -> list[URLPattern]:
        """The pages of every model; beside the list the live page, charts, exports and previews."""
        paths = [
            path(
                "live/",
                self.admin_site.admin_view(partial(live_page.live, self)),
                name=live_page.LIVE,
            ),
            path(
                "charts.json",
                self.admin_site.admin_view(partial(snapshot_views.charts, self)),
                name=snapshot_views.CHARTS,
            ),
            path(
                "export.<str:ending>",
                self.admin_site.admin_view(partial(snapshot_views.rows, self)),
                name=snapshot_views.ROWS,
            ),
            path(
                "profile-preview/",
                self.admin_site.admin_view(profile_preview.preview),
                name=profile_preview.NAME,
            ),
        ]
        return [*paths, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, below the charts of the chosen group, or of the busiest."""
        response = super().changelist_view(request, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data is not None:
            response.context_data |= self._charted(request, response.context_data["cl"])
        return response

    def _charted(self, request: HttpRequest, changelist: ChangeList) -> dict[str, Any]:
        """Template context: what the charts begin with, the calendar, and the files."""
        period, now = period_of(request), timezone.now()
        chosen = request.GET.get(str(GroupFilter.parameter_name))
        group = chosen or busiest_group(period, now)
        query = changelist.get_query_string(remove=["p"])
        return {
            **calendar(request, changelist),
            "period": period,
            "resolution": resolution_of(request).label,
            "newest_rows": changelist.result_count == NEWEST_ROWS,
            "chart_group": group,
            "chart_chosen": bool(chosen),
            "chart_process": request.GET.get(str(ProcessFilter.parameter_name)),
            "chart_groups": seen("group", period, now),
            "chart_url": reverse(f"admin:{snapshot_views.CHARTS}"),
            "chart_start": int(period.start.timestamp()),
            "chart_stop": int(min(period.stop, now).timestamp()),
            "exports": [
                {
                    "title": ending.upper(),
                    "url": reverse(f"admin:{snapshot_views.ROWS}", args=[ending]) + query,
                }
                for ending in snapshot_views.FILES
            ],
            "capacity_url": reverse(f"admin:{capacity_admin.PAGE}"),
            "snapshot_interval_s": settings.VITAL_SNAPSHOT_INTERVAL_S,
            "nothing_stored": group is None and not MetricsSnapshot.objects.exists(),
        }

    @admin.display(ordering="at", description="time")
    def when(self, row: MetricsSnapshot) -> str:
        """To the second."""
        return to_the_second(row.at)

    @admin.display(description="state")
    def states(self, row: MetricsSnapshot) -> SafeString | str:
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

    @admin.display(ordering="age_p95_ms", description="age p95")
    def age_p95(self, row: MetricsSnapshot) -> str:
        """Milliseconds."""
        return _ms(row.age_p95_ms)

    @admin.display(description="age p50")
    def age_p50(self, row: MetricsSnapshot) -> str:
        """Milliseconds."""
        return _ms(row.age_p50_ms)

    @admin.display(description="age p99")
    def age_p99(self, row: MetricsSnapshot) -> str:
        """Milliseconds."""
        return _ms(row.age_p99_ms)

    @admin.display(description="encoded in, p95")
    def encode_p95(self, row: MetricsSnapshot) -> str:
        """Milliseconds."""
        return _ms(row.encode_p95_ms)

    @admin.display(description="queued for, p95")
    def queue_p95(self, row: MetricsSnapshot) -> str:
        """Milliseconds."""
        return _ms(row.queue_p95_ms)

    @admin.display(description="event-loop lag")
    def lag(self, row: MetricsSnapshot) -> str:
        """Milliseconds."""
        return _ms(row.loop_lag_ms)

    @admin.display(description="memory")
    def memory(self, row: MetricsSnapshot) -> str:
        """Decimal MB."""
        return _size(row.rss_mb * 1_000_000)

    @admin.display(description="throughput")
    def throughput(self, row: MetricsSnapshot) -> str:
        """Megabits a second."""
        return "--" if row.throughput_mbps is None else f"{row.throughput_mbps:.3f} Mbit/s"

    @admin.display(description="queued")
    def queued_bytes(self, row: MetricsSnapshot) -> str:
        """Decimal kB, MB or GB."""
        return _size(row.buffer_bytes)

    @admin.display(description="pressure")
    def pressed(self, row: MetricsSnapshot) -> str:
        """Percent."""
        return _percent(row.pressure)

    @admin.display(description="sent")
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
        return _told(row, "adaptive", "not adapted")

    @admin.display(description="since the process began")
    def history(self, row: MetricsSnapshot) -> SafeString | str:
        """What was stored of the stream, and what was lost, where it is recorded by this process."""
        return _told(row, "history", "not recorded by this process")

    @admin.display(description="figures")
    def whole(self, row: MetricsSnapshot) -> SafeString:
        """Every figure, laid out as the metrics' dicts."""
        return _as_json(row.stats.metrics)
