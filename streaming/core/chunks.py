"""How encoded frames of many streams become chunks for the history: where one begins, and when it ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zlib import crc32

from streaming.core.bundle import WaveFrame
from streaming.core.frames import FrameKind, decode_bundle, encode_frame
from streaming.core.framing import encode_bundle
from streaming.core.messages import MAX_CHUNK_S
from streaming.core.sample_time import SampleTime
from streaming.core.streams import StreamInfo

CHUNK_S = 5.0
CHUNK_BYTES = 64 * 1024
CHUNK_SAMPLES = 32_768
"""No chunk spans more samples, so that a search by its first one knows how far back to look."""
LONGEST = timedelta(seconds=CHUNK_S + MAX_CHUNK_S)
"""No chunk spans more time by the nominal rate: it is full at the first frame that reaches `CHUNK_S`."""
SILENT_S = 2.5
"""A frame is at most 2 s long: of a stream that says nothing for longer, what there is is written."""
OLD_S = 10.0
"""A chunk of a stream that comes slowly waits no longer for being full."""
FORGET_S = 3600.0
"""As long as ingest keeps the position of a silent session, in which late samples may come."""
_STAGGER = 8


@dataclass(frozen=True, slots=True)
class Chunk:
    """Contiguous samples `first` to `stop` (exclusive) of one epoch, as frames in one blob.

    `began_at` is when sample `first` was taken, `ended_at` when `stop` was, both UTC and estimates.
    """

    stream: str
    epoch: int
    first: int
    stop: int
    began_at: datetime
    ended_at: datetime
    blob: bytes = field(repr=False)

    @property
    def seconds(self) -> float:
        """How long its samples took, by the nominal rate."""
        return (self.ended_at - self.began_at).total_seconds()

    def frames(self) -> Iterator[WaveFrame]:
        """Its frames, in order; raises ProtocolError where the blob is damaged."""
        return unpack(self.blob)


def unpack(blob: bytes) -> Iterator[WaveFrame]:
    """The frames of a chunk's blob; raises ProtocolError at the first damaged byte.

    A blob is a bundle of vital.v1 whose frames hold, in place of the alias, how many samples they are.
    """
    for frame in decode_bundle(blob):
        yield WaveFrame(frame.kind, frame.first, frame.alias, frame.payload)


class ChunkGatherer:
    """The chunks that are being filled: of each stream one of live samples, and one of late ones.

    A frame that does not follow the one before it begins another chunk: no chunk bridges a hole. Memory is
    bounded by two chunks of `CHUNK_BYTES` and a frame for each stream.
    """

    def __init__(self) -> None:
        self._streams: dict[str, _Stream] = {}

    def add(self, info: StreamInfo, frame: WaveFrame, *, now: float, at: datetime) -> list[Chunk]:
        """Take a frame that came at `now`, which is `at` in UTC; the chunks that are complete by it.

        Raises ValueError when the frame does not fit one of vital.v1.
        """
        chunks: list[Chunk] = []
        stream = self._streams.get(info.stream)
        if stream is None or stream.info.epoch != info.epoch:
            chunks = stream.flush() if stream else []
            stream = self._streams[info.stream] = _Stream(info)
        return chunks + stream.add(frame, now, at)

    def due(self, now: float) -> list[Chunk]:
        """What has waited long enough for more; streams that are silent for an hour are forgotten."""
        for name in [name for name, stream in self._streams.items() if now - stream.heard_at > FORGET_S]:
            del self._streams[name]
        return [chunk for stream in self._streams.values() for chunk in stream.due(now)]

    def flush(self) -> list[Chunk]:
        """All that there is."""
        return [chunk for stream in self._streams.values() for chunk in stream.flush()]


class _Stream:
    """One epoch of one stream."""

    def __init__(self, info: StreamInfo) -> None:
        self.info = info
        self.heard_at = 0.0
        self._time = SampleTime(info.rate_hz)
        self._open: dict[FrameKind, _OpenChunk] = {}
        # Streams that begin together, as after a restart, fill their chunks one after the other, not at once.
        self._seconds = CHUNK_S * (1 + crc32(info.stream.encode()) % _STAGGER) / _STAGGER

    def add(self, frame: WaveFrame, now: float, at: datetime) -> list[Chunk]:
        encoded = encode_frame(frame.kind, frame.count, frame.first, frame.payload)
        stop = frame.first + frame.count
        self.heard_at = now
        if frame.kind is FrameKind.WAVEFORM:
            self._time.arrived(stop, at)
        chunks = []
        chunk = self._open.get(frame.kind)
        if chunk is not None and not chunk.may_take(frame, len(encoded)):
            chunks.append(self._close(frame.kind))
            chunk = None
        if chunk is None:
            chunk = self._open[frame.kind] = _OpenChunk(frame.first, at, now)
        chunk.frames.append(encoded)
        chunk.size_bytes += len(encoded)
        chunk.stop = stop
        chunk.heard_at = now
        if (stop - chunk.first) / self.info.rate_hz >= self._seconds:
            chunks.append(self._close(frame.kind))
            self._seconds = CHUNK_S
        return chunks

    def due(self, now: float) -> list[Chunk]:
        waited = [
            kind
            for kind, chunk in self._open.items()
            if now - chunk.heard_at >= SILENT_S or now - chunk.opened_at >= OLD_S
        ]
        return [self._close(kind) for kind in waited]

    def flush(self) -> list[Chunk]:
        return [self._close(kind) for kind in list(self._open)]

    def _close(self, kind: FrameKind) -> Chunk:
        chunk = self._open.pop(kind)
        began_at, ended_at = (
            self._time.of(sample, otherwise=chunk.came_at) for sample in (chunk.first, chunk.stop)
        )
        return Chunk(
            stream=self.info.stream,
            epoch=self.info.epoch,
            first=chunk.first,
            stop=chunk.stop,
            began_at=began_at,
            ended_at=ended_at,
            blob=encode_bundle(chunk.frames),
        )


@dataclass(slots=True)
class _OpenChunk:
    first: int
    came_at: datetime
    opened_at: float
    stop: int = 0
    size_bytes: int = 0
    heard_at: float = 0.0
    frames: list[bytes] = field(default_factory=list)

    def may_take(self, frame: WaveFrame, size_bytes: int) -> bool:
        """Whether the frame follows, and fits."""
        return (
            frame.first == self.stop
            and frame.first + frame.count - self.first <= CHUNK_SAMPLES
            and self.size_bytes + size_bytes <= CHUNK_BYTES
        )
