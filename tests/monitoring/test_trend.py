"""Trends of daily peaks: what they find, how sure they are of it, and when they say nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.trend import (
    HORIZON_DAYS,
    LEAST_DAYS,
    Days,
    Reach,
    Trend,
    daily_peaks,
    kendall_variance,
    reach_of,
    trend_of,
)

DAY_S = 86_400.0


def hourly(days: int, slope: float, *, seed: int = 1, noise: float = 0.02) -> tuple[list[float], list[float]]:
    """A load with a daily rhythm that is ten times its trend, and noise."""
    rng = np.random.default_rng(seed)
    times = np.arange(24 * days) * 3600.0
    rhythm = 0.3 + 0.2 * np.sin(2 * np.pi * times / DAY_S)
    return times.tolist(), (rhythm + slope * times / DAY_S + rng.normal(0, noise, len(times))).tolist()


def found(days: Days, peaks: Days, today: float = math.inf) -> Trend:
    trend = trend_of(days, peaks, today)
    assert trend is not None
    return trend


def test_each_day_counts_by_its_peak() -> None:
    days, peaks = daily_peaks([0, 100, DAY_S, 3 * DAY_S + 5], [1.0, 3.0, 2.0, 7.0])
    assert days.tolist() == [0, 1, 3]
    assert peaks.tolist() == [3.0, 2.0, 7.0]


def test_slope_is_found_through_the_rhythm_of_the_day() -> None:
    trend = found(*daily_peaks(*hourly(28, 0.002)))
    assert trend.slope == pytest.approx(0.002, abs=0.001)
    assert trend.low <= 0.002 <= trend.high
    assert trend.is_certain


def test_what_does_not_grow_is_not_certain_to() -> None:
    trend = found(*daily_peaks(*hourly(28, 0.0)))
    assert trend.low < 0 < trend.high
    assert not trend.is_certain


def test_a_fifth_of_wrong_days_does_not_turn_it() -> None:
    days = np.arange(20.0)
    peaks = 1 + 0.01 * days
    peaks[[3, 8, 12, 17]] = 50.0
    assert found(days, peaks).slope == pytest.approx(0.01, abs=0.005)


def test_too_little_history_has_no_trend() -> None:
    days = np.arange(float(LEAST_DAYS))
    assert trend_of(days[:-1], days[:-1]) is None
    assert trend_of(days, days) is not None
    assert trend_of(np.array([]), np.array([])) is None


def test_today_is_not_over_and_raises_the_level_alone() -> None:
    days = np.arange(15.0)
    peaks = np.append(np.full(14, 0.2), 0.9)
    trend = found(days, peaks, today=14)
    assert (trend.slope, trend.level, trend.days) == (0.0, 0.9, 14)
    assert trend_of(days[:7], days[:7], today=6) is None


def test_level_is_the_highest_of_the_last_week_alone() -> None:
    peaks = np.full(20, 0.2)
    peaks[5], peaks[15] = 0.9, 0.4
    assert found(np.arange(20.0), peaks).level == 0.4


def test_days_that_are_missing_count_by_their_distance() -> None:
    days = np.array([0, 1, 2, 10, 11, 12, 20, 21.0])
    assert found(days, 0.5 * days).slope == pytest.approx(0.5)


def test_interval_is_that_of_the_published_example() -> None:
    # Gilbert (1987), 16.4: with n = 10 and no ties the variance is 125; of 45 slopes at 90 %, C is 18.39,
    # and the limits are the 13.3rd and the 32.7th of them.
    days = np.arange(10.0)
    assert kendall_variance(days) == 125.0
    rng = np.random.default_rng(3)
    peaks = rng.normal(size=10)
    first, second = np.triu_indices(10, 1)
    slopes = np.sort((peaks[second] - peaks[first]) / (second - first))
    trend = found(days, peaks)
    assert slopes[11] <= trend.low <= slopes[13]
    assert slopes[31] <= trend.high <= slopes[33]


def test_ties_lower_the_variance() -> None:
    assert kendall_variance(np.array([1.0, 1, 1, 2, 3])) < kendall_variance(np.arange(5.0))
    assert kendall_variance(np.ones(8)) == 0


def test_interval_holds_what_it_says_for_independent_days() -> None:
    rng = np.random.default_rng(5)
    days = np.arange(30.0)
    held = 0
    for _ in range(300):
        trend = found(days, 0.01 * days + rng.normal(0, 0.1, 30))
        held += trend.low <= 0.01 <= trend.high
    assert 0.85 <= held / 300 <= 0.97


def test_days_until_the_limit_from_the_highest_of_the_week() -> None:
    trend = Trend(slope=0.01, low=0.005, high=0.02, level=0.5, days=30)
    reach = reach_of(trend, 0.8)
    assert [reach.days, reach.soonest, reach.latest] == pytest.approx([30, 15, 60])


def test_what_does_not_grow_reaches_nothing_and_what_is_there_is_there() -> None:
    assert reach_of(Trend(-0.01, -0.02, 0.002, 0.5, 30), 0.8) == Reach(None, pytest.approx(150), None)  # type: ignore[arg-type]
    assert reach_of(Trend(-0.01, -0.02, -0.005, 0.5, 30), 0.8) == Reach(None, None, None)
    assert reach_of(Trend(0.0, 0.0, 0.0, 0.9, 30), 0.8) == Reach(0.0, 0.0, 0.0)


def test_beyond_a_year_is_not_told() -> None:
    slope = 0.3 / (HORIZON_DAYS + 1)
    assert reach_of(Trend(slope, slope, slope, 0.5, 30), 0.8) == Reach(None, None, None)


@given(st.lists(st.floats(-1e3, 1e3), min_size=LEAST_DAYS, max_size=40), st.floats(-5, 5), st.floats(0.1, 10))
def test_law_interval_holds_the_slope_and_follows_shift_and_scale(
    values: list[float], shift: float, scale: float
) -> None:
    days, peaks = np.arange(float(len(values))), np.array(values)
    trend, moved = found(days, peaks), found(days, scale * peaks + shift)
    assert trend.low <= trend.slope <= trend.high
    assert moved.slope == pytest.approx(scale * trend.slope, abs=1e-6 * scale)


@given(
    st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0.1, 3), st.floats(0.01, 3)
)
def test_law_soonest_is_no_later_than_latest_and_a_higher_limit_no_sooner(
    slope: float, down: float, up: float, level: float, limit: float, more: float
) -> None:
    trend = Trend(slope, slope - down, slope + up, level, 30)
    near, far = reach_of(trend, limit), reach_of(trend, limit + more)
    never = math.inf

    def or_never(days: float | None) -> float:
        return never if days is None else days

    assert or_never(near.soonest) <= or_never(near.days) <= or_never(near.latest)
    assert or_never(near.days) <= or_never(far.days)
