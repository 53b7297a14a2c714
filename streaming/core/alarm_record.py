"""One alarm as every process and viewer knows it: what it says, and what has become of it since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from streaming.core.priority import MessagePriority


class AlarmSeverity(StrEnum):
    """Clinical severity: how fast somebody must come. How fast the message travels is another field."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    TECHNICAL = "technical"


class AlarmOrigin(StrEnum):
    """Who has found an alarm."""

    ANALYSIS = "analysis"
    """The analysis of the stream's samples."""
    DEVICE = "device"
    SYSTEM = "system"
    """This system, about itself."""


class AlarmStep(StrEnum):
    """What happens to an alarm; each is an entry of the journal, which is only ever added to."""

    RAISED = "raised"
    UPDATED = "updated"
    """Its value is another, or it says so more exactly."""
    PUBLISHED = "published"
    """It was given to the viewers here, and to the layer for those at other processes."""
    DISPLAYED = "displayed"
    ACKNOWLEDGED = "acknowledged"
    CLEARED = "cleared"
    """Its condition has ended."""


class AlarmState(StrEnum):
    """How an alarm stands now."""

    ACTIVE = "active"
    ACKNOWLEDGED = "acknowledged"
    """Somebody has seen to it, and its condition still holds."""
    ENDED = "ended"
    """Its condition has ended, and it waits for somebody to acknowledge it."""
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class AlarmFacts:
    """What an alarm says: about whom, what was measured against which limit, and where it can be seen.

    `stream` is empty for an alarm about the system itself, which everybody sees. `first` to `stop`
    (exclusive) are the samples of `epoch` that show it, on the leads named in `lead`; `sample` is where it
    was raised. `revision` counts up as `text` and the measured value change.
    """

    alarm: str
    origin: AlarmOrigin
    stream: str
    epoch: int
    ward: str
    patient: str
    kind: str
    severity: AlarmSeverity
    priority: MessagePriority
    latching: bool
    text: str
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    first: int = 0
    stop: int = 0
    lead: str = ""
    sample: int = 0
    condition_delay_s: float = 0.0
    signal_delay_s: float = 0.0
    revision: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        plain = {"origin": self.origin.value, "severity": self.severity.value, "priority": int(self.priority)}
        return asdict(self) | plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> AlarmFacts:
        """The inverse of `to_dict`. Raises TypeError or ValueError for what another version wrote."""
        fields = dict(values)
        fields["origin"] = AlarmOrigin(fields["origin"])
        fields["severity"] = AlarmSeverity(fields["severity"])
        fields["priority"] = MessagePriority(fields["priority"])
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class AlarmEntry:
    """One line of the journal: a step of an alarm, who brought it about, and when, by two clocks.

    `facts` come with RAISED and UPDATED. `by` is the name that is shown for an acknowledgement, `hidden`
    says of a display that its page was in the background. `monotonic_s` is the clock of the process that
    wrote: intervals are its differences, whatever happened to the time of day.
    """

    step: AlarmStep
    alarm: str
    at_ms: float
    monotonic_s: float
    actor: str
    facts: AlarmFacts | None = None
    by: str = ""
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class AlarmRecord:
    """The facts, and when what happened, in milliseconds since 1970.

    Two records of one alarm `merged` say what both know, whichever came first and however often: messages
    that are late, lost or doubled leave no trace.
    """

    facts: AlarmFacts
    raised_ms: float
    cleared_ms: float | None = None
    acknowledged_ms: float | None = None
    acknowledged_by: str = ""
    displayed_ms: float | None = None
    unstored: bool = False
    """It is not known to be in the journal yet."""

    @property
    def alarm(self) -> str:
        return self.facts.alarm

    @property
    def state(self) -> AlarmState:
        """One that is not latching ends with its condition; a latching one must be acknowledged as well."""
        if self.cleared_ms is None:
            return AlarmState.ACTIVE if self.acknowledged_ms is None else AlarmState.ACKNOWLEDGED
        open_still = self.facts.latching and self.acknowledged_ms is None
        return AlarmState.ENDED if open_still else AlarmState.CLOSED

    @property
    def is_closed(self) -> bool:
        return self.state is AlarmState.CLOSED

    def merged(self, other: AlarmRecord) -> AlarmRecord:
        """What this and another record of the same alarm know together."""
        acknowledged: tuple[float | None, str] = min(
            (
                (record.acknowledged_ms, record.acknowledged_by)
                for record in (self, other)
                if record.acknowledged_ms is not None
            ),
            default=(None, ""),
        )
        return AlarmRecord(
            max(self.facts, other.facts, key=lambda facts: (facts.revision, facts.text)),
            min(self.raised_ms, other.raised_ms),
            cleared_ms=_earliest(self.cleared_ms, other.cleared_ms),
            acknowledged_ms=acknowledged[0],
            acknowledged_by=acknowledged[1],
            displayed_ms=_earliest(self.displayed_ms, other.displayed_ms),
            unstored=self.unstored and other.unstored,
        )

    def after(self, entry: AlarmEntry) -> AlarmRecord:
        """What is known once this has happened to the alarm."""
        changes: dict[str, Any] = {}
        if entry.facts is not None:
            changes["facts"] = entry.facts
        if entry.step is AlarmStep.CLEARED:
            changes["cleared_ms"] = entry.at_ms
        elif entry.step is AlarmStep.ACKNOWLEDGED:
            changes |= {"acknowledged_ms": entry.at_ms, "acknowledged_by": entry.by}
        elif entry.step is AlarmStep.DISPLAYED:
            changes["displayed_ms"] = entry.at_ms
        return self.merged(replace(self, **changes))

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for the channel layer."""
        return asdict(self) | {"facts": self.facts.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> AlarmRecord:
        """The inverse of `to_dict`. Raises KeyError, TypeError or ValueError as AlarmFacts does."""
        return cls(**{**values, "facts": AlarmFacts.from_dict(values["facts"])})


def folded(entries: Iterable[AlarmEntry]) -> AlarmRecord | None:
    """The record that all entries of one alarm, in any order, add up to; None without its RAISED."""
    entries = list(entries)
    facts = [entry.facts for entry in entries if entry.facts is not None]
    raised = [entry.at_ms for entry in entries if entry.step is AlarmStep.RAISED]
    if not raised or not facts:
        return None
    record = AlarmRecord(max(facts, key=lambda known: (known.revision, known.text)), min(raised))
    for entry in entries:
        record = record.after(entry)
    return record


def _earliest(one: float | None, other: float | None) -> float | None:
    return min((at for at in (one, other) if at is not None), default=None)
