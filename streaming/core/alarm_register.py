"""All alarms that one process knows of: which are open, and what each has become."""

from __future__ import annotations

from collections.abc import Iterator

from streaming.core.alarm_record import AlarmRecord

REMEMBERED_S = 600.0
"""A closed alarm is known for so much longer: what is heard late of it must not open it again."""


class AlarmRegister:
    """Takes what is heard of alarms, from wherever and however often, and says what is new in it."""

    def __init__(self) -> None:
        self._open: dict[str, AlarmRecord] = {}
        self._by_stream: dict[str, dict[str, None]] = {}
        self._closed: dict[str, tuple[AlarmRecord, float]] = {}
        """With when they were, oldest first."""

    def take(self, record: AlarmRecord, now: float) -> AlarmRecord | None:
        """What is known of the alarm from now on; None where that is nothing new."""
        known = self.get(record.alarm)
        if known is not None:
            record = known.merged(record)
        if record == known:
            return None
        if not record.is_closed:
            self._open[record.alarm] = record
            self._by_stream.setdefault(record.facts.stream, {})[record.alarm] = None
            return record
        if self._open.pop(record.alarm, None) is not None:
            of_stream = self._by_stream[record.facts.stream]
            del of_stream[record.alarm]
            if not of_stream:
                del self._by_stream[record.facts.stream]
        closed_at = self._closed.get(record.alarm, (record, now))[1]
        self._closed[record.alarm] = record, closed_at
        return record

    def get(self, alarm: str) -> AlarmRecord | None:
        """What is known of an alarm, open or closed not long ago."""
        record = self._open.get(alarm)
        return record if record is not None or alarm not in self._closed else self._closed[alarm][0]

    def open(self) -> list[AlarmRecord]:
        """Those that are not closed."""
        return list(self._open.values())

    def open_of(self, stream: str) -> Iterator[AlarmRecord]:
        """Those of one stream; of the system, for the empty one."""
        return (self._open[alarm] for alarm in tuple(self._by_stream.get(stream, ())))

    def forget(self, now: float) -> None:
        """Drop what was closed long ago."""
        for alarm, (_, closed_at) in list(self._closed.items()):
            if now - closed_at < REMEMBERED_S:
                break
            del self._closed[alarm]
