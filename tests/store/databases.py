"""Databases beside the default one as a test has them: SQLite or a real PostgreSQL, migrated and empty."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import connections


@contextmanager
def database_at(alias: str, settings: dict[str, Any]) -> Iterator[None]:
    """Let an alias name another database for a while, in every thread that begins meanwhile."""
    before = connections.settings[alias]
    old = connections[alias]
    connections.settings[alias] = {**before, **settings, "ATOMIC_REQUESTS": False, "AUTOCOMMIT": True}
    del connections[alias]
    try:
        yield
    finally:
        connections[alias].close()
        connections.settings[alias] = before
        connections[alias] = old


def migrate(alias: str, settings: dict[str, Any]) -> None:
    """Make the tables of an alias."""
    with database_at(alias, settings):
        call_command("migrate", "streaming", database=alias, verbosity=0)
        if connections[alias].vendor == "sqlite":
            with connections[alias].cursor() as cursor:
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def copy_of(template: Path, directory: Path) -> str:
    """The URL of a fresh copy."""
    return f"sqlite:///{shutil.copy(template, directory)}"
