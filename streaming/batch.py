"""What leaves at one tick: made once for each set of streams that is watched together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from streaming.core.backlog import SharedBundle
from streaming.core.frames import pack_json_frame
from streaming.core.items import Item
from streaming.core.window import MAX_BUNDLE_BYTES
from streaming.subscriber import Announcement, Subscriber, Taken

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


class Part(SharedBundle):
    """Some of a batch as one WebSocket message."""

    def __init__(self, entries: Sequence[tuple[Item, Announcement]], frames: Sequence[bytes]) -> None:
        super().__init__([(item, announcement.info.group) for item, announcement in entries], frames)
        self.entries = entries
        self.takers = 0
        """Viewers who took the message as it is."""
        self.waiters = 0
        """Those for whom it waits."""


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
        """As it is, or item by item from where it is refused; how many of the messages left at once."""
        left = 0
        for index, part in enumerate(self.parts):
            taken = viewer.take(part, self.aliases)
            if taken is Taken.LEFT:
                part.takers += 1
                left += 1
            elif taken is Taken.WAITS:
                part.waiters += 1
                for at in part.others:
                    viewer.offer(*part.entries[at])
            else:
                for refused in self.parts[index:]:
                    for item, announcement in refused.entries:
                        viewer.offer(item, announcement)
                break
        return left

    def count(self, now: float) -> None:
        """Tell the tallies of the streams what the takers were sent, and what waits for others."""
        for part in self.parts:
            if not (part.takers or part.waiters):
                continue
            others = set(part.others)
            for at, (item, announcement) in enumerate(part.entries):
                waits = 0 if at in others else part.waiters
                announcement.tally.count_shared(item, part.takers, waits, now)

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
