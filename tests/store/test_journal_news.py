"""What other processes have written is told, once, whatever order its numbers become visible in."""

from __future__ import annotations

import threading

import pytest
from django.db import DatabaseError, connections, transaction
from django.test.utils import CaptureQueriesContext

from streaming.core.alarm_record import AlarmEntry, AlarmStep
from streaming.models_journal import JournalEntry
from streaming.store import chain, journal_news, journal_rows
from streaming.store.journal_news import HOLE_S, News
from streaming.store.journal_rows import line_of
from streaming.store.routing import JOURNAL
from tests.store.journals import closed, entry, raised

pytestmark = pytest.mark.usefixtures("journal_db")


def store(*entries: AlarmEntry) -> None:
    """As another process does."""
    journal_rows.store([line_of(each) for each in entries], chain.new_head())


def told(news: News) -> list[str]:
    return [record.alarm for record in news.read()]


def test_at_first_all_that_are_open_then_what_was_written_since() -> None:
    store(raised("open"), *closed("closed"))
    news = News()
    assert told(news) == ["open"]
    assert told(news) == []
    store(raised("new"), entry(AlarmStep.DISPLAYED, "open"))
    assert sorted(told(news)) == ["new", "open"]
    assert told(news) == []


def test_an_alarm_that_was_closed_is_told_as_it_is() -> None:
    news = News()
    news.read()
    store(*closed())
    (record,) = news.read()
    assert record.is_closed
    assert record.acknowledged_by == "Robin"


def test_nothing_new_costs_one_query() -> None:
    store(*closed())
    news = News()
    news.read()
    with CaptureQueriesContext(connections[JOURNAL]) as queries:
        assert news.read() == []
    assert len(queries) == 1


def test_a_burst_is_read_in_pages_and_told_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_news, "PAGE_ROWS", 7)
    monkeypatch.setattr(journal_news, "ALARMS_AT_ONCE", 10)
    news = News()
    news.read()
    store(*(step for n in range(25) for step in closed(f"alarm-{n}")[:2]))
    parts = [told(news) for _ in range(4)]
    assert [len(part) for part in parts] == [10, 10, 5, 0]
    assert {alarm for part in parts for alarm in part} == {f"alarm-{n}" for n in range(25)}


def test_what_could_not_be_read_is_told_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_alarms: object = None) -> None:
        raise DatabaseError("gone")

    news = News()
    with monkeypatch.context() as patch:
        patch.setattr(journal_rows, "open_alarms", fail)
        with pytest.raises(DatabaseError):
            news.read()
    assert told(news) == []
    store(raised("new"))
    with monkeypatch.context() as patch:
        patch.setattr(journal_rows, "records", fail)
        with pytest.raises(DatabaseError):
            news.read()
    assert told(news) == ["new"]


@pytest.mark.parametrize("journal_url", ["postgresql"], indirect=True)
class TestNumbersOutOfOrder:
    """PostgreSQL shows a row when it is committed, whatever its number is."""

    def late(self, *entries: AlarmEntry) -> tuple[threading.Thread, threading.Event]:
        """A process that has inserted these, and commits them when the event is set."""
        inserted, commit = threading.Event(), threading.Event()

        def work() -> None:
            with transaction.atomic(using=JOURNAL):
                store(*entries)
                inserted.set()
                assert commit.wait(20)
            connections[JOURNAL].close()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        assert inserted.wait(20)
        return thread, commit

    def test_a_row_that_is_committed_after_later_ones_is_told(self) -> None:
        news = News()
        news.read()
        thread, commit = self.late(raised("late-1"), raised("late-2"))
        store(raised("early"))
        assert told(news) == ["early"]
        assert told(news) == []
        commit.set()
        thread.join(20)
        assert sorted(told(news)) == ["late-1", "late-2"]
        assert told(news) == []

    def test_one_that_is_written_while_reading_begins_is_told(self) -> None:
        thread, commit = self.late(raised("late"))
        store(raised("early"))
        news = News()
        assert told(news) == ["early"]
        commit.set()
        thread.join(20)
        assert told(news) == ["late"]

    def test_numbers_of_a_transaction_that_failed_are_looked_for_a_while(self) -> None:
        now = [0.0]
        news = News(lambda: now[0])
        news.read()
        with transaction.atomic(using=JOURNAL):
            store(raised("never"))
            transaction.set_rollback(True, using=JOURNAL)
        store(raised("next"))
        assert told(news) == ["next"]
        now[0] = HOLE_S - 1
        assert told(news) == []
        assert news._holes
        now[0] = HOLE_S + 1
        assert told(news) == []
        assert not news._holes
        assert JournalEntry.objects.count() == 1
