"""The journal's rows: each entry once, in a chain of hashes, and what the entries of an alarm add up to."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from django.db import connections, transaction

from streaming.core.alarm_record import AlarmEntry, AlarmFacts, AlarmRecord, AlarmStep, folded
from streaming.models_journal import JournalEntry, OpenAlarm
from streaming.store import chain
from streaming.store.chain import Head
from streaming.store.routing import JOURNAL

logger = logging.getLogger(__name__)

STEPS = [step.value for step in AlarmStep if step is not AlarmStep.PUBLISHED]
"""Those that change a record."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Line:
    """An entry as it is stored and spooled. `key` is made of what `text` says: equal entries are one."""

    key: str
    text: str
    entry: AlarmEntry


def line_of(entry: AlarmEntry) -> Line:
    """The line of an entry. Raises ValueError for a time or an id that none can be."""
    text = _json(
        {
            "step": entry.step.value,
            "alarm": entry.alarm,
            "at_ms": _number(entry.at_ms),
            "monotonic_s": _number(entry.monotonic_s),
            "actor": _storable(entry.actor),
            "facts": None if entry.facts is None else entry.facts.to_dict(),
            "by": _storable(entry.by),
            "hidden": entry.hidden,
        }
    )
    return parsed(text)


def parsed(text: str) -> Line:
    """The line that has this text. Raises ValueError for what is no entry."""
    try:
        fields = json.loads(text)
        facts = fields["facts"]
        fields["facts"] = None if facts is None else AlarmFacts.from_dict(facts)
        fields["step"] = AlarmStep(fields["step"])
        entry = AlarmEntry(**fields)
        _utc(entry.at_ms)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"not an entry of the journal: {type(error).__name__}") from error
    if not math.isfinite(entry.monotonic_s) or entry.alarm != _storable(entry.alarm):
        raise ValueError("not an entry of the journal: a clock or an id that cannot be stored")
    return Line(hashlib.sha256(text.encode()).hexdigest(), text, entry)


def store(lines: Sequence[Line], head: Head) -> Head:
    """Store what is not there yet, in one transaction, and where the chain stands with it; blocks.

    What is open is changed with it. Raises django.db.Error; after that the rows may be there or not, so
    the next attempt begins another chain.
    """
    with transaction.atomic(using=JOURNAL):
        hold({line.entry.alarm for line in lines})
        there = set(
            JournalEntry.objects.filter(key__in=[line.key for line in lines]).values_list("key", flat=True)
        )
        news: dict[str, list[Line]] = defaultdict(list)
        for line in {line.key: line for line in lines if line.key not in there}.values():
            news[line.entry.alarm].append(line)
        was_open = OpenAlarm.objects.in_bulk(list(news))
        records = {alarm: record_of(alarm, row.record) for alarm, row in was_open.items()}
        known = {alarm: list(_entries_of(record)) for alarm, record in records.items() if record is not None}
        known |= _stored([alarm for alarm in news if alarm not in known])
        rows: dict[str, JournalEntry] = {}
        folds: dict[str, AlarmRecord] = {}
        for alarm, lines_of_it in news.items():
            added = list(_raised_once(lines_of_it, known.get(alarm, ())))
            record = folded([*known.get(alarm, ()), *(line.entry for line in added)])
            rows.update((line.key, _row(line, record)) for line in added)
            if record is not None:
                folds[alarm] = record
        keep_open(was_open, folds)
        ordered = [rows[key] for key in dict.fromkeys(line.key for line in lines) if key in rows]
        for row in ordered:
            head = chain.link(head, row)
        JournalEntry.objects.bulk_create(ordered)
    return head


def _raised_once(lines: Iterable[Line], known: Iterable[AlarmEntry]) -> Iterator[Line]:
    """Without a second RAISED: a process that cannot know whether another has stored it tells it again."""
    is_raised = any(entry.step is AlarmStep.RAISED for entry in known)
    for line in lines:
        if line.entry.step is AlarmStep.RAISED:
            if is_raised:
                continue
            is_raised = True
        yield line


def open_alarms() -> list[AlarmRecord]:
    """All that are not closed; blocks, one query, whatever the journal holds."""
    rows = OpenAlarm.objects.values_list("alarm", "record")
    return [record for row in rows if (record := record_of(*row)) is not None]


def records(alarms: Sequence[str]) -> list[AlarmRecord]:
    """What the entries of each of these add up to, without those that were never raised; two queries."""
    rows = OpenAlarm.objects.filter(alarm__in=alarms).values_list("alarm", "record")
    found = {row[0]: record for row in rows if (record := record_of(*row)) is not None}
    others = _stored([alarm for alarm in alarms if alarm not in found]).values()
    return [*found.values(), *(record for entries in others if (record := folded(entries)) is not None)]


