from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from streaming.core.rate import RateEstimator

Delay = Callable[[float], float]


def feed(
    estimator: RateEstimator,
    rate_hz: float,
    *,
    seconds: float,
    delay: Delay,
    began: float = 1000.0,
    index: int = 0,
) -> int:
    """Chunks of 100 ms that come in order, `delay(elapsed)` after its last sample; returns the next index."""
    chunk = round(rate_hz / 10)
    now = began
    for n in range(1, int(seconds * 10) + 1):
        elapsed = n * chunk / rate_hz
        now = max(now, began + elapsed + delay(elapsed))
        estimator.arrived(index + n * chunk, now)
    return index + int(seconds * 10) * chunk


def jitter(seed: int, spread_s: float = 0.02) -> Delay:
    rng = random.Random(seed)
    return lambda elapsed: rng.uniform(0.0, spread_s)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rate_hz", [130.0, 130.06, 249.97, 500.0, 2000.4])
def test_two_minutes_with_jitter_tell_the_rate_to_one_in_five_thousand(rate_hz: float, seed: int) -> None:
    estimator = RateEstimator()
    feed(estimator, rate_hz, seconds=121, delay=jitter(seed))
    assert estimator.rate_hz() == pytest.approx(rate_hz, rel=2e-4)


def test_a_replay_at_twenty_times_reports_that_rate() -> None:
    estimator = RateEstimator()
    feed(estimator, 7200.0, seconds=60, delay=jitter(1))
    assert estimator.rate_hz() == pytest.approx(7200.0, rel=2e-4)


def test_bursts_do_not_count() -> None:
    """Every ten seconds the network holds everything back for three, then delivers at once."""

    def held(elapsed: float) -> float:
        return max(0.0, 3.0 - elapsed % 10.0)

    estimator = RateEstimator()
    feed(estimator, 250.06, seconds=121, delay=held)
    assert estimator.rate_hz() == pytest.approx(250.06, rel=2e-4)


def test_chunks_kept_from_before_the_connection_do_not_count() -> None:
    estimator = RateEstimator()
    for n in range(1, 300):
        estimator.arrived(25 * n, 1000.0 + n * 1e-4)
    feed(estimator, 250.0, seconds=60, delay=jitter(2), index=25 * 299)
    assert estimator.rate_hz() == pytest.approx(250.0, rel=2e-4)


def test_nothing_is_known_before_ten_seconds() -> None:
    estimator = RateEstimator()
    assert estimator.rate_hz() is None
    feed(estimator, 250.0, seconds=9.9, delay=lambda elapsed: 0.0)
    assert estimator.rate_hz() is None


def test_all_at_once_has_no_rate() -> None:
    estimator = RateEstimator()
    for n in range(1, 1000):
        estimator.arrived(25 * n, 1000.0)
    assert estimator.rate_hz() is None


def test_late_and_repeated_chunks_change_nothing() -> None:
    estimator = RateEstimator()
    feed(estimator, 250.0, seconds=30, delay=jitter(7))
    before = estimator.rate_hz()
    for stop in (7490, 100, 7500):
        estimator.arrived(stop, 1030.2)
        assert estimator.rate_hz() == before


def test_a_changed_rate_shows_within_the_window() -> None:
    estimator = RateEstimator()
    index = feed(estimator, 250.0, seconds=200, delay=jitter(3))
    feed(estimator, 251.0, seconds=140, delay=jitter(4), began=1200.0, index=index)
    assert estimator.rate_hz() == pytest.approx(251.0, rel=5e-4)


def test_a_pause_of_the_device_is_not_a_slow_device() -> None:
    estimator = RateEstimator()
    index = feed(estimator, 250.0, seconds=30, delay=jitter(5))
    feed(estimator, 250.0, seconds=60, delay=jitter(6), began=1050.0, index=index)
    assert estimator.rate_hz() == pytest.approx(250.0, rel=1e-3)
