"""Where a resource is heading: a robust trend of its daily peaks, and the days until its limit, with doubt.

What the hour does to a load says nothing about where it is heading: each day counts by its peak. The slope is
the median of the slopes between all pairs of days (Theil 1950; Sen, Estimates of the regression coefficient
based on Kendall's tau, JASA 1968), which a quarter of wrong days do not turn; its interval is Sen's, by the
variance of Kendall's statistic with its correction for ties (Gilbert, Statistical Methods for Environmental
Pollution Monitoring, 1987, 16.4). It supposes that days are independent of each other. Neighbouring days are
alike, so that the interval is the least that the doubt is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LEAST_DAYS = 7
"""Whole days with figures until there is a trend: each day of the week once."""
HORIZON_DAYS = 365.0
"""What lies beyond is not told: a line through some weeks says nothing of it."""
CONFIDENCE = 0.9
_Z = 1.645
_RECENT_DAYS = 7
"""The level that the trend starts from is the highest of the last week."""

Days = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trend:
    """By how much daily peaks change in a day, and within what with CONFIDENCE."""

    slope: float
    low: float
    high: float
    level: float
    """The highest peak of the last week."""
    days: int
    """That it rests on."""

    @property
    def is_certain(self) -> bool:
        """Whether it grows, or falls, beyond doubt."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Reach:
    """The days until a limit: the best guess and between what; None: not within HORIZON_DAYS."""

    days: float | None
    soonest: float | None
    latest: float | None


def daily_peaks(
    times: Sequence[float], values: Sequence[float], day_s: float = 86_400.0
) -> tuple[Days, Days]:
    """The number of each day that has values, and the highest of it."""
    highest: dict[int, float] = {}
    for at, value in zip(times, values, strict=True):
        day = math.floor(at / day_s)
        highest[day] = max(value, highest.get(day, -math.inf))
    days = sorted(highest)
    return np.array(days, float), np.array([highest[day] for day in days])


def trend_of(days: Days, peaks: Days, today: float = math.inf) -> Trend | None:
    """None below LEAST_DAYS whole days before `today`, which is not over: it may raise the level alone."""
    recent = peaks[days > min(today, days[-1] if len(days) else 0.0) - _RECENT_DAYS]
    whole = days < today
    days, peaks = days[whole], peaks[whole]
    count = len(days)
    if count < LEAST_DAYS:
        return None
    first, second = np.triu_indices(count, 1)
    slopes = np.sort((peaks[second] - peaks[first]) / (days[second] - days[first]))
    reach = _Z * math.sqrt(kendall_variance(peaks))
    # Gilbert's ranks count from one, and the upper one from the one above it.
    low = max(0, math.floor((len(slopes) - reach) / 2) - 1)
    high = min(len(slopes) - 1, math.ceil((len(slopes) + reach) / 2))
    slope = float(np.median(slopes))
    return Trend(slope, float(slopes[low]), float(slopes[high]), float(recent.max()), count)


def kendall_variance(values: Days) -> float:
    """Of Kendall's statistic, were there no trend; values that are the same know less."""
    count = len(values)
    _, ties = np.unique(values, return_counts=True)
    return (count * (count - 1) * (2 * count + 5) - float(np.sum(ties * (ties - 1) * (2 * ties + 5)))) / 18


def reach_of(trend: Trend, limit: float) -> Reach:
    """When the limit is reached if it goes on so, from the highest peak of the last week."""
    room = limit - trend.level
    return Reach(*(_days(room, slope) for slope in (trend.slope, trend.high, trend.low)))


def _days(room: float, slope: float) -> float | None:
    if room <= 0:
        return 0.0
    days = room / slope if slope > 0 else math.inf
    return days if days <= HORIZON_DAYS else None
