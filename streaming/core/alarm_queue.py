"""Alarms that one viewer is still to be told of, in the order in which they want somebody."""

from __future__ import annotations

from streaming.core.alarm_record import AlarmRecord, AlarmSeverity, AlarmState

_GRAVEST_FIRST = (AlarmSeverity.HIGH, AlarmSeverity.MEDIUM, AlarmSeverity.TECHNICAL, AlarmSeverity.LOW)
URGENT = 0
"""The rank of what is lethal, holds, and was seen by nobody."""
OLDEST_EVERY = 3
"""Of so many one is what has waited longest: that alarms are over must be told too, however many begin."""


def rank_of(record: AlarmRecord) -> int:
    """How soon an alarm is told, from 0: by severity, then what is seen to or over, likewise."""
    severity = _GRAVEST_FIRST.index(record.facts.severity)
    return severity if record.state is AlarmState.ACTIVE else severity + len(_GRAVEST_FIRST)


class AlarmQueue:
    """Ids by rank, and now and then the oldest; of one rank, first come, first served. Pure."""

    def __init__(self) -> None:
        self._taken = 0
        self._ranks: list[dict[str, None]] = [{} for _ in range(2 * len(_GRAVEST_FIRST))]
        self._rank_of: dict[str, int] = {}
        """In the order in which they came."""

    def __len__(self) -> int:
        return len(self._rank_of)

    def put(self, alarm: str, rank: int) -> None:
        """Let it wait; one that waits already moves only where its rank is another."""
        if self._rank_of.get(alarm) != rank:
            self.discard(alarm)
            self._rank_of[alarm] = rank
            self._ranks[rank][alarm] = None

    def discard(self, alarm: str) -> None:
        """It need not be told of any more."""
        rank = self._rank_of.pop(alarm, None)
        if rank is not None:
            del self._ranks[rank][alarm]

    def take(self, *, urgent_only: bool = False) -> str | None:
        """What comes next, which waits no more; None where nothing does, or nothing urgent."""
        if urgent_only:
            alarm = next(iter(self._ranks[URGENT]), None)
        elif self._taken % OLDEST_EVERY == OLDEST_EVERY - 1:
            alarm = next(iter(self._rank_of), None)
        else:
            alarm = next((next(iter(ids)) for ids in self._ranks if ids), None)
        if alarm is not None:
            self._taken += not urgent_only
            self.discard(alarm)
        return alarm
