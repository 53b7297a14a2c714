"""The history's database as a test has it, SQLite or a real PostgreSQL, and chunks to put into it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import connections

from streaming.core.bundle import WaveFrame
from streaming.core.chunks import Chunk
from streaming.core.frames import FrameKind, encode_frame
from streaming.core.framing import encode_bundle
from streaming.models_history import HistoryChunk, HistoryPin
from streaming.store.routing import HISTORY
from vital import env

START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
RATE_HZ = 500
FRAME = 50


def chunk_of(
    first: int,
    stop: int,
    *,
    stream: str = "a",
    epoch: int = 1,
    kind: FrameKind = FrameKind.WAVEFORM,
    frame_samples: int = FRAME,
    frame_bytes: int = 20,
    began_at: datetime | None = None,
) -> Chunk:
    """Samples `first` to `stop`, taken at 500 Hz since START."""
    frames = []
    for at in range(first, stop, frame_samples):
        count = min(frame_samples, stop - at)
        frames.append(encode_frame(kind, count, at, payload(at, count, frame_bytes)))
    began_at = began_at or START + timedelta(seconds=first / RATE_HZ)
    ended_at = began_at + timedelta(seconds=(stop - first) / RATE_HZ)
    return Chunk(stream, epoch, first, stop, began_at, ended_at, encode_bundle(frames))


def payload(first: int, count: int, size_bytes: int = 20) -> bytes:
    """Something that tells frames apart."""
    return (b"%d+%d " % (first, count)).ljust(size_bytes, b".")


def frame_of(
    first: int, count: int = FRAME, kind: FrameKind = FrameKind.WAVEFORM, size_bytes: int = 20
) -> WaveFrame:
    """The frame that `chunk_of` makes there."""
    return WaveFrame(kind, first, count, payload(first, count, size_bytes))


@contextmanager
def history_at(settings: dict[str, Any]) -> Iterator[None]:
    """Let the alias `history` name another database for a while, in every thread that begins meanwhile."""
    before = connections.settings[HISTORY]
    old = connections[HISTORY]
    connections.settings[HISTORY] = {**before, **settings, "ATOMIC_REQUESTS": False, "AUTOCOMMIT": True}
    del connections[HISTORY]
    try:
        yield
    finally:
        connections[HISTORY].close()
        connections.settings[HISTORY] = before
        connections[HISTORY] = old


def settings_of(url: str) -> dict[str, Any]:
    """Django's settings of a history at this URL."""
    return env.history_database(url, {})


def make_template(directory: Path) -> Path:
    """A migrated history in SQLite, to be copied."""
    file = directory / "history.sqlite3"
    with history_at(settings_of(f"sqlite:///{file}")):
        call_command("migrate", "streaming", database=HISTORY, verbosity=0)
        with connections[HISTORY].cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return file


def copy_of(template: Path, directory: Path) -> str:
    """The URL of a fresh copy."""
    return f"sqlite:///{shutil.copy(template, directory)}"


def empty() -> None:
    """Delete all rows."""
    HistoryChunk.objects.all().delete()
    HistoryPin.objects.all().delete()
