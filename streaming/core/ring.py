"""The last minute of each stream's encoded frames, so that a sample that somebody lacks can be sent again."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from streaming.core.bundle import Bundle, WaveFrame
from streaming.core.frames import FrameKind
from streaming.core.streams import StreamInfo

KEPT_S = 60.0
MAX_RING_BYTES = 1024 * 1024
"""Of one stream. Sixteen leads at 2 kHz, lossless, are 0.8 MB a minute; twelve at 500 Hz 0.15 MB."""
LATELY_S = 3.0
"""A chunk of a device has at most two seconds."""
_FRAME_COST_BYTES = 200
"""Of a frame besides its payload: the objects that hold it."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some frames of one epoch, newest first; `info` says what they are, None where there are none.

    `next` is the index before which the same source may have more of what was asked for, None where it has
    not. `unheard` is whether it does not know that it has not: what is missing may be had later.
    """

    info: StreamInfo | None = None
    frames: tuple[WaveFrame, ...] = ()
    next: int | None = None
    unheard: bool = False


NOTHING = Page()
AWAY = Page(unheard=True)
"""Of a source that cannot be read now."""


@dataclass(slots=True)
class _Epoch:
    info: StreamInfo
    firsts: list[int] = field(default_factory=list)
    frames: list[WaveFrame] = field(default_factory=list)

    def add(self, frame: WaveFrame) -> bool:
        """Keep a frame in the order of its samples; False where one that is kept has all of them."""
        if not self.firsts or frame.first > self.firsts[-1]:
            at = len(self.firsts)
        else:
            at = bisect_right(self.firsts, frame.first)
        if at:
            before = self.frames[at - 1]
            if before.first + before.count >= frame.first + frame.count:
                return False
        self.firsts.insert(at, frame.first)
        self.frames.insert(at, frame)
        return True

    def remove_oldest_at(self, first: int) -> None:
        """Of those that begin there the one that was added first: later ones stand behind it."""
        at = bisect_left(self.firsts, first)
        del self.firsts[at], self.frames[at]


class Ring:
    """Frames of one stream over its epochs, for 60 s since they came here, and at most so many bytes."""

    def __init__(self, *, kept_s: float = KEPT_S, max_bytes: int = MAX_RING_BYTES) -> None:
        self.is_own = False
        """Whether a device of this process wrote what is kept."""
        self.came: tuple[float, StreamInfo, int] | None = None
        """When the last live frame came, of which epoch, and the index behind it."""
        self.size_bytes = 0
        self._kept_s = kept_s
        self._max_bytes = max_bytes
        self._epochs: dict[int, _Epoch] = {}
        self._arrivals: deque[tuple[float, int, WaveFrame]] = deque()

    def __len__(self) -> int:
        return len(self._arrivals)

    def append(self, info: StreamInfo, frame: WaveFrame, now: float) -> None:
        """Keep a frame, live or late, that came at `now`; its payload alone, not the samples beside it."""
        epoch = self._epochs.get(info.epoch)
        if epoch is None:
            epoch = self._epochs[info.epoch] = _Epoch(info)
        epoch.info = info
        kept = WaveFrame(frame.kind, frame.first, frame.count, frame.payload)
        if epoch.add(kept):
            self._arrivals.append((now, info.epoch, kept))
            self.size_bytes += len(kept.payload) + _FRAME_COST_BYTES
        self.forget(now)

    def forget(self, now: float) -> None:
        """Let go of what is older than a minute, and of the oldest beyond the bytes."""
        arrivals, oldest_at = self._arrivals, now - self._kept_s
        while arrivals and (arrivals[0][0] < oldest_at or self.size_bytes > self._max_bytes):
            _, number, frame = arrivals.popleft()
            epoch = self._epochs[number]
            epoch.remove_oldest_at(frame.first)
            self.size_bytes -= len(frame.payload) + _FRAME_COST_BYTES
            if not epoch.frames:
                del self._epochs[number]

    def read(self, epoch: int, first: int, stop: int, *, max_bytes: int) -> Page:
        """What is kept of samples `first` to `stop`, newest first: at most the bytes, but one frame if any.

        The frames at either end may reach beyond the span.
        """
        kept = self._epochs.get(epoch)
        if kept is None:
            return NOTHING
        found: list[WaveFrame] = []
        spent = 0
        for at in range(bisect_left(kept.firsts, stop) - 1, -1, -1):
            frame = kept.frames[at]
            if frame.first + frame.count <= first:
                break
            spent += len(frame.payload)
            if found and spent > max_bytes:
                return Page(kept.info, tuple(found), found[-1].first)
            found.append(frame)
        return Page(kept.info, tuple(found)) if found else NOTHING


class Rings:
    """The rings of all streams that this process has seen lately, whoever wrote them."""

    def __init__(self) -> None:
        self._rings: dict[str, Ring] = {}

    def take(self, bundle: Bundle, now: float, *, own: bool) -> None:
        """Keep the frames of a bundle; `own` when a device of this process sent them."""
        if not bundle.frames:
            return
        ring = self.keep(bundle.info, bundle.frames, now)
        ring.is_own |= own
        last = bundle.frames[-1]
        if last.kind is FrameKind.WAVEFORM:
            ring.came = now, bundle.info, last.first + last.count

    def keep(self, info: StreamInfo, frames: Sequence[WaveFrame], now: float) -> Ring:
        """Keep frames of one epoch in the ring of their stream, which is returned."""
        ring = self._rings.get(info.stream)
        if ring is None:
            ring = self._rings[info.stream] = Ring()
        for frame in frames:
            ring.append(info, frame, now)
        return ring

    def own(self, stream: str) -> Ring | None:
        """The ring of a stream that a device of this process wrote; None for all others."""
        ring = self._rings.get(stream)
        return ring if ring is not None and ring.is_own else None

    def stands_at(self, stream: str, now: float) -> tuple[StreamInfo, int] | None:
        """The epoch of a stream, and the index behind its last live sample; None where none came lately.

        What came long ago says nothing: the device may have been at another process since.
        """
        ring = self._rings.get(stream)
        if ring is None or ring.came is None or now - ring.came[0] > LATELY_S:
            return None
        return ring.came[1:]

    def read(self, stream: str, epoch: int, first: int, stop: int, *, max_bytes: int) -> Page:
        """As `Ring.read`, of one stream."""
        ring = self._rings.get(stream)
        return NOTHING if ring is None else ring.read(epoch, first, stop, max_bytes=max_bytes)

    def forget(self, now: float) -> None:
        """Let go of what has become too old, also of streams of which nothing comes any more."""
        for stream, ring in list(self._rings.items()):
            ring.forget(now)
            if not len(ring):
                del self._rings[stream]
