"""Which database holds what: the history has one of its own, which may be the same server's."""

from __future__ import annotations

from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Model

HISTORY = "history"
"""The alias of the history's database."""
_MODELS = frozenset({"historychunk", "historypin"})
_APP = "streaming"


class HistoryRouter:
    """Sends the history's models to the alias `history`, and keeps all others out of it.

    Their tables are made in the default database as well, and stay empty there while the history lies
    elsewhere: both aliases may name one database, today or later, which has one record of what was applied.
    """

    def db_for_read(self, model: type[Model], **_hints: Any) -> str | None:
        """The history's alias for its models; no opinion on others."""
        return HISTORY if _is_history(model._meta.app_label, model._meta.model_name) else None

    def db_for_write(self, model: type[Model], **_hints: Any) -> str | None:
        """As for reading."""
        return self.db_for_read(model)

    def allow_migrate(
        self, db: str, app_label: str, model_name: str | None = None, **_hints: Any
    ) -> bool | None:
        """In the history's database nothing but its own tables."""
        return _is_history(app_label, model_name) if db == HISTORY else None


def databases_in_use() -> tuple[str, ...]:
    """The aliases to migrate and to check; one where the history lies in the default database."""
    return (DEFAULT_DB_ALIAS,) if shares_default() else (DEFAULT_DB_ALIAS, HISTORY)


def shares_default() -> bool:
    """Whether the history lies in the default database."""
    ours, theirs = (connections[alias].settings_dict for alias in (HISTORY, DEFAULT_DB_ALIAS))
    return all(ours[key] == theirs[key] for key in ("ENGINE", "NAME", "HOST", "PORT"))


def _is_history(app_label: str, model_name: str | None) -> bool:
    return app_label == _APP and model_name in _MODELS
