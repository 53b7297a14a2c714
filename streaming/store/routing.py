"""Which database holds what: history and journal have one of their own each, or lie in the default one."""

from __future__ import annotations

from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Model

HISTORY = "history"
"""The alias of the history's database."""
JOURNAL = "journal"
"""The alias of the alarm journal's database."""
_APP = "streaming"
_HOMES = {
    "historychunk": HISTORY,
    "historypin": HISTORY,
    "historyminute": HISTORY,
    "journalentry": JOURNAL,
    "openalarm": JOURNAL,
    "journalcheckpoint": JOURNAL,
}
"""By model; all others live in the default database."""


class StoreRouter:
    """Sends the models of history and journal to their aliases, and keeps all others out of these.

    Their tables are made in the default database as well, and stay empty there while they lie elsewhere:
    two aliases may name one database, today or later, which has one record of what was applied.
    """

    def db_for_read(self, model: type[Model], **_hints: Any) -> str | None:
        """The alias of a model that has one; no opinion on others."""
        return _home(model._meta.app_label, model._meta.model_name)

    def db_for_write(self, model: type[Model], **_hints: Any) -> str | None:
        """As for reading."""
        return self.db_for_read(model)

    def allow_migrate(
        self, db: str, app_label: str, model_name: str | None = None, **_hints: Any
    ) -> bool | None:
        """In a database that is not the default one nothing but its own tables."""
        return _home(app_label, model_name) == db if db in (HISTORY, JOURNAL) else None


def databases_in_use() -> tuple[str, ...]:
    """The aliases to migrate and to check: the default one, and those that lie elsewhere."""
    others = (alias for alias in (HISTORY, JOURNAL) if not shares_default(alias))
    return (DEFAULT_DB_ALIAS, *others)


def shares_default(alias: str) -> bool:
    """Whether what has this alias lies in the default database."""
    ours, theirs = (connections[name].settings_dict for name in (alias, DEFAULT_DB_ALIAS))
    return all(ours[key] == theirs[key] for key in ("ENGINE", "NAME", "HOST", "PORT"))


def _home(app_label: str, model_name: str | None) -> str | None:
    return _HOMES.get(model_name or "") if app_label == _APP else None
