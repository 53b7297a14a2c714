"""Which alarms are on: from conditions, tick by tick, to alarms that are raised, updated and ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from streaming.ecg.alarm_limits import AlarmLimits
from streaming.ecg.alarms import TRAITS, Alarm, AlarmEvent, AlarmKind, Change, Condition

HOLD_S = 2.0
"""A condition has ended when it has been absent for so long: what flickers is one alarm, not many."""
REFRESH_S = 5.0
"""A new value is told at most so often; it is the alarm that matters, not its second digit."""
AFTER_GAP_S = 6.0
"""So long after a gap it is not known whether a condition still holds."""

Key = tuple[AlarmKind, str]
"""Leads that are off are told one by one, all else once."""


@dataclass(slots=True)
class _Standing:
    """A condition that holds or held just now, and its alarm if it was raised."""

    known_at: int
    seen_at: int
    condition: Condition
    alarm: Alarm | None = None
    told_at: int = 0


class AlarmBoard:
    """The alarms of one epoch. Time is the sample index of the last tick."""

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._standing: dict[Key, _Standing] = {}
        self._raised = 0

    @property
    def active(self) -> tuple[Alarm, ...]:
        """Raised, and not ended."""
        return tuple(s.alarm for s in self._standing.values() if s.alarm is not None)

    def holds(self, kind: AlarmKind) -> bool:
        """Whether an alarm of this kind is on."""
        return any(alarm.kind is kind for alarm in self.active)

    def tick(self, now: int, conditions: Iterable[Condition], limits: AlarmLimits) -> list[AlarmEvent]:
        """These conditions hold at `now`, and no other."""
        events = []
        for condition in conditions:
            standing = self._standing.setdefault(_key(condition), _Standing(now, now, condition))
            standing.seen_at = max(standing.seen_at, now)
            if not condition.is_held:
                standing.condition = condition
        for standing in self._standing.values():
            if standing.seen_at >= now:
                events += self._tell(standing, now, limits)
        return events + self._end(now)

    def gap(self, resumed_at: int) -> None:
        """Samples before `resumed_at` are missing: what is on stays on until it can be judged again."""
        self._standing = {key: s for key, s in self._standing.items() if s.alarm is not None}
        for standing in self._standing.values():
            standing.seen_at = resumed_at + round(AFTER_GAP_S * self._rate_hz)

    def _tell(self, standing: _Standing, now: int, limits: AlarmLimits) -> list[AlarmEvent]:
        if standing.alarm is None:
            return self._raise(standing, now, limits)
        if standing.condition.text == standing.alarm.condition.text:
            return []
        if now - standing.told_at < REFRESH_S * self._rate_hz:
            return []
        standing.alarm = replace(standing.alarm, condition=standing.condition)
        standing.told_at = now
        return [AlarmEvent(Change.UPDATED, standing.alarm, now)]

    def _raise(self, standing: _Standing, now: int, limits: AlarmLimits) -> list[AlarmEvent]:
        condition = standing.condition
        limited = condition.kind in {AlarmKind.HR_HIGH, AlarmKind.HR_LOW}
        delay_s = limits.hr_signal_delay_s if limited else 0.0
        if now - standing.known_at < delay_s * self._rate_hz or self._is_covered(condition.kind):
            return []
        self._raised += 1
        standing.alarm = Alarm(
            self._raised,
            condition,
            now,
            (standing.known_at - condition.evidence.first) / self._rate_hz,
            (now - standing.known_at) / self._rate_hz,
        )
        standing.told_at = now
        return [AlarmEvent(Change.RAISED, standing.alarm, now)]

    def _is_covered(self, kind: AlarmKind) -> bool:
        """Whether something graver stands that says it too."""
        return any(kind in TRAITS[other].covers for other, _ in self._standing)

    def _end(self, now: int) -> list[AlarmEvent]:
        hold = round(HOLD_S * self._rate_hz)
        ended = [
            key
            for key, standing in self._standing.items()
            if now - standing.seen_at >= (hold if standing.alarm is not None else 1)
        ]
        gone = [self._standing.pop(key) for key in ended]
        return [AlarmEvent(Change.ENDED, s.alarm, now) for s in gone if s.alarm is not None]


def _key(condition: Condition) -> Key:
    return condition.kind, condition.evidence.lead if condition.kind is AlarmKind.LEAD_OFF else ""
