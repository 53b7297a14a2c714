"""Who may see live figures, whom they may name, and whom they may cut. All functions block."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User

from monitoring import alert_store
from streaming.store import access, audit
from streaming.store.access import Principal

VIEW = "monitoring.view_metricssnapshot"
CUT = "streaming.cut_viewer"
NAME = "auth.view_user"


@dataclass(frozen=True, slots=True)
class LiveRights:
    """What a member of the staff may do on the live page."""

    may_see: bool
    may_cut: bool
    may_name: bool
    """Be told of users by name, and of their addresses."""
    may_see_alerts: bool = False

    @classmethod
    def of(cls, user: User | None) -> LiveRights:
        """Of nobody: none. As the admin has it, one is active and of the staff, or may nothing."""
        if user is None or not (user.is_active and user.is_staff):
            return cls(False, False, False)
        may_see = user.has_perm(VIEW)
        return cls(
            may_see,
            may_see and user.has_perm(CUT),
            may_see and user.has_perm(NAME),
            may_see and alert_store.may_see(user),
        )


def rights(principal: Principal) -> LiveRights:
    """As they are now in the database."""
    return LiveRights.of(access.user_in_force(principal))


def enter(principal: Principal) -> LiveRights:
    """The same of somebody who opens the page, with an entry in the audit trail."""
    held = rights(principal)
    audit.record(principal.actor, "live.view", "live", "allowed" if held.may_see else "denied")
    return held


def refused(principal: Principal, connection: str) -> None:
    """Record that somebody wanted to cut a viewer who may not."""
    audit.record(principal.actor, "viewer.cut", f"connection:{connection}", "denied")


def names_of_users(ids: Collection[int]) -> dict[int, str]:
    """User names; one query."""
    found = get_user_model().objects.filter(pk__in=ids)
    return dict(found.values_list("pk", "username"))


def names_of_streams(principal: Principal, ids: Collection[str]) -> dict[str, str]:
    """Ward, bed and pseudonym of those that the user sees on the ward's page as well; two queries."""
    streams = access.visible_admissions(principal).filter(pk__in=ids).select_related("ward", "patient")
    return {each.pk: f"{each.ward.name}, bed {each.bed}, {each.patient.pseudonym}" for each in streams}
