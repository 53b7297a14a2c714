"""Chunks to put into a history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from streaming.core.bundle import WaveFrame
from streaming.core.chunks import Chunk
from streaming.core.frames import FrameKind, encode_frame
from streaming.core.framing import encode_bundle
from streaming.models_history import HistoryChunk, HistoryMinute, HistoryPin
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


def settings_of(url: str) -> dict[str, Any]:
    """Django's settings of a history at this URL."""
    return env.history_database(url, {})


def empty() -> None:
    """Delete all rows."""
    HistoryChunk.objects.all().delete()
    HistoryPin.objects.all().delete()
    HistoryMinute.objects.all().delete()
