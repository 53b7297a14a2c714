"""The demo's data: made once, kept by a second run, and enough to sign in and tune."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.core.management.base import OutputWrapper
from django.test import Client
from pytest_django import Settings

from streaming import command_line
from streaming.core.streams import Source
from streaming.exceptions import AuthenticationError
from streaming.management.admitting import admitted
from streaming.models import Device, DeviceToken, Patient, Stream, Ward
from streaming.store import access, demo, feeds
from tests.store.people import session_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fast_hash(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def setup_demo(*arguments: str) -> str:
    """Run the command; what it printed."""
    output = StringIO()
    call_command("setup_demo", *arguments, stdout=output)
    return output.getvalue()


def test_first_run_makes_eight_patients_and_two_wards() -> None:
    setup_demo()
    assert Ward.objects.count() == 2
    streams = Stream.objects.filter(ended_at=None).order_by("bed")
    assert [stream.bed for stream in streams] == [f"0{number}" for number in range(1, 9)]
    sources = list(Device.objects.values_list("source", flat=True))
    assert (sources.count("SIM"), sources.count("REPLAY")) == (7, 1)


def test_password_is_printed_once_and_signs_in() -> None:
    first = json.loads(setup_demo("--json"))
    client = Client()
    form = {"username": first["username"], "password": first["password"]}
    assert client.post("/accounts/login/", form)["Location"] == "/"
    assert first["password"] not in str(User.objects.values().get())
    assert first["password"] not in setup_demo()
    assert json.loads(setup_demo("--json"))["password"] is None


def test_second_run_keeps_everything_and_says_how_to_reset() -> None:
    first = json.loads(setup_demo("--json"))
    hashed = User.objects.get().password
    text = setup_demo()
    assert command_line.here("manage.py", "setup_demo", "--reset-password") in text
    again = json.loads(setup_demo("--json"))
    assert [bed["stream"] for bed in again["beds"]] == [bed["stream"] for bed in first["beds"]]
    assert User.objects.get().password == hashed
    assert (Patient.objects.count(), Stream.objects.count()) == (8, 8)


def test_reset_gives_a_new_password() -> None:
    first = json.loads(setup_demo("--json"))
    second = json.loads(setup_demo("--json", "--reset-password"))
    assert first["password"] != second["password"]
    assert User.objects.get().check_password(second["password"])


def test_ended_admission_is_begun_anew() -> None:
    setup_demo()
    feeds.end_admission(Stream.objects.get(bed="03"), actor="system:test")
    setup_demo()
    assert Stream.objects.filter(bed="03", ended_at=None).count() == 1


def test_what_was_changed_in_the_admin_stays() -> None:
    setup_demo()
    before = Stream.objects.get(bed="03")
    before.bed = "33"
    before.save()
    Patient.objects.filter(pk=before.patient_id).update(display_name="renamed")
    Ward.objects.filter(pk=before.ward_id).update(slug="renamed", name="Renamed")
    user = User.objects.get()
    user.groups.clear()
    again = json.loads(setup_demo("--json"))
    assert before.pk in [bed["stream"] for bed in again["beds"]]
    assert (Patient.objects.count(), Stream.objects.count(), Ward.objects.count()) == (8, 8, 2)
    assert not Stream.objects.exclude(ended_at=None).exists()
    assert not user.groups.exists()


def test_feeding_leaves_beds_and_names_that_were_changed() -> None:
    setup_demo()
    before = Stream.objects.get(bed="03")
    Stream.objects.filter(pk=before.pk).update(bed="33")
    Patient.objects.filter(pk=before.patient_id).update(display_name="renamed")
    device_id = access.authenticate_device(demo.begin_feed(demo.BEDS[2]).token).device_id
    assert access.admitted_stream(device_id) == before.pk
    assert Patient.objects.count() == 8


def test_patient_of_an_ended_admission_is_admitted_again() -> None:
    setup_demo()
    before = Stream.objects.get(bed="03")
    Patient.objects.filter(pk=before.patient_id).update(display_name="renamed")
    feeds.end_admission(before, actor="system:test")
    setup_demo()
    after = Stream.objects.get(device=before.device_id, ended_at=None)
    assert (after.patient_id, after.ward_id, after.bed) == (before.patient_id, before.ward_id, "03")


@pytest.mark.parametrize("command", ["setup_demo", "feed_demo"])
def test_device_with_another_source_is_named_in_the_error(command: str) -> None:
    setup_demo()
    Device.objects.filter(name="demo-sim-1").update(source="LIVE")
    with pytest.raises(CommandError, match="demo-sim-1 has the source LIVE; make it SIM again"):
        call_command(command, stdout=StringIO())


def test_login_sees_all_eight() -> None:
    setup_demo()
    roster = access.visible_streams(session_of(User.objects.get()))
    assert [(entry.bed, entry.name, entry.source) for entry in roster] == [
        (bed.bed, bed.patient, bed.source) for bed in demo.BEDS
    ]


def test_login_may_do_all_that_the_guide_tells_of() -> None:
    setup_demo()
    user = User.objects.get()
    may = (
        "acknowledge_alarms",
        "pause_alarm_audio",
        "switch_off_alarms",
        "set_alarm_limits",
        "export_history",
    )
    assert [name for name in may if not user.has_perm(f"streaming.{name}")] == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/admin/", 200),
        ("/admin/streaming/profile/", 200),
        ("/admin/streaming/profile/add/", 200),
        ("/admin/monitoring/metricssnapshot/", 200),
        ("/admin/streaming/apitoken/add/", 200),
        ("/admin/streaming/auditentry/", 200),
        ("/admin/streaming/ward/add/", 403),
        ("/admin/auth/user/", 403),
        ("/admin/auth/group/", 403),
    ],
)
def test_login_may_tune_and_look_but_not_give_itself_more(path: str, status: int, client: Client) -> None:
    setup_demo()
    client.force_login(User.objects.get())
    assert client.get(path).status_code == status


class TestFeed:
    """What `simulate` and `replay` ask for."""

    def test_everything_missing_is_made(self) -> None:
        feed = feeds.ensure_feed("Ward X", "Teal 3", "sim 9", Source.SIM)
        stream = Stream.objects.get(pk=feed.stream)
        assert (stream.ward.slug, stream.patient.display_name, stream.bed) == ("ward-x", "Teal 3", "01")
        assert access.authenticate_device(feed.token).device_id == stream.device_id
        assert feed.token not in repr(feed)

    def test_same_feed_keeps_its_stream_and_gets_a_token_of_its_own(self) -> None:
        first, second = (feeds.ensure_feed("Ward X", "Teal 3", "sim 9", Source.SIM) for _ in range(2))
        assert first.stream == second.stream
        assert first.token != second.token
        assert [token.expires for token in DeviceToken.objects.all()] == [None, None]

    def test_feed_that_ends_takes_its_token_alone(self) -> None:
        first, second = (feeds.ensure_feed("Ward X", "Teal 3", "sim 9", Source.SIM) for _ in range(2))
        feeds.end_feed(second)
        access.authenticate_device(first.token)
        with pytest.raises(AuthenticationError, match="revoked"):
            access.authenticate_device(second.token)
        Device.objects.filter(name="sim 9").get().tokens.all().delete()
        feeds.end_feed(first)

    def test_without_a_ward_a_device_stays_where_it_lies_and_is_moved_by_its_name(self) -> None:
        def run(ward: str | None) -> str:
            out = StringIO()
            with admitted(
                [("Teal 3", "sim 9")], Source.SIM, ward=ward, otherwise="Else", out=OutputWrapper(out)
            ):
                return out.getvalue()

        assert "Admitted to Else: 1" in run(None)
        assert "Admitted to Ward X: 1" in run("Ward X")
        moved = Stream.objects.get(ended_at=None)
        Ward.objects.filter(pk=moved.ward_id).update(name="Renamed")
        said = run(None)
        assert "Admitted to Renamed: 1" in said
        assert "No group sees this ward yet" in said
        assert Stream.objects.get(ended_at=None) == moved

    def test_next_patient_takes_the_lowest_free_bed(self) -> None:
        streams = [feeds.ensure_admission("Ward X", f"Teal {n}", f"sim {n}", Source.SIM) for n in range(3)]
        feeds.end_admission(streams[1], actor="system:test")
        assert feeds.ensure_admission("Ward X", "Teal 9", "sim 9", Source.SIM).bed == "02"

    def test_device_that_moves_ends_its_admission(self) -> None:
        before = feeds.ensure_admission("Ward X", "Teal 3", "sim 9", Source.SIM)
        after = feeds.ensure_admission("Ward Y", "Teal 3", "sim 9", Source.SIM)
        assert before.pk != after.pk
        before.refresh_from_db()
        assert before.ended_at is not None

    def test_same_name_in_another_ward_is_somebody_else(self) -> None:
        x, y = (feeds.ensure_admission(f"Ward {ward}", "Teal 3", f"sim {ward}", Source.SIM) for ward in "XY")
        assert x.patient_id != y.patient_id

    def test_second_device_of_a_patient_is_found_within_the_ward(self) -> None:
        one, two = (feeds.ensure_admission("Ward X", "Teal 3", f"sim {n}", Source.SIM) for n in range(2))
        assert one.patient_id == two.patient_id

    def test_patient_moves_with_the_device(self) -> None:
        before = feeds.ensure_admission("Ward X", "Teal 3", "sim 9", Source.SIM)
        after = feeds.ensure_admission("Ward Y", "Teal 3", "sim 9", Source.SIM)
        assert before.patient_id == after.patient_id

    def test_two_of_one_name_in_a_ward_are_refused(self) -> None:
        first = feeds.ensure_admission("Ward X", "Teal 3", "sim 1", Source.SIM)
        second = feeds.ensure_admission("Ward X", "Teal 4", "sim 2", Source.SIM)
        Patient.objects.filter(pk=second.patient_id).update(display_name="Teal 3")
        with pytest.raises(ValueError, match="several patients"):
            feeds.ensure_admission("Ward X", "Teal 3", "sim 9", Source.SIM)
        assert feeds.ensure_admission("Ward X", "Teal 3", "sim 1", Source.SIM).pk == first.pk
        assert Patient.objects.count() == 2

    def test_live_device_is_not_taken_over(self) -> None:
        Device.objects.create(name="bedside 1", source=Source.LIVE.value)
        with pytest.raises(ValueError, match="source LIVE"):
            feeds.ensure_feed("Ward X", "Teal 3", "bedside 1", Source.SIM)
        assert not Stream.objects.exists()

    def test_ward_needs_a_name(self) -> None:
        with pytest.raises(ValueError, match="letter"):
            feeds.ensure_feed("!!!", "Teal 3", "sim 9", Source.SIM)
