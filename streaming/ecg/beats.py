"""Where the heart beats: a causal QRS detector that takes one lead chunk by chunk."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from streaming.ecg.filters import ExactFir, FloatArray, MovingSum, band_pass

BAND_HZ = (8.0, 20.0)
FILTER_S = 0.2
SLOPE_S = 0.008
WINDOW_S = 0.10
"""The front end: the pass band, length of its filter, step of the derivative, length of the moving window."""
REFRACTORY_S = 0.20
"""No heart beats twice within it: of the peaks in it the highest counts."""
T_WAVE_S = 0.36
T_WAVE_HEIGHT = 0.5
"""A peak this soon after a beat, and of less than this part of its height, is a T wave."""
LEVELS = 8
THRESHOLD = 0.3
"""The threshold lies this far up from the median of 8 noise peaks to that of 8 QRS peaks."""
SEARCH_BACK_RR = 1.3
SEARCH_BACK_HEIGHT = 0.5
"""After 1.3 RR without a beat, half the threshold is enough. At 1.5 RR twelve records of mitdb lose 53 beats
instead of 30, most of them premature with a compensatory pause; false beats are 88 instead of 91."""
LEARNING_S = 2.0
RELEARN_S = 4.0
"""Levels are learned from 2 s of peaks; anew after 4 s without a beat: an artefact may have raised them."""
MIN_AMPLITUDE_UV = 50.0
"""A QRS of 0.15 mV and 100 ms has this size in the pass band; all true beats but one of twelve mitdb records
have 64 or more. It keeps noise from becoming beats when the heart stands still."""
MAX_REJECTED = 32
"""Peaks that search-back and learning can need: 4 s of them, no two within 200 ms of each other, are 20."""


@dataclass(frozen=True, slots=True)
class Beat:
    """A QRS complex: where the band-passed signal is largest, and its absolute value there.

    `lead` is the index of the lead that `sample` and `amplitude_uv` were measured on; `confidence`, from
    0 to 1, says how surely this is a beat; `ventricular`, whether it began in a ventricle.
    """

    sample: int
    amplitude_uv: float
    lead: int = 0
    confidence: float = 1.0
    ventricular: bool = False


class BeatDetector:
    """Finds the beats of one lead, at 50 to 2000 Hz; any chunking gives the same beats, to the last bit.

    The order of Pan and Tompkins (A real-time QRS detection algorithm, 1985): band-pass, derivative, moving
    window, adaptive threshold, T wave test, search-back; the levels are medians of 8 peaks, as in Hamilton
    and Tompkins (Quantitative investigation of QRS detection rules, 1986). Deviations:

    - a linear-phase FIR band-pass of 8-20 Hz in place of recursive filters of 5-15 Hz: constant delay,
      less P and T, and no state that drifts;
    - the absolute slope in place of its square: a threshold linear in amplitude loses fewer small beats
      between large ones; the window is 100 ms, not 150;
    - one threshold, on the moving window, in place of one on each signal;
    - the T wave test compares peaks of the window, not slopes;
    - search-back at 1.3 RR in place of 1.66, also when the late beat itself ends the wait;
    - levels are learned in 2 s, from the highest peak, and again after 4 s without a beat; nothing below
      50 microvolts in the pass band is a beat.

    A beat is known 0.45 s after its R peak; one found by search-back later than that, by up to half an RR
    interval; those of the first 2 s, at their end.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._kernel = band_pass(*BAND_HZ, rate_hz, FILTER_S)
        self.reset(0)

    def reset(self, at_sample: int) -> None:
        """Samples before `at_sample` are missing: begin anew there, and find no beat across the gap."""
        self._front = _FrontEnd(self._kernel, self._rate_hz, at_sample)
        self._rules = _Rules(self._rate_hz)

    def push(self, samples_uv: FloatArray) -> list[Beat]:
        """Take the next samples, (n,), in microvolts; the beats that are certain by now, in rising order."""
        if not len(samples_uv):
            return []
        beats: list[Beat] = []
        for peak in self._front.push(samples_uv):
            beats += self._rules.peak(peak)
        return beats + self._rules.wait_until(self._front.known_until)


@dataclass(frozen=True, slots=True)
class _Peak:
    """A local maximum of the integrated slope, at detector time `at`, and the beat that it may be."""

    at: int
    height: float
    beat: Beat


class _FrontEnd:
    """From samples to peaks: band-pass, derivative, absolute value, moving window, local maxima."""

    def __init__(self, kernel: FloatArray, rate_hz: float, first_sample: int) -> None:
        self._band_pass = ExactFir(kernel)
        self._step = max(1, round(SLOPE_S * rate_hz))
        width = max(3, round(WINDOW_S * rate_hz))
        self._window = MovingSum(width)
        # A peak of the window belongs to the QRS that fills it, and is known one sample later.
        self._reach = width + self._step + 1
        self._band = np.zeros(self._reach)
        self._energy = np.zeros(2)
        self._origin = first_sample - self._band_pass.delay
        self._first_sample = first_sample
        self._n = 0

    @property
    def known_until(self) -> int:
        """Every peak up to this detector time has been returned."""
        return self._n - 2

    def push(self, samples_uv: FloatArray) -> list[_Peak]:
        band = np.concatenate((self._band, self._band_pass.push(samples_uv)))
        fresh = len(samples_uv)
        slope = np.abs(band[-fresh:] - band[-fresh - self._step : -self._step])
        energy = np.concatenate((self._energy, self._window.push(slope)))
        before, here, after = energy[:-2], energy[1:-1], energy[2:]
        peaks = []
        for i in np.flatnonzero((before <= here) & (here > after)):
            # energy[i + 1] is at detector time n - 1 + i, and band[reach + k] at n + k.
            qrs = np.abs(band[i + 1 : i + self._reach])
            largest = int(qrs.argmax())
            sample = self._origin + self._n - self._reach + int(i) + 1 + largest
            if sample >= self._first_sample:
                beat = Beat(sample, float(qrs[largest]))
                peaks.append(_Peak(self._n - 1 + int(i), float(energy[i + 1]), beat))
        self._band = band[fresh:]
        self._energy = energy[fresh:]
        self._n += fresh
        return peaks


