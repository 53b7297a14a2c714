"""Three bands of a lead: how strong each is over time, and where one of them peaks."""

from __future__ import annotations

import numpy as np

from streaming.ecg.filters import ExactFir, FloatArray, MovingSum, band_pass

QRS_HZ, FAST_HZ, SLOW_HZ = (8.0, 20.0), (18.0, 40.0), (3.0, 10.0)
"""Where most of a QRS complex lies; where its edges lie, above most noise of movement; where T waves lie."""
FILTER_S, FAST_FILTER_S = 0.16, 0.12
SLOPE_S = 0.008
WINDOW_S = 0.10
"""Lengths of the filters, step of the derivative, length of the moving window."""
ASIDE_S = 0.03
"""A peak is higher than what is so far away: noise has many that are not."""
QRS, FAST, SLOW = range(3)


class QrsBands:
    """The strength of three bands of one lead from `first_sample` on, for the last `memory_s` at least.

    Strength is the mean over WINDOW_S of the absolute value of each band, of its derivative in the QRS band,
    in microvolts. All are of linear phase and aligned: a sample index means the same moment in each. Sums are
    exact (see `filters`), so that chunks leave no trace.
    """

    def __init__(self, rate_hz: float, first_sample: int, memory_s: float) -> None:
        slow = band_pass(*SLOW_HZ, rate_hz, FILTER_S)
        low_hz, high_hz = FAST_HZ
        low_hz, high_hz = min(low_hz, 0.3 * rate_hz), min(high_hz, 0.45 * rate_hz)
        fast = band_pass(low_hz, high_hz, rate_hz, FAST_FILTER_S)
        fast = np.pad(fast, (len(slow) - len(fast)) // 2)
        self._filter = ExactFir(np.array([band_pass(*QRS_HZ, rate_hz, FILTER_S), fast, slow]))
        width = max(3, round(WINDOW_S * rate_hz)) | 1
        self._window = MovingSum(3, width)
        self._per_sample = 1.0 / width
        self._step = max(1, round(SLOPE_S * rate_hz))
        self._memory = round(memory_s * rate_hz) + width
        self._aside = max(2, round(ASIDE_S * rate_hz))
        self.waves = np.zeros((3, self._memory))
        """The bands themselves, (3, n), from sample index `waves_from` on."""
        self.waves_from = first_sample - self._filter.delay - self._memory
        self.strengths = np.zeros((3, self._memory))
        """(3, n), from sample index `strengths_from` on."""
        self.strengths_from = first_sample - self.lag - self._memory

    @property
    def lag(self) -> int:
        """By so many samples the strengths are late."""
        lag: int = self._filter.delay + self._step // 2 + self._window.width // 2
        return lag

    @property
    def stop(self) -> int:
        """The first sample index whose strength is not known yet."""
        return self.strengths_from + int(self.strengths.shape[1])

    def push(self, samples_uv: FloatArray) -> list[int]:
        """Take the next samples, (n,), at least one: where the QRS band or the fast band peaks, rising.

        A peak is the highest of its moment's neighbours and of what is ASIDE_S away; it is told so late.
        """
        fresh = len(samples_uv)
        bands = self._filter.push(samples_uv)
        outlived = self.waves.shape[1] - self._memory
        self.waves = np.concatenate((self.waves[:, outlived:], bands), axis=1)
        qrs = self.waves[QRS]
        bands[QRS] = qrs[-fresh:] - qrs[-fresh - self._step : -self._step]
        strengths = self._window.push(np.abs(bands)) * self._per_sample
        self.strengths = np.concatenate((self.strengths[:, outlived:], strengths), axis=1)
        self.waves_from += outlived
        self.strengths_from += outlived
        return self._peaks(fresh)

    def _peaks(self, fresh: int) -> list[int]:
        aside = self._aside
        recent = self.strengths[:SLOW, -fresh - 2 * aside :]
        here = recent[:, aside:-aside]
        peaks = (recent[:, aside - 1 : -aside - 1] <= here) & (
            here > recent[:, aside + 1 : fresh + aside + 1]
        )
        peaks &= (here >= recent[:, :fresh]) & (here >= recent[:, 2 * aside :])
        first = self.stop - fresh - aside
        return [first + at for at in np.flatnonzero(peaks[QRS] | peaks[FAST]).tolist()]
