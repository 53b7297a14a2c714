"""The history as the event loop uses it: written, pinned, pruned and audited on a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

from channels.db import database_sync_to_async
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from streaming.core.chunks import Chunk
from streaming.core.minutes import Minute
from streaming.exceptions import HistoryAwayError
from streaming.pins import Pin
from streaming.store import audit, believed, history, history_limits, history_pins, minutes
from streaming.store.believed import BelievedClock
from streaming.store.history_limits import Limits, Removed
from streaming.store.own_thread import DatabaseThread
from streaming.store.routing import HISTORY

ACTOR = "system:history"


class HistoryKeeper:
    """One per process; it is a `recorder.ChunkStore`, a `summaries.MinuteStore` and a `pins.PinStore`.

    The owner calls `close`.
    """

    def __init__(self, limits: Limits | None = None, clock: BelievedClock | None = None) -> None:
        self._limits = limits or Limits.of_settings()
        self._clock = clock or BelievedClock("history", believed.newest_of_history)
        self._thread = DatabaseThread(HISTORY, name="vital-history")

    async def write(self, chunks: Sequence[Chunk]) -> None:
        """Store them in one transaction. Raises HistoryAwayError when another attempt may succeed."""
        await self._write(partial(history.write, chunks))

    async def fold(self, function: Callable[[], list[Minute]]) -> list[Minute]:
        """Run it between two writes."""
        return await self._thread.run(function)

    async def write_minutes(self, written: Sequence[Minute]) -> None:
        """As `write`, of minutes."""
        await self._write(partial(minutes.write, written))

    async def _write(self, write: Callable[[], None]) -> None:
        try:
            await self._thread.run(write)
        except (OperationalError, InterfaceError) as error:
            raise HistoryAwayError(f"{error} ({type(error).__name__})".replace("\n", " ")) from error

    async def pin(self, pins: Sequence[Pin]) -> None:
        """Keep these spans for VITAL_PIN_DAYS; one that grows keeps its beginning. Raises django.db.Error."""
        keep = timedelta(days=settings.VITAL_PIN_DAYS)
        await self._thread.run(partial(history_pins.write, pins, keep=keep, now=timezone.now()))

    async def prune(self) -> Removed:
        """Delete what the limits give up, in steps between which chunks are written, and record what it was.

        Raises django.db.Error; what was deleted until then is recorded all the same.
        """
        steps = history_limits.prune(self._limits, now=await self._thread.run(self._clock.now))
        removed = Removed()
        try:
            while (step := await self._thread.run(lambda: next(steps, None))) is not None:
                removed += step
        finally:
            if removed:
                await database_sync_to_async(record_prune)(ACTOR, removed)
        return removed

    def close(self) -> None:
        """End the thread, after what it was given; returns at once."""
        self._thread.close()


def record_prune(actor: str, removed: Removed) -> None:
    """The audit entry of what the limits gave up."""
    _record(actor, "history.prune", "history", removed)


def record_deletion(actor: str, target: str, removed: Removed, **asked: str) -> None:
    """The audit entry of what somebody had deleted: of which stream or patient, and what was asked for."""
    _record(actor, "history.delete", target, removed, **asked)


def _record(actor: str, action: str, target: str, removed: Removed, **detail: str) -> None:
    counts = {"chunks": removed.chunks, "bytes": removed.size_bytes, "pins": removed.pins}
    if removed.minutes:
        counts["minutes"] = removed.minutes
    audit.record(actor, action, target, "done", **counts, **detail)
