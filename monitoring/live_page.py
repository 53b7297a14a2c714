"""The admin's live page: an empty one, which its script fills by a WebSocket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.template.response import TemplateResponse

from monitoring.models import MetricsSnapshot

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

LIVE = "monitoring_metricssnapshot_live"
"""The name of the view's address."""


def live(model_admin: ModelAdmin[MetricsSnapshot], request: HttpRequest) -> TemplateResponse:
    """For whoever may view snapshots; what they may do there beside looking, the WebSocket tells."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Live",
        "opts": model_admin.opts,
        "media": model_admin.media,
    }
    return TemplateResponse(request, "admin/monitoring/live.html", context)
