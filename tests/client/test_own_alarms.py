"""A device's own alarms are sent in order, and again until the server has them on disk."""

from __future__ import annotations

import json

from streaming.client.own_alarms import OwnAlarms
from streaming.client.session import Session
from streaming.core.alarm_messages import DeviceAlarm
from streaming.core.alarm_record import AlarmSeverity


def on(alarm: str) -> DeviceAlarm:
    return DeviceAlarm(alarm, True, 5, "vent tachy", AlarmSeverity.HIGH, "VENT TACHY 182 > 100")


def off(alarm: str) -> DeviceAlarm:
    return DeviceAlarm(alarm, False, 9)


def sent(alarms: OwnAlarms) -> list[tuple[str, str]]:
    """All that is unsent, taken."""
    taken = []
    while (text := alarms.take()) is not None:
        message = json.loads(text)
        taken.append((message["alarm"], message["state"]))
    return taken


def test_what_is_not_confirmed_is_sent_again_on_the_next_connection_in_order() -> None:
    alarms = OwnAlarms()
    for alarm in (on("a"), on("b"), off("a")):
        alarms.add(alarm)
    assert sent(alarms) == [("a", "on"), ("b", "on"), ("a", "off")]
    assert sent(alarms) == []
    alarms.confirm("a", on=True)
    alarms.again()
    assert sent(alarms) == [("a", "off"), ("b", "on")]
    assert not alarms.is_settled
    alarms.confirm("b", on=True)
    alarms.confirm("a", on=False)
    alarms.confirm("unknown", on=True)
    assert (alarms.is_settled, alarms.unconfirmed) == (True, 0)


def test_what_has_ended_goes_before_what_begins() -> None:
    alarms = OwnAlarms()
    for alarm in (on("a"), on("b")):
        alarms.add(alarm)
    assert sent(alarms) == [("a", "on"), ("b", "on")]
    alarms.confirm("a", on=True)
    for alarm in (on("c"), off("b"), off("a")):
        alarms.add(alarm)
    assert sent(alarms) == [("a", "off"), ("c", "on"), ("b", "off")]


def test_a_confirmation_of_an_earlier_connection_saves_the_message() -> None:
    alarms = OwnAlarms()
    alarms.add(on("a"))
    alarms.again()
    alarms.confirm("a", on=True)
    assert sent(alarms) == []


def test_an_alarm_overtakes_the_samples_of_its_session_and_keeps_it_open() -> None:
    session = Session()
    session.append(b"payload", 10)
    session.alarms.add(on("a"))
    assert isinstance(session.take(1000), str)
    assert isinstance(session.take(1000), bytes)
    session.confirm(10)
    assert not session.is_settled
    session.resume(10)
    assert isinstance(session.take(1000), str)
    session.alarms.confirm("a", on=True)
    assert session.is_settled
