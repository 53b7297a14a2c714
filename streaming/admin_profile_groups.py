"""Which groups, wards and patterns a profile's page may name to its user, and what speaks against a name."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from django.contrib.admin import AdminSite
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from streaming.core.precedence import WARD_MARK, Kind, kind_of
from streaming.core.streams import group_of
from streaming.models import Stream, Ward
from streaming.subscriber import CONTROL_GROUP

ALL_STREAMS = group_of("*")


def known_names(site: AdminSite, request: HttpRequest) -> list[tuple[str, str]]:
    """Names that a profile may have, each with a word on what it governs."""
    wards = visible(site, request, Ward)
    return [
        (CONTROL_GROUP, "everything about connections"),
        (ALL_STREAMS, "all streams"),
        *((f"{WARD_MARK}{ward.slug}", f"the streams of {ward.name}") for ward in wards or ()),
        *known_streams(site, request),
    ]


def known_streams(site: AdminSite, request: HttpRequest) -> list[tuple[str, str]]:
    """The groups of the open admissions that the user sees, each with who it is."""
    streams = visible(site, request, Stream)
    if streams is None:
        return []
    return [
        (group_of(stream.pk), f"{stream.patient.pseudonym}, {stream.ward.name}, bed {stream.bed}")
        for stream in streams.filter(ended_at__isnull=True).select_related("patient", "ward")
    ]


def visible(site: AdminSite, request: HttpRequest, model: type[Model]) -> QuerySet[Any] | None:
    """The rows that the user sees on the model's own page, or None when that page is closed to them."""
    page = site._registry.get(model)
    return page.get_queryset(request) if page and page.has_view_permission(request) else None


def doubt_of(site: AdminSite, request: HttpRequest, name: str) -> str | None:
    """What speaks against a profile's name; what it governs may still come, so that it is no fault."""
    known = [known for known, _ in known_names(site, request)]
    nothing, is_fine = f"group {name}", name in known
    match kind_of(name):
        case Kind.DEFAULT:
            return None
        case Kind.WARD:
            nothing = f"ward {name.removeprefix(WARD_MARK)}"
            is_fine = is_fine or visible(site, request, Ward) is None
        case Kind.PATTERN:
            prefix = name.removesuffix("*")
            nothing = f"group that begins with {prefix}"
            is_fine = any(group.startswith(prefix) for group in known)
    if is_fine or (visible(site, request, Stream) is None and name.startswith(group_of(""))):
        return None
    near = get_close_matches(name.lower(), known, n=3)
    proposal = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"No {nothing} is there now: the profile governs nothing until it comes.{proposal}"
