"""The alarm journal in the admin: its entries, and the course of one alarm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from streaming.admin_audit import ReadOnly
from streaming.admin_wards import user_of, wards_of
from streaming.models_journal import JournalEntry
from streaming.store import journal_rows
from streaming.store.trails import ALARMS

DAYS = {"1": "Last 24 hours", "7": "Last 7 days", "30": "Last 30 days", "366": "Last year"}
DEFAULT_DAYS = "1"


@dataclass(frozen=True, slots=True)
class Step:
    """A row of the page of one alarm."""

    entry: JournalEntry
    since_raised: str
    since_last: str


class TimeFilter(admin.SimpleListFilter):
    """The last days, by the index on time.

    In place of `date_hierarchy`, which on SQLite reads every row of the table through a Python function, with
    the interpreter held, in the process that carries the frames.
    """

    title = "time"
    parameter_name = "days"

    def lookups(self, _request: HttpRequest, _model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        """The choices."""
        return list(DAYS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[JournalEntry]) -> QuerySet[JournalEntry]:
        """The rows of the chosen days."""
        return queryset.filter(at__gte=_since(request))

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Without "All", and with the last day chosen where nothing is."""
        chosen = self.value() if self.value() in DAYS else DEFAULT_DAYS
        for value, title in self.lookup_choices:
            yield {
                "selected": chosen == str(value),
                "query_string": changelist.get_query_string({self.parameter_name: value}),
                "display": title,
            }


class ColumnFilter(admin.SimpleListFilter):
    """The values that one column has within the chosen time, in the wards that the user sees."""

    column: ClassVar[str]

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        """What was seen in that time, and what is chosen though it was not."""
        rows = model_admin.get_queryset(request).filter(at__gte=_since(request)).order_by()
        seen = {value for value in rows.values_list(self.column, flat=True).distinct() if value}
        chosen = request.GET.get(str(self.parameter_name))
        return [(value, value) for value in sorted(seen | ({chosen} if chosen else set()))]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[JournalEntry]) -> QuerySet[JournalEntry]:
        """The rows with the chosen value."""
        return queryset.filter(**{self.column: self.value()}) if self.value() else queryset


class KindFilter(ColumnFilter):
    """By what the alarm is about."""

    title = parameter_name = column = "kind"


class StreamFilter(ColumnFilter):
    """By stream."""

    title = parameter_name = column = "stream"


@admin.register(JournalEntry)
class JournalEntryAdmin(ReadOnly):
    """Entries of the user's wards, and those about no ward."""

    trail = ALARMS
    list_display = ("at", "step", "course", "kind", "severity", "stream", "ward", "actor", "entry")
    list_filter = (TimeFilter, "step", "severity", KindFilter, StreamFilter)
    search_fields = ("=alarm",)
    ordering = ("-at", "-pk")

    def get_queryset(self, request: HttpRequest) -> QuerySet[JournalEntry]:
        """Wards lie in another database: their slugs are asked for first."""
        entries: QuerySet[JournalEntry] = super().get_queryset(request)
        wards = wards_of(user_of(request))
        return (
            entries if wards is None else entries.filter(ward__in=["", *wards.values_list("slug", flat=True)])
        )

    def get_urls(self) -> list[URLPattern]:
        """The page of an alarm as well."""
        view = self.admin_site.admin_view(self.alarm_view)
        return [path("alarm/", view, name="streaming_journalentry_alarm"), *super().get_urls()]

    @admin.display(description="alarm", ordering="alarm")
    def course(self, entry: JournalEntry) -> SafeString:
        """The alarm, and the way to its page."""
        page = f"{reverse('admin:streaming_journalentry_alarm')}?{urlencode({'id': entry.alarm})}"
        return format_html('<a href="{}">{}</a>', page, entry.alarm)

    def alarm_view(self, request: HttpRequest) -> HttpResponse:
        """All steps of one alarm, with the time between them."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        alarm = request.GET.get("id", "")
        rows = list(self.get_queryset(request).filter(alarm=alarm).order_by("at_ms", "pk"))
        if not rows:
            raise Http404
        record = next(iter(journal_rows.records([alarm])), None)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Alarm {alarm}",
            "record": record,
            "steps": list(_steps(rows, rows[0].at_ms if record is None else record.raised_ms)),
        }
        return TemplateResponse(request, "admin/streaming/journalentry/alarm.html", context)


def _since(request: HttpRequest) -> datetime:
    days = request.GET.get(TimeFilter.parameter_name)
    return timezone.now() - timedelta(days=int(days if days in DAYS else DEFAULT_DAYS))


def _steps(rows: list[JournalEntry], raised_ms: float) -> Iterator[Step]:
    last_ms = raised_ms
    for row in rows:
        yield Step(row, _seconds(row.at_ms - raised_ms), _seconds(row.at_ms - last_ms))
        last_ms = row.at_ms


def _seconds(span_ms: float) -> str:
    return f"{span_ms / 1000:,.3f} s"
