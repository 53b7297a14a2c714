"""Profiles as the operator tunes them: what holds, for whom, in which unit, and since when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from streaming.admin_audit import Audited
from streaming.admin_profile_effective import WithEffective
from streaming.admin_profile_exchange import WithExchange
from streaming.admin_profile_form import CONNECTION_FIELDSET, FIELDSETS, GroupInput, ProfileForm, plain
from streaming.admin_profile_groups import doubt_of, known_names
from streaming.admin_profile_plans import APPLIES
from streaming.admin_wards import user_of
from streaming.core.precedence import faults, wards_of
from streaming.models_profiles import Profile, places_of
from streaming.store import processes, profile_changes, profiles

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Profile]
    _ModelForm = ModelForm[Profile]
else:
    _ModelAdmin, _ModelForm = admin.ModelAdmin, ModelForm  # generic in the stubs alone


class ProfileChangeList(ChangeList):
    """The page's rows, each with the others, from which it inherits; and where they are in force."""

    def get_results(self, request: HttpRequest) -> None:
        """Some more queries for the page, in place of some for each row."""
        super().get_results(request)
        profiles.ensure_default()
        rows = Profile.objects.all().as_rows()
        places = places_of(wards_of(rows))
        self.profile_version = profiles.current_version()
        self.profile_faults = faults(rows, places)
        self.processes = processes.known()
        self.processes_current = sum(
            process.version == self.profile_version and not process.is_gone for process in self.processes
        )
        for row in self.result_list:
            row.others = {name: values for name, values in rows.items() if name != row.group}
            row.places = places


@admin.register(Profile)
class ProfileAdmin(WithEffective, WithExchange, Audited, _ModelAdmin):
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

    def get_fieldsets(self, request: HttpRequest, obj: Profile | None = None) -> Any:
        """All numbers by what they govern; the connection's where they apply, in the default."""
        may_save = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        return [
            (None, {"fields": ("group", "last_change") if obj else ("group",)}),
            *FIELDSETS,
            *(CONNECTION_FIELDSET if obj and obj.is_default else ()),
            *([("This change", {"fields": ("change_comment",)})] if may_save else []),
        ]

    def get_readonly_fields(self, _request: HttpRequest, obj: Profile | None = None) -> tuple[str, ...]:
        """A profile keeps its group: another group's is another profile."""
        return ("group", "last_change") if obj else ()

    def get_form(
        self, request: HttpRequest, obj: Profile | None = None, change: bool = False, **kwargs: Any
    ) -> type[_ModelForm]:
        """A new profile's form proposes what the user may know of."""
        form = super().get_form(request, obj, change, **kwargs)
        if "group" in form.base_fields:
            form.base_fields["group"].widget = GroupInput(known_names(self.admin_site, request))
        return form

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:  # noqa: ARG002
        """The one that gives the rows what they inherit from."""
        return ProfileChangeList

    def has_delete_permission(self, request: HttpRequest, obj: Profile | None = None) -> bool:
        """The default stays."""
        return super().has_delete_permission(request, obj) and not (obj and obj.is_default)

    def save_model(self, request: HttpRequest, obj: Profile, form: Any, change: bool) -> None:
        """Keep who it was and why, and say when it applies; without a change there is no version."""
        if change and not {*form.changed_data} - {"change_comment"}:
            messages.info(request, "Nothing was changed.")
            return
        obj.updated_by = user_of(request)
        obj.change_comment = form.cleaned_data.get("change_comment", "")
        super().save_model(request, obj, form, change)
        messages.info(request, APPLIES.format(obj.version))
        if doubt := doubt_of(self.admin_site, request, obj.group):
            messages.warning(request, doubt)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Nothing is deleted that others need to be valid: they inherit from it what fits to their own."""
        deleted, counts, perms_needed, protected = super().get_deleted_objects(objs, request)
        plan = profile_changes.without([profile.group for profile in objs])
        return deleted, counts, perms_needed, [*protected, *map(str, plan.faults)]

    def delete_model(self, request: HttpRequest, obj: Profile) -> None:
        """Keep who it was, in the version; the group returns to what it inherits."""
        self._delete(request, [obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Profile]) -> None:
        """All or none, as one version."""
        self._delete(request, list(queryset))

    def _delete(self, request: HttpRequest, rows: Sequence[Profile]) -> None:
        plan = profile_changes.without([row.group for row in rows])
        version = profile_changes.apply(plan, by=user_of(request), cause="")
        messages.info(request, APPLIES.format(version))

    def audit_detail(self, obj: Profile) -> dict[str, Any]:
        """Of which group, and the version that the change made."""
        return {"group": obj.group, "version": obj.version}

    @admin.display(description="governs", ordering="group")
    def name(self, profile: Profile) -> str:
        """The group, the ward, the pattern, or that it is the default."""
        return str(profile)

    @admin.display(description="own values")
    def own(self, profile: Profile) -> str:
        """How many settings the row does not inherit."""
        return "all" if profile.is_default else str(len(profile.own))

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


_SUMMARY = {
    "compression_level": "level",
    "window_bits": "window bits",
    "compression_threshold": "from bytes",
    "max_buffer_size": "messages",
    "low_watermark": "low",
    "high_watermark": "high",
    "critical_watermark": "critical",
}


def _shown(profile: Profile, setting: str) -> SafeString:
    value, owner = profile.effective[setting]
    if profile.is_default:
        return format_html("{}", plain(value))
    return format_html(
        "<strong>{}</strong>" if owner == profile.group else '<span class="quiet">{}</span>', plain(value)
    )
