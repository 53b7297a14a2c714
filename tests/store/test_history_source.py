"""The history as a source of what viewers lack."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from django.db import OperationalError

from streaming.core.ring import AWAY, NOTHING
from streaming.core.streams import Lead, Source, StreamInfo
from streaming.store import access, history
from streaming.store.history_source import (
    INFO_KEPT_S,
    LONGEST_PASSED_OVER_S,
    MAX_INFOS,
    PASSED_OVER_S,
    HistorySource,
)
from tests.fakes import FakeClock
from tests.store.histories import frame_of

pytestmark = pytest.mark.django_db(transaction=True)

INFO = StreamInfo("a", 1, "P-1", "icu", Source.SIM, 500.0, (Lead("II", 5.0),))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def source(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[HistorySource]:
    """About a stream that exists."""
    monkeypatch.setattr(
        access, "epoch_info", lambda stream, epoch: INFO if (stream, epoch) == ("a", 1) else None
    )
    made = HistorySource(deadline_s=0.5, clock=clock)
    yield made
    made.close()


def page_of(*frames: tuple[int, int], upto: int | None = None) -> history.Page:
    return history.Page(tuple(frame_of(first, count) for first, count in frames), upto)


async def test_a_page_comes_newest_first_and_says_what_its_frames_are(
    source: HistorySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def read(*what: object, **how: object) -> history.Page:
        asked.append((what, how))
        return page_of((50, 50), (100, 50), upto=50)

    monkeypatch.setattr(history, "read", read)
    page = await source.read("a", 1, 0, 150, max_bytes=999)
    assert asked == [(("a", 1, 0, 150), {"max_bytes": 999})]
    assert page.info == INFO
    assert [frame.first for frame in page.frames] == [100, 50]
    assert page.next == 50


async def test_of_what_is_not_stored_there_is_nothing(source: HistorySource) -> None:
    assert await source.read("a", 1, 0, 150, max_bytes=999) == NOTHING


async def test_samples_of_an_epoch_that_is_gone_are_not_given_away(
    source: HistorySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "read", lambda *_, **__: page_of((0, 50)))
    assert await source.read("b", 1, 0, 50, max_bytes=999) == NOTHING


class Database:
    """Answers with a page, fails, or hangs until it is released."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails = False
        self.well = threading.Event()
        self.well.set()
        self.asked = threading.Event()
        self.reads = 0
        monkeypatch.setattr(history, "read", self.read)

    def read(self, *_: object, **__: object) -> history.Page:
        self.reads += 1
        self.asked.set()
        self.well.wait(20)
        if self.fails:
            raise OperationalError("database is locked")
        return page_of((0, 50))


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    made = Database(monkeypatch)
    yield made
    made.well.set()


async def test_a_database_that_fails_is_away_and_that_is_said_once(
    source: HistorySource, clock: FakeClock, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    database.fails = True
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert await source.read("a", 1, 0, 50, max_bytes=999) is AWAY
            clock.advance(LONGEST_PASSED_OVER_S)
        database.fails = False
        assert (await source.read("a", 1, 0, 50, max_bytes=999)).frames
    assert database.reads == 4
    assert [record.getMessage() for record in caplog.records] == [
        "the history cannot be read: OperationalError"
    ]


async def test_a_database_that_hangs_costs_its_deadline_once_for_all(
    source: HistorySource, clock: FakeClock, database: Database
) -> None:
    database.well.clear()
    async with asyncio.timeout(10):  # one after the other they would take 500 s
        pages = await asyncio.gather(*(source.read("a", 1, 0, n, max_bytes=999) for n in range(1, 1001)))
    assert all(page is AWAY for page in pages)
    assert database.reads == 1
    database.well.set()
    assert await source.read("a", 1, 0, 50, max_bytes=999) is AWAY, "it is not tried so soon"
    clock.advance(PASSED_OVER_S)
    pages = await asyncio.gather(*(source.read("a", 1, 0, n, max_bytes=999) for n in range(1, 11)))
    assert all(page.frames for page in pages)


async def test_a_reader_that_leaves_keeps_nobody_from_reading(
    source: HistorySource, database: Database
) -> None:
    database.well.clear()
    leaving = asyncio.create_task(source.read("a", 1, 0, 50, max_bytes=999))
    staying = asyncio.create_task(source.read("a", 1, 0, 50, max_bytes=999))
    assert await asyncio.to_thread(database.asked.wait, 20)
    leaving.cancel()
    database.well.set()
    assert (await staying).frames


async def test_what_an_epoch_consists_of_is_asked_for_again_after_a_while_and_kept_of_so_many(
    source: HistorySource, clock: FakeClock, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def info(stream: str, epoch: int) -> StreamInfo:
        asked.append(stream)
        return replace(INFO, stream=stream, ward=f"ward-{len(asked)}")

    monkeypatch.setattr(access, "epoch_info", info)

    async def ward(stream: str) -> str:
        page = await source.read(stream, 1, 0, 50, max_bytes=999)
        assert page.info is not None
        return page.info.ward

    assert [await ward("a"), await ward("a")] == ["ward-1", "ward-1"]
    clock.advance(INFO_KEPT_S)
    assert await ward("a") == "ward-2"
    for number in range(MAX_INFOS):
        await ward(str(number))
    assert len(source._infos) == MAX_INFOS
    assert asked.count("a") == 2
    await ward("a")
    assert asked.count("a") == 3
