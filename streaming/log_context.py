"""Which request or connection the code that runs now works for, so that a line in the log can say so."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from contextvars import Context, ContextVar
from dataclasses import dataclass
from enum import StrEnum

ID_BYTES = 4
"""Enough to tell apart what one process serves in a day; it says nothing about who that is."""
NOBODY = Context()
"""For callbacks that serve many: otherwise they would carry on whose message happened to arm them."""


class WorkKind(StrEnum):
    """What an id names."""

    REQUEST = "request"
    CONNECTION = "connection"


@dataclass(frozen=True, slots=True)
class Work:
    """One HTTP request, or one WebSocket from its handshake to its end."""

    kind: WorkKind
    id: str

    @classmethod
    def new(cls, kind: WorkKind) -> Work:
        """One with a random id."""
        return cls(kind, secrets.token_hex(ID_BYTES))


_current: ContextVar[Work | None] = ContextVar("vital_work", default=None)


def current() -> Work | None:
    """What this code works for; None where it is for nobody in particular."""
    return _current.get()


@contextlib.contextmanager
def working_for(work: Work | None) -> Iterator[None]:
    """Within, and in tasks and threads of Django's that begin within, `current` is `work`."""
    token = _current.set(work)
    try:
        yield
    finally:
        _current.reset(token)
