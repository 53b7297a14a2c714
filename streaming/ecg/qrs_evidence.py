"""What speaks for a peak being a QRS complex: numbers that a model weighs."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streaming.ecg.filters import FloatArray
from streaming.ecg.qrs_bands import FAST, QRS, SLOW, QrsBands

BEFORE_S, AFTER_S = 0.45, 0.24
"""How much of the past and of the future is looked at; the latter is part of a beat's delay."""
NEAR_S, NEAR_STEP_S = 0.06, 0.01
"""A peak is the highest of this; so near to each other are peaks of both bands that belong to one complex."""
ASIDE_S = 0.10
BEFORE_STEP_S, AFTER_STEP_S = 0.025, 0.02
"""Beyond this a peak's surroundings begin; strengths change little within such steps."""
LEFT_S = 0.30
"""How far back a higher peak is looked for."""
ALIKE_S = 0.08
"""A peak is compared with others over so much time before and after where it is largest."""
COMPLEX_BEFORE_S, COMPLEX_AFTER_S = 0.14, 0.17
"""What belongs to a complex, with the little that it may be shifted by."""
LEVELS = 8
"""Beats whose median height and interval are the usual ones."""
TEMPLATE_WEIGHT, TEMPLATE_LIKE, TEMPLATE_MIN = 1 / 8, 0.5, 3
"""The learned shape is a running mean of the first three beats, and of those that correlate by a half."""
T_WAVE_S = 0.36
REPOLARISED_S = 0.4
"""So soon after a beat there may be a T wave; so long its height is compared with that beat's."""
SMALLEST_UV = 1e-3
LOG_LEAST, LOG_MOST = -4.0, 5.0
NORMAL_SPREAD = 0.15
"""Bounds of what the model gets to see, and what it is told before there are intervals."""

FEATURES = (
    "qrs/level",
    "fast/level",
    "slow/level",
    "qrs/quiet",
    "fast/quiet",
    "slow/quiet",
    "qrs/usual",
    "fast/usual",
    "qrs/after",
    "fast/after",
    "qrs/before",
    "fast/before",
    "usual qrs/level",
    "usual fast/level",
    "loud qrs/level",
    "loud fast/level",
    "level qrs/fast",
    "since/interval",
    "since",
    "within T wave",
    "qrs/last",
    "likeness",
    "likeness fast",
    "likeness either way up",
    "size",
    "size fast",
    "spread of intervals",
)


@dataclass(frozen=True, slots=True, eq=False)
class Peak:
    """What is seen of a peak at sample index `at`, whatever came before it.

    `heights` are the three bands' largest strengths within NEAR_S; the others are, for each band, the largest
    strength after and before it, and how strong the fifth, half and four fifths of its surroundings are at
    most. `sample` is where the QRS band is largest, `amplitude_uv` its absolute value there, `shape`, (2,
    n), both bands around it, `energy` their sums of squares, and `bands`, (3, m), all of them in a wider
    stretch.
    """

    at: int
    heights: list[float]
    after: list[float]
    before: list[float]
    quiet: list[float]
    usual: list[float]
    loud: list[float]
    sample: int
    amplitude_uv: float
    shape: FloatArray
    energy: tuple[float, float]
    bands: FloatArray

    @property
    def wave(self) -> FloatArray:
        """The lead at 3-40 Hz, (m,)."""
        wave: FloatArray = self.bands.sum(axis=0)
        return wave


@dataclass(frozen=True, slots=True)
class Evidence:
    """About the peak whose QRS band is largest at `sample`: `values` are named by FEATURES."""

    sample: int
    values: list[float]


