"""The audit trail: who did what to which object, in a chain of hashes per writing process."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

from django.db import Error as DatabaseFault
from django.db import transaction
from django.utils import timezone

from streaming.models import AuditEntry
from streaming.store import chain
from streaming.store.chain import Head

MAX_TEXT = 200
REPEAT_S = 60.0
MAX_KINDS = 32
"""Enough to see from where and against whom; nobody makes more rows a minute, but for one of each action."""


class AuditWriter:
    """One chain. Threads may share it; entries are numbered in the order of their commits."""

    _lock: threading.RLock
    _head: Head

    def __init__(self) -> None:
        self.restart()

    def append(self, actor: str, action: str, target: str, outcome: str, detail: dict[str, Any]) -> None:
        """Write one entry; raises django.db.Error when it could not be written.

        After a failure a new chain starts: the row may have been stored although its commit was never
        confirmed, and a second row with its number would be refused for ever.
        """
        with self._lock:
            entry = _entry(actor, action, target, outcome, detail)
            head = chain.link(self._head, entry)
            try:
                entry.save()
            except DatabaseFault:  # also InterfaceError, which is no DatabaseError
                self._head = chain.new_head()
                raise
            self._head = head

    @contextmanager
    def recording(
        self, actor: str, action: str, target: str, outcome: str, detail: dict[str, Any]
    ) -> Iterator[None]:
        """Commit what is done within and an entry of it together, or neither; raises as `append` does.

        Other threads add to the chain before or after it. It is no part of another transaction, in which a
        thread that waits here would hold up the one that it waits for: RuntimeError.
        """
        with self._lock:
            before = self._head
            made: list[Head] = []

            def advance() -> None:
                if made and self._head is before:
                    self._head = made[0]

            try:
                with transaction.atomic(durable=True):
                    transaction.on_commit(advance)  # first: what others do after the commit may append
                    yield
                    entry = _entry(actor, action, target, outcome, detail)
                    made.append(chain.link(before, entry))
                    entry.save()
            except DatabaseFault:
                self._head = chain.new_head()
                raise
            advance()

    def head(self) -> Head:
        """Where the chain stands; sequence 0 while it is empty.

        Without the lock, which is held during an INSERT: the event loop asks, and the value never changes,
        it is replaced.
        """
        return self._head

    def restart(self) -> None:
        """Begin a chain of its own: the child of a fork must not go on with its parent's."""
        self._lock = threading.RLock()
        self._head = chain.new_head()


def _entry(actor: str, action: str, target: str, outcome: str, detail: dict[str, Any]) -> AuditEntry:
    return AuditEntry(
        at=timezone.now(), actor=actor, action=action, object=target, outcome=outcome, detail=detail
    )


class Refusal(NamedTuple):
    """What anybody can bring about, without a token or a password, as often as they like."""

    action: str
    target: str
    outcome: str
    address: str | None
    """Where it came from, as far as it is known."""


class Repeats:
    """How often each refusal has happened since it was last recorded.

    The first of a kind is recorded at once, then at most one entry per `every_s`, with the count. Beyond
    `max_kinds` of them within that time, further ones are counted as one: of each action, from "others".
    """

    def __init__(
        self,
        every_s: float = REPEAT_S,
        max_kinds: int = MAX_KINDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._every_s, self._max_kinds, self._clock = every_s, max_kinds, clock
        self._lock = threading.Lock()
        self._recorded: dict[Refusal, float] = {}
        self._unrecorded: Counter[Refusal] = Counter()

    def note(self, refusal: Refusal) -> list[tuple[Refusal, int]]:
        """Count one; what has to be recorded now, each with how many the entry stands for."""
        with self._lock:
            due = self._take_due()
            if refusal not in self._recorded and len(self._recorded) >= self._max_kinds:
                refusal = refusal._replace(target=refusal.target.partition(":")[0], address="others")
            self._unrecorded[refusal] += 1
            if refusal not in self._recorded:
                due.append(self._take(refusal))
            return due

    def due(self, *, ending: bool = False) -> list[tuple[Refusal, int]]:
        """What was counted and has waited long enough; all of it when the process is `ending`."""
        with self._lock:
            return self._take_due(ending=ending)

    def _take_due(self, *, ending: bool = False) -> list[tuple[Refusal, int]]:
        now = self._clock()
        over = [kind for kind, at in self._recorded.items() if ending or now - at >= self._every_s]
        for kind in over:
            del self._recorded[kind]
        return [self._take(kind) for kind in over if kind in self._unrecorded]

    def _take(self, kind: Refusal) -> tuple[Refusal, int]:
        self._recorded[kind] = self._clock()
        return kind, self._unrecorded.pop(kind)


_writer = AuditWriter()
_refusals = Repeats()
os.register_at_fork(after_in_child=_writer.restart)


def record(actor: str, action: str, target: str, outcome: str, /, **detail: Any) -> None:
    """Write an entry when the transaction in progress commits, at once when there is none.

    `actor` and `target` are kind and id ("user:7", "stream:k3..."), never a name or a token. `detail` holds
    strings, whole numbers, booleans, None, and lists and dicts of them; anything else raises TypeError (a
    float may come back from a database with other digits, and break its hash). One INSERT.
    """
    checked = {key: _plain(value) for key, value in detail.items()}
    transaction.on_commit(lambda: _writer.append(actor, action, target, outcome, checked))


def recording(
    actor: str, action: str, target: str, outcome: str, /, **detail: Any
) -> AbstractContextManager[None]:
    """Commit what is done within and an entry of it together, or neither; as `record` and its writer have it.

    For what must not happen unrecorded, and short: no other thread of the process records anything meanwhile.
    """
    checked = {key: _plain(value) for key, value in detail.items()}
    return _writer.recording(actor, action, target, outcome, checked)


def record_refusal(action: str, target: str, outcome: str = "denied", *, address: str | None = None) -> None:
    """Write that somebody unknown was refused, as `Repeats` merges it, with how often.

    Nobody needs a token or a password to be refused: a row for each attempt would let anybody fill the disk.
    """
    _write(_refusals.note(Refusal(action, target, outcome, address)))


def record_repeats(*, ending: bool = False) -> None:
    """Write the refusals that were counted, once a minute has passed, or when the process is `ending`."""
    _write(_refusals.due(ending=ending))


def _write(counted: Iterable[tuple[Refusal, int]]) -> None:
    for refusal, count in counted:
        where = {"address": refusal.address} if refusal.address else {}
        record("anonymous", refusal.action, refusal.target, refusal.outcome, count=count, **where)


def head() -> Head:
    """Writer, sequence and hash of this process's last entry."""
    return _writer.head()


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    raise TypeError(f"the audit trail takes no {type(value).__name__}")
