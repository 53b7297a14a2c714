"""What leaves at one tick for all viewers: prepared once for each set of streams that is watched together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from streaming.core.frames import encode_bundle, pack_json_frame
from streaming.core.items import Item
from streaming.core.priority import MessagePriority
from streaming.core.stages import Journey
from streaming.core.window import ClassMessages
from streaming.exceptions import CloseCode
from streaming.subscriber import Announcement, Subscriber

logger = logging.getLogger(__name__)

TICK_S = 0.04
"""At most 25 ticks a second: eight patients whose devices send apart would make it 80 messages a viewer."""
GATHER_S = 0.008
"""What comes right behind the first leaves with it: a gateway's patients take a millisecond each."""


class FanOut:
    """Gathers what the streams of this process have for their viewers, and hands it on at the next tick.

    A tick falls `gather_s` after the first of what waits, and not sooner than `tick_s` after the tick before;
    with `tick_s` 0 there is nothing to wait for. CRITICAL has no business here: it does not wait.
    """

    def __init__(
        self, *, tick_s: float = TICK_S, gather_s: float = GATHER_S, clock: Callable[[], float]
    ) -> None:
        self._tick_s = tick_s
        self._gather_s = gather_s
        self._clock = clock
        self._loads: dict[Announcement, Load] = {}
        self._last_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.journey: Journey | None = None
        """What is followed to its viewer next."""

    def add(self, announcement: Announcement, viewers: set[Subscriber], items: Iterable[Item]) -> None:
        """Hand what is sent under one alias to those who get it at the next tick: `viewers` is read then."""
        load = self._loads.get(announcement)
        if load is None:
            load = self._loads[announcement] = Load(viewers)
        load.items.extend((item, announcement) for item in items)
        if not self._tick_s:
            self._tick()
        elif self._timer is None:
            now = self._clock()
            delay_s = max(self._gather_s, self._last_at + self._tick_s - now)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._tick)

    def hand_on(self, stream: str) -> None:
        """Do not wait with a stream of which somebody is about to be sent another alias.

        What waits was made under the old one, for those who get it now. A retired alias is free for others as
        soon as nobody holds it, and only who was told of it holds it.
        """
        if any(announcement.info.stream == stream for announcement in self._loads):
            self.close()
            self._tick()

    def forget(self, stream: str) -> None:
        """Drop what waits for the viewers of a stream: there are none."""
        self._loads = {told: load for told, load in self._loads.items() if told.info.stream != stream}

    def close(self) -> None:
        """No further tick."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer, self._last_at = None, self._clock()
        loads, self._loads = self._loads, {}
        watched: dict[Subscriber, list[Load]] = {}
        for load in loads.values():
            for viewer in load.viewers:
                if (seen := watched.get(viewer)) is None:
                    watched[viewer] = [load]
                else:
                    seen.append(load)
        batches: dict[tuple[Load, ...], Batch] = {}
        for viewer, seen in watched.items():
            together = tuple(seen)
            try:
                batch = batches.get(together)
                if batch is None:
                    batch = batches[together] = Batch(together)
                if self.journey is None or viewer is not self.journey.viewer:
                    batch.hand_to(viewer)
                else:
                    self._hand_followed(viewer, batch, self.journey)
            except Exception:  # a fault of ours; the others must get theirs, and this one come again
                logger.exception("a viewer could not be given what waits for it, going on")
                viewer.cut(CloseCode.INTERNAL, "internal error")
        for batch in batches.values():
            batch.count(self._last_at)

    def _hand_followed(self, viewer: Subscriber, batch: Batch, journey: Journey) -> None:
        """Note when what is followed is queued, and as which message it leaves where that is settled."""
        journey.item = journey.find(item for item, _ in batch.entries())
        if journey.item is not None:
            self.journey, viewer.journey, journey.queued = None, journey, self._clock()
        number = viewer.window.sent + 1
        if batch.hand_to(viewer) and journey.item is not None:
            journey.number = number


class Load:
    """What one rendition of a stream has for its viewers."""

    __slots__ = ("items", "viewers")

    def __init__(self, viewers: set[Subscriber]) -> None:
        self.viewers = viewers
        self.items: list[tuple[Item, Announcement]] = []


class Batch:
    """The loads of streams that some viewers watch together, as one WebSocket message."""

    __slots__ = ("_loads", "aliases", "classes", "message", "takers")

    def __init__(self, loads: tuple[Load, ...]) -> None:
        self._loads = loads
        self.takers = 0
        """Viewers who took the message as it is."""
        self.aliases = frozenset(announcement.alias for _, announcement in self.entries())
        self.message = encode_bundle(_frame(item) for item, _ in self.entries())
        self.classes = self._by_class()

    def entries(self) -> Iterator[tuple[Item, Announcement]]:
        """All of them, each stream's in its order."""
        return chain.from_iterable(load.items for load in self._loads)

    def hand_to(self, viewer: Subscriber) -> bool:
        """As it is, or (False) item by item."""
        if viewer.take(self.message, self.classes, self.aliases):
            self.takers += 1
            return True
        for item, announcement in self.entries():
            viewer.offer(item, announcement)
        return False

    def count(self, now: float) -> None:
        """Tell the tallies of the streams what the takers were sent."""
        if self.takers:
            for item, announcement in self.entries():
                announcement.tally.count_passed(item, self.takers, now)

    def _by_class(self) -> ClassMessages:
        classes = [0] * len(MessagePriority)
        for item, _ in self.entries():
            classes[item.priority - 1] += 1
        return tuple(classes)


def _frame(item: Item) -> bytes:
    return pack_json_frame(item.payload) if isinstance(item.payload, str) else item.payload
