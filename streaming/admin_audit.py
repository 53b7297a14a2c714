"""What the admin does leaves an entry in the audit trail; and the trail itself, to be read and checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import pluralize

from streaming.models import AuditEntry
from streaming.models_chain import ChainedRow
from streaming.store import audit, verification
from streaming.store.trails import AUDIT, Trail

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
    _UserAdmin = UserAdmin[User]
else:
    _ModelAdmin, _UserAdmin = admin.ModelAdmin, UserAdmin  # generic in the stubs alone


class Audited(_ModelAdmin):
    """Adding, changing and deleting are recorded: who, which row, which fields; ids and marks, never names.

    Hung onto the admin's own history, which every page writes after it has saved, relations included.
    """

    audited_addition: ClassVar[str | None] = None
    """The action's name where something is added, if it is not `<model>.add`."""

    def audit_detail(self, _obj: Any) -> dict[str, Any]:
        """What of the object belongs into an entry on it, as it is now."""
        return {}

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """One entry."""
        self._record(request, obj, "add", **self.audit_detail(obj))
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """One entry, with the labels of the fields; none where nothing was changed."""
        changes = message if isinstance(message, list) else []
        if fields := [label for part in changes for label in part.get("changed", {}).get("fields", ())]:
            self._record(request, obj, "change", fields=fields, **self.audit_detail(obj))
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """One entry for each."""
        for obj in queryset:
            self._record(request, obj, "delete")
        return super().log_deletions(request, queryset)

    def _record(self, request: HttpRequest, obj: Model, verb: str, **detail: Any) -> None:
        model = str(obj._meta.model_name)
        action = self.audited_addition if verb == "add" and self.audited_addition else f"{model}.{verb}"
        audit.record(actor_of(request), action, f"{model}:{obj.pk}", "done", **detail)


def actor_of(request: HttpRequest) -> str:
    """How the audit trail names who asks."""
    return f"user:{request.user.pk}"


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class AuditedUserAdmin(Audited, _UserAdmin):
    """Django's page of users."""

    def audit_detail(self, obj: User) -> dict[str, Any]:
        """What it may do now."""
        return {
            "active": obj.is_active,
            "staff": obj.is_staff,
            "superuser": obj.is_superuser,
            "groups": set(obj.groups.values_list("pk", flat=True)),
        }


@admin.register(Group)
class AuditedGroupAdmin(Audited, GroupAdmin):
    """Django's page of groups."""


class ReadOnly(_ModelAdmin):
    """A page of what the program writes and nobody changes, to be read and checked."""

    trail: ClassVar[Trail]
    show_full_result_count = False  # it would count a table that only grows, on every page
    actions = ("verify_chains",)

    def has_add_permission(self, *_args: Any, **_kwargs: Any) -> bool:
        """The program writes it."""
        return False

    def has_change_permission(self, *_args: Any, **_kwargs: Any) -> bool:
        """Nobody changes it."""
        return False

    def has_delete_permission(self, *_args: Any, **_kwargs: Any) -> bool:
        """Nobody deletes from it."""
        return False

    @admin.display(description="writer/seq")
    def entry(self, entry: ChainedRow) -> str:
        """Its place in its chain."""
        return str(entry)

    @admin.action(description="Verify the chains of the selected entries", permissions=["view"])
    def verify_chains(self, request: HttpRequest, entries: QuerySet[Any]) -> None:
        """Recompute every hash of the processes that wrote these, and look whether their ends are there."""
        writers = set(entries.values_list("writer", flat=True))
        own = [audit.head()] if audit.head().writer in writers else []
        faults = verification.verify_chains(self.trail, writers, own)
        for fault in faults[:20]:
            messages.error(request, str(fault))
        if not faults:
            are = f"chain{pluralize(writers)} {pluralize(writers, 'is,are')}"
            messages.success(request, f"{len(writers)} {are} whole.")


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly):
    """The audit trail."""

    trail = AUDIT
    list_display = ("at", "actor", "action", "object", "outcome", "entry")
    list_filter = ("action", "outcome")
    search_fields = ("=actor", "=object")
