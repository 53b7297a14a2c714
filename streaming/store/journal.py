"""The alarm journal as the event loop uses it: what is appended is stored in order, or spooled till it is."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import Error as DatabaseFault

from streaming.core.alarm_record import AlarmEntry, AlarmRecord
from streaming.exceptions import JournalAwayError
from streaming.store import chain, journal_rows
from streaming.store.journal_news import News
from streaming.store.journal_orphans import Orphans
from streaming.store.journal_rows import Line, line_of
from streaming.store.own_thread import DatabaseThread, OwnThread
from streaming.store.routing import JOURNAL
from streaming.store.spool import Spool
from streaming.store.trails import ALARMS
from streaming.store.upkeep import Upkeep

logger = logging.getLogger(__name__)

SPOOL_AFTER_S = 0.2
"""A commit takes a few milliseconds; who waits for an alarm would notice half a second."""
RETRY_S, RETRY_MAX_S = 0.2, 2.0
BATCH_ENTRIES = 200
"""One transaction: at most 40 ms of SQLite's write lock, on one core of 2026."""
LAST_WORDS_S = 1.0
"""For the disk, when the process ends and the database did not take all."""
MOST_STALE_LINES = 1000
"""Of the spool, that are stored already: whoever takes it over looks at each before what is not."""
START_S = 5.0
"""How long a start waits until what dead processes left is stored; it goes on behind it."""


