"""Bundles that were made for many viewers, and wait for one as a whole.

To queue a bundle's messages one by one costs twenty times what it costs to send them together. A process that
is short of time would have still less of it whenever viewers were not ready for what is shared, and never
catch up. So a bundle waits as it is, behind what has queued before it, and expires as it is. Where a bound of
the outbox is near, its messages queue, and are dropped, by the outbox's rules.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from streaming.core.framing import encode_bundle
from streaming.core.items import Item
from streaming.core.lane import HoldLimits
from streaming.core.priority import MessagePriority
from streaming.core.window import ClassMessages

_HIGH = MessagePriority.HIGH - 1


class SharedBundle:
    """One WebSocket message, made once: items, each with its channel-layer group, and their frames."""

    def __init__(self, items: Sequence[tuple[Item, str]], frames: Sequence[bytes]) -> None:
        self.items = items
        self.frames = frames
        self.message = encode_bundle(frames)
        classes = [0] * len(MessagePriority)
        for item, _ in items:
            classes[item.priority - 1] += 1
        self.classes: ClassMessages = tuple(classes)
        """How many of the items are of each priority, less 1."""

    @cached_property
    def groups(self) -> frozenset[str]:
        """Whose lanes its items would queue in."""
        return frozenset(group for _, group in self.items)

    @cached_property
    def offered_at(self) -> float:
        """When the oldest of its data was; infinity where it is all control, which does not age."""
        return min((item.offered_at for item, _ in self.items if not item.control), default=math.inf)

    @cached_property
    def size_bytes(self) -> int:
        """Of its items."""
        return sum(item.size_bytes for item, _ in self.items)

    @cached_property
    def most_of_a_group(self) -> int:
        """How many of its items go to the group that has most of them."""
        return max(Counter(group for _, group in self.items).values(), default=0)

    def only(self, places: Sequence[int]) -> SharedBundle:
        """The items at these places, as a bundle."""
        return SharedBundle([self.items[at] for at in places], [self.frames[at] for at in places])

    @property
    def waveform(self) -> SharedBundle:
        """Its samples and GAPs alone: none of them may be passed by another, or replaced by a newer one."""
        return self._waveform_alone if self.others else self

    @cached_property
    def _waveform_alone(self) -> SharedBundle:
        """Never itself: a bundle that held on to itself would be left to the collector."""
        others = set(self.others)
        return self.only([at for at in range(len(self.items)) if at not in others])

    @cached_property
    def controls(self) -> int:
        """How many of its items are control, and do not age."""
        return sum(item.control for item, _ in self.items)

    @cached_property
    def others(self) -> Sequence[int]:
        """Where the rest of its items are."""
        return [at for at, (item, _) in enumerate(self.items) if not _is_waveform(item)]


@dataclass(frozen=True, slots=True)
class Share:
    """What leaves of a bundle in one WebSocket message: its items from `start` (inclusive) to `stop`."""

    bundle: SharedBundle
    start: int
    stop: int

    @property
    def is_whole(self) -> bool:
        """Whether that is all of it."""
        return self.stop - self.start == len(self.bundle.items)

    @property
    def items(self) -> Sequence[tuple[Item, str]]:
        """Those that leave, and their groups."""
        return self.bundle.items[self.start : self.stop]

    @property
    def size_bytes(self) -> int:
        """Of those."""
        return self.bundle.size_bytes if self.is_whole else sum(item.size_bytes for item, _ in self.items)

    @property
    def message(self) -> bytes:
        """The bytes that leave."""
        return (
            self.bundle.message
            if self.is_whole
            else encode_bundle(self.bundle.frames[self.start : self.stop])
        )

    @property
    def classes(self) -> ClassMessages:
        """The number of its items by priority, less 1."""
        return tuple(self.stop - self.start if place == _HIGH else 0 for place in range(len(MessagePriority)))


class Backlog:
    """The shared bundles that wait for one viewer, first in, first out. Pure: time comes in as `now`."""

    def __init__(self) -> None:
        self._bundles: deque[SharedBundle] = deque()
        self._start = 0
        """The first item of the first bundle that has not left."""
        self._most_of_a_group = 0
        """No group has more items here."""
        self.messages = 0
        self.size_bytes = 0

    def __len__(self) -> int:
        return self.messages

    @property
    def offered_at(self) -> float:
        """When the oldest data was; infinity where none waits."""
        return min((bundle.offered_at for bundle in self._bundles), default=math.inf)

    def waits_s(self, now: float) -> float:
        """For how long the oldest has waited; 0 where nothing does."""
        return max(0.0, now - self.offered_at)

    def fullness(self, limits: HoldLimits) -> float:
        """The share of the limits on count and bytes in use, by the nearer one."""
        return max(self._most_of_a_group / limits.messages, self.size_bytes / limits.size_bytes)

    def takes(self, bundle: SharedBundle, limits: HoldLimits) -> bool:
        """Let the waveform of a bundle wait behind the others; False where a limit is reached."""
        waveform = bundle.waveform
        if (
            self._most_of_a_group + waveform.most_of_a_group >= limits.messages
            or self.size_bytes + waveform.size_bytes >= limits.size_bytes
        ):
            return False
        if waveform.items:
            self._enter(waveform)
        return True

    @property
    def holds_control(self) -> bool:
        """Whether a GAP is in one of the bundles: what expires around it has to keep its place."""
        return any(bundle.controls for bundle in self._bundles)

    def take(self, budget_bytes: float) -> Share | None:
        """What leaves next: at most the budget, but one message if there is any budget at all."""
        if budget_bytes <= 0 or not self._bundles:
            return None
        bundle, start = self._bundles[0], self._start
        stop = len(bundle.items)
        if start or len(bundle.message) > budget_bytes:
            stop, size = start + 1, bundle.items[start][0].size_bytes
            while stop < len(bundle.items):
                size += bundle.items[stop][0].size_bytes
                if size > budget_bytes:
                    break
                stop += 1
        self._leave(stop)
        return Share(bundle, start, stop)

    def take_expired(self, born: float) -> list[tuple[Item, str]]:
        """Take out all data that was offered before `born`."""
        if self.offered_at >= born:
            return []
        expired: list[tuple[Item, str]] = []
        bundles, start = list(self._bundles), self._start
        self._clear()
        for bundle in bundles:
            kept = []
            for place in range(start, len(bundle.items)):
                item, _ = bundle.items[place]
                if item.offered_at < born and not item.control:
                    expired.append(bundle.items[place])
                else:
                    kept.append(place)
            start = 0
            if kept:
                self._enter(bundle if len(kept) == len(bundle.items) else bundle.only(kept))
        return expired

    def waiting(self) -> Iterator[tuple[Item, str]]:
        """Every item that waits, oldest first, and its group."""
        start = self._start
        for bundle in self._bundles:
            yield from bundle.items[start:]
            start = 0

    def drain(self) -> list[tuple[Item, str]]:
        """Take out every item."""
        items = list(self.waiting())
        self._clear()
        return items

    def by_group(self) -> Counter[str]:
        """How many items of each group wait."""
        return Counter(group for _, group in self.waiting())

    def _clear(self) -> None:
        self._bundles.clear()
        self._start = self._most_of_a_group = self.messages = self.size_bytes = 0

    def _enter(self, bundle: SharedBundle) -> None:
        self._bundles.append(bundle)
        self._most_of_a_group += bundle.most_of_a_group
        self.messages += len(bundle.items)
        self.size_bytes += bundle.size_bytes

    def _leave(self, stop: int) -> None:
        """The items of the first bundle up to `stop` are gone, and with the last of them it itself."""
        bundle, start = self._bundles[0], self._start
        self.messages -= stop - start
        self.size_bytes -= sum(item.size_bytes for item, _ in bundle.items[start:stop])
        self._start = stop
        if stop == len(bundle.items):
            self._bundles.popleft()
            self._start = 0
            self._most_of_a_group -= bundle.most_of_a_group


def is_value(item: Item) -> bool:
    """Whether only the latest with its key counts."""
    return item.key is not None and item.span is None and not item.control


def _is_waveform(item: Item) -> bool:
    return item.priority is MessagePriority.HIGH and not is_value(item)
