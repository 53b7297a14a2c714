"""What the sequence of beats says of the rhythm: RR statistics, atrial fibrillation, ventricular ectopy."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from streaming.ecg.beats import Beat

STATISTICS_OF = 32
MIN_INTERVALS = 16
"""RR intervals that statistics are made of, at most and at least."""
AF_RMSSD = 0.10
"""Above this part of the mean RR interval the RMSSD is that of fibrillation (Dash, Chon, Lu and Raeder,
Automatic real time detection of atrial fibrillation, Annals of Biomedical Engineering 2009)."""
AF_ENTROPY = -1.0
"""The coefficient of sample entropy of fibrillation lies above (Lake and Moorman, Accurate estimation of
entropy in very short physiological time series, American Journal of Physiology 2011). They take -1.4 and no
RMSSD; a quarter of the sinus arrhythmia of mitdb 113 would be fibrillation with it, and nothing more of that
of 201 be found."""
ENTROPY_TOLERANCE_S = 0.030
ENTROPY_MATCHES = 5
"""Intervals match within 30 ms, or within the least multiple of it that lets five pairs match (ibid.)."""
ENTROPY_TOLERANCES = 40
PVC_WINDOW_S = 60.0
RUN = 3
"""As many ventricular beats in a row are a run."""
BIGEMINY_PAIRS = 3


class Ectopy(StrEnum):
    """What ventricular beats form, from the mildest to what ends in tachycardia."""

    NONE = "none"
    SINGLE = "single"
    BIGEMINY = "bigeminy"
    COUPLET = "couplet"
    RUN = "run"


class RhythmName(StrEnum):
    """What is said of a rhythm, as information."""

    ATRIAL_FIBRILLATION = "af"
    SINGLE = "pvc"
    BIGEMINY = "bigeminy"
    COUPLET = "couplet"
    RUN = "run"


_NAMES = {
    Ectopy.SINGLE: RhythmName.SINGLE,
    Ectopy.BIGEMINY: RhythmName.BIGEMINY,
    Ectopy.COUPLET: RhythmName.COUPLET,
    Ectopy.RUN: RhythmName.RUN,
}


@dataclass(frozen=True, slots=True)
class IntervalStatistics:
    """Of the last RR intervals between beats that are not ventricular, in milliseconds."""

    mean_ms: float
    sdnn_ms: float
    """Standard deviation."""
    rmssd_ms: float
    """Root of the mean square of differences between successive intervals."""
    entropy: float
    """Coefficient of sample entropy: higher is less regular."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Information, not alarm: `intervals` is None, and fibrillation not judged, before 16 intervals.

    `ectopy` is that of the last minute's ventricular beats, `run_length` the longest row of them.
    """

    intervals: IntervalStatistics | None
    atrial_fibrillation: bool
    ectopy: Ectopy
    ventricular_per_minute: int
    run_length: int

    @property
    def name(self) -> RhythmName | None:
        """What stands out; None for what is regular, or not known."""
        if self.atrial_fibrillation:
            return RhythmName.ATRIAL_FIBRILLATION
        return _NAMES.get(self.ectopy)


class RhythmMonitor:
    """Follows the beats of one epoch; they come with rising sample indices."""

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._intervals: deque[tuple[float, bool]] = deque(maxlen=STATISTICS_OF)
        """In seconds, and whether it follows the one before it without a beat between them."""
        self._recent: deque[tuple[Beat, bool]] = deque()
        """The beats of the last minute, since the last gap, and which of them come behind a hole."""
        self._joined = False

    def reset(self) -> None:
        """Samples are missing: no interval, and no pattern, reaches across the hole."""
        self._recent.clear()
        self._intervals.clear()
        self._joined = False

    def beat(self, beat: Beat, *, apart: bool = False) -> None:
        """The next beat; `apart` where it is behind a hole: no interval, and no pattern, reaches across."""
        if self._recent:
            last, _ = self._recent[-1]
            if apart or last.ventricular or beat.ventricular:
                self._joined = False
            else:
                self._intervals.append(((beat.sample - last.sample) / self._rate_hz, self._joined))
                self._joined = True
        self._recent.append((beat, apart))
        self._forget(beat.sample)

    def value(self, now_sample: int) -> Rhythm:
        """As of sample index `now_sample`."""
        self._forget(now_sample)
        statistics = self._statistics()
        fibrillates = (
            statistics is not None
            and statistics.rmssd_ms > AF_RMSSD * statistics.mean_ms
            and statistics.entropy > AF_ENTROPY
        )
        stretches = self._stretches()
        run_length = max((_longest_run(stretch) for stretch in stretches), default=0)
        count = sum(sum(stretch) for stretch in stretches)
        return Rhythm(statistics, fibrillates, _ectopy(stretches, run_length), count, run_length)

    def _stretches(self) -> list[list[bool]]:
        """Which beats are ventricular, of each stretch without a hole."""
        stretches: list[list[bool]] = []
        for beat, apart in self._recent:
            if apart or not stretches:
                stretches.append([])
            stretches[-1].append(beat.ventricular)
        return stretches

    def _forget(self, now_sample: int) -> None:
        first = now_sample - PVC_WINDOW_S * self._rate_hz
        while len(self._recent) > 1 and self._recent[0][0].sample < first:
            self._recent.popleft()

    def _statistics(self) -> IntervalStatistics | None:
        if len(self._intervals) < MIN_INTERVALS:
            return None
        intervals = [interval for interval, _ in self._intervals]
        mean = sum(intervals) / len(intervals)
        variance = sum((each - mean) ** 2 for each in intervals) / (len(intervals) - 1)
        steps = [
            each - last
            for last, (each, joined) in zip(intervals, list(self._intervals)[1:], strict=False)
            if joined
        ]
        rmssd = math.sqrt(sum(step**2 for step in steps) / len(steps)) if steps else 0.0
        entropy = _sample_entropy(intervals, mean)
        return IntervalStatistics(1000 * mean, 1000 * math.sqrt(variance), 1000 * rmssd, entropy)


def _sample_entropy(intervals: list[float], mean: float) -> float:
    """Its coefficient: of templates of one interval, made independent of the tolerance and of the rate."""
    pairs = [
        (abs(intervals[i] - intervals[j]), abs(intervals[i + 1] - intervals[j + 1]))
        for i in range(len(intervals) - 1)
        for j in range(i + 1, len(intervals) - 1)
    ]
    for multiple in range(1, ENTROPY_TOLERANCES + 1):
        tolerance = multiple * ENTROPY_TOLERANCE_S
        alike = [after for here, after in pairs if here <= tolerance]
        alike_after = sum(after <= tolerance for after in alike)
        if alike_after >= ENTROPY_MATCHES:
            break
    else:
        return math.inf
    return math.log(len(alike) / alike_after) + math.log(2 * tolerance) - math.log(mean)


def _longest_run(ventricular: list[bool]) -> int:
    longest = run = 0
    for each in ventricular:
        run = run + 1 if each else 0
        longest = max(longest, run)
    return longest


def _ectopy(stretches: list[list[bool]], run_length: int) -> Ectopy:
    if run_length >= RUN:
        return Ectopy.RUN
    if run_length == 2:
        return Ectopy.COUPLET
    if any(_is_bigeminal(stretch) for stretch in stretches):
        return Ectopy.BIGEMINY
    return Ectopy.SINGLE if run_length else Ectopy.NONE


def _is_bigeminal(ventricular: list[bool]) -> bool:
    """Whether every other of some beats in a row is ventricular."""
    alternations = 0
    for last, each in pairwise(ventricular):
        alternations = alternations + 1 if last != each else 0
        if alternations >= 2 * BIGEMINY_PAIRS - 1:
            return True
    return False
