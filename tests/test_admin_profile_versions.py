"""The pages of the profiles' versions and of what holds: who may, what they show, and the ways back."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks

from streaming.core.precedence import DEFAULT_NAME
from streaming.core.streams import group_of
from streaming.models import AuditEntry
from streaming.models_profile_versions import ProfileRevision
from streaming.models_profiles import Profile
from streaming.store import profiles
from tests.pages import inline_code
from tests.store.people import hospital

PROFILES = "/admin/streaming/profile/"
VERSIONS = "/admin/streaming/profilerevision/"
EFFECTIVE = f"{PROFILES}effective/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> Callable[..., Client]:
    def sign_in(*verbs: str, **fields: Any) -> Client:
        user = User.objects.create_user("operator", is_staff=True, **fields)
        codenames = [f"{verb}_profile" for verb in verbs]
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def operator(staff: Callable[..., Client]) -> Client:
    return staff("view", "add", "change", "delete")


def body(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    html = response.content.decode()
    assert inline_code(html) == []
    return html


def text(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def newest() -> ProfileRevision:
    return ProfileRevision.objects.all()[0]


def confirm(client: Client, path: str, **fields: str) -> str:
    """Look at the page, and send what it asks to confirm; what the next page says."""
    html = body(client, path)
    hidden = dict(re.findall(r'<input type="hidden" name="(version|confirmed)" value="([^"]*)">', html))
    assert set(hidden) == {"version", "confirmed"}
    return text(client.post(path, hidden | fields, follow=True).content.decode())


class TestEffective:
    def test_every_value_is_shown_with_the_row_that_it_comes_from(self, admin_client: Client) -> None:
        place = hospital()
        group = group_of(place.streams["a"].pk)
        Profile(group="ecg.*", mem_level=7, compression_level=2).save()
        Profile(group="ward:ward-a", compression_level=3).save()
        Profile(group=group, max_retries=9).save()
        html = body(admin_client, f"{EFFECTIVE}?name={group}")
        said = text(html)
        assert f"{group} : this group alone ward:ward-a : the streams of a ward ecg.* : groups" in said
        assert "COMPRESSION_LEVEL 3 ward:ward-a ecg.* 2, default 6" in said
        assert "MEM_LEVEL 7 ecg.* default 5" in said
        assert f"MAX_RETRIES 9 {group} default 3" in said
        assert "WINDOW_BITS 12 default" in said
        assert f'href="{PROFILES}{Profile.objects.get(group=group).pk}/change/"' in html

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("control", "MEM_LEVEL 5 default"),
            ("ecg.*", "MEM_LEVEL 7 ecg.*"),
            ("ward:x", "MEM_LEVEL 7 ecg.*"),
            ("*", "stall time 10 s default"),
            ("control", "HIGH age 1 s default"),
            ("control", "BULK bytes 65536 bytes default"),
            ("control", "BULK age never default"),
        ],
    )
    def test_rows_show_what_they_pass_on(self, name: str, expected: str, admin_client: Client) -> None:
        Profile(group="ecg.*", mem_level=7).save()
        Profile(group="ward:x").save()
        assert expected in text(body(admin_client, f"{EFFECTIVE}?name={name}"))

    @pytest.mark.parametrize("name", ["ward:none", "e g", "<b>"])
    def test_name_that_nothing_has_is_told(self, name: str, admin_client: Client) -> None:
        assert "and no group can have that name" in text(body(admin_client, f"{EFFECTIVE}?name={name}"))

    def test_ward_of_an_admission_is_not_told_to_who_may_not_see_it(self, operator: Client) -> None:
        group = group_of(hospital().streams["a"].pk)
        Profile(group="ward:ward-a", compression_level=3).save()
        said = text(body(operator, f"{EFFECTIVE}?name={group}"))
        assert "COMPRESSION_LEVEL 6 default" in said
        assert "it is no admission that you may see" in said

    def test_page_is_linked_from_the_list_and_from_a_row(self, staff: Callable[..., Client]) -> None:
        Profile(group="ecg.*").save()
        viewer = staff("view")
        assert f'href="{EFFECTIVE}"' in body(viewer, PROFILES)
        row = Profile.objects.get(group="ecg.*")
        assert f'href="{EFFECTIVE}?name=ecg.%2A"' in body(viewer, f"{PROFILES}{row.pk}/change/")

    def test_closed_to_who_may_not_see_profiles(self, staff: Callable[..., Client]) -> None:
        assert staff().get(EFFECTIVE).status_code == 403
        assert Client().get(EFFECTIVE).status_code == 302


class TestHistory:
    def test_change_is_listed_with_who_what_and_why(self, operator: Client) -> None:
        row = Profile(group="ecg.a", mem_level=7)
        row.save()
        form = {"mem_level": "8", "emergency_mode": "unknown", "change_comment": "slow <line>"}
        operator.post(f"{PROFILES}{row.pk}/change/", form)
        assert (newest().by, newest().comment) == (User.objects.get(), "slow <line>")
        html = body(operator, VERSIONS)
        assert "ecg.a: mem_level 7 → 8" in html
        assert "slow &lt;line&gt;" in html
        page = text(body(operator, f"{VERSIONS}{newest().pk}/change/"))
        assert "ecg.a mem_level 7 8" in page
        assert "Undo this change" in page

    def test_comment_alone_is_no_version(self, operator: Client) -> None:
        row = Profile(group="ecg.a", mem_level=7)
        row.save()
        before = profiles.current_version()
        form = {"mem_level": "7", "emergency_mode": "unknown", "change_comment": "nothing"}
        response = operator.post(f"{PROFILES}{row.pk}/change/", form, follow=True)
        assert "Nothing was changed." in response.content.decode()
        assert profiles.current_version() == before

    def test_list_asks_as_much_for_many_versions_as_for_one(
        self, operator: Client, django_assert_max_num_queries: Any
    ) -> None:
        for n in range(30):
            Profile(group=f"ecg.{n}").save()
        with django_assert_max_num_queries(8):
            operator.get(VERSIONS)

    def test_viewer_sees_and_finds_no_way_back(self, staff: Callable[..., Client]) -> None:
        viewer = staff("view")
        pk = newest().pk
        assert "Undo this change" not in body(viewer, f"{VERSIONS}{pk}/change/")
        for page in ("undo", "return"):
            assert viewer.get(f"{VERSIONS}{pk}/{page}/").status_code == 403
            assert viewer.post(f"{VERSIONS}{pk}/{page}/", {"confirmed": "yes"}).status_code == 403

    def test_closed_to_who_may_not_see_profiles(self, staff: Callable[..., Client]) -> None:
        client = staff()
        assert client.get(VERSIONS).status_code == 403
        assert client.get(f"{VERSIONS}{newest().pk}/change/").status_code == 403

    @pytest.mark.parametrize("page", ["add", "1/delete", "1/change"])
    def test_nobody_writes_it(self, page: str, admin_client: Client) -> None:
        path = f"{VERSIONS}{page.replace('1', str(newest().pk))}/"
        assert admin_client.post(path, {"comment": "mine"}).status_code == 403


class TestWaysBack:
    def test_undo_shows_what_changes_and_is_a_version_with_its_reason(
        self, operator: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
    ) -> None:
        Profile.objects.filter(group=DEFAULT_NAME).update(mem_level=9)
        undone = newest()
        path = f"{VERSIONS}{undone.pk}/undo/"
        assert "default mem_level 9 5" in text(body(operator, path))
        assert profiles.load().default.compression.mem_level == 9
        with django_capture_on_commit_callbacks(execute=True):
            said = confirm(operator, path, change_comment="by mistake")
        assert f"Version {undone.number + 1} applies to running streams within 2 s." in said
        assert profiles.load().default.compression.mem_level == 5
        assert newest().cause == f"undo of version {undone.number}"
        assert (newest().comment, newest().by) == ("by mistake", User.objects.get())
        entry = LogEntry.objects.get()
        assert (entry.action_flag, entry.get_change_message()) == (CHANGE, "Changed MEM_LEVEL.")
        assert AuditEntry.objects.get().action == "profile.change"

    def test_creation_and_deletion_are_undone(self, operator: Client) -> None:
        Profile(group="ecg.a", mem_level=7).save()
        confirm(operator, f"{VERSIONS}{newest().pk}/undo/")
        assert not Profile.objects.filter(group="ecg.a").exists()
        confirm(operator, f"{VERSIONS}{newest().pk}/undo/")
        assert Profile.objects.get(group="ecg.a").mem_level == 7
        assert [entry.action_flag for entry in LogEntry.objects.order_by("pk")] == [DELETION, ADDITION]

    def test_return_brings_back_everything(self, operator: Client) -> None:
        Profile(group="ecg.a", mem_level=7).save()
        then, rows = newest(), Profile.objects.all().as_rows()
        Profile.objects.filter(group=DEFAULT_NAME).update(max_retries=1)
        Profile(group="ecg.b").save()
        Profile.objects.get(group="ecg.a").delete()
        confirm(operator, f"{VERSIONS}{then.pk}/return/")
        assert Profile.objects.all().as_rows() == rows
        assert newest().cause == f"return to version {then.number}"

    def test_page_that_was_overtaken_asks_again(self, operator: Client) -> None:
        Profile.objects.filter(group=DEFAULT_NAME).update(mem_level=9)
        path = f"{VERSIONS}{newest().pk}/undo/"
        sent = {"confirmed": "yes", "version": str(profiles.current_version())}
        Profile(group="ecg.a").save()
        before = profiles.current_version()
        said = text(operator.post(path, sent).content.decode())
        assert "changed meanwhile" in said
        assert profiles.current_version() == before

    def test_what_would_not_be_valid_is_explained_and_not_offered(self, operator: Client) -> None:
        Profile.objects.filter(group=DEFAULT_NAME).update(high_watermark=0.9)
        undone = newest()
        Profile(group="ecg.a", low_watermark=0.85).save()
        before = profiles.current_version()
        path = f"{VERSIONS}{undone.pk}/undo/"
        html = body(operator, path)
        assert "ecg.a: watermarks must be in order" in html
        assert 'name="confirmed"' not in html
        operator.post(path, {"confirmed": "yes", "version": str(before)})
        assert profiles.current_version() == before

    def test_undoing_a_creation_takes_the_right_to_delete(self, staff: Callable[..., Client]) -> None:
        client = staff("view", "change")
        Profile(group="ecg.a").save()
        path = f"{VERSIONS}{newest().pk}/undo/"
        sent = {"confirmed": "yes", "version": str(profiles.current_version())}
        assert client.get(path).status_code == client.post(path, sent).status_code == 403
        assert Profile.objects.filter(group="ecg.a").exists()

    def test_hole_in_the_history_is_told(self, operator: Client) -> None:
        first = newest()
        Profile(group="ecg.a").save()
        Profile(group="ecg.b").save()
        newest().delete()
        response = operator.get(f"{VERSIONS}{first.pk}/return/", follow=True)
        assert "There is no way back" in response.content.decode()


def test_row_that_others_need_is_not_deleted(operator: Client) -> None:
    Profile(group="ecg.*", high_watermark=0.9).save()
    Profile(group="ecg.a", low_watermark=0.85).save()
    row = Profile.objects.get(group="ecg.*")
    chosen = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    for path, form in ((f"{PROFILES}{row.pk}/delete/", {"post": "yes"}), (PROFILES, chosen)):
        said = text(operator.post(path, form).content.decode())
        assert "others inherit from it what they need to be valid" in said
        assert "ecg.a: watermarks must be in order" in said
        assert Profile.objects.filter(group="ecg.*").exists()
