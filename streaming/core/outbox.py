"""Who waits, who goes first, and who is dropped.

Messages wait in lanes, one per channel-layer group and governed by that group's profile. The class is
chosen first, then the lane; what does not fit is dropped by the rules of its class, and every drop is
returned to the caller: nothing vanishes.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from streaming.core.items import Drop, DropReason, Item, Span
from streaming.core.lane import ClassCounts, ClassQueue, HoldLimits, Lane, LaneState, Totals
from streaming.core.priority import MessagePriority
from streaming.core.profiles import BackpressureProfile, ConnectionProfile

if TYPE_CHECKING:
    import random

__all__ = ["CONTROL_LIMIT_BYTES", "ClassCounts", "Drop", "DropReason", "Item", "LaneState", "Outbox", "Span"]

_DEFAULTS = ConnectionProfile()
_HIGH = MessagePriority.HIGH - 1
NOTHING_HELD: Mapping[str, int] = MappingProxyType({})
CONTROL_LIMIT_BYTES = 64 * 1024
"""More CRITICAL and control than this is a client that no merging can save: it is cut with 4008."""
_QUANTUM_BYTES = 1024
"""A lane's credit per round: one to four frames of 100 ms, so that many patients take turns finely."""
_AGING_S = 10.0
"""After this long, or at the age bound of its class, a waiting lane earns credit twice as fast."""
_OVERDUE = 0.5
"""What has waited for this share of the same is overdue: it no longer waits until no HIGH is left."""
_OVERDUE_SHARE = 1 / 8
"""So much as there was HIGH, of what is overdue: a live trace on a link that it fills hides no status."""


