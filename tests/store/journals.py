"""Entries to put into a journal, and what it holds of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections

from streaming.core.alarm_record import AlarmEntry, AlarmFacts, AlarmOrigin, AlarmSeverity, AlarmStep
from streaming.core.priority import MessagePriority
from streaming.models_checkpoints import JournalCheckpoint
from streaming.models_journal import JournalEntry, OpenAlarm
from streaming.store import chain
from streaming.store.chain import ChainProblem
from streaming.store.routing import JOURNAL
from vital import env

START_MS = 1_767_614_400_000.25
TABLES = ("streaming_journalentry", "streaming_journalcheckpoint")


def facts_of(alarm: str, **changes: Any) -> AlarmFacts:
    """What an alarm of asystole says."""
    values: dict[str, Any] = {
        "alarm": alarm,
        "stream": "stream-a",
        "origin": AlarmOrigin.ANALYSIS,
        "epoch": 1,
        "ward": "a",
        "patient": "P-7K3QX",
        "kind": "asystole",
        "severity": AlarmSeverity.HIGH,
        "priority": MessagePriority.CRITICAL,
        "latching": True,
        "text": "Asystole",
        "value": 4.1,
        "limit": 4.0,
        "unit": "s",
        "first": 1000,
        "stop": 3000,
        "lead": "II",
        "sample": 3000,
        "condition_delay_s": 0.3,
        "signal_delay_s": 0.1,
    }
    return AlarmFacts(**{**values, **changes})


def entry(step: AlarmStep, alarm: str = "alarm-1", after_ms: float = 0.0, **fields: Any) -> AlarmEntry:
    """A step of an alarm, so long after START; RAISED brings its facts."""
    if step is AlarmStep.RAISED:
        fields = {"facts": facts_of(alarm), **fields}
    return AlarmEntry(
        step,
        alarm,
        START_MS + after_ms,
        100.0 + after_ms / 1000,
        fields.pop("actor", "system:ingest"),
        **fields,
    )


def raised(alarm: str = "alarm-1", **fields: Any) -> AlarmEntry:
    """Its first step."""
    return entry(AlarmStep.RAISED, alarm, **fields)


def closed(alarm: str = "alarm-1") -> list[AlarmEntry]:
    """All that becomes of one."""
    return [
        raised(alarm),
        entry(AlarmStep.PUBLISHED, alarm, 2),
        entry(AlarmStep.DISPLAYED, alarm, 90, actor="user:7", hidden=True),
        entry(AlarmStep.ACKNOWLEDGED, alarm, 4000, actor="user:7", by="Robin"),
        entry(AlarmStep.CLEARED, alarm, 9000),
    ]


def settings_of(url: str) -> dict[str, Any]:
    """Django's settings of a journal at this URL."""
    return env.journal_database(url, {})


def problems() -> list[ChainProblem]:
    """What is wrong with its chains."""
    return list(chain.problems(JournalEntry.objects.order_by("writer", "seq")))


def change(seq: int, **values: Any) -> None:
    """Change a row, as somebody with access to the database would."""
    with without_triggers():
        JournalEntry.objects.filter(seq=seq).update(**values)


def remove(*seqs: int) -> None:
    """Delete rows, as somebody with access to the database would."""
    with without_triggers():
        JournalEntry.objects.filter(seq__in=seqs)._raw_delete(JOURNAL)


def remove_checkpoints(*seqs: int) -> None:
    """Delete the checkpoints at these, as somebody with access to the database would."""
    with without_triggers():
        JournalCheckpoint.objects.filter(seq__in=seqs)._raw_delete(JOURNAL)


def empty() -> None:
    """Delete all rows."""
    with without_triggers():
        JournalEntry.objects.all()._raw_delete(JOURNAL)
        JournalCheckpoint.objects.all()._raw_delete(JOURNAL)
    OpenAlarm.objects.all().delete()


@contextmanager
def without_triggers() -> Iterator[None]:
    """Let the database refuse nothing for a while."""
    connection = connections[JOURNAL]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for table in TABLES:
                cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            yield
            for table in TABLES:
                cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        else:
            cursor.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN (%s, %s)", TABLES
            )
            triggers = cursor.fetchall()
            for name, _made in triggers:
                cursor.execute(f"DROP TRIGGER {name}")
            yield
            for _name, made in triggers:
                cursor.execute(made.replace("%", "%%"))
