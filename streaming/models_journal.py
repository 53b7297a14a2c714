"""The rows of the alarm journal: every step of every alarm for good, and beside them those that are open.

They lie in a database of their own (`store/routing.py`): a stream is a text here, not a foreign key.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models

from streaming.core.alarm_record import AlarmSeverity, AlarmStep
from streaming.models_chain import ChainedRow, utc_text


class JournalEntry(ChainedRow):
    """One step of one alarm, as `AlarmEntry` has it.

    Texts have no greatest length: what is too long for a column could never be stored. `stream`, `ward`,
    `kind` and `severity` are the alarm's, and empty where the step came before its RAISED.
    """

    key = models.CharField(max_length=64, unique=True, help_text="Of what it says: what comes twice is one.")
    alarm = models.TextField()
    step = models.CharField(max_length=16, choices=[(step.value, step.value) for step in AlarmStep])
    at_ms = models.FloatField(help_text="The same moment to the last digit, in ms since 1970.")
    monotonic_s = models.FloatField(help_text="By the clock of the process that it happened in.")
    actor = models.TextField()
    stream = models.TextField(blank=True)
    ward = models.TextField(blank=True)
    kind = models.TextField(blank=True)
    severity = models.CharField(
        max_length=16, blank=True, choices=[(severity.value, severity.value) for severity in AlarmSeverity]
    )
    facts = models.TextField(blank=True, help_text="JSON, in the characters that were hashed.")
    by = models.TextField(blank=True)
    hidden = models.BooleanField(default=False)

    class Meta:
        verbose_name_plural = "journal entries"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["writer", "seq"], name="journal_seq_is_unique")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["alarm", "id"], name="journal_by_alarm"),
            models.Index(fields=["at"], name="journal_by_time"),
            models.Index(fields=["stream", "step", "at"], name="journal_by_stream"),
        ]

    def hashed_values(self) -> list[Any]:
        """All of it but its id, which the database gives."""
        return [
            self.writer,
            self.seq,
            self.key,
            self.alarm,
            self.step,
            utc_text(self.at),
            self.at_ms,
            self.monotonic_s,
            self.actor,
            self.stream,
            self.ward,
            self.kind,
            self.severity,
            self.facts,
            self.by,
            self.hidden,
            self.prev_hash,
        ]


class OpenAlarm(models.Model):
    """An alarm that is not closed, as all of its entries add up; changed in the transaction that adds one."""

    alarm = models.TextField(primary_key=True)
    record = models.TextField(help_text="JSON, as AlarmRecord.to_dict gives it.")

    class Meta:
        verbose_name = "open alarm"

    def __str__(self) -> str:
        return self.alarm
