"""Whether the database answers and has the tables that this version needs."""

from __future__ import annotations

from django.db import DEFAULT_DB_ALIAS, connections
from django.db import Error as DatabaseFault
from django.db.migrations.executor import MigrationExecutor

from streaming import command_line


class DatabaseAwayError(SystemExit):
    """The database does not answer: a command ends with this, a server may wait until it does."""


def database_fault() -> str | None:
    """Why the database cannot serve, in one sentence; None when it can."""
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        executor = MigrationExecutor(connection)
        missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except DatabaseFault as error:  # also InterfaceError: a connection that the server has closed
        return f"the database does not answer ({type(error).__name__})"
    if missing:
        return f"the database lacks {missing} migrations"
    return None


def require_migrated() -> None:
    """Raise SystemExit with what to do, when a server or a command cannot work with the database.

    It is a DatabaseAwayError when time alone may help.
    """
    fault = database_fault()
    if fault is None:
        return
    if "lacks" in fault:
        raise SystemExit(f"VITAL cannot run: {fault}. Run: {command_line.here('manage.py', 'migrate')}")
    raise DatabaseAwayError(f"VITAL cannot run: {fault}. Check DATABASE_URL, and that the server is up.")
