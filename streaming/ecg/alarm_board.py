"""Which alarms are on: from conditions, tick by tick, to alarms that are raised, updated and ended."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterable, Set
from dataclasses import dataclass, replace

from streaming.ecg.alarm_limits import AlarmLimits, AlarmSettings
from streaming.ecg.alarms import TRAITS, Alarm, AlarmEvent, AlarmKind, Change, Condition, Evidence

HOLD_S = 2.0
"""A condition has ended when it has been absent for so long: what flickers is one alarm, not many."""
RATE_HOLD_S = 10.0
RATES = frozenset({AlarmKind.EXTREME_TACHYCARDIA, AlarmKind.EXTREME_BRADYCARDIA})
"""A rate breathes and sways with a period of up to 10 s; at a lethal limit that is one alarm. The other
lethal ones are not held for longer: an episode that begins anew is news, also after an acknowledged one."""
REFRESH_S = 5.0
"""A new value is told at most so often; it is the alarm that matters, not its second digit."""
AFTER_GAP_S = 6.0
SLOW_AFTER_GAP_S = 16.0
SLOW = frozenset({AlarmKind.EXTREME_BRADYCARDIA, AlarmKind.HR_LOW})
STANDSTILL_KNOWN_S = 2.0
"""So long after a gap it is not known whether a condition still holds: a slow rate takes five intervals at
the lowest limit, 20 a minute, and a second; a standstill the patient's own limit, and 2 s to know a beat."""

AT_ONCE = frozenset({AlarmKind.NO_DATA, AlarmKind.ALARMS_OFF})
"""These do not flicker: they end when they do not hold any more."""

NewId = Callable[[], str]
Key = tuple[AlarmKind, str]
"""Leads that are off are told one by one, all else once."""


def counted_ids() -> NewId:
    """Identifiers "1", "2", ... for where nothing else gives any."""
    numbers = itertools.count(1)
    return lambda: str(next(numbers))


@dataclass(slots=True)
class _Standing:
    """A condition that holds or held just now, and its alarm if it was raised."""

    known_at: int
    seen_at: int
    condition: Condition
    alarm: Alarm | None = None
    told_at: int = 0


class AlarmBoard:
    """The alarms of one epoch. Time is the sample index of the last tick.

    `new_id` names each alarm that is raised. `standing` are those that stand already, as another board has
    left them: at `first_sample` it is as if a gap had ended, they are on until they can be judged.
    """

    def __init__(
        self, rate_hz: float, new_id: NewId, *, standing: Iterable[Alarm] = (), first_sample: int = 0
    ) -> None:
        self._rate_hz = rate_hz
        self._new_id = new_id
        self._standing: dict[Key, _Standing] = {
            _key(alarm.condition): _Standing(first_sample, first_sample, alarm.condition, alarm, first_sample)
            for alarm in standing
        }
        self.gap(first_sample)

    @property
    def active(self) -> tuple[Alarm, ...]:
        """Raised, and not ended."""
        return tuple(s.alarm for s in self._standing.values() if s.alarm is not None)

    def holds(self, kind: AlarmKind) -> bool:
        """Whether an alarm of this kind is on."""
        return any(alarm.kind is kind for alarm in self.active)

    def tick(self, now: int, conditions: Iterable[Condition], settings: AlarmSettings) -> list[AlarmEvent]:
        """These conditions hold at `now`, and no other. Where alarms are off, that is the only alarm."""
        if settings.is_off:
            conditions = [_off(now)]
        seen: set[Key] = set()
        events = []
        for condition in conditions:
            seen.add(key := _key(condition))
            standing = self._standing.setdefault(key, _Standing(now, now, condition))
            standing.seen_at = max(standing.seen_at, now)
            if not condition.is_held:
                standing.condition = condition
        if settings.is_off:
            events += self._end(self._standing.keys() - seen, now)
        for standing in self._standing.values():
            if standing.seen_at >= now:
                events += self._tell(standing, now, settings.limits)
        return events + self._end(self._over(now, seen), now)

    def gap(self, resumed_at: int) -> None:
        """Samples before `resumed_at` are missing: what is on stays on until it can be judged again."""
        self._standing = {key: s for key, s in self._standing.items() if s.alarm is not None}
        for (kind, _), standing in self._standing.items():
            unknown_s = SLOW_AFTER_GAP_S if kind in SLOW else AFTER_GAP_S
            if kind is AlarmKind.ASYSTOLE:
                unknown_s = standing.condition.evidence.limit + STANDSTILL_KNOWN_S
            standing.seen_at = resumed_at + round(unknown_s * self._rate_hz)

    def forget(self, ids: Collection[str]) -> None:
        """Somebody else has ended these alarms: a condition that holds all the same is another one."""
        self._standing = {
            key: s for key, s in self._standing.items() if s.alarm is None or s.alarm.id not in ids
        }

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
        standing.alarm = Alarm(
            self._new_id(),
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

    def _over(self, now: int, seen: set[Key]) -> set[Key]:
        """What has been absent for long enough."""
        return {
            key
            for key, standing in self._standing.items()
            if key not in seen and now - standing.seen_at >= self._hold(key[0], standing)
        }

    def _hold(self, kind: AlarmKind, standing: _Standing) -> float:
        """For so many samples it may be absent; what does not flicker ends also if a gap holds the rest."""
        if kind in AT_ONCE:
            return -math.inf
        if standing.alarm is None:
            return 1
        return round((RATE_HOLD_S if kind in RATES else HOLD_S) * self._rate_hz)

    def _end(self, keys: Set[Key], now: int) -> list[AlarmEvent]:
        gone = [self._standing.pop(key) for key in list(self._standing) if key in keys]
        return [AlarmEvent(Change.ENDED, s.alarm, now) for s in gone if s.alarm is not None]


def _off(now: int) -> Condition:
    return Condition(AlarmKind.ALARMS_OFF, Evidence(0.0, 0.0, "", now, now, ""))


def _key(condition: Condition) -> Key:
    return condition.kind, condition.evidence.lead if condition.kind is AlarmKind.LEAD_OFF else ""
