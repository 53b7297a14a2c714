"""The outbox does in every step what a model of plain lists does."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import asdict

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from streaming.core.outbox import Drop, Item, Outbox, Span
from streaming.core.priority import MessagePriority
from streaming.core.profiles import DEFAULT_CLASS_BOUNDS, BackpressureProfile, ClassBounds
from tests.core.outbox_model import Dropped, ModelOutbox, is_same
from tests.long_runs import NIGHTLY_STEPS, nightly_of

CRITICAL, HIGH, NORMAL, LOW, BULK = MessagePriority
GROUPS = ("a", "b", "c")
groups = st.sampled_from(GROUPS)


class OutboxAndModel(RuleBasedStateMachine):
    """Both are given the same; what they hold, return and count must be the same after every step."""

    @initialize(seed=st.integers(0, 99), total=st.sampled_from([4000, 20_000, 2_000_000]))
    def start(self, seed: int, total: int) -> None:
        self.now = 0.0
        self.box = Outbox(rng=random.Random(seed), max_total_bytes=total)
        self.model = ModelOutbox(random.Random(seed), total)
        self.next_sample = 0
        self.epoch = 1
        self.renders = {key: (lambda span, key=key: f"{key}{span.first}-{span.stop}") for key in "gh"}
        for group in GROUPS:
            self.govern(group, 40, True, 2000, 1.0)

    @rule(
        group=groups,
        size=st.sampled_from([10, 20, 40, 200]),
        emergency=st.booleans(),
        high_bytes=st.sampled_from([1024, 2000, 50_000]),
        high_age_s=st.sampled_from([0.3, 1.0, 1.0]),
    )
    def govern(self, group: str, size: int, emergency: bool, high_bytes: int, high_age_s: float) -> None:
        bounds = {**DEFAULT_CLASS_BOUNDS, HIGH: ClassBounds(high_bytes, high_age_s)}
        profile = BackpressureProfile(max_buffer_size=size, emergency_mode=emergency, bounds=bounds)
        self.same(self.box.set_lane(group, profile), self.model.set_lane(group, profile))

    @rule(total=st.sampled_from([3000, 20_000, 2_000_000]))
    def limit_total(self, total: int) -> None:
        self.box.limit_total(total)
        self.model.max_total_bytes = total

    @rule(
        group=groups,
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
                span = Span(group, self.epoch, self.next_sample, self.next_sample + 50)
                self.next_sample += 50
            self.offer(Item("", priority, self.now, size, key, span, control), group)

    @rule(group=groups, hr=st.integers(40, 200))
    def put_vitals(self, group: str, hr: int) -> None:
        self.offer(Item(f"hr {hr}", HIGH, self.now, 80, (group, "vitals")), group)

    @rule(
        group=groups,
        back=st.integers(0, 10),
        length=st.integers(1, 5),
        reason=st.sampled_from(["g", "h", "i"]),
    )
    def put_gap(self, group: str, back: int, length: int, reason: str) -> None:
        first = max(0, self.next_sample - 50 * back)
        span = Span(group, self.epoch, first, first + 50 * length)
        render = self.renders.get(reason)  # "i" has none, and joins nothing
        text = render(span) if render else "i"
        self.offer(Item(text, HIGH, self.now, len(text), ("gap", reason), span, True, render), group)

    @rule()
    def begin_an_epoch(self) -> None:
        self.epoch += 1
        self.next_sample = 0

    @rule(seconds=st.sampled_from([0.05, 0.1, 0.3, 0.8, 1.2, 2.6, 6.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(groups=st.lists(groups, min_size=1, max_size=3), size=st.sampled_from([50, 300, 1500]))
    def live_trace(self, groups: list[str], size: int) -> None:
        """HIGH that never ends, on a link that it fills: what is overdue must pass all the same."""
        for _ in range(12):
            for group in groups:
                self.put(group, HIGH, size, None, False, 1)
            self.wait(0.3)
            self.expire()
            self.take(700, 500)
            self.matches()

    @rule()
    def expire(self) -> None:
        self.same(self.box.expire(self.now), self.model.expire(self.now), ordered=False)
        assert self.box.next_due >= self.now

    @rule(budget=st.sampled_from([0, 1, 100, 700, 5000]), extra=st.sampled_from([0, 500]))
    def take(self, budget: int, extra: int) -> None:
        taken, drops = self.box.take(budget, self.now, critical_budget_bytes=budget + extra)
        assert {drop.reason.value for drop in drops} <= {"expired"}
        for item in taken:
            if item.render is not None and item.span is not None:
                assert item.payload == item.render(item.span), "a gap left unwritten"
        expired = [drop.item for drop in drops]
        self.model.follow_take(taken, expired, budget, budget + extra, self.now)

    @rule(group=groups)
    def drop_lane(self, group: str) -> None:
        profile = self.model.lanes[group].profile
        self.same(self.box.drop_lane(group), self.model.drop_lane(group))
        self.same(self.box.set_lane(group, profile), self.model.set_lane(group, profile))

    @rule(classes=st.tuples(*[st.integers(0, 3)] * 5))
    def pass_by(self, classes: tuple[int, ...]) -> None:
        """What is sent directly is counted like anything else."""
        if not self.box.idle:
            return
        self.box.pass_by(classes)
        for priority, count in zip(MessagePriority, classes, strict=True):
            self.model.counts[priority].update(offered=count, taken=count)

    @rule(priority=st.sampled_from(MessagePriority))
    def refuse(self, priority: MessagePriority) -> None:
        self.box.refuse(Item("", priority, self.now, 1))
        self.model.counts[priority].update(offered=1, abandoned=1)

    @rule()
    def abandon(self) -> None:
        profiles = {group: lane.profile for group, lane in self.model.lanes.items()}
        expected = [drop for group in GROUPS for drop in self.model.drop_lane(group)]
        self.same(self.box.abandon(), expected, ordered=False)
        assert not any(group in self.box for group in GROUPS)
        for group, profile in profiles.items():
            self.box.set_lane(group, profile)
            self.model.set_lane(group, profile)

    @invariant()
    def matches(self) -> None:
        self.model.forget_turns()
        for group, lane in self.model.lanes.items():
            for priority, places in lane.queues.items():
                queue = self.box._lanes[group].queues[priority - 1]
                held = [queue.newest(item) for item in queue.items]
                assert len(held) == len(places)
                assert all(is_same(one, place.item) for one, place in zip(held, places, strict=True))
            state = self.box.lane_state(group, self.now)
            assert state is not None
            assert (state.size, state.backpressure_active, state.emergency) == (
                lane.count,
                lane.active,
                lane.emergency,
            )
            assert state.pressure == self.model.pressure(lane, self.now)
            assert state.utilization == lane.count / lane.profile.max_buffer_size
        assert self.box.size_bytes == self.model.size_bytes
        assert len(self.box) == len(self.model.everything())
        assert self.box.queued() == self.model.queued()
        assert self.box.control_overflow is self.model.control_overflow
        assert self.box.critical_waiting is any(lane.queues[CRITICAL] for lane in self.model.lanes.values())
        assert self.box.idle is not bool(self.model.everything() or self.box.backpressure_active)

    @invariant()
    def accounts(self) -> None:
        for priority, counts, queued in zip(
            MessagePriority, self.box.counts(), self.box.queued(), strict=True
        ):
            assert {name: n for name, n in asdict(counts).items() if n} == +self.model.counts[priority]
            ends = counts.coalesced + counts.expired + counts.dropped + counts.quota + counts.emergency
            assert counts.offered == counts.taken + queued + ends + counts.abandoned

    @invariant()
    def wakes_before_anything_expires(self) -> None:
        assert self.box.next_due <= max(self.now, self.model.next_expiry())

    def offer(self, item: Item, group: str) -> None:
        self.same(self.box.put(item, group, self.now), self.model.put(item, group, self.now))

    def same(self, drops: list[Drop], expected: list[Dropped], *, ordered: bool = True) -> None:
        if not ordered:
            assert Counter(drop.reason for drop in drops) == Counter(reason for _, reason in expected)
            for drop in drops:
                expected.remove(next(e for e in expected if is_same(e[0], drop.item) and e[1] is drop.reason))
            return
        assert [drop.reason for drop in drops] == [reason for _, reason in expected]
        assert all(is_same(d.item, e[0]) for d, e in zip(drops, expected, strict=True))


TestOutboxAndModel = OutboxAndModel.TestCase
TestOutboxAndModel.settings = settings(
    max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestOutboxAndModelNightly = nightly_of(OutboxAndModel, steps=NIGHTLY_STEPS)
