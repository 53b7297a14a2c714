"""When a sample was taken, whatever the network and the device's clock did to its arrival."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from streaming.core.sample_time import CREEP, MAX_DELAY, SampleTime

START = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
RATE_HZ = 500.0


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def error_s(time: SampleTime, sample: int, taken_s: float) -> float:
    return (time.of(sample, otherwise=START) - after(taken_s)).total_seconds()


def test_before_anything_has_arrived_the_caller_knows_best() -> None:
    assert SampleTime(RATE_HZ).of(1000, otherwise=after(7)) == after(7)


def test_the_earliest_arrival_places_all_samples() -> None:
    time = SampleTime(RATE_HZ)
    for second, delay_s in enumerate([0.3, 0.05, 0.8, 0.2], start=1):
        time.arrived(500 * second, after(second + delay_s))
    assert error_s(time, 0, 0.0) == pytest.approx(0.05, abs=3 * CREEP)
    assert error_s(time, 2000, 4.0) == pytest.approx(0.05, abs=3 * CREEP)


def test_samples_that_an_outage_held_back_are_placed_where_they_were_taken() -> None:
    time = SampleTime(RATE_HZ)
    time.arrived(500 * 60, after(60))
    time.arrived(500 * 61, after(120))  # kept by the device for a minute
    assert error_s(time, 500 * 61, 61.0) == pytest.approx(60 * CREEP)


def test_a_device_that_is_slower_than_it_says_does_not_fall_behind_for_ever() -> None:
    time = SampleTime(RATE_HZ)
    for second in range(1, 86_400, 60):
        time.arrived(round(499.5 * second), after(second))
    newest = 86_341
    assert abs(error_s(time, round(499.5 * newest), newest)) < 1.0


def test_a_replay_in_slow_motion_is_never_far_from_now() -> None:
    time = SampleTime(RATE_HZ)
    for minute in range(1, 600):
        time.arrived(500 * 6 * minute, after(60 * minute))  # a tenth of the speed
    assert time.of(500 * 6 * 599, otherwise=START) >= after(60 * 599) - MAX_DELAY


def test_a_replay_in_fast_motion_ends_now() -> None:
    time = SampleTime(RATE_HZ)
    for second in range(1, 60):
        time.arrived(500 * 20 * second, after(second))
    assert error_s(time, 500 * 20 * 59, 59.0) == pytest.approx(0.0)


def test_a_wall_clock_that_is_set_back_moves_the_estimate_with_it() -> None:
    time = SampleTime(RATE_HZ)
    time.arrived(500, after(1))
    time.arrived(1000, after(-3598))
    assert error_s(time, 1000, -3598) == 0.0
