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
MEASURED_S, COUNTED_S = 8.0, 30.0
"""Where holes leave few intervals, the newest is at most so old, and none that is counted is older than 30 s:
without a hole twelve intervals never are, as they are four where they are long."""
VALID_S = 4.0
"""Without a beat for this long the rate is unknown; it is also where asystole begins."""


class HeartRate:
    """Mean heart rate of one epoch; beats come with rising sample indices."""

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._intervals: deque[tuple[int, int]] = deque(maxlen=MEAN_OF)
        """The beat that each ends with, and its length."""
        self._last_beat: int | None = None

    def beat(self, sample: int, *, apart: bool = False) -> None:
        """A beat at this sample index; no interval to it is measured where it is `apart`, behind a hole."""
        if self._last_beat is not None:
            interval = sample - self._last_beat
            if interval > VALID_S * self._rate_hz:
                self._intervals.clear()
            elif not apart:
                self._intervals.append((sample, interval))
        self._last_beat = sample

    def reset(self) -> None:
        """Samples are missing: the next interval is not measured across the hole."""
        self._intervals.clear()
        self._last_beat = None

    def value(self, now_sample: int) -> int | None:
        """Beats a minute as of sample index `now_sample`; None while it is not valid."""
        if self._last_beat is None or now_sample - self._last_beat > VALID_S * self._rate_hz:
            return None
        counted_from = now_sample - COUNTED_S * self._rate_hz
        recent = [interval for at, interval in self._intervals if at >= counted_from]
        if len(recent) < MIN_INTERVALS or now_sample - self._intervals[-1][0] > MEASURED_S * self._rate_hz:
            return None
        if min(recent[-SLOW_IN_A_ROW:]) > SLOW_RR_S * self._rate_hz:
            recent = recent[-SLOW_MEAN_OF:]
        return round(60.0 * self._rate_hz * len(recent) / sum(recent))
