"""When the next beat of a simulated rhythm comes, and where it starts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from streaming.ecg.waves import BeatShape


@dataclass(frozen=True, slots=True)
class PlannedBeat:
    """R peak in seconds since the start; `rr_s` is the rate's interval, which shapes the waves."""

    time_s: float
    rr_s: float
    shape: BeatShape
    scale: float = 1.0


FIRST_BEAT = 0.6
"""How long after its beginning a rhythm has its first R peak, in RR intervals: room for the P wave."""
ECTOPIC = (0.85, 1.2)
"""Sizes of premature beats: with `waves`, 1.36 to 1.92 times a sinus beat's R in lead II."""

BeatTimes = Callable[[np.random.Generator, float], Iterator[PlannedBeat]]
"""An endless rhythm out of a random generator and the mean RR interval in seconds; times only rise."""


def sinus(rng: np.random.Generator, rr_s: float) -> Iterator[PlannedBeat]:
    """Regular beats whose interval breathes."""
    breathing = Breathing(rng, rr_s)
    time_s = FIRST_BEAT * rr_s
    while True:
        interval = breathing.interval(time_s)
        yield PlannedBeat(time_s, interval, BeatShape.SINUS, rng.normal(1.0, 0.015))
        time_s += interval


def atrial_fibrillation(rng: np.random.Generator, rr_s: float) -> Iterator[PlannedBeat]:
    """Irregularly irregular beats without P: a coefficient of variation of 0.22, no memory."""
    cv = 0.22
    time_s = FIRST_BEAT * rr_s
    while True:
        yield PlannedBeat(time_s, rr_s, BeatShape.NO_P, rng.normal(1.0, 0.05))
        time_s += max(0.5 * rr_s, rr_s * rng.lognormal(-cv * cv / 2, cv))


def premature_beats(rng: np.random.Generator, rr_s: float) -> Iterator[PlannedBeat]:
    """Sinus with a ventricular beat after 2 to 10 beats: early by 30-50 % of RR, then a full pause."""
    breathing = Breathing(rng, rr_s)
    time_s, interval = FIRST_BEAT * rr_s, rr_s
    while True:
        for _ in range(rng.integers(2, 11)):
            interval = breathing.interval(time_s)
            yield PlannedBeat(time_s, interval, BeatShape.SINUS, rng.normal(1.0, 0.015))
            time_s += interval
        # The beat that the loop would have placed at time_s is overtaken by the premature one, and the
        # next sinus beat keeps its own time: the pause is fully compensatory.
        early = time_s - interval * (1.0 - rng.uniform(0.5, 0.7))
        yield PlannedBeat(early, interval, BeatShape.VENTRICULAR, rng.uniform(*ECTOPIC))
        time_s += breathing.interval(time_s)


def couplets(rng: np.random.Generator, rr_s: float) -> Iterator[PlannedBeat]:
    """Sinus with two ventricular beats in a row after 3 to 10 beats, then a pause."""
    breathing = Breathing(rng, rr_s)
    time_s, interval = FIRST_BEAT * rr_s, rr_s
    while True:
        for _ in range(rng.integers(3, 11)):
            interval = breathing.interval(time_s)
            yield PlannedBeat(time_s, interval, BeatShape.SINUS, rng.normal(1.0, 0.015))
            time_s += interval
        early = time_s - interval * (1.0 - rng.uniform(0.5, 0.7))
        scale = rng.uniform(*ECTOPIC)
        yield PlannedBeat(early, interval, BeatShape.VENTRICULAR, scale)
        second = early + interval * rng.uniform(0.5, 0.6)
        yield PlannedBeat(second, interval, BeatShape.VENTRICULAR, scale)
        time_s = second + interval * rng.uniform(1.2, 1.4)


def bigeminy(rng: np.random.Generator, rr_s: float) -> Iterator[PlannedBeat]:
    """Every sinus beat is followed by a ventricular one, early by 30-50 % of RR, and a full pause."""
    breathing = Breathing(rng, rr_s)
    time_s = FIRST_BEAT * rr_s
    while True:
        interval = breathing.interval(time_s)
        yield PlannedBeat(time_s, interval, BeatShape.SINUS, rng.normal(1.0, 0.015))
        early = time_s + interval * rng.uniform(0.5, 0.7)
        yield PlannedBeat(early, interval, BeatShape.VENTRICULAR, rng.uniform(*ECTOPIC))
        time_s += 2 * interval


def ventricular_tachycardia(rng: np.random.Generator, rr_s: float) -> Iterator[PlannedBeat]:
    """Ventricular beats without end, with a coefficient of variation of 0.015."""
    time_s = FIRST_BEAT * rr_s
    while True:
        yield PlannedBeat(time_s, rr_s, BeatShape.VENTRICULAR, rng.normal(0.9, 0.03))
        time_s += rr_s * rng.normal(1.0, 0.015)


def ventricular_runs(rng: np.random.Generator, rr_s: float) -> Iterator[PlannedBeat]:
    """Sinus with a run of 6 to 20 ventricular beats at 140-190 bpm after every 8 to 20 s."""
    breathing = Breathing(rng, rr_s)
    time_s, interval = FIRST_BEAT * rr_s, rr_s
    while True:
        run_starts_s = time_s + rng.uniform(8.0, 20.0)
        while time_s < run_starts_s:
            interval = breathing.interval(time_s)
            yield PlannedBeat(time_s, interval, BeatShape.SINUS, rng.normal(1.0, 0.015))
            time_s += interval
        run_rr_s = 60.0 / rng.uniform(140.0, 190.0)
        time_s -= 0.4 * interval
        for _ in range(rng.integers(6, 21)):
            yield PlannedBeat(time_s, run_rr_s, BeatShape.VENTRICULAR, rng.normal(0.9, 0.03))
            time_s += run_rr_s * rng.normal(1.0, 0.015)
        time_s += rr_s


class Breathing:
    """RR intervals with a low (0.1 Hz) and a respiratory (0.25 Hz) rhythm of power ratio 0.5.

    After McSharry et al. 2003, whose spectrum has a width around both frequencies; here each is one
    sinusoid, and a small random part makes up for it. In all 4 % of RR.
    """

    HIGH = 0.045
    LOW = HIGH * math.sqrt(0.5)
    RANDOM = 0.008

    def __init__(self, rng: np.random.Generator, rr_s: float) -> None:
        self._rng = rng
        self._rr_s = rr_s
        self._low_phase, self._high_phase = rng.uniform(0.0, math.tau, 2)

    def interval(self, time_s: float) -> float:
        low = self.LOW * math.sin(math.tau * 0.1 * time_s + self._low_phase)
        high = self.HIGH * math.sin(math.tau * 0.25 * time_s + self._high_phase)
        return self._rr_s * (1.0 + low + high + self._rng.normal(0.0, self.RANDOM))