class Surroundings:
    """Looks at peaks: which samples are read, at one sampling rate."""

    def __init__(self, rate_hz: float) -> None:
        def offsets(first_s: float, last_s: float, step_s: float) -> list[int]:
            count = round((last_s - first_s) / step_s) + 1
            return [round((first_s + i * step_s) * rate_hz) for i in range(count)]

        near = offsets(-NEAR_S, NEAR_S, NEAR_STEP_S)
        before = offsets(-BEFORE_S, -ASIDE_S, BEFORE_STEP_S)
        after = offsets(ASIDE_S, AFTER_S, AFTER_STEP_S)
        self.needs_after = max(after)
        self._near, aside = len(near), len(before) + len(after)
        self._ranks = np.array([aside // 5, aside // 2, 4 * aside // 5])
        self._left = sum(at >= -round(LEFT_S * rate_hz) for at in before)
        self._after = len(after)
        self._offsets = np.array(near + before + after)
        self._reach = round(NEAR_S * rate_hz)
        self._alike = round(ALIKE_S * rate_hz)
        self._complex_before = round(COMPLEX_BEFORE_S * rate_hz)
        self._complex_after = round(COMPLEX_AFTER_S * rate_hz)

    def peak(self, bands: QrsBands, at: int) -> Peak | None:
        """What is seen there; None where neither band is at its highest there."""
        seen = bands.strengths[:, self._offsets + (at - bands.strengths_from)]
        near, aside = seen[:, : self._near], seen[:, self._near :]
        heights: list[float] = np.maximum.reduce(near, axis=1).tolist()
        qrs, fast, _ = near[:, self._near // 2].tolist()
        if heights[QRS] > qrs and heights[FAST] > fast:
            return None
        ordered = np.sort(aside, axis=1)
        quiet, usual, loud = ordered[:, self._ranks].T.tolist()
        first = at - bands.waves_from - self._reach
        largest = first + int(np.abs(bands.waves[QRS, first : first + 2 * self._reach + 1]).argmax())
        shape = bands.waves[:SLOW, largest - self._alike : largest + self._alike + 1].copy()
        energy = np.add.reduce(shape * shape, axis=1).tolist()
        return Peak(
            at,
            heights,
            np.maximum.reduce(aside[:, -self._after :], axis=1).tolist(),
            np.maximum.reduce(aside[:, -self._after - self._left : -self._after], axis=1).tolist(),
            quiet,
            usual,
            loud,
            bands.waves_from + largest,
            abs(float(bands.waves[QRS, largest])),
            shape,
            (energy[0], energy[1]),
            bands.waves[:, largest - self._complex_before : largest + self._complex_after + 1].copy(),
        )


class Learned:
    """What the beats so far were like: their heights, their shape, their intervals."""

    def __init__(self, first: Peak) -> None:
        self._heights: list[deque[float]] = [deque([height], LEVELS) for height in first.heights]
        self._levels = list(first.heights)
        self._template, self._taught = first.shape, 0
        self._template_energy = first.energy
        self._intervals: deque[int] = deque(maxlen=LEVELS)
        self.last: Peak | None = None
        self.interval = 0.0
        """The median RR interval in samples; 0 while there is none."""
        self._spread = NORMAL_SPREAD

    @property
    def levels(self) -> list[float]:
        """The median heights of the last beats, of each band."""
        return self._levels

    def accept(self, peak: Peak, *, sure: bool) -> None:
        """This peak is a beat; a sure one also teaches its shape."""
        for heights, height in zip(self._heights, peak.heights, strict=True):
            heights.append(height)
        self._levels = [_median(heights) for heights in self._heights]
        if self.last is not None:
            self._intervals.append(peak.at - self.last.at)
            self.interval = _median(self._intervals)
            if len(self._intervals) > 2:
                mean = sum(self._intervals) / len(self._intervals)
                spread = sum((each - mean) ** 2 for each in self._intervals) / len(self._intervals)
                self._spread = math.sqrt(spread) / self.interval
        self.last = peak
        if sure or self._taught < TEMPLATE_MIN:
            self._teach(peak)

    def _teach(self, peak: Peak) -> None:
        alike = self._likeness(peak)[0]
        if self._taught >= TEMPLATE_MIN and alike <= TEMPLATE_LIKE * math.sqrt(
            peak.energy[0] * self._template_energy[0]
        ):
            return
        weight = max(TEMPLATE_WEIGHT, 1 / (self._taught + 2))
        self._template = (1 - weight) * self._template + weight * peak.shape
        energy = np.add.reduce(self._template * self._template, axis=1).tolist()
        self._template_energy = (energy[0], energy[1])
        self._taught += 1

    def _likeness(self, peak: Peak) -> list[float]:
        products: list[float] = np.add.reduce(peak.shape * self._template, axis=1).tolist()
        return products

    def evidence(self, peak: Peak, rate_hz: float) -> Evidence:
        """This peak beside what is known of others."""
        level, height = self._levels, peak.heights
        since = math.inf if self.last is None else peak.at - self.last.at
        since_s = since / rate_hz
        alike, alike_fast = self._likeness(peak)
        own, own_fast = self._template_energy
        similar = alike / (math.sqrt(peak.energy[0] * own) + SMALLEST_UV)
        both = height[:SLOW]
        values = [
            *_logs(
                (*height, *height, *both, *both, *both, *peak.usual[:SLOW], *peak.loud[:SLOW], level[QRS]),
                (
                    *(*level, *peak.quiet, *peak.usual[:SLOW], *peak.after[:SLOW], *peak.before[:SLOW]),
                    *(*level[:SLOW], *level[:SLOW], level[FAST]),
                ),
            ),
            min(3.0, since / self.interval) if self.interval else 1.0,
            min(2.0, since_s),
            float(since_s < T_WAVE_S),
            _log(height[QRS], self.last.heights[QRS])
            if self.last is not None and since_s < REPOLARISED_S
            else 0.0,
            similar,
            alike_fast / (math.sqrt(peak.energy[1] * own_fast) + SMALLEST_UV),
            abs(similar),
            _log(abs(alike), own),
            _log(abs(alike_fast), own_fast),
            min(1.5, self._spread),
        ]
        return Evidence(peak.sample, values)


def _log(value: float, to: float) -> float:
    """The logarithm of a ratio, within bounds."""
    return _logs((value,), (to,))[0]


def _logs(values: Sequence[float], to: Sequence[float]) -> list[float]:
    """The logarithms of ratios, within bounds."""
    small, log = SMALLEST_UV, math.log
    logarithms = [log((value + small) / (other + small)) for value, other in zip(values, to, strict=True)]
    if min(logarithms) < LOG_LEAST or max(logarithms) > LOG_MOST:
        return [min(LOG_MOST, max(LOG_LEAST, each)) for each in logarithms]
    return logarithms


def _median(values: deque[float] | deque[int]) -> float:
    return sorted(values)[len(values) // 2]
