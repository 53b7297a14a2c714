"""What is set about a patient's alarms: for whom it holds, what is refused, and who is told of a change."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import OperationalError
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from streaming.ecg.alarm_limits import AlarmLimits, AlarmSettings
from streaming.models import AuditEntry, Device
from streaming.models_alarms import PatientAlarms
from streaming.store import alarm_settings, feeds
from streaming.store.alarm_settings import alarm_settings_changed
from tests.store.people import Hospital

pytestmark = pytest.mark.django_db


def of(place: Hospital, **changes: Any) -> PatientAlarms:
    return PatientAlarms.objects.create(patient=place.streams["a"].patient, **changes)


def test_the_defaults_of_a_row_are_those_without_one(place: Hospital) -> None:
    of(place)
    assert alarm_settings.load() == {place.streams["a"].pk: AlarmSettings(AlarmLimits())}


def test_settings_hold_for_the_patient_while_it_is_admitted(
    place: Hospital, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    of(place, hr_high=150, extreme_tachycardia=180, is_off=True)
    with django_assert_num_queries(1):
        settings = alarm_settings.load()
    limits = AlarmLimits(hr_high=150, extreme_tachycardia=180)
    assert settings == {place.streams["a"].pk: AlarmSettings(limits, is_off=True)}
    feeds.end_admission(place.streams["a"], actor="system:test")
    assert alarm_settings.load() == {}


def test_limits_that_contradict_each_other_are_refused_in_words(place: Hospital) -> None:
    row = of(place)
    row.hr_low = 130
    with pytest.raises(ValidationError, match="limits must rise"):
        row.full_clean()
    row.hr_low, row.asystole_s = 50, 2.0
    with pytest.raises(ValidationError, match="asystole"):
        row.full_clean()


def test_a_row_that_only_another_program_can_have_written_costs_itself_alone(
    place: Hospital, caplog: pytest.LogCaptureFixture
) -> None:
    of(place, hr_low=130, is_off=True)
    assert alarm_settings.load() == {place.streams["a"].pk: AlarmSettings(is_off=True)}
    assert "not usable" in caplog.text


def test_switching_is_announced_and_audited_and_a_second_time_changes_nothing(
    place: Hospital, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    heard: list[object] = []

    def hear(**signal: object) -> None:
        heard.append(signal)

    stream = place.streams["a"].pk
    alarm_settings_changed.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            alarm_settings.switch(stream, "user:1", off=True)
        assert alarm_settings.load()[stream].is_off
        told = len(heard)
        assert told >= 1
        with django_capture_on_commit_callbacks(execute=True):
            alarm_settings.switch(stream, "user:1", off=True)
        assert len(heard) == told
        with django_capture_on_commit_callbacks(execute=True):
            alarm_settings.switch(stream, "user:2", off=False)
    finally:
        alarm_settings_changed.disconnect(hear)
    assert not alarm_settings.load()[stream].is_off
    entries = AuditEntry.objects.filter(object=f"stream:{stream}", action__startswith="alarms.")
    assert sorted((entry.actor, entry.action) for entry in entries) == [
        ("user:1", "alarms.off"),
        ("user:1", "alarms.off"),
        ("user:2", "alarms.on"),
    ]


def test_alarms_that_are_off_are_on_again_after_the_patient_s_last_admission_and_limits_stay(
    place: Hospital, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    stream = place.streams["a"]
    row = of(place, is_off=True, hr_high=150, extreme_tachycardia=180)
    elsewhere = feeds.begin_admission(
        Device.objects.create(name="second"), stream.patient, stream.ward, "99", actor="user:1"
    )
    feeds.end_admission(elsewhere, actor="user:1")
    assert alarm_settings.load()[stream.pk].is_off
    with django_capture_on_commit_callbacks(execute=True):
        feeds.end_admission(stream, actor="user:1")
    row.refresh_from_db()
    assert (row.is_off, row.hr_high) == (False, 150)
    assert AuditEntry.objects.filter(
        object=f"stream:{stream.pk}", action="alarms.on", actor="user:1"
    ).exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("was_off", [False, True], ids=["on", "off"])
def test_alarms_are_not_switched_when_the_trail_cannot_have_it(
    was_off: bool, place: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, heard = place.streams["a"].pk, []
    of(place, is_off=was_off)

    def fail(*_args: object, **_fields: object) -> None:
        raise OperationalError("database is locked")

    def hear(**_signal: object) -> None:
        heard.append("changed")

    alarm_settings_changed.connect(hear)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(AuditEntry, "save", fail)
            with pytest.raises(OperationalError):
                alarm_settings.switch(stream, "user:1", off=not was_off)
        assert (alarm_settings.load()[stream].is_off, heard) == (was_off, [])
        alarm_settings.switch(stream, "user:1", off=not was_off)
    finally:
        alarm_settings_changed.disconnect(hear)
    assert (alarm_settings.load()[stream].is_off, heard) == (not was_off, ["changed"])
    assert AuditEntry.objects.filter(action__startswith="alarms.").count() == 1
