"""Snapshots are stored off the loop, bounded, counted when lost, and forgotten when old."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import DataError, OperationalError, connection, connections, transaction

from monitoring import snapshots
from monitoring.models import MetricsSnapshot
from monitoring.rollup import Step
from monitoring.snapshots import BACKLOG_TICKS, UPKEEP_EVERY_S, SnapshotWriter
from streaming.core.stats import GroupStats

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def stats(group: str = "ecg.a", **values: Any) -> GroupStats:
    return GroupStats(group=group, viewers=3, **values)


class Database:
    """Takes batches as the real one would, and does what it is told: fail, or wait until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[MetricsSnapshot]] = []
        self.fault: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.writing = 0
        self.most_at_once = 0
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Condition()
        self.calls = 0

    def write(self, rows: Sequence[Any]) -> None:
        self.writing += 1
        self.most_at_once = max(self.most_at_once, self.writing)
        self.tell()
        assert self.gate.wait(10)
        fault = self.fault
        if fault is None:
            self.batches.append(list(rows))
        self.writing -= 1
        self.calls += 1
        self.tell()
        if fault is not None:
            raise fault

    async def until(self, condition: Callable[[], bool]) -> None:
        async with self._changed, asyncio.timeout(10):
            await self._changed.wait_for(condition)

    def tell(self) -> None:
        asyncio.run_coroutine_threadsafe(self._notify(), self._loop)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def called(self, times: int) -> bool:
        return self.calls == times

    @property
    def rows(self) -> list[MetricsSnapshot]:
        return [row for batch in self.batches for row in batch]


@asynccontextmanager
async def writing(
    database: Database, source: Callable[[], list[GroupStats]] = lambda: [stats()], **options: Any
) -> AsyncIterator[SnapshotWriter]:
    settings: dict[str, Any] = {"interval_s": 3600, "write": database.write, "upkeep": lambda _now: iter(())}
    writer = SnapshotWriter(source, process_id="p1", **settings | options)
    writer.start()
    try:
        yield writer
    finally:
        database.gate.set()
        await writer.aclose()


async def test_every_group_becomes_one_row_of_one_batch() -> None:
    database = Database()
    source = [stats("ecg.a", sent_messages=5), stats("ecg.b", detail={"classes": {"high": 2}})]
    async with writing(database, lambda: source, now=lambda: NOON) as writer:
        writer.take()
        await database.until(lambda: bool(database.batches))
    assert [len(batch) for batch in database.batches] == [2]
    assert [(row.at, row.process, row.group, row.viewers) for row in database.rows] == [
        (NOON, "p1", "ecg.a", 3),
        (NOON, "p1", "ecg.b", 3),
    ]
    assert [row.stats for row in database.rows] == source


async def test_snapshots_are_taken_each_interval_without_being_asked() -> None:
    database = Database()
    async with writing(database, interval_s=0.01):
        await database.until(lambda: len(database.batches) >= 3)


async def test_write_runs_in_a_thread_of_its_own() -> None:
    seen: list[threading.Thread] = []
    database = Database()

    def write(rows: Sequence[Any]) -> None:
        seen.append(threading.current_thread())
        database.write(rows)

    async with writing(database, write=write) as writer:
        writer.take()
        await database.until(lambda: bool(database.batches))
    assert seen[0] is not threading.main_thread()
    assert seen[0].daemon, "a statement that waits for a lock must not hold up the end of the process"


async def test_ticks_wait_behind_a_slow_write_and_then_go_as_one_batch() -> None:
    database = Database()
    database.gate.clear()
    async with writing(database) as writer:
        writer.take()
        await database.until(lambda: database.writing == 1)
        writer.take()
        writer.take()
        database.gate.set()
        await database.until(lambda: len(database.rows) == 3)
    assert [len(batch) for batch in database.batches] == [1, 2]
    assert database.most_at_once == 1
    assert writer.lost == 0


