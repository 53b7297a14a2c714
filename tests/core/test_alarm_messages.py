"""What clients say of alarms is read strictly, and told in words that name the field."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from streaming.core.alarm_messages import (
    AlarmAck,
    AlarmsDisplayed,
    AlarmsOff,
    AudioPause,
    DeviceAlarm,
    check_device_alarm,
)
from streaming.core.alarm_record import AlarmSeverity
from streaming.core.client_messages import device_alarm
from streaming.core.fields import Fields
from streaming.core.messages import parse_device_message, parse_viewer_message
from streaming.exceptions import ProtocolError

ON = {
    "type": "alarm",
    "alarm": "d-1",
    "state": "on",
    "sample": 7,
    "kind": "vent tachy",
    "severity": "high",
    "text": "VENT TACHY 182 > 100",
}


def viewer(**values: Any) -> object:
    return parse_viewer_message(json.dumps(values))


def device(**changes: Any) -> object:
    return parse_device_message(json.dumps(ON | changes))


def test_what_a_viewer_says_becomes_values() -> None:
    assert viewer(type="alarm_displayed", alarms=["a", "b.1"]) == AlarmsDisplayed(("a", "b.1"))
    assert viewer(type="alarm_displayed", alarms=["a"], hidden=True) == AlarmsDisplayed(("a",), hidden=True)
    assert viewer(type="alarm_ack", alarm="a") == AlarmAck("a")
    assert viewer(type="audio_pause", seconds=120) == AudioPause(120)
    assert viewer(type="alarms_off", stream="s1", off=True) == AlarmsOff("s1", off=True)
    assert viewer(type="alarms_off", stream="s1", off=False) == AlarmsOff("s1", off=False)


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ({"type": "alarm_displayed"}, "alarms"),
        ({"type": "alarm_displayed", "alarms": ["a"] * 65}, "alarms"),
        ({"type": "alarm_displayed", "alarms": ["a b"]}, "alarms"),
        ({"type": "alarm_displayed", "alarms": ["a"], "hidden": 1}, "hidden"),
        ({"type": "alarm_ack", "alarm": "x" * 161}, "alarm"),
        ({"type": "audio_pause", "seconds": 601}, "seconds"),
        ({"type": "audio_pause", "seconds": -1}, "seconds"),
        ({"type": "alarms_off", "stream": "s"}, "off"),
        ({"type": "alarms_off", "stream": "s", "off": None}, "off"),
        ({"type": "alarms_off", "stream": "a/b", "off": True}, "stream"),
    ],
)
def test_what_is_wrong_is_named(message: dict[str, Any], named: str) -> None:
    with pytest.raises(ProtocolError, match=named):
        viewer(**message)


def test_an_alarm_of_a_device_is_read_as_it_was_written() -> None:
    plain = DeviceAlarm("d-1", True, 7, "vent tachy", AlarmSeverity.HIGH, "VENT TACHY 182 > 100")
    whole = DeviceAlarm(
        "d-1",
        True,
        7,
        "vent tachy",
        AlarmSeverity.HIGH,
        "VT",
        value=182.0,
        limit=100.0,
        unit="bpm",
        lead="II",
    )
    ended = DeviceAlarm("d-1", False, 9)
    assert device() == plain
    for alarm in (plain, whole, ended):
        assert parse_device_message(device_alarm(alarm)) == alarm


def test_an_empty_text_is_told_from_one_that_is_missing() -> None:
    fields = Fields({"stream": "", "lead": "II", "unit": None})
    assert [fields.is_empty(name) for name in ("stream", "lead", "unit", "text")] == [
        True,
        False,
        False,
        False,
    ]


def test_a_device_s_program_is_told_before_the_server_refuses() -> None:
    good = DeviceAlarm("d-1", True, 7, "vent tachy", AlarmSeverity.HIGH, "VENT TACHY", value=182.0)
    check_device_alarm(good)
    check_device_alarm(DeviceAlarm("d-1", False, 7))
    with pytest.raises(ValueError, match="alarm: text is missing"):
        check_device_alarm(replace(good, text=""))
    with pytest.raises(ValueError, match="alarm: alarm has characters"):
        check_device_alarm(replace(good, alarm="a.b"))


@pytest.mark.parametrize(
    "changes",
    [
        {"alarm": "a.b"},
        {"state": "maybe"},
        {"sample": 2**32},
        {"kind": "VT"},
        {"kind": "alarms off"},
        {"kind": None},
        {"severity": "grave"},
        {"text": ""},
        {"text": "x" * 81},
        {"value": 1e10},
        {"unit": "x" * 17},
        {"lead": 5},
    ],
)
def test_an_alarm_that_a_device_spells_wrongly_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match=next(iter(changes))):
        device(**changes)
