"""The laws that hold for an outbox whatever is done to it."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from streaming.core.outbox import Drop, DropReason, Item, Outbox, Span
from streaming.core.priority import MessagePriority
from streaming.core.profiles import DEFAULT_CLASS_BOUNDS, BackpressureProfile, ClassBounds

CRITICAL, HIGH, *_ = MessagePriority


class OutboxLaws(RuleBasedStateMachine):
    """Whatever is done to an outbox: every item ends in one way, in order, and within the bounds."""

    @initialize(seed=st.integers(0, 9))
    def start(self, seed: int) -> None:
        self.now = 0.0
        self.box = Outbox(rng=random.Random(seed), max_total_bytes=20_000)
        self.profiles: dict[str, BackpressureProfile] = {}
        self.left: dict[int, str] = {}
        self.offered: list[Item] = []
        self.order: dict[int, tuple[str, int]] = {}
        self.last_taken: dict[tuple[str, int], int] = {}
        self.next_sample = 0
        for group in ("a", "b"):
            self.govern(group, 40, True, 2000)

    @rule(
        group=st.sampled_from(["a", "b"]),
        size=st.sampled_from([10, 20, 40, 200]),
        emergency=st.booleans(),
        high_bytes=st.sampled_from([1024, 2000, 50_000]),
    )
    def govern(self, group: str, size: int, emergency: bool, high_bytes: int) -> None:
        bounds = {**DEFAULT_CLASS_BOUNDS, HIGH: ClassBounds(high_bytes, 1.0)}
        self.profiles[group] = BackpressureProfile(
            max_buffer_size=size, emergency_mode=emergency, bounds=bounds
        )
        self.settle(self.box.set_lane(group, self.profiles[group]))

    @rule(
        group=st.sampled_from(["a", "b"]),
        priority=st.sampled_from(MessagePriority),
        size=st.sampled_from([1, 50, 300, 1500]),
        key=st.sampled_from([None, None, None, "x", "y"]),
        control=st.sampled_from([False, False, False, True]),
        times=st.integers(1, 12),
    )
    def put(
        self, group: str, priority: MessagePriority, size: int, key: str | None, control: bool, times: int
    ) -> None:
        for _ in range(times):
            span = None
            if key is None and not control:
                span = Span(group, 1, self.next_sample, self.next_sample + 50)
                self.next_sample += 50
            self.offer(Item("", priority, self.now, size, key, span, control), group)

    @rule(group=st.sampled_from(["a", "b"]), back=st.integers(0, 10), length=st.integers(1, 5))
    def put_gap(self, group: str, back: int, length: int) -> None:
        first = max(0, self.next_sample - 50 * back)
        span = Span(group, 1, first, first + 50 * length)
        self.offer(
            Item("g", HIGH, self.now, 1, "gap", span, control=True, render=lambda _: "g"),
            group,
            ordered=False,
        )

    @rule(seconds=st.sampled_from([0.05, 0.3, 1.2, 6.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def expire(self) -> None:
        drops = self.box.expire(self.now)
        self.settle(drops)
        for drop in drops:
            bound = DEFAULT_CLASS_BOUNDS[drop.item.priority].max_age_s
            assert bound is not None
            assert self.now - drop.item.offered_at > bound
        assert self.box.next_due > self.now

    @rule(budget=st.sampled_from([0, 1, 100, 700, 5000]), extra=st.sampled_from([0, 500]))
    def take(self, budget: int, extra: int) -> None:
        taken, drops = self.box.take(budget, self.now, critical_budget_bytes=budget + extra)
        self.settle(drops)
        spent = 0
        for index, each in enumerate(taken):
            bound = DEFAULT_CLASS_BOUNDS[each.priority].max_age_s
            assert each.control or bound is None or self.now - each.offered_at <= bound
            spent += each.size_bytes
            assert index == 0 or spent <= (budget + extra if each.priority == CRITICAL else budget)
            if each.render is None:
                self.leave(each, "taken")
                self.follows(each)
        classes = [each.priority for each in taken]
        assert classes == sorted(classes)
        if budget > 0 and not taken:
            assert len(self.box) == 0

    @rule(group=st.sampled_from(["a", "b"]))
    def drop_lane(self, group: str) -> None:
        self.settle(self.box.drop_lane(group))
        self.box.set_lane(group, self.profiles[group])

    @invariant()
    def accounts(self) -> None:
        for priority, counts, queued in zip(
            MessagePriority, self.box.counts(), self.box.queued(), strict=True
        ):
            assert counts.offered == queued + (
                counts.taken
                + counts.coalesced
                + counts.expired
                + counts.dropped
                + counts.quota
                + counts.emergency
                + counts.abandoned
            )
            assert counts.offered == sum(each.priority == priority for each in self.offered)

    @invariant()
    def within_bounds(self) -> None:
        protected = data = 0
        for group, profile in self.profiles.items():
            lane = self.box._lanes[group]
            assert lane.count == sum(len(queue.items) for queue in lane.queues)
            for queue in lane.queues:
                items = [queue.newest(each) for each in queue.items]
                sizes = [each.size_bytes for each in items if not each.control]
                assert (queue.count, queue.size_bytes) == (len(sizes), sum(sizes))
                control = sum(each.size_bytes for each in items if each.control)
                protected += control + (sum(sizes) if queue.critical else 0)
                if not queue.critical:
                    data += sum(sizes)
                    assert len(sizes) <= max(1, int(profile.quotas[queue.priority] * profile.max_buffer_size))
                    assert sum(sizes) <= profile.bounds[queue.priority].max_bytes
        assert self.box._totals.protected_bytes == protected
        assert self.box.size_bytes == protected + data
        assert data <= 20_000

    @invariant()
    def rings_hold_exactly_what_waits(self) -> None:
        for index, ring in enumerate(self.box._rings):
            waiting = [
                queue for lane in self.box._lanes.values() for queue in (lane.queues[index],) if queue.items
            ]
            assert sorted(map(id, ring)) == sorted(map(id, waiting))

    def offer(self, each: Item, group: str, *, ordered: bool = True) -> None:
        self.offered.append(each)
        if ordered:
            self.order[id(each)] = (group, len(self.offered))
        self.settle(self.box.put(each, group, self.now))

    def settle(self, drops: list[Drop]) -> None:
        for drop in drops:
            protected = drop.item.control or drop.item.priority == CRITICAL
            assert not protected or drop.reason in {DropReason.COALESCED, DropReason.ABANDONED}
            if drop.item.render is None:
                self.leave(drop.item, drop.reason)

    def leave(self, each: Item, how: str) -> None:
        assert id(each) not in self.left, f"left twice: {self.left[id(each)]}, {how}"
        self.left[id(each)] = how

    def follows(self, each: Item) -> None:
        """What has no key leaves in the order in which it came."""
        if each.key is None:
            group, number = self.order[id(each)]
            lane = (group, int(each.priority))
            assert number > self.last_taken.get(lane, 0)
            self.last_taken[lane] = number


TestOutboxLaws = OutboxLaws.TestCase
TestOutboxLaws.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
