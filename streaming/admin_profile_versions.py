"""The versions of the profiles: what each changed, when, by whom and why, and the ways back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.utils.safestring import SafeString, mark_safe

from streaming.admin_profile_plans import Proposal, ShownChange, ask, require, shown
from streaming.admin_wards import user_of
from streaming.exceptions import ProfileError
from streaming.models_profile_versions import ProfileRevision
from streaming.store import profile_changes

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[ProfileRevision]
else:
    _ModelAdmin = admin.ModelAdmin  # generic in the stubs alone

_TOLD = 4
"""Values of a change that the list tells; the version's page has all."""


class ByFilter(admin.RelatedOnlyFieldListFilter):
    """By who made one, under a word of its own: Django's would be "By by"."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = "user"


@admin.register(ProfileRevision)
class ProfileRevisionAdmin(_ModelAdmin):
    """Who may see profiles sees how they came about; who may change them may undo that."""

    list_display = ("number", "at", "by", "what", "comment")
    list_select_related = ("by",)
    list_filter = (("by", ByFilter),)
    search_fields = ("comment", "cause")
    search_help_text = "By comment, or by what made it: undo, return, preset, import."
    show_full_result_count = False
    fields = readonly_fields = ("number", "at", "by", "cause", "comment", "difference")

    def get_urls(self) -> list[URLPattern]:
        """Two pages more."""
        view = self.admin_site.admin_view
        return [
            path("<int:pk>/undo/", view(self.undo), name="streaming_profilerevision_undo"),
            path("<int:pk>/return/", view(self.go_back), name="streaming_profilerevision_return"),
            *super().get_urls(),
        ]

    def has_module_permission(self, request: HttpRequest) -> bool:
        """As of profiles."""
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, _obj: ProfileRevision | None = None) -> bool:
        """As of profiles."""
        user = user_of(request)
        return any(user.has_perm(f"streaming.{verb}_profile") for verb in ("view", "change"))

    def has_add_permission(self, *_args: Any) -> bool:
        """A change of the profiles makes it."""
        return False

    def has_change_permission(self, *_args: Any, **_kwargs: Any) -> bool:
        """What was done stays done; undoing it is another version."""
        return False

    def has_delete_permission(self, *_args: Any, **_kwargs: Any) -> bool:
        """The way back leads over all of them."""
        return False

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """With the ways back for who may go them."""
        context = {"may_undo": user_of(request).has_perm("streaming.change_profile")}
        return super().change_view(request, object_id, form_url, (extra_context or {}) | context)

    def undo(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show what undoing the change would change, and do it when that is confirmed."""
        require(request, ["change"])
        revision = get_object_or_404(ProfileRevision, pk=pk)
        proposal = Proposal(
            title=f"Undo version {revision.number}",
            consequence="What this version changed gets the values that it had before, as a new version. "
            "What was changed since stays.",
            plan=profile_changes.undone(revision),
            cause=f"undo of version {revision.number}",
        )
        return ask(self.admin_site, request, proposal)

    def go_back(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show what returning to the version would change, and do it when that is confirmed."""
        require(request, ["change"])
        revision = get_object_or_404(ProfileRevision, pk=pk)
        try:
            plan = profile_changes.returned_to(revision.number)
        except ProfileError as error:
            messages.error(request, f"There is no way back to version {revision.number}: {error}.")
            return redirect("admin:streaming_profilerevision_change", pk)
        proposal = Proposal(
            title=f"Return to version {revision.number}",
            consequence="All profiles become what they were as this version, as a new version.",
            plan=plan,
            cause=f"return to version {revision.number}",
        )
        return ask(self.admin_site, request, proposal)

    @admin.display(description="what")
    def what(self, revision: ProfileRevision) -> str:
        """What made it, and the first of the values that it changed."""
        changes = shown(profile_changes.changes_of(revision))
        by_row = groupby(changes[:_TOLD], key=lambda line: (line.row, line.verb))
        told = [_in_words(row, verb, list(lines)) for (row, verb), lines in by_row]
        more = [f"and {len(changes) - _TOLD} more"] if len(changes) > _TOLD else []
        return "; ".join([*filter(None, [revision.cause]), *told, *more]) or "nothing was changed"

    @admin.display(description="what it changed")
    def difference(self, revision: ProfileRevision) -> SafeString:
        """Value by value."""
        changes = shown(profile_changes.changes_of(revision))
        # Rendered by a template, which escapes.
        return mark_safe(render_to_string("admin/streaming/profile/difference.html", {"changes": changes}))  # nosec


def _in_words(row: str, verb: str, lines: Sequence[ShownChange]) -> str:
    values = ", ".join(
        f"{line.setting} {line.new}" if verb == "add" else f"{line.setting} {line.old} → {line.new}"
        for line in lines
        if line.setting
    )
    what = {"add": "added", "delete": "deleted", "change": ""}[verb]
    return f"{row}: {', '.join(filter(None, [what, values]))}"
