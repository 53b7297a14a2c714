"""The page Capacity of the admin: limits, trends, and how many more, in words and charts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from monitoring import costs
from monitoring.capacity import (
    Capacity,
    Carries,
    Limit,
    Outlook,
    ProcessCapacity,
    Use,
    capacity,
    history,
    limits,
)
from monitoring.models import UsageSnapshot
from monitoring.trend import CONFIDENCE, HORIZON_DAYS, LEAST_DAYS, Reach

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[UsageSnapshot]
else:
    _ModelAdmin = admin.ModelAdmin  # generic in the stubs alone

PAGE, LINES = "monitoring_usagesnapshot_changelist", "monitoring_usagesnapshot_lines"
"""Names of the addresses of the page, and of its charts' lines."""
PERMISSION = "monitoring.view_metricssnapshot"
_FEW_SPELLS = 5
_TERMS = {
    "base": "being there",
    "chunks": "chunks from devices",
    "lead_samples": "their samples",
    "messages": "logical messages",
    "websocket_messages": "WebSocket messages",
    "sent_bytes": "bytes",
}


@dataclass(frozen=True, slots=True)
class ShownUse:
    """One resource in words."""

    name: str
    mean: str
    peak: str
    limit: str
    source: str
    share: str


@dataclass(frozen=True, slots=True)
class ShownOutlook:
    """One resource of all processes in words."""

    use: ShownUse
    trend: str
    reach: str


@dataclass(frozen=True, slots=True)
class ShownProcess:
    """One process in words."""

    process: str
    at: datetime
    uses: list[ShownUse]
    load: str
    patients: str
    viewers: str
    basis: str
    shares: list[tuple[str, str]]


@admin.register(UsageSnapshot)
class CapacityAdmin(_ModelAdmin):
    """One page in place of a list; whoever may see metrics snapshots sees it, and nobody changes anything."""

    class Media:
        css: ClassVar[dict[str, tuple[str, ...]]] = {
            "all": ("vendor/uplot/uPlot.min.css", "monitoring/admin.css"),
        }

    def has_module_permission(self, request: HttpRequest) -> bool:
        """As of metrics snapshots."""
        return _may_see(request)

    def has_view_permission(self, request: HttpRequest, _obj: UsageSnapshot | None = None) -> bool:
        """As of metrics snapshots."""
        return _may_see(request)

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """The server writes them."""
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: UsageSnapshot | None = None) -> bool:
        """Nobody edits one."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: UsageSnapshot | None = None) -> bool:
        """The server deletes what is older than the retention."""
        return False

    def get_urls(self) -> list[URLPattern]:
        """The page, and its lines; rows have no pages of their own."""
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(self.changelist_view), name=PAGE),
            path("lines.json", wrap(self.lines), name=LINES),
        ]

    def changelist_view(
        self, request: HttpRequest, _extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What there is, where it goes, and what fits."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = capacity(timezone.now())
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Capacity",
            "media": self.media,
            "headline": headline(found),
            "outlooks": [_shown_outlook(each) for each in found.outlooks],
            "processes": [_shown_process(each) for each in found.processes],
            "confidence": f"{100 * CONFIDENCE:.0f} %",
            "headroom": f"{100 * costs.HEADROOM:.0f} %",
            "least_days": LEAST_DAYS,
            "nothing_stored": not UsageSnapshot.objects.exists(),
            "lines_url": reverse(f"admin:{LINES}"),
        }
        return TemplateResponse(request, "admin/monitoring/capacity.html", context)

    def lines(self, request: HttpRequest) -> JsonResponse:
        """The hourly peaks of each resource, and its limit."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        now = timezone.now()
        past = history(now)
        return JsonResponse(
            {
                "t": past.times,
                "lines": {name: _rounded(values) for name, values in past.lines.items()},
                "limits": limits(now),
            }
        )


def _may_see(request: HttpRequest) -> bool:
    return request.user.has_perm(PERMISSION)


def _rounded(values: list[float | None]) -> list[float | None]:
    return [None if value is None else round(value, 4) for value in values]


# -- words


def headline(found: Capacity) -> str:
    """What limits first."""
    if not found.processes:
        return ""
    first = found.first
    if first is not None and first.reach is not None:
        if first.reach.days == 0:
            return f"{_title(first.use.name)} is at its limit now."
        return f"{_title(first.use.name)} reaches its limit first, in {_days(first.reach)}."
    if all(each.trend is None for each in found.outlooks):
        return "What limits first cannot be told yet: there is too little history."
    return "As it goes now, no resource whose limit is known reaches it within a year."


