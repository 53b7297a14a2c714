"""A thread that reads what the past of a stream is made of, out of all databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from streaming.store.own_thread import OwnThread, let_go
from streaming.store.routing import HISTORY, JOURNAL

_ALIASES = (HISTORY, JOURNAL, DEFAULT_DB_ALIAS)


class ReadingThread(OwnThread):
    """Its connections stay open between two functions."""

    def _call(self, function: Callable[[], Any]) -> Any:
        for alias in _ALIASES:
            connections[alias].close_if_unusable_or_obsolete()
        try:
            return function()
        except Exception as error:
            let_go(error)
            raise

    def _end(self) -> None:
        for alias in _ALIASES:
            connections[alias].close()
