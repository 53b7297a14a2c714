"""Silence has an end, and a new alarm is one."""

from __future__ import annotations

from streaming.core.audio_pauses import AudioPauses


def test_a_pause_ends_by_itself() -> None:
    pauses = AudioPauses()
    pauses.pause("ann", 120, 1.0)
    assert pauses.left_s("ann", 1.0) == 120.0
    assert pauses.left_s("ann", 120.0) == 1.0
    assert pauses.left_s("ann", 121.0) is None
    assert pauses.left_s("bob", 1.0) is None


def test_a_pause_of_nothing_ends_one() -> None:
    pauses = AudioPauses()
    pauses.pause("ann", 120, 0.0)
    pauses.pause("ann", 0, 1.0)
    pauses.pause("bob", 0, 1.0)
    assert pauses.left_s("ann", 1.0) is pauses.left_s("bob", 1.0) is None


def test_a_new_alarm_ends_it_and_says_whether_there_was_one() -> None:
    pauses = AudioPauses()
    pauses.pause("ann", 120, 0.0)
    assert pauses.break_for("ann", 1.0)
    assert not pauses.break_for("ann", 1.0)
    pauses.pause("ann", 1, 0.0)
    assert not pauses.break_for("ann", 1.0)  # over already


def test_what_is_over_takes_no_room() -> None:
    pauses = AudioPauses()
    for second in range(1000):
        pauses.pause(second, 10, second)
    assert len(pauses._until) == 10


def test_those_who_are_not_there_have_sound_again() -> None:
    pauses = AudioPauses()
    pauses.pause("ann", 120, 0.0)
    pauses.pause("bob", 120, 0.0)
    pauses.break_but_for({"bob"})
    assert (pauses.left_s("ann", 1.0), pauses.left_s("bob", 1.0)) == (None, 119.0)
