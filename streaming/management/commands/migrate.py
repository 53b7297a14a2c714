"""`manage.py migrate`: Django's, for every database that VITAL uses."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.core.management.commands.migrate import Command as MigrateCommand
from django.db import DEFAULT_DB_ALIAS

from streaming.store.routing import HISTORY, JOURNAL, databases_in_use


class Command(MigrateCommand):
    """Without --database, one after the other: the default database, then those beside it that are others."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Django's, with another default."""
        super().add_arguments(parser)
        parser.set_defaults(database=None)

    def get_check_kwargs(self, options: Any) -> Any:
        """The checks look at all of them as well."""
        return {**super().get_check_kwargs(options), "databases": _meant(options["database"])}

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate them."""
        for alias in _meant(options.pop("database")):
            if options["verbosity"] >= 1:
                self.stdout.write(self.style.MIGRATE_HEADING(f"Database {alias}"))
            super().handle(*args, database=alias, **options)


def _meant(alias: str | None) -> tuple[str, ...]:
    in_use = databases_in_use()
    if alias is None:
        return in_use
    # One database has one record of what was applied to it, and the default alias makes all of its tables.
    return (DEFAULT_DB_ALIAS,) if alias in (HISTORY, JOURNAL) and alias not in in_use else (alias,)
