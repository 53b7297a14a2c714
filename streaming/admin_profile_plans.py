"""A change to the profiles as a whole: shown first, value by value, and made when it is confirmed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from streaming.admin_profile_form import label_of, plain
from streaming.admin_wards import user_of
from streaming.core.precedence import DEFAULT_NAME, Fault
from streaming.exceptions import ProfileError
from streaming.models_profiles import Profile
from streaming.store import profile_changes
from streaming.store.profile_changes import Plan, RowChange

APPLIES = "Version {} applies to running streams within 2 s."
MAX_COMMENT = 200


@dataclass(frozen=True, slots=True)
class Proposal:
    """What somebody is asked to confirm."""

    title: str
    consequence: str
    plan: Plan
    cause: str
    fields: Mapping[str, str] = field(default_factory=dict)
    """What the page has to send along, so that the same is proposed again."""
    tell: Callable[[Fault], str] = str
    """How a fault of the plan is said."""

    @property
    def faults(self) -> list[str]:
        """Why it cannot be done; empty when it can."""
        return [self.tell(fault) for fault in self.plan.faults]


@dataclass(frozen=True, slots=True)
class ShownChange:
    """One row of a difference."""

    row: str
    verb: str
    setting: str
    old: str
    new: str


def ask(site: AdminSite, request: HttpRequest, proposal: Proposal) -> HttpResponse:
    """The page that shows what would change; when it comes back confirmed, the change.

    Raises PermissionDenied for who may not do to each row what would be done to it.
    """
    plan = proposal.plan
    require(request, {"change", *(change.verb for change in plan.changes)})
    faults = proposal.faults
    if request.method == "POST" and "confirmed" in request.POST and not faults and plan.changes:
        if request.POST.get("version") == str(plan.version):
            try:
                version = _carry_out(site, request, proposal)
            except ProfileError as error:
                messages.error(request, f"Nothing was changed: {error}.")
            else:
                messages.success(request, f"{proposal.title}: done. {APPLIES.format(version)}")
                return redirect("admin:streaming_profile_changelist")
        else:
            messages.warning(request, "The profiles were changed meanwhile. This is what would change now.")
    context = {
        **site.each_context(request),
        "opts": Profile._meta,
        "title": proposal.title,
        "proposal": proposal,
        "changes": shown(plan.changes),
        "faults": faults,
        "comment": request.POST.get("change_comment", "")[:MAX_COMMENT],
        "max_comment": MAX_COMMENT,
    }
    return TemplateResponse(request, "admin/streaming/profile/plan.html", context)


def shown(changes: Iterable[RowChange]) -> list[ShownChange]:
    """A difference, a line for each value; a row that is added or deleted without any has a line too."""
    lines = []
    for change in changes:
        row = "default" if change.name == DEFAULT_NAME else change.name
        values = change.values or [("", None, None)]
        absent = "–" if change.verb != "change" else "inherited"
        lines += [
            ShownChange(
                row, change.verb, name, *(absent if value is None else plain(value) for value in both)
            )
            for name, *both in values
        ]
    return lines


def require(request: HttpRequest, verbs: Iterable[str]) -> None:
    """Raise PermissionDenied for who may not do all of this to profiles."""
    if not all(user_of(request).has_perm(f"streaming.{verb}_profile") for verb in verbs):
        raise PermissionDenied


def _carry_out(site: AdminSite, request: HttpRequest, proposal: Proposal) -> int:
    """Make the change, and leave what the admin's own forms leave: its log, and the audit trail."""
    page: Any = site._registry[Profile]
    changes = proposal.plan.changes
    with transaction.atomic():
        deleted = [change.name for change in changes if change.verb == "delete"]
        page.log_deletions(request, Profile.objects.filter(group__in=deleted))
        version = profile_changes.apply(
            proposal.plan,
            by=user_of(request),
            cause=proposal.cause,
            comment=request.POST.get("change_comment", "").strip()[:MAX_COMMENT],
        )
        rows = {row.group: row for row in Profile.objects.filter(group__in=[c.name for c in changes])}
        for change in changes:
            if change.verb == "add":
                page.log_addition(request, rows[change.name], [{"added": {}}])
            elif change.verb == "change":
                fields = [label_of(name) for name, _, _ in change.values]
                page.log_change(request, rows[change.name], [{"changed": {"fields": fields}}])
    return version
