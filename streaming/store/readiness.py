"""Whether the databases answer and have the tables that this version needs."""

from __future__ import annotations

import logging

from django.db import DEFAULT_DB_ALIAS, connections
from django.db import Error as DatabaseFault
from django.db.migrations.executor import MigrationExecutor

from streaming import command_line
from streaming.store.routing import databases_in_use

logger = logging.getLogger(__name__)


class DatabaseAwayError(SystemExit):
    """The database does not answer: a command ends with this, a server may wait until it does."""


def database_fault() -> str | None:
    """Why the default database cannot serve, in one sentence; None when it can.

    Those of history and journal are not asked: live samples and alarms do without.
    """
    try:
        missing = _missing_migrations(DEFAULT_DB_ALIAS)
    except DatabaseFault as error:  # also InterfaceError: a connection that the server has closed
        return f"the database does not answer ({type(error).__name__})"
    if missing:
        return f"the database lacks {missing} migrations"
    return None


def require_migrated() -> None:
    """Raise SystemExit with what to do, when a server or a command cannot work with the database.

    It is a DatabaseAwayError when time alone may help. A history or a journal that does not answer hinders
    nobody.
    """
    fault = database_fault() or next(filter(None, map(_fault_beside, databases_in_use()[1:])), None)
    if fault is None:
        return
    if "lacks" in fault:
        raise SystemExit(f"VITAL cannot run: {fault}. Run: {command_line.here('manage.py', 'migrate')}")
    raise DatabaseAwayError(f"VITAL cannot run: {fault}. Check DATABASE_URL, and that the server is up.")


def _fault_beside(alias: str) -> str | None:
    try:
        missing = _missing_migrations(alias)
    except DatabaseFault as error:
        logger.warning("the %s's database does not answer (%s)", alias, type(error).__name__)
        return None
    return f"the {alias}'s database lacks {missing} migrations" if missing else None


def _missing_migrations(alias: str) -> int:
    executor = MigrationExecutor(connections[alias])
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