async def test_backlog_behind_a_slow_write_is_bounded_and_the_oldest_is_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    database = Database()
    database.gate.clear()
    count = 0

    def source() -> list[GroupStats]:
        nonlocal count
        count += 1
        return [stats(sent_messages=count)]

    async with writing(database, source) as writer:
        writer.take()
        await database.until(lambda: database.writing == 1)
        with caplog.at_level(logging.INFO, logger="monitoring.snapshots"):
            for _ in range(BACKLOG_TICKS + 2):
                writer.take()
            assert writer.lost == 2
            database.gate.set()
            await database.until(lambda: len(database.rows) == 1 + BACKLOG_TICKS)
            writer.take()
            await database.until(lambda: len(database.rows) == 2 + BACKLOG_TICKS)
    sent = [row.sent_messages for row in database.rows]
    assert sent == [1, *range(4, 4 + BACKLOG_TICKS + 1)]
    assert database.rows[-1].lost_snapshots == 2
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_locked_database_keeps_the_last_ticks_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    database = Database()
    database.fault = OperationalError("database is locked")
    ticks = BACKLOG_TICKS + 5
    with caplog.at_level(logging.INFO, logger="monitoring.snapshots"):
        async with writing(database) as writer:
            for n in range(1, ticks):
                writer.take()
                await database.until(partial(database.called, n))
            database.fault = None
            writer.take()
            await database.until(lambda: bool(database.batches))
    assert len(database.rows) in {BACKLOG_TICKS, BACKLOG_TICKS + 1}, "the last minute is there"
    assert len(database.rows) + writer.lost == ticks
    assert max(row.lost_snapshots for row in database.rows) > 0
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "database is locked" in caplog.text


async def test_rows_that_the_database_refuses_do_not_stand_in_the_way() -> None:
    database = Database()
    database.fault = DataError("value out of range")
    async with writing(database) as writer:
        writer.take()
        await database.until(lambda: database.calls == 1)
        database.fault = None
        writer.take()
        await database.until(lambda: bool(database.batches))
        assert len(database.rows) == 1
        assert writer.lost == 1


async def test_statistics_that_fail_cost_one_tick_only(caplog: pytest.LogCaptureFixture) -> None:
    database = Database()
    broken = True

    def source() -> list[GroupStats]:
        if broken:
            raise RuntimeError("changed during iteration")
        return [stats()]

    async with writing(database, source) as writer:
        writer.take()
        broken = False
        writer.take()
        await database.until(lambda: bool(database.batches))
    assert "changed during iteration" in caplog.text


async def test_close_stores_what_waits() -> None:
    database = Database()
    async with writing(database) as writer:
        writer.take()
    assert len(database.rows) == 1
    assert writer.lost == 0


async def test_close_gives_up_on_a_database_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "CLOSE_TIMEOUT_S", 0.05)
    database = Database()
    database.gate.clear()
    writer = SnapshotWriter(lambda: [stats()], interval_s=3600, process_id="p", write=database.write)
    writer.start()
    writer.take()
    await database.until(lambda: database.writing == 1)
    writer.take()
    async with asyncio.timeout(5):
        await writer.aclose()
    assert writer.lost == 2
    database.gate.set()
    await database.until(lambda: database.writing == 0)


async def test_close_without_start_and_twice_is_fine() -> None:
    database = Database()
    writer = SnapshotWriter(lambda: [stats()], interval_s=1, process_id="p", write=database.write)
    await writer.aclose()
    writer.start()
    await writer.aclose()
    await writer.aclose()


async def test_upkeep_is_done_at_the_start_then_every_ten_minutes_step_by_step() -> None:
    database = Database()
    now = 1000.0
    asked: list[datetime] = []
    threads: list[threading.Thread] = []

    def upkeep(at: datetime) -> Iterator[Step]:
        asked.append(at)
        for _ in range(3):
            threads.append(threading.current_thread())
            yield Step(deleted=1)
        database.tell()

    async with writing(
        database, clock=lambda: now, now=lambda: NOON, upkeep=upkeep, interval_s=1e6
    ) as writer:
        writer.take()
        await database.until(lambda: len(threads) == 3)
        now += UPKEEP_EVERY_S - 1
        for batches in (2, 3):
            writer.take()
            await database.until(partial(database.called, batches))
        assert len(asked) == 1
        now += 1
        writer.take()
        await database.until(lambda: len(threads) == 6)
    assert asked == [NOON, NOON]
    assert len(set(threads)) == 6
    assert threading.main_thread() not in threads


async def test_snapshots_are_stored_between_the_steps_of_upkeep() -> None:
    database = Database()
    order: list[str] = []
    taking = asyncio.Event()
    loop = asyncio.get_running_loop()

    def upkeep(_at: datetime) -> Iterator[Step]:
        loop.call_soon_threadsafe(taking.set)
        assert stepping.wait(10)
        order.append("step")
        yield Step()
        order.append(f"step after {len(database.batches)} writes")
        database.tell()

    stepping = threading.Event()
    async with writing(database, clock=lambda: 0.0, upkeep=upkeep) as writer:
        writer.take()
        await taking.wait()
        writer.take()
        stepping.set()
        await database.until(lambda: len(order) == 2)
    assert order == ["step", "step after 2 writes"]


