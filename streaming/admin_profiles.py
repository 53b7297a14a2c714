"""Profiles as the operator tunes them: what holds, for whom, in which unit, and since when."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db import transaction
from django.db.models import QuerySet
from django.forms.widgets import NullBooleanSelect
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from streaming.admin_audit import Audited
from streaming.core.streams import group_of
from streaming.models import Stream
from streaming.models_profiles import AGES, BYTES, CONNECTION, QUOTAS, SETTINGS, WATERMARKS, Profile
from streaming.store import profiles
from streaming.subscriber import CONTROL_GROUP

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Profile]
    _ModelForm = forms.ModelForm[Profile]
else:
    _ModelAdmin, _ModelForm = admin.ModelAdmin, forms.ModelForm  # generic in the stubs alone

APPLIES = "Version {} applies to running streams within 2 s."


class GroupInput(forms.TextInput):
    """A text field that proposes groups, each with a word on who it is."""

    def __init__(self, proposals: Iterable[tuple[str, str]]) -> None:
        super().__init__(attrs={"list": "group-proposals", "size": 40})
        self.proposals = list(proposals)

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        """The input, and the list that it takes its proposals from."""
        text = super().render(name, value, attrs, renderer)
        options = format_html_join("", '<option value="{}">{}</option>', self.proposals)
        return format_html('{}<datalist id="group-proposals">{}</datalist>', text, options)


class ProfileForm(_ModelForm):
    """An override shows what it inherits as placeholders; the default has none, and needs every value."""

    class Meta:
        model = Profile
        fields = ("group", *SETTINGS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in (name for name in SETTINGS if name in self.fields):
            inherited = None if self.instance.is_default else getattr(self.instance.default, name)
            widget = self.fields[name].widget
            if isinstance(widget, NullBooleanSelect):
                empty = [("unknown", f"inherits: {_plain(inherited)}")] if inherited is not None else []
                widget.choices = [*empty, ("true", "on"), ("false", "off")]
            elif inherited is None:
                self.fields[name].required = True
            else:
                widget.attrs["placeholder"] = _plain(inherited)


class ProfileChangeList(ChangeList):
    """The page's rows, all with the one default that they inherit from."""

    def get_results(self, request: HttpRequest) -> None:
        """One more query for the page, in place of one for each row."""
        super().get_results(request)
        default = profiles.ensure_default()
        for row in self.result_list:
            row.default = default


