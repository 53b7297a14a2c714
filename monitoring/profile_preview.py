"""What a change of profiles would have done to the last hour's snapshots, for who is about to save it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import Max, QuerySet
from django.db.models.fields.json import KT
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from monitoring.models import MetricsSnapshot, Resolution
from monitoring.preview import REASONS, Bounds, Line, Reading, estimate
from streaming.admin_profile_groups import visible
from streaming.core.precedence import Rows, resolve, wards_of
from streaming.core.profiles import ProfileSet
from streaming.core.renditions import Quality
from streaming.core.streams import group_of
from streaming.exceptions import ProfileError
from streaming.models import Stream
from streaming.models_profiles import Profile, places_of
from streaming.store import profiles

NAME = "monitoring_profile_preview"
"""Of the view's address."""
SPAN = timedelta(hours=1)
MOST_GROUPS = 20
"""Those that sent most; a ward has about as many beds."""
_VIEW = "monitoring.view_metricssnapshot"
_STREAMS = group_of("")
_COLUMNS = (
    *("process", "at", "group", "viewers", "buffer_utilization", "pressure", "queue_p95_ms"),
    *("current_level", "offered_messages", "sent_messages", "bytes_sent"),
    *("bytes_in", "bytes_out", "waveform_bytes_out", "compress_s"),
    *(f"viewers_{quality.value}" for quality in Quality),
    *(f"drops_{reason}" for reason in REASONS),
)


@dataclass(frozen=True, slots=True)
class ShownLine:
    """One row of a group's table, in words."""

    name: str
    measured: str
    estimated: str
    why: str
    is_known: bool


@dataclass(frozen=True, slots=True)
class ShownGroup:
    """What is said of one group."""

    group: str
    snapshots: int
    changed: list[ShownLine]
    unchanged: list[str]
    """Names of the figures that stay as they are."""


@require_POST
def preview(request: HttpRequest) -> HttpResponse:
    """The values of a profile's form, which need not be valid: what they would have done, or what is wrong.

    Nothing is stored. Whoever may not see snapshots, or not save the form, is refused.
    """
    page: ModelAdmin[Profile] = admin.site.get_model_admin(Profile)
    row = _row_of(request)
    may_save = page.has_change_permission(request, row) if row else page.has_add_permission(request)
    if not may_save or not request.user.has_perm(_VIEW):
        raise PermissionDenied
    form = page.get_form(request, row, change=row is not None)(request.POST, instance=row)
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "opts": Profile._meta,
        "title": "Preview of a change",
        "form": form,
        "save_url": reverse("admin:streaming_profile_change", args=[row.pk])
        if row
        else reverse("admin:streaming_profile_add"),
        "sent": [(name, value) for name, value in request.POST.items() if name in form.fields],
    }
    if form.is_valid():
        context |= _what_it_does(request, form.instance, timezone.now())
    return TemplateResponse(request, "admin/monitoring/profile_preview.html", context)


def _row_of(request: HttpRequest) -> Profile | None:
    """The row that is edited; None for one that is to be made."""
    key = request.GET.get("profile", "")
    if not key:
        return None
    row = Profile.objects.filter(pk=key).first() if key.isdecimal() else None
    if row is None:
        raise Http404
    return row


def _what_it_does(request: HttpRequest, row: Profile, now: datetime) -> dict[str, Any]:
    """Template context: the groups that the change governs, and what they would have been."""
    profiles.ensure_default()
    before = Profile.objects.all().as_rows()
    after = {**before, row.group: row.own}
    places = places_of(wards_of(after))
    old, new = _resolved(before, places), _resolved(after, places)
    if old is None or new is None:
        return {"fault": "The profiles as they are stored are not valid: the list of profiles says why."}
    seen = _seen(now)
    governed = [group for group in seen if old.for_group(group) != new.for_group(group)]
    told = set(governed) - _hidden(request, after, governed)
    shown = sorted(told, key=lambda group: (-seen[group], group))[:MOST_GROUPS]
    readings = _readings(shown, now)
    return {
        "since": now - SPAN,
        "has_snapshots": bool(seen),
        "changes_nothing": before.get(row.group) == after[row.group],
        "groups": [
            _shown(
                group, readings[group], estimate(readings[group], old.for_group(group), new.for_group(group))
            )
            for group in shown
        ],
        "more_groups": len(told) - len(shown),
        "hidden_groups": len(governed) - len(told),
        "older_settings": _taken_by_other_settings(now),
    }