async def test_upkeep_that_the_database_refuses_waits_for_its_next_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    database = Database()

    def upkeep(_at: datetime) -> Iterator[Step]:
        yield Step()
        raise OperationalError("database is locked")

    async with writing(database, upkeep=upkeep) as writer:
        for batches in (1, 2):
            writer.take()
            await database.until(partial(database.called, batches))
    assert caplog.text.count("old metrics snapshots stay as they are") == 1


@pytest.mark.django_db(transaction=True)
async def test_rows_reach_the_real_database_and_the_thread_leaves_no_connection() -> None:
    writer = SnapshotWriter(
        lambda: [stats("ecg.a", ratio_vs_json=91.5, detail={"x": 1}), stats("ecg.b")],
        interval_s=3600,
        process_id="p1",
    )
    writer.start()
    writer.take()
    await writer.aclose()
    rows = [row async for row in MetricsSnapshot.objects.order_by("group")]
    assert [row.stats for row in rows] == [
        stats("ecg.a", ratio_vs_json=91.5, detail={"x": 1}),
        stats("ecg.b"),
    ]
    assert writer.lost == 0


@pytest.mark.django_db(transaction=True)
async def test_real_lock_delays_snapshots_and_never_the_loop() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("other databases lock rows, not the file")
    failed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def write(rows: Sequence[Any]) -> None:
        with connections["default"].cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 50")
        try:
            snapshots.store_rows(rows)
        except OperationalError:
            loop.call_soon_threadsafe(failed.set)
            raise

    def begin() -> transaction.Atomic:
        atomic = transaction.atomic()
        atomic.__enter__()
        MetricsSnapshot.of(stats("ecg.lock"), at=NOON, process="other").save()
        return atomic

    atomic = await sync_to_async(begin)()
    writer = SnapshotWriter(
        lambda: [stats()], interval_s=3600, process_id="p1", write=write, upkeep=lambda _: iter(())
    )
    writer.start()
    writer.take()
    async with asyncio.timeout(10):
        await failed.wait()
    await sync_to_async(atomic.__exit__)(None, None, None)
    writer.take()
    await writer.aclose()
    assert writer.lost == 0
    assert await MetricsSnapshot.objects.filter(process="p1").acount() == 2


class Neighbour:
    """What else is made of the figures: counts, and has something to write when it is told so."""

    def __init__(self, database: Database) -> None:
        self.taken: list[Sequence[GroupStats]] = []
        self.written: list[str] = []
        self.faults: list[BaseException | None] = []
        self.fault: Exception | None = None
        self.waiting = True
        self._database = database

    def take(self, stats: Sequence[GroupStats]) -> None:
        self.taken.append(stats)

    def work(self) -> Callable[[], None] | None:
        return self._write if self.waiting else None

    def done(self, fault: BaseException | None) -> None:
        self.waiting = fault is not None
        self.faults.append(fault)
        self._database.tell()

    def _write(self) -> None:
        self.written.append(threading.current_thread().name)
        if self.fault is not None:
            raise self.fault


async def test_neighbour_has_each_tick_and_writes_in_the_same_thread_after_the_rows() -> None:
    database = Database()
    neighbour = Neighbour(database)
    async with writing(database, beside=neighbour) as writer:
        writer.take()
        await database.until(lambda: bool(neighbour.faults))
    assert neighbour.taken == [[stats()]]
    assert (neighbour.written, neighbour.faults) == (["snapshots"], [None])
    assert len(database.rows) == 1


async def test_neighbour_writes_without_rows_and_before_the_next_tick() -> None:
    database = Database()
    neighbour = Neighbour(database)
    async with writing(database, beside=neighbour) as writer:
        writer.wake()
        await database.until(lambda: bool(neighbour.faults))
    assert (neighbour.taken, database.batches, neighbour.faults) == ([], [], [None])


async def test_neighbour_is_told_what_failed_and_rows_go_on() -> None:
    database = Database()
    neighbour = Neighbour(database)
    neighbour.fault = OperationalError("locked")
    async with writing(database, beside=neighbour) as writer:
        writer.take()
        await database.until(lambda: len(neighbour.faults) == 1)
        neighbour.fault = None
        writer.take()
        await database.until(lambda: len(neighbour.faults) == 2)
    assert [type(fault) for fault in neighbour.faults] == [OperationalError, type(None)]
    assert len(database.rows) == 2


async def test_what_the_neighbour_has_at_the_end_is_written() -> None:
    database = Database()
    neighbour = Neighbour(database)
    async with writing(database, beside=neighbour):
        pass
    assert neighbour.faults == [None]