@admin.register(Profile)
class ProfileAdmin(Audited, _ModelAdmin):
    """The default, and overrides by group; every change is a new version for all processes."""

    form = ProfileForm
    change_list_template = "admin/streaming/profile/change_list.html"
    change_form_template = "admin/streaming/profile/change_form.html"
    list_display = ("name", "own", "effective", "version", "updated_at", "updated_by")
    list_select_related = ("updated_by",)
    search_fields = ("group",)
    ordering = ("group",)

    class Media:
        css: ClassVar[dict[str, tuple[str, ...]]] = {"all": ("streaming/profiles.css",)}

    def get_fieldsets(self, _request: HttpRequest, obj: Profile | None = None) -> Any:
        """All numbers by what they govern; the connection's where they apply, in the default."""
        return [
            (None, {"fields": ("group", "last_change") if obj else ("group",)}),
            *_FIELDSETS,
            *(_CONNECTION_FIELDSET if obj and obj.is_default else ()),
        ]

    def get_readonly_fields(self, _request: HttpRequest, obj: Profile | None = None) -> tuple[str, ...]:
        """A profile keeps its group: another group's is another profile."""
        return ("group", "last_change") if obj else ()

    def get_form(
        self, request: HttpRequest, obj: Profile | None = None, change: bool = False, **kwargs: Any
    ) -> type[_ModelForm]:
        """A new profile's form proposes the groups that the user may know of."""
        form = super().get_form(request, obj, change, **kwargs)
        if "group" in form.base_fields:
            form.base_fields["group"].widget = GroupInput(self._known_groups(request))
        return form

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:  # noqa: ARG002
        """The one that gives the rows their default."""
        return ProfileChangeList

    def has_delete_permission(self, request: HttpRequest, obj: Profile | None = None) -> bool:
        """The default stays."""
        return super().has_delete_permission(request, obj) and not (obj and obj.is_default)

    def save_model(self, request: HttpRequest, obj: Profile, form: Any, change: bool) -> None:
        """Keep who it was, and say when it applies."""
        obj.updated_by_id = request.user.pk
        super().save_model(request, obj, form, change)
        messages.info(request, APPLIES.format(obj.version))
        if not obj.is_default and (doubt := self._doubt(request, obj.group)):
            messages.warning(request, doubt)

    def delete_model(self, request: HttpRequest, obj: Profile) -> None:
        """Keep who it was, in the version; the group returns to the default."""
        obj.updated_by_id = request.user.pk
        super().delete_model(request, obj)
        messages.info(request, APPLIES.format(profiles.current_version()))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Profile]) -> None:
        """All or none, and who it was; each one counts as a version."""
        with transaction.atomic():
            for profile in queryset:
                profile.updated_by_id = request.user.pk
                profile.delete()
        messages.info(request, APPLIES.format(profiles.current_version()))

    def audit_detail(self, obj: Profile) -> dict[str, Any]:
        """Of which group, and the version that the change made."""
        return {"group": obj.group, "version": obj.version}

    @admin.display(description="profile", ordering="group")
    def name(self, profile: Profile) -> str:
        """The group, or that it is the default."""
        return str(profile)

    @admin.display(description="own values")
    def own(self, profile: Profile) -> str:
        """How many settings the row does not inherit."""
        if profile.is_default:
            return "all"
        return str(sum(getattr(profile, setting) is not None for setting in SETTINGS))

    @admin.display(description="effective (own values in bold)")
    def effective(self, profile: Profile) -> SafeString:
        """What holds for the group; inherited values are quiet."""
        return format_html_join(
            " · ", "{} {}", ((text, _shown(profile, name)) for name, text in _SUMMARY.items())
        )

    @admin.display(description="last change")
    def last_change(self, profile: Profile) -> str:
        """Version, time and person."""
        who = profile.updated_by or "nobody, as shipped"
        return f"Version {profile.version}, {profile.updated_at:%Y-%m-%d %H:%M:%S} UTC, by {who}"

    def _known_groups(self, request: HttpRequest) -> list[tuple[str, str]]:
        streams = self._visible_streams(request)
        if streams is not None:
            streams = streams.filter(ended_at__isnull=True).select_related("patient", "ward")
        return [
            (CONTROL_GROUP, "everything about connections"),
            *(
                (group_of(stream.id), f"{stream.patient.pseudonym}, {stream.ward.name}, bed {stream.bed}")
                for stream in streams or ()
            ),
        ]

    def _doubt(self, request: HttpRequest, group: str) -> str | None:
        """What speaks against a group's name; a group may still come, so that it is no fault."""
        known = [name for name, _ in self._known_groups(request)]
        may_be_hidden = group.startswith(group_of("")) and self._visible_streams(request) is None
        if group in known or may_be_hidden:
            return None
        near = get_close_matches(group.lower(), known, n=3)
        proposal = f" Did you mean {' or '.join(near)}?" if near else ""
        return f"No group {group} is there now: the profile governs nothing until it comes.{proposal}"

    def _visible_streams(self, request: HttpRequest) -> QuerySet[Any] | None:
        """The rows that the user sees on the admissions' page, or None when that page is closed to them."""
        page = self.admin_site._registry.get(Stream)
        return page.get_queryset(request) if page and page.has_view_permission(request) else None


_SUMMARY = {
    "compression_level": "level",
    "window_bits": "window bits",
    "compression_threshold": "from bytes",
    "max_buffer_size": "messages",
    "low_watermark": "low",
    "high_watermark": "high",
    "critical_watermark": "critical",
}
_FIELDSETS: list[tuple[str, dict[str, Any]]] = [
    (
        "Compression",
        {
            "fields": (("window_bits", "mem_level"), ("compression_level", "compression_threshold")),
            "description": "Deflate: of waveforms in a stream's group, of JSON in the group control.",
        },
    ),
    (
        "Buffer",
        {
            "fields": (("max_buffer_size", "max_retries", "emergency_mode"),),
            "description": "What waits for one viewer of the group.",
        },
    ),
    (
        "Watermarks",
        {
            "fields": (WATERMARKS,),
            "description": "Shares of the buffer, in this order: 0 < low < high < critical, at most 1.",
        },
    ),
    (
        "Quotas",
        {
            "fields": (QUOTAS[:2], QUOTAS[2:]),
            "description": "The share of the buffer that each priority may fill; together 1.",
        },
    ),
    (
        "Bounds",
        {
            "fields": (BYTES[0], *zip(BYTES[1:], AGES, strict=True)),
            "description": "What each priority may hold for one viewer, in bytes, and for how long.",
        },
    ),
]
_CONNECTION_FIELDSET = (
    (
        "Connection",
        {
            "fields": (CONNECTION,),
            "description": "Of a viewer's connection as a whole, whatever groups it follows; "
            "running ones take them over within 2 s.",
        },
    ),
)


def _shown(profile: Profile, setting: str) -> SafeString:
    value = _plain(profile.effective[setting])
    if profile.is_default:
        return format_html("{}", value)
    inherited = getattr(profile, setting) is None
    return format_html('<span class="quiet">{}</span>' if inherited else "<strong>{}</strong>", value)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
