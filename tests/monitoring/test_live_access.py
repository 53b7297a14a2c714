"""Who may open the live page, name users there and cut viewers: by their permissions as they are now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse

from monitoring import live_access
from monitoring.live_access import LiveRights
from streaming.core.streams import Source
from streaming.models import AuditEntry, Ward
from streaming.store import feeds
from streaming.store.access import Principal, PrincipalKind
from tests.pages import inline_code

if TYPE_CHECKING:
    from pytest_django import DjangoCaptureOnCommitCallbacks

pytestmark = pytest.mark.django_db
LIVE = "admin:monitoring_metricssnapshot_live"
VIEW, CUT, NAME, ALERTS = "view_metricssnapshot", "cut_viewer", "view_user", "view_alert"


def employ(*codenames: str, **fields: bool) -> User:
    user = User(username="someone", **{"is_staff": True, **fields})
    user.save()
    user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))
    return user


def principal(user: User) -> Principal:
    return Principal(PrincipalKind.SESSION, user_id=user.pk, session_key="key")


@pytest.mark.parametrize(
    ("codenames", "fields", "expected"),
    [
        ((), {}, LiveRights(False, False, False)),
        ((VIEW,), {}, LiveRights(True, False, False)),
        ((VIEW, CUT), {}, LiveRights(True, True, False)),
        ((VIEW, ALERTS), {}, LiveRights(True, False, False, True)),
        ((ALERTS,), {}, LiveRights(False, False, False)),
        ((VIEW, NAME), {}, LiveRights(True, False, True)),
        ((CUT, NAME), {}, LiveRights(False, False, False)),
        ((VIEW, CUT, NAME), {"is_staff": False}, LiveRights(False, False, False)),
        ((VIEW, CUT, NAME), {"is_active": False}, LiveRights(False, False, False)),
        ((), {"is_superuser": True}, LiveRights(True, True, True, True)),
    ],
)
def test_rights_are_those_of_the_permissions(
    codenames: tuple[str, ...],
    fields: dict[str, bool],
    expected: LiveRights,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    user = employ(*codenames, **fields)
    assert live_access.rights(principal(user)) == expected
    with django_capture_on_commit_callbacks(execute=True):
        assert live_access.enter(principal(user)) == expected
    entry = AuditEntry.objects.get(action="live.view")
    assert (entry.actor, entry.outcome) == (f"user:{user.pk}", "allowed" if expected.may_see else "denied")


def test_a_refused_cut_is_in_the_trail(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        live_access.refused(principal(employ(VIEW)), "9f2c61d0")
    entry = AuditEntry.objects.get(action="viewer.cut")
    assert (entry.object, entry.outcome) == ("connection:9f2c61d0", "denied")


def test_streams_are_named_by_the_wards_that_the_user_sees() -> None:
    mine = feeds.ensure_feed("Intensive care", "patient", "monitor 1", Source.SIM).stream
    other = feeds.ensure_feed("Surgery", "patient", "monitor 2", Source.SIM).stream
    user, group = employ(VIEW), Group.objects.create(name="nurses")
    user.groups.add(group)
    Ward.objects.get(name="Intensive care").groups.add(group)
    named = live_access.names_of_streams(principal(user), [mine, other, "unknown"])
    assert list(named) == [mine]
    assert named[mine].startswith("Intensive care, bed ")


def test_users_are_named() -> None:
    user = employ()
    assert live_access.names_of_users([user.pk, 999_999]) == {user.pk: "someone"}


@pytest.mark.parametrize(("codenames", "status"), [((VIEW,), 200), ((CUT, NAME), 403)])
def test_the_page_is_for_whoever_may_view_snapshots(
    client: Client, codenames: tuple[str, ...], status: int
) -> None:
    client.force_login(employ(*codenames))
    assert client.get(reverse(LIVE)).status_code == status


def test_the_page_asks_who_is_not_signed_in_to_do_so(client: Client) -> None:
    assert client.get(reverse(LIVE)).status_code == 302


def test_the_page_has_nothing_inline_and_is_linked_from_index_and_snapshots(client: Client) -> None:
    client.force_login(employ(VIEW))
    page = client.get(reverse(LIVE)).content.decode()
    assert inline_code(page) == []
    assert "Not a medical device." in page
    for name in ("admin:index", "admin:monitoring_metricssnapshot_changelist"):
        linked = client.get(reverse(name)).content.decode()
        assert f'href="{reverse(LIVE)}"' in linked
        assert inline_code(linked) == []


def test_the_index_links_it_for_nobody_else(client: Client) -> None:
    client.force_login(employ(NAME))
    assert reverse(LIVE) not in client.get(reverse("admin:index")).content.decode()
