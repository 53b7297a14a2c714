"""Who waits, who goes first, and who is dropped."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

import pytest

from streaming.core.lane import HoldLimits
from streaming.core.outbox import CONTROL_LIMIT_BYTES, Drop, DropReason, Item, Outbox, Span
from streaming.core.priority import MessagePriority
from streaming.core.profiles import DEFAULT_CLASS_BOUNDS, BackpressureProfile, ClassBounds

CRITICAL, HIGH, NORMAL, LOW, BULK = MessagePriority
ALL = 1 << 30


def outbox(*groups: str, seed: int = 1, max_total_bytes: int = 2 << 20, **fields: object) -> Outbox:
    box = Outbox(rng=random.Random(seed), max_total_bytes=max_total_bytes)
    for group in groups or ("a",):
        box.set_lane(group, BackpressureProfile(**fields))  # type: ignore[arg-type]
    return box


def item(
    priority: MessagePriority = HIGH,
    size: int = 100,
    *,
    at: float = 0.0,
    key: str | None = None,
    payload: str = "",
    control: bool = False,
) -> Item:
    return Item(payload, priority, at, size, key, control=control)


def frame(index: int, *, at: float = 0.0, size: int = 100, priority: MessagePriority = HIGH) -> Item:
    """The frame of samples 50 * index to 50 * (index + 1)."""
    return Item(b"", priority, at, size, span=Span("s", 1, 50 * index, 50 * index + 50))


def gap(first: int, stop: int, key: str = "dropped") -> Item:
    def render(span: Span) -> str:
        return f"{span.first}-{span.stop}"

    span = Span("s", 1, first, stop)
    return Item(render(span), HIGH, 0.0, 9, ("gap", key), span, control=True, render=render)


def spans(items: Iterable[Item]) -> list[tuple[int, int]]:
    return [(item.span.first, item.span.stop) for item in items if item.span]


def reasons(drops: Iterable[Drop]) -> list[DropReason]:
    return [drop.reason for drop in drops]


def take_all(box: Outbox, now: float = 0.0) -> list[Item]:
    taken, drops = box.take(ALL, now)
    assert not drops
    return taken


class TestOrder:
    def test_alarm_overtakes_queued_waveform(self) -> None:
        box = outbox()
        for priority in (BULK, LOW, NORMAL, HIGH, CRITICAL):
            assert box.put(item(priority), "a", 0.0) == []
        assert [taken.priority for taken in take_all(box)] == list(MessagePriority)

    def test_alarm_overtakes_the_waveform_of_every_lane(self) -> None:
        box = outbox("a", "b")
        box.put(item(HIGH), "a", 0.0)
        alarm = item(CRITICAL)
        box.put(alarm, "b", 0.0)
        assert box.take(1, 0.0)[0] == [alarm]

    def test_first_in_first_out_within_lane_and_class(self) -> None:
        box = outbox()
        offered = [item(size=size) for size in (900, 10, 500, 30)]
        for each in offered:
            box.put(each, "a", 0.0)
        assert take_all(box) == offered

    def test_lanes_take_turns_by_bytes(self) -> None:
        box = outbox("big", "small")
        for _ in range(40):
            box.put(item(size=1000), "big", 0.0)
        for _ in range(400):
            box.put(item(size=100), "small", 0.0)
        taken, _ = box.take(20_000, 0.0)
        share = sum(each.size_bytes for each in taken if each.size_bytes == 100)
        assert 8_000 <= share <= 12_000

    def test_a_lane_that_waits_long_earns_up_to_twice_as_much(self) -> None:
        box = outbox("old", "new")
        for _ in range(200):
            box.put(item(NORMAL, 101, at=0.0), "old", 0.0)
            box.put(item(NORMAL, 100, at=9.9), "new", 9.9)
        taken, _ = box.take(18_000, 9.9)
        old = sum(each.size_bytes for each in taken if each.size_bytes == 101)
        assert 10_500 <= old <= 13_500

    def test_a_lane_that_fills_anew_each_time_does_not_always_go_first(self) -> None:
        """Frames over the quantum, and a link that takes one of them each time: 600 ms of twelve leads."""
        box = outbox("steady", "lucky")
        box.put(frame(0, size=1500), "steady", 0.0)
        box.put(item(size=1499), "lucky", 0.0)
        box.take(700, 0.0)
        sent = {1499: 0, 1500: 0}
        for turn in range(1, 20):
            box.put(frame(turn, size=1500), "steady", 0.0)
            box.put(item(size=1499), "lucky", 0.0)
            taken, _ = box.take(700, 0.0)
            sent[taken[0].size_bytes] += 1
        assert min(sent.values()) >= 6

    def test_what_is_overdue_passes_a_live_trace_that_fills_the_link(self) -> None:
        box = outbox()
        status, stats = item(NORMAL, 200, at=0.0, key="quality"), item(LOW, 300, at=0.0)
        box.put(status, "a", 0.0)
        box.put(stats, "a", 0.0)
        left: dict[int, int] = {}
        for turn in range(70):
            now = 0.1 * turn
            box.put(frame(turn, at=now, size=500), "a", now)
            box.expire(now)
            for each in box.take(500, now)[0]:
                left[each.size_bytes] = turn
        # LOW is overdue after 2.5 s and NORMAL after 5 s, each when eight times its bytes have passed then.
        assert left[300] == 30
        assert left[200] == 54
        assert left[500] == 69

    def test_a_renewed_value_is_overdue_by_how_long_its_place_is_taken(self) -> None:
        box = outbox()
        left = None
        for turn in range(80):
            now = 0.1 * turn
            box.put(frame(turn, at=now, size=500), "a", now)
            box.put(item(NORMAL, 200, at=now, key="quality"), "a", now)
            taken, _ = box.take(500, now)
            left = left or next((turn for each in taken if each.priority is NORMAL), None)
        assert left == 54

    def test_what_is_overdue_and_was_found_stale_is_not_sent(self) -> None:
        box = outbox()
        box.put(item(LOW, 10, at=0.0), "a", 0.0)
        for turn in range(9):
            box.put(frame(turn, at=6.0), "a", 6.0)
        for _ in range(9):
            taken, _ = box.take(100, 6.0)
            assert taken[0].priority is HIGH

    def test_control_is_overdue_like_anything_else(self) -> None:
        box = outbox()
        said = item(LOW, 10, at=0.0, control=True)
        box.put(said, "a", 0.0)
        for turn in range(3):
            box.put(frame(turn, at=60.0), "a", 60.0)
        assert [said in box.take(100, 60.0)[0] for _ in range(2)] == [False, True]

    def test_a_lane_owes_nothing_for_what_it_sent_alone(self) -> None:
        box = outbox("first", "second")
        box.put(item(), "first", 0.0)
        for _ in range(200):
            box.put(item(size=1000), "first", 0.0)
            box.take(1000, 0.0)
        for _ in range(10):
            box.put(item(size=1000), "first", 0.0)
            box.put(item(size=1001), "second", 0.0)
        taken, _ = box.take(8000, 0.0)
        assert 3 <= sum(each.size_bytes == 1001 for each in taken) <= 5

    def test_lanes_are_served_in_the_order_in_which_they_filled(self) -> None:
        groups = [f"g{index}" for index in range(16)]
        box = outbox(*groups)
        offered = [item() for _ in groups]
        for each, group in zip(offered, groups, strict=True):
            box.put(each, group, 0.0)
        assert take_all(box) == offered

    def test_an_item_larger_than_every_quantum_gets_its_turn(self) -> None:
        box = outbox("a", "b", "c")
        large = item(BULK, 16_000)
        box.put(large, "a", 0.0)
        for group in ("b", "c"):
            for _ in range(30):
                box.put(item(BULK, 1000), group, 0.0)
        taken, _ = box.take(64_000, 0.0)
        assert large in taken

    def test_an_empty_lane_does_not_save_credit(self) -> None:
        box = outbox("idle", "busy")
        for _ in range(20):
            box.put(item(size=1000), "busy", 0.0)
            box.put(item(size=1000), "idle", 0.0)
            box.take(2000, 0.0)
        take_all(box)
        for _ in range(10):
            box.put(item(size=1000), "busy", 0.0)
            box.put(item(size=1001), "idle", 0.0)
        taken, _ = box.take(8000, 0.0)
        assert 3 <= sum(each.size_bytes == 1001 for each in taken) <= 5


class TestBudget:
    def test_takes_no_more_than_the_budget(self) -> None:
        box = outbox()
        for _ in range(5):
            box.put(item(size=100), "a", 0.0)
        assert len(box.take(299, 0.0)[0]) == 2
        assert len(box) == 3

    def test_takes_one_item_whatever_its_size_if_there_is_any_budget(self) -> None:
        box = outbox()
        box.put(item(size=5000), "a", 0.0)
        box.put(item(size=5000), "a", 0.0)
        assert len(box.take(1, 0.0)[0]) == 1

    @pytest.mark.parametrize("budget", [0, -100])
    def test_takes_nothing_without_budget(self, budget: int) -> None:
        box = outbox()
        box.put(item(), "a", 0.0)
        assert box.take(budget, 0.0) == ([], [])

    def test_critical_has_credit_of_its_own(self) -> None:
        box = outbox()
        alarm = item(CRITICAL, 500)
        box.put(item(HIGH), "a", 0.0)
        box.put(alarm, "a", 0.0)
        assert box.take(0, 0.0, critical_budget_bytes=8192) == ([alarm], [])

    def test_nothing_smaller_of_a_lower_class_slips_past_what_did_not_fit(self) -> None:
        box = outbox()
        box.put(item(HIGH, 100), "a", 0.0)
        box.put(item(HIGH, 100), "a", 0.0)
        box.put(item(LOW, 10), "a", 0.0)
        taken, _ = box.take(150, 0.0)
        assert [each.priority for each in taken] == [HIGH]

    def test_critical_spends_from_the_budget_of_the_others(self) -> None:
        box = outbox()
        box.put(item(CRITICAL, 300), "a", 0.0)
        box.put(item(HIGH, 300), "a", 0.0)
        taken, _ = box.take(500, 0.0, critical_budget_bytes=8000)
        assert [each.priority for each in taken] == [CRITICAL]


class TestQuotas:
    def test_a_quota_is_the_cap_of_its_class(self) -> None:
        box = outbox(max_buffer_size=100, emergency_mode=False)
        for priority, cap in ((HIGH, 40), (NORMAL, 20), (LOW, 8), (BULK, 2)):
            for _ in range(200):
                box.put(item(priority, 1), "a", 0.0)
            assert box.queued()[priority - 1] <= cap

    def test_critical_exceeds_its_reserve_and_takes_from_the_others(self) -> None:
        box = outbox(max_buffer_size=10, emergency_mode=False)
        for _ in range(10):
            assert box.put(item(CRITICAL), "a", 0.0) == []
        refused = item(HIGH)
        assert box.put(refused, "a", 0.0) == [Drop(refused, DropReason.QUOTA)]
        assert box.put(item(CRITICAL), "a", 0.0) == []
        assert len(box) == 11

    def test_others_leave_the_reserve_of_critical_alone(self) -> None:
        box = outbox(max_buffer_size=100, emergency_mode=False)
        for priority in (HIGH, NORMAL, LOW, BULK):
            for _ in range(200):
                box.put(item(priority, 1), "a", 0.0)
        assert len(box) <= 70

    def test_a_full_high_drops_its_own_oldest(self) -> None:
        box = outbox(max_buffer_size=10, emergency_mode=False)
        frames = [frame(index) for index in range(5)]
        drops = [drop for each in frames for drop in box.put(each, "a", 0.0)]
        assert [(drop.item, drop.reason) for drop in drops] == [(frames[0], DropReason.QUOTA)]
        assert take_all(box) == frames[1:]

    def test_a_class_is_bounded_in_bytes(self) -> None:
        bounds = {**DEFAULT_CLASS_BOUNDS, HIGH: ClassBounds(1024, 1.0)}
        box = outbox(bounds=bounds, emergency_mode=False)
        first, second = item(size=600), item(size=600)
        assert box.put(first, "a", 0.0) == []
        assert box.put(second, "a", 0.0) == [Drop(first, DropReason.QUOTA)]

    def test_what_is_larger_than_its_class_is_refused_and_costs_nobody_a_place(self) -> None:
        bounds = {**DEFAULT_CLASS_BOUNDS, HIGH: ClassBounds(1024, 1.0)}
        box = outbox(bounds=bounds)
        small, huge = item(), item(size=2000)
        box.put(small, "a", 0.0)
        assert box.put(huge, "a", 0.0) == [Drop(huge, DropReason.QUOTA)]
        assert take_all(box) == [small]

    def test_full_low_and_bulk_refuse_the_newest(self) -> None:
        for priority in (LOW, BULK):
            box = outbox(max_buffer_size=10)
            first, second = item(priority), item(priority)
            box.put(first, "a", 0.0)
            assert box.put(second, "a", 0.0)[0].item is second

    def test_lanes_do_not_share_their_caps(self) -> None:
        box = outbox("a", "b", max_buffer_size=10)
        for group in ("a", "b"):
            assert box.put(item(BULK), group, 0.0) == []

    def test_the_connection_bounds_the_bytes_of_all_lanes(self) -> None:
        groups = [f"g{index}" for index in range(10)]
        box = outbox(*groups, max_total_bytes=100_000, emergency_mode=False)
        for _ in range(50):
            for group in groups:
                box.put(item(HIGH, 1000), group, 0.0)
        assert box.size_bytes <= 100_000


class TestBackpressure:
    def test_sets_in_at_the_high_watermark(self) -> None:
        box = outbox(max_buffer_size=100)  # NORMAL's cap is 20 messages
        for _ in range(15):
            box.put(item(NORMAL), "a", 0.0)
        assert not box.backpressure_active
        box.put(item(NORMAL), "a", 0.0)
        assert box.backpressure_active

    def test_ends_below_the_low_watermark(self) -> None:
        box = outbox(max_buffer_size=100)
        for _ in range(16):
            box.put(item(NORMAL), "a", 0.0)
        box.take(1200, 0.0)  # 4 of 20 are left: at the watermark
        assert box.backpressure_active
        box.take(100, 0.0)
        assert not box.backpressure_active

    def test_an_expiry_activates_it(self) -> None:
        box = outbox()
        for at in (0.0, 0.5):
            box.put(item(at=at), "a", at)
        assert not box.backpressure_active
        box.expire(1.1)
        assert box.backpressure_active

    def test_age_alone_activates_it(self) -> None:
        box = outbox()
        box.put(item(at=0.0), "a", 0.0)
        assert box.next_due == pytest.approx(0.8)
        assert box.expire(0.81) == []
        assert box.backpressure_active

    def test_age_activates_it_again_after_it_ended(self) -> None:
        box = outbox(max_buffer_size=100)
        for _ in range(16):
            box.put(item(NORMAL), "a", 0.0)
        box.expire(0.0)
        box.expire(8.5)
        assert box.next_due == 10.0
        box.take(1300, 0.0)
        assert not box.backpressure_active
        assert box.next_due == 8.0

    def test_always_drops_offered_bulk(self) -> None:
        box = outbox(max_buffer_size=100)
        box.put(item(BULK), "a", 0.0)
        for _ in range(16):
            box.put(item(NORMAL), "a", 0.0)
        for _ in range(50):
            assert reasons(box.put(item(BULK), "a", 0.0)) == [DropReason.DROPPED]
        assert box.queued()[BULK - 1] == 1

    def test_queues_high_while_there_is_space(self) -> None:
        box = outbox(max_buffer_size=100)
        for _ in range(20):
            box.put(item(NORMAL), "a", 0.0)
        for _ in range(20):
            assert box.put(item(HIGH), "a", 0.0) == []

    @pytest.mark.parametrize("priority", [NORMAL, LOW])
    def test_drops_normal_and_low_with_a_chance_that_rises(self, priority: MessagePriority) -> None:
        def share_dropped(held: int) -> float:
            box = outbox(max_buffer_size=10_000, seed=7)
            for _ in range(3200):  # 80 % of HIGH
                box.put(item(HIGH, 1), "a", 0.0)
            box.take(3200 - held, 0.0)
            dropped = 0
            for _ in range(300):
                dropped += bool(box.put(item(priority, 1), "a", 0.0))
            return dropped / 300

        low, middle, high = share_dropped(1000), share_dropped(2000), share_dropped(3100)
        assert 0 < low < middle < high < 1

    def test_low_gives_way_before_normal(self) -> None:
        dropped = {}
        for priority in (NORMAL, LOW):
            box = outbox(seed=7)
            for _ in range(3200):
                box.put(item(HIGH, 1), "a", 0.0)
            box.take(1200, 0.0)
            dropped[priority] = sum(bool(box.put(item(priority, 1), "a", 0.0)) for _ in range(300))
        assert dropped[NORMAL] < dropped[LOW]

    def test_drops_normal_for_certain_at_the_critical_watermark(self) -> None:
        box = outbox(emergency_mode=False)
        for _ in range(3900):
            box.put(item(HIGH, 1), "a", 0.0)
        assert all(box.put(item(NORMAL, 1), "a", 0.0) for _ in range(100))

    def test_one_lane_does_not_press_another(self) -> None:
        box = outbox("a", "b", max_buffer_size=100)
        for _ in range(20):
            box.put(item(NORMAL), "a", 0.0)
        assert box.put(item(BULK), "b", 0.0) == []

    def test_pressure_is_the_largest_of_count_bytes_class_and_age(self) -> None:
        box = outbox(max_total_bytes=100_000)
        assert box.pressure(0.0) == 0
        box.put(item(NORMAL, 10_000), "a", 0.0)
        assert box.pressure(0.0) == pytest.approx(10_000 / (64 * 1024))
        assert box.pressure(5.0) == pytest.approx(0.5)
        for _ in range(4):
            box.put(item(HIGH, 20_000, at=5.0), "a", 5.0)
        assert box.pressure(5.0) == pytest.approx(0.9)

    def test_a_smaller_bound_on_all_lanes_governs_those_that_there_are(self) -> None:
        box = outbox(max_total_bytes=10_000)
        box.limit_total(1000)
        box.put(item(LOW, 799), "a", 0.0)
        assert not box.backpressure_active
        box.put(item(NORMAL, 1), "a", 0.0)
        assert box.backpressure_active

    def test_utilization_is_size_over_max_buffer_size(self) -> None:
        box = outbox(max_buffer_size=1000)
        for _ in range(250):
            box.put(item(HIGH, 1), "a", 0.0)
        assert box.utilization() == 0.25


class TestEmergency:
    def crowded(self) -> tuple[Outbox, list[Drop]]:
        box = outbox(max_buffer_size=100)
        drops = [drop for index in range(39) for drop in box.put(frame(index), "a", 0.0)]
        return box, drops

    def test_queued_waveform_goes(self) -> None:
        box, drops = self.crowded()
        assert box.emergency
        assert spans(drop.item for drop in drops) == [(50 * index, 50 * index + 50) for index in range(39)]
        assert set(reasons(drops)) == {DropReason.EMERGENCY}
        assert len(box) == 0

    def stay(self) -> Outbox:
        """An emergency that lasts, because what fills HIGH carries no samples."""
        box = outbox(max_buffer_size=100)
        for _ in range(39):
            box.put(item(HIGH), "a", 0.0)
        assert box.emergency
        return box

    def test_only_critical_control_and_the_latest_values_are_accepted(self) -> None:
        box = self.stay()
        assert box.put(item(CRITICAL), "a", 0.0) == []
        assert box.put(item(LOW, control=True), "a", 0.0) == []
        assert box.put(item(HIGH, key="hr"), "a", 0.0) == []
        for refused in (frame(1), item(HIGH), item(NORMAL), item(NORMAL, key="x"), item(LOW), item(BULK)):
            assert box.put(refused, "a", 0.0) == [Drop(refused, DropReason.EMERGENCY)]

    def test_ends_below_the_low_watermark(self) -> None:
        box = self.stay()
        box.take(3100, 0.0)  # 8 of HIGH's 40 are left
        before = box.emergency
        box.take(100, 0.0)
        assert (before, box.emergency) == (True, False)
        assert box.put(frame(1), "a", 0.0) == []

    def test_can_be_switched_off(self) -> None:
        box = outbox(max_buffer_size=100, emergency_mode=False)
        for _ in range(60):
            box.put(item(HIGH), "a", 0.0)
        assert not box.emergency

    def test_ends_when_it_is_switched_off(self) -> None:
        box = self.stay()
        box.set_lane("a", BackpressureProfile(max_buffer_size=100, emergency_mode=False))
        assert not box.emergency
        assert box.put(item(HIGH), "a", 0.0) == []

    def test_control_survives_it(self) -> None:
        box = outbox(max_buffer_size=100)
        announcement = item(HIGH, control=True)
        box.put(announcement, "a", 0.0)
        for index in range(39):
            box.put(frame(index), "a", 0.0)
        assert box.emergency
        assert take_all(box) == [announcement]

    def test_a_starving_status_message_does_not_blank_the_trace(self) -> None:
        box = outbox()
        box.put(item(NORMAL, at=0.0), "a", 0.0)
        box.put(frame(0, at=9.6), "a", 9.6)
        box.expire(9.6)
        assert box.pressure(9.6) > 0.95
        assert not box.emergency
        assert box.queued()[HIGH - 1] == 1


class TestAge:
    def test_what_waited_too_long_expires_oldest_first(self) -> None:
        box = outbox()
        frames = [frame(index, at=index / 10) for index in range(10)]
        for each in frames:
            box.put(each, "a", each.offered_at)
        assert box.expire(1.25) == [Drop(each, DropReason.EXPIRED) for each in frames[:3]]
        assert take_all(box, 1.25) == frames[3:]

    def test_nothing_stale_is_ever_taken(self) -> None:
        box = outbox()
        stale, fresh = frame(0, at=0.0), frame(1, at=0.9)
        box.put(stale, "a", 0.0)
        box.put(fresh, "a", 0.9)
        assert box.take(ALL, 1.1) == ([fresh], [Drop(stale, DropReason.EXPIRED)])

    def test_each_class_has_its_own_bound(self) -> None:
        box = outbox()
        for priority in MessagePriority:
            box.put(item(priority), "a", 0.0)
        assert [drop.item.priority for drop in box.expire(1.5)] == [HIGH]
        assert [drop.item.priority for drop in box.expire(5.5)] == [LOW]
        assert [drop.item.priority for drop in box.expire(10.5)] == [NORMAL]
        assert box.expire(1e6) == []
        assert [each.priority for each in take_all(box, 1e6)] == [CRITICAL, BULK]

    def test_control_does_not_age_nor_hide_what_does(self) -> None:
        box = outbox()
        announcement, stale = item(HIGH, control=True), frame(0)
        box.put(announcement, "a", 0.0)
        box.put(stale, "a", 0.0)
        assert box.expire(5.0) == [Drop(stale, DropReason.EXPIRED)]
        assert take_all(box, 5.0) == [announcement]

    def test_a_renewed_value_does_not_hide_what_is_stale_behind_it(self) -> None:
        box = outbox()
        box.put(item(HIGH, key="hr", at=0.0), "a", 0.0)
        stale, renewed = frame(0, at=0.1), item(HIGH, key="hr", at=1.0)
        box.put(stale, "a", 0.1)
        box.put(renewed, "a", 1.0)
        assert box.expire(1.2) == [Drop(stale, DropReason.EXPIRED)]
        assert take_all(box, 1.2) == [renewed]

    def test_a_renewed_value_hides_neither_the_pressure_nor_the_next_expiry_behind_it(self) -> None:
        box = outbox()
        box.put(item(HIGH, key="hr", at=0.0), "a", 0.0)
        box.put(frame(0, at=0.1), "a", 0.1)
        box.put(item(HIGH, key="hr", at=0.8), "a", 0.8)
        assert box.expire(0.85) == []
        assert box.pressure(0.85) == pytest.approx(0.75)
        assert box.waits_s(HIGH, 0.85) == pytest.approx(0.75)
        assert box.next_due <= 1.1

    def test_is_never_due_later_than_the_next_expiry(self) -> None:
        box = outbox()
        box.put(frame(0, at=0.0), "a", 0.0)
        box.expire(0.85)
        assert box.next_due == pytest.approx(1.0)
        box.expire(1.01)
        assert box.next_due == float("inf")


class TestAgeBehindKeys:
    """A heart rate that is always fresh stands before frames that are not."""

    @pytest.mark.parametrize("refreshed_at", [0.3, 0.9])
    def test_an_old_frame_behind_a_young_value_is_due_in_time(self, refreshed_at: float) -> None:
        box = outbox()
        box.put(item(key="vitals", at=0.0), "a", 0.0)
        box.put(frame(1, at=0.1), "a", 0.1)
        box.put(frame(2, at=0.2), "a", 0.2)
        box.put(item(key="vitals", at=refreshed_at), "a", refreshed_at)
        box.expire(0.95)  # under pressure from here on
        assert box.next_due == pytest.approx(1.1)
        assert spans(drop.item for drop in box.expire(1.15)) == [(50, 100)]

    def test_take_finds_nothing_expired_that_expire_did_not(self) -> None:
        box = outbox()
        box.put(item(key="vitals", at=0.0), "a", 0.0)
        for index in range(1, 10):
            box.put(frame(index, at=0.1 * index), "a", 0.1 * index)
        box.put(item(key="vitals", at=0.95), "a", 0.95)
        now = 0.96
        while len(box):
            now += 0.07
            if now >= box.next_due:
                box.expire(now)
            _, drops = box.take(1, now)
            assert drops == []


class TestKeys:
    def test_a_newer_value_takes_the_place_of_the_older(self) -> None:
        box = outbox()
        old, between, new = item(key="hr", payload="60"), item(), item(key="hr", payload="61")
        box.put(old, "a", 0.0)
        box.put(between, "a", 0.0)
        assert box.put(new, "a", 0.0) == [Drop(old, DropReason.COALESCED)]
        assert take_all(box) == [new, between]

    def test_a_value_that_left_is_not_replaced(self) -> None:
        box = outbox()
        box.put(item(key="hr"), "a", 0.0)
        take_all(box)
        assert box.put(item(key="hr"), "a", 0.0) == []

    def test_the_same_key_in_another_lane_or_class_is_another_value(self) -> None:
        box = outbox("a", "b")
        assert box.put(item(HIGH, key="hr"), "a", 0.0) == []
        assert box.put(item(HIGH, key="hr"), "b", 0.0) == []
        assert box.put(item(NORMAL, key="hr"), "a", 0.0) == []
        assert len(take_all(box)) == 3

    def test_a_newer_control_message_replaces_the_queued_one(self) -> None:
        box = outbox()
        old, new = item(CRITICAL, key="stream", control=True), item(CRITICAL, key="stream", control=True)
        box.put(old, "a", 0.0)
        assert box.put(new, "a", 0.0) == [Drop(old, DropReason.COALESCED)]
        assert take_all(box) == [new]

    def test_one_item_may_be_queued_for_many_viewers(self) -> None:
        boxes = [outbox() for _ in range(3)]
        shared, newer = item(key="hr", payload="60"), item(key="hr", payload="61")
        for box in boxes:
            box.put(shared, "a", 0.0)
        boxes[0].put(newer, "a", 0.0)
        assert take_all(boxes[1]) == [shared]
        assert shared.payload == "60"

    def test_a_replacement_is_accepted_under_backpressure(self) -> None:
        box = outbox(max_buffer_size=100)
        box.put(item(LOW, key="stats"), "a", 0.0)
        for _ in range(20):
            box.put(item(NORMAL), "a", 0.0)
        newer = item(LOW, key="stats")
        assert reasons(box.put(newer, "a", 0.0)) == [DropReason.COALESCED]

    def test_a_replacement_that_outgrows_the_class_is_refused(self) -> None:
        bounds = {**DEFAULT_CLASS_BOUNDS, HIGH: ClassBounds(1024, 1.0)}
        box = outbox(bounds=bounds)
        old, new = item(key="x"), item(key="x", size=2000)
        box.put(old, "a", 0.0)
        assert box.put(new, "a", 0.0) == [Drop(new, DropReason.QUOTA)]
        assert take_all(box) == [old]


class TestGaps:
    def test_a_gap_takes_the_place_of_the_frames_it_stands_for(self) -> None:
        box = outbox()
        for index in (2, 3, 4):
            box.put(frame(index), "a", 0.0)
        box.put(gap(50, 100), "a", 0.0)
        assert spans(take_all(box)) == [(50, 100), (100, 150), (150, 200), (200, 250)]

    def test_a_gap_for_refused_frames_comes_after_what_is_queued(self) -> None:
        box = outbox()
        box.put(frame(0), "a", 0.0)
        box.put(gap(50, 100), "a", 0.0)
        box.put(frame(2), "a", 0.0)
        assert spans(take_all(box)) == [(0, 50), (50, 100), (100, 150)]

    def test_a_gap_in_the_middle_finds_its_place(self) -> None:
        box = outbox()
        for index in (0, 1, 3, 4):
            box.put(frame(index), "a", 0.0)
        box.put(gap(100, 150), "a", 0.0)
        assert spans(take_all(box)) == [(0, 50), (50, 100), (100, 150), (150, 200), (200, 250)]

    def test_adjacent_gaps_join_and_are_written_anew(self) -> None:
        box = outbox()
        for first in (0, 50, 100):
            box.put(gap(first, first + 50), "a", 0.0)
        (joined,) = take_all(box)
        assert joined.payload == "0-150"
        assert joined.size_bytes == gap(100, 150).size_bytes, "as the longest of them until it is written"
        assert len(box) == box.size_bytes == 0

    def test_a_gap_joins_both_neighbours(self) -> None:
        box = outbox()
        box.put(gap(0, 50), "a", 0.0)
        box.put(gap(100, 150), "a", 0.0)
        box.put(frame(3), "a", 0.0)
        assert reasons(box.put(gap(50, 100), "a", 0.0)) == [DropReason.COALESCED] * 2
        assert spans(take_all(box)) == [(0, 150), (150, 200)]

    def test_gaps_of_another_reason_stream_or_epoch_stay_apart(self) -> None:
        box = outbox()
        other_epoch = replace(gap(0, 50), span=Span("s", 2, 0, 50))
        for each in (gap(0, 50), gap(50, 100, "expired"), other_epoch):
            assert box.put(each, "a", 0.0) == []

    def test_gaps_apart_from_each_other_stay_two(self) -> None:
        box = outbox()
        box.put(gap(0, 50), "a", 0.0)
        box.put(gap(60, 100), "a", 0.0)
        assert spans(take_all(box)) == [(0, 50), (60, 100)]

    def test_a_stalled_stream_costs_one_gap(self) -> None:
        box = outbox()
        for index in range(1000):
            now = index / 10
            for drop in box.expire(now):
                assert drop.item.span
                box.put(gap(drop.item.span.first, drop.item.span.stop, "expired"), "a", now)
            box.put(frame(index, at=now), "a", now)
        queued = spans(take_all(box, 99.9))
        assert queued[0][0] == 0
        assert [stop for _, stop in queued[:-1]] == [first for first, _ in queued[1:]]
        assert len(queued) <= 12
        assert not box.control_overflow


class TestControl:
    def test_control_is_never_dropped(self) -> None:
        box = outbox(max_buffer_size=10)
        offered = [item(LOW, 1, control=True) for _ in range(50)]
        for each in offered:
            assert box.put(each, "a", 0.0) == []
        assert take_all(box, 1e6) == offered

    def test_control_does_not_use_up_the_quota_of_its_class(self) -> None:
        box = outbox(max_buffer_size=50)
        for _ in range(30):
            box.put(item(HIGH, 1, control=True), "a", 0.0)
        assert box.put(item(HIGH), "a", 0.0) == []

    @pytest.mark.parametrize(("priority", "control"), [(CRITICAL, False), (LOW, True)])
    def test_overflows_beyond_its_limit(self, priority: MessagePriority, control: bool) -> None:
        box = outbox()
        for _ in range(CONTROL_LIMIT_BYTES // 1024):
            box.put(item(priority, 1024, control=control), "a", 0.0)
        seen = [box.control_overflow]
        box.put(item(priority, 1024, control=control), "a", 0.0)
        seen.append(box.control_overflow)
        take_all(box)
        assert [*seen, box.control_overflow] == [False, True, False]


class TestLanes:
    def test_an_unknown_group_is_a_key_error(self) -> None:
        with pytest.raises(KeyError):
            outbox("a").put(item(), "b", 0.0)

    def test_a_new_profile_keeps_what_fits_and_drops_the_oldest(self) -> None:
        box = outbox(max_buffer_size=100)
        frames = [frame(index) for index in range(10)]
        for each in frames:
            box.put(each, "a", 0.0)
        drops = box.set_lane("a", BackpressureProfile(max_buffer_size=20))
        assert drops == [Drop(each, DropReason.QUOTA) for each in frames[:2]]
        assert take_all(box) == frames[2:]

    def test_a_new_profile_never_costs_critical_or_control(self) -> None:
        box = outbox(max_buffer_size=100)
        for _ in range(20):
            box.put(item(CRITICAL), "a", 0.0)
            box.put(item(HIGH, control=True), "a", 0.0)
        assert box.set_lane("a", BackpressureProfile(max_buffer_size=10)) == []
        assert len(take_all(box)) == 40

    def test_a_new_age_bound_holds_for_what_is_queued(self) -> None:
        box = outbox()
        stale = frame(0)
        box.put(stale, "a", 0.0)
        bounds = {**DEFAULT_CLASS_BOUNDS, HIGH: ClassBounds(1024, 0.1)}
        box.set_lane("a", BackpressureProfile(bounds=bounds))
        assert box.expire(0.2) == [Drop(stale, DropReason.EXPIRED)]

    def test_dropping_a_lane_returns_all_it_held(self) -> None:
        box = outbox("a", "b")
        for priority in MessagePriority:
            box.put(item(priority), "a", 0.0)
        kept = item()
        box.put(kept, "b", 0.0)
        assert reasons(box.drop_lane("a")) == [DropReason.ABANDONED] * 5
        assert "a" not in box
        assert take_all(box) == [kept]

    def test_dropping_a_lane_that_is_not_there_is_nothing(self) -> None:
        assert outbox("a").drop_lane("b") == []

    def test_counts_outlive_their_lane(self) -> None:
        box = outbox("a", "b")
        box.put(item(), "a", 0.0)
        box.drop_lane("a")
        assert box.counts()[HIGH - 1].abandoned == 1

    def test_the_state_of_one_lane(self) -> None:
        box = outbox("a", "b", max_buffer_size=100)
        box.put(item(LOW), "a", 0.0)
        box.put(item(LOW), "b", 0.0)
        state = box.lane_state("a", 0.0)
        assert state is not None
        assert (state.size, state.size_bytes, state.utilization) == (1, 100, 0.01)
        assert box.lane_state("c", 0.0) is None


class TestShedding:
    """A process with too much to do takes nothing in that can wait."""

    def test_from_a_priority_down_new_data_is_refused_and_control_is_not(self) -> None:
        box = outbox()
        box.put(item(LOW), "a", 0.0)
        box.shed(LOW)
        refused = [box.put(item(priority), "a", 0.0) for priority in MessagePriority]
        assert [reasons(drops) for drops in refused] == [
            [],
            [],
            [],
            [DropReason.OVERLOAD],
            [DropReason.OVERLOAD],
        ]
        assert box.put(item(LOW, control=True), "a", 0.0) == []
        assert len(box) == 5, "what was queued stays"

    def test_it_ends(self) -> None:
        box = outbox()
        box.shed(NORMAL)
        box.shed(None)
        assert box.put(item(BULK), "a", 0.0) == []


def test_a_full_class_drops_its_oldest_data_and_passes_over_control() -> None:
    bounds = {**DEFAULT_CLASS_BOUNDS, HIGH: ClassBounds(max_bytes=1024, max_age_s=1.0)}
    box = outbox(bounds=bounds)
    box.put(gap(0, 50), "a", 0.0)
    box.put(frame(1, size=450), "a", 0.0)
    box.put(frame(2, size=450), "a", 0.0)
    drops = box.put(frame(3, size=450), "a", 0.0)
    assert spans(drop.item for drop in drops) == [(50, 100)]
    assert spans(take_all(box)) == [(0, 50), (100, 150), (150, 200)]


class TestHeld:
    """HIGH that waits elsewhere, in bundles that many share."""

    def test_may_wait_up_to_where_the_first_lane_would_be_under_pressure(self) -> None:
        box = Outbox(rng=random.Random(1))
        assert box.hold_limits == HoldLimits()
        box.set_lane("a", BackpressureProfile(max_buffer_size=100))
        bounds = {**DEFAULT_CLASS_BOUNDS, HIGH: ClassBounds(2000, 1.0)}
        box.set_lane("b", BackpressureProfile(max_buffer_size=50, high_watermark=0.5, bounds=bounds))
        share = BackpressureProfile().quotas[HIGH]
        assert box.hold_limits == HoldLimits(
            50 * share * 0.5, 1000.0, (2 << 20) * 0.5, 1.0, same_age=True, watermark=0.5
        )
        box.set_lane("c", BackpressureProfile(bounds={**bounds, HIGH: ClassBounds(2000, 0.5)}))
        assert (box.hold_limits.age_s, box.hold_limits.same_age) == (0.5, False)
        box.drop_lane("c")
        assert box.hold_limits.same_age
        box.limit_total(600)
        assert box.hold_limits.total_bytes == 300.0

    def test_has_less_room_behind_what_waits_here(self) -> None:
        box = outbox("a", "b")
        groups = frozenset({"a", "b"})
        room = box.room_to_hold(groups)
        assert room is not None
        assert (room.messages, room.size_bytes) == (box.hold_limits.messages, box.hold_limits.size_bytes)
        for index in range(3):
            box.put(frame(index), "a", 0.0)
        box.put(frame(0), "b", 0.0)
        room = box.room_to_hold(groups)
        assert room is not None
        assert room.messages == box.hold_limits.messages - 3
        assert room.size_bytes == box.hold_limits.size_bytes - 400
        assert room.size_bytes < box.hold_limits.total_bytes - 400

    def test_has_less_room_beside_much_that_is_less_urgent(self) -> None:
        box = outbox("a", max_total_bytes=64 << 10)
        for _ in range(4):
            box.put(item(NORMAL, 12 << 10), "a", 0.0)
        room = box.room_to_hold(frozenset({"a"}))
        assert room is not None
        assert room.size_bytes == box.hold_limits.total_bytes - (48 << 10)

    def test_may_not_wait_without_a_lane_or_in_an_emergency(self) -> None:
        box = outbox("a", max_buffer_size=10)
        assert box.room_to_hold(frozenset({"a", "b"})) is None
        for index in range(20):
            box.put(item(CRITICAL), "a", float(index) / 100)
        assert box.emergency
        assert box.room_to_hold(frozenset({"a"})) is None

    def test_is_counted_where_it_will_not_leave(self) -> None:
        box = outbox("a")
        dropped = box.drop_held([(frame(0), "a"), (frame(1), "a")], DropReason.EXPIRED)
        assert reasons(dropped) == [DropReason.EXPIRED] * 2
        assert box.backpressure_active
        box.drop_held([(frame(2), "a")], DropReason.ABANDONED)
        counts = box.counts()[HIGH - 1]
        assert (counts.offered, counts.expired, counts.abandoned) == (3, 2, 1)

    def test_keeps_lanes_under_pressure_for_as_long_as_it_is(self) -> None:
        box = outbox("a")
        box.drop_held([(frame(0), "a")], DropReason.EXPIRED)
        box.held_pressure = 0.9
        box.take(ALL, 0.0)
        assert box.backpressure_active
        box.held_pressure = 0.1
        box.take(ALL, 0.0)
        assert not box.backpressure_active

    def test_lets_what_waits_here_go_first_and_nothing_less_urgent(self) -> None:
        box = outbox()
        for priority in (CRITICAL, HIGH, NORMAL, LOW):
            box.put(item(priority), "a", 0.0)
        taken, _ = box.take(ALL, 0.0, high_follows=True)
        assert [one.priority for one in taken] == [CRITICAL, HIGH]
        assert box.take(ALL, 0.0, high_follows=True)[0] == []
        assert [one.priority for one in box.take(ALL, 0.0)[0]] == [NORMAL, LOW]

    def test_what_is_overdue_gets_its_share_of_what_leaves_elsewhere(self) -> None:
        box = outbox()
        late = item(NORMAL, at=0.0)
        box.put(late, "a", 0.0)
        assert box.take(ALL, 6.0, high_follows=True)[0] == []
        for _ in range(8):
            box.count_high(100)
        assert box.take(0, 6.0, high_follows=True)[0] == [], "there is no room"
        assert box.take(ALL, 6.0, high_follows=True)[0] == [late]

    def test_fills_its_lane_for_who_asks_how_full_that_is(self) -> None:
        box = outbox("a", "b", max_buffer_size=10)
        box.put(frame(0), "a", 0.0)
        assert box.utilization() == 0.1
        assert box.utilization({"a": 2, "b": 1}) == pytest.approx(0.3)

    def test_what_comes_from_there_is_as_old_as_it_is(self) -> None:
        box = outbox()
        box.put(item(HIGH, at=5.0, key="rate"), "a", 5.0)
        box.put(frame(0, at=4.5), "a", 5.2)
        assert box.next_due <= 5.5
        assert spans(drop.item for drop in box.expire(5.6)) == [(0, 50)]