def _resolved(rows: Rows, places: Mapping[str, str]) -> ProfileSet | None:
    try:
        return resolve(rows, places, 0)
    except ProfileError:
        return None


def _hidden(request: HttpRequest, rows: Rows, groups: Sequence[str]) -> set[str]:
    """Which ward a stream lies in is nobody's business who may not see its admission."""
    if not wards_of(rows):
        return set()
    streams = {group.removeprefix(_STREAMS) for group in groups if group.startswith(_STREAMS)}
    mine = visible(admin.site, request, Stream)
    known = set() if mine is None else set(mine.filter(pk__in=streams).values_list("pk", flat=True))
    return {group_of(stream) for stream in streams - known}


def _rows(now: datetime) -> QuerySet[MetricsSnapshot]:
    """The last hour's snapshots."""
    return MetricsSnapshot.objects.filter(resolution=Resolution.FULL, at__gte=now - SPAN, at__lte=now)


def _seen(now: datetime) -> dict[str, int]:
    """The groups of the last hour, with how many messages a process has sent to one's viewers at the most."""
    return dict(_rows(now).order_by().values_list("group").annotate(most=Max("sent_messages")))


def _readings(groups: Sequence[str], now: datetime) -> dict[str, list[Reading]]:
    """Of these groups the last hour's snapshots, oldest first; a hospital's are some hundred thousand."""
    found: dict[str, list[Reading]] = {group: [] for group in groups}
    for row in _rows(now).filter(group__in=groups).order_by("at").values(*_COLUMNS).iterator():
        wait_ms = row["queue_p95_ms"]
        found[row["group"]].append(
            Reading(
                process=row["process"],
                at=row["at"].timestamp(),
                viewers=row["viewers"],
                by_quality=tuple(row[f"viewers_{quality.value}"] for quality in Quality),
                utilization=row["buffer_utilization"],
                pressure=row["pressure"],
                queue_p95_s=None if wait_ms is None else wait_ms / 1000,
                level=row["current_level"],
                offered=row["offered_messages"],
                sent=row["sent_messages"],
                bytes_sent=row["bytes_sent"],
                drops=tuple(row[f"drops_{reason}"] for reason in REASONS),
                bytes_in=row["bytes_in"],
                bytes_out=row["bytes_out"],
                waveform_out=row["waveform_bytes_out"],
                compress_s=row["compress_s"],
            )
        )
    return found


def _taken_by_other_settings(now: datetime) -> bool:
    """Whether some of the snapshots are of processes that ran another version of the settings."""
    told: Any = _rows(now).annotate(settings_version=KT("detail__settings_version")).order_by()
    versions = set(told.values_list("settings_version", flat=True).distinct()) - {None}
    return bool(
        {*map(str, versions)} - {str(profiles.current_version())}
    )  # numbers in SQLite, text elsewhere


def _shown(group: str, readings: list[Reading], lines: list[Line]) -> ShownGroup:
    changed = [line for line in lines if not line.is_unchanged]
    return ShownGroup(
        group,
        len(readings),
        [
            ShownLine(
                line.name,
                _said(line.measured, line.unit),
                bounds_said(line.estimate, line.unit, is_known=line.is_bound),
                line.why,
                line.estimate is not None,
            )
            for line in changed
        ],
        [line.name for line in lines if line.is_unchanged],
    )


def bounds_said(bounds: Bounds | None, unit: str, *, is_known: bool = False) -> str:
    """An estimate in words."""
    if bounds is None or (bounds.low is None and bounds.high is None):
        return "cannot be estimated"
    if bounds.low is None:
        return f"at most {_said(bounds.high, unit)}"
    if bounds.high is None:
        return f"at least {_said(bounds.low, unit)}"
    low, high = _said(bounds.low, unit), _said(bounds.high, unit)
    if low == high:
        return low if is_known else f"about {low}"
    return f"{low} to {high}"


def _said(value: float | None, unit: str) -> str:
    return "--" if value is None else _UNITS[unit](value)


def _size(value: float) -> str:
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= factor:
            return f"{value / factor:,.2f} {unit}"
    return f"{value:,.0f} bytes"


def _seconds(value: float) -> str:
    return "without end" if value == float("inf") else f"{value:,.3g} s"


_UNITS: dict[str, Callable[[float], str]] = {
    "messages": lambda value: f"{value:,.0f}",
    "bytes": _size,
    "share": lambda value: f"{100 * value:.2f} %",
    "s": _seconds,
}