def hold(alarms: Iterable[str]) -> None:
    """Let no other process add to these until the transaction ends.

    Two that each add half of what closes an alarm, and neither sees the other's, would leave it open.
    SQLite has one writer at a time as it is.
    """
    connection = connections[JOURNAL]
    if connection.vendor == "postgresql":
        locks = sorted(
            int.from_bytes(hashlib.sha256(b"vital.alarm " + alarm.encode()).digest()[:8], signed=True)
            for alarm in alarms
        )
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(lock) FROM unnest(%s::bigint[]) AS lock", [locks])


def _stored(alarms: Sequence[str]) -> dict[str, list[AlarmEntry]]:
    """What is stored of each, but for steps that change no record, or that this version does not know."""
    entries: dict[str, list[AlarmEntry]] = defaultdict(list)
    if alarms:
        rows = JournalEntry.objects.filter(alarm__in=alarms, step__in=STEPS)
        for row in rows.iterator(chunk_size=1000):
            entries[row.alarm].append(entry_of(row))
    return entries


def entry_of(row: JournalEntry) -> AlarmEntry:
    """The entry that a row holds, without facts that this version cannot read."""
    facts: AlarmFacts | None = None
    if row.facts:
        try:
            facts = AlarmFacts.from_dict(json.loads(row.facts))
        except (KeyError, TypeError, ValueError):
            _say_unreadable(row.alarm)
    return AlarmEntry(
        AlarmStep(row.step), row.alarm, row.at_ms, row.monotonic_s, row.actor, facts, row.by, row.hidden
    )


@lru_cache(maxsize=256)
def _say_unreadable(alarm: str) -> None:
    """Once for each alarm, however often it is read."""
    logger.error("the journal holds facts of alarm %s that this version cannot read", alarm)


def _entries_of(record: AlarmRecord) -> Iterator[AlarmEntry]:
    """The fewest entries that add up to a record."""
    yield AlarmEntry(AlarmStep.RAISED, record.alarm, record.raised_ms, 0.0, "", record.facts)
    for step, at_ms in (
        (AlarmStep.CLEARED, record.cleared_ms),
        (AlarmStep.ACKNOWLEDGED, record.acknowledged_ms),
        (AlarmStep.DISPLAYED, record.displayed_ms),
    ):
        if at_ms is not None:
            yield AlarmEntry(step, record.alarm, at_ms, 0.0, "", by=record.acknowledged_by)


def _row(line: Line, record: AlarmRecord | None) -> JournalEntry:
    entry = line.entry
    facts = entry.facts or (record.facts if record is not None else None)
    return JournalEntry(
        key=line.key,
        alarm=entry.alarm,
        step=entry.step.value,
        at=_utc(entry.at_ms),
        at_ms=entry.at_ms,
        monotonic_s=entry.monotonic_s,
        actor=entry.actor,
        stream=_storable(facts.stream) if facts else "",
        ward=_storable(facts.ward) if facts else "",
        kind=_storable(facts.kind) if facts else "",
        severity=facts.severity.value if facts else "",
        facts="" if entry.facts is None else _json(entry.facts.to_dict()),
        by=entry.by,
        hidden=entry.hidden,
    )


def keep_open(was_open: Mapping[str, OpenAlarm], records: Mapping[str, AlarmRecord]) -> None:
    """Let the rows of open alarms be what these records say."""
    texts = {alarm: _json(record.to_dict()) for alarm, record in records.items() if not record.is_closed}
    OpenAlarm.objects.bulk_create(
        [
            OpenAlarm(alarm=alarm, record=text)
            for alarm, text in texts.items()
            if alarm not in was_open or was_open[alarm].record != text
        ],
        update_conflicts=True,
        unique_fields=["alarm"],
        update_fields=["record"],
    )
    if closed := [alarm for alarm in records if alarm in was_open and alarm not in texts]:
        OpenAlarm.objects.filter(alarm__in=closed).delete()


def record_of(alarm: str, text: str) -> AlarmRecord | None:
    """What a row of an open alarm says; None where this version cannot read it."""
    try:
        return AlarmRecord.from_dict(json.loads(text))
    except (KeyError, TypeError, ValueError):
        _say_unreadable(alarm)
        return None


def _utc(at_ms: float) -> datetime:
    return _EPOCH + timedelta(milliseconds=at_ms)


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


def _number(value: float) -> float:
    """Without a sign of nought, which PostgreSQL does not give back."""
    return float(value) + 0.0


def _storable(text: str) -> str:
    """Without what PostgreSQL, or UTF-8, does not take: nothing may keep an alarm from being stored."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
