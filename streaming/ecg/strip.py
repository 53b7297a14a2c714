"""The last seconds of a stream as they came, for renditions that begin in the middle of it."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from streaming.core.bundle import WaveFrame
from streaming.ecg import codec
from streaming.ecg.codec import Samples

KEPT_S = 4.0
"""Longer than an overview's frame of 1 s, behind a device's chunk of 2 s, with what its filter needs."""


class Strip:
    """Live frames without a hole, oldest first, decoded when somebody asks for their samples and not before.

    `stop` is the index behind the newest sample, None before the first.
    """

    def __init__(self, rate_hz: float) -> None:
        self.stop: int | None = None
        self._kept_samples = round(KEPT_S * rate_hz)
        self._frames: deque[WaveFrame] = deque()
        self._decoded: deque[Samples | None] = deque()

    def append(self, frame: WaveFrame) -> None:
        """Take the next live frame; one that does not continue the last begins the strip anew."""
        if frame.first != self.stop:
            self.clear(frame.first)
        self._frames.append(frame)
        self._decoded.append(frame.samples)
        self.stop = frame.first + frame.count
        while self._frames[0].first + self._frames[0].count <= self.stop - self._kept_samples:
            self._frames.popleft()
            self._decoded.popleft()

    def clear(self, stop: int | None) -> None:
        """Forget all: what comes next begins at `stop`, if that is known."""
        self._frames.clear()
        self._decoded.clear()
        self.stop = stop

    @property
    def first(self) -> int | None:
        """The oldest index that is kept; `stop` when there is none."""
        return self._frames[0].first if self._frames else self.stop

    def newest(self) -> Samples:
        """The samples of the newest frame, (leads, n); raises ProtocolError where it is malformed."""
        return self._samples_of(len(self._frames) - 1)

    def since(self, index: int) -> tuple[int, Samples]:
        """Samples from `index`, or from the oldest that is kept, to the newest, and where they begin.

        Raises ProtocolError when a frame is malformed, LookupError when none reaches as far as `index`.
        """
        at = len(self._frames)
        while at and self._frames[at - 1].first + self._frames[at - 1].count > index:
            at -= 1
        parts = [self._samples_of(number) for number in range(at, len(self._frames))]
        if not parts:
            raise LookupError(f"nothing is kept from sample {index} on")
        first = self._frames[at].first
        samples: npt.NDArray[np.signedinteger] = np.concatenate(parts, axis=1)
        return max(first, index), samples[:, max(0, index - first) :]

    def _samples_of(self, number: int) -> Samples:
        samples = self._decoded[number]
        if samples is None:
            samples = self._decoded[number] = codec.decode(self._frames[number].payload)
        return samples
