"""The messages of vital.v1 that are about alarms: what clients say of them, and how the server tells them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from streaming.core.alarm_record import AlarmRecord, AlarmSeverity
from streaming.core.fields import Fields
from streaming.core.strict_json import to_json
from streaming.exceptions import ProtocolError

ALARM_ID = re.compile(r"[A-Za-z0-9_.-]{1,160}")
DEVICE_ALARM_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
ALARM_KIND = re.compile(r"[a-z][a-z ]{0,31}")
MAX_DISPLAYED = 64
"""Alarms in one report of what a page shows."""
MAX_ALARM_TEXT = 80
MAX_LEADS_TEXT = 64
MAX_PAUSE_S = 600
"""The longest that sound is paused at once."""
ALARMS_OFF_KIND = "alarms off"
"""A page makes no sound for it, and takes it for the state of the switch: the server's own."""
_SAMPLE_LIMIT = 2**32
_VALUE_LIMIT = 1e9


@dataclass(frozen=True, slots=True)
class AlarmsDisplayed:
    """These alarms are drawn on the viewer's page; `hidden`: in a tab that nobody sees now."""

    alarms: tuple[str, ...]
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class AlarmAck:
    """The viewer's user has seen to an alarm."""

    alarm: str


@dataclass(frozen=True, slots=True)
class AudioPause:
    """No sound for so many seconds; 0 ends a pause."""

    seconds: int


@dataclass(frozen=True, slots=True)
class AlarmsOff:
    """Alarms of the patient of `stream` are to be off, or on again."""

    stream: str
    off: bool


@dataclass(frozen=True, slots=True)
class DeviceAlarm:
    """A device's own alarm, by its own id: its condition holds (`on`), or has ended at `sample`."""

    alarm: str
    on: bool
    sample: int
    kind: str = ""
    severity: AlarmSeverity = AlarmSeverity.MEDIUM
    text: str = ""
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    lead: str = ""


def read_displayed(fields: Fields) -> AlarmsDisplayed:
    """`alarm_displayed`. Raises ProtocolError."""
    alarms = fields.texts("alarms", most=MAX_DISPLAYED, longest=160, pattern=ALARM_ID)
    return AlarmsDisplayed(alarms, fields.flag("hidden"))


def read_ack(fields: Fields) -> AlarmAck:
    """`alarm_ack`. Raises ProtocolError."""
    return AlarmAck(fields.text("alarm", longest=160, pattern=ALARM_ID))


def read_audio_pause(fields: Fields) -> AudioPause:
    """`audio_pause`. Raises ProtocolError."""
    return AudioPause(fields.integer("seconds", 0, MAX_PAUSE_S))


def read_alarms_off(fields: Fields, stream_id: re.Pattern[str]) -> AlarmsOff:
    """`alarms_off`. Raises ProtocolError."""
    if not fields.has("off"):  # a slip must not switch anything
        raise fields.refusal("off", "is missing")
    return AlarmsOff(fields.text("stream", longest=64, pattern=stream_id), fields.flag("off"))


def read_device_alarm(fields: Fields) -> DeviceAlarm:
    """A device's `alarm`. Raises ProtocolError."""
    alarm = fields.text("alarm", longest=64, pattern=DEVICE_ALARM_ID)
    on = fields.choice("state", ("on", "off")) == "on"
    sample = fields.integer("sample", 0, _SAMPLE_LIMIT - 1)
    if not on:
        return DeviceAlarm(alarm, on, sample)
    kind = fields.text("kind", longest=32, pattern=ALARM_KIND)
    if kind == ALARMS_OFF_KIND:
        raise fields.refusal("kind", "is the server's own")
    return DeviceAlarm(
        alarm,
        on,
        sample,
        kind=kind,
        severity=AlarmSeverity(fields.choice("severity", AlarmSeverity)),
        text=fields.text("text", longest=MAX_ALARM_TEXT),
        value=_optional_number(fields, "value"),
        limit=_optional_number(fields, "limit"),
        unit=fields.optional_text("unit", longest=16) or "",
        lead=fields.optional_text("lead", longest=MAX_LEADS_TEXT) or "",
    )


def check_device_alarm(alarm: DeviceAlarm) -> None:
    """Raise ValueError for an alarm that the server would refuse, for a device's program."""
    spelled = {name: value for name, value in asdict(alarm).items() if value not in (None, "")}
    try:
        read_device_alarm(Fields(spelled | {"state": "on" if alarm.on else "off"}))
    except ProtocolError as error:
        raise ValueError(f"alarm: {error.reason}") from None


def _optional_number(fields: Fields, name: str) -> float | None:
    return fields.number(name, -_VALUE_LIMIT, _VALUE_LIMIT) if fields.has(name) else None


def alarm(record: AlarmRecord) -> str:
    """An alarm as it stands now."""
    facts = record.facts
    return _message(
        "alarm",
        alarm=facts.alarm,
        state=record.state,
        origin=facts.origin,
        stream=facts.stream,
        epoch=facts.epoch,
        ward=facts.ward,
        patient=facts.patient,
        kind=facts.kind,
        severity=facts.severity,
        priority=facts.priority.name.lower(),
        latching=facts.latching,
        text=facts.text,
        value=facts.value,
        limit=facts.limit,
        unit=facts.unit,
        **{"from": facts.first, "to": facts.stop},
        lead=facts.lead,
        sample=facts.sample,
        revision=facts.revision,
        condition_delay_s=round(facts.condition_delay_s, 3),
        signal_delay_s=round(facts.signal_delay_s, 3),
        raised_ms=record.raised_ms,
        cleared_ms=record.cleared_ms,
        acknowledged_ms=record.acknowledged_ms,
        acknowledged_by=record.acknowledged_by,
        unstored=record.unstored,
    )


def alarms(count: int, *, may: Iterable[str], paused_until_ms: float | None) -> str:
    """All alarms that are open for this viewer were told: so many; and what its user may do about them."""
    return _message("alarms", count=count, may=list(may), paused_until_ms=paused_until_ms)


def alarm_withdrawn(alarm_id: str) -> str:
    """An alarm that was told is not for this viewer now; it may be told again."""
    return _message("alarm_withdrawn", alarm=alarm_id)


def audio(paused_until_ms: float | None, *, broken_by: str | None = None) -> str:
    """Until when this viewer makes no sound; None: it does, because an alarm came that is named here."""
    return _message("audio", paused_until_ms=paused_until_ms, broken_by=broken_by)


def refused(of: str, target: str, reason: str) -> str:
    """What the viewer asked for of an alarm or a stream was not done."""
    return _message("refused", of=of, target=target, reason=reason)


def alarm_stored(alarm_id: str, *, on: bool) -> str:
    """A device's alarm, or its end, is safe: it need not be sent again."""
    return _message("alarm_stored", alarm=alarm_id, state="on" if on else "off")


def _message(message_type: str, **values: Any) -> str:
    return to_json({"type": message_type, **values})
