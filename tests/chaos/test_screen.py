"""A screen draws each alarm once, and takes away what is closed or named no more."""

from __future__ import annotations

from dataclasses import dataclass

from streaming.core.alarm_record import AlarmState
from tests.chaos.screen import SETTLING_S, Screen


@dataclass(frozen=True, slots=True)
class Said:
    alarm: str
    state: AlarmState = AlarmState.ACTIVE


def test_an_alarm_is_drawn_once_and_taken_away_when_it_is_closed() -> None:
    screen = Screen()
    states = (AlarmState.ACTIVE, AlarmState.ENDED, AlarmState.CLOSED, AlarmState.ACTIVE)
    assert [screen.hear(Said("a", state), 0.0) for state in states] == [True, None, False, None]
    assert (list(screen.shown), screen.told_again) == ([], 2)


def test_one_that_is_not_named_goes_unless_it_is_told_soon() -> None:
    screen = Screen()
    for alarm in ("named", "silent", "told"):
        screen.hear(Said(alarm), 0.0)
    assert screen.keep({"named"}, 10.0) == []
    screen.hear(Said("told"), 11.0)
    assert screen.settle(10.0 + SETTLING_S - 0.1) == []
    assert screen.settle(10.0 + SETTLING_S) == ["silent"]
    assert set(screen.shown) == {"named", "told"}


def test_one_that_was_not_named_and_comes_again_is_drawn_again() -> None:
    screen = Screen()
    screen.hear(Said("a"), 0.0)
    screen.keep([], 100.0)
    assert screen.settle(100.0 + SETTLING_S) == ["a"]
    assert screen.hear(Said("a"), 101.0 + SETTLING_S)
