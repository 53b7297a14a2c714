"""The file of checkpoints, beside the databases: what was cut off there is found here, and the reverse."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.signing import BadSignature, Signer

from streaming.models_chain import CheckpointKind, utc_text
from streaming.store.chain import GENESIS, Head

logger = logging.getLogger(__name__)

FILE = "audit-heads.log"
_TAIL_BYTES = 64 * 1024
"""More than any line is long."""


@dataclass(frozen=True, slots=True)
class Statement:
    """That a row of a trail was the last of its chain, or the last that was pruned, at a moment (UTC)."""

    trail: str
    kind: CheckpointKind
    head: Head
    at: datetime
    log: str
    """The file that has it: host and path."""
    signature: str = ""

    def signed(self) -> Statement:
        """With the signature of this deployment's key."""
        return replace(self, signature=_signer("checkpoint").signature(self._text()))

    def is_genuine(self) -> bool:
        """Whether its signature is one of a key in force, or of a former one that is still listed."""
        return _is_genuine("checkpoint", self._text(), self.signature)

    def values(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "trail": self.trail,
            "kind": self.kind.value,
            **self.head._asdict(),
            "at": utc_text(self.at),
            "log": self.log,
            "signature": self.signature,
        }

    @classmethod
    def of_values(cls, values: dict[str, Any]) -> Statement:
        """The inverse. Raises KeyError, TypeError or ValueError."""
        head = Head(str(values["writer"]), int(values["seq"]), str(values["hash"]))
        at = datetime.fromisoformat(values["at"])
        kind = CheckpointKind(values["kind"])
        return cls(str(values["trail"]), kind, head, at, str(values["log"]), str(values["signature"]))

    def _text(self) -> str:
        return _json({**self.values(), "signature": ""})


@dataclass(frozen=True, slots=True)
class LogContent:
    """What a file says, and what is wrong with it."""

    statements: list[Statement]
    faults: list[str]


class HeldLog:
    """The end of the file, as `HeadLog.held` gives it."""

    def __init__(self, file: int, path: Path) -> None:
        self._file = file
        self._path = path

    def append(self, statements: Sequence[Statement]) -> None:
        """Add them; they are on the disk when this returns. Raises OSError."""
        end, last = _end_of(self._file)
        if end != os.fstat(self._file).st_size:
            logger.warning("%s ended in a line that was not written whole", self._path)
            os.ftruncate(self._file, end)
        lines = []
        for statement in statements:
            line = _json({**statement.values(), "prev": last})
            line = _json({**json.loads(line), "seal": _signer("line").signature(line)})
            last = _hash(line)
            lines.append(line + "\n")
        os.pwrite(self._file, "".join(lines).encode(), end)
        os.fsync(self._file)


class HeadLog:
    """One file for all processes of a var directory; its functions block, and raise OSError.

    Each line holds the hash of the one before it, and a seal over both: a line can be neither changed nor
    taken out. That the last ones were cut off, the database's checkpoints tell.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or settings.VAR_DIR / FILE
        self.name = f"{socket.gethostname()}:{self._path}"

    @contextmanager
    def held(self) -> Iterator[HeldLog]:
        """The file, which nobody else writes meanwhile.

        Held before a transaction begins, never within one: who waits for the file then holds no database.
        """
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield HeldLog(file, self._path)
        finally:
            os.close(file)

    def read(self) -> LogContent:
        """All that it says; a file that is not there says nothing."""
        content = LogContent([], [])
        last = GENESIS
        try:
            written = self._path.read_bytes()
        except FileNotFoundError:
            return content
        for number, line in enumerate(_whole_lines(written), 1):
            try:
                values = json.loads(line)
                seal, prev = values.pop("seal"), values["prev"]
                statement = Statement.of_values(values)
            except (KeyError, TypeError, ValueError):
                content.faults.append(f"line {number} is damaged")
                last = _hash(line)
                continue
            if not _is_genuine("line", _json(values), seal) or not statement.is_genuine():
                content.faults.append(f"line {number} is altered, or sealed with a key that is not listed")
            elif prev != last:
                content.faults.append(f"lines are missing before line {number}")
                content.statements.append(statement)
            else:
                content.statements.append(statement)
            last = _hash(line)
        return content


def _end_of(file: int) -> tuple[int, str]:
    """Where the last whole line ends, and its hash."""
    size = os.fstat(file).st_size
    first = max(0, size - _TAIL_BYTES)
    tail = os.pread(file, size - first, first)
    whole = tail[: tail.rfind(b"\n") + 1]
    lines = whole.splitlines()
    return first + len(whole), _hash(lines[-1].decode(errors="replace")) if lines else GENESIS


def _whole_lines(written: bytes) -> Iterable[str]:
    return (line.decode(errors="replace") for line in written[: written.rfind(b"\n") + 1].splitlines())


def _signer(purpose: str) -> Signer:
    keys = [*settings.VITAL_AUDIT_KEY, settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return Signer(key=keys[0], fallback_keys=keys[1:], salt=f"streaming.{purpose}")


def _is_genuine(purpose: str, text: str, signature: object) -> bool:
    try:
        _signer(purpose).unsign(f"{text}:{signature}")
    except BadSignature:
        return False
    return True


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


def _hash(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()
