"""What an alarm says, what it covers, and the limits it stands for."""

from __future__ import annotations

import pytest

from streaming.core.alarm_record import AlarmSeverity
from streaming.core.priority import MessagePriority
from streaming.ecg.alarm_limits import AlarmLimits
from streaming.ecg.alarms import TRAITS, Alarm, AlarmKind, Condition, Evidence

LETHAL = {
    AlarmKind.ASYSTOLE,
    AlarmKind.FIBRILLATION,
    AlarmKind.VENTRICULAR_TACHYCARDIA,
    AlarmKind.EXTREME_TACHYCARDIA,
    AlarmKind.EXTREME_BRADYCARDIA,
}


def condition(kind: AlarmKind, value: float, limit: float, unit: str = "bpm", lead: str = "II") -> Condition:
    return Condition(kind, Evidence(value, limit, unit, 100, 900, lead))


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        (condition(AlarmKind.HR_HIGH, 134.0, 120.0), "HR 134 > 120"),
        (condition(AlarmKind.HR_LOW, 44.0, 50.0), "HR 44 < 50"),
        (condition(AlarmKind.EXTREME_BRADYCARDIA, 39.6, 40.0), "EXTREME BRADY 39 < 40"),
        (condition(AlarmKind.EXTREME_TACHYCARDIA, 140.2, 140.0), "EXTREME TACHY 141 > 140"),
        (condition(AlarmKind.VENTRICULAR_TACHYCARDIA, 182.3, 100.0), "VENT TACHY 183 > 100"),
        (condition(AlarmKind.ASYSTOLE, 4.26, 4.0, "s"), "ASYSTOLE 4.3 >= 4 s"),
        (condition(AlarmKind.FIBRILLATION, 4.0, 4.0, "s"), "VENT FIB/FLUTTER 4.0 >= 4 s"),
        (condition(AlarmKind.LEAD_OFF, 0.0, 0.0, "", "V1"), "LEAD OFF V1"),
        (condition(AlarmKind.NO_SIGNAL, 4.1, 4.0, "s"), "NO ECG SIGNAL 4.1 >= 4 s"),
        (condition(AlarmKind.ARRHYTHMIA_OFF, 0.0, 0.0, "s", ""), "ARRHYTHMIA OFF"),
        (
            condition(AlarmKind.ARRHYTHMIA_OFF, 1.94, 6.0, "s", ""),
            "ARRHYTHMIA OFF 1.9 < 6 s UNBROKEN",
        ),
    ],
)
def test_the_text_says_value_and_limit(seen: Condition, text: str) -> None:
    assert seen.text == text


def test_lethal_alarms_latch_and_no_other() -> None:
    assert set(TRAITS) == set(AlarmKind)
    for kind, traits in TRAITS.items():
        assert traits.latching is (kind in LETHAL)
        assert (traits.severity is AlarmSeverity.HIGH) is (kind in LETHAL)


def test_nothing_covers_a_graver_or_a_technical_alarm() -> None:
    for kind, traits in TRAITS.items():
        assert kind not in traits.covers
        assert all(TRAITS[other].severity is not AlarmSeverity.TECHNICAL for other in traits.covers)
        assert not traits.covers & {AlarmKind.ASYSTOLE, AlarmKind.FIBRILLATION}


def test_severity_and_priority_are_two_things() -> None:
    off = Alarm("1", condition(AlarmKind.ARRHYTHMIA_OFF, 0.0, 0.0), 900, 0.0, 0.0)
    lethal = Alarm("2", condition(AlarmKind.ASYSTOLE, 4.0, 4.0, "s"), 900, 4.0, 0.0)
    assert off.priority is lethal.priority is MessagePriority.CRITICAL
    assert (off.severity, lethal.severity) == (AlarmSeverity.TECHNICAL, AlarmSeverity.HIGH)
    assert lethal.latching


def test_default_limits_are_those_of_the_challenge() -> None:
    limits = AlarmLimits()
    assert (limits.extreme_bradycardia, limits.extreme_tachycardia) == (40, 140)
    assert (limits.asystole_s, limits.run_beats, limits.run_rate) == (4.0, 5, 100)


@pytest.mark.parametrize(
    "wrong",
    [
        {"hr_low": 120},
        {"hr_low": 39},
        {"hr_high": 141},
        {"extreme_bradycardia": 10},
        {"extreme_tachycardia": 301},
        {"run_rate": 5},
        {"asystole_s": 2.9},
        {"asystole_s": 10.1},
        {"run_beats": 2},
        {"hr_signal_delay_s": 10.5},
        {"hr_signal_delay_s": -0.1},
    ],
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"must rise| to \d"):
        AlarmLimits(**wrong)
