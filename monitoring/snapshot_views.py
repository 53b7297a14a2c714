"""What the list of snapshots offers beside itself: the lines of its charts, and its rows as a file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import (
    Http404,
    HttpRequest,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.http import content_disposition_header

from monitoring import export
from monitoring.filters import GroupFilter, period_of
from monitoring.models import MetricsSnapshot
from monitoring.periods import FIRST_YEAR, LAST_YEAR, Period
from monitoring.series import MAX_POINTS, series

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

CHARTS, ROWS = "monitoring_metricssnapshot_charts", "monitoring_metricssnapshot_export"
"""Names of these views' addresses."""
FILES: dict[str, tuple[str, Callable[[QuerySet[MetricsSnapshot]], AsyncIterator[str]]]] = {
    "csv": ("text/csv; charset=utf-8", export.as_csv),
    "json": ("application/json", export.as_json),
}
LEAST_SPAN, MOST_SPAN = timedelta(minutes=1), timedelta(days=3660)
_LIST = "admin:monitoring_metricssnapshot_changelist"


def charts(model_admin: ModelAdmin[MetricsSnapshot], request: HttpRequest) -> JsonResponse:
    """The lines of one group, `start` to `stop` in Unix seconds, in at most `points` points."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    try:
        group, process, period, points = _asked(request.GET)
    except ValueError as fault:
        return JsonResponse({"error": str(fault)}, status=400)
    return JsonResponse(series(group, process, period, points, timezone.now()))


def rows(model_admin: ModelAdmin[MetricsSnapshot], request: HttpRequest, ending: str) -> HttpResponseBase:
    """All rows of the filtered list as a file, oldest first."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    if ending not in FILES:
        raise Http404
    kind, write = FILES[ending]
    try:
        found = model_admin.get_changelist_instance(request).get_queryset(request)
        export.check_size(found)
    except IncorrectLookupParameters:
        return HttpResponseRedirect(reverse(_LIST))
    except export.TooManyRowsError:
        advice = (
            f"An export holds {export.MAX_ROWS:,} rows: choose a shorter time, one group, or coarser rows."
        )
        model_admin.message_user(request, advice, messages.WARNING)
        return HttpResponseRedirect(f"{reverse(_LIST)}?{request.GET.urlencode()}")
    group = request.GET.get(str(GroupFilter.parameter_name))
    name = export.file_name(period_of(request), group, ending)
    headers = {"Content-Disposition": content_disposition_header(True, name) or ""}
    return StreamingHttpResponse(write(found), content_type=kind, headers=headers)


def _asked(query: Mapping[str, str]) -> tuple[str, str | None, Period, int]:
    """Group, process, period and points of a request for charts. Raises ValueError with what is wrong."""
    if not (group := query.get("group", "")):
        raise ValueError("group is missing")
    try:
        start, stop = (datetime.fromtimestamp(float(query[name]), UTC) for name in ("start", "stop"))
        points = int(query.get("points", "300"))
    except (KeyError, ValueError, OverflowError, OSError):
        raise ValueError("start and stop must be Unix seconds, points a whole number") from None
    if start.year < FIRST_YEAR or stop.year > LAST_YEAR:
        raise ValueError(f"start and stop must be in the years {FIRST_YEAR} to {LAST_YEAR}")
    if not LEAST_SPAN <= stop - start <= MOST_SPAN:
        raise ValueError("stop must be 60 seconds to 10 years after start")
    if not 10 <= points <= MAX_POINTS:
        raise ValueError(f"points must be 10 to {MAX_POINTS}")
    return group, query.get("process") or None, Period(start, stop), points
