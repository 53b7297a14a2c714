"""The checkpoints of both trails, each in the database of its trail."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from streaming.models_chain import Checkpoint


class AuditCheckpoint(Checkpoint):
    """Of the audit trail."""

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["writer", "seq", "kind"], name="audit_checkpoint_once")
        ]


class JournalCheckpoint(Checkpoint):
    """Of the alarm journal."""

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["writer", "seq", "kind"], name="journal_checkpoint_once")
        ]
