"""A patient's alarm limits: who may set them, to what, and what is kept of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.validators import MaxValueValidator, MinValueValidator

from streaming.ecg.alarm_limits import BOUNDS, AlarmLimits
from streaming.exceptions import ForbiddenError, LimitsConflictError, LimitsError
from streaming.models import AuditEntry
from streaming.models_alarms import AlarmLimitChange, PatientAlarms
from streaming.store import access, alarm_settings, limits
from streaming.store.access import Principal
from tests.store.people import Hospital, session_of

pytestmark = pytest.mark.django_db(transaction=True)

DEFAULT: dict[str, Any] = asdict(AlarmLimits())
WANTED: dict[str, Any] = DEFAULT | {"hr_high": 130, "asystole_s": 5.5}


def doctor(place: Hospital, *, may: bool = True) -> Principal:
    user = place.user("doctor", "a")
    if may:
        user.user_permissions.set(Permission.objects.filter(codename="set_alarm_limits"))
    return session_of(user)


def test_what_is_set_holds_is_logged_audited_and_told(place: Hospital) -> None:
    who, stream = doctor(place), place.streams["a"]
    limits.set_limits(who, stream.pk, DEFAULT, WANTED)
    assert alarm_settings.load()[stream.pk].limits == AlarmLimits(**WANTED)
    known = limits.limits_of(who, stream.pk)
    assert known.limits == WANTED
    assert known.may
    assert [(change.by, change.changed) for change in known.changes] == [
        ("doctor", {"hr_high": (120, 130), "asystole_s": (4.0, 5.5)})
    ]
    entry = AuditEntry.objects.get(action="alarm.limits")
    assert (entry.actor, entry.object) == (who.actor, f"stream:{stream.pk}")
    assert entry.detail == {"changed": {"hr_high": ["120", "130"], "asystole_s": ["4", "5.5"]}}
    roster = {told.stream: told for told in access.visible_streams(who)}
    assert (roster[stream.pk].hr_low, roster[stream.pk].hr_high) == (50, 130)


def test_a_switch_of_alarms_stays_as_it_is(place: Hospital) -> None:
    stream = place.streams["a"]
    PatientAlarms.objects.create(patient=stream.patient, is_off=True)
    limits.set_limits(doctor(place), stream.pk, DEFAULT, WANTED)
    assert PatientAlarms.objects.get(patient=stream.patient).is_off


@pytest.mark.parametrize(("may", "ward", "why"), [(False, "a", "may not"), (True, "b", "not one of yours")])
def test_only_who_may_and_sees_the_patient(place: Hospital, may: bool, ward: str, why: str) -> None:
    who, stream = doctor(place, may=may), place.streams[ward].pk
    with pytest.raises(ForbiddenError, match=why):
        limits.set_limits(who, stream, DEFAULT, WANTED)
    assert not PatientAlarms.objects.exists()
    if ward == "a":
        assert not limits.limits_of(who, stream).may
    else:
        with pytest.raises(ForbiddenError):
            limits.limits_of(who, stream)


def test_nobody_overwrites_what_another_has_set_meanwhile(place: Hospital) -> None:
    who, stream = doctor(place), place.streams["a"].pk
    limits.set_limits(who, stream, DEFAULT, WANTED)
    with pytest.raises(LimitsConflictError):
        limits.set_limits(who, stream, DEFAULT, DEFAULT | {"hr_low": 45})
    assert limits.limits_of(who, stream).limits == WANTED
    assert AlarmLimitChange.objects.count() == 1


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"hr_high": 301}, "hr_high"),
        ({"asystole_s": 2.9}, "asystole_s"),
        ({"run_beats": 2}, "run_beats"),
        ({"hr_high": 145}, "__all__"),
        ({"hr_low": 120}, "__all__"),
    ],
)
def test_what_cannot_be_a_limit_is_refused_and_explained(
    place: Hospital, values: dict[str, Any], field: str
) -> None:
    with pytest.raises(LimitsError) as refused:
        limits.set_limits(doctor(place), place.streams["a"].pk, DEFAULT, DEFAULT | values)
    assert refused.value.fields[field]
    assert not PatientAlarms.objects.exists()
    assert not AlarmLimitChange.objects.exists()
    assert not AuditEntry.objects.filter(action="alarm.limits").exists()


def test_a_row_that_contradicts_itself_is_told_as_the_default(place: Hospital) -> None:
    PatientAlarms.objects.create(patient=place.streams["a"].patient, hr_low=130, hr_high=60)
    (entry,) = access.visible_streams(doctor(place))
    assert (entry.hr_low, entry.hr_high) == (50, 120)


def test_the_model_has_the_bounds_of_the_analysis() -> None:
    for name, bounds in BOUNDS.items():
        validators = PatientAlarms._meta.get_field(name).validators  # type: ignore[union-attr]
        told = [
            v.limit_value
            for kind in (MinValueValidator, MaxValueValidator)
            for v in validators
            if type(v) is kind
        ]
        assert (told[0], told[1]) == bounds
    assert set(BOUNDS) == set(DEFAULT)
