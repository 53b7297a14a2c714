"""What leaves at one tick: made once for each set of streams that is watched together."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from streaming.core.frames import encode_bundle, pack_json_frame
from streaming.core.items import Item
from streaming.core.priority import MessagePriority
from streaming.core.window import MAX_BUNDLE_BYTES, ClassMessages
from streaming.subscriber import Announcement, Subscriber

_SPARE_BYTES = 128
"""For the statistics of a viewer's own that ride along with its first message."""


class Tick:
    """What leaves together, and who has got it already."""

    __slots__ = ("_loads", "_served", "batches", "began", "due", "is_alone")

    def __init__(self, loads: list[Load], began: float, due: float, *, is_alone: bool) -> None:
        self.began = began
        self.due = due
        self.is_alone = is_alone
        self.batches: dict[tuple[Load, ...], Batch] = {}
        self._loads = loads
        self._served: set[Subscriber] = set()

    def to_serve(self) -> Iterator[tuple[Subscriber, tuple[Load, ...]]]:
        """Each viewer that was not given its share, and that share; who has left meanwhile gets nothing."""
        served = self._served
        for load in self._loads:
            for viewer in [viewer for viewer in load.viewers if viewer not in served]:
                served.add(viewer)
                yield viewer, tuple(other for other in self._loads if viewer in other.viewers)


class Load:
    """What one rendition of a stream has for its viewers."""

    __slots__ = ("items", "viewers")

    def __init__(self, viewers: set[Subscriber]) -> None:
        self.viewers = viewers
        self.items: list[tuple[Item, Announcement]] = []

    @property
    def is_alone(self) -> bool:
        """Whether none of its viewers watches another stream with which it could leave."""
        return all(viewer.watches == 1 for viewer in self.viewers)


class Part:
    """Some of a batch as one WebSocket message."""

    __slots__ = ("classes", "entries", "message", "takers")

    def __init__(self, entries: list[tuple[Item, Announcement]], frames: list[bytes]) -> None:
        self.entries = entries
        self.message = encode_bundle(frames)
        classes = [0] * len(MessagePriority)
        for item, _ in entries:
            classes[item.priority - 1] += 1
        self.classes: ClassMessages = tuple(classes)
        self.takers = 0
        """Viewers who took the message as it is."""


class Batch:
    """The loads of streams that some viewers watch together, as WebSocket messages of 16 KiB at most."""

    __slots__ = ("_loads", "aliases", "parts")

    def __init__(self, loads: tuple[Load, ...]) -> None:
        self._loads = loads
        self.aliases = frozenset(announcement.alias for _, announcement in self.entries())
        self.parts = list(self._parted())

    def entries(self) -> Iterator[tuple[Item, Announcement]]:
        """All of them, each stream's in its order."""
        return chain.from_iterable(load.items for load in self._loads)

    def hand_to(self, viewer: Subscriber) -> int:
        """As it is, or item by item from where it is refused; how many of the messages were taken."""
        for index, part in enumerate(self.parts):
            if not viewer.take(part.message, part.classes, self.aliases):
                for refused in self.parts[index:]:
                    for item, announcement in refused.entries:
                        viewer.offer(item, announcement)
                return index
            part.takers += 1
        return len(self.parts)

    def count(self, now: float) -> None:
        """Tell the tallies of the streams what the takers were sent."""
        for part in self.parts:
            if part.takers:
                for item, announcement in part.entries:
                    announcement.tally.count_passed(item, part.takers, now)

    def part_of(self, item: Item) -> int:
        """In which of the messages an item leaves, from 0."""
        return next(
            index for index, part in enumerate(self.parts) if any(item is each for each, _ in part.entries)
        )

    def _parted(self) -> Iterator[Part]:
        entries: list[tuple[Item, Announcement]] = []
        frames: list[bytes] = []
        size = _SPARE_BYTES
        for item, announcement in self.entries():
            frame = _frame(item)
            if frames and size + len(frame) > MAX_BUNDLE_BYTES:
                yield Part(entries, frames)
                entries, frames, size = [], [], _SPARE_BYTES
            entries.append((item, announcement))
            frames.append(frame)
            size += len(frame) + 3  # of its length
        if frames:
            yield Part(entries, frames)


def _frame(item: Item) -> bytes:
    payload = item.written().payload
    return pack_json_frame(payload) if isinstance(payload, str) else payload
