"""Checkpoints at a start, every hour and at the end; pruning with them; and a fault that is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from streaming.core.alarm_record import AlarmEntry
from streaming.models_journal import JournalEntry
from streaming.store import believed, chain, checkpoints, journal_rows, retention, verification
from streaming.store.believed import BelievedClock, newest_of
from streaming.store.chain import Head
from streaming.store.head_log import HeadLog
from streaming.store.journal_rows import line_of
from streaming.store.own_thread import DatabaseThread
from streaming.store.routing import JOURNAL
from streaming.store.trails import ALARMS, Trail
from streaming.store.upkeep import EVERY_S, RETRY_S, Upkeep
from tests.fakes import virtual_time
from tests.store.journals import START_MS, closed, raised, without_triggers


class Done:
    """What was done, and when; each may fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.acts: list[tuple[float, str]] = []
        self.faults: list[Exception] = []
        self.ages: list[int] = []
        self.head = Head("w", 1, "a")
        monkeypatch.setattr(checkpoints, "mark_all", lambda trail, log: self._note("mark_all"))
        monkeypatch.setattr(checkpoints, "mark", lambda trail, head, log: self._note(f"mark {head.seq}"))
        monkeypatch.setattr(retention, "prune", self._prune)

    def _prune(self, trail: Trail, before: datetime, log: HeadLog) -> Iterator[int]:
        self._note("prune")
        self.ages.append((timezone.now() - before).days)
        yield 1000
        self._note("prune")
        yield 5

    def _note(self, act: str) -> None:
        self.acts.append((asyncio.get_running_loop().time(), act))
        if self.faults:
            raise self.faults.pop(0)


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Done:
    return Done(monkeypatch)


async def at_once(function: Callable[[], Any]) -> Any:
    return function()


def upkeep(done: Done, tmp_path: Path) -> Upkeep:
    log, clock = HeadLog(tmp_path / "heads.log"), BelievedClock("trail", lambda: None, tmp_path / "clock")
    return Upkeep(ALARMS, lambda: done.head, 30, at_once, log, clock)


async def kept_for(seconds: float, keeping: Upkeep) -> float:
    """When it began."""
    began = asyncio.get_running_loop().time()
    task = asyncio.create_task(keeping.keep())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await keeping.end()
    return began


@virtual_time
async def test_at_the_start_hourly_and_at_the_end(done: Done, tmp_path: Path) -> None:
    began = await kept_for(EVERY_S + 1, upkeep(done, tmp_path))
    marks = ("mark 1", "mark_all")
    hourly = [(began + EVERY_S, act) for act in (*marks, "prune", "prune")]
    assert done.acts == [
        *((began, act) for act in marks),
        *hourly,
        *((began + EVERY_S + 1, act) for act in marks),
    ]
    assert done.ages == [30]


@virtual_time
@pytest.mark.parametrize(
    "fault",
    [OperationalError("locked"), OSError(28, "full"), KeyError("ours")],
    ids=lambda e: type(e).__name__,
)
async def test_after_a_fault_it_is_tried_again_soon(
    fault: Exception, done: Done, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    done.faults = [fault]
    began = await kept_for(RETRY_S + 1, upkeep(done, tmp_path))
    assert done.acts[:2] == [(began, "mark 1"), (began + RETRY_S, "mark 1")]
    assert caplog.text.count("the alarms trail has no new checkpoint") == 1


@virtual_time
async def test_a_fault_that_lasts_is_said_once(
    done: Done, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    done.faults = [OperationalError("locked")] * 5
    await kept_for(4 * RETRY_S + 1, upkeep(done, tmp_path))
    assert len(done.acts) > 5
    assert caplog.text.count("the alarms trail has no new checkpoint") == 1


class Ward:
    """A process that left one chain after a fault of the database, and writes another."""

    def __init__(self, var_dir: Path) -> None:
        self.log = HeadLog(var_dir / "heads.log")
        self.clock = var_dir / "clock"
        self.left = self._write(*closed("closed"))
        self.head = self._write(raised("open"))

    def _write(self, *entries: AlarmEntry) -> Head:
        return journal_rows.store([line_of(each) for each in entries], chain.new_head())

    def do(self, act: Callable[[Upkeep], Awaitable[None]]) -> None:
        """On a thread of its own, as the journal does."""

        async def done() -> None:
            thread = DatabaseThread(JOURNAL, name="keep")
            clock = BelievedClock("alarms trail", partial(newest_of, ALARMS), self.clock)
            await act(Upkeep(ALARMS, lambda: self.head, 30, thread.run, self.log, clock))
            worker = thread._thread
            thread.close()
            assert worker is not None
            worker.join(10.0)

        asyncio.run(done())

    def take_out(self) -> list[str]:
        """Delete the whole chain that was left; what is found."""
        with without_triggers():
            JournalEntry.objects.filter(writer=self.left.writer)._raw_delete(JOURNAL)
        return [fault.text for fault in verification.verify(self.log, [ALARMS]).faults]


@pytest.fixture
def ward(journal_db: str, tmp_path: Path) -> Ward:
    return Ward(tmp_path)


@pytest.mark.parametrize("act", [Upkeep._hourly, Upkeep.end], ids=["hourly", "at the end"])
def test_a_chain_that_was_left_after_a_fault_is_marked_without_a_start(
    act: Callable[[Upkeep], Awaitable[None]], ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "prune", lambda *_: iter(()))
    ward.do(act)
    (found,) = ward.take_out()
    assert found.startswith("the end of the chain is missing")


def test_a_chain_that_was_left_after_a_fault_is_pruned_by_its_age(ward: Ward) -> None:
    believed.write(timezone.now(), ward.clock)
    ward.do(Upkeep._hourly)
    assert list(JournalEntry.objects.values_list("alarm", flat=True)) == ["open"]


async def of_a_process(keeping: Upkeep) -> None:
    """Its start, two hours and its end."""
    await keeping._begin()
    await keeping._hourly()
    await keeping._hourly()
    await keeping.end()


@pytest.mark.parametrize("is_new", [True, False], ids=["nothing was believed", "the day was believed"])
def test_a_clock_that_has_jumped_ahead_deletes_nothing(
    is_new: bool, ward: Ward, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    day = datetime.fromtimestamp(START_MS / 1000, UTC)
    if not is_new:
        believed.write(day, ward.clock)
    monkeypatch.setattr(timezone, "now", lambda: day + timedelta(days=800))
    ward.do(of_a_process)
    assert JournalEntry.objects.count() == 6
    assert caplog.text.count("manage.py confirm_clock --yes") == 1
    if not is_new:
        ward.do(of_a_process)
        assert JournalEntry.objects.count() == 6
        believed.write(timezone.now(), ward.clock)
        ward.do(of_a_process)
        assert JournalEntry.objects.count() == 1
