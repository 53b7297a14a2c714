"""What acks say about a client's network."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.network import NetworkCondition, NetworkEstimator, SlidingRate


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

    def test_the_smallest_for_judging_a_queue_is_kept_for_a_minute(self) -> None:
        network = estimator(0.02)
        assert NetworkEstimator().rtt_base_s is None
        network.on_rtt(0.1, 59.9)
        assert network.rtt_base_s == 0.02
        network.on_rtt(0.1, 60.1)
        assert network.rtt_base_s == 0.1

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

    def test_what_a_full_path_carried_is_known_for_a_moment(self) -> None:
        network = NetworkEstimator()
        assert network.limit_rate(0.0) is None
        network.on_delivery(90_000.0, 0.0, app_limited=False)
        network.on_delivery(40_000.0, 1.0, app_limited=False)
        network.on_delivery(95_000.0, 1.1, app_limited=True)
        assert network.limit_rate(1.4) == 90_000
        assert network.limit_rate(1.6) == 40_000
        assert network.limit_rate(2.6) is None

    def test_what_got_through_is_a_lower_bound_all_the_same(self) -> None:
        network = NetworkEstimator()
        network.on_delivery(90_000.0, 0.0, app_limited=True)
        assert network.delivery_rate == 90_000
        assert not network.saturated
        network.on_delivery(50_000.0, 4.0, app_limited=False)
        assert network.delivery_rate == 50_000
        assert network.saturated


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

    def recovered(self) -> NetworkEstimator:
        network = estimator(0.05)
        network.assess(0.0, waiting_s=0.5)
        assert network.condition == "fair"
        return network

    def test_gets_better_one_step_at_a_time_after_five_seconds_each(self) -> None:
        network = self.recovered()
        seen = {second: network.assess(float(second)).value for second in range(1, 14)}
        assert [seen[second] for second in (5, 6, 10, 11)] == ["fair", "good", "good", "excellent"]

    def test_a_relapse_starts_the_wait_anew(self) -> None:
        network = self.recovered()
        network.assess(1.0)
        network.assess(5.0, waiting_s=0.5)
        assert network.assess(6.5) == "fair"
        assert network.assess(11.5) == "good"

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