def reach_said(outlook: Outlook) -> str:
    """The days until the limit, or why there are none."""
    if outlook.trend is None:
        return f"too little history: {outlook.history_days} of {LEAST_DAYS} days"
    if outlook.reach is None:
        return "its limit is not known"
    if outlook.reach.days == 0:
        return "is reached now"
    if outlook.reach.soonest is None:
        return "not within a year"
    if outlook.reach.days is None:
        return f"most likely not within a year; in {outlook.reach.soonest:,.0f} days at the soonest"
    return f"in {_days(outlook.reach)}"


def _days(reach: Reach) -> str:
    if reach.days is None or reach.soonest is None:
        return f"more than {HORIZON_DAYS:.0f} days"
    latest = "more than a year" if reach.latest is None else f"{reach.latest:,.0f}"
    return f"about {reach.days:,.0f} days ({reach.soonest:,.0f} to {latest})"


def trend_said(outlook: Outlook) -> str:
    """By how much it changes in a week, and within what."""
    trend, unit = outlook.trend, outlook.use.unit
    if trend is None:
        return "--"
    week = [_signed(7 * value, unit) for value in (trend.slope, trend.low, trend.high)]
    certain = "" if trend.is_certain else ", which may be none"
    return f"{week[0]} a week ({week[1]} to {week[2]}){certain}, by {trend.days} days"


def carries_said(carries: Carries, of: str) -> str:
    """How many more, in words."""
    room = carries.room
    if room.more is None:
        return f"how many more {of} cannot be told: there are none now"
    if room.more == 0:
        return f"no more {of}: {carries.limited_by} is within its head-room of the limit"
    least, most = room.least or 0, room.most
    to = "or more" if most is None else f"to {most:,}"
    return f"about {room.more:,} more {of} ({least:,} {to}), limited by {carries.limited_by}"


def _shown_outlook(outlook: Outlook) -> ShownOutlook:
    return ShownOutlook(_shown_use(outlook.use), trend_said(outlook), reach_said(outlook))


def _shown_use(use: Use) -> ShownUse:
    return ShownUse(
        name=_title(use.name),
        mean=_said(use.mean, use.unit),
        peak=_said(use.peak, use.unit),
        limit=_limit(use.limit, use.unit),
        source=use.limit.source,
        share="--" if use.share is None else f"{100 * use.share:.1f} %",
    )


def _limit(limit: Limit, unit: str) -> str:
    return "--" if limit.value is None else _said(limit.value, unit)


def _shown_process(found: ProcessCapacity) -> ShownProcess:
    load, shares = "", list[tuple[str, str]]()
    if found.load is not None:
        load = (
            f"{_counted(found.load.streams, 'patient')}, {_counted(found.load.viewers, 'viewer')}, "
            f"{found.load.lead_samples:,.0f} lead-samples/s in, {found.load.messages:,.0f} messages/s out "
            f"in {found.load.websocket_messages:,.0f} WebSocket messages/s"
        )
        costs_of = found.cpu.shares(found.load)
        shares = [(_TERMS[name], f"{100 * value:.2f} %") for name, value in costs_of.items()]
    few = found.cpu.snapshots < _FEW_SPELLS
    basis = (
        "by costs that were measured on another machine: this process has too few snapshots yet"
        if few
        else f"by {found.cpu.snapshots:,} stretches of time of this process"
    )
    return ShownProcess(
        process=found.process,
        at=found.at,
        uses=[_shown_use(use) for use in found.uses],
        load=load,
        patients=carries_said(found.patients, "patients, watched as the present ones are"),
        viewers=carries_said(found.viewers, "viewers, who watch as much as the present ones"),
        basis=basis,
        shares=shares,
    )


def _counted(value: float, noun: str) -> str:
    number = f"{value:,.0f}"
    return f"{number} {noun}" if number == "1" else f"{number} {noun}s"


def _title(name: str) -> str:
    return name if name.isupper() else name.capitalize()


_PERCENT = {"cores": "of a core", "share": ""}


def _said(value: float | None, unit: str) -> str:
    if value is None:
        return "--"
    if unit in _PERCENT:
        return f"{100 * value:,.1f} % {_PERCENT[unit]}".strip()
    digits = 2 if unit == "Mbit/s" else 0
    return _counted(value, "viewer") if unit == "viewers" else f"{value:,.{digits}f} {unit}"


def _signed(value: float, unit: str) -> str:
    said = _said(abs(value), unit)
    return f"{'−' if value < 0 else '+'}{said}"
