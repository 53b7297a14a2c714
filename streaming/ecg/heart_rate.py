"""Heart rate from beats: a mean that is steady, and that stops when the beats do."""

from __future__ import annotations

from collections import deque

MEAN_OF = 12
SLOW_MEAN_OF = 4
SLOW_RR_S = 1.2
SLOW_IN_A_ROW = 3
"""The mean of 12 RR intervals, of 4 once three in a row exceed 1200 ms: the habit of bedside monitors."""
MIN_INTERVALS = 3
"""Fewer say little: one false beat among two intervals halves the result."""
VALID_S = 4.0
"""Without a beat for this long the rate is unknown; it is also where asystole begins."""


class HeartRate:
    """Mean heart rate of one epoch; beats come with rising sample indices."""

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._intervals: deque[int] = deque(maxlen=MEAN_OF)
        self._last_beat: int | None = None

    def beat(self, sample: int) -> None:
        """A beat at this sample index."""
        if self._last_beat is not None:
            interval = sample - self._last_beat
            if interval > VALID_S * self._rate_hz:
                self._intervals.clear()
            else:
                self._intervals.append(interval)
        self._last_beat = sample

    def reset(self) -> None:
        """Samples are missing: the next interval is not measured across the hole."""
        self._intervals.clear()
        self._last_beat = None

    def value(self, now_sample: int) -> int | None:
        """Beats a minute as of sample index `now_sample`; None while it is not valid."""
        if self._last_beat is None or now_sample - self._last_beat > VALID_S * self._rate_hz:
            return None
        if len(self._intervals) < MIN_INTERVALS:
            return None
        recent = list(self._intervals)
        if min(recent[-SLOW_IN_A_ROW:]) > SLOW_RR_S * self._rate_hz:
            recent = recent[-SLOW_MEAN_OF:]
        return round(60.0 * self._rate_hz * len(recent) / sum(recent))