class Receipt:
    """What becomes of entries that were appended together. Whoever waits with a limit shields the future.

    `stored` is done when they are committed; `durable` when they are committed, or on the disk in the spool,
    whichever comes first.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.stored: asyncio.Future[None] = loop.create_future()
        self.durable: asyncio.Future[None] = loop.create_future()


class _Waiting:
    """Entries that are not committed yet; with the last of those that were appended together, the receipt."""

    def __init__(self, lines: Sequence[Line], receipt: Receipt | None, now: float) -> None:
        self.lines = lines
        self.since_s = now
        self.is_stored = False
        self.in_spool = False
        """In the spool of this process."""
        self._receipt = receipt

    def note_durable(self) -> None:
        """They outlive this process."""
        if self._receipt is not None:
            _settle(self._receipt.durable)

    def note_stored(self) -> None:
        """They are committed."""
        self.is_stored = True
        if self._receipt is not None:
            _settle(self._receipt.stored)
            _settle(self._receipt.durable)


class AlarmJournal:
    """One per process. The owner calls `start`, then `aclose`, in a running event loop.

    Four threads, so that what hangs holds up nothing else: one stores, one reads, one has the spool, and one
    the checkpoints.
    """

    def __init__(self, spool_dir: Path | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._spool_dir = spool_dir or settings.VAR_DIR / "spool"
        self._clock = clock
        self._writer = DatabaseThread(JOURNAL, name="vital-journal")
        self._keeper = DatabaseThread(JOURNAL, name="vital-journal-keep")
        self._reader = DatabaseThread(JOURNAL, name="vital-journal-read")
        self._disk = OwnThread(name="vital-journal-spool")
        self._spool = Spool(self._spool_dir)
        self._orphans = Orphans(self._spool_dir, self._disk, self._store_orphan)
        self._news = News(clock)
        self._head = chain.new_head()
        self._waiting: deque[_Waiting] = deque()
        self._waiting_entries = 0
        self._unspooled: deque[_Waiting] = deque()
        """Those of them that are in no spool, in the same order."""
        self._in_spool = 0
        """How many of them are in that of this process."""
        self._upkeep = Upkeep(ALARMS, lambda: self._head, settings.VITAL_JOURNAL_DAYS, self._keeper.run)
        self._anything_waits = asyncio.Event()
        self._spool_changed = asyncio.Event()
        self._all_stored, self._all_durable = asyncio.Event(), asyncio.Event()
        self._closing = False
        self._database_fault: str | None = None
        self._disk_fault: str | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> list[AlarmRecord]:
        """Begin to write, store what dead processes left, and tell of all alarms that are open.

        A database that does not answer leaves the list empty; `news` tells of them once it does.
        """
        taken_over = asyncio.Event()
        self._tasks = [
            asyncio.create_task(self._store_on(), name="vital-journal"),
            asyncio.create_task(self._spool_on(), name="vital-journal-spool"),
            asyncio.create_task(self._orphans.take_over_on(taken_over), name="vital-journal-orphans"),
            asyncio.create_task(self._upkeep.keep(), name="vital-journal-keep"),
        ]
        await _within(START_S, taken_over.wait())
        try:
            return await self.news()
        except DatabaseFault as error:
            logger.warning("open alarms cannot be read yet: %s", _one_line(error))
            return []

    def append(self, entries: Sequence[AlarmEntry]) -> Receipt:
        """Have them stored, after all that was appended before; never waits.

        Raises ValueError for an entry whose time or alarm id none can be.
        """
        return self._enqueue([line_of(entry) for entry in entries], spooled=False)

    @property
    def fault(self) -> str | None:
        """Why nothing is stored, or spooled, now; None while all is well."""
        return "; ".join(filter(None, (self._database_fault, self._disk_fault))) or None

    @property
    def waiting(self) -> int:
        """Entries that are not yet committed."""
        return self._waiting_entries

    async def news(self) -> list[AlarmRecord]:
        """Records of alarms that any process, this one included, has written to since this was last asked.

        At most 500, but for the first time, which tells of all that are open: who is given any asks again.
        Raises django.db.Error, and tells the next time what it would have told.
        """
        return await self._reader.run(self._news.read)

    async def find(self, alarm: str) -> AlarmRecord | None:
        """What is stored of one alarm. Raises JournalAwayError where the database does not say."""
        try:
            found = await self._reader.run(partial(journal_rows.records, [alarm]))
        except DatabaseFault as error:
            raise JournalAwayError(_one_line(error)) from error
        return found[0] if found else None

    async def aclose(self, timeout_s: float) -> None:
        """Store what waits, within `timeout_s`; what does not get so far is in the spool."""
        self._closing = True
        self._spool_changed.set()
        if self._tasks and self._waiting:
            await _within(timeout_s, self._all_stored.wait())
        if self._tasks and self._unspooled:
            await _within(LAST_WORDS_S, self._all_durable.wait())
        was_started = bool(self._tasks)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        if self._unspooled:
            lost = sum(len(waiting.lines) for waiting in self._unspooled)
            logger.error("the process ends with %d journal entries neither stored nor spooled", lost)
        if was_started and not self._waiting:
            await _within(LAST_WORDS_S, self._upkeep.end())
        await _within(LAST_WORDS_S, self._disk.run(partial(self._leave_spool, empty=not self._in_spool)))
        for thread in (self._writer, self._reader, self._disk, self._keeper):
            thread.close()

    def _leave_spool(self, *, empty: bool) -> None:
        with contextlib.suppress(OSError):  # what was stored already is found out when it is taken over
            if empty:
                self._spool.clear()
            self._spool.close()

    def _enqueue(self, lines: Sequence[Line], *, spooled: bool) -> Receipt:
        receipt = Receipt()
        if not lines:
            _settle(receipt.stored)
            _settle(receipt.durable)
        for first in range(0, len(lines), BATCH_ENTRIES):
            part = lines[first : first + BATCH_ENTRIES]
            is_last = first + BATCH_ENTRIES >= len(lines)
            waiting = _Waiting(part, receipt if is_last else None, self._clock())
            self._waiting.append(waiting)
            self._waiting_entries += len(part)
            self._anything_waits.set()
            self._all_stored.clear()
            if spooled:
                waiting.note_durable()
            else:
                self._unspooled.append(waiting)
                self._all_durable.clear()
                self._spool_changed.set()
        return receipt

    async def _store_orphan(self, lines: Sequence[Line]) -> None:
        await self._enqueue(lines, spooled=True).stored

    # -- the database

    async def _store_on(self) -> None:
        retry_s = RETRY_S
        while True:
            await self._anything_waits.wait()
            batch = self._next_batch()
            lines = [line for waiting in batch for line in waiting.lines]
            try:
                self._head = await self._writer.run(partial(journal_rows.store, lines, self._head))
            except Exception as error:  # noqa: BLE001  # also a fault of ours: nothing is given up
                self._head = chain.new_head()
                self._note_database(_one_line(error))
                await asyncio.sleep(retry_s)
                retry_s = min(2 * retry_s, RETRY_MAX_S)
            else:
                self._take_off(batch)
                retry_s = RETRY_S

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        for waiting in self._waiting:
            size += len(waiting.lines)
            if batch and size > BATCH_ENTRIES:
                break
            batch.append(waiting)
        return batch

    def _take_off(self, batch: Sequence[_Waiting]) -> None:
        """These are committed: what waited longest."""
        for waiting in batch:
            self._waiting.popleft()
            self._waiting_entries -= len(waiting.lines)
            self._in_spool -= waiting.in_spool
            if self._unspooled and self._unspooled[0] is waiting:
                self._unspooled.popleft()
            waiting.note_stored()
        if self._database_fault is not None:
            self._database_fault = None
            logger.warning("alarms are stored again, %d entries still wait", self._waiting_entries)
        if not self._waiting:
            self._anything_waits.clear()
            self._all_stored.set()
        if not self._unspooled:
            self._all_durable.set()
        self._spool_changed.set()

    def _note_database(self, fault: str) -> None:
        if self._database_fault is None:
            logger.warning("alarms are not stored: %s", fault)
        self._database_fault = fault

    # -- the spool, which `_spool_on` alone touches until it is closed

    async def _spool_on(self) -> None:
        while True:
            await _within(self._spool_in_s(), self._spool_changed.wait())
            self._spool_changed.clear()
            try:
                await self._tend_spool()
            except OSError as error:
                if self._disk_fault is None:
                    logger.error("the spool of alarms cannot be written: %s", error)  # noqa: TRY400
                self._disk_fault = f"the spool cannot be written: {error}"
                await asyncio.sleep(RETRY_S)

    def _spool_in_s(self) -> float | None:
        """Until what waits longest has waited too long; None when nothing does."""
        if self._disk_fault is not None:
            return 0.0
        if not self._unspooled:
            return None
        return max(0.0, self._unspooled[0].since_s + SPOOL_AFTER_S - self._clock())

    async def _tend_spool(self) -> None:
        """Spool all that waits, when some of it does for too long; empty the spool when all is stored."""
        if not self._in_spool and not self._spool.is_empty():
            await self._disk.run(self._spool.clear)
        late = tuple(self._unspooled) if self._closing or self._spool_in_s() == 0 else ()
        if not late and self._disk_fault is None:
            return
        lines = [line for waiting in late for line in waiting.lines]
        if self._spool.lines > MOST_STALE_LINES:
            held = [line for waiting in self._waiting if waiting.in_spool for line in waiting.lines]
            if self._spool.lines - len(held) > MOST_STALE_LINES:
                await self._disk.run(partial(self._spool.rewrite, held))
        await self._disk.run(partial(self._spool.append, lines))
        if self._disk_fault is not None:
            self._disk_fault = None
            logger.warning("the spool of alarms can be written again")
        for waiting in late:
            if not waiting.is_stored:
                self._unspooled.popleft()
                self._in_spool += 1
                waiting.in_spool = True
                waiting.note_durable()
        if not self._unspooled:
            self._all_durable.set()
        if self._in_spool and not self._closing:
            self._note_database(self._database_fault or f"a commit takes more than {SPOOL_AFTER_S:g} s")
        elif late:
            self._spool_changed.set()  # all of it was stored meanwhile


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():  # whoever waited for it may have cancelled it
        future.set_result(None)


async def _within(timeout_s: float | None, awaited: Awaitable[object]) -> None:
    """Wait for it no longer than that."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await awaited


def _one_line(error: Exception) -> str:
    """What it says, without PostgreSQL's detail, which quotes the row: `/readyz` tells it to anybody."""
    said = str(error).partition("\nDETAIL:")[0]
    return f"{said} ({type(error).__name__})".replace("\n", " ")
