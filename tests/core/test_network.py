"""What acks say about a client's network."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.network import NetworkCondition, NetworkEstimator, PathRate, SlidingRate


def estimator(*rtts_s: float, every_s: float = 0.1) -> NetworkEstimator:
    network = NetworkEstimator()
    for index, rtt_s in enumerate(rtts_s):
        network.on_rtt(rtt_s, index * every_s)
    return network


class TestRoundTrip:
    def test_nothing_is_known_at_first(self) -> None:
        network = NetworkEstimator()
        assert network.rtt_s is None
        assert network.rtt_min_s is None
        assert network.delivery_rate is None
        assert network.queueing_delay_s == 0

    def test_the_first_one_counts_whole_the_next_by_an_eighth(self) -> None:
        assert estimator(0.1).rtt_s == 0.1
        assert estimator(0.1, 0.9).rtt_s == pytest.approx(0.2)

    def test_the_smallest_is_kept_for_ten_seconds(self) -> None:
        network = estimator(0.02)
        network.on_rtt(0.1, 9.9)
        assert network.rtt_min_s == 0.02
        network.on_rtt(0.1, 10.1)
        assert network.rtt_min_s == 0.1

    def test_the_last_one_is_as_it_was(self) -> None:
        assert estimator(0.1, 0.9).latest_rtt_s == 0.9

    def test_the_age_of_the_smallest(self) -> None:
        network = estimator(0.02, 0.1)
        assert network.rtt_min_age_s(3.0) == 3.0
        network.on_rtt(0.01, 4.0)
        assert network.rtt_min_age_s(4.5) == 0.5

    @given(st.lists(st.tuples(st.floats(0, 5), st.floats(0.001, 2)), min_size=1, max_size=60))
    def test_the_smallest_is_that_of_the_samples_in_the_span(self, steps: list[tuple[float, float]]) -> None:
        network, now, samples = NetworkEstimator(), 0.0, []
        for wait_s, rtt_s in steps:
            now += wait_s
            samples.append((now, rtt_s))
            network.on_rtt(rtt_s, now)
            assert network.rtt_min_s == min(rtt for at, rtt in samples if at >= now - 10)

    def test_queueing_delay_is_what_the_round_trip_has_gained(self) -> None:
        assert estimator(0.1, 0.9).queueing_delay_s == pytest.approx(0.1)


class TestDeliveryRate:
    def test_is_the_fastest_of_the_last_three_seconds(self) -> None:
        network = NetworkEstimator()
        for at, rate in ((0.0, 500.0), (1.0, 900.0), (2.0, 400.0)):
            network.on_delivery(rate, at, app_limited=False)
        assert network.delivery_rate == 900
        network.on_delivery(300.0, 4.5, app_limited=False)
        assert network.delivery_rate == 400

    def test_a_sender_with_nothing_more_to_send_does_not_lower_it(self) -> None:
        network = NetworkEstimator()
        network.on_delivery(100.0, 0.0, app_limited=True)
        assert network.delivery_rate is None
        network.on_delivery(90_000.0, 1.0, app_limited=False)
        network.on_delivery(100.0, 9.0, app_limited=True)
        assert network.delivery_rate == 90_000

    def test_what_got_through_is_a_lower_bound_all_the_same(self) -> None:
        network = NetworkEstimator()
        network.on_delivery(90_000.0, 0.0, app_limited=True)
        assert network.delivery_rate == 90_000
        assert not network.saturated
        network.on_delivery(50_000.0, 4.0, app_limited=False)
        assert network.delivery_rate == 50_000
        assert network.saturated


HEADERS = 66
BASE_S = 0.1


def path(rate: float, sizes: list[int], *, every_s: float, began: float = 0.0) -> tuple[PathRate, float]:
    """A path of so many bytes a second, headers included, and when its last message came; each is acked."""
    measured = PathRate()
    measured.on_ack([(began - 1.0, 0)], began - 1.0 + BASE_S, began)
    free_at = now = began
    for number, size_bytes in enumerate(sizes):
        sent_at = began + number * every_s
        free_at = max(free_at, sent_at) + (size_bytes + HEADERS) / rate
        now = free_at + BASE_S
        measured.on_ack([(sent_at, size_bytes)], now, now)
    return measured, now


class TestPathRate:
    def test_nothing_is_known_at_first(self) -> None:
        measured = PathRate()
        assert measured.empty_rtt_s is None
        assert measured.bytes_per_s(0.0) == math.inf
        assert measured.alone_bytes_per_s(0.0) == 0
        assert measured.ahead_s(0.0, 1000, 0.0) == 0

    def test_the_empty_path_is_kept_for_a_minute(self) -> None:
        measured = PathRate()
        for now, rtt_s in ((0.0, 0.02), (59.9, 0.1)):
            measured.on_ack([(now - rtt_s, 100)], now, now)
        assert measured.empty_rtt_s == pytest.approx(0.02)
        measured.on_ack([(60.0, 100)], 60.1, 60.1)
        assert measured.empty_rtt_s == pytest.approx(0.1)

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 1.5])
    def test_is_what_the_path_carries_however_much_of_it_is_used(self, share: float) -> None:
        size_bytes, rate = 934, 5000.0
        every_s = (size_bytes + HEADERS) / rate / share
        measured, now = path(rate, [size_bytes] * 20, every_s=every_s)
        assert measured.bytes_per_s(now) == pytest.approx(rate * 0.934, rel=0.05)

    def test_follows_a_fall_within_a_third_of_a_second_of_traffic(self) -> None:
        measured, began = path(50_000, [434] * 20, every_s=0.1)
        for number in range(3):
            sent_at = began + number * 0.1
            arrived_at = began + BASE_S + (number + 1) * 0.2  # 2500 bytes a second
            measured.on_ack([(sent_at, 434)], arrived_at, arrived_at)
        assert measured.bytes_per_s(began + 1.0) == pytest.approx(2500 * 434 / 500, rel=0.01)

    def test_is_forgotten_after_two_seconds(self) -> None:
        measured, now = path(5000, [934] * 10, every_s=0.5)
        assert measured.bytes_per_s(now + 1.9) < math.inf
        assert measured.bytes_per_s(now + 2.1) == math.inf

    def test_an_outage_says_nothing(self) -> None:
        measured, now = path(5000, [934] * 10, every_s=0.5)
        before = measured.bytes_per_s(now)
        measured.on_ack([(now, 934)], now + 5.0, now + 5.0)
        assert measured.bytes_per_s(now + 1.0) == pytest.approx(before, rel=0.01)

    def test_of_several_messages_in_one_ack_the_idle_time_between_them_does_not_count(self) -> None:
        measured = PathRate()
        measured.on_ack([(-1.0, 0)], -0.9, -0.9)
        measured.on_ack([(0.0, 934), (0.5, 934)], 0.5 + BASE_S + 0.2, 0.7)
        assert measured.bytes_per_s(0.7) == pytest.approx(5000 * 0.934, rel=0.2)

    def test_ahead_is_what_waits_beyond_the_empty_path(self) -> None:
        measured, now = path(5000, [934] * 10, every_s=0.1)
        ahead_s = measured.ahead_s(now - 0.5, 4670, now)
        assert ahead_s == pytest.approx(1.0 - BASE_S, abs=0.05)

    def test_nothing_is_ahead_on_a_fast_path(self) -> None:
        measured, now = path(1e6, [934] * 10, every_s=0.1)
        assert measured.ahead_s(now - 0.05, 934, now) == 0

    def test_a_larger_message_tells_the_rate_where_the_empty_path_was_seen_by_a_large_one_only(self) -> None:
        measured, arrived_at = PathRate(), 0.0
        for number, size_bytes in enumerate([784, 870, 1350]):
            arrived_at = number + BASE_S + (size_bytes + HEADERS) / 2000
            measured.on_ack([(float(number), size_bytes)], arrived_at, arrived_at)
            assert (measured.alone_bytes_per_s(arrived_at) > 0) == (size_bytes == 1350)
        assert measured.alone_bytes_per_s(arrived_at) == pytest.approx(2000 * 0.93, rel=0.02)
        assert measured.alone_bytes_per_s(arrived_at + 3.1) == 0

    def test_what_met_a_queue_was_not_alone(self) -> None:
        measured = PathRate()
        measured.on_ack([(0.0, 784)], 0.5, 0.5)
        for size_bytes, arrived_at in ((784, 1.5), (784, 2.0), (1350, 2.7)):
            measured.on_ack([(1.0, size_bytes)], arrived_at, arrived_at)
        assert measured.alone_bytes_per_s(2.7) == 0

    def test_ahead_of_an_idle_path_is_only_what_was_sent_since(self) -> None:
        measured, now = path(5000, [934] * 10, every_s=0.5)
        assert measured.ahead_s(now + 0.95, 1868, now + 1.0) == pytest.approx(0.4 - 0.05, abs=0.05)


class TestCondition:
    @pytest.mark.parametrize(
        ("rtt_s", "condition"),
        [(0.05, "excellent"), (0.2, "good"), (0.5, "fair"), (1.2, "poor"), (2.0, "critical")],
    )
    def test_follows_the_round_trip(self, rtt_s: float, condition: str) -> None:
        assert estimator(rtt_s).assess(0.0) == condition

    def test_follows_the_queueing_delay(self) -> None:
        network = estimator(0.02, *[0.145] * 100)
        assert network.rtt_s
        assert network.rtt_s < 0.15
        assert network.assess(10.0) == "good"

    def test_a_link_without_acks_turns_critical(self) -> None:
        network = estimator(0.05)
        assert network.assess(1.0, waiting_s=3.0) is NetworkCondition.CRITICAL

    def stalled(self) -> NetworkEstimator:
        network = estimator(0.05)
        assert network.assess(0.0, waiting_s=7.0) == "critical"
        return network

    def test_is_good_again_five_seconds_after_an_outage(self) -> None:
        network = self.stalled()
        assert {network.assess(1 + tenth / 10).value for tenth in range(51)} == {"critical"}
        assert network.assess(6.1) == "excellent"

    def test_gets_no_better_than_the_worst_of_five_seconds(self) -> None:
        network = self.stalled()
        network.assess(1.0)
        network.assess(4.0, waiting_s=0.25)
        network.assess(4.1)
        assert network.assess(6.1) == "fair"
        assert network.assess(9.2) == "excellent"

    def test_gets_better_only_where_the_delays_are_well_inside_the_limits(self) -> None:
        network = self.stalled()
        seen = {second: network.assess(float(second), waiting_s=0.25).value for second in range(1, 20)}
        assert [seen[second] for second in (5, 7, 19)] == ["critical", "fair", "fair"]

    def test_a_reading_holds_until_the_next_one(self) -> None:
        network = self.stalled()
        assert network.assess(60.0) == "critical"
        assert network.assess(65.1) == "excellent"

    def test_a_relapse_starts_the_wait_anew(self) -> None:
        network = self.stalled()
        network.assess(1.0)
        network.assess(5.0, waiting_s=7.0)
        assert network.assess(6.5) == "critical"
        assert network.assess(11.6) == "excellent"

    def test_hovering_at_a_limit_does_not_flap(self) -> None:
        network = estimator(0.05)
        found = {network.assess(second / 10, waiting_s=0.29 + 0.02 * (second % 2)) for second in range(200)}
        assert found == {"good", "fair"}
        assert network.condition == "fair"


class TestSlidingRate:
    def test_is_the_mean_over_ten_seconds(self) -> None:
        rate = SlidingRate()
        for tick in range(300):
            rate.add(5, tick / 10)
        assert rate.per_second(29.95) == pytest.approx(50, rel=0.05)

    def test_what_is_older_counts_no_more(self) -> None:
        rate = SlidingRate()
        rate.add(1000, 0.0)
        assert rate.per_second(20.0) == 0

    def test_a_young_one_is_the_mean_since_the_first(self) -> None:
        rate = SlidingRate()
        rate.add(100, 50.0)
        assert rate.per_second(50.1) == 100
        assert rate.per_second(54.0) == 25

    def test_nothing_yet_is_none_a_second(self) -> None:
        assert SlidingRate().per_second(5.0) == 0
