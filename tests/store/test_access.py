"""Roles, wards and actions; epochs; and what is left of a right after it was taken away."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.models import Session
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from streaming.core.streams import Lead, Source
from streaming.exceptions import AuthenticationError, ForbiddenError, ProtocolError
from streaming.models import ApiToken, AuditEntry, Device, DeviceToken, StreamEpoch
from streaming.models_lease import StreamLease
from streaming.store import access, feeds, leases, tokens
from streaming.store.access import Principal, PrincipalKind, Verdict
from tests.store.people import NAMES, Hospital, api_token_of, session_of, session_store

LEADS = (Lead("II", 5.0), Lead("V1", 4.88, baseline=1024, adc_bits=11))
UNKNOWN = "aaaaaaaaaaaa"


def _superuser(place: Hospital) -> Principal:
    return session_of(place.user("boss", is_superuser=True))


def _of(*wards: str) -> Callable[[Hospital], Principal]:
    return lambda place: session_of(place.user("nurse", *wards))


def _inactive(place: Hospital) -> Principal:
    user = place.user("nurse", "a", "b")
    principal = session_of(user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    return principal


def _deleted(place: Hospital) -> Principal:
    user = place.user("nurse", "a", "b")
    principal = session_of(user)
    user.delete()
    return principal


def _token(user_wards: str, scope: str, *, superuser: bool = False) -> Callable[[Hospital], Principal]:
    def make(place: Hospital) -> Principal:
        user = place.user("robot", *user_wards, is_superuser=superuser)
        return access.authenticate_viewer_token(api_token_of(user, *(place.wards[ward] for ward in scope)))

    return make


def _ended_token(**change: object) -> Callable[[Hospital], Principal]:
    def make(place: Hospital) -> Principal:
        principal = _token("ab", "ab")(place)
        ApiToken.objects.filter(pk=principal.token_id or 0).update(**change)
        return principal

    return make


def _device(place: Hospital) -> Principal:
    token = tokens.issue_device_token(place.device("a"), actor="system:test")
    return access.authenticate_device(token.text).principal


PAST = timezone.now() - timedelta(seconds=1)
ROLES: dict[str, tuple[Callable[[Hospital], Principal], str]] = {
    "superuser": (_superuser, "ab"),
    "staff of a": (_of("a"), "a"),
    "staff of b": (_of("b"), "b"),
    "staff of both": (_of("a", "b"), "ab"),
    "staff of none": (_of(), ""),
    "deactivated": (_inactive, ""),
    "deleted": (_deleted, ""),
    "token for all wards": (_token("ab", "ab"), "ab"),
    "token for fewer wards than its user": (_token("ab", "b"), "b"),
    "token for more wards than its user": (_token("a", "ab"), "a"),
    "token for other wards than its user": (_token("a", "b"), ""),
    "token for no ward": (_token("ab", ""), ""),
    "token of a superuser": (_token("", "a", superuser=True), "a"),
    "revoked token": (_ended_token(revoked=PAST), ""),
    "expired token": (_ended_token(expires=PAST), ""),
    "device as viewer": (_device, ""),
}
VIEWERS = [role for role in ROLES if role != "device as viewer"]


@pytest.mark.parametrize("role", ROLES)
class TestMatrix:
    """Every role, on every stream there is, with everything that can be asked."""

    def test_sees_its_wards_only(self, role: str, place: Hospital) -> None:
        make, wards = ROLES[role]
        seen = {entry.stream for entry in access.visible_streams(make(place))}
        assert seen == {place.streams[ward].pk for ward in wards}

    @pytest.mark.parametrize("target", ["a", "b", "ended", "unknown", "malformed", "empty"])
    def test_may_subscribe_to_its_wards_only(self, role: str, target: str, place: Hospital) -> None:
        make, wards = ROLES[role]
        stream = {
            "a": place.streams["a"].pk,
            "b": place.streams["b"].pk,
            "ended": place.ended.pk,
            "unknown": UNKNOWN,
            "malformed": "1 OR 1=1",
            "empty": "",
        }[target]
        answer = access.authorize_streams(make(place), [stream])
        assert answer == (({stream}, set()) if target in tuple(wards) else (set(), {stream}))

    def test_keeps_what_it_may_see(self, role: str, place: Hospital) -> None:
        make, wards = ROLES[role]
        principal = make(place)
        verdict = access.recheck([principal])[principal]
        if principal.kind is PrincipalKind.DEVICE:
            assert verdict == Verdict(True, frozenset({place.streams["a"].pk}))
        else:
            assert verdict.streams == {place.streams[ward].pk for ward in wards}


@pytest.mark.parametrize("role", VIEWERS)
def test_recheck_agrees_with_the_first_check(role: str, place: Hospital) -> None:
    principal = ROLES[role][0](place)
    everything = [place.streams["a"].pk, place.streams["b"].pk, place.ended.pk, UNKNOWN]
    allowed, _ = access.authorize_streams(principal, everything)
    assert access.recheck([principal])[principal].streams == allowed


def test_forbidden_and_unknown_take_the_same_queries(
    place: Hospital, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    principal = _of("a")(place)
    for stream in (place.streams["b"].pk, place.ended.pk, UNKNOWN):
        with django_assert_num_queries(2):
            assert access.authorize_streams(principal, [stream]) == (set(), {stream})


def test_many_streams_are_told_apart_at_once(place: Hospital) -> None:
    principal = _of("a")(place)
    own, other = place.streams["a"].pk, place.streams["b"].pk
    assert access.authorize_streams(principal, [own, other, UNKNOWN, own]) == ({own}, {other, UNKNOWN})


def test_roster_says_who_lies_where(
    place: Hospital, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    principal = _of("a")(place)
    with django_assert_num_queries(2):
        (entry,) = access.visible_streams(principal)
    patient = place.streams["a"].patient
    assert (entry.patient, entry.name) == (patient.pseudonym, NAMES[0])
    assert (entry.ward, entry.ward_name, entry.bed) == ("ward-a", "Ward a", "01")
    assert (entry.source, entry.online) == (Source.SIM, False)


def test_ward_seen_through_two_groups_is_listed_once(place: Hospital) -> None:
    place.wards["a"].groups.add(place.groups["b"])
    assert len(access.visible_streams(_of("a", "b")(place))) == 2


class TestProof:
    """Sessions and tokens."""

    def test_nobody_signed_in(self) -> None:
        with pytest.raises(AuthenticationError):
            access.principal_from_session("key", AnonymousUser())

    def test_no_session_key(self, place: Hospital) -> None:
        with pytest.raises(AuthenticationError):
            access.principal_from_session(None, place.user("nurse"))

    def test_deactivated_user(self, place: Hospital) -> None:
        with pytest.raises(AuthenticationError):
            access.principal_from_session("key", place.user("nurse", is_active=False))

    @pytest.mark.parametrize("change", [{"revoked": PAST}, {"expires": PAST}])
    def test_ended_token_is_refused(self, change: dict[str, object], place: Hospital) -> None:
        text = api_token_of(place.user("robot", "a"), place.wards["a"])
        ApiToken.objects.update(**change)
        with pytest.raises(AuthenticationError):
            access.authenticate_viewer_token(text)

    def test_token_of_a_deactivated_user_is_refused(self, place: Hospital) -> None:
        text = api_token_of(place.user("robot", "a"), place.wards["a"])
        User.objects.update(is_active=False)
        with pytest.raises(AuthenticationError):
            access.authenticate_viewer_token(text)

    def test_device_token_is_no_viewer_token(self, place: Hospital) -> None:
        text = tokens.issue_device_token(place.device("a"), actor="system:test").text
        with pytest.raises(AuthenticationError):
            access.authenticate_viewer_token(text)
        with pytest.raises(AuthenticationError):
            access.authenticate_device(api_token_of(place.user("robot"), place.wards["a"]))

    def test_device_token_names_its_device(
        self, place: Hospital, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        text = tokens.issue_device_token(place.device("a"), actor="system:test").text
        with django_assert_num_queries(1):
            device = access.authenticate_device(text)
        assert (device.device_id, device.source) == (place.device("a").pk, Source.SIM)

    def test_use_of_a_token_is_noted_once_a_minute(
        self, place: Hospital, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        text = api_token_of(place.user("robot", "a"), place.wards["a"])
        with django_assert_num_queries(2):
            access.authenticate_viewer_token(text)
        with django_assert_num_queries(1):
            access.authenticate_viewer_token(text)
        assert ApiToken.objects.get().last_used is not None


class TestEpoch:
    """What a device's session writes."""

    def test_first_session_is_epoch_one(
        self, place: Hospital, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        stream = place.streams["a"]
        with django_assert_num_queries(3 + 2):  # and the two of a savepoint, in place of BEGIN
            info = access.open_epoch(stream.device_id, "session-1", 250.0, LEADS, Source.SIM)
        assert (info.stream, info.epoch, info.patient) == (stream.pk, 1, stream.patient.pseudonym)
        assert (info.ward, info.rate_hz, info.leads) == ("ward-a", 250.0, LEADS)

    def test_same_session_continues_its_epoch(
        self, place: Hospital, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        device = place.device("a").pk
        first = access.open_epoch(device, "session-1", 250.0, LEADS, Source.SIM)
        with django_assert_num_queries(2 + 2):
            assert access.open_epoch(device, "session-1", 250.0, LEADS, Source.SIM) == first

    def test_new_session_is_the_next_epoch(self, place: Hospital) -> None:
        device = place.device("a").pk
        numbers = [
            access.open_epoch(device, session, 250.0, LEADS, Source.SIM).epoch
            for session in ("session-1", "session-2", "session-2", "session-3")
        ]
        assert numbers == [1, 2, 2, 3]

    @pytest.mark.parametrize(
        "changed", [{"rate_hz": 360.0}, {"leads": LEADS[:1]}, {"leads": LEADS[::-1]}], ids=str
    )
    def test_session_that_changes_its_signals_is_refused(
        self, changed: dict[str, object], place: Hospital
    ) -> None:
        hello = {"rate_hz": 250.0, "leads": LEADS}
        device = place.device("a").pk
        access.open_epoch(device, "session-1", claimed_source=Source.SIM, **hello)  # type: ignore[arg-type]
        with pytest.raises(ProtocolError):
            access.open_epoch(device, "session-1", claimed_source=Source.SIM, **(hello | changed))  # type: ignore[arg-type]

    def test_old_session_does_not_come_back(self, place: Hospital) -> None:
        device = place.device("a").pk
        for session in ("session-1", "session-2"):
            access.open_epoch(device, session, 250.0, LEADS, Source.SIM)
        with pytest.raises(ProtocolError):
            access.open_epoch(device, "session-1", 250.0, LEADS, Source.SIM)

    def test_device_without_admission_is_forbidden(self, place: Hospital) -> None:
        with pytest.raises(ForbiddenError):
            access.open_epoch(place.ended.device_id, "session-1", 250.0, LEADS, Source.SIM)

    def test_refusal_is_audited_though_nothing_else_happened(
        self, place: Hospital, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
    ) -> None:
        with (
            django_capture_on_commit_callbacks(execute=True),
            pytest.raises(ForbiddenError),
        ):
            access.open_epoch(place.ended.device_id, "session-1", 250.0, LEADS, Source.SIM)
        assert AuditEntry.objects.get(action="stream.publish").outcome == "denied"

    def test_next_admission_begins_at_epoch_one(self, place: Hospital) -> None:
        stream = place.streams["a"]
        access.open_epoch(stream.device_id, "session-1", 250.0, LEADS, Source.SIM)
        moved = feeds.ensure_admission("Ward b", NAMES[0], stream.device.name, Source.SIM)
        info = access.open_epoch(stream.device_id, "session-1", 250.0, LEADS, Source.SIM)
        assert (info.stream, info.epoch) == (moved.pk, 1)

    @pytest.mark.parametrize("device_source", Source)
    @pytest.mark.parametrize("claimed", Source)
    def test_only_a_live_device_chooses_its_mark(
        self, device_source: Source, claimed: Source, place: Hospital
    ) -> None:
        device = place.device("a")
        Device.objects.filter(pk=device.pk).update(source=device_source.value)
        info = access.open_epoch(device.pk, "session-1", 250.0, LEADS, claimed)
        assert info.source is (claimed if device_source is Source.LIVE else device_source)
        assert StreamEpoch.objects.get().source == info.source.value
        (entry,) = access.visible_streams(_of("a")(place))
        assert entry.source is info.source


class TestRecheck:
    """What is taken away is gone at the next look."""

    def test_logout(self, place: Hospital) -> None:
        principal = _of("a")(place)
        session_store(principal).delete()
        assert not access.recheck([principal])[principal].valid

    def test_expired_session(self, place: Hospital) -> None:
        principal = _of("a")(place)
        Session.objects.update(expire_date=PAST)
        assert not access.recheck([principal])[principal].valid

    def test_changed_password(self, place: Hospital) -> None:
        principal = _of("a")(place)
        user = User.objects.get()
        user.set_password("another one entirely")
        user.save()
        assert not access.recheck([principal])[principal].valid

    def test_session_of_another_user(self, place: Hospital) -> None:
        principal = _of("a")(place)
        other = place.user("other", "b")
        User.objects.update(password="the same")  # the session's hash covers the password alone
        stolen = Principal(PrincipalKind.SESSION, user_id=other.pk, session_key=principal.session_key)
        assert not access.recheck([stolen])[stolen].valid

    def test_withdrawn_group_leaves_the_user_without_streams(self, place: Hospital) -> None:
        principal = _of("a")(place)
        User.objects.get().groups.clear()
        assert access.recheck([principal])[principal] == Verdict(True, frozenset())

    def test_device_token_revoked(self, place: Hospital) -> None:
        principal = _device(place)
        tokens.revoke(DeviceToken.objects.get(), actor="system:test")
        assert not access.recheck([principal])[principal].valid

    def test_admission_of_the_device_ended(self, place: Hospital) -> None:
        principal = _device(place)
        feeds.end_admission(place.streams["a"], actor="system:test")
        assert access.recheck([principal])[principal] == access.Verdict(valid=True, streams=frozenset())
        both = {stream.pk for stream in place.streams.values()}
        assert access.ended_streams(both) == {place.streams["a"].pk}

    def test_unchanged_rights_stay(self, place: Hospital) -> None:
        principals = [_of("a")(place), _token("b", "b")(place), _device(place)]
        verdicts = access.recheck(principals)
        assert [verdicts[principal].valid for principal in principals] == [True] * 3

    def test_seven_queries_for_any_number(
        self, place: Hospital, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        principals = [_token("b", "b")(place), _device(place)]
        principals.extend(session_of(place.user(f"nurse {number}", "a")) for number in range(5))
        with django_assert_num_queries(7):
            assert all(verdict.valid for verdict in access.recheck(principals).values())

    def test_nobody_costs_nothing(self, django_assert_num_queries: DjangoAssertNumQueries, db: None) -> None:
        with django_assert_num_queries(0):
            assert access.recheck([]) == {}


class TestAudit:
    """Each check leaves an entry that names nobody."""

    def test_every_check_is_audited(
        self, place: Hospital, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
    ) -> None:
        own, other = place.streams["a"].pk, place.streams["b"].pk
        with django_capture_on_commit_callbacks(execute=True):
            principal = _of("a")(place)
            access.visible_streams(principal)
            access.authorize_streams(principal, [own, other, "Zaunkoenig's stream"])
        view, subscribe = AuditEntry.objects.filter(action__in=["roster.view", "stream.subscribe"]).order_by(
            "seq"
        )
        assert (view.actor, view.outcome, view.detail) == (principal.actor, "allowed", {"streams": [own]})
        assert (subscribe.outcome, subscribe.detail) == (
            "partly",
            {"allowed": [own], "denied": [other], "malformed": 1},
        )

    def test_refused_tokens_are_audited_without_the_token(
        self, place: Hospital, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            for authenticate in (access.authenticate_device, access.authenticate_viewer_token):
                with pytest.raises(AuthenticationError):
                    authenticate("vtd_secretse_" + "s" * 43)
        denied = AuditEntry.objects.filter(outcome="denied")
        assert {entry.action for entry in denied} == {"device.authenticate", "viewer.authenticate"}
        assert "secretse" not in json.dumps(list(denied.values()), default=str)

    def test_no_name_and_no_token_in_the_trail(
        self, place: Hospital, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            feed = feeds.ensure_feed("Ward a", "Eisvogel", "device z", Source.SIM)
            device = access.authenticate_device(feed.token)
            access.open_epoch(device.device_id, "session-1", 250.0, LEADS, Source.SIM)
            principal = _token("a", "a")(place)
            access.visible_streams(principal)
            access.authorize_streams(principal, [feed.stream])
        trail = json.dumps(list(AuditEntry.objects.values()), default=str)
        assert len(trail) > 1000
        for secret in (*NAMES, "Eisvogel", feed.token, "robot"):
            assert secret not in trail


def test_principal_hides_its_session_key(place: Hospital) -> None:
    principal = _of("a")(place)
    assert principal.session_key is not None
    assert principal.session_key not in repr(principal)


def test_cut_connection_is_audited_with_its_reason(
    place: Hospital, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    principals = [
        Principal(PrincipalKind.SESSION, user_id=7, session_key="secret"),
        Principal(PrincipalKind.TOKEN, user_id=7, token_id=8),
        Principal(PrincipalKind.DEVICE, device_id=9, token_id=10),
    ]
    with django_capture_on_commit_callbacks(execute=True):
        for principal in principals:
            access.note_cut(principal, "revoked")
    entries = AuditEntry.objects.order_by("seq").values_list("actor", "action", "detail")
    assert list(entries) == [
        (actor, "connection.cut", {"reason": "revoked"}) for actor in ("user:7", "api-token:8", "device:9")
    ]


def test_what_was_sent_and_is_not_any_more_is_abandoned_while_its_patient_is_admitted(
    place: Hospital, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    streams = place.streams
    other = feeds.begin_admission(
        Device.objects.create(name="heard"),
        streams["a"].patient,
        streams["a"].ward,
        "99",
        actor="system:test",
    )
    for stream in (*streams.values(), other):
        access.open_epoch(stream.device_id, "session", 250.0, LEADS, Source.SIM)
        leases.take(stream.pk, "session", "p1", seen=leases.Lease(), next_sample=0)
    assert access.abandoned_streams() == {}
    past = timezone.now() - timedelta(minutes=1)
    StreamLease.objects.exclude(pk=other.pk).update(expires_at=past)
    feeds.end_admission(streams["b"], actor="system:test")
    with django_assert_num_queries(1):
        (info,) = abandoned = access.abandoned_streams()
    assert (info.stream, info.epoch, abandoned[info]) == (
        streams["a"].pk,
        1,
        f"1.{round(1000 * past.timestamp())}",
    )
    leases.end("p1", {info.stream: 10}, {info.stream: 1})
    assert access.abandoned_streams() == {info: "1"}
    leases.take(info.stream, "session", "p1", seen=leases.read(info.stream), next_sample=10)
    assert access.abandoned_streams() == {}
