"""From conditions to alarms: raised once, held over flicker and gaps, updated seldom, ended."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streaming.ecg.alarm_board import AlarmBoard, counted_ids
from streaming.ecg.alarm_limits import AlarmLimits, AlarmSettings
from streaming.ecg.alarms import AlarmEvent, AlarmKind, Change, Condition, Evidence

RATE_HZ = 100.0
TICK = 25
DEFAULT = AlarmSettings()
OFF = AlarmSettings(is_off=True)


def seen(kind: AlarmKind, value: float = 5.0, lead: str = "II", unit: str = "bpm") -> Condition:
    return Condition(kind, Evidence(value, 4.0, unit, 0, 100, lead))


def play(
    board: AlarmBoard,
    ticks: int,
    *conditions: Condition,
    first: int = 0,
    settings: AlarmSettings = DEFAULT,
) -> list[AlarmEvent]:
    """The same conditions for so many ticks."""
    return [event for tick in range(ticks) for event in board.tick(first + tick * TICK, conditions, settings)]


def changes(events: list[AlarmEvent]) -> list[Change]:
    return [event.change for event in events]


def test_a_condition_is_raised_once() -> None:
    board = AlarmBoard(RATE_HZ, counted_ids())
    events = play(board, 40, seen(AlarmKind.ASYSTOLE), first=200)
    assert changes(events) == [Change.RAISED]
    assert events[0].sample == 200
    assert events[0].alarm.condition_delay_s == 2.0
    assert board.active == (events[0].alarm,)
    assert board.holds(AlarmKind.ASYSTOLE)
    assert not board.holds(AlarmKind.FIBRILLATION)


def test_flicker_is_one_alarm_and_absence_ends_it() -> None:
    board = AlarmBoard(RATE_HZ, counted_ids())
    play(board, 1, seen(AlarmKind.ASYSTOLE))
    assert play(board, 7, first=25) == []
    assert play(board, 1, seen(AlarmKind.ASYSTOLE), first=200) == []
    events = play(board, 8, first=225)
    assert changes(events) == [Change.ENDED]
    assert events[0].sample == 400
    assert board.active == ()
    again = play(board, 1, seen(AlarmKind.ASYSTOLE), first=425)
    assert again[0].alarm.id == "2"


def test_a_rate_that_sways_about_a_lethal_limit_is_one_alarm() -> None:
    board = AlarmBoard(RATE_HZ, counted_ids())
    for kind in (AlarmKind.EXTREME_BRADYCARDIA, AlarmKind.EXTREME_TACHYCARDIA):
        assert changes(play(board, 1, seen(kind))) == [Change.RAISED]
        assert play(board, 39, first=25) == []
        assert play(board, 1, seen(kind), first=1000) == []
        events = play(board, 40, first=1025)
        assert [(event.change, event.sample) for event in events] == [(Change.ENDED, 2000)]


def test_a_new_text_is_told_after_five_seconds() -> None:
    board = AlarmBoard(RATE_HZ, counted_ids())
    play(board, 1, seen(AlarmKind.VENTRICULAR_TACHYCARDIA, 150.0))
    events = play(board, 40, seen(AlarmKind.VENTRICULAR_TACHYCARDIA, 160.0), first=25)
    assert [(event.change, event.sample) for event in events] == [(Change.UPDATED, 500)]
    assert events[0].alarm.condition.evidence.value == 160.0
    assert events[0].alarm.id == "1"


def test_a_value_held_by_hysteresis_keeps_the_alarm_and_its_text() -> None:
    board = AlarmBoard(RATE_HZ, counted_ids())
    high = seen(AlarmKind.HR_HIGH, 123.0)
    play(board, 10, high)
    inside = replace(seen(AlarmKind.HR_HIGH, 119.0), is_held=True)
    assert play(board, 40, inside, first=250) == []
    assert board.active[0].condition == high


def test_hr_waits_for_its_signal_delay_and_lethal_alarms_do_not() -> None:
    board = AlarmBoard(RATE_HZ, counted_ids())
    events = play(board, 12, seen(AlarmKind.HR_HIGH, 130.0))
    assert [event.sample for event in events] == [200]
    assert events[0].alarm.signal_delay_s == 2.0
    at_once = play(
        AlarmBoard(RATE_HZ, counted_ids()),
        1,
        seen(AlarmKind.HR_HIGH),
        settings=AlarmSettings(AlarmLimits(hr_signal_delay_s=0.0)),
    )
    assert changes(at_once) == [Change.RAISED]


def test_a_limit_that_is_kept_again_within_the_delay_makes_no_noise() -> None:
    board = AlarmBoard(RATE_HZ, counted_ids())
    for start in (0, 225, 450):
        assert play(board, 7, seen(AlarmKind.HR_HIGH, 130.0), first=start) == []
        assert play(board, 1, first=start + 175) == []


def test_what_a_graver_alarm_says_too_is_not_raised_beside_it() -> None:
    board = AlarmBoard(RATE_HZ, counted_ids())
    both = (seen(AlarmKind.HR_HIGH, 190.0), seen(AlarmKind.VENTRICULAR_TACHYCARDIA, 190.0))
    events = play(board, 20, *both)
    assert [event.alarm.kind for event in events] == [AlarmKind.VENTRICULAR_TACHYCARDIA]
    events = play(board, 20, both[0], first=500)
    assert [(event.change, event.alarm.kind) for event in events] == [
        (Change.ENDED, AlarmKind.VENTRICULAR_TACHYCARDIA),
        (Change.RAISED, AlarmKind.HR_HIGH),
    ]


def test_leads_are_off_one_by_one() -> None:
    board = AlarmBoard(RATE_HZ, counted_ids())
    events = play(board, 5, seen(AlarmKind.LEAD_OFF, lead="II"), seen(AlarmKind.LEAD_OFF, lead="V1"))
    assert [event.alarm.condition.evidence.lead for event in events] == ["II", "V1"]
    events = play(board, 12, seen(AlarmKind.LEAD_OFF, lead="V1"), first=125)
    assert [(event.change, event.alarm.condition.evidence.lead) for event in events] == [(Change.ENDED, "II")]


def test_a_gap_keeps_alarms_until_they_can_be_judged_again() -> None:
    board = AlarmBoard(RATE_HZ, counted_ids())
    play(board, 5, seen(AlarmKind.ASYSTOLE))
    board.gap(5000)
    assert play(board, 24, first=5000) == []
    assert changes(play(board, 12, first=5600)) == [Change.ENDED]


@pytest.mark.parametrize(
    ("kind", "unknown_s", "hold_s"),
    [
        (AlarmKind.VENTRICULAR_TACHYCARDIA, 6, 2),
        (AlarmKind.EXTREME_TACHYCARDIA, 6, 10),
        (AlarmKind.EXTREME_BRADYCARDIA, 16, 10),
    ],
)
def test_after_a_gap_an_alarm_waits_for_as_long_as_its_rule_takes(
    kind: AlarmKind, unknown_s: int, hold_s: int
) -> None:
    board = AlarmBoard(RATE_HZ, counted_ids())
    play(board, 1, seen(kind))
    board.gap(5000)
    [ended] = play(board, 150, first=5000)
    assert (ended.change, ended.sample) == (Change.ENDED, 5000 + (unknown_s + hold_s) * RATE_HZ)


def test_after_a_gap_an_asystole_waits_for_the_patients_own_limit() -> None:
    board = AlarmBoard(RATE_HZ, counted_ids())
    late = Condition(AlarmKind.ASYSTOLE, Evidence(10.1, 10.0, "s", 0, 1010, "II"))
    play(board, 1, late)
    board.gap(5000)
    assert play(board, 48, first=5000) == []
    assert play(board, 1, late, first=6200) == []


def test_a_gap_forgets_what_was_not_raised_yet() -> None:
    board = AlarmBoard(RATE_HZ, counted_ids())
    play(board, 7, seen(AlarmKind.HR_HIGH))
    board.gap(5000)
    events = play(board, 9, seen(AlarmKind.HR_HIGH), first=5000)
    assert [event.sample for event in events] == [5200]


def test_what_stands_already_is_adopted_and_not_raised_again() -> None:
    before = AlarmBoard(RATE_HZ, counted_ids())
    play(before, 5, seen(AlarmKind.ASYSTOLE), seen(AlarmKind.LEAD_OFF, lead="V1"))
    board = AlarmBoard(RATE_HZ, iter("xyz").__next__, standing=before.active, first_sample=5000)
    assert board.active == before.active
    assert play(board, 24, seen(AlarmKind.ASYSTOLE), first=5000) == []
    events = play(board, 40, seen(AlarmKind.ASYSTOLE), first=5600)
    assert [(event.change, event.alarm.id, event.sample) for event in events] == [(Change.ENDED, "2", 5800)]
    events = play(board, 1, seen(AlarmKind.ASYSTOLE), seen(AlarmKind.LEAD_OFF, lead="V1"), first=6600)
    assert [(event.change, event.alarm.id) for event in events] == [(Change.RAISED, "x")]


def test_where_alarms_are_off_what_is_on_ends_and_that_is_the_only_alarm() -> None:
    board = AlarmBoard(RATE_HZ, counted_ids())
    grave = (seen(AlarmKind.ASYSTOLE), seen(AlarmKind.LEAD_OFF))
    before = play(board, 5, *grave)
    events = play(board, 40, *grave, first=125, settings=OFF)
    assert [(event.change, event.alarm.kind, event.sample) for event in events] == [
        (Change.ENDED, AlarmKind.ASYSTOLE, 125),
        (Change.ENDED, AlarmKind.LEAD_OFF, 125),
        (Change.RAISED, AlarmKind.ALARMS_OFF, 125),
    ]
    assert [event.alarm for event in events[:2]] == [event.alarm for event in before]
    events = play(board, 1, seen(AlarmKind.ASYSTOLE), first=1125)
    assert {(event.change, event.alarm.kind) for event in events} == {
        (Change.ENDED, AlarmKind.ALARMS_OFF),
        (Change.RAISED, AlarmKind.ASYSTOLE),
    }


def test_what_was_known_before_alarms_were_off_makes_no_alarm_due_afterwards() -> None:
    board = AlarmBoard(RATE_HZ, counted_ids())
    play(board, 7, seen(AlarmKind.HR_HIGH, 130.0))
    play(board, 4, seen(AlarmKind.HR_HIGH, 130.0), first=175, settings=OFF)
    events = play(board, 9, seen(AlarmKind.HR_HIGH, 130.0), first=275)
    assert [(event.change, event.sample) for event in events] == [(Change.ENDED, 275), (Change.RAISED, 475)]


def test_data_that_come_again_end_their_alarm_at_once_also_behind_a_gap() -> None:
    board = AlarmBoard(RATE_HZ, counted_ids())
    play(board, 1, seen(AlarmKind.NO_DATA))
    board.gap(5000)
    assert changes(play(board, 1, first=5025)) == [Change.ENDED]
