"""An outbox and the bundles behind it: accounts, bounds and order are those of one queue."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from streaming.core.backlog import SharedBundle
from streaming.core.items import Drop, DropReason, Item, Span
from streaming.core.priority import MessagePriority
from streaming.core.profiles import DEFAULT_CLASS_BOUNDS, BackpressureProfile, ClassBounds
from streaming.core.send_queue import SendQueue, Taken

CRITICAL, HIGH, NORMAL, LOW, BULK = MessagePriority
ALL = 1 << 30


def queue(*groups: str, max_total_bytes: int = 2 << 20, **fields: object) -> SendQueue:
    made = SendQueue(rng=random.Random(1), max_total_bytes=max_total_bytes)
    for group in groups or ("a",):
        made.set_lane(group, BackpressureProfile(**fields), 0.0)  # type: ignore[arg-type]
    return made


def frame(index: int, *, stream: str = "a", at: float = 0.0, size: int = 100) -> Item:
    return Item(b"f", HIGH, at, size, span=Span(stream, 1, index, index + 1))


def gap(index: int, *, stream: str = "a", at: float = 0.0) -> Item:
    return Item("gap", HIGH, at, 3, ("gap", "x"), Span(stream, 1, index, index + 1), control=True)


def bundle(*items: Item, group: str = "a") -> SharedBundle:
    return SharedBundle([(item, group) for item in items], [b"frame"] * len(items))


def left(taken: Taken) -> list[int]:
    items = taken.items if taken.share is None else [item for item, _ in taken.share.items]
    return [item.span.first for item in items if item.span]


def take(made: SendQueue, budget: int = ALL, now: float = 0.0) -> Taken:
    return made.take(budget, now, critical_budget_bytes=budget)


def test_what_has_queued_leaves_before_what_is_held_and_low_behind_both() -> None:
    made = queue()
    made.put(frame(0), "a", 0.0)
    made.put(Item("low", LOW, 0.0, 3), "a", 0.0)
    assert made.hold(bundle(frame(1), frame(2)))
    assert len(made) == 4
    assert made.size_bytes == 303
    assert made.queued() == (0, 3, 0, 1, 0)
    assert left(take(made)) == [0]
    assert left(take(made)) == [1, 2]
    assert [item.priority for item in take(made).items] == [LOW]
    assert made.idle
    assert made.counts()[HIGH - 1].taken == made.counts()[HIGH - 1].offered == 3


def test_an_alarm_and_the_latest_value_pass_what_is_held() -> None:
    made = queue()
    made.hold(bundle(frame(0)))
    made.put(Item("alarm", CRITICAL, 0.0, 5), "a", 0.0)
    made.put(Item("hr", HIGH, 0.0, 2, key="hr"), "a", 0.0)
    made.put(Item("note", NORMAL, 0.0, 4), "a", 0.0)
    assert len(made.backlog) == 1
    assert [item.payload for item in take(made).items] == ["alarm", "hr"]
    assert left(take(made)) == [0]


def test_what_belongs_behind_it_releases_it_first() -> None:
    made = queue()
    made.hold(bundle(frame(0), frame(1)))
    made.put(frame(2), "a", 0.0)
    assert (len(made.backlog), len(made.outbox)) == (0, 3)
    assert left(take(made)) == [0, 1, 2]


def test_a_gap_for_what_was_first_stands_before_it() -> None:
    made = queue()
    made.hold(bundle(frame(1)))
    made.put(gap(0), "a", 0.0, was_first=True)
    assert len(made.backlog) == 1
    assert left(take(made)) == [0]
    assert left(take(made)) == [1]


def test_what_brings_a_bound_near_releases_it() -> None:
    made = queue(max_total_bytes=64 << 10)
    made.hold(bundle(*(frame(index, size=4000) for index in range(10))))
    made.put(Item("large", NORMAL, 0.0, 20_000), "a", 0.0)
    assert len(made.backlog) == 0


def test_an_emergency_takes_what_is_held_as_well() -> None:
    made = queue(max_buffer_size=10)
    made.hold(bundle(frame(0)))
    drops: list[Drop] = []
    for _ in range(12):
        drops += made.put(Item("alarm", CRITICAL, 0.0, 5), "a", 0.0)
    assert [drop.reason for drop in drops] == [DropReason.EMERGENCY]
    assert not made.hold(bundle(frame(1)))


def test_what_is_held_expires_in_one_step_and_presses_its_lane() -> None:
    made = queue()
    made.hold(bundle(frame(0), frame(1, at=0.5)))
    assert made.next_due == 1.0
    assert made.expire_held(0.9) == []
    assert made.pressure(0.9) == made.waits_s(HIGH, 0.9) == 0.9
    assert made.waits_s(LOW, 0.9) == 0.0
    (drop,) = made.expire_held(1.1)
    assert (drop.reason, drop.item.offered_at) == (DropReason.EXPIRED, 0.0)
    take(made, 0, 1.1)
    assert made.outbox.backpressure_active, "half of the time is over for the other"
    take(made, ALL, 1.1)
    take(made, ALL, 1.1)
    assert not made.outbox.backpressure_active


def test_where_ages_differ_or_a_gap_is_among_it_the_outbox_decides() -> None:
    made = queue("a", "b")
    bounds = {**DEFAULT_CLASS_BOUNDS, HIGH: ClassBounds(50_000, 5.0)}
    made.set_lane("b", BackpressureProfile(bounds=bounds), 0.0)
    both = SharedBundle([(frame(0), "a"), (frame(0, stream="b"), "b")], [b"", b""])
    made.hold(both)
    assert made.expire_held(1.1) == []
    assert [drop.item.span.stream for drop in made.outbox.expire(1.1) if drop.item.span] == ["a"]
    single = queue()
    single.hold(bundle(frame(0), gap(1), frame(2)))
    assert single.expire_held(1.1) == []
    assert len(single.outbox) == 3


def test_changes_of_settings_release_it() -> None:
    made = queue()
    made.hold(bundle(frame(0)))
    made.limit_total(1 << 20, 0.0)
    assert len(made.outbox) == 1
    made.take(ALL, 0.0, critical_budget_bytes=ALL)
    made.hold(bundle(*(frame(index, size=2000) for index in range(1, 8))))
    small = replace(BackpressureProfile(), bounds={**DEFAULT_CLASS_BOUNDS, HIGH: ClassBounds(4096, 1.0)})
    assert [drop.reason for drop in made.set_lane("a", small, 0.0)] == [DropReason.QUOTA] * 5


def test_a_lane_has_what_is_held_for_it() -> None:
    made = queue("a", "b", max_buffer_size=100)
    made.put(frame(0), "a", 0.0)
    made.hold(bundle(frame(1), frame(2)))
    state = made.lane_state("a", 0.0)
    assert state is not None
    assert (state.size, state.size_bytes, state.utilization) == (3, 300, 0.03)
    assert made.utilization == 0.03
    assert made.pressure(0.0) > 0.02
    assert made.lane_state("c", 0.0) is None
    assert "b" in made


def test_all_that_waits_is_abandoned() -> None:
    made = queue()
    made.put(frame(0), "a", 0.0)
    made.hold(bundle(frame(1), gap(2)))
    made.abandon()
    assert (len(made), made.counts()[HIGH - 1].abandoned) == (0, 3)


class Laws(RuleBasedStateMachine):
    """Every frame leaves or is dropped once, whatever comes, and those that leave do so in order."""

    @initialize(size=st.sampled_from([20, 10_000]), total=st.sampled_from([8 << 10, 2 << 20]))
    def start(self, size: int, total: int) -> None:
        self.made = queue("a", "b", max_total_bytes=total, max_buffer_size=size)
        self.now = 0.0
        self.next = {"a": 0, "b": 0}
        self.gone: dict[tuple[str, int], str] = {}
        self.last = {"a": -1, "b": -1}

    def fresh(self, group: str, size: int) -> Item:
        self.next[group] += 1
        return frame(self.next[group] - 1, stream=group, at=self.now, size=size)

    @rule(group=st.sampled_from("ab"), size=st.sampled_from([100, 2000]))
    def put(self, group: str, size: int) -> None:
        self.dropped(self.made.put(self.fresh(group, size), group, self.now))

    @rule(each=st.integers(1, 4), size=st.sampled_from([100, 2000]))
    def share(self, each: int, size: int) -> None:
        items = [(self.fresh(group, size), group) for group in "ab" for _ in range(each)]
        if not self.made.hold(SharedBundle(items, [b""] * len(items))):
            for item, group in items:
                self.dropped(self.made.put(item, group, self.now))

    @rule(priority=st.sampled_from([CRITICAL, NORMAL, LOW]))
    def put_else(self, priority: MessagePriority) -> None:
        self.dropped(self.made.put(Item("else", priority, self.now, 300), "a", self.now))

    @rule(budget=st.sampled_from([0, 150, 3000, 16_384]))
    def take(self, budget: int) -> None:
        taken = take(self.made, budget, self.now)
        self.dropped(taken.drops)
        leaving = taken.items if taken.share is None else [item for item, _ in taken.share.items]
        for item in leaving:
            if item.span is not None:
                assert item.span.first > self.last[item.span.stream], "in order"
                self.last[item.span.stream] = item.span.first
                self.goes(item, "left")

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.2]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.dropped(self.made.outbox.expire(self.now))
        self.dropped(self.made.expire_held(self.now))

    @rule()
    def release(self) -> None:
        self.dropped(self.made.release(self.now))

    def dropped(self, drops: list[Drop]) -> None:
        for drop in drops:
            if drop.item.span is not None:
                self.goes(drop.item, drop.reason.value)

    def goes(self, item: Item, how: str) -> None:
        assert item.span is not None
        place = (item.span.stream, item.span.first)
        assert place not in self.gone, f"{place} was {self.gone.get(place)}, and is now {how}"
        self.gone[place] = how

    @invariant()
    def accounts(self) -> None:
        counts, queued = self.made.counts(), self.made.queued()
        assert sum(queued) == len(self.made)
        for place, each in enumerate(counts):
            ends = each.coalesced + each.expired + each.dropped + each.quota + each.emergency + each.abandoned
            assert each.offered == each.taken + queued[place] + ends
        assert len(self.gone) + queued[HIGH - 1] == sum(self.next.values())

    @invariant()
    def nothing_stays_too_long(self) -> None:
        assert self.made.next_due >= self.now or self.made.expire_held(self.now) == []


TestLaws = Laws.TestCase
TestLaws.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
