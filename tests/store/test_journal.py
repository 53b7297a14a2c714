"""The journal from the event loop: stored in order, spooled when that takes too long, and exactly once."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connections

from streaming.core.alarm_record import AlarmEntry, AlarmStep
from streaming.models_checkpoints import JournalCheckpoint
from streaming.models_journal import JournalEntry
from streaming.store import chain, journal_orphans, journal_rows
from streaming.store import journal as journal_module
from streaming.store import spool as spool_module
from streaming.store.chain import Head
from streaming.store.journal import AlarmJournal, Receipt
from streaming.store.journal_rows import Line, line_of
from streaming.store.routing import JOURNAL
from streaming.store.spool import DAMAGED, SUFFIX, Spool
from tests.store.journals import closed, entry, problems, raised

pytestmark = pytest.mark.usefixtures("journal_db")

DEADLINE_S = 20.0
"""For what takes milliseconds; reached by what hangs alone."""


Lock = Callable[[], AbstractContextManager[None]]


class Process:
    """A journal, and what it has stored, asked on its own thread."""

    def __init__(self, spool_dir: Path) -> None:
        self.journal = AlarmJournal(spool_dir)
        self.spool_dir = spool_dir

    async def alarms(self) -> list[str]:
        """Of every row, in their order."""
        found: list[str] = await self.journal._reader.run(
            lambda: list(JournalEntry.objects.order_by("pk").values_list("alarm", flat=True))
        )
        return found

    async def problems(self) -> list[Any]:
        return await self.journal._reader.run(problems)

    def spooled(self) -> list[str]:
        """The keys of what lies in spools."""
        files = sorted(self.spool_dir.glob(f"*{SUFFIX}"))
        return [line.split(" ")[0] for file in files for line in file.read_text().splitlines()]

    async def end(self, timeout_s: float = DEADLINE_S) -> None:
        journal = self.journal
        owners = (journal._writer, journal._reader, journal._disk, journal._keeper)
        threads = [owner._thread for owner in owners]
        await self.journal.aclose(timeout_s)
        for thread in threads:
            if thread is not None:
                await asyncio.to_thread(thread.join, DEADLINE_S)


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Process]:
    """One that has not started."""
    made = Process(tmp_path / "spool")
    yield made
    await made.end()


@pytest.fixture
def lock(journal_url: str) -> Callable[[], AbstractContextManager[None]]:
    """`with lock():` another connection holds SQLite's write lock, or PostgreSQL's on the table."""

    @contextmanager
    def held() -> Iterator[None]:
        if journal_url.startswith("sqlite"):
            connections.settings[JOURNAL]["OPTIONS"]["timeout"] = 0.05
            other = sqlite3.connect(journal_url.removeprefix("sqlite:///"), isolation_level=None)
            begin = "BEGIN IMMEDIATE"
        else:
            import psycopg

            other = psycopg.connect(**connections[JOURNAL].get_connection_params())  # type: ignore[assignment]
            begin = "LOCK streaming_journalentry IN EXCLUSIVE MODE"
        other.execute(begin)
        try:
            yield
        finally:
            other.rollback()
            other.close()

    return held


async def soon(future: asyncio.Future[None]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        await asyncio.shield(future)


async def until(condition: Any) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110  # a thread changes it, or the disk
            await asyncio.sleep(0.005)


async def test_what_is_appended_is_stored_in_order_and_told_as_news(process: Process) -> None:
    assert await process.journal.start() == []
    receipts = [process.journal.append([raised(f"alarm-{n}")]) for n in range(50)]
    assert process.journal.waiting == 50
    await soon(receipts[-1].stored)
    assert all(receipt.stored.done() and receipt.durable.done() for receipt in receipts)
    assert await process.alarms() == [f"alarm-{n}" for n in range(50)]
    assert process.journal.waiting == 0
    assert process.journal.fault is None
    assert sorted(r.alarm for r in await process.journal.news()) == sorted(f"alarm-{n}" for n in range(50))
    assert await process.problems() == []


async def test_whatever_waits_is_one_transaction(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, store = [], journal_rows.store

    def counted(lines: list[Line], head: Any) -> Any:
        sizes.append(len(lines))
        return store(lines, head)

    monkeypatch.setattr(journal_rows, "store", counted)
    await process.journal.start()
    receipts = [process.journal.append([raised(f"alarm-{n}")]) for n in range(500)]
    await soon(receipts[-1].stored)
    assert sizes == [200, 200, 100]


async def test_many_entries_at_once_are_stored_in_parts(process: Process) -> None:
    await process.journal.start()
    receipt = process.journal.append([raised(f"alarm-{n}") for n in range(1001)])
    await soon(receipt.stored)
    assert (await process.alarms())[-1] == "alarm-1000"
    assert process.journal.waiting == 0


async def test_nothing_is_stored_at_once(process: Process) -> None:
    receipt = process.journal.append([])
    assert receipt.stored.done()
    assert receipt.durable.done()


async def test_a_start_tells_what_is_open(process: Process, tmp_path: Path) -> None:
    await process.journal.start()
    await soon(process.journal.append([raised("open"), *closed("closed")]).stored)
    other = Process(tmp_path / "spool")
    assert [record.alarm for record in await other.journal.start()] == ["open"]
    assert await other.journal.news() == []
    await other.end()


async def test_what_another_process_writes_is_told(process: Process, tmp_path: Path) -> None:
    other = Process(tmp_path / "spool")
    await process.journal.start()
    await other.journal.start()
    await soon(process.journal.append([raised()]).stored)
    assert [record.alarm for record in await other.journal.news()] == ["alarm-1"]
    await soon(other.journal.append([entry(AlarmStep.ACKNOWLEDGED, by="Robin")]).stored)
    assert [record.acknowledged_by for record in await process.journal.news()] == ["Robin"]
    await other.end()
    assert await process.problems() == []


async def test_a_locked_database_makes_it_durable_in_the_spool_and_stored_later_once(
    process: Process, lock: Lock, caplog: pytest.LogCaptureFixture
) -> None:
    await process.journal.start()
    with lock():
        receipt = process.journal.append([raised("first"), raised("second")])
        await soon(receipt.durable)
        later = process.journal.append([raised("third")])
        await soon(later.durable)
        assert not receipt.stored.done()
        assert process.journal.fault is not None
        assert process.journal.waiting == 3
        made = [line_of(raised(alarm)).key for alarm in ("first", "second", "third")]
        assert process.spooled() == made
        reading = await process.journal.news()
        assert reading == []
    await soon(later.stored)
    assert await process.alarms() == ["first", "second", "third"]
    await until(lambda: process.spooled() == [])
    await until(lambda: process.journal.fault is None)
    await until(lambda: process.journal.waiting == 0)
    assert caplog.text.count("alarms are not stored") == 1
    assert caplog.text.count("alarms are stored again") == 1
    assert await process.problems() == []


async def test_a_spool_that_is_never_done_with_does_not_keep_all_that_was_ever_in_it(
    process: Process, lock: Lock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "MOST_STALE_LINES", 2)
    await process.journal.start()
    stored = asyncio.Event()
    store, names = journal_rows.store, [f"alarm-{number}" for number in range(20)]

    def one_by_one(lines: Sequence[Line], head: Head) -> Head:
        loop.call_soon_threadsafe(stored.set)
        return store(lines, head)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(journal_rows, "store", one_by_one)
    monkeypatch.setattr(journal_module, "BATCH_ENTRIES", 1)
    monkeypatch.setattr(journal_module, "SPOOL_AFTER_S", 0.0)
    with lock():
        await soon(process.journal.append([raised(name) for name in names]).durable)
        assert len(process.spooled()) == len(names)
    await until(lambda: process.journal.waiting < len(names) / 2)
    await soon(process.journal.append([raised("last")]).durable)
    assert len(process.spooled()) < len(names)
    await until(lambda: process.journal.waiting == 0)
    assert sorted(await process.alarms()) == sorted([*names, "last"])


async def test_a_database_that_fails_is_tried_again_by_another_chain(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "RETRY_S", 0.01)
    store, tried = journal_rows.store, []

    def store_and_lose_the_answer(lines: list[Line], head: Any) -> Any:
        tried.append(head.writer)
        stored = store(lines, head)
        if len(tried) <= 3:
            raise OperationalError("server closed\nthe connection\nDETAIL:  Failing row contains (Heron)")
        return stored

    monkeypatch.setattr(journal_rows, "store", store_and_lose_the_answer)
    await process.journal.start()
    first = process.journal.append([raised("first")])
    await until(lambda: process.journal.fault)
    assert process.journal.fault == "server closed the connection (OperationalError)"
    await soon(first.stored)
    await soon(process.journal.append([raised("second")]).stored)
    assert await process.alarms() == ["first", "second"]
    assert len(set(tried)) == 4
    assert await process.problems() == []


async def test_a_fault_of_ours_gives_up_nothing(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "RETRY_S", 0.01)
    with monkeypatch.context() as patch:
        patch.setattr(journal_rows, "store", lambda *_: 1 / 0)
        await process.journal.start()
        receipt = process.journal.append([raised()])
        await soon(receipt.durable)
        assert process.journal.fault == "division by zero (ZeroDivisionError)"
    await soon(receipt.stored)


async def test_a_disk_that_fails_is_a_fault_until_it_can_be_written(
    process: Process, lock: Lock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    await process.journal.start()
    with lock():
        with monkeypatch.context() as patch:
            patch.setattr(Spool, "append", fail)
            receipt = process.journal.append([raised()])
            await until(lambda: "No space left" in (process.journal.fault or ""))
            assert not receipt.durable.done()
        await soon(receipt.durable)
        await until(lambda: "No space left" not in (process.journal.fault or ""))
        assert caplog.text.count("spool of alarms cannot be written") == 1
    await soon(receipt.stored)


async def test_a_disk_that_fails_while_the_database_takes_all_is_tried_till_it_works(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "RETRY_S", 0.01)
    append, calls = Spool.append, []

    def fail_twice(spool: Spool, lines: list[Line]) -> None:
        calls.append(len(lines))
        if len(calls) <= 2:
            raise OSError(5, "Input/output error")
        append(spool, lines)

    monkeypatch.setattr(Spool, "append", fail_twice)
    monkeypatch.setattr(journal_module, "SPOOL_AFTER_S", 0.0)
    await process.journal.start()
    await soon(process.journal.append([raised()]).stored)
    await until(lambda: len(calls) == 3 and process.journal.fault is None)
    await until(lambda: process.spooled() == [])


async def test_a_future_that_its_reader_cancelled_does_no_harm(process: Process) -> None:
    await process.journal.start()
    receipt = process.journal.append([raised("first")])
    receipt.stored.cancel()
    receipt.durable.cancel()
    await soon(process.journal.append([raised("second")]).stored)
    assert await process.alarms() == ["first", "second"]


class TestEnd:
    """A process ends, in order or not, and leaves nothing behind but what is in its spool."""

    async def test_the_end_of_its_chain_is_marked(self, process: Process, tmp_path: Path) -> None:
        other = Process(tmp_path / "spool")
        await other.journal.start()
        await soon(other.journal.append(closed()).stored)
        await other.end()
        marked = await process.journal._reader.run(
            lambda: list(JournalCheckpoint.objects.values_list("seq", "kind"))
        )
        assert marked == [(5, "head")]

    async def test_what_waits_is_stored(self, process: Process, tmp_path: Path) -> None:
        other = Process(tmp_path / "spool")
        await other.journal.start()
        receipt = other.journal.append([raised()])
        await other.end()
        assert receipt.stored.done()
        assert await process.alarms() == ["alarm-1"]
        assert list((tmp_path / "spool").glob("*")) == []

    async def test_what_the_database_does_not_take_is_in_the_spool_and_the_next_process_stores_it(
        self, process: Process, tmp_path: Path, lock: Lock
    ) -> None:
        other = Process(tmp_path / "spool")
        await other.journal.start()
        with lock():
            receipt = other.journal.append([raised("left")])
            await other.journal.aclose(0.0)
            assert receipt.durable.done()
            assert process.spooled() == [line_of(raised("left")).key]
        assert [record.alarm for record in await process.journal.start()] == ["left"]
        assert await process.alarms() == ["left"]
        assert process.spooled() == []
        await other.end()

    async def test_what_can_be_neither_stored_nor_spooled_is_said(
        self, process: Process, lock: Lock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(journal_module, "LAST_WORDS_S", 0.05)

        def fail(*_args: object) -> None:
            raise OSError(30, "Read-only file system")

        monkeypatch.setattr(Spool, "append", fail)
        await process.journal.start()
        with lock():
            process.journal.append([raised(), *closed("other")])
            await process.journal.aclose(0.05)
        assert "ends with 6 journal entries neither stored nor spooled" in caplog.text


def leave(spool_dir: Path, *entries: AlarmEntry) -> None:
    """As a process does that is killed."""
    spool = Spool(spool_dir)
    spool.append([line_of(each) for each in entries])
    spool.close()


class TestTakeOver:
    """What dead processes left is stored by the living."""

    async def test_spools_of_several_dead_processes_are_stored_once_and_go(
        self, process: Process, tmp_path: Path
    ) -> None:
        leave(tmp_path / "spool", raised("one"), raised("both"))
        leave(tmp_path / "spool", raised("two"), raised("both"))
        opened = await process.journal.start()
        assert sorted(record.alarm for record in opened) == ["both", "one", "two"]
        assert sorted(await process.alarms()) == ["both", "one", "two"]
        assert list((tmp_path / "spool").iterdir()) == []

    async def test_what_was_committed_before_the_kill_is_one_row(
        self, process: Process, tmp_path: Path
    ) -> None:
        await process.journal.start()
        await soon(process.journal.append([raised("one"), raised("two")]).stored)
        leave(tmp_path / "spool", raised("one"), raised("two"), raised("three"))
        await process.journal._orphans.take_over()
        assert await process.alarms() == ["one", "two", "three"]
        assert await process.problems() == []

    async def test_a_process_that_dies_meanwhile_is_found(
        self, process: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(journal_orphans, "EVERY_S", 0.01)
        await process.journal.start()
        leave(tmp_path / "spool", raised())
        await until(lambda: process.spooled() == [])
        assert await process.alarms() == ["alarm-1"]

    async def test_a_locked_database_does_not_hold_up_the_start_for_long(
        self, process: Process, tmp_path: Path, lock: Lock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(journal_module, "START_S", 0.05)
        leave(tmp_path / "spool", raised())
        with lock():
            assert await process.journal.start() == []
            assert process.spooled() == [line_of(raised()).key]
        await until(lambda: process.spooled() == [])
        assert [record.alarm for record in await process.journal.news()] == ["alarm-1"]

    async def test_a_long_spool_lets_others_pass_between_its_parts(
        self, process: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(journal_orphans, "PART_LINES", 10)
        monkeypatch.setattr(journal_module, "BATCH_ENTRIES", 10)
        leave(tmp_path / "spool", *(raised(f"old-{n}") for n in range(95)))
        live: list[Receipt] = []
        store = journal_rows.store

        def store_and_append(lines: list[Line], head: Any) -> Any:
            if not live:
                loop.call_soon_threadsafe(lambda: live.append(process.journal.append([raised("live")])))
            return store(lines, head)

        loop = asyncio.get_running_loop()
        monkeypatch.setattr(journal_rows, "store", store_and_append)
        await process.journal.start()
        assert "live" in (await process.alarms())[:30]

    async def test_a_damaged_spool_is_kept_and_does_not_stop_others(
        self, process: Process, tmp_path: Path
    ) -> None:
        leave(tmp_path / "spool", raised("one"), raised("two"))
        (path,) = (tmp_path / "spool").iterdir()
        path.write_bytes(path.read_bytes().replace(b"asystole", b"nothing!", 1))
        leave(tmp_path / "spool", raised("three"))
        await process.journal.start()
        assert sorted(await process.alarms()) == ["three", "two"]
        assert [file.suffix for file in (tmp_path / "spool").iterdir()] == [DAMAGED]

    async def test_spools_that_cannot_be_read_are_said_once(
        self,
        process: Process,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        tried = []

        def fail(_directory: Path) -> None:
            tried.append(1)
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(journal_orphans, "EVERY_S", 0.005)
        monkeypatch.setattr(spool_module, "orphans", fail)
        await process.journal.start()
        await until(lambda: len(tried) > 3)
        assert caplog.text.count("cannot be taken over") == 1


async def test_a_database_that_is_away_leaves_the_start_empty_and_news_tell_later(
    process: Process, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise OperationalError("connection refused")

    await process.journal._reader.run(lambda: journal_rows.store([line_of(raised())], chain.new_head()))
    with monkeypatch.context() as patch:
        patch.setattr(journal_rows, "open_alarms", fail)
        assert await process.journal.start() == []
    assert "open alarms cannot be read yet: connection refused" in caplog.text
    assert [record.alarm for record in await process.journal.news()] == ["alarm-1"]
