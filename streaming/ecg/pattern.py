"""What a stretch of ECG looks like to someone who only wants to know whether it is worth looking at."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from streaming.core.patterns import DataPattern

MIN_SAMPLES = 64
"""Fewer say nothing: at 250 Hz that is a quarter of a second."""
TYPICAL_GAIN_UV = 5.0
"""Microvolts a step of monitors to IEC 60601-2-27, near enough, and of MIT-BIH."""
FLAT_UV = 100.0
"""The smallest QRS complexes of low voltage are 500 uV high, and an idle amplifier's noise is below 50."""
RAIL_SHARE = 0.5
"""Of the samples, at a limit of the converter: no rhythm stays there, a saturated amplifier does."""
MIN_RAIL = 127
NOISE_SHARE = 0.045
"""Of the signal's height, the noise from sample to sample: 0.3-3.3 % in MIT-BIH and vfdb as they are; with
white noise of a tenth of the height added, more than 6 %."""


def pattern_of(
    samples: npt.NDArray[Any], *, gain_uv: float = TYPICAL_GAIN_UV, arrhythmia: bool = False
) -> DataPattern:
    """The pattern of samples of shape (leads, n) or (n,), with `gain_uv` microvolts a step.

    One lead that does not move, or lies at its converter's limit, names the whole. Flat is what is flat on
    all leads, noisy what is noisy on at least half of those that are not flat. Whether there is an
    arrhythmia is judged elsewhere, and said here only where there is a signal. Too few samples are NORMAL.
    """
    leads = np.atleast_2d(samples)
    if leads.shape[-1] < MIN_SAMPLES:
        return DataPattern.ARRHYTHMIA if arrhythmia else DataPattern.NORMAL
    low, high = leads.min(axis=-1, keepdims=True), leads.max(axis=-1, keepdims=True)
    height = (high.astype(np.float64) - low)[..., 0]
    if (height == 0).any() or _at_rail(leads, low) or _at_rail(leads, high):
        return DataPattern.LEAD_OFF
    flat = height * gain_uv <= FLAT_UV
    if flat.all():
        return DataPattern.FLAT
    if arrhythmia:
        return DataPattern.ARRHYTHMIA
    noisy = (_noise(leads) > NOISE_SHARE * height)[~flat]
    return DataPattern.NOISY if 2 * noisy.sum() >= len(noisy) else DataPattern.NORMAL


def _at_rail(leads: npt.NDArray[Any], extremes: npt.NDArray[Any]) -> bool:
    """Whether a lead spends half of its time at an extreme that is a converter's limit: 2^n - 1 or -2^n.

    A limit alone proves it: a quiet trace with upright complexes spends most of its time at its lowest value.
    """
    shares = (leads == extremes).mean(axis=-1)
    for share, extreme in zip(shares, extremes[..., 0].tolist(), strict=True):
        limit = extreme + 1 if extreme > 0 else -extreme
        if share >= RAIL_SHARE and limit > MIN_RAIL and math.frexp(limit)[0] == 0.5:
            return True
    return False


def _noise(leads: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The deviation from sample to sample that no QRS explains.

    The median of second differences: complexes are few samples among many, and slow waves are straight
    lines over three samples. White noise of deviation 1 has second differences of deviation sqrt(6), the
    median of whose sizes is 0.6745 times that.
    """
    bends = np.abs(np.diff(leads.astype(np.float64), n=2, axis=-1))
    noise: npt.NDArray[np.float64] = np.median(bends, axis=-1) / (0.6745 * np.sqrt(6))
    return noise
