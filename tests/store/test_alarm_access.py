"""Every role, right and ward: who may do what about alarms, and the trail that it leaves."""

from __future__ import annotations

import itertools

import pytest
from django.contrib.auth.models import Permission

from streaming.exceptions import ForbiddenError
from streaming.models import AuditEntry
from streaming.store import alarm_access
from streaming.store.access import Principal, PrincipalKind, authenticate_viewer_token
from streaming.store.alarm_access import AlarmRight
from tests.store.people import Hospital, api_token_of, session_of

pytestmark = pytest.mark.django_db

CODENAMES = {
    AlarmRight.ACKNOWLEDGE: "acknowledge_alarms",
    AlarmRight.PAUSE_AUDIO: "pause_alarm_audio",
    AlarmRight.SWITCH_OFF: "switch_off_alarms",
    AlarmRight.SET_LIMITS: "set_alarm_limits",
}
GRANTS = [
    frozenset(grant) for n in range(len(AlarmRight) + 1) for grant in itertools.combinations(AlarmRight, n)
]


def nurse(place: Hospital, granted: frozenset[AlarmRight], *wards: str) -> Principal:
    user = place.user("nurse", *wards)
    user.user_permissions.set(Permission.objects.filter(codename__in=[CODENAMES[right] for right in granted]))
    return session_of(user)


@pytest.mark.parametrize("granted", GRANTS, ids=lambda granted: "+".join(sorted(granted)) or "none")
@pytest.mark.parametrize("ward", ["a", "b"])
def test_a_right_holds_for_what_one_may_see_and_for_nothing_else(
    place: Hospital, granted: frozenset[AlarmRight], ward: str
) -> None:
    principal = nurse(place, granted, "a")
    assert alarm_access.rights(principal) == granted
    stream = place.streams[ward].pk
    for right in AlarmRight:
        if right in granted and ward == "a":
            assert alarm_access.authorize(principal, right, stream) == "nurse"
        else:
            with pytest.raises(ForbiddenError):
                alarm_access.authorize(principal, right, stream)


def test_what_is_about_no_stream_needs_the_right_alone(place: Hospital) -> None:
    principal = nurse(place, frozenset({AlarmRight.PAUSE_AUDIO}))
    assert alarm_access.authorize(principal, AlarmRight.PAUSE_AUDIO, None) == "nurse"
    with pytest.raises(ForbiddenError, match="acknowledge"):
        alarm_access.authorize(principal, AlarmRight.ACKNOWLEDGE, None)


def test_a_token_has_the_rights_of_its_user_within_its_wards(place: Hospital) -> None:
    user = place.user("boss", is_superuser=True)
    principal = authenticate_viewer_token(api_token_of(user, place.wards["a"]))
    assert alarm_access.rights(principal) == frozenset(AlarmRight)
    alarm_access.authorize(principal, AlarmRight.ACKNOWLEDGE, place.streams["a"].pk)
    with pytest.raises(ForbiddenError, match="patient"):
        alarm_access.authorize(principal, AlarmRight.ACKNOWLEDGE, place.streams["b"].pk)


def test_who_is_no_user_any_more_may_nothing(place: Hospital) -> None:
    user = place.user("boss", is_superuser=True)
    principal = session_of(user)
    type(user).objects.filter(pk=user.pk).update(is_active=False)
    device = Principal(PrincipalKind.DEVICE, device_id=place.device("a").pk)
    for nobody in (principal, device):
        assert alarm_access.rights(nobody) == frozenset()
        with pytest.raises(ForbiddenError):
            alarm_access.authorize(nobody, AlarmRight.ACKNOWLEDGE, place.streams["a"].pk)


@pytest.mark.django_db(transaction=True)
def test_what_was_allowed_and_what_was_denied_is_in_the_audit_trail(place: Hospital) -> None:
    principal = nurse(place, frozenset({AlarmRight.ACKNOWLEDGE}), "a")
    alarm_access.authorize(principal, AlarmRight.ACKNOWLEDGE, place.streams["a"].pk, target="alarm-1")
    with pytest.raises(ForbiddenError):
        alarm_access.authorize(principal, AlarmRight.SWITCH_OFF, place.streams["a"].pk)
    with pytest.raises(ForbiddenError):
        alarm_access.authorize(principal, AlarmRight.ACKNOWLEDGE, place.streams["b"].pk)
    entries = AuditEntry.objects.filter(action__startswith="alarm.").order_by("seq")
    assert [(entry.action, entry.outcome) for entry in entries] == [
        ("alarm.acknowledge", "allowed"),
        ("alarm.switch_off", "denied"),
        ("alarm.acknowledge", "denied"),
    ]
    assert entries[0].detail == {"target": "alarm-1"}
    assert entries[0].object == f"stream:{place.streams['a'].pk}"


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_done_is_refused_to_whoever_may_and_the_trail_says_so(place: Hospital) -> None:
    principal = nurse(place, frozenset({AlarmRight.ACKNOWLEDGE}), "a")
    with pytest.raises(ForbiddenError, match="the alarm is over"):
        alarm_access.authorize(
            principal, AlarmRight.ACKNOWLEDGE, None, refusal="the alarm is over", target="unknown"
        )
    with pytest.raises(ForbiddenError, match="switch alarms off"):
        alarm_access.authorize(principal, AlarmRight.SWITCH_OFF, None, refusal="the alarm is over")
    entries = AuditEntry.objects.filter(action__startswith="alarm.").order_by("seq")
    assert [(entry.object, entry.outcome, entry.detail) for entry in entries] == [
        ("alarms", "refused", {"target": "unknown"}),
        ("alarms", "denied", {}),
    ]
