"""An outbox that is obviously right: plain lists, read whole each time."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from streaming.core.items import DropReason, Item, Span
from streaming.core.outbox import CONTROL_LIMIT_BYTES
from streaming.core.priority import MessagePriority
from streaming.core.profiles import BackpressureProfile

CRITICAL, HIGH, NORMAL, LOW, BULK = MessagePriority
QUANTUM_BYTES = 1024
OVERDUE_SHARE = 8
"""Of HIGH to one of what is overdue."""

MOST_BEFORE_OVERDUE = 60_000
"""Eight times the largest item, and a good many bundles that CRITICAL filled."""

Dropped = tuple[Item, DropReason]


def is_same(one: Item, other: Item) -> bool:
    """The same item; a gap is made anew where it joins another, and where it is written at last."""
    if one is other:
        return True
    both_made = one.render is not None and one.render is other.render
    facts = [(gap.span, gap.key, gap.offered_at, gap.size_bytes) for gap in (one, other)]
    return both_made and facts[0] == facts[1]


@dataclass(eq=False)
class Place:
    """A place in a queue: since when it is taken, and what stands there now."""

    since: float
    item: Item


@dataclass(eq=False)
class ModelLane:
    """The queues of one group, oldest first."""

    profile: BackpressureProfile
    queues: dict[MessagePriority, list[Place]] = field(
        default_factory=lambda: {p: [] for p in MessagePriority}
    )
    active: bool = False
    emergency: bool = False

    @property
    def count(self) -> int:
        return sum(len(queue) for queue in self.queues.values())

    def data(self, priority: MessagePriority) -> list[Item]:
        return [place.item for place in self.queues[priority] if not place.item.control]

    def max_count(self, priority: MessagePriority) -> int:
        return max(1, math.floor(self.profile.quotas[priority] * self.profile.max_buffer_size))

    def max_bytes(self, priority: MessagePriority) -> int:
        return self.profile.bounds[priority].max_bytes

    def max_age_s(self, priority: MessagePriority) -> float:
        age_s = self.profile.bounds[priority].max_age_s
        return math.inf if age_s is None else age_s

    def fullness(self, priority: MessagePriority) -> float:
        held = self.data(priority)
        of_count = len(held) / self.max_count(priority)
        return max(of_count, sum(item.size_bytes for item in held) / self.max_bytes(priority))

    def oldest_at(self, priority: MessagePriority) -> float:
        return min((item.offered_at for item in self.data(priority)), default=math.inf)


class ModelOutbox:
    """Draws from `rng` as the real one does: once for each NORMAL or LOW that backpressure meets."""

    def __init__(self, rng: random.Random, max_total_bytes: int) -> None:
        self.rng = rng
        self.max_total_bytes = max_total_bytes
        self.lanes: dict[str, ModelLane] = {}
        self.counts: dict[MessagePriority, Counter[str]] = {p: Counter() for p in MessagePriority}
        self.overdue_high_bytes = 0
        """HIGH that left while something overdue waited."""
        self.passed_over: dict[tuple[str, MessagePriority], int] = {}
        """Bytes of its class that left from other lanes since a lane was served last."""

    # -- what is there

    def everything(self) -> list[Item]:
        return [p.item for lane in self.lanes.values() for q in lane.queues.values() for p in q]

    @property
    def size_bytes(self) -> int:
        return sum(item.size_bytes for item in self.everything())

    @property
    def protected_bytes(self) -> int:
        return sum(i.size_bytes for i in self.everything() if i.control or i.priority is CRITICAL)

    @property
    def control_overflow(self) -> bool:
        return self.protected_bytes > CONTROL_LIMIT_BYTES

    def queued(self) -> tuple[int, ...]:
        of_class = Counter(item.priority for item in self.everything())
        return tuple(of_class[priority] for priority in MessagePriority)

    def pressure(self, lane: ModelLane, now: float) -> float:
        """DESIGN: count, bytes, fullest class, oldest age / its bound."""
        shares = [lane.count / lane.profile.max_buffer_size, self.size_bytes / self.max_total_bytes]
        for priority in MessagePriority:
            if lane.data(priority):
                shares.append(lane.fullness(priority))
                shares.append((now - lane.oldest_at(priority)) / lane.max_age_s(priority))
        return max(shares)

    def crowding(self, lane: ModelLane) -> float:
        of_lane = max(lane.fullness(CRITICAL), lane.fullness(HIGH))
        shares = lane.count / lane.profile.max_buffer_size, self.size_bytes / self.max_total_bytes
        return max(of_lane, *shares)

    def next_expiry(self) -> float:
        """Until then nothing grows too old."""
        ends = (
            item.offered_at + lane.max_age_s(item.priority)
            for lane in self.lanes.values()
            for queue in lane.queues.values()
            for item in (place.item for place in queue)
            if not item.control
        )
        return min(ends, default=math.inf)

    def forget_turns(self) -> None:
        """A lane that has nothing to send waits for no turn."""
        waiting = ((g, p) for g, lane in self.lanes.items() for p, queue in lane.queues.items() if queue)
        self.passed_over = {key: self.passed_over[key] for key in waiting if key in self.passed_over}

    # -- what is done

    def set_lane(self, group: str, profile: BackpressureProfile) -> list[Dropped]:
        if group not in self.lanes:
            self.lanes[group] = ModelLane(profile)
            return []
        lane = self.lanes[group]
        lane.profile = profile
        lane.emergency = lane.emergency and profile.emergency_mode
        drops: list[Dropped] = []
        for priority in MessagePriority:
            while priority is not CRITICAL and lane.data(priority) and lane.fullness(priority) > 1:
                drops.append(self._drop(lane, lane.data(priority)[0], DropReason.QUOTA))
        lane.active = lane.active or bool(drops)
        return drops

    def drop_lane(self, group: str) -> list[Dropped]:
        lane = self.lanes.pop(group)
        items = [place.item for queue in lane.queues.values() for place in queue]
        self.passed_over = {key: passed for key, passed in self.passed_over.items() if key[0] != group}
        for item in items:
            self.counts[item.priority]["abandoned"] += 1
        return [(item, DropReason.ABANDONED) for item in items]

    def put(self, item: Item, group: str, now: float) -> list[Dropped]:
        lane, priority = self.lanes[group], item.priority
        queue = lane.queues[priority]
        self.counts[priority]["offered"] += 1
        if item.control and item.span is not None:
            return self._put_gap(lane, item, item.span)
        same = [p for p in queue if item.key is not None and self._same_value(p.item, item)]
        accepted, drops = self._replace(lane, same[0], item) if same else self._append(lane, item, now)
        if not accepted:
            return drops
        if self._at_high_watermark(lane, priority):
            lane.active = True
        if lane.active and not lane.emergency and lane.profile.emergency_mode:
            drops += self._enter_emergency(lane)
        return drops

    def expire(self, now: float) -> list[Dropped]:
        drops: list[Dropped] = []
        for lane in self.lanes.values():
            for priority in MessagePriority:
                for item in lane.data(priority):
                    if item.offered_at < now - lane.max_age_s(priority):
                        drops.append(self._drop(lane, item, DropReason.EXPIRED))
                        lane.active = True
                press_age_s = lane.profile.high_watermark * lane.max_age_s(priority)
                if now >= lane.oldest_at(priority) + press_age_s:
                    lane.active = True
        return drops

    def follow_take(
        self, taken: list[Item], expired: list[Item], budget: int, critical_budget: int, now: float
    ) -> None:
        """What left is what had to: AssertionError where it is not."""
        found = list(expired)
        spent, was_overdue = 0, self._overdue(now)
        for index, item in enumerate(taken):
            lane, place = self._find(item)
            self._expire_heads(lane, item.priority, found, now)
            group = next(name for name, each in self.lanes.items() if each is lane)
            assert item.control or item.offered_at >= now - lane.max_age_s(item.priority), "stale"
            assert self._is_head(lane, item), "not first in, first out"
            higher = [p for p in MessagePriority if p < item.priority and self._waiting(p, found)]
            if higher:
                assert higher == [HIGH] or (item.priority is LOW and higher == [HIGH, NORMAL])
                assert place in was_overdue, "overtook HIGH"
                assert OVERDUE_SHARE * item.size_bytes <= self.overdue_high_bytes, "more than its share"
                self.overdue_high_bytes = 0
            allowed = critical_budget if item.priority is CRITICAL else budget
            assert allowed > 0
            spent += item.size_bytes
            assert index == 0 or spent <= allowed, "more than the budget"
            if item.priority is HIGH and was_overdue:
                self.overdue_high_bytes += item.size_bytes
            lane.queues[item.priority].remove(place)
            self.counts[item.priority]["taken"] += 1
            self._take_turns(group, item)
        for lane in self.lanes.values():
            for priority in MessagePriority:
                self._expire_heads(lane, priority, found, now)
        assert not found, "found expired behind others"
        self._nothing_more_fitted(spent, bool(taken), budget, critical_budget, now)
        for lane in self.lanes.values():
            if lane.active:
                self._relax(lane, now)
        if not was_overdue:
            self.overdue_high_bytes = 0
        assert self.overdue_high_bytes < MOST_BEFORE_OVERDUE, "starves behind HIGH"

    def _expire_heads(
        self, lane: ModelLane, priority: MessagePriority, found: list[Item], now: float
    ) -> None:
        """What stands first in a queue and was found too old."""
        queue = lane.queues[priority]
        while queue and queue[0].item in found:
            item = queue.pop(0).item
            found.remove(item)
            assert not item.control
            assert now - item.offered_at > lane.max_age_s(priority), "expired before its time"
            self.counts[priority]["expired"] += 1
            lane.active = True

    def _take_turns(self, group: str, item: Item) -> None:
        """Deficit round robin: a lane waits for so many rounds as its head needs, and no longer."""
        priority = item.priority
        self.passed_over.pop((group, priority), None)
        others = [n for n, lane in self.lanes.items() if n != group and lane.queues[priority]]
        for name in others:
            passed = self.passed_over.get((name, priority), 0) + item.size_bytes
            self.passed_over[name, priority] = passed
            head = self.lanes[name].queues[priority][0].item
            rounds = math.ceil(max(head.size_bytes, 1) / QUANTUM_BYTES) + 1
            most = rounds * (len(self.lanes) - 1) * 2 * (2 * QUANTUM_BYTES + 2048)
            assert passed <= most, f"{name} starves in {priority.name}"

    def _nothing_more_fitted(
        self, spent: int, any_taken: bool, budget: int, critical_budget: int, now: float
    ) -> None:
        waiting = next((p for p in MessagePriority if self._waiting(p)), None)
        if waiting is None:
            return
        allowed = critical_budget if waiting is CRITICAL else budget
        heads = [lane.queues[waiting][0].item for lane in self.lanes.values() if lane.queues[waiting]]
        assert allowed <= 0 or any(any_taken and spent + head.size_bytes > allowed for head in heads)

    # -- rules

    def _replace(self, lane: ModelLane, place: Place, item: Item) -> tuple[bool, list[Dropped]]:
        """The latest value wins; control goes behind all others."""
        queue, old = lane.queues[item.priority], place.item
        is_protected = item.control or item.priority is CRITICAL
        if not is_protected and not self._fits_instead(lane, old, item):
            return False, [self._count(item, DropReason.QUOTA)]
        if item.control:
            queue.remove(place)
            queue.append(Place(item.offered_at, item))
        else:
            place.item = item
        return True, [self._count(old, DropReason.COALESCED)]

    def _append(self, lane: ModelLane, item: Item, now: float) -> tuple[bool, list[Dropped]]:
        drops: list[Dropped] = []
        if not item.control and item.priority is not CRITICAL:
            refusal = self._judge(lane, item, now) if lane.active else None
            if refusal is not None:
                return False, [self._count(item, refusal)]
            if not self._fits(lane, item):
                lane.active = True
                if item.priority is HIGH and item.size_bytes <= lane.max_bytes(HIGH):
                    while not self._fits(lane, item) and lane.data(HIGH):
                        drops.append(self._drop(lane, lane.data(HIGH)[0], DropReason.QUOTA))
                if not self._fits(lane, item):
                    return False, [*drops, self._count(item, DropReason.QUOTA)]
        lane.queues[item.priority].append(Place(item.offered_at, item))
        return True, drops

    def _judge(self, lane: ModelLane, item: Item, now: float) -> DropReason | None:
        self._relax(lane, now)
        if lane.emergency:
            is_latest_value = item.priority is HIGH and item.key is not None and item.span is None
            return None if is_latest_value else DropReason.EMERGENCY
        if not lane.active or item.priority is HIGH:
            return None
        if item.priority is BULK:
            return DropReason.DROPPED
        low, critical = lane.profile.low_watermark, lane.profile.critical_watermark
        chance = min(1.0, max(0.0, (self.pressure(lane, now) - low) / (critical - low)))
        if item.priority is NORMAL:
            chance = chance * chance
        return DropReason.DROPPED if self.rng.random() < chance else None

    def _relax(self, lane: ModelLane, now: float) -> None:
        low = lane.profile.low_watermark
        if self.crowding(lane) < low:
            lane.emergency = False
        if not lane.emergency and self.pressure(lane, now) < low:
            lane.active = False

    def _at_high_watermark(self, lane: ModelLane, priority: MessagePriority) -> bool:
        high, held = lane.profile.high_watermark, lane.data(priority)
        return (
            len(held) >= high * lane.max_count(priority) - 1e-9
            or sum(item.size_bytes for item in held) >= high * lane.max_bytes(priority)
            or lane.count >= high * lane.profile.max_buffer_size - 1e-9
            or self.size_bytes >= high * self.max_total_bytes
        )

    def _enter_emergency(self, lane: ModelLane) -> list[Dropped]:
        if self.crowding(lane) <= lane.profile.critical_watermark:
            return []
        lane.emergency = True
        waveform = [
            item
            for priority in (HIGH, NORMAL, LOW, BULK)
            for item in lane.data(priority)
            if item.span is not None
        ]
        return [self._drop(lane, item, DropReason.EMERGENCY) for item in waveform]

    def _put_gap(self, lane: ModelLane, item: Item, span: Span) -> list[Dropped]:
        queue = lane.queues[item.priority]
        joined = [
            p
            for p in queue
            if p.item.control
            and p.item.key == item.key
            and p.item.span is not None
            and item.render is not None
            and p.item.span.touches(span)
        ]
        behind = [
            p
            for p in queue
            if p.item.span is not None and p.item.span.same_epoch(span) and p.item.span.first >= span.first
        ]
        place = Place(item.offered_at, item)
        for other in joined:
            assert other.item.span is not None
            span = span.join(other.item.span)
        if joined:
            place.since = min(item.offered_at, *(p.item.offered_at for p in joined))
            size = max(item.size_bytes, *(p.item.size_bytes for p in joined))
            place.item = replace(
                item, payload="", offered_at=place.since, size_bytes=size, span=span, unwritten=True
            )
        anchor = joined[0] if joined else behind[0] if behind else None
        at = len(queue) if anchor is None else queue.index(anchor)
        queue.insert(at, place)
        for other in joined:
            queue.remove(other)
        return [self._count(p.item, DropReason.COALESCED) for p in joined]

    def _fits(self, lane: ModelLane, item: Item) -> bool:
        held = lane.data(item.priority)
        return (
            len(held) < lane.max_count(item.priority)
            and sum(i.size_bytes for i in held) + item.size_bytes <= lane.max_bytes(item.priority)
            and lane.count < lane.profile.max_buffer_size
            and self.size_bytes + item.size_bytes <= self.max_total_bytes
        )

    def _fits_instead(self, lane: ModelLane, old: Item, item: Item) -> bool:
        growth = item.size_bytes - old.size_bytes
        held = sum(i.size_bytes for i in lane.data(item.priority))
        of_class = held + growth <= lane.max_bytes(item.priority)
        return growth <= 0 or (of_class and self.size_bytes + growth <= self.max_total_bytes)

    def _same_value(self, queued: Item, item: Item) -> bool:
        is_gap = queued.control and queued.span is not None
        return queued.key == item.key and queued.control == item.control and not is_gap

    def _overdue(self, now: float) -> list[Place]:
        """What of NORMAL and LOW has waited for half its age, or for 5 s, behind HIGH."""
        if not self._waiting(HIGH):
            return []
        heads = [
            (lane, priority, lane.queues[priority][0])
            for lane in self.lanes.values()
            for priority in (NORMAL, LOW)
            if lane.queues[priority]
        ]
        return [
            place
            for lane, priority, place in heads
            if now - place.since >= min(lane.max_age_s(priority), 10.0) / 2
        ]

    def _waiting(self, priority: MessagePriority, found: Sequence[Item] = ()) -> bool:
        """Whether a class has anything but what was found to have expired."""
        queues = (lane.queues[priority] for lane in self.lanes.values())
        return any(place.item not in found for queue in queues for place in queue)

    def _is_head(self, lane: ModelLane, item: Item) -> bool:
        return is_same(lane.queues[item.priority][0].item, item)

    def _find(self, item: Item) -> tuple[ModelLane, Place]:
        for lane in self.lanes.values():
            for place in lane.queues[item.priority]:
                if is_same(place.item, item):
                    return lane, place
        raise AssertionError("left without having been there")

    def _drop(self, lane: ModelLane, item: Item, reason: DropReason) -> Dropped:
        queue = lane.queues[item.priority]
        queue.remove(next(place for place in queue if place.item is item))
        return self._count(item, reason)

    def _count(self, item: Item, reason: DropReason) -> Dropped:
        self.counts[item.priority][reason.value] += 1
        return item, reason
