"""What the pages of alerts, rules and channels share: read-only lists, questions before an action, times."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.formats import localize
from django.utils.timesince import timesince

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin  # generic in the stubs alone

CSS: dict[str, tuple[str, ...]] = {"all": ("monitoring/alerts.css",)}


class ReadOnly(_ModelAdmin):
    """What the program writes and nobody changes."""

    show_full_result_count = False
    list_per_page = 60
    actions = None

    class Media:
        css: ClassVar[dict[str, tuple[str, ...]]] = CSS

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """The program writes it."""
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        """Nobody changes it."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        """The server deletes what is old."""
        return False


def ask(model_admin: _ModelAdmin, request: HttpRequest, title: str, consequence: str) -> HttpResponse:
    """A page that asks, with a button that does it."""
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": title,
        "consequence": consequence,
    }
    return TemplateResponse(request, "admin/streaming/confirm.html", context)


def to_the_second(at: Any) -> str:
    """Of a time, as every other page writes it; a dash where there is none."""
    return "--" if at is None else localize(timezone.localtime(at))


def lasting(start: datetime, stop: datetime) -> str:
    """How long, in two units at most; below a minute in seconds, of which Django's own says 0 minutes."""
    seconds = round((stop - start).total_seconds())
    return timesince(start, stop) if seconds >= 60 else f"{max(seconds, 0)} s"
