"""Causal FIR filters whose output is the same to the last bit, however the signal is cut into chunks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

INPUT_SCALE = 8.0
INPUT_LIMIT_UV = 131_072.0
KERNEL_SCALE = 2.0**18
"""Microvolts are taken in steps of 1/8, up to 131 mV, kernels in steps of 2^-18.

So all sums are of integers: at most 2^20 * 2^18 * the kernel's absolute sum (below 4) = 2^40, and 2^52 in
the sums of four thousand values. Below 2^53 every order of adding gives the same float64 everywhere.
"""
MOST_AT_ONCE = 2000


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
    """FIR filters, (filters, taps), of one signal; before its first sample this one always was."""

    def __init__(self, kernels: FloatArray) -> None:
        taps = kernels.shape[1]
        self.delay = (taps - 1) // 2
        self._reversed = [np.rint(kernel[::-1] * KERNEL_SCALE) for kernel in kernels]
        self._past: FloatArray | None = None
        self._memory = taps - 1

    def push(self, samples_uv: FloatArray) -> FloatArray:
        """As many as came in, (filters, n), late by `delay`; exact multiples of 1/8 * 2^-18 microvolt."""
        steps = np.rint(np.minimum(np.maximum(samples_uv, -INPUT_LIMIT_UV), INPUT_LIMIT_UV) * INPUT_SCALE)
        if self._past is None:
            self._past = np.full(self._memory, steps[0])
        stretch = np.concatenate((self._past, steps))
        self._past = stretch[len(steps) :]
        filtered = np.array([np.correlate(stretch, kernel, "valid") for kernel in self._reversed])
        return filtered * (1 / (INPUT_SCALE * KERNEL_SCALE))


class MovingSum:
    """The sums of the last `width` values of each of some rows, which count as 0 before the first."""

    def __init__(self, rows: int, width: int) -> None:
        self.width = width
        self._past = np.zeros((rows, width - 1))

    def push(self, values: FloatArray) -> FloatArray:
        """As many sums as values came in, (rows, n), late by `delay`."""
        if values.shape[1] > MOST_AT_ONCE:
            parts = range(0, values.shape[1], MOST_AT_ONCE)
            return np.concatenate([self.push(values[:, at : at + MOST_AT_ONCE]) for at in parts], axis=1)
        stretch = np.concatenate((self._past, values), axis=1)
        self._past = stretch[:, values.shape[1] :]
        until = np.add.accumulate(stretch, axis=1)
        sums: FloatArray = until[:, self.width - 1 :]
        sums[:, 1:] -= until[:, : -self.width]
        return sums


class MovingMedian:
    """The medians of the last `width` values, an odd number; before its first value a signal always was."""

    def __init__(self, width: int) -> None:
        self.delay = width // 2
        self._width = width
        self._past: FloatArray | None = None

    def push(self, values: FloatArray) -> FloatArray:
        """As many medians as values came in, (n,), late by `delay`."""
        if self._past is None:
            self._past = np.full(self._width - 1, values[0])
        stretch = np.concatenate((self._past, values))
        self._past = stretch[len(values) :]
        windows = np.lib.stride_tricks.sliding_window_view(stretch, self._width)
        medians: FloatArray = np.sort(windows, axis=1)[:, self.delay]
        return medians
