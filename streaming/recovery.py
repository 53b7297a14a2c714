"""Everything in this process that is sent late: what came back viewers lack, and what the layer has lost."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from streaming.backfill import LOOK_AGAIN_S, Backfill
from streaming.core.items import Span
from streaming.core.messages import SAMPLE_LIMIT, GapReason, Resume
from streaming.core.ring import AWAY, Rings
from streaming.core.streams import StreamInfo
from streaming.room import Room
from streaming.sources import FrameSource
from streaming.subscriber import Subscriber

logger = logging.getLogger(__name__)


class Recovery:
    """Knows the sources, in the order in which they are asked, and what each viewer is still to get of them.

    `paused` holds back all that is late while the process has no time for it.
    """

    def __init__(
        self,
        rings: Rings,
        sources: Sequence[FrameSource],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rings = rings
        self.sources: list[FrameSource] = list(sources)
        self._paused = False
        self._clock = clock
        self._backfills: dict[Subscriber, Backfill] = {}
        self.on_resumed: set[Callable[[], None]] = set()
        """Called when what is late may leave again, for what others have of it."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def paused(self) -> bool:
        """Whether all that is late is held back."""
        return self._paused

    @paused.setter
    def paused(self, paused: bool) -> None:
        self._paused = paused
        if not paused:
            for subscriber in self._backfills:
                subscriber.handler.wake_to_pull()
            for resumed in self.on_resumed:
                resumed()

    @property
    def spans(self) -> int:
        """How many spans are being filled, over all viewers."""
        return sum(backfill.spans for backfill in self._backfills.values())

    def fill(self, room: Room, subscriber: Subscriber, span: Span, reason: GapReason) -> None:
        """Send a viewer samples that it knows to be missing, or a GAP that says of them that they are lost.

        A viewer that waits for very many of them already can ask again.
        """
        backfill = self._backfills.get(subscriber)
        if backfill is None:
            backfill = self._backfills[subscriber] = Backfill(
                subscriber, self.sources, clock=self._clock, may_send=lambda: not self._paused
            )
        if not backfill.is_full:
            backfill.add(room, span, reason)

    def is_full(self, subscriber: Subscriber) -> bool:
        """Whether the viewer waits for as many spans as it may."""
        backfill = self._backfills.get(subscriber)
        return backfill is not None and backfill.is_full

    def resume(self, room: Room, subscriber: Subscriber, resume: Resume) -> None:
        """A viewer of a room says what it has; where nothing has come yet, the rings say where it stands."""
        now = self._clock()
        if not room.is_placed and (stands_at := self.rings.stands_at(room.stream, now)) is not None:
            info, stop = stands_at
            if (info.epoch, stop) >= (resume.epoch, resume.next_sample):  # else it stood elsewhere since
                room.place(info, stop, now)
        room.resume(subscriber, resume, now)

    def tend(self, room: Room) -> None:
        """Find out where a stream stands of which nothing comes, though somebody came back to it."""
        for resume in room.overdue(self._clock()):
            self._own(asyncio.create_task(self._look_up(room, resume), name="vital-look-up"))

    def forget(self, subscriber: Subscriber, stream: str) -> None:
        """A viewer no longer watches the stream."""
        if (backfill := self._backfills.get(subscriber)) is not None:
            backfill.forget(stream)

    def remove(self, subscriber: Subscriber) -> None:
        """A viewer is gone."""
        backfill = self._backfills.pop(subscriber, None)
        if backfill is not None and (ending := backfill.close()) is not None:
            self._own(ending)

    async def aclose(self) -> None:
        """Send nothing more."""
        for subscriber in list(self._backfills):
            self.remove(subscriber)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _own(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look_up(self, room: Room, resume: Resume) -> None:
        """Let the room go on behind the newest sample that any source has."""
        found: tuple[int, StreamInfo] | None = None
        is_unheard = False
        for source in self.sources:
            try:
                page = await source.read(
                    resume.stream, resume.epoch, resume.next_sample, SAMPLE_LIMIT, max_bytes=1
                )
            except Exception:  # a source that fails is away; the next one may have it
                logger.exception("%s failed to read stream %s", type(source).__name__, resume.stream)
                page = AWAY
            is_unheard |= page.unheard
            if page.info is not None and page.frames:
                stop = page.frames[0].first + page.frames[0].count
                if found is None or stop > found[0]:
                    found = stop, page.info
        if found is not None:
            room.place(found[1], found[0], self._clock())
        elif is_unheard:
            room.look_up_again(resume, self._clock() + LOOK_AGAIN_S)
