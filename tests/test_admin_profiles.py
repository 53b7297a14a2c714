"""The profiles' pages: who may use them, what they show as inherited, and that a change is a version."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db.models.functions import Now
from django.test import Client

from streaming.core.precedence import DEFAULT_NAME
from streaming.core.profile_columns import SETTINGS
from streaming.models import Device, Patient, Stream, Ward
from streaming.models_processes import ServerProcess
from streaming.models_profile_versions import ProfileVersion
from streaming.models_profiles import Profile
from streaming.store import feeds, processes, profiles
from streaming.store.processes import Refusal
from tests.pages import inline_code
from tests.store.people import hospital

LIST = "/admin/streaming/profile/"
ALL = [f"{verb}_profile" for verb in ("view", "add", "change", "delete")]

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> Callable[..., Client]:
    def sign_in(*permissions: str) -> Client:
        user = User.objects.create_user("operator", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def operator(staff: Callable[..., Client]) -> Client:
    return staff(*ALL)


def body(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    html = response.content.decode()
    assert inline_code(html) == []
    return html


def change_path(group: str) -> str:
    return f"{LIST}{Profile.objects.get(group=group).pk}/change/"


def form_of_default(**changed: Any) -> dict[str, Any]:
    row = Profile.objects.default()
    values = {name: getattr(row, name) for name in SETTINGS} | changed
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in values.items()}


def field(html: str, name: str) -> str:
    found = re.search(rf'<(?:input|select)[^>]*name="{name}"[^>]*>', html)
    assert found is not None
    return found.group(0)


def test_anonymous_visitor_is_sent_to_the_login() -> None:
    assert Client().get(LIST).status_code == 302
    assert Client().get(change_path(DEFAULT_NAME)).status_code == 302


def test_staff_without_the_permission_is_refused(staff: Callable[..., Client]) -> None:
    client = staff()
    assert client.get(LIST).status_code == 403
    assert client.post(change_path(DEFAULT_NAME), form_of_default()).status_code == 403


def test_staff_who_may_only_look_sees_and_cannot_change(staff: Callable[..., Client]) -> None:
    client = staff("view_profile")
    assert "default" in body(client, LIST)
    assert "10000" in body(client, change_path(DEFAULT_NAME))
    assert client.post(change_path(DEFAULT_NAME), form_of_default()).status_code == 403


def test_list_shows_what_holds_and_what_is_the_rows_own(operator: Client) -> None:
    Profile(group="ecg.a", compression_level=9, updated_by=User.objects.get()).save()
    html = body(operator, LIST)
    assert "How to read this" in html
    assert "level <strong>9</strong>" in html
    assert 'window bits <span class="quiet">12</span>' in html
    assert "operator" in html


def processes_on(client: Client) -> str:
    html = body(client, LIST)
    section = html[html.index('aria-label="Where the settings') :].split("</section>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", section.partition(">")[2]).split())


def test_list_tells_which_processes_run_which_version(operator: Client) -> None:
    assert processes_on(operator) == "Version 1. No process runs."
    for name in "abc":
        processes.report(name, 1, None)
    assert processes_on(operator).startswith("3 of 3 processes run version 1. Processes")
    Profile(group="ecg.a").save()
    processes.report("a", 2, None)
    processes.report("b", 1, Refusal(2, "profile <x>: bad"))
    ServerProcess.objects.filter(pk="c").update(settings_version=2, seen_at=Now() - timedelta(seconds=60))
    said = processes_on(operator)
    assert said.startswith("1 of 3 processes run version 2.")
    assert "1 keeps it, for version 2 is not usable: profile &lt;x&gt;: bad" in said
    assert "not heard for 60 s" in said
    processes.report("c", 1, None)
    assert "about to load version 2" in processes_on(operator)


def test_list_says_when_what_is_stored_is_not_usable(operator: Client) -> None:
    Profile(group="ecg.bad").save()
    Profile.objects.filter(group="ecg.bad").update(low_watermark=0.9)
    said = processes_on(operator)
    assert said.startswith("What is stored is not usable: every process keeps the last settings that were.")
    assert "ecg.bad: watermarks must be in order" in said


def test_list_asks_as_much_for_many_rows_as_for_one(
    operator: Client, django_assert_max_num_queries: Any
) -> None:
    for n in range(30):
        Profile(group=f"ecg.{n}").save()
    with django_assert_max_num_queries(11):
        operator.get(LIST)


def test_default_form_has_every_number_its_help_and_its_unit(operator: Client) -> None:
    html = body(operator, change_path(DEFAULT_NAME))
    for name in SETTINGS:
        assert field(html, name)
    for text in (
        "WINDOW_BITS",
        "CRITICAL_WATERMARK",
        "MAX_RETRIES",
        "12 is a window of 4 KiB",
        "Seconds, 0.05",
    ):
        assert text in html
    for title in ("Compression", "Buffer", "Watermarks", "Quotas", "Bounds", "Connection"):
        assert title in html
    assert "How to read this" in html
    assert 'name="group"' not in html
    assert 'value="unknown"' not in html


def test_override_form_shows_inherited_values_as_placeholders(operator: Client) -> None:
    Profile(group="ecg.a", compression_level=9).save()
    html = body(operator, change_path("ecg.a"))
    assert 'placeholder="12"' in field(html, "window_bits")
    assert 'placeholder="0.95"' in field(html, "critical_watermark")
    assert 'placeholder="6"' in field(html, "compression_level")
    assert 'value="9"' in field(html, "compression_level")
    assert "inherits: on" in html
    assert "required" not in field(html, "window_bits")
    assert 'name="stall_s"' not in html


def test_new_override_proposes_control_and_the_open_streams_that_the_user_sees(
    staff: Callable[..., Client],
) -> None:
    client = staff(*ALL, "view_stream", "view_ward")
    mine = Ward.objects.create(slug="cardiology", name="Cardiology")
    Ward.objects.create(slug="other", name="Other ward")
    members = Group.objects.create(name="nurses")
    mine.groups.add(members)
    User.objects.get().groups.add(members)
    patient = Patient.objects.create(display_name="Ada Lovelace")
    stream = Stream.objects.create(
        device=Device.objects.create(name="d1"), patient=patient, ward=mine, bed="7"
    )
    hidden = Stream.objects.create(
        device=Device.objects.create(name="d2"), patient=patient, ward=Ward.objects.get(slug="other"), bed="1"
    )
    html = body(client, f"{LIST}add/")
    assert f'<option value="ecg.{stream.pk}">{patient.pseudonym}, Cardiology, bed 7</option>' in html
    assert '<option value="control">everything about connections</option>' in html
    assert hidden.pk not in html
    assert "ward." not in html, "no such group exists"
    assert "Lovelace" not in html


def test_new_override_proposes_no_stream_to_who_may_not_see_them(operator: Client) -> None:
    ward = Ward.objects.create(slug="cardiology", name="Cardiology")
    stream = Stream.objects.create(
        device=Device.objects.create(name="d1"), patient=Patient.objects.create(), ward=ward, bed="7"
    )
    html = body(operator, f"{LIST}add/")
    assert '<option value="control">' in html
    assert stream.pk not in html


def test_save_is_a_version_by_the_user_and_says_when_it_applies(operator: Client) -> None:
    before = profiles.current_version()
    path = change_path(DEFAULT_NAME)
    response = operator.post(path, form_of_default(compression_level=9), follow=True)
    assert f"Version {before + 1} applies to running streams within 2 s." in response.content.decode()
    assert profiles.load().default.compression.level == 9
    assert profiles.current_version() == before + 1
    assert str(ProfileVersion.objects.get().updated_by) == "operator"


def said_on_adding(client: Client, group: str) -> list[str]:
    """The messages that follow a new override for `group`."""
    form = {"group": group, "max_buffer_size": "500", "emergency_mode": "unknown"}
    response = client.post(f"{LIST}add/", form, follow=True)
    assert Profile.objects.filter(group=group).exists()
    return [str(message) for message in response.context["messages"] if message.level_tag == "warning"]


def test_group_that_is_not_there_is_taken_with_a_warning_and_near_matches(admin_client: Client) -> None:
    place = hospital()
    there = place.streams["a"].pk
    doubt = "No group {} is there now: the profile governs nothing until it comes."
    for group, near in (
        (f"ecg.{there[:-1]}", f"ecg.{there}"),
        (there, f"ecg.{there}"),
        (f"ECG.{there}", f"ecg.{there}"),
        ("Control", "control"),
    ):
        (said,) = said_on_adding(admin_client, group)
        assert said.startswith(f"{doubt.format(group)} Did you mean ")
        assert near in said
    assert said_on_adding(admin_client, "zzzzzzzz") == [doubt.format("zzzzzzzz")]
    for group in (f"ecg.{there}", "control"):
        assert said_on_adding(admin_client, group) == []


def test_group_of_an_ended_admission_and_one_of_another_ward_are_doubted_alike(
    staff: Callable[..., Client],
) -> None:
    place = hospital()
    feeds.end_admission(place.streams["a"], actor="system:test")
    client = staff(*ALL, "view_stream")
    User.objects.get(username="operator").groups.add(place.groups["a"])
    for ward in "ab":
        assert len(said_on_adding(client, f"ecg.{place.streams[ward].pk}")) == 1


def test_who_may_not_see_streams_is_not_told_which_there_are(operator: Client) -> None:
    place = hospital()
    assert said_on_adding(operator, f"ecg.{place.streams['a'].pk}") == []
    assert said_on_adding(operator, "ecg.nobody") == []
    assert len(said_on_adding(operator, "kontrol")) == 1


def test_override_is_added_with_what_it_sets_and_inherits_the_rest(operator: Client) -> None:
    response = operator.post(
        f"{LIST}add/", {"group": "ecg.a", "max_buffer_size": "500", "emergency_mode": "unknown"}
    )
    assert response.status_code == 302
    row = Profile.objects.get(group="ecg.a")
    assert row.max_buffer_size == 500
    assert all(getattr(row, name) is None for name in SETTINGS if name != "max_buffer_size")


def test_fault_is_shown_at_its_field_and_nothing_is_stored(operator: Client) -> None:
    before = profiles.current_version()
    response = operator.post(f"{LIST}add/", {"group": "ecg.a", "low_watermark": "0.9", "window_bits": "3"})
    html = response.content.decode()
    assert response.status_code == 200
    assert "window_bits must be an integer from 9 to 15, not 3." in html
    assert "watermarks must be in order" in html
    assert inline_code(html) == []
    assert profiles.current_version() == before


@pytest.mark.parametrize("setting", ["window_bits", "quota_high", "age_low", "stall_s"])
def test_default_cannot_be_emptied(operator: Client, setting: str) -> None:
    response = operator.post(change_path(DEFAULT_NAME), form_of_default(**{setting: ""}))
    assert "This field is required." in response.content.decode()


def test_group_of_a_profile_cannot_be_changed(operator: Client) -> None:
    Profile(group="ecg.a").save()
    operator.post(change_path("ecg.a"), {"group": "ecg.b", "mem_level": "7"})
    assert Profile.objects.get(group="ecg.a").mem_level == 7
    assert not Profile.objects.filter(group="ecg.b").exists()


def test_override_is_deleted_as_a_version_by_the_user(operator: Client) -> None:
    Profile(group="ecg.a").save()
    before = profiles.current_version()
    path = change_path("ecg.a").replace("change", "delete")
    response = operator.post(path, {"post": "yes"}, follow=True)
    assert f"Version {before + 1} applies" in response.content.decode()
    assert str(ProfileVersion.objects.get().updated_by) == "operator"
    assert profiles.load().overrides == {}


def test_selected_overrides_are_deleted_together(operator: Client) -> None:
    rows = [Profile(group=f"ecg.{n}") for n in range(3)]
    for row in rows:
        row.save()
    before = profiles.current_version()
    chosen = {"action": "delete_selected", "_selected_action": [row.pk for row in rows], "post": "yes"}
    operator.post(LIST, chosen)
    assert profiles.load().overrides == {}
    assert profiles.current_version() > before
    assert str(ProfileVersion.objects.get().updated_by) == "operator"


def test_default_is_not_deleted_alone_nor_among_others(admin_client: Client) -> None:
    Profile(group="ecg.a").save()
    default = Profile.objects.default()
    assert admin_client.post(f"{LIST}{default.pk}/delete/", {"post": "yes"}).status_code == 403
    rows = list(Profile.objects.values_list("pk", flat=True))
    admin_client.post(LIST, {"action": "delete_selected", "_selected_action": rows, "post": "yes"})
    assert Profile.objects.count() == 2
    assert "Delete" not in body(admin_client, change_path(DEFAULT_NAME))
