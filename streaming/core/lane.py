"""What one channel-layer group has queued: a FIFO per priority, its bounds, and the pressure in it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from streaming.core.items import Item, Span
from streaming.core.priority import MessagePriority
from streaming.core.profiles import BackpressureProfile


@dataclass(slots=True)
class ClassCounts:
    """What became of the logical messages of one priority, in all lanes of a connection.

    offered = taken + queued + coalesced + expired + dropped + quota + emergency + overload + abandoned
    """

    offered: int = 0
    taken: int = 0
    coalesced: int = 0
    expired: int = 0
    dropped: int = 0
    quota: int = 0
    emergency: int = 0
    overload: int = 0
    abandoned: int = 0


class LaneState(NamedTuple):
    """One reading of a lane: a tuple, as one is made for every viewer of every stream."""

    size: int
    size_bytes: int
    utilization: float
    pressure: float
    high_watermark: float
    backpressure_active: bool
    emergency: bool


@dataclass(frozen=True, slots=True)
class HoldLimits:
    """Up to where HIGH may wait as it is: by count and bytes, where the first lane would be under pressure.

    `total_bytes` is of all that waits, whatever its priority. What is older than `age_s` expires; where lanes
    differ in that, it is the shortest, and `same_age` is false.
    """

    messages: float = math.inf
    size_bytes: float = math.inf
    total_bytes: float = math.inf
    age_s: float = math.inf
    same_age: bool = True
    watermark: float = 1.0
    """The pressure that count and bytes stand for."""


@dataclass(slots=True)
class Totals:
    """What all lanes of a connection hold together; `protected_bytes` is CRITICAL and control.

    `counts` is of all that was ever offered, by priority less 1.
    """

    max_bytes: int
    messages: int = 0
    size_bytes: int = 0
    protected_bytes: int = 0
    counts: tuple[ClassCounts, ...] = field(
        default_factory=lambda: tuple(ClassCounts() for _ in MessagePriority)
    )


class ClassQueue:
    """The items of one priority in one lane, oldest first, with counts kept as they come and go.

    `count` and `size_bytes` are of data alone: control does not use up a class's quota.
    """

    __slots__ = (
        "_latest",
        "count",
        "counts",
        "credit_bytes",
        "critical",
        "high_bytes",
        "high_count",
        "in_ring",
        "items",
        "lane",
        "max_age_s",
        "max_bytes",
        "max_count",
        "press_age_s",
        "priority",
        "size_bytes",
        "totals",
    )

    def __init__(self, lane: Lane, priority: MessagePriority, totals: Totals) -> None:
        self.lane = lane
        self.priority = priority
        self.critical = priority is MessagePriority.CRITICAL
        self.totals = totals
        self.items: deque[Item] = deque()
        # The first item of a key keeps the place; the newest, kept here, is what leaves from it.
        self._latest: dict[tuple[bool, Hashable], Item] = {}
        self.count = 0
        self.size_bytes = 0
        self.in_ring = False
        self.credit_bytes = 0.0
        self.counts = totals.counts[priority - 1]
        self.govern(lane.profile)

    def govern(self, profile: BackpressureProfile) -> None:
        """Take the bounds of `profile`; what no longer fits stays until it is dropped."""
        bounds = profile.bounds[self.priority]
        self.max_count = max(1, math.floor(profile.quotas[self.priority] * profile.max_buffer_size))
        self.max_bytes = bounds.max_bytes
        self.max_age_s = math.inf if bounds.max_age_s is None else bounds.max_age_s
        self.high_count = math.ceil(profile.high_watermark * self.max_count - 1e-9)
        self.high_bytes = profile.high_watermark * self.max_bytes
        self.press_age_s = profile.high_watermark * self.max_age_s

    def head(self) -> Item:
        """The item that leaves next; IndexError when there is none."""
        return self.newest(self.items[0])

    def newest(self, item: Item) -> Item:
        """What leaves from the place of `item`: itself, or what replaced it."""
        return item if item.key is None else self._latest.get((item.control, item.key), item)

    def append(self, item: Item) -> None:
        """Queue behind all others."""
        if item.key is not None and (item.span is None or not item.control):
            self._latest[item.control, item.key] = item
        self.items.append(item)
        self._enter(item)

    def pop(self) -> Item:
        """Take the head out."""
        return self._out(self.items.popleft())

    def queued_with_key(self, item: Item) -> Item | None:
        """The queued item that `item` would replace."""
        return self._latest.get((item.control, item.key))

    def replace(self, old: Item, item: Item) -> None:
        """Put `item` into the place of `old`, which has the same key.

        Control goes behind all others: what it says holds for what follows it.
        """
        self._leave(old)
        if item.control:
            place = next(queued for queued in self.items if queued.control and queued.key == item.key)
            self.items.remove(place)
            self.items.append(item)
        self._latest[item.control, item.key] = item
        self._enter(item)

    def place(self, item: Item, span: Span) -> list[Item]:
        """Queue a control item where the samples of its span would stand; return queued ones it took in.

        The items of an epoch are in the order of their samples, and queued spans that touch have joined
        already: the search ends at the first item behind, and one pass finds all that join now.
        """
        last = self.items[-1].span if self.items else None
        if last is not None and last.same_epoch(span) and last.stop < span.first:
            self.append(item)
            return []
        touching: list[Item] = []
        behind: Item | None = None
        for other in self.items:
            if other.span is None or not other.span.same_epoch(span):
                continue
            if item.render and other.control and other.key == item.key and other.span.touches(span):
                touching.append(other)
            elif behind is None and other.span.first >= span.first:
                behind = other
            if other.span.first > span.stop:
                break
        anchor = touching[0] if touching else behind
        at = len(self.items) if anchor is None else self.items.index(anchor)
        for other in touching:
            self.items.remove(other)
            self._leave(other)
        if touching:
            item = _joined(item, span, touching)
        self.items.insert(at, item)
        self._enter(item)
        return touching

    def drop_oldest(self) -> Item | None:
        """Take out the oldest data; None when all that is queued is control."""
        for index, item in enumerate(self.items):
            if not item.control:
                del self.items[index]
                return self._out(item)
        return None

    def take_expired(self, now: float) -> list[Item]:
        """Take out the data that waited longer than the class allows.

        Data lies in the order of its age, but for control (which does not age) and keyed items (which
        a newer value makes young again): these are passed over, the first other young one ends the search.
        """
        expired: list[Item] = []
        kept: list[Item] = []
        born = now - self.max_age_s
        while self.items:
            item = self.items[0]
            if not item.control and self.head().offered_at < born:
                expired.append(self.pop())
            elif item.control or item.key is not None:
                kept.append(self.items.popleft())
            else:
                break
        self.items.extendleft(reversed(kept))
        return expired

    def take_waveform(self) -> list[Item]:
        """Take out all data that carries samples."""
        waveform = [item for item in self.items if item.span is not None and not item.control]
        if waveform:
            self.items = deque(item for item in self.items if item.span is None or item.control)
        return [self._out(item) for item in waveform]

    def take_all(self) -> list[Item]:
        """Take out everything, control included."""
        items = []
        while self.items:
            items.append(self.pop())
        return items

    def oldest_at(self) -> float:
        """When the oldest data was offered; infinity when there is none.

        What has no key lies in the order of its age, and a newer value makes a keyed item young again: the
        oldest is the first without a key, or before it.
        """
        oldest_at = math.inf
        for item in self.items:
            if item.control:
                continue
            oldest_at = min(oldest_at, self.newest(item).offered_at)
            if item.key is None:
                break
        return oldest_at

    def has_room(self, size_bytes: int) -> bool:
        """Whether one more item fits the class, the lane and the connection."""
        return (
            self.count < self.max_count
            and self.size_bytes + size_bytes <= self.max_bytes
            and self.lane.count < self.lane.max_count
            and self.totals.size_bytes + size_bytes <= self.totals.max_bytes
        )

    def can_replace(self, old: Item, item: Item) -> bool:
        """Whether `item` fits in the place of `old`."""
        growth = item.size_bytes - old.size_bytes
        return growth <= 0 or (
            self.size_bytes + growth <= self.max_bytes
            and self.totals.size_bytes + growth <= self.totals.max_bytes
        )

    def presses(self) -> bool:
        """Whether the class, the lane or the connection has reached its high watermark (ages apart)."""
        lane = self.lane
        return (
            self.count >= self.high_count
            or self.size_bytes >= self.high_bytes
            or lane.count >= lane.high_count
            or self.totals.size_bytes >= lane.high_total_bytes
        )

    def overfull(self) -> bool:
        """Whether the class holds more than its bounds, as after a change of profile."""
        return self.count > self.max_count or self.size_bytes > self.max_bytes

    def fullness(self) -> float:
        """The share of the class's cap in use, by count or bytes, whichever is more."""
        return max(self.count / self.max_count, self.size_bytes / self.max_bytes)

    def _out(self, item: Item) -> Item:
        if item.key is not None:
            item = self._latest.pop((item.control, item.key), item)
        self._leave(item)
        return item

    def _enter(self, item: Item) -> None:
        size = item.size_bytes
        self.lane.count += 1
        self.totals.messages += 1
        self.totals.size_bytes += size
        if item.control:
            self.totals.protected_bytes += size
            return
        self.count += 1
        self.size_bytes += size
        if self.critical:
            self.totals.protected_bytes += size

    def _leave(self, item: Item) -> None:
        size = item.size_bytes
        self.lane.count -= 1
        self.totals.messages -= 1
        self.totals.size_bytes -= size
        if item.control:
            self.totals.protected_bytes -= size
            return
        self.count -= 1
        self.size_bytes -= size
        if self.critical:
            self.totals.protected_bytes -= size


