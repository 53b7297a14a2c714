"""The Python SDK: write a device or a viewer in ten lines, without Django."""

from streaming.client.connection import reconnect_delay
from streaming.client.device import Device
from streaming.client.events import (
    Alarm,
    AlarmWithdrawn,
    AudioPaused,
    Denied,
    Disconnected,
    Event,
    Frame,
    Gap,
    NumbersOnly,
    OpenAlarms,
    Quality,
    Refused,
    RosterChanged,
    Stats,
    StreamFormat,
    Vitals,
)
from streaming.client.pacing import Pacer
from streaming.client.viewer import Viewer
from streaming.core.alarm_record import AlarmOrigin, AlarmSeverity, AlarmState
from streaming.core.messages import GapReason, RosterEntry, SignalState
from streaming.core.streams import Lead, Source
from streaming.exceptions import AuthenticationError, ForbiddenError, ProtocolError

__all__ = [
    "Alarm",
    "AlarmOrigin",
    "AlarmSeverity",
    "AlarmState",
    "AlarmWithdrawn",
    "AudioPaused",
    "AuthenticationError",
    "Denied",
    "Device",
    "Disconnected",
    "Event",
    "ForbiddenError",
    "Frame",
    "Gap",
    "GapReason",
    "Lead",
    "NumbersOnly",
    "OpenAlarms",
    "Pacer",
    "ProtocolError",
    "Quality",
    "Refused",
    "RosterChanged",
    "RosterEntry",
    "SignalState",
    "Source",
    "Stats",
    "StreamFormat",
    "Viewer",
    "Vitals",
    "reconnect_delay",
]
