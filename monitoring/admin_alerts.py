"""Alerts as the operator reads them: what was found, when, where, how bad it got, and why it is over."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from monitoring.admin_parts import ReadOnly, lasting, to_the_second
from monitoring.alert_metrics import spoken_of
from monitoring.models_alerts import Alert


class OpenFilter(admin.SimpleListFilter):
    """Open, or resolved."""

    title = parameter_name = "state"

    def lookups(self, _request: HttpRequest, _model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        """Both."""
        return [("open", "open"), ("resolved", "resolved")]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Alert]) -> QuerySet[Alert]:
        """The chosen ones."""
        if self.value() not in ("open", "resolved"):
            return queryset
        return queryset.filter(resolved_at__isnull=self.value() == "open")


@admin.register(Alert)
class AlertAdmin(ReadOnly):
    """What was found, when, where, how bad it got, and why it is over."""

    list_display = (
        "when",
        "state",
        "severity",
        "name",
        "condition",
        "where",
        "process",
        "now",
        "worst",
    )
    list_filter = (OpenFilter, "severity", "rule")
    date_hierarchy = "opened_at"
    search_fields = ("=group", "=process", "name")
    ordering = ("-opened_at", "uid")
    fieldsets = (
        (None, {"fields": (("name", "severity"), "condition", ("where", "process"))}),
        ("Course", {"fields": (("when", "last_told", "until"), ("now", "worst"), ("state", "reason"))}),
        ("What to do", {"fields": ("advice",)}),
    )
    readonly_fields = ("where", "when", "last_told", "until", "now", "worst", "state", "advice")

    @admin.display(description="opened", ordering="opened_at")
    def when(self, alert: Alert) -> str:
        """To the second."""
        return to_the_second(alert.opened_at)

    @admin.display(description="value written")
    def last_told(self, alert: Alert) -> str:
        """To the second."""
        return to_the_second(alert.updated_at)

    @admin.display(description="resolved")
    def until(self, alert: Alert) -> str:
        """To the second."""
        return to_the_second(alert.resolved_at)

    @admin.display(description="state", ordering="resolved_at")
    def state(self, alert: Alert) -> SafeString | str:
        """In words, and for how long."""
        if alert.resolved_at is None:
            return format_html("<strong>open</strong> for {}", lasting(alert.opened_at, timezone.now()))
        return f"resolved after {lasting(alert.opened_at, alert.resolved_at)}"

    @admin.display(description="group", ordering="group")
    def where(self, alert: Alert) -> str:
        """Or the process."""
        return alert.group or "the process"

    @admin.display(description="value", ordering="value")
    def now(self, alert: Alert) -> str:
        """With its unit."""
        return spoken_of(alert.metric, alert.value)

    @admin.display(description="worst", ordering="peak")
    def worst(self, alert: Alert) -> str:
        """With its unit."""
        return spoken_of(alert.metric, alert.peak)

    @admin.display(description="what the rule says")
    def advice(self, alert: Alert) -> str:
        """Of the rule as it is now."""
        return (alert.rule.advice if alert.rule else "") or "--"