class _Rules:
    """From peaks to beats. Its time is that of the peaks and of `wait_until`: chunks leave no trace."""

    def __init__(self, rate_hz: float) -> None:
        self._refractory = round(REFRACTORY_S * rate_hz)
        self._t_wave = round(T_WAVE_S * rate_hz)
        self._learning = round(LEARNING_S * rate_hz)
        self._relearning = round(RELEARN_S * rate_hz)
        self._learn_at = self._learning
        self._forget_levels()

    def _forget_levels(self) -> None:
        self._candidate: _Peak | None = None
        self._rejected: deque[_Peak] = deque(maxlen=MAX_REJECTED)
        """Peaks since the last beat that were not taken for one: where search-back looks."""
        self._qrs_levels: deque[float] = deque(maxlen=LEVELS)
        self._noise_levels: deque[float] = deque(maxlen=LEVELS)
        self._intervals: deque[float] = deque(maxlen=LEVELS)
        self._last_at = -math.inf
        self._last_height = 0.0
        self._is_relaxed = False
        """Half the threshold holds, because a beat is overdue."""

    def peak(self, peak: _Peak) -> list[Beat]:
        """The next peak; returns the beats that became certain before it."""
        beats = self.wait_until(peak.at - 1)
        if self._candidate is None or peak.height > self._candidate.height:
            self._candidate = peak
        return beats

    def wait_until(self, now: int) -> list[Beat]:
        """There is no further peak up to `now`: do what falls due by then, in order."""
        beats: list[Beat] = []
        while True:
            if self._candidate is not None:
                if self._candidate.at + self._refractory > now:
                    return beats
                candidate, self._candidate = self._candidate, None
                beats += self._decide(candidate)
            elif self._learn_at <= now:
                beats += self._learn()
            elif self._overdue_at() + self._refractory <= now:
                beats += self._search_back()
            else:
                return beats

    def _decide(self, peak: _Peak) -> list[Beat]:
        since = peak.at - self._last_at
        if since <= self._refractory:
            return []
        if since < self._t_wave and peak.height < T_WAVE_HEIGHT * self._last_height:
            self._noise_levels.append(peak.height)
            return []
        if self._qrs_levels and self._is_beat(peak):
            return self._accept(peak)
        if self._qrs_levels:
            self._noise_levels.append(peak.height)
        self._rejected.append(peak)
        return []

    def _is_beat(self, peak: _Peak) -> bool:
        qrs, noise = _median(self._qrs_levels), _median(self._noise_levels)
        threshold = noise + THRESHOLD * (qrs - noise)
        if self._is_relaxed:
            threshold *= SEARCH_BACK_HEIGHT
        return peak.height > threshold and peak.beat.amplitude_uv >= MIN_AMPLITUDE_UV

    def _accept(self, peak: _Peak) -> list[Beat]:
        """A beat, behind the one that was overlooked if this one comes late."""
        overlooked = self._search_back(peak.at - self._t_wave) if self._overdue_at() <= peak.at else []
        if self._last_at > -math.inf:
            self._intervals.append(peak.at - self._last_at)
        self._qrs_levels.append(peak.height)
        self._last_at, self._last_height = peak.at, peak.height
        self._is_relaxed = False
        self._learn_at = peak.at + self._relearning
        while self._rejected and self._rejected[0].at <= peak.at:
            self._rejected.popleft()
        return [*overlooked, peak.beat]

    def _overdue_at(self) -> float:
        """When the next beat is so late that one may have been overlooked; inf once that was looked into."""
        if self._is_relaxed or not self._intervals:
            return math.inf
        return self._last_at + SEARCH_BACK_RR * _median(self._intervals)

    def _search_back(self, before: float = math.inf) -> list[Beat]:
        """The highest peak since the last beat, if it was one by half the threshold."""
        self._is_relaxed = True
        peaks = [peak for peak in self._rejected if self._last_at + self._t_wave < peak.at < before]
        highest = max(peaks, key=lambda peak: peak.height, default=None)
        return self._accept(highest) if highest is not None and self._is_beat(highest) else []

    def _learn(self) -> list[Beat]:
        """Take the highest of the recent peaks for a QRS, and decide about all of them again."""
        recent = [peak for peak in self._rejected if peak.at > self._learn_at - self._learning]
        heights = [peak.height for peak in recent if peak.beat.amplitude_uv >= MIN_AMPLITUDE_UV]
        self._forget_levels()
        self._learn_at += self._learning
        beats = []
        if heights:
            self._qrs_levels.append(max(heights))
            for peak in recent:
                beats += self._decide(peak)
        return beats


def _median(values: deque[float]) -> float:
    """The upper median; 0 of nothing."""
    return sorted(values)[len(values) // 2] if values else 0.0
