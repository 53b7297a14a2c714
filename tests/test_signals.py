"""Every change of somebody's access is announced, after its commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import transaction
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from streaming.models import ApiToken, AuditEntry, DeviceToken
from streaming.store import audit, feeds, tokens
from streaming.store.access import access_changed
from tests.store.people import Hospital, api_token_of, hospital


@pytest.fixture(autouse=True)
def _nothing_counted_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refusals of other tests do not merge with ours, and time stands still."""
    monkeypatch.setattr(audit, "_refusals", audit.Repeats(clock=lambda: 0.0))


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """The reasons that were announced."""
    reasons: list[str] = []

    def listen(*, reason: str, **_: Any) -> None:
        reasons.append(reason)

    access_changed.connect(listen)
    yield reasons
    access_changed.disconnect(listen)


@pytest.fixture
def place(db: None) -> Hospital:
    """Two wards, a nurse of ward a, and a token of each kind."""
    made = hospital()
    nurse = made.user("nurse", "a")
    api_token_of(nurse, made.wards["a"])
    tokens.issue_device_token(made.device("a"), actor="system:test")
    return made


def _deactivate(place: Hospital) -> None:
    user = User.objects.get()
    user.is_active = False
    user.save()


def _rename_patient(place: Hospital) -> None:
    patient = place.streams["a"].patient
    patient.display_name = "Teal 3"
    patient.save()


CHANGES: dict[str, tuple[Callable[[Hospital], Any], str]] = {
    "user deactivated": (_deactivate, "user"),
    "user deleted": (lambda place: User.objects.get().delete(), "user"),
    "user leaves a group": (lambda place: User.objects.get().groups.clear(), "membership"),
    "user joins a group": (lambda place: User.objects.get().groups.add(place.groups["b"]), "membership"),
    "group gains a user": (lambda place: place.groups["b"].user_set.add(User.objects.get()), "membership"),
    "user gets a permission": (
        lambda place: User.objects.get().user_permissions.add(Permission.objects.all()[0]),
        "membership",
    ),
    "group gets a permission": (
        lambda place: place.groups["a"].permissions.add(Permission.objects.all()[0]),
        "membership",
    ),
    "group deleted": (lambda place: place.groups["a"].delete(), "group"),
    "ward loses a group": (lambda place: place.wards["a"].groups.clear(), "membership"),
    "API token revoked": (lambda place: tokens.revoke(ApiToken.objects.get(), actor="x"), "apitoken"),
    "API token rescoped": (lambda place: ApiToken.objects.get().wards.clear(), "membership"),
    "device token revoked": (
        lambda place: tokens.revoke(DeviceToken.objects.get(), actor="x"),
        "devicetoken",
    ),
    "admission ends": (lambda place: feeds.end_admission(place.streams["a"], actor="x"), "stream"),
    "patient renamed": (_rename_patient, "patient"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_change_is_announced_after_its_commit(
    change: str,
    place: Hospital,
    heard: list[str],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    act, reason = CHANGES[change]
    with django_capture_on_commit_callbacks(execute=True):
        act(place)
        assert heard == []
    assert reason in heard


def test_logout_is_announced_when_the_session_is_gone(
    place: Hospital, heard: list[str], django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    client = Client()
    client.force_login(User.objects.get())
    with django_capture_on_commit_callbacks(execute=True):
        client.post("/accounts/logout/")
    assert "session" in heard


def test_login_changes_nobodys_access(
    place: Hospital, heard: list[str], django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        Client().force_login(User.objects.get())
    assert "user" not in heard


def test_sign_ins_are_audited_without_what_was_typed(
    db: None, settings: Settings, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    user = User.objects.create_user("nurse", password="right")
    client = Client()
    with django_capture_on_commit_callbacks(execute=True):
        for name, password in (("typed-secret", "x"), ("nurse", "right")):
            client.post("/accounts/login/", {"username": name, "password": password})
        client.post("/accounts/logout/")
    trail = AuditEntry.objects.order_by("seq").values_list("actor", "action", "object", "outcome")
    me = f"user:{user.pk}"
    assert list(trail) == [
        ("anonymous", "user.login", "user", "denied"),
        (me, "user.login", me, "allowed"),
        (me, "user.logout", me, "done"),
    ]


def test_failed_sign_ins_are_merged_by_address_and_user_and_counted(
    db: None,
    settings: Settings,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    nurse = User.objects.create_user("nurse", password="right").pk
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(12):
            for name, address in (("nurse", "10.0.0.1"), ("typed-secret", "10.0.0.1"), ("nurse", "10.0.0.2")):
                form = {"username": name, "password": "wrong"}
                Client().post("/accounts/login/", form, REMOTE_ADDR=address)
    denied = [(f"user:{nurse}", "10.0.0.1"), ("user", "10.0.0.1"), (f"user:{nurse}", "10.0.0.2")]
    assert told_of("denied") == [(target, {"count": 1, "address": address}) for target, address in denied]
    assert told_of("locked") == [(target, {"count": 1, "address": address}) for target, address in denied]
    with django_capture_on_commit_callbacks(execute=True):
        audit.record_repeats(ending=True)
    assert [detail["count"] for _, detail in told_of("denied")] == [1, 1, 1, 11, 11, 11]
    assert [detail["count"] for _, detail in told_of("locked")] == [1, 1, 1, 2, 2, 2]
    assert "typed-secret" not in str(list(AuditEntry.objects.values()))


def told_of(outcome: str) -> list[tuple[str, dict[str, Any]]]:
    """Whose sign-in ended so, and the details."""
    return list(
        AuditEntry.objects.filter(action="user.login", outcome=outcome)
        .order_by("seq")
        .values_list("object", "detail")
    )


@pytest.mark.django_db(transaction=True)
def test_rolled_back_change_is_not_announced(heard: list[str]) -> None:
    place = hospital()
    heard.clear()
    with transaction.atomic():
        place.wards["a"].groups.clear()
        transaction.set_rollback(True)
    assert heard == []


def test_listener_that_fails_does_not_stop_the_others(
    place: Hospital, heard: list[str], django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError

    access_changed.connect(fail, dispatch_uid="fails")
    try:
        with django_capture_on_commit_callbacks(execute=True):
            feeds.end_admission(place.streams["a"], actor="x")
    finally:
        access_changed.disconnect(dispatch_uid="fails")
    assert heard == ["stream"]
