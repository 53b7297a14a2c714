"""The file of checkpoints: what is changed, taken out or torn in it, and whose key it is."""

from __future__ import annotations

import stat
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.conf import settings

from streaming.models_chain import CheckpointKind
from streaming.store.chain import Head
from streaming.store.head_log import HeadLog, Statement


def statement(seq: int, log: HeadLog, writer: str = "w") -> Statement:
    at = datetime(2026, 1, 2, 3, 4, seq % 60, tzinfo=UTC)
    return Statement("audit", CheckpointKind.HEAD, Head(writer, seq, "f" * 64), at, log.name).signed()


def append(log: HeadLog, statements: list[Statement]) -> None:
    with log.held() as file:
        file.append(statements)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "heads.log"


@pytest.fixture
def log(path: Path) -> HeadLog:
    """Five lines, written one, two and two at a time."""
    made = HeadLog(path)
    for seqs in ((1,), (2, 3), (4, 5)):
        append(made, [statement(seq, made) for seq in seqs])
    return made


def test_what_is_written_is_read_and_only_its_owner_may(log: HeadLog, path: Path) -> None:
    content = HeadLog(path).read()
    assert content.statements == [statement(seq, log) for seq in range(1, 6)]
    assert content.faults == []
    assert all(each.is_genuine() for each in content.statements)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    content = HeadLog(tmp_path / "none").read()
    assert (content.statements, content.faults) == ([], [])


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (lambda lines: [*lines[:2], *lines[3:]], "lines are missing before line 3"),
        (lambda lines: lines[1:], "lines are missing before line 1"),
        (lambda lines: [*lines[:2], lines[3], lines[2], lines[4]], "lines are missing before line 3"),
        (lambda lines: [*lines[:2], b"nonsense\n", *lines[3:]], "line 3 is damaged"),
        (lambda lines: [*lines[:2], b"{}\n", *lines[3:]], "line 3 is damaged"),
        (
            lambda lines: [*lines[:2], lines[2].replace(b'"seq":3', b'"seq":9'), *lines[3:]],
            "line 3 is altered, or sealed with a key that is not listed",
        ),
        (
            lambda lines: [*lines[:2], lines[2].replace(b'"seal":"', b'"seal":"A'), *lines[3:]],
            "line 3 is altered, or sealed with a key that is not listed",
        ),
    ],
    ids=["taken out", "first taken out", "moved", "no JSON", "no line", "changed", "resealed"],
)
def test_what_was_done_to_the_file_is_found(
    edit: Callable[[list[bytes]], list[bytes]], fault: str, log: HeadLog, path: Path
) -> None:
    path.write_bytes(b"".join(edit(lines_of(path))))
    assert fault in log.read().faults


def test_lines_that_were_cut_off_are_not_told_by_the_file_itself(log: HeadLog, path: Path) -> None:
    """The database does."""
    path.write_bytes(b"".join(lines_of(path)[:3]))
    content = log.read()
    assert content.faults == []
    assert [each.head.seq for each in content.statements] == [1, 2, 3]


def test_a_torn_line_is_none_and_is_written_over(
    log: HeadLog, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(path.read_bytes()[:-20])
    assert [each.head.seq for each in log.read().statements] == [1, 2, 3, 4]
    append(log, [statement(6, log)])
    content = log.read()
    assert [each.head.seq for each in content.statements] == [1, 2, 3, 4, 6]
    assert content.faults == []
    assert "was not written whole" in caplog.text


def test_processes_that_write_at_once_write_one_chain(path: Path) -> None:
    def write(writer: str) -> None:
        own = HeadLog(path)
        for seq in range(1, 21):
            append(own, [statement(seq, own, writer)])

    threads = [threading.Thread(target=write, args=[writer]) for writer in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = HeadLog(path).read()
    assert content.faults == []
    assert len(content.statements) == 80


def test_a_long_file_goes_on_where_it_ends(path: Path) -> None:
    log = HeadLog(path)
    append(log, [statement(seq, log) for seq in range(1, 401)])
    assert path.stat().st_size > 2 * 64 * 1024
    append(log, [statement(401, log)])
    assert log.read().faults == []


def test_a_former_key_is_good_while_it_is_listed(log: HeadLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "VITAL_AUDIT_KEY", ["new"])
    assert log.read().faults == []  # by SECRET_KEY, which it was before there was another one
    append(log, [statement(6, log)])
    monkeypatch.setattr(settings, "VITAL_AUDIT_KEY", ["newer", "new"])
    assert log.read().faults == []
    monkeypatch.setattr(settings, "VITAL_AUDIT_KEY", ["newer"])
    assert log.read().faults == ["line 6 is altered, or sealed with a key that is not listed"]
