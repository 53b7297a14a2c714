"""When snapshots are taken, stored and forgotten, so that the database never holds up a frame."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, connections, transaction
from django.utils import timezone

from monitoring import machine
from monitoring.models import MetricsSnapshot, UsageSnapshot
from monitoring.rollup import Step, upkeep_by_settings
from streaming.core.stats import GroupStats, ProcessUsage
from streaming.store.own_thread import let_go

log = logging.getLogger(__name__)

T = TypeVar("T")
Row = MetricsSnapshot | UsageSnapshot

BACKLOG_TICKS = 6
"""Ticks that wait for the database: a minute of outage at the usual interval of 10 s."""
UPKEEP_EVERY_S = 600.0
UPKEEP_SHARE = 0.2
"""Of the time while there is much to condense or delete: the same process carries the frames."""
CLOSE_TIMEOUT_S = 2.0
"""A process that is asked to end has 5 s for everything."""


def store_rows(rows: Sequence[Row]) -> None:
    """Insert the rows in one transaction, with what the machine says now; blocks."""
    used = [row for row in rows if isinstance(row, UsageSnapshot)]
    facts = machine.facts() if used else {}
    for row in used:
        for name, value in facts.items():
            setattr(row, name, value)
    with transaction.atomic():
        MetricsSnapshot.objects.bulk_create(row for row in rows if isinstance(row, MetricsSnapshot))
        UsageSnapshot.objects.bulk_create(used)


class Beside(Protocol):
    """What else is made of each tick's figures, and is stored by the same thread after the rows."""

    def take(self, stats: Sequence[GroupStats]) -> None:
        """The figures of a tick, on the event loop; never waits."""

    def work(self) -> Callable[[], None] | None:
        """What is to be written now, as a function that blocks, if there is something; on the event loop."""

    def done(self, fault: BaseException | None) -> None:
        """How that went; on the event loop."""


class SnapshotWriter:
    """Asks for the statistics of every group each interval, and stores them off the event loop.

    One write at a time, in a thread of its own. While the database is slow or locked, the last
    BACKLOG_TICKS ticks wait; older ones are given up, logged once per outage, counted in `lost`, and
    told by the next tick's `lost_snapshots`, which is that count. Every ten minutes,
    what is old becomes rows of minutes and hours or is deleted, in small steps between the writes.

    `stats`, and `usage` of the whole process, are called on the event loop and must not wait, as is what
    `beside` makes of them. The owner calls `start`, then `aclose`.
    """

    def __init__(
        self,
        stats: Callable[[], list[GroupStats]],
        *,
        interval_s: float,
        process_id: str,
        usage: Callable[[], ProcessUsage] | None = None,
        write: Callable[[Sequence[Row]], None] = store_rows,
        upkeep: Callable[[datetime], Iterator[Step]] = upkeep_by_settings,
        beside: Beside | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = timezone.now,
    ) -> None:
        self.lost = 0
        """Rows given up since the start."""
        self._stats = stats
        self._usage = usage
        self._before: tuple[float, ProcessUsage] | None = None
        """When usage was read last, and what it was."""
        self._interval_s = interval_s
        self._process_id = process_id
        self._write = write
        self._upkeep = upkeep
        self._beside = beside
        self._clock = clock
        self._now = now
        self._backlog: deque[list[Row]] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._outage = False
        self._upkeep_due = clock()
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
            usage = None if self._usage is None else self._usage()
        except Exception:
            # Whoever keeps the figures is at fault; the next tick may well succeed, and frames must go on.
            log.exception("no metrics snapshot: the statistics could not be taken")
            return
        at = self._now()
        rows: list[Row] = [
            MetricsSnapshot.of(each, at=at, process=self._process_id, lost_snapshots=self.lost)
            for each in stats
        ]
        if usage is not None:
            rows.append(self._used(usage, stats, at))
        self._backlog.append(rows)
        self._trim_backlog()
        if self._beside is not None:
            self._beside.take(stats)
        self._wake.set()

    def wake(self) -> None:
        """There is something to store, before the next tick."""
        self._wake.set()

    def _used(self, usage: ProcessUsage, stats: Sequence[GroupStats], at: datetime) -> UsageSnapshot:
        """The process's own row, with what went since the one before."""
        now, before = self._clock(), self._before
        self._before = now, usage
        rates: dict[str, float] = {}
        if before is not None and (seconds := now - before[0]) > 0:
            rates["cpu_share"] = (usage.cpu_s - before[1].cpu_s) / seconds
            rates["sent_mbps"] = 8e-6 * (usage.bytes_sent - before[1].bytes_sent) / seconds
        return UsageSnapshot.of(
            usage,
            at=at,
            process=self._process_id,
            buffer_utilization=max((each.buffer_utilization for each in stats), default=0.0),
            pressure=max((each.pressure for each in stats), default=0.0),
            **{name: round(value, 4) for name, value in rates.items()},
        )

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
            written = await self._write_backlog()
            await self._write_beside()
            if written and not self._closing and self._clock() >= self._upkeep_due:
                self._upkeep_due = self._clock() + UPKEEP_EVERY_S
                await self._keep()

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

    async def _write_beside(self) -> None:
        if self._beside is None or (work := self._beside.work()) is None:
            return
        try:
            await _in_thread(work)
        except Exception as error:  # noqa: BLE001  # whoever made the work knows what becomes of it
            self._beside.done(error)
        else:
            self._beside.done(None)

    def _trim_backlog(self) -> None:
        while len(self._backlog) > BACKLOG_TICKS:
            self.lost += len(self._backlog.popleft())
            self._note_outage("storing takes too long")

    def _note_outage(self, reason: str) -> None:
        if not self._outage:
            self._outage = True
            log.warning("metrics snapshots wait for the database, older ones are given up: %s", reason)

    async def _keep(self) -> None:
        """Condense and delete what is old, one step after the other; each has a thread of its own."""
        steps = self._upkeep(self._now())
        try:
            began = self._clock()
            while await _in_thread(lambda: next(steps, None)) is not None and not self._closing:
                await asyncio.sleep((self._clock() - began) * (1 / UPKEEP_SHARE - 1))
                await self._write_backlog()
                await self._write_beside()
                began = self._clock()
        except DatabaseError as error:
            log.warning("old metrics snapshots stay as they are for another while: %s", error)


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
            let_go(raised)
            error = raised
        finally:
            connections.close_all()
        # The loop is gone when the process ended while the database kept this thread waiting.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="snapshots", daemon=True).start()
    return await future
