"""Causal FIR filters whose output is the same to the last bit, however the signal is cut into chunks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

INPUT_SCALE = 8.0
INPUT_LIMIT_UV = 131_072.0
KERNEL_SCALE = 2.0**18
"""Microvolts are taken in steps of 1/8, up to 131 mV, kernels in steps of 2^-18.

So all sums are of integers: at most 2^20 * 2^18 * the kernel's absolute sum (below 4) = 2^40, and 2^50 after
a moving sum over a thousand values. Below 2^53 every order of adding gives the same float64 everywhere.
"""


def band_pass(low_hz: float, high_hz: float, rate_hz: float, length_s: float) -> FloatArray:
    """A linear-phase windowed-sinc kernel (Hamming) of odd length: gain 1 at the geometric centre, 0 at 0 Hz.

    Without the latter, which the window spoils by 0.8 %, an offset of 5 mV would add 40 microvolts.
    """
    taps = int(length_s * rate_hz) | 1
    n = np.arange(taps) - taps // 2
    low, high = (2 * edge / rate_hz * np.sinc(2 * edge / rate_hz * n) for edge in (low_hz, high_hz))
    window = np.hamming(taps)
    kernel = (high - low) * window
    kernel -= window * (kernel.sum() / window.sum())
    centre = np.exp(-2j * np.pi * np.sqrt(low_hz * high_hz) / rate_hz * n)
    normal: FloatArray = kernel / abs(np.sum(kernel * centre))
    return normal


class ExactFir:
    """One FIR filter with a memory; before its first sample it assumes that this one always was."""

    def __init__(self, kernel: FloatArray) -> None:
        self.delay = (len(kernel) - 1) // 2
        self._kernel = np.rint(kernel * KERNEL_SCALE)
        self._past: FloatArray | None = None

    def push(self, samples_uv: FloatArray) -> FloatArray:
        """As many filtered samples as came in, late by `delay`; exact multiples of 1/8 * 2^-18 microvolt."""
        bounded = np.clip(samples_uv, -INPUT_LIMIT_UV, INPUT_LIMIT_UV)
        steps = np.rint(bounded * INPUT_SCALE)
        memory = len(self._kernel) - 1
        if self._past is None:
            self._past = np.full(memory, steps[0])
        stretch = np.concatenate((self._past, steps))
        self._past = stretch[len(stretch) - memory :]
        return np.convolve(stretch, self._kernel, mode="valid") / (INPUT_SCALE * KERNEL_SCALE)


class MovingSum:
    """The sum of the last `width` values, which count as 0 before the first."""

    def __init__(self, width: int) -> None:
        self.delay = (width - 1) / 2
        self._ones = np.ones(width)
        self._past = np.zeros(width - 1)

    def push(self, values: FloatArray) -> FloatArray:
        """As many sums as values came in, late by `delay`."""
        stretch = np.concatenate((self._past, values))
        self._past = stretch[len(values) :]
        return np.convolve(stretch, self._ones, mode="valid")
