"""Changing the audit trail as somebody with access to the database would."""

from __future__ import annotations

import importlib
from typing import Any

from django.db import connection

from streaming.models import AuditEntry

TRIGGERS = importlib.import_module("streaming.migrations.0002_audit_append_only")


def tamper(seq: int, **changes: Any) -> None:
    """Change a row."""
    _drop_triggers()
    AuditEntry.objects.filter(seq=seq).update(**changes)


def remove(seq: int) -> None:
    """Delete a row."""
    _drop_triggers()
    AuditEntry.objects.filter(seq=seq)._raw_delete("default")


def _drop_triggers() -> None:
    statements = {"sqlite": TRIGGERS.SQLITE_REVERSE, "postgresql": TRIGGERS.POSTGRESQL_REVERSE}
    with connection.cursor() as cursor:
        for statement in statements[connection.vendor]:
            cursor.execute(statement)
