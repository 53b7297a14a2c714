"""The history as a source of what viewers lack."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest
from django.db import OperationalError

from streaming.core.ring import AWAY, NOTHING
from streaming.core.streams import Lead, Source, StreamInfo
from streaming.store import access, history, history_source
from streaming.store.history_source import HistorySource
from tests.store.histories import frame_of

pytestmark = pytest.mark.django_db(transaction=True)

INFO = StreamInfo("a", 1, "P-1", "icu", Source.SIM, 500.0, (Lead("II", 5.0),))


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Iterator[HistorySource]:
    """Of which nobody was asked before, about a stream that exists."""
    history_source._known.cache_clear()
    monkeypatch.setattr(
        access, "epoch_info", lambda stream, epoch: INFO if (stream, epoch) == ("a", 1) else None
    )
    made = HistorySource(deadline_s=1.0)
    yield made
    made.close()
    history_source._known.cache_clear()


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


async def test_a_database_that_fails_is_away_and_that_is_said_once(
    source: HistorySource, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> history.Page:
        raise OperationalError("database is locked")

    monkeypatch.setattr(history, "read", fail)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert await source.read("a", 1, 0, 50, max_bytes=999) is AWAY
        monkeypatch.setattr(history, "read", lambda *_, **__: page_of((0, 50)))
        assert (await source.read("a", 1, 0, 50, max_bytes=999)).frames
    assert [record.getMessage() for record in caplog.records] == [
        "the history cannot be read: OperationalError"
    ]


async def test_a_database_that_hangs_is_away_after_its_deadline(
    source: HistorySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def hang(*_: object, **__: object) -> history.Page:
        go_on.wait(20)
        return page_of((0, 50))

    monkeypatch.setattr(history, "read", hang)
    try:
        assert await source.read("a", 1, 0, 50, max_bytes=999) is AWAY
    finally:
        go_on.set()
