"""When snapshots are taken, stored and forgotten, so that the database never holds up a frame."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, connections
from django.utils import timezone

from monitoring.models import MetricsSnapshot
from streaming.core.stats import GroupStats

log = logging.getLogger(__name__)

T = TypeVar("T")

BACKLOG_TICKS = 6
"""Ticks that wait for the database: a minute of outage at the usual interval of 10 s."""
PRUNE_EVERY_S = 3600.0
PRUNE_BATCH_ROWS = 500
"""Rows per delete: SQLite holds its write lock some milliseconds for them."""
CLOSE_TIMEOUT_S = 2.0
"""A process that is asked to end has 5 s for everything."""


def store_rows(rows: Sequence[MetricsSnapshot]) -> None:
    """Insert the rows in one transaction; blocks."""
    MetricsSnapshot.objects.bulk_create(rows)


def delete_batch(before: datetime) -> int:
    """Delete the oldest rows taken before `before`, PRUNE_BATCH_ROWS at most, and say how many; blocks."""
    oldest = MetricsSnapshot.objects.filter(at__lt=before).order_by("at").values_list("pk", flat=True)
    deleted, _ = MetricsSnapshot.objects.filter(pk__in=list(oldest[:PRUNE_BATCH_ROWS])).delete()
    return deleted


class SnapshotWriter:
    """Asks for the statistics of every group each interval, and stores them off the event loop.

    One write at a time, in a thread of its own. While the database is slow or locked, the last
    BACKLOG_TICKS ticks wait; older ones are given up, logged once per outage, counted in `lost`, and
    told by the next tick's `detail["lost_snapshots"]`, which is that count. Rows older than the
    retention are deleted hourly, in small batches between the writes.

    `stats` is called on the event loop and must not wait. The owner calls `start`, then `aclose`.
    """

    def __init__(
        self,
        stats: Callable[[], list[GroupStats]],
        *,
        interval_s: float,
        process_id: str,
        retention_days: float = 7,
        write: Callable[[Sequence[MetricsSnapshot]], None] = store_rows,
        prune: Callable[[datetime], int] = delete_batch,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = timezone.now,
    ) -> None:
        self.lost = 0
        """Rows given up since the start."""
        self._stats = stats
        self._interval_s = interval_s
        self._process_id = process_id
        self._retention = timedelta(days=retention_days)
        self._write = write
        self._prune = prune
        self._clock = clock
        self._now = now
        self._backlog: deque[list[MetricsSnapshot]] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._outage = False
        self._prune_due = clock()
        self._ticker: asyncio.Task[None] | None = None
        self._storer: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; needs a running event loop."""
        self._ticker = asyncio.create_task(self._tick(), name="snapshots: tick")
        self._storer = asyncio.create_task(self._store(), name="snapshots: store")

    async def aclose(self) -> None:
        """End. What waits has CLOSE_TIMEOUT_S to be stored; the rest is lost."""
        if self._ticker is None or self._storer is None:
            return
        self._ticker.cancel()
        self._closing = True
        self._wake.set()
        await asyncio.wait({self._storer}, timeout=CLOSE_TIMEOUT_S)
        self._storer.cancel()
        await asyncio.gather(self._ticker, self._storer, return_exceptions=True)
        self.lost += sum(map(len, self._backlog))
        self._backlog.clear()
        self._ticker = self._storer = None

    def take(self) -> None:
        """Ask for the statistics now and queue them; never waits."""
        try:
            stats = self._stats()
        except Exception:
            # Whoever keeps the figures is at fault; the next tick may well succeed, and frames must go on.
            log.exception("no metrics snapshot: the statistics could not be taken")
            return
        at = self._now()
        rows = [MetricsSnapshot.of(each, at=at, process=self._process_id) for each in stats]
        if self.lost:
            for row in rows:
                row.detail["lost_snapshots"] = self.lost
        self._backlog.append(rows)
        self._trim_backlog()
        self._wake.set()

    async def _tick(self) -> None:
        due = self._clock() + self._interval_s
        while True:
            await asyncio.sleep(max(0.0, due - self._clock()))
            self.take()
            # Ticks that a stalled loop missed are not made up.
            due = max(due + self._interval_s, self._clock())

    async def _store(self) -> None:
        while not self._closing or self._wake.is_set():
            await self._wake.wait()
            self._wake.clear()
            if await self._write_backlog() and not self._closing and self._clock() >= self._prune_due:
                self._prune_due = self._clock() + PRUNE_EVERY_S
                await self._prune_old()

    async def _write_backlog(self) -> bool:
        """Write all that waits as one batch; False when the database did not take it."""
        ticks = list(self._backlog)
        self._backlog.clear()
        rows = [row for tick in ticks for row in tick]
        if not rows:
            return True
        try:
            await _in_thread(lambda: self._write(rows))
        except asyncio.CancelledError:
            self.lost += len(rows)
            raise
        except (OperationalError, InterfaceError) as error:
            self._backlog.extendleft(reversed(ticks))
            self._trim_backlog()
            self._note_outage(str(error))
            return False
        except Exception:
            # These rows will not get any better, and must not stand in the way of the next ones.
            log.exception("metrics snapshots refused by the database")
            self.lost += len(rows)
            return False
        if self._outage:
            self._outage = False
            log.info("metrics snapshots are stored again, %d lost since the start", self.lost)
        return True

    def _trim_backlog(self) -> None:
        while len(self._backlog) > BACKLOG_TICKS:
            self.lost += len(self._backlog.popleft())
            self._note_outage("storing takes too long")

    def _note_outage(self, reason: str) -> None:
        if not self._outage:
            self._outage = True
            log.warning("metrics snapshots wait for the database, older ones are given up: %s", reason)

    async def _prune_old(self) -> None:
        before = self._now() - self._retention
        try:
            while await _in_thread(lambda: self._prune(before)) == PRUNE_BATCH_ROWS and not self._closing:
                await self._write_backlog()
        except DatabaseError as error:
            log.warning("old metrics snapshots stay for another hour: %s", error)


async def _in_thread(function: Callable[[], T]) -> T:
    """Run blocking database work in a thread of its own, with a connection of its own.

    A daemon thread, not a pool's: a pool is joined when the process ends, and a statement that waits
    for a lock would hold that up. One thread and connection per interval cost a millisecond or two.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # without an error it is a T

    def run() -> None:
        result, error = None, None
        try:
            result = function()
        except Exception as raised:  # noqa: BLE001  # it is raised again where the result is awaited
            error = raised
        finally:
            connections.close_all()
        # The loop is gone when the process ended while the database kept this thread waiting.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="snapshots", daemon=True).start()
    return await future
