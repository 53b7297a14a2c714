"""What somebody does in the admin can be read in the audit trail, by ids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from streaming.models import AuditEntry, Device, Patient, Stream
from streaming.models_profiles import Profile
from streaming.store import feeds
from tests.store.people import NAMES, NO_ALARM_SETTINGS, Hospital, hospital

NO_TOKENS = {"tokens-TOTAL_FORMS": "0", "tokens-INITIAL_FORMS": "0"}

Post = Callable[[str, dict[str, Any]], AuditEntry]


@pytest.fixture
def place(db: None) -> Hospital:
    """Two wards."""
    return hospital()


@pytest.fixture
def post(
    place: Hospital, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> Callable[[str, dict[str, Any]], AuditEntry]:
    """Send a form of the admin as a superuser; the one entry that it leaves."""
    boss = place.user("boss", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(boss)

    def send(page: str, form: dict[str, Any]) -> AuditEntry:
        with django_capture_on_commit_callbacks(execute=True):
            assert client.post(f"/admin/{page}", form).status_code == 302
        entry = AuditEntry.objects.get()
        assert entry.actor == f"user:{boss.pk}"
        assert not any(name in str(AuditEntry.objects.values().get()) for name in (*NAMES, "Teal"))
        return entry

    return send


def test_admission(post: Post, place: Hospital) -> None:
    patient = Patient.objects.create(display_name="Teal 3")
    device = Device.objects.create(name="monitor 1")
    form = {"device": device.pk, "patient": patient.pk, "ward": place.wards["a"].pk, "bed": "09"}
    entry = post("streaming/stream/add/", form)
    stream = Stream.objects.get(device=device)
    assert (entry.action, entry.object) == ("admission.begin", f"stream:{stream.pk}")
    assert entry.detail == {"device": device.pk, "patient": patient.pk, "ward": place.wards["a"].pk}


def test_admission_by_a_feed(
    place: Hospital, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        stream = feeds.begin_admission(
            Device.objects.create(name="d"),
            place.ended.patient,
            place.wards["a"],
            "09",
            actor=feeds.ACTOR,
        )
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.object) == (
        feeds.ACTOR,
        "admission.begin",
        f"stream:{stream.pk}",
    )


def test_groups_of_a_ward(post: Post, place: Hospital) -> None:
    groups = [group.pk for group in place.groups.values()]
    ward = place.wards["a"]
    entry = post(
        f"streaming/ward/{ward.pk}/change/", {"name": ward.name, "slug": ward.slug, "groups": groups}
    )
    assert (entry.action, entry.object) == ("ward.change", f"ward:{ward.pk}")
    assert entry.detail == {"fields": ["Groups"], "groups": sorted(groups)}


def test_source_of_a_device(post: Post, place: Hospital) -> None:
    device = place.device("a")
    form = {"name": device.name, "source": "LIVE", **NO_TOKENS}
    entry = post(f"streaming/device/{device.pk}/change/", form)
    assert (entry.action, entry.object) == ("device.change", f"device:{device.pk}")
    assert entry.detail == {"fields": ["Source"], "source": "LIVE"}


def test_rename_of_a_patient_without_the_name(post: Post, place: Hospital) -> None:
    patient = place.streams["a"].patient
    entry = post(f"streaming/patient/{patient.pk}/change/", {"display_name": "Teal 3"} | NO_ALARM_SETTINGS)
    assert (entry.action, entry.object) == ("patient.change", f"patient:{patient.pk}")
    assert entry.detail == {"fields": ["Display name"]}


def test_profile(post: Post) -> None:
    entry = post("streaming/profile/add/", {"group": "ecg.a", "max_buffer_size": "500"})
    row = Profile.objects.get(group="ecg.a")
    assert (entry.action, entry.object) == ("profile.add", f"profile:{row.pk}")
    assert entry.detail == {"group": "ecg.a", "version": row.version}


def test_deactivated_user(post: Post, place: Hospital) -> None:
    user = place.user("nurse", "a")
    form = {"username": "nurse", "groups": [place.groups["a"].pk]}
    form |= {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    entry = post(f"auth/user/{user.pk}/change/", form)
    assert not User.objects.get(pk=user.pk).is_active
    assert (entry.action, entry.object) == ("user.change", f"user:{user.pk}")
    assert "Active" in entry.detail["fields"]
    assert entry.detail["active"] is False
    assert entry.detail["groups"] == [place.groups["a"].pk]


def test_permissions_of_a_group(post: Post, place: Hospital) -> None:
    group = place.groups["a"]
    entry = post(
        f"auth/group/{group.pk}/change/",
        {"name": group.name, "permissions": [Permission.objects.all()[0].pk]},
    )
    assert (entry.action, entry.object) == ("group.change", f"group:{group.pk}")


def test_deletion(post: Post) -> None:
    group = Group.objects.create(name="gone")
    entry = post(f"auth/group/{group.pk}/delete/", {"post": "yes"})
    assert (entry.action, entry.object) == ("group.delete", f"group:{group.pk}")


def test_each_of_several_deletions(
    post: Post, place: Hospital, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    rows = [Profile.objects.create(group=f"ecg.{letter}") for letter in "ab"]
    client = Client()
    client.force_login(User.objects.get(username="boss"))
    chosen = {"action": "delete_selected", "_selected_action": [row.pk for row in rows], "post": "yes"}
    with django_capture_on_commit_callbacks(execute=True):
        client.post("/admin/streaming/profile/", chosen)
    deleted = AuditEntry.objects.filter(action="profile.delete").values_list("object", flat=True)
    assert set(deleted) == {f"profile:{row.pk}" for row in rows}


def test_saving_without_a_change_leaves_none(
    place: Hospital, post: Post, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with pytest.raises(AuditEntry.DoesNotExist):
        post(
            f"streaming/patient/{place.streams['a'].patient_id}/change/",
            {"display_name": place.streams["a"].patient.display_name} | NO_ALARM_SETTINGS,
        )


def test_the_list_tells_the_time_to_the_second(admin_client: Client) -> None:
    at = timezone.now().replace(microsecond=0)
    AuditEntry(
        writer="w", seq=1, at=at, actor="user:1", action="test", object="stream:a", outcome="done"
    ).save()
    assert f"{at:%Y-%m-%d %H:%M:%S}" in admin_client.get("/admin/streaming/auditentry/").content.decode()
