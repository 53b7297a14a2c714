"""What an alarm is: its kind, how grave it is, how it travels, and what it rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from streaming.core.alarm_record import AlarmSeverity
from streaming.core.priority import MessagePriority


class AlarmKind(StrEnum):
    """What the alarm is about; the first five are lethal."""

    ASYSTOLE = "asystole"
    FIBRILLATION = "fibrillation"
    VENTRICULAR_TACHYCARDIA = "ventricular tachycardia"
    EXTREME_TACHYCARDIA = "extreme tachycardia"
    EXTREME_BRADYCARDIA = "extreme bradycardia"
    HR_HIGH = "hr high"
    HR_LOW = "hr low"
    LEAD_OFF = "lead off"
    NO_SIGNAL = "no signal"
    ARRHYTHMIA_OFF = "arrhythmia off"
    NO_DATA = "no data"
    ALARMS_OFF = "alarms off"


@dataclass(frozen=True, slots=True)
class Traits:
    """What all alarms of a kind have in common."""

    title: str
    severity: AlarmSeverity
    priority: MessagePriority
    latching: bool
    """It stays, after its condition has ended, until somebody acknowledges it."""
    covers: frozenset[AlarmKind] = frozenset()
    """What is not raised beside it: the same, told less gravely."""


_LETHAL = (AlarmSeverity.HIGH, MessagePriority.CRITICAL, True)
_LIMIT = (AlarmSeverity.MEDIUM, MessagePriority.CRITICAL, False)
_OUT_OF_ORDER = (AlarmSeverity.TECHNICAL, MessagePriority.CRITICAL, False)
_FAST = frozenset({AlarmKind.HR_HIGH})
_SLOW = frozenset({AlarmKind.HR_LOW})
_RUN = _FAST | {AlarmKind.EXTREME_TACHYCARDIA}
TRAITS: Mapping[AlarmKind, Traits] = MappingProxyType(
    {
        AlarmKind.ASYSTOLE: Traits("ASYSTOLE", *_LETHAL, _SLOW | {AlarmKind.EXTREME_BRADYCARDIA}),
        AlarmKind.FIBRILLATION: Traits(
            "VENT FIB/FLUTTER",
            *_LETHAL,
            _RUN | _SLOW | {AlarmKind.VENTRICULAR_TACHYCARDIA, AlarmKind.EXTREME_BRADYCARDIA},
        ),
        AlarmKind.VENTRICULAR_TACHYCARDIA: Traits("VENT TACHY", *_LETHAL, _RUN),
        AlarmKind.EXTREME_TACHYCARDIA: Traits("EXTREME TACHY", *_LETHAL, _FAST),
        AlarmKind.EXTREME_BRADYCARDIA: Traits("EXTREME BRADY", *_LETHAL, _SLOW),
        AlarmKind.HR_HIGH: Traits("HR", *_LIMIT),
        AlarmKind.HR_LOW: Traits("HR", *_LIMIT),
        AlarmKind.LEAD_OFF: Traits("LEAD OFF", AlarmSeverity.TECHNICAL, MessagePriority.HIGH, False),
        AlarmKind.NO_SIGNAL: Traits("NO ECG SIGNAL", *_OUT_OF_ORDER),
        AlarmKind.ARRHYTHMIA_OFF: Traits("ARRHYTHMIA OFF", *_OUT_OF_ORDER),
        AlarmKind.NO_DATA: Traits("NO DATA", *_OUT_OF_ORDER),
        AlarmKind.ALARMS_OFF: Traits("ALARMS OFF", AlarmSeverity.LOW, MessagePriority.HIGH, latching=False),
    }
)


_WITHOUT_VALUE = frozenset({AlarmKind.NO_DATA, AlarmKind.ALARMS_OFF})


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured, against which limit, and where in the record it can be seen."""

    value: float
    limit: float
    unit: str
    first: int
    stop: int
    """The strip: samples `first` to `stop` (exclusive) show it; the event began at `first`."""
    lead: str
    """Where it is seen best; several names, with commas, where it takes several leads to see it."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that calls for an alarm, as of one moment."""

    kind: AlarmKind
    evidence: Evidence
    is_held: bool = False
    """The value is within the limit again, but not by the hysteresis."""

    @property
    def text(self) -> str:
        """What people read: the value and the limit that it passed, as in "HR 134 > 120"."""
        title, seen = TRAITS[self.kind].title, self.evidence
        if self.kind in _WITHOUT_VALUE:
            return title
        if self.kind is AlarmKind.ARRHYTHMIA_OFF:  # without a limit the analysis has failed, else the signal
            return f"{title} {seen.value:.1f} < {seen.limit:g} s UNBROKEN" if seen.limit else title
        if self.kind is AlarmKind.LEAD_OFF:
            return f"{title} {seen.lead}"
        if seen.unit == "bpm":
            # Rounded towards the alarm: 39.6 is not told as "40 < 40".
            below = self.kind in {AlarmKind.HR_LOW, AlarmKind.EXTREME_BRADYCARDIA}
            value = math.floor(seen.value) if below else math.ceil(seen.value)
            return f"{title} {value} {'<' if below else '>'} {seen.limit:g}"
        return f"{title} {seen.value:.1f} >= {seen.limit:g} {seen.unit}"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm of an epoch, from when it is raised until its condition ends.

    After IEC 60601-1-8: the condition delay runs from the event in the patient until the system knows of it,
    the signal delay from then until it is told; what transport and display add to the latter comes on top.
    """

    id: str
    condition: Condition
    raised_at: int
    """The sample index at which it was raised."""
    condition_delay_s: float
    signal_delay_s: float

    @property
    def kind(self) -> AlarmKind:
        return self.condition.kind

    @property
    def severity(self) -> AlarmSeverity:
        return TRAITS[self.kind].severity

    @property
    def priority(self) -> MessagePriority:
        return TRAITS[self.kind].priority

    @property
    def latching(self) -> bool:
        return TRAITS[self.kind].latching


class Change(StrEnum):
    """What happened to an alarm. An ended one that is latching stays until it is acknowledged."""

    RAISED = "raised"
    UPDATED = "updated"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class AlarmEvent:
    """A change of an alarm, at a sample index."""

    change: Change
    alarm: Alarm
    sample: int
