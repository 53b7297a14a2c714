"""What is old goes, up to a checkpoint; what is open, unmarked or not whole stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import DatabaseError, IntegrityError, OperationalError, transaction

from streaming.core.alarm_record import AlarmEntry
from streaming.models import AuditEntry
from streaming.models_checkpoints import JournalCheckpoint
from streaming.models_journal import JournalEntry
from streaming.store import chain, checkpoints, journal_rows, retention, verification
from streaming.store.audit import AuditWriter
from streaming.store.chain import Head
from streaming.store.head_log import HeadLog, HeldLog
from streaming.store.journal_rows import line_of
from streaming.store.routing import JOURNAL
from streaming.store.trails import ALARMS, AUDIT
from tests.store.journals import START_MS, change, closed, raised

pytestmark = pytest.mark.usefixtures("journal_db")

START = datetime.fromtimestamp(START_MS / 1000, UTC)
DAY_MS = 86_400_000.0


@pytest.fixture
def log(tmp_path: Path) -> HeadLog:
    return HeadLog(tmp_path / "heads.log")


def on_day(day: int, *entries: AlarmEntry) -> list[AlarmEntry]:
    return [replace(each, at_ms=each.at_ms + day * DAY_MS) for each in entries]


def write(log: HeadLog, days: int, head: Head | None = None, *, alarm: str = "alarm") -> Head:
    """A closed alarm of five steps a day, and a checkpoint after each."""
    end = head or chain.new_head()
    for day in range(days):
        end = journal_rows.store([line_of(each) for each in on_day(day, *closed(f"{alarm}-{day}"))], end)
        checkpoints.mark(ALARMS, end, log)
    return end


def prune(log: HeadLog, before_day: float) -> int:
    """How many rows went."""
    return sum(retention.prune(ALARMS, START + timedelta(days=before_day), log))


def faults(log: HeadLog) -> list[str]:
    return [str(fault) for fault in verification.verify(log, [ALARMS]).faults]


def seqs() -> list[int]:
    return list(JournalEntry.objects.order_by("writer", "seq").values_list("seq", flat=True))


def test_what_is_older_goes_and_the_rest_is_whole(log: HeadLog) -> None:
    write(log, 4)
    assert prune(log, 2) == 10
    assert seqs() == list(range(11, 21))
    assert faults(log) == []
    assert prune(log, 2) == 0
    assert prune(log, 3) == 5
    assert faults(log) == []


def test_a_chain_that_is_all_too_old_goes_and_other_chains_stay(log: HeadLog) -> None:
    write(log, 2, alarm="old")
    write(log, 5, alarm="new")
    assert prune(log, 3) == 10 + 15
    assert len(seqs()) == 10
    assert faults(log) == []


def test_a_chain_goes_on_after_it_was_pruned(log: HeadLog) -> None:
    end = write(log, 2)
    assert prune(log, 9) == 10
    journal_rows.store([line_of(raised("next"))], end)
    assert seqs() == [11]
    assert faults(log) == []


def test_an_open_alarm_keeps_itself_and_what_came_after_it(log: HeadLog) -> None:
    head = write(log, 1)
    head = journal_rows.store([line_of(raised("open"))], head)
    write(log, 2, head, alarm="later")
    assert prune(log, 9) == 5
    assert seqs() == list(range(6, 17))
    assert [record.alarm for record in journal_rows.open_alarms()] == ["open"]
    assert faults(log) == []


def test_what_no_checkpoint_covers_stays(log: HeadLog) -> None:
    head = write(log, 1)
    journal_rows.store([line_of(each) for each in closed("unmarked")], head)
    assert prune(log, 9) == 5
    assert seqs() == list(range(6, 11))


def test_a_checkpoint_behind_the_limit_takes_nothing_with_it(log: HeadLog) -> None:
    head = chain.new_head()
    for day in range(3):
        lines = [line_of(each) for each in on_day(day, *closed(f"alarm-{day}"))]
        head = journal_rows.store(lines, head)
    checkpoints.mark(ALARMS, head, log)
    assert prune(log, 2) == 0
    assert len(seqs()) == 15


def test_a_chain_that_is_not_whole_is_left_as_it_is_and_said(
    log: HeadLog, caplog: pytest.LogCaptureFixture
) -> None:
    end = write(log, 3)
    change(7, by="somebody")
    write(log, 1, alarm="other")
    assert prune(log, 9) == 5
    assert seqs() == list(range(1, 16))
    assert f"chain {end.writer} of the alarms trail is not whole, and is not pruned" in caplog.text
    assert faults(log) == [f"alarms {end.writer}/7: altered"]


def test_one_whose_checkpoint_is_not_genuine_is_left(log: HeadLog, monkeypatch: pytest.MonkeyPatch) -> None:
    write(log, 3)
    monkeypatch.setattr(settings, "SECRET_KEY", "another")
    assert prune(log, 9) == 0


def test_much_is_deleted_in_steps(log: HeadLog, monkeypatch: pytest.MonkeyPatch) -> None:
    write(log, 6)
    monkeypatch.setattr(retention, "STEP_ROWS", 12)
    assert list(retention.prune(ALARMS, START + timedelta(days=9), log)) == [10, 10, 10]
    monkeypatch.setattr(retention, "STEP_ROWS", 3)
    write(log, 2, alarm="more")
    assert list(retention.prune(ALARMS, START + timedelta(days=9), log)) == [5, 5]
    assert faults(log) == []


def test_a_step_that_fails_deletes_nothing_and_states_nothing(
    log: HeadLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(log, 2)

    def fail(*_args: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(HeldLog, "append", fail)
        with pytest.raises(OSError, match="Input/output"):
            prune(log, 9)
    assert len(seqs()) == 10
    assert not JournalCheckpoint.objects.filter(kind="begin").exists()
    assert faults(log) == []


def test_another_process_that_prunes_too_does_no_harm(log: HeadLog, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object) -> None:
        raise IntegrityError("UNIQUE constraint failed")

    write(log, 2)
    monkeypatch.setattr(checkpoints, "record", fail)
    assert prune(log, 9) == 0
    assert len(seqs()) == 10


def test_a_database_that_fails_is_told(log: HeadLog, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object) -> None:
        raise OperationalError("locked")

    write(log, 2)
    monkeypatch.setattr(checkpoints, "record", fail)
    with pytest.raises(OperationalError):
        prune(log, 9)


def test_the_database_refuses_to_delete_what_is_not_pruned(log: HeadLog) -> None:
    write(log, 2)
    prune(log, 1)
    for seq in (6, 10):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(using=JOURNAL):
            JournalEntry.objects.filter(seq=seq)._raw_delete(JOURNAL)
    assert seqs() == [6, 7, 8, 9, 10]


def test_a_pruned_row_that_is_put_back_is_found(log: HeadLog) -> None:
    write(log, 2)
    row = JournalEntry.objects.get(seq=2)
    prune(log, 1)
    row.pk = None
    row._state.adding = True
    row.save()
    assert [text.partition(": ")[2] for text in faults(log)] == ["was pruned, and is there"]


@pytest.mark.parametrize("journal_url", ["sqlite"], indirect=True)
def test_the_audit_trail_is_pruned_alike(db: None, log: HeadLog, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = AuditWriter()
    for day in range(4):
        monkeypatch.setattr("django.utils.timezone.now", lambda day=day: START + timedelta(days=day))
        for _ in range(3):
            writer.append("user:1", "test", "stream:a", "done", {})
        checkpoints.mark(AUDIT, writer.head(), log)
    assert sum(retention.prune(AUDIT, START + timedelta(days=1, hours=1), log)) == 6
    assert AuditEntry.objects.count() == 6
    assert verification.verify(log, [AUDIT]).faults == []
