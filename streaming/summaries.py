"""What every stream comes to minute by minute: gathered on the data path, folded and stored off it."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from streaming.core.bundle import Bundle
from streaming.core.frames import FrameKind
from streaming.core.minutes import Minute, MinuteBook
from streaming.core.streams import StreamInfo
from streaming.exceptions import HistoryAwayError

logger = logging.getLogger(__name__)

FOLD_EVERY_S = 1.0
"""Ten frames of a stream are folded at the cost of one."""
MOST_TAKEN = 20_000
"""Frames and heart rates that wait to be folded: half a minute of 64 streams."""
MOST_UNSTORED = 2_000
"""Minutes that wait for the database: half an hour of 64 streams, 20 MB where each has one lead."""


class MinuteStore(Protocol):
    """Where minutes go, and a thread in which they are made."""

    async def fold(self, function: Callable[[], list[Minute]]) -> list[Minute]:
        """Run it off the event loop."""

    async def write_minutes(self, minutes: Sequence[Minute]) -> None:
        """Store them all, or none; raises HistoryAwayError when another attempt may succeed."""


@dataclass(frozen=True, slots=True)
class _Taken:
    """Samples from `first` on, or the heart rate of the second before it; when it came."""

    info: StreamInfo
    first: int
    now: float
    at: datetime
    samples: npt.NDArray[np.signedinteger] | None = field(default=None, repr=False)
    live: bool = True
    vitals: str = ""


class Summaries:
    """Takes every frame and heart rate of this process; one task has them folded and stored, once a second.

    What the database does not take waits within a bound; then the oldest is given up and counted in `lost`.
    The owner calls `start`, then `aclose`.
    """

    def __init__(
        self,
        store: MinuteStore,
        *,
        clock: Callable[[], float] = time.monotonic,
        utc_now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.lost = 0
        self._store = store
        self._clock = clock
        self._utc_now = utc_now
        self._book = MinuteBook()
        self._taken: deque[_Taken] = deque(maxlen=MOST_TAKEN)
        self._unstored: deque[Minute] = deque()
        self._task: asyncio.Task[None] | None = None
        self._broken = False

    def start(self) -> None:
        """Begin to fold; needs a running event loop."""
        self._task = asyncio.create_task(self._fold_on(), name="vital-summaries")

    def take(self, bundle: Bundle) -> None:
        """Take what a stream has; never waits and never raises."""
        now, at = self._clock(), self._utc_now()
        for frame in bundle.frames:
            if frame.samples is not None:
                live = frame.kind is FrameKind.WAVEFORM
                self._taken.append(_Taken(bundle.info, frame.first, now, at, frame.samples, live))
        for event in bundle.events:
            if event.key == "vitals":
                self._taken.append(_Taken(bundle.info, 0, now, at, vitals=event.text))

    async def aclose(self, timeout_s: float) -> None:
        """Write what there is, within `timeout_s`."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        try:
            async with asyncio.timeout(timeout_s):
                await self._fold()
                if self._book.is_known:
                    self._keep(await self._store.fold(self._book.flush))
                await self._write()
        except TimeoutError:
            pass
        if self._unstored:
            self.lost += len(self._unstored)
            logger.warning(
                "the process ends with %d minutes that the history did not take", len(self._unstored)
            )

    async def _fold_on(self) -> None:
        while True:
            await asyncio.sleep(FOLD_EVERY_S)
            await self._fold()
            await self._write()

    async def _fold(self) -> None:
        if not self._taken and not self._book.is_known:
            return
        taken, self._taken = self._taken, deque(maxlen=MOST_TAKEN)
        now = self._clock()
        try:
            self._keep(await self._store.fold(lambda: self._folded(taken, now)))
        except asyncio.CancelledError:
            raise
        except Exception:  # a fault of ours, which stops neither samples nor task
            if not self._broken:
                self._broken = True
                logger.exception("some minutes are missing in the history")

    def _folded(self, taken: Sequence[_Taken], now: float) -> list[Minute]:
        """In the history's thread: samples that continue each other are folded as one."""
        written: list[Minute] = []
        for one in _runs(sorted(taken, key=_order)):
            written += self._add(one)
        return written + self._book.due(now)

    def _add(self, one: _Taken) -> list[Minute]:
        if one.samples is not None:
            return self._book.add(one.info, one.first, one.samples, live=one.live, now=one.now, at=one.at)
        said: dict[str, Any] = json.loads(one.vitals)
        hr = said["hr"]
        return self._book.count(
            one.info, said["sample"], None if hr is None else round(hr), now=one.now, at=one.at
        )

    def _keep(self, minutes: Sequence[Minute]) -> None:
        self._unstored += minutes
        while len(self._unstored) > MOST_UNSTORED:
            self._unstored.popleft()
            self.lost += 1

    async def _write(self) -> None:
        """Write what waits; what the database refuses for good must not stand in the way of the next."""
        batch = list(self._unstored)
        if not batch:
            return
        try:
            await self._store.write_minutes(batch)
        except HistoryAwayError:
            return  # the recorder says so, of the same database
        except asyncio.CancelledError:
            raise
        except Exception:
            self.lost += len(batch)
            logger.exception("the history's database refuses minutes")
        for _ in batch:
            self._unstored.popleft()


def _order(one: _Taken) -> tuple[str, int, bool, bool, int]:
    """Epoch by epoch, samples before heart rates: a minute has its samples before it is over."""
    return (one.info.stream, one.info.epoch, one.samples is None, not one.live, one.first)


def _runs(taken: Iterable[_Taken]) -> list[_Taken]:
    """Frames joined where one continues another; heart rates as they are."""
    runs: list[list[_Taken]] = []
    stop = -1
    for one in taken:
        last = runs[-1][-1] if runs else None
        if last is not None and (last.info, last.live, stop) == (one.info, one.live, one.first):
            runs[-1].append(one)
        else:
            runs.append([one])
        stop = -1 if one.samples is None else one.first + one.samples.shape[1]
    return [_joined(run) if len(run) > 1 else run[0] for run in runs]


def _joined(run: Sequence[_Taken]) -> _Taken:
    first, last = run[0], run[-1]
    samples = np.concatenate([one.samples for one in run if one.samples is not None], axis=1)
    return _Taken(first.info, first.first, last.now, last.at, samples, first.live)
