"""Whatever is changed, taken out or cut off, in the database or in the file, is found."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from unittest.mock import ANY

import pytest
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, IntegrityError, OperationalError, connections, transaction
from django.utils import timezone

from streaming.core.alarm_record import AlarmStep
from streaming.models_chain import CheckpointKind
from streaming.models_checkpoints import JournalCheckpoint
from streaming.models_journal import JournalEntry
from streaming.store import chain, checkpoints, journal_rows, retention, verification
from streaming.store.chain import Head
from streaming.store.head_log import HeadLog, HeldLog
from streaming.store.journal_rows import line_of
from streaming.store.routing import JOURNAL
from streaming.store.trails import ALARMS
from streaming.store.verification import Fault, Report
from tests.store.journals import change, entry, remove, remove_checkpoints, without_triggers

pytestmark = pytest.mark.usefixtures("journal_db")


@pytest.fixture
def log(tmp_path: Path) -> HeadLog:
    return HeadLog(tmp_path / "heads.log")


def write(head: Head, count: int) -> Head:
    """Entries of one chain, of which no alarm is open."""
    lines = [line_of(entry(AlarmStep.DISPLAYED, f"{head.writer}-{head.seq + n}")) for n in range(count)]
    return journal_rows.store(lines, head)


@pytest.fixture
def head(log: HeadLog) -> Head:
    """Nine entries of one chain, with checkpoints at the third and the sixth."""
    end = chain.new_head()
    for _ in range(2):
        end = write(end, 3)
        checkpoints.mark(ALARMS, end, log)
    return write(end, 3)


def verified(log: HeadLog) -> Report:
    return verification.verify(log, [ALARMS])


def texts(log: HeadLog) -> list[str]:
    return [fault.text for fault in verified(log).faults]


def test_what_was_written_is_whole(head: Head, log: HeadLog) -> None:
    write(chain.new_head(), 2)
    report = verified(log)
    assert report.faults == []
    checked = report.trails["alarms"]
    assert (checked.entries, checked.chains, checked.checkpoints, checked.unmarked) == (11, 2, 4, 5)
    assert report.elsewhere == []


def test_nothing_at_all_is_whole(log: HeadLog) -> None:
    assert verified(log).faults == []


@pytest.mark.parametrize("field", ["by", "actor", "facts", "ward", "kind", "key"])
def test_a_changed_row_is_found(field: str, head: Head, log: HeadLog) -> None:
    change(8, **{field: "changed"})
    assert Fault("alarms", head.writer, 8, "altered") in verified(log).faults


def test_a_row_that_was_taken_out_is_found(head: Head, log: HeadLog) -> None:
    remove(8)
    assert verified(log).faults == [Fault("alarms", head.writer, 8, "missing")]


def rewritten(seq: int) -> None:
    """Change a row and make all hashes behind it right again."""
    rows = list(JournalEntry.objects.order_by("seq"))
    change(seq, by="nobody")
    rows[seq - 1].by = "nobody"
    end = Head(rows[0].writer, seq - 1, rows[seq - 1].prev_hash)
    for row in rows[seq - 1 :]:
        end = chain.link(end, row)
        change(row.seq, hash=row.hash, prev_hash=row.prev_hash)


def test_a_chain_that_was_rewritten_is_found_by_its_checkpoint(head: Head, log: HeadLog) -> None:
    rewritten(5)
    (fault,) = verified(log).faults
    assert (fault.writer, fault.seq) == (head.writer, 6)
    assert fault.text.startswith("is not the one that the checkpoint of 20")


def test_an_end_that_was_cut_off_is_found_by_its_checkpoint(head: Head, log: HeadLog) -> None:
    remove(5, 6, 7, 8, 9)
    (fault,) = verified(log).faults
    assert (fault.writer, fault.seq) == (head.writer, 5)
    assert fault.text.startswith("the end of the chain is missing: the checkpoint of 20")
    assert fault.text.endswith("names entry 6")


def test_an_end_that_was_cut_off_with_its_checkpoint_is_found_by_the_file(head: Head, log: HeadLog) -> None:
    remove(5, 6, 7, 8, 9)
    remove_checkpoints(6)
    first, second = sorted(texts(log))
    assert first.startswith("a checkpoint is missing in the database, the last of 20")
    assert second.startswith("the end of the chain is missing")


def test_a_whole_chain_that_was_taken_out_with_its_checkpoints_is_found(head: Head, log: HeadLog) -> None:
    remove(*range(1, 10))
    remove_checkpoints(3, 6)
    first, second = sorted(texts(log))
    assert first.startswith("2 checkpoints are missing in the database")
    assert second.endswith("names entry 6")


def test_lines_that_were_cut_off_in_the_file_are_found_by_the_database(
    head: Head, log: HeadLog, tmp_path: Path
) -> None:
    path = tmp_path / "heads.log"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    (text,) = texts(log)
    assert text.startswith(f"a checkpoint is missing in {log.name}")
    path.unlink()
    (text,) = texts(log)
    assert text.startswith(f"2 checkpoints are missing in {log.name}")


def test_a_line_that_was_changed_in_the_file_is_found(head: Head, log: HeadLog, tmp_path: Path) -> None:
    path = tmp_path / "heads.log"
    path.write_bytes(path.read_bytes().replace(b'"seq":6', b'"seq":5'))
    assert sorted(texts(log)) == [
        ANY,
        f"{log.name}: line 2 is altered, or sealed with a key that is not listed",
    ]


def test_a_forged_checkpoint_is_found_and_not_believed(head: Head, log: HeadLog) -> None:
    with without_triggers():
        JournalCheckpoint.objects.filter(seq=6).update(seq=5)
    found = texts(log)
    assert "its checkpoint is altered, or signed with a key that is not listed" in found
    assert not any(text.startswith("is not the one") for text in found)


def test_a_forged_beginning_hides_nothing(head: Head, log: HeadLog) -> None:
    """It lets the triggers pass: deletion is possible, and found."""
    row = JournalEntry.objects.get(seq=3)
    forged = checkpoints.made(ALARMS, CheckpointKind.BEGIN, Head(row.writer, 3, row.hash), log)
    JournalCheckpoint(
        kind="begin", **forged.head._asdict(), at=forged.at, log=log.name, signature="A" * 43
    ).save()
    JournalEntry.objects.filter(seq__lte=3)._raw_delete(JOURNAL)
    assert {"missing", "its checkpoint is altered, or signed with a key that is not listed"} <= set(
        texts(log)
    )


def test_checkpoints_of_another_host_are_told_and_believed(head: Head, log: HeadLog, tmp_path: Path) -> None:
    here = HeadLog(tmp_path / "other.log")
    report = verified(here)
    assert report.faults == []
    assert report.elsewhere == [log.name]
    remove(6, 7, 8, 9)
    assert [fault.seq for fault in verified(here).faults] == [6]


def test_a_key_that_is_lost_is_told(head: Head, log: HeadLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SECRET_KEY", "another")
    assert len(texts(log)) == 4


class TestMark:
    """When a checkpoint is written, and what is left when it cannot be."""

    def seqs(self) -> list[int]:
        return list(JournalCheckpoint.objects.order_by("pk").values_list("seq", flat=True))

    def test_a_chain_that_stands_where_it_stood_gets_no_other(self, head: Head, log: HeadLog) -> None:
        for _ in range(2):
            checkpoints.mark(ALARMS, head, log)
            checkpoints.mark(ALARMS, chain.new_head(), log)
        assert self.seqs() == [3, 6, 9]
        assert len(log.read().statements) == 3

    def test_a_file_that_cannot_be_written_leaves_none_in_the_database(
        self, head: Head, log: HeadLog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_args: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(HeldLog, "append", fail)
        with pytest.raises(OSError, match="No space"):
            checkpoints.mark(ALARMS, head, log)
        assert self.seqs() == [3, 6]

    def test_whoever_waits_for_the_file_holds_up_no_writer(self, head: Head, log: HeadLog) -> None:
        with log.held():
            marking = threading.Thread(target=self.mark_elsewhere, args=[head, log], daemon=True)
            marking.start()
            marking.join(0.3)
            assert marking.is_alive()
            head = write(head, 1)
        marking.join(20)
        assert self.seqs() == [3, 6, 9]

    def mark_elsewhere(self, head: Head, log: HeadLog) -> None:
        checkpoints.mark(ALARMS, head, log)
        connections[JOURNAL].close()

    def test_ends_of_dead_processes_are_marked_once(self, head: Head, log: HeadLog) -> None:
        for count in (1, 2):
            write(chain.new_head(), count)
        assert checkpoints.mark_all(ALARMS, log) == 3
        assert sorted(self.seqs()) == [1, 2, 3, 6, 9]
        assert checkpoints.mark_all(ALARMS, log) == 0
        assert verified(log).trails["alarms"].unmarked == 0
        assert verified(log).faults == []

    def test_another_process_that_marks_them_too_does_no_harm(
        self, head: Head, log: HeadLog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_args: object) -> None:
            raise IntegrityError("UNIQUE constraint failed")

        monkeypatch.setattr(checkpoints, "record", fail)
        assert checkpoints.mark_all(ALARMS, log) == 0

    def test_a_checkpoint_can_be_neither_changed_nor_deleted(self, head: Head) -> None:
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(using=JOURNAL):
            JournalCheckpoint.objects.update(seq=1)
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(using=JOURNAL):
            JournalCheckpoint.objects.all()._raw_delete(JOURNAL)
        with pytest.raises(PermissionDenied):
            JournalCheckpoint.objects.all()[0].delete()


def test_what_is_pruned_while_it_is_read_is_read_again(
    head: Head, log: HeadLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = log.read
    pruned: list[int] = []

    def prune_and_read() -> object:
        content = read()
        pruned.extend(retention.prune(ALARMS, timezone.now() + timedelta(days=1), log))
        return content

    monkeypatch.setattr(log, "read", prune_and_read)
    assert verified(log).faults == []
    assert sum(pruned) == 6


@pytest.mark.parametrize("failing", ["statements", "_read_once"])
def test_a_database_that_fails_is_told_as_that(
    failing: str, head: Head, log: HeadLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(checkpoints if failing == "statements" else verification, failing, fail)
    with pytest.raises(OperationalError):
        verified(log)
