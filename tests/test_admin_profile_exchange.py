"""Presets, export and import: shown first, valid as a whole or not at all, and one version."""

from __future__ import annotations

import html as html_entities
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from streaming.admin_profile_exchange import MAX_FILE_BYTES
from streaming.core.precedence import DEFAULT_NAME
from streaming.core.profile_columns import columns_of
from streaming.core.profiles import GroupProfile
from streaming.models_profile_versions import ProfileRevision
from streaming.models_profiles import Profile
from streaming.store import profiles
from tests.pages import inline_code

PROFILES = "/admin/streaming/profile/"
IMPORT = f"{PROFILES}import/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> Callable[..., Client]:
    def sign_in(*verbs: str) -> Client:
        user = User.objects.create_user("operator", is_staff=True)
        codenames = [f"{verb}_profile" for verb in verbs]
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def operator(staff: Callable[..., Client]) -> Client:
    return staff("view", "add", "change", "delete")


def text(html: str) -> str:
    assert inline_code(html) == []
    return " ".join(html_entities.unescape(re.sub(r"<[^>]+>", " ", html)).split())


def hidden(html: str) -> dict[str, str]:
    inputs = re.findall(r'<input type="hidden" name="([a-z]+)" value="([^"]*)">', html)
    return {name: html_entities.unescape(value) for name, value in inputs if name != "csrfmiddlewaretoken"}


def stored() -> dict[str, Any]:
    return dict(Profile.objects.all().as_rows())


def sent(client: Client, content: str, mode: str = "merge") -> str:
    """The page that follows the import's form."""
    response = client.post(IMPORT, {"text": content, "mode": mode})
    assert response.status_code == 200
    return response.content.decode()


class TestPresets:
    def test_production_is_shown_and_applied_as_one_version(self, operator: Client) -> None:
        Profile(group="ecg.a", mem_level=7).save()
        before = stored()
        assert "20" not in text(operator.get(f"{PROFILES}presets/").content.decode()).split("Production")[0]
        page = operator.get(f"{PROFILES}presets/production/").content.decode()
        assert "default max_buffer_size 10000 20000 default high_watermark 0.8 0.75" in text(page)
        assert "emergency_mode" not in text(page), "it is on already"
        assert stored() == before
        operator.post(f"{PROFILES}presets/production/", hidden(page) | {"change_comment": "go live"})
        changed = {"max_buffer_size": 20_000, "high_watermark": 0.75}
        assert stored() == before | {DEFAULT_NAME: before[DEFAULT_NAME] | changed}
        made = ProfileRevision.objects.all()[0]
        assert (made.cause, made.comment, made.by) == ("preset Production", "go live", User.objects.get())
        assert LogEntry.objects.get().get_change_message() == "Changed MAX_BUFFER_SIZE and HIGH_WATERMARK."

    def test_shipped_defaults_bring_everything_back_but_overrides(self, operator: Client) -> None:
        Profile.objects.filter(group=DEFAULT_NAME).update(mem_level=1, emergency_mode=False, age_low=0.0)
        Profile(group="ecg.a", mem_level=7).save()
        page = operator.get(f"{PROFILES}presets/shipped/").content.decode()
        operator.post(f"{PROFILES}presets/shipped/", hidden(page))
        assert stored() == {DEFAULT_NAME: columns_of(GroupProfile()), "ecg.a": {"mem_level": 7}}

    def test_preset_that_changes_nothing_offers_nothing(self, operator: Client) -> None:
        page = operator.get(f"{PROFILES}presets/shipped/").content.decode()
        assert "What would change Nothing." in text(page)
        assert hidden(page) == {}

    def test_preset_that_an_override_does_not_bear_is_refused(self, operator: Client) -> None:
        Profile(group="ecg.a", low_watermark=0.77).save()
        page = operator.get(f"{PROFILES}presets/production/").content.decode()
        assert "ecg.a: watermarks must be in order" in text(page)
        assert hidden(page) == {}

    def test_preset_is_a_file_too(self, operator: Client) -> None:
        response = operator.get(f"{PROFILES}presets/production/file/")
        assert response["Content-Disposition"] == 'attachment; filename="vital-preset-production.toml"'
        assert "high_watermark = 0.75" in response.content.decode()

    def test_unknown_preset_is_not_found(self, operator: Client) -> None:
        assert operator.get(f"{PROFILES}presets/none/").status_code == 404
        assert operator.get(f"{PROFILES}presets/none/file/").status_code == 404