class Outbox:
    """Priority queues of one connection, bounded by count, bytes and age. Pure: time comes in as `now`.

    CRITICAL and control items are never dropped; `control_overflow` says when there are too many.
    """

    def __init__(self, *, rng: random.Random, max_total_bytes: int = _DEFAULTS.max_total_bytes) -> None:
        self._rng = rng
        self._lanes: dict[str, Lane] = {}
        self._totals = Totals(max_total_bytes)
        # Per class, the queues that hold something, in the order in which they are served.
        self._rings: tuple[deque[ClassQueue], ...] = tuple(deque() for _ in MessagePriority)
        self._pressed: set[Lane] = set()
        self._due = math.inf
        self._hold_limits: HoldLimits | None = None
        self.held_pressure = 0.0
        """The pressure of what waits elsewhere: no lane relaxes before it has fallen as well."""
        self._overdue_credit = 0.0
        self._sheds_from: float = math.inf

    def __len__(self) -> int:
        return self._totals.messages

    def __contains__(self, group: str) -> bool:
        return group in self._lanes

    def limit_total(self, max_bytes: int) -> None:
        """Bound what all lanes hold together, from the next `put` on."""
        self._totals.max_bytes = max_bytes
        self._hold_limits = None
        for lane in self._lanes.values():
            lane.take_bounds(lane.profile)

    def shed(self, sheds_from: MessagePriority | None) -> None:
        """Refuse new data of this priority and all below it; None: of no priority."""
        self._sheds_from = math.inf if sheds_from is None else sheds_from

    def set_lane(self, group: str, profile: BackpressureProfile) -> list[Drop]:
        """Create a lane, or govern it anew; returns the oldest of what no longer fits."""
        lane = self._lanes.get(group)
        self._hold_limits = None
        if lane is None:
            self._lanes[group] = Lane(group, profile, self._totals)
            return []
        lane.govern(profile)
        self._due = -math.inf
        drops: list[Drop] = []
        for queue in lane.queues:
            while not queue.critical and queue.overfull() and (oldest := queue.drop_oldest()):
                drops += _dropped(queue, [oldest], DropReason.QUOTA)
            self._leave_ring_if_empty(queue)
        if drops:
            self._press(lane)
        return drops

    def drop_lane(self, group: str) -> list[Drop]:
        """Forget a lane; returns all it held, as abandoned."""
        lane = self._lanes.pop(group, None)
        if lane is None:
            return []
        self._pressed.discard(lane)
        self._hold_limits = None
        drops: list[Drop] = []
        for queue in lane.queues:
            drops += _dropped(queue, queue.take_all(), DropReason.ABANDONED)
            self._leave_ring_if_empty(queue)
        return drops

    def abandon(self) -> list[Drop]:
        """Forget all lanes, as when the connection has ended."""
        return [drop for group in list(self._lanes) for drop in self.drop_lane(group)]

    def refuse(self, item: Item) -> Drop:
        """Count an item that came after the end."""
        counts = self._totals.counts[item.priority - 1]
        counts.offered += 1
        counts.abandoned += 1
        return Drop(item, DropReason.ABANDONED)

    @property
    def idle(self) -> bool:
        """Whether nothing waits and no lane is under pressure: what comes now need not queue."""
        return not (self._totals.messages or self._pressed)

    @property
    def hold_limits(self) -> HoldLimits:
        """Up to where HIGH may wait elsewhere, whichever lane it is for."""
        if self._hold_limits is None:
            queues = [lane.queues[_HIGH] for lane in self._lanes.values()]
            ages = {queue.max_age_s for queue in queues}
            self._hold_limits = HoldLimits(
                min((min(queue.high_count, queue.lane.high_count) for queue in queues), default=math.inf),
                min((queue.high_bytes for queue in queues), default=math.inf),
                min((queue.lane.high_total_bytes for queue in queues), default=math.inf),
                min(ages, default=math.inf),
                len(ages) < 2,
                min((queue.lane.profile.high_watermark for queue in queues), default=1.0),
            )
        return self._hold_limits

    def room_to_hold(self, groups: frozenset[str]) -> HoldLimits | None:
        """Up to where HIGH of these groups may wait elsewhere, behind what waits here; None where it may not.

        That is where a group has no lane, or an emergency.
        """
        if not groups <= self._lanes.keys() or (self._pressed and self.emergency):
            return None
        limits, ring = self.hold_limits, self._rings[_HIGH]
        return HoldLimits(
            limits.messages - max((queue.count for queue in ring), default=0),
            min(
                limits.size_bytes - sum(queue.size_bytes for queue in ring),
                limits.total_bytes - self._totals.size_bytes,
            ),
        )

    def drop_held(self, held: Sequence[tuple[Item, str]], reason: DropReason) -> list[Drop]:
        """Count HIGH that waited elsewhere and will not leave; where it expired, its lanes are pressed."""
        counts = self._totals.counts[_HIGH]
        counts.offered += len(held)
        _count(counts, reason, len(held))
        if reason is DropReason.EXPIRED:
            for group in {group for _, group in held}:
                self._press(self._lanes[group])
        return [Drop(item, reason) for item, _ in held]

    def pass_by(self, classes: tuple[int, ...]) -> None:
        """Count messages (by priority less 1) that leave without having queued here."""
        for counts, number in zip(self._totals.counts, classes, strict=True):
            counts.offered += number
            counts.taken += number

    def put(self, item: Item, group: str, now: float) -> list[Drop]:
        """Queue `item`; returns what was dropped for it, which may be the item itself.

        KeyError when the group has no lane.
        """
        lane = self._lanes[group]
        queue = lane.queues[item.priority - 1]
        queue.counts.offered += 1
        if item.priority >= self._sheds_from and not item.control:
            return _dropped(queue, [item], DropReason.OVERLOAD)
        if item.control and item.span is not None:
            taken_in = queue.place(item, item.span)
            self._enter_ring(queue, item)
            return _dropped(queue, taken_in, DropReason.COALESCED)
        protected = item.control or queue.critical
        drops: list[Drop] = []
        if item.key is not None and (old := queue.queued_with_key(item)) is not None:
            # A newer value takes no room of its own, so pressure is no reason to keep the older one.
            if not protected and not queue.can_replace(old, item):
                return _dropped(queue, [item], DropReason.QUOTA)
            queue.replace(old, item)
            drops = _dropped(queue, [old], DropReason.COALESCED)
        else:
            if not protected:
                if lane.active and (reason := self._judge(lane, item, now)) is not None:
                    return _dropped(queue, [item], reason)
                if not queue.has_room(item.size_bytes):
                    self._press(lane)
                    drops = self._make_room(queue, item)
                    if not queue.has_room(item.size_bytes):
                        self._leave_ring_if_empty(queue)
                        return drops + _dropped(queue, [item], DropReason.QUOTA)
            queue.append(item)
            self._enter_ring(queue, item)
        if queue.presses() or lane.active:
            self._press(lane)
            drops += self._enter_emergency_if_crowded(lane)
        return drops

    def expire(self, now: float) -> list[Drop]:
        """Drop what has waited too long; a lane that had to is under backpressure.

        Costs nothing before `next_due`; call it then, and before `take`.
        """
        if now < self._due:
            return []
        drops: list[Drop] = []
        due = math.inf
        for ring in self._rings:
            for queue in list(ring):
                expired = queue.take_expired(now) if queue.max_age_s < math.inf else []
                if expired:
                    drops += _dropped(queue, expired, DropReason.EXPIRED)
                    self._leave_ring_if_empty(queue)
                oldest_at = queue.oldest_at()
                if expired or now >= oldest_at + queue.press_age_s:
                    self._press(queue.lane)
                due = min(due, oldest_at + (queue.max_age_s if queue.lane.active else queue.press_age_s))
        self._due = due
        return drops

    @property
    def next_due(self) -> float:
        """No later than the next time at which age alone changes something; infinity if nothing ages."""
        return self._due

    def take(
        self,
        budget_bytes: float,
        now: float,
        *,
        critical_budget_bytes: float | None = None,
        high_follows: bool = False,
    ) -> tuple[list[Item], list[Drop]]:
        """Take out what leaves next: at most the budget, but one item if there is any budget at all.

        CRITICAL may use `critical_budget_bytes` (as large as the budget, or larger), all else only
        `budget_bytes`. The highest class first, but for NORMAL and LOW that is overdue, which gets a share
        of what HIGH gets; within a class, lanes in turn by deficit round robin (Shreedhar and Varghese,
        1995) with aging; within a lane and class, first in, first out. `high_follows`: HIGH waits elsewhere,
        behind what waits here and before all that is less urgent. Also returns the items found expired on
        the way.
        """
        taken: list[Item] = []
        drops: list[Drop] = []
        spent = 0
        budget = budget_bytes if critical_budget_bytes is None else critical_budget_bytes
        high = self._rings[_HIGH]
        high_from: int | None = None
        for ring in self._rings:
            if ring is high and (overdue := self._overdue(now, high_waits=bool(high) or high_follows)):
                spent += self._take_overdue(overdue, taken, budget - spent)
                high_from = spent
            while ring and budget > 0:
                alone = len(ring) == 1
                queue = ring[0] if alone else _next_turn(ring, now)
                item = queue.head()
                size = item.size_bytes
                if not item.control and item.offered_at < now - queue.max_age_s:
                    drops += _dropped(queue, [queue.pop()], DropReason.EXPIRED)
                    self._press(queue.lane)
                elif taken and spent + size > budget:
                    break
                else:
                    queue.pop()
                    if not alone:
                        queue.credit_bytes -= size
                    queue.counts.taken += 1
                    spent += size
                    taken.append(item.written())
                if not queue.items:
                    self._leave_ring_if_empty(queue)
            if ring is high and high_from is not None:
                self.count_high(spent - high_from)
            if ring or (ring is high and high_follows):
                break
            budget = budget_bytes
        if self._pressed:
            for lane in list(self._pressed):
                self._relax(lane, now)
        return taken, drops

    def count_high(self, size_bytes: int) -> None:
        """So much HIGH has left while NORMAL or LOW was overdue, if any was."""
        self._overdue_credit += size_bytes * _OVERDUE_SHARE

    def pressure(self, now: float) -> float:
        """The pressure of the lane that has most of it; 1 is full."""
        if not self._totals.messages:
            return 0.0
        return max((lane.pressure(now) for lane in self._lanes.values()), default=0.0)

    def lane_state(self, group: str, now: float, held: Sequence[Item] = ()) -> LaneState | None:
        """One lane by itself, with its HIGH that waits elsewhere; None when the group has none."""
        lane = self._lanes.get(group)
        return None if lane is None else lane.state(now, held)

    def counts(self) -> tuple[ClassCounts, ...]:
        """What became of all that was ever offered, by priority less 1, as of now."""
        return tuple(map(replace, self._totals.counts))

    def queued(self) -> tuple[int, ...]:
        """Messages queued, by priority less 1."""
        return tuple(sum(len(queue.items) for queue in ring) for ring in self._rings)

    def waits_s(self, priority: MessagePriority, now: float) -> float:
        """For how long the oldest data of a class has waited; 0 when there is none."""
        oldest = min((queue.oldest_at() for queue in self._rings[priority - 1]), default=math.inf)
        return max(0.0, now - oldest)

    @property
    def size_bytes(self) -> int:
        """Bytes queued."""
        return self._totals.size_bytes

    def utilization(self, held: Mapping[str, int] = NOTHING_HELD) -> float:
        """Messages that wait, as a share of MAX_BUFFER_SIZE, in the lane that is fullest.

        `held` is how many more wait elsewhere, by group.
        """
        if not (self._totals.messages or held):
            return 0.0
        return max(
            ((lane.count + held.get(group, 0)) / lane.max_count for group, lane in self._lanes.items()),
            default=0.0,
        )

    @property
    def backpressure_active(self) -> bool:
        """Whether any lane is under backpressure."""
        return bool(self._pressed)

    @property
    def emergency(self) -> bool:
        """Whether any lane keeps only what is critical."""
        return any(lane.emergency for lane in self._pressed)

    @property
    def control_overflow(self) -> bool:
        """Whether CRITICAL and control, which cannot be dropped, have outgrown their bound."""
        return self._totals.protected_bytes > CONTROL_LIMIT_BYTES

    @property
    def critical_waiting(self) -> bool:
        """Whether anything CRITICAL is queued."""
        return bool(self._rings[0])

    def _judge(self, lane: Lane, item: Item, now: float) -> DropReason | None:
        """Why a lane under backpressure refuses `item`, if it does."""
        self._relax(lane, now)
        if lane.emergency:
            # A keyed HIGH item is the latest value of something small: a heart rate, not a trace.
            latest = item.priority == MessagePriority.HIGH and item.key is not None and item.span is None
            return None if latest else DropReason.EMERGENCY
        if not lane.active or item.priority == MessagePriority.HIGH:
            return None
        if item.priority == MessagePriority.BULK:
            return DropReason.DROPPED
        low, critical = lane.profile.low_watermark, lane.profile.critical_watermark
        chance = min(1.0, max(0.0, (lane.pressure(now) - low) / (critical - low)))
        if item.priority == MessagePriority.NORMAL:
            chance *= chance  # NORMAL gives way later than LOW, and at the critical watermark as surely.
        return DropReason.DROPPED if self._rng.random() < chance else None

    def _make_room(self, queue: ClassQueue, item: Item) -> list[Drop]:
        """A full HIGH drops its own oldest; every other class refuses the newest."""
        drops: list[Drop] = []
        if item.priority != MessagePriority.HIGH or item.size_bytes > queue.max_bytes:
            return drops
        while not queue.has_room(item.size_bytes) and (oldest := queue.drop_oldest()) is not None:
            drops += _dropped(queue, [oldest], DropReason.QUOTA)
        return drops

    def _enter_emergency_if_crowded(self, lane: Lane) -> list[Drop]:
        profile = lane.profile
        if lane.emergency or not profile.emergency_mode or lane.crowding() <= profile.critical_watermark:
            return []
        lane.emergency = True
        drops: list[Drop] = []
        for queue in lane.queues:
            if not queue.critical:
                drops += _dropped(queue, queue.take_waveform(), DropReason.EMERGENCY)
                self._leave_ring_if_empty(queue)
        return drops

    def _overdue(self, now: float, *, high_waits: bool) -> ClassQueue | None:
        """Whose head of NORMAL or LOW has waited too long behind HIGH; credit is not saved for it."""
        waiting = (q for ring in self._rings[2:4] for q in ring if _is_overdue(q, now))
        queue = next(waiting, None) if high_waits else None
        if queue is None:
            self._overdue_credit = 0.0
        return queue

    def _take_overdue(self, queue: ClassQueue, taken: list[Item], budget: float) -> int:
        """Take out what is overdue, if it has credit and fits; its bytes."""
        size = queue.head().size_bytes
        if budget <= 0:
            return 0
        if size > self._overdue_credit or (taken and size > budget):
            return 0
        self._overdue_credit = 0.0
        taken.append(queue.pop().written())
        queue.counts.taken += 1
        self._leave_ring_if_empty(queue)
        return size

    def _press(self, lane: Lane) -> None:
        lane.active = True
        self._pressed.add(lane)

    def _relax(self, lane: Lane, now: float) -> None:
        low = lane.profile.low_watermark
        if lane.emergency and lane.crowding() < low:
            lane.emergency = False
        if not lane.emergency and max(lane.pressure(now), self.held_pressure) < low:
            lane.active = False
            self._pressed.discard(lane)
            for queue in lane.queues:  # From here on the age of the high watermark counts again.
                self._due = min(self._due, queue.oldest_at() + queue.press_age_s)

    def _enter_ring(self, queue: ClassQueue, item: Item) -> None:
        if not queue.in_ring:
            ring = self._rings[queue.priority - 1]
            queue.in_ring, queue.credit_bytes = True, _QUANTUM_BYTES
            ring.append(queue)
        if not item.control:  # It may have waited elsewhere, and be older than what is here.
            age_s = queue.max_age_s if queue.lane.active else queue.press_age_s
            self._due = min(self._due, item.offered_at + age_s)

    def _leave_ring_if_empty(self, queue: ClassQueue) -> None:
        if queue.items or not queue.in_ring:
            return
        ring = self._rings[queue.priority - 1]
        queue.in_ring = False
        if ring[0] is not queue:
            ring.remove(queue)
            return
        ring.popleft()
        if ring:
            # Its turn begins. Without credit for it, a lane that fills anew each time would always go first.
            ring[0].credit_bytes += _QUANTUM_BYTES


