"""The page that shows what holds for a group: each setting's value, and the row that it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from streaming.admin_profile_form import CONNECTION_FIELDSET, FIELDSETS, label_of, plain
from streaming.admin_profile_groups import known_streams, visible
from streaming.core.precedence import (
    DEFAULT_NAME,
    Kind,
    Rows,
    chain_for,
    chain_of,
    effective,
    is_name,
    kind_of,
    wards_of,
)
from streaming.core.profile_columns import AGES, BYTES, NEVER_EXPIRES
from streaming.core.streams import group_of
from streaming.models import Stream
from streaming.models_profiles import Profile, places_of
from streaming.subscriber import CONTROL_GROUP

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Profile]
else:
    _ModelAdmin = admin.ModelAdmin  # generic in the stubs alone

_KINDS = {
    Kind.GROUP: "this group alone",
    Kind.WARD: "the streams of a ward",
    Kind.PATTERN: "groups that begin so",
    Kind.DEFAULT: "everything",
}


@dataclass(frozen=True, slots=True)
class Source:
    """A row of the chain: its name as people read it, what it governs, and where it is changed."""

    name: str
    governs: str
    pk: int


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as it holds, and what other rows of the chain say of it in vain."""

    name: str
    value: str
    source: Source
    overruled: str


class WithEffective(_ModelAdmin):
    """The profiles' page with one more: what holds, and why."""

    def get_urls(self) -> list[URLPattern]:
        """One page more."""
        view = self.admin_site.admin_view(self.effective_settings)
        return [path("effective/", view, name="streaming_profile_effective"), *super().get_urls()]

    def effective_settings(self, request: HttpRequest) -> HttpResponse:
        """What holds for the group, or by the row, that the address names."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        name = request.GET.get("name", "").strip()
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Effective settings",
            "name": name,
            "proposals": [
                (CONTROL_GROUP, "everything about connections"),
                *known_streams(self.admin_site, request),
            ],
        }
        rows = Profile.objects.all().as_rows()
        if name and (name in rows or (is_name(name) and kind_of(name) is Kind.GROUP)):
            context |= self._what_holds(request, rows, name)
        elif name:
            context["fault"] = f"There is no profile {name}, and no group can have that name."
        return TemplateResponse(request, "admin/streaming/profile/effective.html", context)

    def _what_holds(self, request: HttpRequest, rows: Rows, name: str) -> dict[str, Any]:
        is_group = kind_of(name) is Kind.GROUP
        places, is_hidden = self._places(request, rows, name)
        chain = chain_for(rows, name, places.get(name)) if is_group else chain_of(rows, name, places)
        keys = dict(Profile.objects.filter(group__in=chain).values_list("group", "pk"))
        sources = {row: Source(_spoken(row), _KINDS[kind_of(row)], keys[row]) for row in chain}
        found = effective(rows, chain)
        own = [] if is_group and name != CONTROL_GROUP else CONNECTION_FIELDSET
        return {
            "chain": list(sources.values()),
            "ward_is_hidden": is_hidden,
            "sections": [
                (title, [_setting(setting, rows, sources, found) for setting in _flat(fieldset["fields"])])
                for title, fieldset in (*FIELDSETS, *own)
            ],
        }

    def _places(self, request: HttpRequest, rows: Rows, name: str) -> tuple[dict[str, str], bool]:
        """The wards of the streams that the user may see; whether this one's is kept from them."""
        places = places_of(wards_of(rows))
        stream = name.removeprefix(group_of(""))
        mine = visible(self.admin_site, request, Stream)
        is_seen = mine is not None and mine.filter(pk=stream).exists()
        is_hidden = name.startswith(group_of("")) and kind_of(name) is Kind.GROUP and not is_seen
        return {} if is_hidden else places, is_hidden and bool(wards_of(rows))


def _setting(
    setting: str, rows: Rows, sources: Mapping[str, Source], found: Mapping[str, tuple[Any, str]]
) -> Setting:
    value, owner = found[setting]
    others = (row for row in sources if row != owner and rows[row].get(setting) is not None)
    return Setting(
        name=label_of(setting),
        value=_with_unit(setting, value),
        source=sources[owner],
        overruled=", ".join(f"{_spoken(row)} {_with_unit(setting, rows[row][setting])}" for row in others),
    )


def _with_unit(setting: str, value: Any) -> str:
    """A value with its unit, for no help stands beside it here; what never expires says so."""
    if setting in AGES and value == NEVER_EXPIRES:
        return "never"
    unit = next((unit for settings, unit in _UNITS.items() if setting in settings), "")
    return f"{plain(value)} {unit}".rstrip()


_UNITS = {
    (*AGES, "stall_s"): "s",
    (*BYTES, "compression_threshold", "max_window_bytes", "max_total_bytes"): "bytes",
    ("max_buffer_size",): "messages",
}


def _flat(fields: Any) -> list[str]:
    return [name for each in fields for name in ((each,) if isinstance(each, str) else each)]


def _spoken(name: str) -> str:
    return "default" if name == DEFAULT_NAME else name
