"""A process knows of each alarm all that anybody has told it, and says what is new."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from streaming.core.alarm_record import AlarmRecord
from streaming.core.alarm_register import REMEMBERED_S, AlarmRegister
from tests.core.test_alarm_record import FACTS, records

RAISED = AlarmRecord(FACTS, 10.0)
CLOSED = replace(RAISED, cleared_ms=20.0, acknowledged_ms=19.0, acknowledged_by="ann")


def test_what_was_known_already_is_no_news() -> None:
    register = AlarmRegister()
    assert register.take(RAISED, 0.0) == RAISED
    assert register.take(RAISED, 1.0) is None
    acknowledged = replace(RAISED, acknowledged_ms=15.0, acknowledged_by="ann")
    assert register.take(acknowledged, 2.0) == acknowledged
    assert register.take(RAISED, 3.0) is None
    assert register.get("a1") == acknowledged
    assert register.open() == [acknowledged]


def test_a_closed_alarm_is_not_opened_by_what_comes_late() -> None:
    register = AlarmRegister()
    register.take(RAISED, 0.0)
    assert register.take(CLOSED, 1.0) == CLOSED
    assert register.take(RAISED, 2.0) is None
    assert (register.open(), list(register.open_of("s1"))) == ([], [])
    assert register.get("a1") == CLOSED


def test_alarms_are_found_by_their_stream() -> None:
    register = AlarmRegister()
    other = AlarmRecord(replace(FACTS, alarm="a2"), 11.0)
    elsewhere = AlarmRecord(replace(FACTS, alarm="a3", stream="s2"), 11.0)
    for record in (RAISED, other, elsewhere):
        register.take(record, 0.0)
    assert list(register.open_of("s1")) == [RAISED, other]
    register.take(CLOSED, 1.0)
    assert list(register.open_of("s1")) == [other]
    assert list(register.open_of("unknown")) == []


def test_what_was_closed_long_ago_is_forgotten() -> None:
    register = AlarmRegister()
    register.take(CLOSED, 0.0)
    register.take(replace(CLOSED, displayed_ms=12.0), 300.0)  # news of it is no second life
    register.take(replace(CLOSED, facts=replace(FACTS, alarm="a2")), 300.0)
    register.forget(REMEMBERED_S - 0.1)
    assert register.get("a1") is not None
    register.forget(REMEMBERED_S)
    assert register.get("a1") is None
    assert register.get("a2") is not None
    register.forget(300.0 + REMEMBERED_S)
    assert register.get("a2") is None


@given(st.lists(records, max_size=6), st.randoms(use_true_random=False))
def test_the_order_in_which_things_are_heard_does_not_matter(known: list[AlarmRecord], rng: object) -> None:
    one, other = AlarmRegister(), AlarmRegister()
    for record in known:
        one.take(record, 0.0)
    shuffled = list(known)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]  # random.Random, as hypothesis gives it
    for record in shuffled:
        other.take(record, 0.0)
    assert one.open() == other.open()
    assert one.get("a1") == other.get("a1")
