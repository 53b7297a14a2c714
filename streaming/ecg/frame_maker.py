"""Frames of one rendition, cut and encoded from native samples as these come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from streaming.core.renditions import Rendition
from streaming.core.streams import StreamInfo
from streaming.ecg import codec
from streaming.ecg.codec import Samples, WaveformEncoder
from streaming.ecg.renditions import Renderer
from streaming.ecg.resample import REACH, Piece


@dataclass(frozen=True, slots=True)
class RenderedFrame:
    """A payload whose samples stand at `first` and every `factor` native samples behind it.

    It speaks for the native samples `after` (inclusive) to `stop` (exclusive, one past its last sample).
    """

    first: int
    after: int
    stop: int
    payload: bytes


class FrameMaker:
    """Makes the frames of a rendition of one epoch; not for `vitals`, which has none.

    Frames end where the chunk that fills them ends, so that nothing waits for a boundary; each of them
    speaks for the native samples behind the last one, without a hole or an overlap. Streams fill theirs at
    different times: whole wards of 1 s frames would leave in the same tick.
    """

    def __init__(self, rendition: Rendition, info: StreamInfo) -> None:
        self._renderer = Renderer(rendition.quality, info.rate_hz, info.leads)
        self._length = max(1, round(rendition.frame_s * info.rate_hz))
        self._phase = crc32(info.stream.encode()) % self._length
        self._most = codec.max_frame_samples(len(self._renderer.leads))
        self._encoder = WaveformEncoder()
        self._pending: list[Piece] = []
        self._begins_at = 0
        self.spoken: int | None = None
        """Native samples before this index are in frames; None before the first chunk."""

    @property
    def factor(self) -> int:
        """Native samples for one sample."""
        return self._renderer.factor

    @property
    def lead_in(self) -> int:
        """Native samples before the first that its filter wants to see."""
        return REACH * self.factor

    def begin(self, at: int) -> None:
        """The first frame speaks for native samples from `at` on; `push` may take earlier ones before."""
        self.spoken = self._begins_at = at

    def push(self, first: int, samples: Samples) -> list[RenderedFrame]:
        """Take native samples, (leads, n), that continue those before; the frames that they fill."""
        self.feed(first, samples)
        stop = self._stop
        if (stop + self._phase) // self._length == (self._spoken + self._phase) // self._length:
            return []
        return list(self._frames())

    def feed(self, first: int, samples: Samples) -> None:
        """Take native samples, and make no frame of them yet."""
        if self.spoken is None:
            self.begin(first)
        self._take(self._renderer.push(first, samples))

    def flush(self) -> list[RenderedFrame]:
        """The signal ends here, or stops for a while: what is left of it. Behind a gap, `begin` again."""
        self._take(self._renderer.flush())
        return list(self._frames())

    def made_until(self, stop: int) -> list[RenderedFrame]:
        """What is made of the samples before native index `stop`, as frames, full or not."""
        self._pending = [
            Piece(piece.first, piece.samples[:, : len(range(piece.first, stop, self.factor))])
            for piece in self._pending
            if piece.first < stop
        ]
        return list(self._frames())

    @property
    def _spoken(self) -> int:
        assert self.spoken is not None, "a maker that was given samples knows where they begin"
        return self.spoken

    @property
    def _stop(self) -> int:
        """One past the last sample that is made."""
        if not self._pending:
            return self._spoken
        last = self._pending[-1]
        count: int = last.samples.shape[1]
        return last.first + (count - 1) * self.factor + 1

    def _take(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            early = len(range(piece.first, self._begins_at, self.factor))
            if early < piece.samples.shape[1]:
                self._pending.append(Piece(piece.first + early * self.factor, piece.samples[:, early:]))

    def _frames(self) -> Iterator[RenderedFrame]:
        pending, self._pending = self._pending, []
        if not pending:
            return
        samples = (
            pending[0].samples if len(pending) == 1 else np.concatenate([p.samples for p in pending], axis=1)
        )
        for at in range(0, samples.shape[1], self._most):
            part = samples[:, at : at + self._most]
            first, after = pending[0].first + at * self.factor, self._spoken
            self.spoken = first + (part.shape[1] - 1) * self.factor + 1
            yield RenderedFrame(first, after, self.spoken, self._encoder.encode(part))


def late_frames(rendition: Rendition, info: StreamInfo, first: int, samples: Samples) -> list[RenderedFrame]:
    """Late samples that fill a gap, (leads, n), native, from index `first` on, as frames of their own."""
    maker = FrameMaker(rendition, info)
    maker.feed(first, samples)
    return maker.flush()
