"""The last seconds of a stream as they came, for renditions that begin in the middle of it."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

from streaming.core.bundle import WaveFrame
from streaming.ecg import codec
from streaming.ecg.codec import Samples

KEPT_S = 1.25
"""Before the newest frame: a frame of an overview, 1 s, and twice what its filter needs, 40 ms."""


class Strip:
    """Live frames without a hole, oldest first, as payloads: decoded when somebody asks, and not before.

    `stop` is the index behind the newest sample, None before the first.
    """

    def __init__(self, rate_hz: float) -> None:
        self.stop: int | None = None
        self._kept_samples = round(KEPT_S * rate_hz)
        self._firsts: deque[int] = deque()
        self._payloads: deque[bytes] = deque()
        self._newest: Samples | None = None

    def append(self, frame: WaveFrame) -> None:
        """Take the next live frame; one that does not continue the last begins the strip anew."""
        if frame.first != self.stop:
            self.clear(frame.first)
        self._firsts.append(frame.first)
        self._payloads.append(frame.payload)
        self._newest = frame.samples
        self.stop = frame.first + frame.count
        while len(self._firsts) > 1 and self._firsts[1] <= frame.first - self._kept_samples:
            self._firsts.popleft()
            self._payloads.popleft()

    def clear(self, stop: int | None) -> None:
        """Forget all: what comes next begins at `stop`, if that is known."""
        self._firsts.clear()
        self._payloads.clear()
        self._newest = None
        self.stop = stop

    def newest(self) -> Samples:
        """The samples of the newest frame, (leads, n).

        Raises ProtocolError where it is malformed, LookupError when there is none.
        """
        if self._newest is None:
            self._newest = codec.decode(self._payloads[-1])
        return self._newest

    def since(self, index: int) -> tuple[int, Samples]:
        """Samples from `index`, or from the oldest that is kept, to the newest, and where they begin.

        Raises ProtocolError when a frame is malformed, LookupError when none reaches as far as `index`.
        """
        if not self._payloads or self.stop is None or self.stop <= index:
            raise LookupError(f"nothing is kept from sample {index} on")
        at = max(0, bisect_right(self._firsts, index) - 1)
        parts = [codec.decode(payload) for payload in itertools.islice(self._payloads, at, None)]
        first = self._firsts[at]
        samples: npt.NDArray[Any] = np.concatenate(parts, axis=1)
        return max(first, index), samples[:, max(0, index - first) :]