def _dropped(queue: ClassQueue, items: Iterable[Item], reason: DropReason) -> list[Drop]:
    """Count what was dropped by the counter that has the reason's name."""
    drops = [Drop(item, reason) for item in items]
    _count(queue.counts, reason, len(drops))
    return drops


def _count(counts: ClassCounts, reason: DropReason, number: int) -> None:
    setattr(counts, reason.value, getattr(counts, reason.value) + number)


def _is_overdue(queue: ClassQueue, now: float) -> bool:
    """Whether the place that is served next was taken long ago; what stands there may be newer."""
    if now - queue.items[0].offered_at < _OVERDUE * min(queue.max_age_s, _AGING_S):
        return False
    head = queue.head()
    return head.control or head.offered_at >= now - queue.max_age_s


def _next_turn(ring: deque[ClassQueue], now: float) -> ClassQueue:
    """The lane whose turn it is, moved to the front of its ring, with credit for its head."""
    while ring[0].head().size_bytes > ring[0].credit_bytes:
        ring.rotate(-1)
        queue = ring[0]
        waited = (now - queue.items[0].offered_at) / min(queue.max_age_s, _AGING_S)
        queue.credit_bytes += _QUANTUM_BYTES * (1 + min(1.0, max(0.0, waited)))
    return ring[0]