class TestFile:
    def test_round_trip_is_exact(self, operator: Client) -> None:
        Profile(group="ecg.*", low_watermark=0.1 + 0.2, emergency_mode=False, age_low=0.0).save()
        Profile(group="ward:icu").save()
        before, version = stored(), profiles.current_version()
        response = operator.get(f"{PROFILES}export/")
        assert response["Content-Type"] == "application/toml"
        assert response["Content-Disposition"] == f'attachment; filename="vital-profiles-{version}.toml"'
        file = response.content.decode()
        assert "What would change Nothing." in text(sent(operator, file, "replace"))
        Profile.objects.filter(group=DEFAULT_NAME).update(mem_level=1)
        Profile.objects.get(group="ecg.*").delete()
        Profile(group="ecg.new").save()
        operator.post(IMPORT, hidden(sent(operator, file, "replace")))
        assert stored() == before
        assert ProfileRevision.objects.all()[0].cause == "import"

    def test_part_of_a_file_changes_what_it_names(self, operator: Client) -> None:
        Profile(group="ecg.a", mem_level=7).save()
        page = sent(operator, '[overrides."ecg.a"]\nmax_retries = 1\n[overrides."ecg.b"]\n')
        assert "ecg.a max_retries inherited 1 ecg.b (added) inherits everything" in text(page)
        operator.post(IMPORT, hidden(page))
        assert stored()["ecg.a"] == {"mem_level": 7, "max_retries": 1}
        assert stored()["ecg.b"] == {}

    def test_file_is_uploaded(self, operator: Client) -> None:
        file = SimpleUploadedFile("x.toml", b"[default]\nmem_level = 9\n")
        page = operator.post(IMPORT, {"file": file, "mode": "merge"}).content.decode()
        operator.post(IMPORT, hidden(page))
        assert profiles.load().default.compression.mem_level == 9

    @pytest.mark.parametrize(
        ("content", "mode", "expected"),
        [
            ("[default]\nmem_levl = 9\n", "merge", "line 2, [default], mem_levl: there is no such setting"),
            ("[default", "merge", "no TOML"),
            (
                "[default]\nlow_watermark = 0.9\n",
                "merge",
                "line 2, [default], low_watermark: default: watermarks",
            ),
            ("[default]\nmem_level = 9\n", "replace", "line 1, [default]: default, window_bits: The default"),
            (
                '[overrides."ecg.a"]\n',
                "replace",
                "default: it has to be there, with a value for every setting",
            ),
            ('[overrides."ecg.a"]\nstall_s = 3.0\n', "merge", "Set in the default profile alone"),
            ("", "merge", "Choose a file"),
            ("# " + "x" * MAX_FILE_BYTES, "merge", "longer than 256 KiB"),
        ],
    )
    def test_fault_is_told_by_its_place_and_nothing_is_written(
        self, content: str, mode: str, expected: str, operator: Client
    ) -> None:
        before = stored()
        page = sent(operator, content, mode)
        assert expected in text(page)
        assert "confirmed" not in hidden(page)
        forced = {"text": content, "mode": mode, "confirmed": "yes", "version": profiles.current_version()}
        operator.post(IMPORT, forced)
        assert stored() == before

    def test_bytes_that_are_no_text_are_told(self, operator: Client) -> None:
        file = SimpleUploadedFile("x.toml", b"\xff\xfe")
        assert "no text in UTF-8" in text(
            operator.post(IMPORT, {"file": file, "mode": "merge"}).content.decode()
        )

    def test_what_a_file_says_is_shown_as_text(self, operator: Client) -> None:
        page = sent(operator, '[overrides."<script>"]\n')
        assert "<script>" not in page.replace("<script src", "")

    def test_deleting_by_a_file_takes_the_right_to_delete(self, staff: Callable[..., Client]) -> None:
        client = staff("view", "change")
        Profile(group="ecg.a").save()
        file = client.get(f"{PROFILES}export/").content.decode().partition("[overrides")[0]
        assert client.post(IMPORT, {"text": file, "mode": "replace"}).status_code == 403
        assert client.post(IMPORT, {"text": file, "mode": "merge"}).status_code == 200


@pytest.mark.parametrize(
    "page", ["presets/", "presets/production/", "presets/production/file/", "export/", "import/"]
)
def test_pages_are_closed_to_who_may_not(page: str, staff: Callable[..., Client]) -> None:
    client = staff()
    assert client.get(PROFILES + page).status_code == client.post(PROFILES + page).status_code == 403
    assert Client().get(PROFILES + page).status_code == 302


def test_who_may_only_look_is_shown_files_and_changes_nothing(staff: Callable[..., Client]) -> None:
    client = staff("view")
    assert client.get(f"{PROFILES}export/").status_code == 200
    presets = client.get(f"{PROFILES}presets/").content.decode()
    assert "See what it would change" not in presets
    assert f"{PROFILES}import/" not in client.get(PROFILES).content.decode()
    for page in ("presets/production/", "import/"):
        assert client.get(PROFILES + page).status_code == client.post(PROFILES + page).status_code == 403
