"""Whether the table of open alarms is what the journal's entries add up to; at a start it is not trusted."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from django.db import transaction
from django.db.models import Exists, Max, OuterRef, Q

from streaming.core.alarm_record import AlarmEntry, AlarmRecord, AlarmStep, folded
from streaming.models_chain import CheckpointKind
from streaming.models_checkpoints import JournalCheckpoint
from streaming.models_journal import JournalEntry, OpenAlarm
from streaming.store import journal_rows
from streaming.store.routing import JOURNAL

logger = logging.getLogger(__name__)

AT_ONCE = 200
"""Alarms, whose writers wait some milliseconds where one of them is looked at twice."""
START_ROWS = 20_000
"""The newest entries, among which a start looks for alarms that the table lacks: 50 ms on a core of 2026."""
LATCHING = '"latching":true'
"""In the canonical JSON of facts: within a text its quotes would have backslashes before them."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What the table says of an alarm, and its entries do not."""

    alarm: str
    text: str

    def __str__(self) -> str:
        return f"open alarm {self.alarm}: {self.text}"


@dataclass(slots=True)
class _Known:
    """The entries of an alarm, as far as they change its record."""

    entries: list[AlarmEntry]
    is_readable: bool = True
    """By this version: what another one wrote cannot be judged."""


def at_start() -> list[AlarmRecord]:
    """All alarms that are open; blocks, six short queries, whatever the journal holds.

    What the table lacks of the newest entries' alarms, and what it says of an acknowledgement or an end that
    no entry has, is by the entries, and logged. All other differences `verify_audit` finds.
    """
    found = {record.alarm: record for record in journal_rows.open_alarms()}
    last = JournalEntry.objects.aggregate(last=Max("pk"))["last"] or 0
    doubted = [*_lacking(last - START_ROWS), *_overstated(found)]
    wrong: list[str] = []
    for alarms in _parts(doubted):
        for alarm, known in _known(alarms).items():
            record = folded(known.entries)
            if known.is_readable and record is not None:
                found[alarm] = record
                wrong.append(alarm)
    if wrong:
        logger.error(
            "the table of open alarms is wrong about %d, which are as their entries say: run verify_audit",
            len(wrong),
        )
    return list(found.values())


def differences() -> list[Difference]:
    """All that there are; blocks for two seconds a million entries. Servers may go on meanwhile."""
    return [difference for alarms in _parts(_suspects()) for difference in _looked_at(alarms)]


def repair() -> list[Difference]:
    """Let the table be what the entries say; what it was. Blocks as `differences` does.

    A row of an alarm that no entry raises stays: it may be the last that is known of it.
    """
    return [
        difference for alarms in _parts(_suspects()) for difference in _looked_at(alarms, is_repaired=True)
    ]


def _suspects() -> list[str]:
    """Alarms that are not what their entries say, or were just being written."""
    rows = OpenAlarm.objects.order_by("alarm").values_list("alarm", flat=True)
    wrong = [each.alarm for alarms in _parts(rows.iterator()) for each in _compared(alarms)]
    return [*wrong, *_lacking(0)]


def _looked_at(alarms: Sequence[str], *, is_repaired: bool = False) -> list[Difference]:
    """Those of them that differ, while nobody writes them."""
    with transaction.atomic(using=JOURNAL):
        journal_rows.hold(alarms)
        found = list(_compared(alarms))
        if is_repaired:
            entries = {
                alarm: known.entries for alarm, known in _known([each.alarm for each in found]).items()
            }
            folds = {alarm: folded(of_alarm) for alarm, of_alarm in entries.items()}
            records = {alarm: record for alarm, record in folds.items() if record is not None}
            journal_rows.keep_open(OpenAlarm.objects.in_bulk(list(records)), records)
            found = [each for each in found if each.alarm in records]
    return found


def _compared(alarms: Sequence[str]) -> Iterator[Difference]:
    rows = dict(OpenAlarm.objects.filter(alarm__in=alarms).values_list("alarm", "record"))
    known = _known(alarms)
    for alarm in alarms:
        if (text := _difference(alarm, rows.get(alarm), known.get(alarm, _Known([])))) is not None:
            yield Difference(alarm, text)


