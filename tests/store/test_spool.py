"""Spools: locked by the living, taken over from the dead, and never deleted with anything unread in them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from streaming.store.journal_rows import Line, line_of
from streaming.store.spool import DAMAGED, SUFFIX, Spool, orphans
from tests.store.journals import closed, raised

LINES = [line_of(each) for each in closed()]


def file_of(directory: Path) -> Path:
    (path,) = directory.glob(f"*{SUFFIX}")
    return path


def left(directory: Path, *lines: Line) -> Path:
    """The file of a process that is dead."""
    spool = Spool(directory)
    spool.append(lines)
    spool.close()
    return file_of(directory)


def read_all(directory: Path) -> list[Line]:
    lines = []
    for orphan in orphans(directory):
        while page := orphan.read(2):
            lines += page
        orphan.finish()
    return lines


def test_lines_come_back_in_their_order_and_the_file_goes(tmp_path: Path) -> None:
    left(tmp_path / "spool", *LINES)
    assert read_all(tmp_path / "spool") == LINES
    assert list((tmp_path / "spool").iterdir()) == []


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = left(tmp_path / "spool", *LINES)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_living_process_keeps_its_file_and_a_second_one_has_its_own(tmp_path: Path) -> None:
    one, other = Spool(tmp_path), Spool(tmp_path)
    one.append(LINES[:1])
    other.append(LINES[1:])
    assert len(list(tmp_path.iterdir())) == 2
    assert list(orphans(tmp_path)) == []
    one.close()
    assert read_all(tmp_path) == LINES[:1]
    other.close()
    assert read_all(tmp_path) == LINES[1:]


def test_what_is_taken_over_is_nobody_elses_until_it_is_left(tmp_path: Path) -> None:
    left(tmp_path, *LINES)
    (orphan,) = orphans(tmp_path)
    assert list(orphans(tmp_path)) == []
    orphan.leave()
    assert read_all(tmp_path) == LINES


def test_a_file_that_is_empty_goes_with_its_process(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    assert spool.is_empty()
    spool.append(LINES)
    assert not spool.is_empty()
    spool.clear()
    assert spool.is_empty()
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_what_is_written_after_it_was_emptied_is_all_that_it_holds(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(LINES)
    spool.clear()
    spool.append(LINES[:1])
    spool.close()
    assert read_all(tmp_path) == LINES[:1]


def test_what_is_rewritten_holds_the_new_lines_alone_and_goes_on(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(LINES[:3])
    spool.rewrite(LINES[2:3])
    assert spool.lines == 1
    spool.append(LINES[3:4])
    assert list(orphans(tmp_path)) == []
    spool.close()
    assert read_all(tmp_path) == LINES[2:4]


def test_what_cannot_be_rewritten_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path)
    spool.append(LINES[:3])
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("no space")))
        with pytest.raises(OSError, match="no space"):
            spool.rewrite(LINES[2:3])
    assert spool.lines == 3
    spool.close()
    assert read_all(tmp_path) == LINES[:3]


@pytest.mark.parametrize("cut", [2, 30, 100])
def test_a_torn_last_line_is_skipped_and_said(
    cut: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = left(tmp_path, *LINES)
    os.truncate(path, path.stat().st_size - cut)
    assert read_all(tmp_path) == LINES[:-1]
    assert "ends in a line that was not written whole" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_a_last_line_that_lacks_nothing_but_its_end_is_one(tmp_path: Path) -> None:
    path = left(tmp_path, *LINES)
    os.truncate(path, path.stat().st_size - 1)
    assert read_all(tmp_path) == LINES


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.replace(b'"Robin"', b'"Robert"'),
        lambda data: data.replace(b"acknowledged", b"forgotten"),
        lambda data: data.replace(b"\n", b"\n\n", 1),
        lambda data: b"\xff\xfe\n" + data,
        lambda data: bytes(50) + b"\n" + data,
    ],
    ids=["changed", "unknown step", "empty line", "no text", "zeros"],
)
def test_a_damaged_file_gives_what_can_be_read_and_is_put_aside(
    damage: object, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = left(tmp_path, *LINES)
    data = damage(path.read_bytes())  # type: ignore[operator]
    path.write_bytes(data)
    found = read_all(tmp_path)
    assert [line for line in LINES if line in found] == found
    assert len(found) >= len(LINES) - 1
    assert path.with_name(path.name + DAMAGED).read_bytes() == data
    assert "could not be read; it is kept as" in caplog.text
    assert read_all(tmp_path) == []


def test_what_was_written_in_part_is_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path)
    spool.append(LINES[1:2])
    write = os.pwrite

    def write_some(file: int, data: bytes, at: int) -> int:
        write(file, data[:-40], at)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", write_some)
        with pytest.raises(OSError, match="No space"):
            spool.append([line_of(raised("long")), line_of(raised("longer"))])
    spool.append(LINES[2:3])
    spool.close()
    assert read_all(tmp_path) == LINES[1:3]
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_vanishes_between_making_and_locking_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process took it for one that a dead process had left."""
    made = os.open
    taken: list[Path] = []

    def open_and_lose(path: Path, flags: int, mode: int = 0o777) -> int:
        file = made(path, flags, mode)
        if flags & os.O_EXCL and not taken:
            taken.append(path)
            Path(path).unlink()
        return file

    monkeypatch.setattr(os, "open", open_and_lose)
    spool = Spool(tmp_path)
    spool.append(LINES)
    spool.close()
    assert taken
    assert read_all(tmp_path) == LINES


def test_no_directory_is_no_orphan(tmp_path: Path) -> None:
    assert list(orphans(tmp_path / "none")) == []
