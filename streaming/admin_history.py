"""What the admin shows and deletes of the history, at the admissions that it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db import Error as DatabaseFault
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from streaming.admin_audit import actor_of
from streaming.models import Stream
from streaming.store import history, history_limits
from streaming.store.history_keeper import record_deletion
from streaming.store.history_limits import Removed

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin  # generic in the stubs alone


class WithHistory(_ModelAdmin):
    """A page of streams that tells how much is stored of one, and deletes that of those that were chosen."""

    def has_delete_history_permission(self, request: HttpRequest) -> bool:
        """Whoever may delete history chunks, of the streams that the page lets them see."""
        return request.user.has_perm("streaming.delete_historychunk")

    @admin.display(description="stored ECG")
    def stored(self, stream: Stream) -> str:
        """Its size, oldest and newest."""
        try:
            found = history.sizes([stream.pk])
        except DatabaseFault as error:
            return f"the history's database does not answer ({type(error).__name__})"
        return str(found[0]) if found else "nothing is stored"

    @admin.action(description="Delete the history of the selected streams", permissions=["delete_history"])
    def delete_history(self, request: HttpRequest, streams: QuerySet[Stream]) -> HttpResponse | None:
        """Ask; then delete it for good, with one audit entry for each stream."""
        patients = dict(streams.values_list("pk", "patient__pseudonym"))
        chosen = list(patients)
        if "confirmed" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": "Delete the history of the selected streams",
                "consequence": "The stored ECG of these streams is deleted for good, pinned or not. "
                "What is sent from now on is stored as before.",
                "action": "delete_history",
                "chosen": chosen,
                "lines": [f"{patients[size.stream]}, {size.stream}: {size}" for size in history.sizes(chosen)]
                or ["Nothing is stored of them."],
            }
            return TemplateResponse(request, "admin/streaming/confirm_action.html", context)
        for stream in chosen:
            removed = Removed()
            try:
                for step in history_limits.delete(streams=[stream]):
                    removed += step
            finally:
                record_deletion(actor_of(request), f"stream:{stream}", removed)
        messages.success(
            request, f"The history of {len(chosen)} {'stream' if len(chosen) == 1 else 'streams'} is deleted."
        )
        return None
