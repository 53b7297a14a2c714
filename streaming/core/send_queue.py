"""All that waits for one viewer: its outbox and, behind the HIGH in it, the bundles that wait as they are.

Everything that is asked of the two together is answered here, so that accounts, bounds and order are those of
one queue: HIGH leaves in the order in which it came, wherever it waits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streaming.core.backlog import Backlog, Share, SharedBundle, is_value
from streaming.core.items import Drop, DropReason, Item
from streaming.core.lane import ClassCounts, LaneState
from streaming.core.outbox import Outbox
from streaming.core.priority import MessagePriority
from streaming.core.profiles import BackpressureProfile
from streaming.core.window import ClassMessages

if TYPE_CHECKING:
    import random

_HIGH = MessagePriority.HIGH - 1


@dataclass(frozen=True, slots=True)
class Taken:
    """What leaves next, items or a share of a bundle, and what was found expired on the way."""

    items: list[Item]
    share: Share | None
    drops: list[Drop]


class SendQueue:
    """An Outbox and a Backlog as one queue. Pure: time comes in as `now`.

    Bundles are held for as long as no bound of the outbox is near and nothing comes that belongs behind them;
    then they are released into it, item by item. Drops are returned, as by the outbox.
    """

    def __init__(self, *, rng: random.Random, max_total_bytes: int) -> None:
        self.outbox = Outbox(rng=rng, max_total_bytes=max_total_bytes)
        self.backlog = Backlog()

    def __len__(self) -> int:
        return len(self.outbox) + len(self.backlog)

    def __contains__(self, group: str) -> bool:
        return group in self.outbox

    @property
    def size_bytes(self) -> int:
        """Bytes that wait."""
        return self.outbox.size_bytes + self.backlog.size_bytes

    @property
    def idle(self) -> bool:
        """Whether nothing waits and no lane is under pressure: what comes now need not queue."""
        return self.outbox.idle and not self.backlog

    def set_lane(self, group: str, profile: BackpressureProfile, now: float) -> list[Drop]:
        """Create a lane, or govern it anew; returns what no longer fits."""
        return self.release(now) + self.outbox.set_lane(group, profile)

    def limit_total(self, max_bytes: int, now: float) -> list[Drop]:
        """Bound what all lanes hold together, from the next `put` on."""
        drops = self.release(now)
        self.outbox.limit_total(max_bytes)
        return drops

    def put(self, item: Item, group: str, now: float, *, was_first: bool = False) -> list[Drop]:
        """Queue an item of a group that has a lane; returns what was dropped for it, perhaps the item itself.

        `was_first`: it speaks for what was the oldest of its lane, and may pass what is held.
        """
        drops: list[Drop] = []
        if self.backlog and not self._may_pass(item, was_first=was_first):
            drops = self.release(now)
        drops += self.outbox.put(item, group, now)
        if self.backlog and self.outbox.emergency:
            drops += self.release(now)
        return drops

    def hold(self, bundle: SharedBundle) -> bool:
        """Let the waveform of a bundle wait as it is; False where a bound of the outbox is near."""
        limits = self.outbox.room_to_hold(bundle.groups)
        return limits is not None and self.backlog.takes(bundle, limits)

    def release(self, now: float) -> list[Drop]:
        """From now on, what was held is governed by the outbox, item by item; returns what it dropped."""
        drops: list[Drop] = []
        for item, group in self.backlog.drain():
            drops += self.outbox.put(item, group, now)
        return drops

    def expire_held(self, now: float) -> list[Drop]:
        """Drop at once what was held for too long; by its lane where lanes differ, or a GAP is among it."""
        if now < self._held_due:
            return []
        limits = self.outbox.hold_limits
        if not limits.same_age or self.backlog.holds_control:
            return self.release(now)
        return self.outbox.drop_held(self.backlog.take_expired(now - limits.age_s), DropReason.EXPIRED)

    @property
    def next_due(self) -> float:
        """No later than the next time at which age alone changes something; infinity if nothing ages."""
        return min(self.outbox.next_due, self._held_due)

    def take(self, budget_bytes: float, now: float, *, critical_budget_bytes: float) -> Taken:
        """Take out what leaves next, as `Outbox.take`, and what is held behind the HIGH that it has."""
        outbox, backlog = self.outbox, self.backlog
        outbox.held_pressure = self._held_pressure(now)
        items, drops = outbox.take(
            budget_bytes, now, critical_budget_bytes=critical_budget_bytes, high_follows=len(backlog) > 0
        )
        share = None if items else backlog.take(budget_bytes)
        if share is not None:
            outbox.pass_by(share.classes)
            outbox.count_high(share.size_bytes)
        return Taken(items, share, drops)

    def abandon(self) -> None:
        """Forget everything, as when the connection has ended."""
        self.outbox.drop_held(self.backlog.drain(), DropReason.ABANDONED)
        self.outbox.abandon()

    def counts(self) -> Sequence[ClassCounts]:
        """What became of all that was ever offered, by priority less 1."""
        counts = self.outbox.counts()
        counts[_HIGH].offered += len(self.backlog)
        return counts

    def queued(self) -> ClassMessages:
        """Messages that wait, by priority less 1."""
        queued = list(self.outbox.queued())
        queued[_HIGH] += len(self.backlog)
        return tuple(queued)

    def waits_s(self, priority: MessagePriority, now: float) -> float:
        """For how long the oldest data of a class has waited; 0 when there is none."""
        waits_s = self.outbox.waits_s(priority, now)
        return max(waits_s, self.backlog.waits_s(now)) if priority is MessagePriority.HIGH else waits_s

    def pressure(self, now: float) -> float:
        """The pressure where there is most of it; 1 is full."""
        return max(self.outbox.pressure(now), self._held_pressure(now))

    @property
    def utilization(self) -> float:
        """Messages that wait, as a share of MAX_BUFFER_SIZE, in the lane that is fullest."""
        return self.outbox.utilization(self.backlog.by_group())

    def lane_state(self, group: str, now: float) -> LaneState | None:
        """One lane by itself, with what is held for it; None when the group has none."""
        held = [item for item, whose in self.backlog.waiting() if whose == group] if self.backlog else ()
        return self.outbox.lane_state(group, now, held)

    def _may_pass(self, item: Item, *, was_first: bool) -> bool:
        """Whether an item may queue while bundles are held, and leave before them if it is as urgent.

        The latest value of a key may, as it takes an older one's place. Nothing may that brings a bound near.
        """
        if item.priority is MessagePriority.CRITICAL:
            return True
        if item.priority is MessagePriority.HIGH and not is_value(item):
            return was_first
        return self.size_bytes + item.size_bytes < self.outbox.hold_limits.total_bytes

    @property
    def _held_due(self) -> float:
        """When the oldest that is held has waited for as long as it may; infinity where none is."""
        return self.backlog.offered_at + self.outbox.hold_limits.age_s if self.backlog else math.inf

    def _held_pressure(self, now: float) -> float:
        """What is held, as a share of the bounds; on count and bytes its limits are high watermarks."""
        if not self.backlog:
            return 0.0
        limits = self.outbox.hold_limits
        return max(limits.watermark * self.backlog.fullness(limits), self.backlog.waits_s(now) / limits.age_s)
