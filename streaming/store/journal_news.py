"""Which alarms have news: what any process has written to the journal since it was last looked at."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from django.db import connections
from django.db.models import Max, Q

from streaming.core.alarm_record import AlarmRecord
from streaming.models_journal import JournalEntry
from streaming.store import journal_rows, open_alarms
from streaming.store.routing import JOURNAL

PAGE_ROWS = 1000
ALARMS_AT_ONCE = 500
HOLE_S = 300.0
"""How long a number that is missing may still come: longer than any transaction that was not given up."""
MAX_HOLES = 100


@dataclass(frozen=True, slots=True)
class _Hole:
    """Row numbers that were not there when later ones were: of a transaction in progress, or of none."""

    first: int
    last: int
    since_s: float


class News:
    """Reads on where it last ended. Its functions block, and one thread calls them.

    PostgreSQL gives a row its number when it is inserted and shows it when it is committed: a number that
    is missing below others is looked for again, for `HOLE_S`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: int | None = None
        """The highest number seen; None before the first look."""
        self._holes: list[_Hole] = []
        self._touched: dict[str, None] = {}
        """Alarms that have news, in the order of these."""

    def read(self) -> list[AlarmRecord]:
        """The records of alarms that have news, at first of all that are open; an empty list when none has.

        At most 500 of them: who is given any asks again. One query when nothing has happened. Raises
        django.db.Error, and tells the next time what it would have told.
        """
        if self._last is None:
            begun = self._begin()
            found = open_alarms.at_start()
            self._last = begun
            return found
        while self._look(self._last):
            pass
        alarms = list(self._touched)[:ALARMS_AT_ONCE]
        found = journal_rows.records(alarms) if alarms else []
        for alarm in alarms:
            del self._touched[alarm]
        return found

    def _begin(self) -> int:
        """Where news begin; what is being written just now is missing below that."""
        last = JournalEntry.objects.aggregate(last=Max("pk"))["last"] or 0
        if connections[JOURNAL].vendor == "postgresql":
            first = max(0, last - PAGE_ROWS)
            recent = JournalEntry.objects.filter(pk__gt=first, pk__lte=last).order_by("pk")
            self._holes = list(self._between(first, recent.values_list("pk", flat=True)))
        return last

    def _look(self, last: int) -> bool:
        """Note one page of what is new; whether there is more."""
        low = min((hole.first for hole in self._holes), default=last + 1)
        wanted = Q(pk__gt=last)
        for hole in self._holes:
            wanted |= Q(pk__range=(hole.first, hole.last))
        rows = list(
            JournalEntry.objects.filter(wanted, pk__gte=low)
            .order_by("pk")
            .values_list("pk", "alarm")[:PAGE_ROWS]
        )
        self._touched.update((alarm, None) for _number, alarm in rows)
        numbers = [number for number, _alarm in rows]
        late = [number for number in numbers if number <= last]
        fresh = [number for number in numbers if number > last]
        holes = [left for hole in self._holes for left in _without(hole, late)]
        holes += self._between(last, fresh)
        oldest = self._clock() - HOLE_S
        self._holes = [hole for hole in holes if hole.since_s > oldest][-MAX_HOLES:]
        self._last = fresh[-1] if fresh else last
        return len(rows) == PAGE_ROWS

    def _between(self, last: int, numbers: Iterable[int]) -> Iterator[_Hole]:
        now = self._clock()
        for number in numbers:
            if number > last + 1:
                yield _Hole(last + 1, number - 1, now)
            last = number


def _without(hole: _Hole, numbers: Iterable[int]) -> Iterator[_Hole]:
    """What is left of a hole in which these have appeared, in order."""
    first = hole.first
    for number in numbers:
        if first <= number <= hole.last:
            if number > first:
                yield _Hole(first, number - 1, hole.since_s)
            first = number + 1
    if first <= hole.last:
        yield _Hole(first, hole.last, hole.since_s)
