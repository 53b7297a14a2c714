"""What one viewer is still to be sent late: found a page ahead, and made when there is room for it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from streaming.channel import clip
from streaming.core.bundle import WaveFrame
from streaming.core.items import Item, Span
from streaming.core.messages import GapReason
from streaming.core.ring import AWAY, Page
from streaming.core.search import Part, Search
from streaming.core.streams import StreamInfo
from streaming.core.tally import GroupTally
from streaming.exceptions import ProtocolError
from streaming.room import Room
from streaming.sources import FrameSource
from streaming.subscriber import Subscriber, lost_item

logger = logging.getLogger(__name__)

PREFETCHED_BYTES = 64 * 1024
PAGE_BYTES = 16 * 1024
"""What is read of one stream at a time: patients take turns. So much of each may be ready at least."""
QUEUED_BYTES = 16 * 1024
"""With more than this in the viewer's queue nothing is looked for: what is lost is told by messages that must
not be dropped, and 64 KiB of them would cut the viewer."""
MAX_SPANS = 512
"""A viewer of 64 streams may ask for eight spans of each."""
LOOK_AGAIN_S = 6.0
"""What a source may have that was not heard is looked for again so much later; what a process holds back for
the history is stored by then."""
PATIENCE_S = 60.0
"""And for so long; from then on the viewer has to ask again."""


@dataclass(slots=True, eq=False)
class _Fill:
    """One span that a viewer lacks, and what is found of it, newest first."""

    room: Room
    span: Span
    reason: GapReason
    search: Search
    until: float
    """When what is open is given up."""
    ready: deque[tuple[StreamInfo, WaveFrame]] = field(default_factory=deque)
    ended: bool = False


class Backfill:
    """Fills what one viewer lacks, streams in turn and each newest first; what nobody has becomes a GAP.

    What a source may have that could not be heard is looked for again, for a minute.
    `pull` is the viewer's writer asking for a piece; it never waits. `may_send` says whether the process has
    anything to spare for what is late.
    """

    def __init__(
        self,
        subscriber: Subscriber,
        sources: Sequence[FrameSource],
        *,
        clock: Callable[[], float],
        may_send: Callable[[], bool],
    ) -> None:
        self._subscriber = subscriber
        self._sources = sources
        self._clock = clock
        self._may_send = may_send
        self._fills: dict[str, deque[_Fill]] = {}
        """By stream, in the order of their turns."""
        self._ready_bytes = 0
        self._made: deque[tuple[Item, GroupTally]] = deque()
        self._fetching: asyncio.Task[None] | None = None
        self._aside: deque[_Fill] = deque(maxlen=MAX_SPANS)
        """What is found, but for samples that are open; beyond the bound the oldest are given up."""
        self._looks_again: asyncio.TimerHandle | None = None
        self._is_pulled = False

    @property
    def spans(self) -> int:
        """How many spans are not yet filled, without those that are put aside."""
        return sum(len(fills) for fills in self._fills.values())

    @property
    def is_full(self) -> bool:
        """Whether it takes no more of them."""
        return self.spans >= MAX_SPANS

    def add(self, room: Room, span: Span, reason: GapReason) -> None:
        """Fill `span`, which the viewer knows to be missing, in the end perhaps by a GAP of `reason`."""
        search = Search(span.first, span.stop, len(self._sources))
        fill = _Fill(room, span, reason, search, self._clock() + PATIENCE_S)
        self._take_up(fill)
        self._fetch_soon()

    def _take_up(self, fill: _Fill) -> None:
        self._fills.setdefault(fill.span.stream, deque()).append(fill)
        if not self._is_pulled:
            self._is_pulled = True
            self._subscriber.handler.pull_from(self.pull)

    def forget(self, stream: str) -> None:
        """The viewer no longer watches the stream."""
        for fill in self._fills.pop(stream, ()):
            fill.ended = True
            self._ready_bytes -= sum(len(frame.payload) for _, frame in fill.ready)
        for fill in [fill for fill in self._aside if fill.span.stream == stream]:
            self._aside.remove(fill)

    def close(self) -> asyncio.Task[None] | None:
        """Give up what is not sent; the task that ends, where there is one."""
        for stream in list(self._fills):
            self.forget(stream)
        self._made.clear()
        self._aside.clear()
        if self._looks_again is not None:
            self._looks_again.cancel()
        if self._fetching is not None:
            self._fetching.cancel()
        return self._fetching

    def pull(self, limit_bytes: int) -> list[Item] | None:
        """What leaves next: at most the limit, but one item if there is any. None when nothing is lacking.

        Nothing also when it has to be said first what an alias stands for: that is queued then.
        """
        if not (self._fills or self._made):
            self._is_pulled = False
            return None
        taken: list[Item] = []
        spent = 0
        while self._made or (self._may_send() and self._make()):
            if not self._made:
                continue
            item, tally = self._made[0]
            spent += item.size_bytes
            if taken and spent > limit_bytes:
                break
            del self._made[0]
            tally.offered += 1
            taken.append(item)
        if self._ready_bytes < PREFETCHED_BYTES // 2 or not taken:
            self._fetch_soon()
        return taken

    def _make(self) -> bool:
        """Make items of the next frames, of the stream whose turn it is; False when none may leave now."""
        for stream in list(self._fills):
            fills = self._fills[stream]
            room = fills[0].room
            frame_s = room.late_frame_s(self._subscriber)
            fill = next((fill for fill in fills if fill.ready), None)
            self._fills[stream] = self._fills.pop(stream)  # behind the others
            if frame_s is None or fill is None:
                continue
            info, frames = self._run(fill, frame_s)
            try:
                announcement, items = room.late(self._subscriber, info, frames, self._clock())
            except Exception as error:
                if not isinstance(error, LookupError | ProtocolError):  # a fault of ours, or of kept bytes
                    logger.exception("late samples of stream %s cannot be made, going on", stream)
                self._lose(fill, frames[0].first, frames[-1].first + frames[-1].count)
                self._tidy(stream)
                return True
            self._made += [(item, announcement.tally) for item in items]
            self._tidy(stream)
            return self._subscriber.knows(announcement)
        return False

    def _run(self, fill: _Fill, frame_s: float) -> tuple[StreamInfo, list[WaveFrame]]:
        """The newest frames that are ready and continue each other, of this much signal, oldest first."""
        info, newest = self._take(fill)
        frames = [newest]
        while fill.ready and newest.first + newest.count - frames[0].first < frame_s * info.rate_hz:
            other, frame = fill.ready[0]
            if other is not info or frame.first + frame.count != frames[0].first:
                break
            frames.insert(0, self._take(fill)[1])
        return info, frames

    def _take(self, fill: _Fill) -> tuple[StreamInfo, WaveFrame]:
        info, frame = fill.ready.popleft()
        self._ready_bytes -= len(frame.payload)
        return info, frame

    def _tidy(self, stream: str) -> None:
        """Let go of what is filled, and put aside what is open."""
        fills = self._fills.get(stream)
        if fills is None:  # the viewer had to go for an alias
            return
        for fill in [fill for fill in fills if fill.search.next is None and not fill.ready]:
            fills.remove(fill)
            if fill.search.open and self._clock() < fill.until:
                self._aside.append(fill)
                self._look_again_later()
        if not fills:
            del self._fills[stream]

    def _look_again_later(self) -> None:
        if self._looks_again is None:
            self._looks_again = asyncio.get_running_loop().call_later(LOOK_AGAIN_S, self._look_again)

    def _look_again(self) -> None:
        self._looks_again = None
        while self._aside:
            fill = self._aside.popleft()
            fill.search.look_again()
            self._take_up(fill)
        self._fetch_soon()

    def _fetch_soon(self) -> None:
        if self._fetching is None and self._next_search() is not None:
            self._fetching = asyncio.create_task(self._fetch(), name="vital-backfill")

    def _next_search(self) -> _Fill | None:
        """What to look for next: of the stream that has the least ready.

        One that has nothing ready does not wait for others, which may be sent as numbers only for hours.
        """
        if self._subscriber.handler.queued_bytes > QUEUED_BYTES:
            return None
        is_enough = self._ready_bytes >= PREFETCHED_BYTES
        searched = [
            (ready, fill)
            for fills in self._fills.values()
            if not ((ready := sum(len(fill.ready) for fill in fills)) and is_enough)
            and (fill := next((fill for fill in fills if fill.search.next is not None), None)) is not None
        ]
        return min(searched, key=lambda counted: counted[0])[1] if searched else None

    async def _fetch(self) -> None:
        try:
            while (fill := self._next_search()) is not None:
                part = fill.search.next
                assert part is not None, "what has nothing left to search is not chosen"
                page, frames = await self._read(fill.span, part)
                if not fill.ended:
                    self._found(fill, page, frames)
        finally:
            self._fetching = None

    async def _read(self, span: Span, part: Part) -> tuple[Page, list[WaveFrame]]:
        """A page of the source whose turn it is, and its frames without what is not of this part."""
        source = self._sources[part.source]
        try:
            page = await source.read(span.stream, span.epoch, part.first, part.stop, max_bytes=PAGE_BYTES)
            return page, [] if page.info is None else list(_within(part, page.frames))
        except Exception:  # a source that fails is away; the next one may have it
            logger.exception("%s failed to read stream %s, going on", type(source).__name__, span.stream)
            return AWAY, []

    def _found(self, fill: _Fill, page: Page, frames: Sequence[WaveFrame]) -> None:
        if page.info is not None:
            fill.ready += [(page.info, frame) for frame in frames]
        self._ready_bytes += sum(len(frame.payload) for frame in frames)
        spans = [(frame.first, frame.first + frame.count) for frame in frames]
        for first, end in fill.search.found(spans, more=page.next is not None, unheard=page.unheard):
            self._lose(fill, first, end)
        if spans:
            self._subscriber.handler.wake_to_pull()
        else:
            self._tidy(fill.span.stream)

    def _lose(self, fill: _Fill, first: int, stop: int) -> None:
        """Nobody has these samples, or nobody can read them."""
        span = Span(fill.span.stream, fill.span.epoch, first, stop)
        self._subscriber.say(lost_item(span, fill.reason, self._clock()), fill.room.group)


def _within(part: Part, newest_first: Iterable[WaveFrame]) -> Iterator[WaveFrame]:
    """What of these frames lies in the part, no sample twice."""
    stop = part.stop
    for frame in newest_first:
        kept = clip(frame, part.first, stop)
        if kept is not None:
            stop = kept.first
            yield kept
