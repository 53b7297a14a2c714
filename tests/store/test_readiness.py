"""What a server says of its database before it serves, and while it does."""

from __future__ import annotations

import pytest
from django.db import InterfaceError, OperationalError
from django.db.migrations.executor import MigrationExecutor

from streaming.store import readiness
from streaming.store.routing import HISTORY, JOURNAL


def test_migrated_database_can_serve(db: None) -> None:
    assert readiness.database_fault() is None


@pytest.mark.parametrize("fault", [OperationalError, InterfaceError])
def test_database_that_fails_is_a_sentence_not_an_error(
    fault: type[Exception], db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise fault("connection already closed")

    monkeypatch.setattr(MigrationExecutor, "__init__", fail)
    assert readiness.database_fault() == f"the database does not answer ({fault.__name__})"
    with pytest.raises(SystemExit, match="Check DATABASE_URL"):
        readiness.require_migrated()


@pytest.mark.parametrize("alias", [HISTORY, JOURNAL])
def test_history_or_journal_that_does_not_answer_hinders_nobody(
    alias: str, db: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plan = MigrationExecutor.migration_plan

    def fail(self: MigrationExecutor, *arguments: object) -> object:
        if self.connection.alias == alias:
            raise OperationalError("no route to host")
        return plan(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(MigrationExecutor, "migration_plan", fail)
    readiness.require_migrated()
    assert f"the {alias}'s database does not answer (OperationalError)" in caplog.text
    assert readiness.database_fault() is None
