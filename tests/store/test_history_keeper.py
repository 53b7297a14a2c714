"""The history from the event loop: what a database that is away means, and what pruning leaves behind."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import DataError, InterfaceError, OperationalError, connections
from django.utils import timezone
from pytest_django import Settings

from streaming.exceptions import HistoryAwayError
from streaming.models import AuditEntry
from streaming.models_history import HistoryChunk, HistoryPin
from streaming.pins import Pin
from streaming.store import believed, history
from streaming.store.believed import BelievedClock
from streaming.store.history_keeper import HistoryKeeper
from streaming.store.history_limits import Limits
from streaming.store.routing import HISTORY
from tests.store.histories import chunk_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("history_db")]


async def count(keeper: HistoryKeeper) -> int:
    """Asked on the keeper's thread: the one that all views share may hold a connection to another test's."""
    return await keeper._thread.run(HistoryChunk.objects.count)


@pytest.fixture
async def keeper() -> AsyncIterator[HistoryKeeper]:
    made = HistoryKeeper(Limits(timedelta(hours=1), 10**9))
    yield made
    thread = made._thread._thread
    made.close()
    if thread is not None:
        thread.join(5.0)


async def test_what_is_written_is_there(keeper: HistoryKeeper) -> None:
    await keeper.write([chunk_of(0, 500), chunk_of(500, 1000)])
    assert await count(keeper) == 2


@pytest.mark.parametrize("fault", [OperationalError("disk\nfull"), InterfaceError("gone")])
async def test_what_may_succeed_later_is_told_apart(
    keeper: HistoryKeeper, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_chunks: object) -> None:
        raise fault

    monkeypatch.setattr(history, "write", fail)
    with pytest.raises(HistoryAwayError, match=r"^[^\n]+ \(\w+Error\)$"):
        await keeper.write([chunk_of(0, 500)])


async def test_what_will_never_succeed_is_raised_as_it_is(
    keeper: HistoryKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_chunks: object) -> None:
        raise DataError("out of range")

    monkeypatch.setattr(history, "write", fail)
    with pytest.raises(DataError):
        await keeper.write([chunk_of(0, 500)])


async def test_pruning_is_recorded_when_it_deleted_anything(keeper: HistoryKeeper) -> None:
    now = timezone.now()
    await keeper.write(
        [chunk_of(0, 500, began_at=now - timedelta(hours=2)), chunk_of(500, 1000, began_at=now)]
    )
    removed = await keeper.prune()
    assert (removed.chunks, await count(keeper)) == (1, 1)
    assert not await keeper.prune()
    entry = await AuditEntry.objects.aget()
    assert (entry.actor, entry.action, entry.object) == ("system:history", "history.prune", "history")
    assert entry.detail == {"chunks": 1, "bytes": removed.size_bytes, "pins": 0}


async def test_a_clock_that_has_jumped_ahead_deletes_no_history(
    keeper: HistoryKeeper, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keeper._clock = BelievedClock("history", believed.newest_of_history, tmp_path / "clock")
    now = timezone.now()
    await keeper.write([chunk_of(0, 500, began_at=now)])
    await keeper.pin([Pin("a", 1, 0, 500, "asystole")])
    assert not await keeper.prune()
    monkeypatch.setattr(timezone, "now", lambda: now + timedelta(days=800))
    assert not await keeper.prune()
    believed.write(timezone.now(), tmp_path / "clock")
    assert (await keeper.prune()).chunks == 1


async def test_what_was_deleted_before_a_fault_is_recorded(
    keeper: HistoryKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streaming.store.history_limits.STEP_CHUNKS", 1)
    old = timezone.now() - timedelta(hours=2)
    await keeper.write([chunk_of(500 * n, 500 * (n + 1), began_at=old) for n in range(3)])
    delete, calls = HistoryChunk.objects.filter, []

    def fail_in_the_second_step(*args: object, **kwargs: object) -> object:
        calls.append(kwargs)
        if sum("pk__in" in each for each in calls) == 2:
            raise OperationalError("database is locked")
        return delete(*args, **kwargs)

    monkeypatch.setattr(HistoryChunk.objects, "filter", fail_in_the_second_step)
    with pytest.raises(OperationalError):
        await keeper.prune()
    assert (await AuditEntry.objects.aget()).detail["chunks"] == 1


@pytest.mark.parametrize("history_url", ["sqlite"], indirect=True)
async def test_a_locked_file_is_waited_for_and_then_told(keeper: HistoryKeeper, history_url: str) -> None:
    connections.settings[HISTORY]["OPTIONS"]["timeout"] = 0.1
    with sqlite3.connect(history_url.removeprefix("sqlite:///"), isolation_level=None) as lock:
        lock.execute("BEGIN IMMEDIATE")
        with pytest.raises(HistoryAwayError, match="database is locked"):
            await keeper.write([chunk_of(0, 500)])
        lock.execute("ROLLBACK")
    await keeper.write([chunk_of(0, 500)])
    assert await count(keeper) == 1


async def test_a_pin_is_kept_for_its_days_and_made_longer_in_place(
    keeper: HistoryKeeper, settings: Settings
) -> None:
    settings.VITAL_PIN_DAYS = 3
    pin = Pin("a", 1, 100, 900, "ASYSTOLE" * 20)
    await keeper.pin([pin, replace(pin, stream="b")])
    await keeper.pin([replace(pin, stop=1500)])
    rows = await keeper._thread.run(lambda: list(HistoryPin.objects.order_by("stream")))
    assert [(row.stream, row.epoch, row.first, row.stop) for row in rows] == [
        ("a", 1, 100, 1500),
        ("b", 1, 100, 900),
    ]
    assert len(rows[0].reason) == 80
    assert all(timedelta(days=2.9) < row.until - timezone.now() < timedelta(days=3.1) for row in rows)
