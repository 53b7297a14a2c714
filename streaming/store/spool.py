"""Files of lines that a database has not taken yet: a process's own, and those that dead processes left."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

from streaming.store.journal_rows import Line, parsed

logger = logging.getLogger(__name__)

SUFFIX = ".spool"
DAMAGED = ".damaged"


class Spool:
    """This process's file, locked for as long as it lives; its functions block, and raise OSError.

    A line is a key, a blank and the text that the key is the hash of. The file is made with the first lines,
    for its owner's eyes only: they hold pseudonyms.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: int | None = None
        self._path = directory
        self._size = 0
        """Bytes that are known to be on the disk; what lies behind them was not written whole."""
        self.lines = 0
        """How many lines it holds; some may be in the database by now."""

    def is_empty(self) -> bool:
        """Whether it holds no line; asked from any thread."""
        return not self._size

    def append(self, lines: Sequence[Line]) -> None:
        """Add them; they are on the disk when this returns."""
        file = self._open()
        data = b"".join(f"{line.key} {line.text}\n".encode() for line in lines)
        os.ftruncate(file, self._size)
        written = 0
        while written < len(data):
            written += os.pwrite(file, data[written:], self._size + written)
        os.fsync(file)
        self._size += len(data)
        self.lines += len(lines)

    def rewrite(self, lines: Sequence[Line]) -> None:
        """Hold these alone, in another file: what else it holds is in the database."""
        fresh = Spool(self._directory)
        try:
            fresh.append(lines)
        except OSError:
            fresh.clear()
            fresh.close()
            raise
        self.clear()
        self.close()
        self._file, self._path, self._size, self.lines = fresh._file, fresh._path, fresh._size, fresh.lines

    def clear(self) -> None:
        """Empty it: all that it holds is in the database."""
        if self._file is not None and self._size:
            os.ftruncate(self._file, 0)
            self._size = self.lines = 0

    def close(self) -> None:
        """Delete the file if it is empty, and leave it to others."""
        if self._file is not None:
            if not self._size:
                self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        """Make the file, if it is not there, and lock it."""
        while self._file is None:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self._directory / f"alarms-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                if _locked(file, path):
                    _sync_directory(self._directory)
                    self._file, self._path = file, path
            finally:
                if self._file is None:
                    os.close(file)
        return self._file


class Orphan:
    """The file of a process that is dead, taken over: nobody else can, until it is left or the process ends.

    Its functions block, and raise OSError.
    """

    def __init__(self, file: int, path: Path) -> None:
        self.path = path
        self._reader = os.fdopen(file, "rb")
        self._damaged = 0

    def read(self, max_lines: int) -> list[Line]:
        """The next lines; none when that was all. What is damaged is logged and passed over."""
        lines: list[Line] = []
        while len(lines) < max_lines and (written := self._reader.readline()):
            try:
                lines.append(_read(written))
            except ValueError as error:
                if not written.endswith(b"\n"):
                    logger.warning("%s ends in a line that was not written whole; it is skipped", self.path)
                else:
                    self._damaged += 1
                    logger.error("%s has a damaged line: %s", self.path, error)  # noqa: TRY400
        return lines

    def finish(self) -> None:
        """All that could be read is in the database: delete it, or put it aside where a part could not."""
        if self._damaged:
            aside = self.path.with_name(self.path.name + DAMAGED)
            self.path.rename(aside)
            logger.error("%d lines of a spool could not be read; it is kept as %s", self._damaged, aside)
        else:
            self.path.unlink(missing_ok=True)
        _sync_directory(self.path.parent)
        self.leave()

    def leave(self) -> None:
        """Give it up as it is, for another process to take over."""
        self._reader.close()


def orphans(directory: Path) -> Iterator[Orphan]:
    """Those that are there now and belong to no living process, each locked; the caller ends each."""
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        try:
            file = os.open(path, os.O_RDWR)
        except FileNotFoundError:  # another process was faster
            continue
        if _locked(file, path):
            yield Orphan(file, path)
        else:
            os.close(file)


def _read(written: bytes) -> Line:
    key, _, text = written.decode().removesuffix("\n").partition(" ")
    line = parsed(text)
    if line.key != key:
        raise ValueError("its text is not the one that was written")
    return line


def _locked(file: int, path: Path) -> bool:
    """Lock it, unless another process has; whether it is ours, and still the file of that name."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file), path.stat())
    return False


def _sync_directory(directory: Path) -> None:
    """So that a file that was made or removed is so after a failure of the power as well."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
