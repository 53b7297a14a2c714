"""What goes to the history, and what is given up when the history's database does not keep up."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from streaming.core.bundle import Bundle
from streaming.core.chunks import Chunk, ChunkGatherer
from streaming.core.streams import group_of
from streaming.exceptions import HistoryAwayError

logger = logging.getLogger(__name__)

WRITE_EVERY_S = 1.0
"""One transaction a second: a commit costs the same for one chunk as for fifty."""
BATCH_BYTES = 2 * 1024 * 1024
"""A transaction stays short also when an outage is caught up with."""
WAITING_BYTES = 16 * 1024 * 1024
"""Two minutes of 64 patients with twelve leads at 500 Hz."""


class ChunkStore(Protocol):
    """Where chunks go."""

    async def write(self, chunks: Sequence[Chunk]) -> None:
        """Store them all, or none; returns once they are committed.

        Raises HistoryAwayError when another attempt may succeed. A chunk that is there already is left as it
        is, so that an attempt whose commit was not confirmed may be repeated.
        """


@dataclass(slots=True)
class HistoryFigures:
    """What became of chunks, since the process began or the stream was forgotten."""

    stored_chunks: int = 0
    stored_bytes: int = 0
    lost_chunks: int = 0
    lost_bytes: int = 0
    lost_seconds: float = 0.0

    def count_stored(self, chunk: Chunk) -> None:
        """It is committed."""
        self.stored_chunks += 1
        self.stored_bytes += len(chunk.blob)

    def count_lost(self, chunk: Chunk) -> None:
        """It was given up."""
        self.lost_chunks += 1
        self.lost_bytes += len(chunk.blob)
        self.lost_seconds += chunk.seconds


class Recorder:
    """Takes every frame of this process, and has one task write them, a transaction a second.

    A slow or locked database costs history and nothing else: chunks that wait take `waiting_bytes` at most,
    the oldest are given up first, counted by stream, and said once an outage. A chunk counts as stored only
    after its commit. The owner calls `start`, then `aclose`.
    """

    def __init__(
        self,
        store: ChunkStore,
        *,
        waiting_bytes: int = WAITING_BYTES,
        clock: Callable[[], float] = time.monotonic,
        utc_now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.total = HistoryFigures()
        self.fault: str | None = None
        """Why nothing is stored now; None while all is well."""
        self._store = store
        self._max_waiting_bytes = waiting_bytes
        self._clock = clock
        self._utc_now = utc_now
        self._gatherer = ChunkGatherer()
        self._waiting: deque[Chunk] = deque()
        self._waiting_bytes = 0
        """Of those in `_waiting` and of those that are being written."""
        self._by_stream: dict[str, HistoryFigures] = {}
        self._task: asyncio.Task[None] | None = None
        self._broken = False

    def start(self) -> None:
        """Begin to write; needs a running event loop."""
        self._task = asyncio.create_task(self._write_on(), name="vital-history-writer")

    def take(self, bundle: Bundle) -> None:
        """Take what a stream has; never waits and never raises."""
        now, at = self._clock(), self._utc_now()
        for frame in bundle.frames:
            add = partial(self._gatherer.add, bundle.info, frame, now=now, at=at)
            if not self._gather(add, f"a frame of stream {bundle.info.stream}"):
                self.total.lost_bytes += len(frame.payload)

    async def aclose(self, timeout_s: float) -> None:
        """Write what there is, within `timeout_s`; what is left then is lost, and said."""
        self._gather(self._gatherer.flush, "what was not full at the end")
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        try:
            async with asyncio.timeout(timeout_s):
                while self._waiting and await self._write_batch():
                    pass
        except TimeoutError:
            pass
        if self._waiting:
            given_up = len(self._waiting)
            while self._waiting:
                self._count_lost(self._waiting.popleft())
            logger.warning("the process ends with %d chunks that the history did not take", given_up)

    def by_group(self) -> dict[str, HistoryFigures]:
        """What became of the chunks of each stream that had any, by its channel-layer group."""
        return {group_of(stream): figures for stream, figures in self._by_stream.items()}

    @property
    def degraded(self) -> str | None:
        """The fault, and what was lost since the process began, for people; None while nothing is wrong."""
        if self.fault is None:
            return None
        return (
            f"not stored: {self.fault}; {self.total.lost_chunks} chunks lost so far "
            f"({self.total.lost_seconds:.0f} s of ECG)"
        )

    @property
    def waiting_bytes(self) -> int:
        """Bytes of chunks that are not yet committed, without those that are still being filled."""
        return self._waiting_bytes

    def forget(self, kept: Collection[str]) -> None:
        """Drop the figures of all streams but these; `total` keeps them."""
        for stream in self._by_stream.keys() - set(kept):
            del self._by_stream[stream]

    def _gather(self, chunks: Callable[[], Iterable[Chunk]], what: str) -> bool:
        """Let chunks wait to be written; False for a fault of ours, which stops neither samples nor task."""
        try:
            self._enqueue(chunks())
        except Exception:
            if not self._broken:
                self._broken = True
                logger.exception("%s is missing in the history", what)
            return False
        return True

    def _enqueue(self, chunks: Iterable[Chunk]) -> None:
        for chunk in chunks:
            self._waiting.append(chunk)
            self._waiting_bytes += len(chunk.blob)
        if self._waiting_bytes > self._max_waiting_bytes:
            self._note_outage("storing takes too long")
            while self._waiting and self._waiting_bytes > self._max_waiting_bytes:
                self._count_lost(self._waiting.popleft())

    async def _write_on(self) -> None:
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            self._gather(lambda: self._gatherer.due(self._clock()), "what has waited")
            while self._waiting and await self._write_batch():
                pass

    async def _write_batch(self) -> bool:
        """Write the oldest chunks that wait; False when the database did not take them."""
        batch = self._next_batch()
        try:
            await self._store.write(batch)
        except HistoryAwayError as error:
            self._put_back(batch)
            self._note_outage(str(error))
            return False
        except asyncio.CancelledError:
            self._put_back(batch)
            raise
        except Exception as error:
            # These will not get any better, and must not stand in the way of the next ones.
            if self.fault is None:
                logger.exception("the history's database refuses chunks")
            self.fault = f"refused by the database ({type(error).__name__})"
            for chunk in batch:
                self._count_lost(chunk)
            return False
        for chunk in batch:
            self._waiting_bytes -= len(chunk.blob)
            for figures in (self.total, self._of(chunk.stream)):
                figures.count_stored(chunk)
        if self.fault is not None:
            self.fault = None
            logger.warning("the history is stored again, %d chunks lost so far", self.total.lost_chunks)
        return True

    def _next_batch(self) -> list[Chunk]:
        batch: list[Chunk] = []
        size_bytes = 0
        while self._waiting and size_bytes < BATCH_BYTES:
            batch.append(self._waiting.popleft())
            size_bytes += len(batch[-1].blob)
        return batch

    def _put_back(self, batch: list[Chunk]) -> None:
        self._waiting.extendleft(reversed(batch))
        self._enqueue(())

    def _count_lost(self, chunk: Chunk) -> None:
        self._waiting_bytes -= len(chunk.blob)
        for figures in (self.total, self._of(chunk.stream)):
            figures.count_lost(chunk)

    def _note_outage(self, reason: str) -> None:
        if self.fault is None:
            logger.warning("the history is not stored, older chunks are given up: %s", reason)
        self.fault = reason

    def _of(self, stream: str) -> HistoryFigures:
        return self._by_stream.setdefault(stream, HistoryFigures())