def _difference(alarm: str, row: str | None, known: _Known) -> str | None:
    """What is wrong with a row, or with there being none."""
    record = folded(known.entries)
    if not known.is_readable:
        return None
    if record is None:
        return None if row is None else "it is in the table, and no entry raises it"
    if record.is_closed:
        return None if row is None else "it is in the table, and its entries have it closed"
    if row is None:
        return f"it is not in the table, and its entries have it {record.state.value}"
    stored = journal_rows.record_of(alarm, row)
    if stored is None:
        return "its row in the table cannot be read"
    names = ("raised_ms", "cleared_ms", "acknowledged_ms", "acknowledged_by", "displayed_ms")
    wrong = [name for name in names if getattr(stored, name) != getattr(record, name)]
    # Of two revisions that two processes made at once, with the same words, either may be the one.
    last = (record.facts.revision, record.facts.text)
    if stored.facts not in [each.facts for each in known.entries if each.facts and _version(each) == last]:
        wrong.append("facts")
    return f"its row in the table has another {', another '.join(wrong)} than its entries" if wrong else None


def _version(entry: AlarmEntry) -> tuple[int, str] | None:
    return None if entry.facts is None else (entry.facts.revision, entry.facts.text)


def _known(alarms: Sequence[str]) -> dict[str, _Known]:
    found: dict[str, _Known] = defaultdict(lambda: _Known([]))
    for row in JournalEntry.objects.filter(alarm__in=alarms, step__in=journal_rows.STEPS).iterator():
        entry = journal_rows.entry_of(row)
        known = found[row.alarm]
        known.entries.append(entry)
        known.is_readable &= not row.facts or entry.facts is not None
    return dict(found)


def _lacking(after: int) -> list[str]:
    """Alarms that were raised by an entry after this one, are open by their entries, and not in the table."""
    entries = JournalEntry.objects.filter(alarm=OuterRef("alarm"))
    is_cleared = Exists(entries.filter(step=AlarmStep.CLEARED.value))
    is_acknowledged = Exists(entries.filter(step=AlarmStep.ACKNOWLEDGED.value))
    raised = JournalEntry.objects.filter(pk__gt=after, step=AlarmStep.RAISED.value)
    if (since := _whole_since()) is not None:
        raised = raised.filter(at__gt=since)
    is_open = ~is_cleared | (Q(facts__contains=LATCHING) & ~is_acknowledged)
    lacking = raised.filter(is_open, ~Exists(OpenAlarm.objects.filter(alarm=OuterRef("alarm"))))
    return list(lacking.order_by("pk").values_list("alarm", flat=True))


def _whole_since() -> datetime | None:
    """Of alarms that were raised later, no entry was pruned; None where nothing was.

    What was pruned ended at a checkpoint of a head, and was older than that.
    """
    begins = JournalCheckpoint.objects.filter(
        kind=CheckpointKind.BEGIN.value, writer=OuterRef("writer"), seq=OuterRef("seq")
    )
    heads = JournalCheckpoint.objects.filter(Exists(begins), kind=CheckpointKind.HEAD.value)
    since: datetime | None = heads.aggregate(since=Max("at"))["since"]
    return since


def _overstated(found: dict[str, AlarmRecord]) -> list[str]:
    """Whose rows say that they have ended, or that somebody has acknowledged them, and no entry does."""
    said = {
        (alarm, step.value)
        for alarm, record in found.items()
        for step, at_ms in (
            (AlarmStep.CLEARED, record.cleared_ms),
            (AlarmStep.ACKNOWLEDGED, record.acknowledged_ms),
        )
        if at_ms is not None
    }
    steps = {step for _alarm, step in said}
    for alarms in _parts(sorted({alarm for alarm, _step in said})):
        entries = JournalEntry.objects.filter(alarm__in=alarms, step__in=steps)
        said -= set(entries.values_list("alarm", "step"))
    return sorted({alarm for alarm, _step in said})


def _parts(alarms: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(alarms)
    while part := list(islice(rest, AT_ONCE)):
        yield part