def _joined(item: Item, span: Span, others: list[Item]) -> Item:
    """One control item that says what `item` and the others say; `item` has a render."""
    offered_at, size = item.offered_at, item.size_bytes
    for other in others:
        offered_at, size = min(offered_at, other.offered_at), max(size, other.size_bytes)
        span = span.join(other.span) if other.span else span
    return replace(item, payload="", offered_at=offered_at, size_bytes=size, span=span, unwritten=True)


class Lane:
    """One group's queues under one profile, and whether they are under pressure."""

    __slots__ = (
        "active",
        "count",
        "emergency",
        "group",
        "high_count",
        "high_total_bytes",
        "max_count",
        "profile",
        "queues",
        "totals",
    )

    def __init__(self, group: str, profile: BackpressureProfile, totals: Totals) -> None:
        self.group = group
        self.totals = totals
        self.count = 0
        self.active = False
        """Backpressure: from HIGH_WATERMARK (or an expiry, or a full class) down to LOW_WATERMARK."""
        self.emergency = False
        self.take_bounds(profile)
        self.queues = tuple(ClassQueue(self, priority, totals) for priority in MessagePriority)
        """By priority, less 1."""

    def state(self, now: float, held: Sequence[Item] = ()) -> LaneState:
        """Read everything now; `held` are those of its HIGH that wait elsewhere."""
        size = self.count + len(held)
        # Most are empty, and this is read for every viewer of every stream.
        filled = [queue.items for queue in self.queues if queue.items]
        return LaneState(
            size,
            sum(item.size_bytes for items in (*filled, held) for item in items) if filled or held else 0,
            size / self.max_count,
            self.pressure(now),
            self.profile.high_watermark,
            self.active,
            self.emergency,
        )

    def govern(self, profile: BackpressureProfile) -> None:
        """Take the bounds and watermarks of `profile`."""
        self.take_bounds(profile)
        for queue in self.queues:
            queue.govern(profile)

    def pressure(self, now: float) -> float:
        """Count, bytes, fullest class or oldest age, as shares of their bounds, whichever is most."""
        pressure = max(self.count / self.max_count, self.totals.size_bytes / self.totals.max_bytes)
        for queue in self.queues if self.count else ():
            if queue.count:
                pressure = max(pressure, queue.fullness(), (now - queue.oldest_at()) / queue.max_age_s)
        return pressure

    def crowding(self) -> float:
        """The part of the pressure that an emergency can relieve; CRITICAL_WATERMARK acts on it.

        Ages and the fullness of NORMAL, LOW and BULK do not count: each has a remedy of its own (expiry,
        chance, refusal). With them, one status message that starves behind a live trace for 9.5 s would
        blank that trace, and at 0.95 s of age a whole second of samples would go where 0.1 s expires.
        """
        critical, high = self.queues[:2]
        return max(
            self.count / self.max_count,
            self.totals.size_bytes / self.totals.max_bytes,
            critical.fullness(),
            high.fullness(),
        )

    def take_bounds(self, profile: BackpressureProfile) -> None:
        """Take what `profile`, and the bound on all lanes together, say of the lane as a whole."""
        self.profile = profile
        self.max_count = profile.max_buffer_size
        self.high_count = math.ceil(profile.high_watermark * self.max_count - 1e-9)
        self.high_total_bytes = profile.high_watermark * self.totals.max_bytes
        self.emergency = self.emergency and profile.emergency_mode
