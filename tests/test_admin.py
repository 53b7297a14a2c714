"""The admin: tokens shown once, wards kept apart, and a trail that nobody edits."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.contrib.sessions.models import Session
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks

from streaming.core.streams import Source
from streaming.ecg.alarm_limits import AlarmLimits
from streaming.models import ApiToken, AuditEntry, Device, DeviceToken, Patient, Stream
from streaming.store import access, audit, feeds, tokens
from tests.store.people import NAMES, NO_ALARM_SETTINGS, Hospital, hospital
from tests.store.tampering import remove

TOKEN = re.compile(r"vt[da]_[a-z2-7]{8}_[A-Za-z0-9_-]{43}")


@pytest.fixture
def place(db: None) -> Hospital:
    """Two wards."""
    return hospital()


@pytest.fixture
def boss(place: Hospital) -> Client:
    """A superuser's browser."""
    client = Client()
    client.force_login(place.user("boss", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def lead(place: Hospital) -> Client:
    """The browser of ward a's lead, who may do everything but superusers' work."""
    user = place.user("lead", "a", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="streaming"))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def reader(place: Hospital) -> Client:
    """Staff of ward a who may look, and change nothing."""
    user = place.user("reader", "a", is_staff=True)
    views = Permission.objects.filter(content_type__app_label="streaming", codename__startswith="view_")
    user.user_permissions.set(views)
    client = Client()
    client.force_login(user)
    return client


def html(response: Any) -> str:
    """The page."""
    assert response.status_code == 200
    text: str = response.content.decode()
    return text


class TestDoor:
    """Who gets in at all."""

    def test_visitor_signs_in_at_the_one_form(self, client: Client, db: None) -> None:
        response = client.get("/admin/streaming/device/", follow=True)
        assert response.redirect_chain[-1][0] == "/accounts/login/?next=/admin/streaming/device/"

    def test_user_who_is_no_staff_is_told_so(self, place: Hospital, client: Client) -> None:
        client.force_login(place.user("nurse", "a"))
        assert client.get("/admin/", follow=True).status_code == 403


class TestDeviceToken:
    """Issued by a button, shown once."""

    def issue(self, client: Client, place: Hospital) -> Any:
        """Press the button."""
        return client.post(f"/admin/streaming/device/{place.device('a').pk}/issue-token/")

    def test_asking_issues_nothing(self, boss: Client, place: Hospital) -> None:
        page = html(boss.get(f"/admin/streaming/device/{place.device('a').pk}/issue-token/"))
        assert "shown once" in page
        assert not DeviceToken.objects.exists()

    def test_token_on_the_page_works(self, boss: Client, place: Hospital) -> None:
        (text,) = TOKEN.findall(html(self.issue(boss, place)))
        assert access.authenticate_device(text).device_id == place.device("a").pk

    def test_it_is_shown_nowhere_else(self, boss: Client, place: Hospital) -> None:
        response = self.issue(boss, place)
        (text,) = TOKEN.findall(html(response))
        assert response["Cache-Control"] == "no-store"
        assert not list(get_messages(response.wsgi_request))
        assert text not in str([session.get_decoded() for session in Session.objects.all()])
        assert text not in str(list(AuditEntry.objects.values()))
        assert not TOKEN.search(html(boss.get(f"/admin/streaming/device/{place.device('a').pk}/change/")))

    def test_rotation_leaves_the_old_token_for_ten_minutes(self, boss: Client, place: Hospital) -> None:
        texts = [TOKEN.findall(html(self.issue(boss, place)))[0] for _ in range(2)]
        assert all(access.authenticate_device(text) for text in texts)
        page = html(boss.get("/admin/streaming/device/"))
        assert '<td class="field-valid_tokens">2</td>' in page

    def test_revocation_asks_and_then_ends_all(self, boss: Client, place: Hospital) -> None:
        self.issue(boss, place)
        path = f"/admin/streaming/device/{place.device('a').pk}/revoke-tokens/"
        assert "Revoke all tokens" in html(boss.get(path))
        assert DeviceToken.objects.filter(revoked=None).count() == 1
        assert boss.post(path).status_code == 302
        assert not DeviceToken.objects.filter(revoked=None).exists()

    @pytest.mark.parametrize("page", ["issue-token", "revoke-tokens"])
    def test_reader_may_not(self, page: str, reader: Client, place: Hospital) -> None:
        assert reader.post(f"/admin/streaming/device/{place.device('a').pk}/{page}/").status_code == 403
        assert not DeviceToken.objects.exists()

    def test_device_of_another_ward_is_out_of_reach_like_one_that_is_not(
        self, lead: Client, place: Hospital
    ) -> None:
        statuses = {
            lead.post(f"/admin/streaming/device/{pk}/issue-token/").status_code
            for pk in (place.device("b").pk, 99999)
        }
        assert statuses == {403}
        assert not DeviceToken.objects.exists()

    def test_issue_is_audited(
        self,
        boss: Client,
        place: Hospital,
        django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            self.issue(boss, place)
        entry = AuditEntry.objects.get(action="token.issue")
        assert entry.actor == f"user:{User.objects.get().pk}"
        assert entry.object == f"device:{place.device('a').pk}"


class TestApiToken:
    """Made by its form, shown once, for oneself."""

    def test_new_token_is_shown_once_and_works_within_its_wards(self, lead: Client, place: Hospital) -> None:
        form = {"name": "wall display", "wards": [place.wards["a"].pk], "expires_0": "", "expires_1": ""}
        (text,) = TOKEN.findall(html(lead.post("/admin/streaming/apitoken/add/", form)))
        principal = access.authenticate_viewer_token(text)
        assert {entry.ward for entry in access.visible_streams(principal)} == {"ward-a"}
        assert ApiToken.objects.get().user.username == "lead"
        token = ApiToken.objects.get()
        for page in ("", f"{token.pk}/change/"):
            assert not TOKEN.search(html(lead.get(f"/admin/streaming/apitoken/{page}")))

    def test_wards_of_others_are_not_on_offer(self, lead: Client, place: Hospital) -> None:
        assert "Ward b" not in html(lead.get("/admin/streaming/apitoken/add/"))
        form = {"name": "x", "wards": [place.wards["b"].pk]}
        assert "not one of the available choices" in html(lead.post("/admin/streaming/apitoken/add/", form))
        assert not ApiToken.objects.exists()

    def test_nobody_makes_one_for_somebody_else(self, lead: Client, place: Hospital) -> None:
        boss = place.user("boss", is_superuser=True)
        form = {"name": "x", "wards": [place.wards["a"].pk], "user": boss.pk}
        html(lead.post("/admin/streaming/apitoken/add/", form))
        assert ApiToken.objects.get().user.username == "lead"

    def test_superuser_does(self, boss: Client, place: Hospital) -> None:
        nurse = place.user("nurse", "a")
        form = {"name": "x", "wards": [place.wards["a"].pk], "user": nurse.pk}
        html(boss.post("/admin/streaming/apitoken/add/", form))
        assert ApiToken.objects.get().user == nurse

    def test_tokens_of_others_are_not_listed(self, lead: Client, place: Hospital) -> None:
        issued = tokens.issue_api_token(place.user("other", "a"), "x", place.wards.values(), actor="x")
        assert issued.prefix not in html(lead.get("/admin/streaming/apitoken/"))

    def test_revoking(self, boss: Client, place: Hospital) -> None:
        tokens.issue_api_token(place.user("other", "a"), "x", place.wards.values(), actor="x")
        token = ApiToken.objects.get()
        boss.post("/admin/streaming/apitoken/", {"action": "revoke_tokens", "_selected_action": [token.pk]})
        assert ApiToken.objects.get().revoked is not None

    def test_token_that_exists_cannot_be_changed_or_deleted(self, boss: Client, place: Hospital) -> None:
        other = place.user("other", "a")
        text = tokens.issue_api_token(other, "x", [place.wards["a"]], actor="x").text
        before = ApiToken.objects.values().get()
        path = f"/admin/streaming/apitoken/{before['id']}"
        assert "_save" not in html(boss.get(f"{path}/change/"))
        form = {
            "name": "renamed",
            "wards": [place.wards["b"].pk],
            "user": User.objects.get(username="boss").pk,
        }
        assert boss.post(f"{path}/change/", form).status_code == 403
        assert boss.post(f"{path}/change/", {}).status_code == 403
        assert boss.post(f"{path}/delete/").status_code == 403
        assert ApiToken.objects.values().get() == before
        assert [ward.slug for ward in ApiToken.objects.get().wards.all()] == ["ward-a"]
        assert access.authenticate_viewer_token(text).user_id == other.pk

    def test_new_token_has_its_expiry_and_is_issued_once(
        self,
        boss: Client,
        place: Hospital,
        django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    ) -> None:
        form = {"name": "x", "wards": [place.wards["a"].pk], "user": place.user("other", "a").pk}
        form |= {"expires_0": "2099-01-02", "expires_1": "03:04:05"}
        with django_capture_on_commit_callbacks(execute=True):
            html(boss.post("/admin/streaming/apitoken/add/", form))
        token = ApiToken.objects.get()
        assert f"{token.expires:%Y-%m-%d %H:%M:%S}" == "2099-01-02 03:04:05"
        assert AuditEntry.objects.get(action="token.issue").detail == {"token": token.pk}


class TestFilters:
    """They offer what is listed, and say no names in an address."""

    def test_wards_of_others_are_not_named(self, lead: Client, place: Hospital) -> None:
        feeds.ensure_admission("Ward a", "Teal 3", "device d", Source.SIM)
        assert "Ward b" not in html(lead.get("/admin/streaming/stream/"))

    def test_owners_of_other_tokens_are_not_named(self, lead: Client, boss: Client, place: Hospital) -> None:
        for name in ("somebody-else", "third"):
            tokens.issue_api_token(place.user(name, "a"), "x", place.wards.values(), actor="x")
        assert "somebody-else" not in html(lead.get("/admin/streaming/apitoken/"))
        assert "somebody-else" in html(boss.get("/admin/streaming/apitoken/"))

    def test_patients_are_searched_by_pseudonym_alone(self, boss: Client, place: Hospital) -> None:
        patient = place.streams["a"].patient
        assert "By pseudonym alone" in html(boss.get("/admin/streaming/patient/"))
        assert NAMES[0] in html(boss.get("/admin/streaming/patient/", {"q": patient.pseudonym}))
        assert "0 patients" in html(boss.get("/admin/streaming/patient/", {"q": NAMES[0]}))


class TestLimits:
    """What is set about a patient's alarms, at the foot of the patient's page."""

    def test_a_change_of_limits_stands_in_the_patients_log(self, boss: Client, place: Hospital) -> None:
        patient = place.streams["a"].patient
        path = f"/admin/streaming/patient/{patient.pk}/change/"
        form = {"alarms-TOTAL_FORMS": "1", "alarms-INITIAL_FORMS": "0", "display_name": patient.display_name}
        form |= {f"alarms-0-{name}": str(value) for name, value in asdict(AlarmLimits(hr_high=131)).items()}
        boss.post(path, form)
        assert patient.limit_changes.count() == 1
        change = patient.limit_changes.get()
        assert (change.by, change.changed) == ("boss", {"hr_high": [120, 131]})
        boss.post(path, {"display_name": patient.display_name} | NO_ALARM_SETTINGS)
        assert patient.limit_changes.count() == 1


class TestSource:
    """The mark that every view of a device's samples carries."""

    @pytest.mark.parametrize(("who", "source"), [("lead", "SIM"), ("boss", "LIVE")])
    def test_superuser_alone_changes_it(
        self, who: str, source: str, place: Hospital, request: pytest.FixtureRequest
    ) -> None:
        client: Client = request.getfixturevalue(who)
        form = {"name": "renamed", "source": "LIVE"}
        form |= {"tokens-TOTAL_FORMS": "0", "tokens-INITIAL_FORMS": "0"}
        client.post(f"/admin/streaming/device/{place.device('a').pk}/change/", form)
        device = Device.objects.get(pk=place.device("a").pk)
        assert (device.name, device.source) == ("renamed", source)

    def test_everybody_who_adds_a_device_says_what_it_is(self, lead: Client) -> None:
        form = {"name": "monitor 1", "source": "LIVE"}
        form |= {"tokens-TOTAL_FORMS": "0", "tokens-INITIAL_FORMS": "0"}
        lead.post("/admin/streaming/device/add/", form)
        assert Device.objects.get(name="monitor 1").source == "LIVE"


class TestWards:
    """Staff see and touch what lies in their wards."""

    @pytest.mark.parametrize(
        ("page", "own", "other"),
        [
            ("ward", lambda place: "Ward a", lambda place: "Ward b"),
            ("patient", lambda place: NAMES[0], lambda place: NAMES[1]),
            ("device", lambda place: "device a", lambda place: "device b"),
            ("stream", lambda place: place.streams["a"].pk, lambda place: place.streams["b"].pk),
        ],
    )
    def test_lists_are_kept_apart(
        self,
        page: str,
        own: Callable[[Hospital], str],
        other: Callable[[Hospital], str],
        lead: Client,
        boss: Client,
        place: Hospital,
    ) -> None:
        listed, everything = (html(client.get(f"/admin/streaming/{page}/")) for client in (lead, boss))
        assert own(place) in listed
        assert other(place) not in listed
        assert other(place) in everything

    @pytest.mark.parametrize("model", ["ward", "patient", "device", "stream"])
    def test_pages_of_other_wards_are_not_there(self, model: str, lead: Client, place: Hospital) -> None:
        stream = place.streams["b"]
        pk = stream.pk if model == "stream" else getattr(stream, f"{model}_id")
        assert lead.get(f"/admin/streaming/{model}/{pk}/change/").status_code == 302

    @pytest.fixture
    def moved(self, place: Hospital) -> Stream:
        """The admission in ward b of ward a's device and patient."""
        before = place.streams["a"]
        feeds.end_admission(before, actor="system:test")
        return Stream.objects.create(
            device=before.device, patient=before.patient, ward=place.wards["b"], bed="07"
        )

    def test_device_that_moved_gets_no_token_from_its_former_ward(
        self, lead: Client, place: Hospital, moved: Stream
    ) -> None:
        tokens.issue_device_token(moved.device, actor="system:test")
        path = f"/admin/streaming/device/{moved.device_id}"
        assert lead.post(f"{path}/issue-token/").status_code == 403
        assert lead.post(f"{path}/revoke-tokens/").status_code == 403
        assert DeviceToken.objects.get().revoked is None
        assert moved.device.name not in html(lead.get("/admin/streaming/device/"))

    def test_patient_who_moved_is_not_renamed_by_the_former_ward(
        self, lead: Client, place: Hospital, moved: Stream
    ) -> None:
        path = f"/admin/streaming/patient/{moved.patient_id}/change/"
        assert (
            lead.post(path, {"display_name": "Teal 3"} | NO_ALARM_SETTINGS).headers["Location"] == "/admin/"
        )
        assert Patient.objects.get(pk=moved.patient_id).display_name == NAMES[0]
        assert NAMES[0] not in html(lead.get("/admin/streaming/patient/"))

    def test_what_was_discharged_stays_with_its_last_ward(
        self, lead: Client, place: Hospital, moved: Stream
    ) -> None:
        feeds.end_admission(moved, actor="system:test")
        listed = html(lead.get("/admin/streaming/patient/"))
        assert NAMES[0] not in listed
        assert NAMES[2] in listed, "the patient of the admission of ward a that has ended"

    def test_what_was_never_admitted_is_everybodys(self, lead: Client, place: Hospital) -> None:
        Patient.objects.create(display_name="Teal 3")
        Device.objects.create(name="device new")
        assert "Teal 3" in html(lead.get("/admin/streaming/patient/"))
        assert "device new" in html(lead.get("/admin/streaming/device/"))

    def test_nobody_is_admitted_to_another_ward(self, lead: Client, place: Hospital) -> None:
        place.streams["a"].ended_at = place.streams["a"].started_at
        place.streams["a"].save()
        form = {
            "device": place.device("a").pk,
            "patient": place.streams["a"].patient_id,
            "ward": place.wards["b"].pk,
            "bed": "01",
        }
        assert "not one of the available choices" in html(lead.post("/admin/streaming/stream/add/", form))
        form["ward"] = place.wards["a"].pk
        assert lead.post("/admin/streaming/stream/add/", form).status_code == 302


class TestAdmission:
    """A stream begins and ends; what it names stays."""

    def test_ending(self, boss: Client, place: Hospital) -> None:
        chosen = [stream.pk for stream in place.streams.values()]
        form = {"action": "end_admissions", "_selected_action": chosen}
        asked = html(boss.post("/admin/streaming/stream/", form))
        assert all(stream.patient.pseudonym in asked for stream in place.streams.values())
        assert Stream.objects.filter(ended_at=None).count() == len(chosen)
        boss.post("/admin/streaming/stream/", {**form, "confirmed": "yes"})
        assert not Stream.objects.filter(ended_at=None).exists()

    def test_second_open_admission_of_a_device_is_refused_in_words(
        self, boss: Client, place: Hospital
    ) -> None:
        stream = place.streams["a"]
        form = {"device": stream.device_id, "patient": stream.patient_id, "ward": stream.ward_id, "bed": "9"}
        assert "end that first" in html(boss.post("/admin/streaming/stream/add/", form))

    def test_patients_are_offered_by_name_too(self, boss: Client, place: Hospital) -> None:
        patient = Patient.objects.create(display_name="Teal 3")
        assert f">{patient.pseudonym} Teal 3</option>" in html(boss.get("/admin/streaming/stream/add/"))

    def test_open_admission_changes_its_bed_alone(self, boss: Client, place: Hospital) -> None:
        stream = place.streams["a"]
        form = {"bed": "12", "ward": place.wards["b"].pk, "device": place.device("b").pk}
        boss.post(f"/admin/streaming/stream/{stream.pk}/change/", form)
        after = Stream.objects.get(pk=stream.pk)
        assert (after.bed, after.ward, after.device) == ("12", stream.ward, stream.device)

    def test_deleting_is_not_offered(self, boss: Client, place: Hospital) -> None:
        assert boss.post(f"/admin/streaming/stream/{place.streams['a'].pk}/delete/").status_code == 403

    def test_patient_gets_a_pseudonym(self, boss: Client) -> None:
        boss.post("/admin/streaming/patient/add/", {"display_name": "Teal 3"} | NO_ALARM_SETTINGS)
        pseudonym = Patient.objects.get(display_name="Teal 3").pseudonym
        assert re.fullmatch(r"P-[2-9A-HJ-NP-Z]{5}", pseudonym)


class TestAudit:
    """Read, verified, never edited."""

    @pytest.fixture
    def entry(self, db: None, monkeypatch: pytest.MonkeyPatch) -> AuditEntry:
        """Two entries; the second."""
        writer = audit.AuditWriter()
        for number in range(2):
            writer.append("user:1", "test", f"stream:{number}", "allowed", {})
        return AuditEntry.objects.get(seq=2)

    def test_it_is_read_only_even_for_a_superuser(self, boss: Client, entry: AuditEntry) -> None:
        assert "stream:1" in html(boss.get("/admin/streaming/auditentry/"))
        assert "stream:1" in html(boss.get(f"/admin/streaming/auditentry/{entry.pk}/change/"))
        assert boss.get("/admin/streaming/auditentry/add/").status_code == 403
        assert boss.post(f"/admin/streaming/auditentry/{entry.pk}/change/", {}).status_code == 403
        assert boss.post(f"/admin/streaming/auditentry/{entry.pk}/delete/").status_code == 403

    def verify(self, client: Client, entry: AuditEntry) -> str:
        """Run the action, and read what it says."""
        form = {"action": "verify_chains", "_selected_action": [entry.pk]}
        return html(client.post("/admin/streaming/auditentry/", form, follow=True))

    def test_whole_chain_is_called_whole(self, reader: Client, entry: AuditEntry) -> None:
        assert "1 chain is whole." in self.verify(reader, entry)

    def test_broken_chain_is_named(self, reader: Client, entry: AuditEntry) -> None:
        remove(1)
        assert f"{entry.writer[1:]}/1: missing" in self.verify(reader, entry)
