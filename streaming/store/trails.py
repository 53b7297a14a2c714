"""The two trails that are chained by hash: where their rows and checkpoints lie."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import DEFAULT_DB_ALIAS

from streaming.models import AuditEntry
from streaming.models_chain import ChainedRow, Checkpoint
from streaming.models_checkpoints import AuditCheckpoint, JournalCheckpoint
from streaming.models_journal import JournalEntry
from streaming.store import routing


@dataclass(frozen=True, slots=True)
class Trail:
    """Rows in chains, with the checkpoints of these, in one database."""

    name: str
    alias: str
    rows: type[ChainedRow]
    checkpoints: type[Checkpoint]


AUDIT = Trail("audit", DEFAULT_DB_ALIAS, AuditEntry, AuditCheckpoint)
ALARMS = Trail("alarms", routing.JOURNAL, JournalEntry, JournalCheckpoint)
TRAILS = (AUDIT, ALARMS)
