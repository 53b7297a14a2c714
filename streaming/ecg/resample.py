"""One sample in so many, on a grid that counts from the epoch's start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

REACH = 4
"""Half the filter's length, in output samples: 16 ms at 250 Hz, 20 ms at 200 Hz, 40 ms at 100 Hz."""
CUTOFF = 0.35
STOP_BAND_DB = 50.0
"""Where the filter has half its gain, in parts of the output rate, and what its window promises beyond.

With a length of eight output samples (17 taps at a factor of 2) that gives, at output rates of

|                                          | 100 Hz | 200 Hz | 250 Hz |
|------------------------------------------|--------|--------|--------|
| 1 to within 0.1 dB, from 0 to            |  18 Hz |  36 Hz |  45 Hz |
| -3 dB at                                 |  30 Hz |  60 Hz |  75 Hz |
| -50 dB or less, from ... on              |  54 Hz | 107 Hz | 134 Hz |
| what folds down is at -50 dB, from 0 to  |  46 Hz |  93 Hz | 116 Hz |

A monitor shows up to 40 Hz. A cutoff of 0.42 shows up to 93 Hz at 250 Hz and costs 0.2 points of what is
saved on PTB-XL, 0.4 on Georgia and Ningbo; one of 0.3 gains as much, and shows 50 Hz at 200 Hz.
"""
ONE_BITS = 16
"""Taps are integers that sum to 2^16, and so are the results, in parts of 2^-16 of a step: no order of adding
matters. The largest is 2^31 * 2^16 * 1.4, below 2^48."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Samples, (leads, n), of which the first stands at native sample index `first`."""

    first: int
    samples: NDArray[np.signedinteger]


class Decimator:
    """Keeps one low-passed sample in `factor`; any chunking gives the same ones, to the last bit.

    Output samples stand at the native indices that are multiples of `factor`, whatever index the input begins
    with. The filter is linear-phase and its delay is taken off: the sample at index i is the signal's value
    there, known when the one at i + `lookahead` has come.

    Each stretch of input without a gap gives one output sample for every multiple of `factor` in it, and
    none is made from samples on both sides of a gap. Beyond both of its ends the signal counts as constant:
    the four output samples next to an end are made in part from that.

    With `keep_peaks`, an output sample has a cell of the `factor` native samples around it, and never leaves
    their range. Where the largest of them is as large as any in the two cells beside it, the output takes its
    value; likewise the smallest. So the top of an R wave keeps its height and moves by at most half an
    output sample, slopes are filtered, and what is flat stays flat. The idea is that of the turning points of
    Mueller (Arrhythmia detection program for an ambulatory ECG monitor, 1978), looked for at the scale of the
    output, which stays evenly spaced.
    """

    def __init__(self, factor: int, *, keep_peaks: bool = False) -> None:
        self.factor = factor
        self.lookahead = REACH * factor
        """In native samples."""
        self._keep_peaks = keep_peaks
        self._taps = low_pass(factor)
        self._stretch: IntArray | None = None
        """Native samples up to `_stop` that later output needs, with what stands in for those in a gap."""
        self._stop = 0
        self._at = 0
        """Where the next output sample stands."""

    def push(self, first: int, samples: NDArray[np.signedinteger]) -> list[Piece]:
        """Take one or more samples, (leads, n), from index `first` on; what is certain by now.

        They are int16 or int32; the values of the pieces are int64, in parts of 2^-16 of a step. An index
        that does not continue the last is a gap: what remained before it comes as a piece of its own.
        """
        pieces = self.flush() if first != self._stop else []
        fresh = samples.astype(np.int64)
        if self._stretch is None:
            self._at = -(-first // self.factor) * self.factor
            self._stretch = np.repeat(fresh[:, :1], self.lookahead, axis=1)
        self._stretch = np.concatenate((self._stretch, fresh), axis=1)
        self._stop = first + samples.shape[1]
        return pieces + self._output(self._stretch, self._stop)

    def flush(self) -> list[Piece]:
        """The input ends here, or has a gap: what is left of it; the decimator is then as new."""
        if self._stretch is None:
            return []
        after = np.repeat(self._stretch[:, -1:], self.lookahead, axis=1)
        pieces = self._output(np.concatenate((self._stretch, after), axis=1), self._stop + self.lookahead)
        self._stretch = None
        return pieces

    def _output(self, stretch: IntArray, stop: int) -> list[Piece]:
        """What `stretch`, which ends before index `stop`, suffices for: one piece or none."""
        count = len(range(self._at + self.lookahead, stop, self.factor))
        if not count:
            return []
        skip = self._at - self.lookahead - (stop - stretch.shape[1])
        # sliding_window_view, which takes 9 us; this takes 0.2, and checks its bounds all the same.
        shape = (len(stretch), count, len(self._taps))
        row, item = stretch.strides
        windows: IntArray = np.ndarray(
            shape, stretch.dtype, stretch, skip * item, (row, self.factor * item, item)
        )
        values: IntArray = windows @ self._taps
        if self._keep_peaks:
            nearest = skip + self.lookahead - self.factor // 2
            values = _with_peaks(
                values,
                stretch[:, nearest - self.factor : nearest + (count + 1) * self.factor],
                windows.sum(axis=-1),
                len(self._taps),
            )
        first, self._at = self._at, self._at + count * self.factor
        self._stretch = stretch[:, skip + count * self.factor :]
        return [Piece(first, values)]


def low_pass(factor: int) -> IntArray:
    """The taps of a symmetric windowed-sinc filter (Kaiser), for one sample in `factor`; they sum to 2^16."""
    half = REACH * factor
    n = np.arange(-half, half + 1)
    # Kaiser's formula for a stop band of 21 to 50 dB.
    beta = 0.5842 * (STOP_BAND_DB - 21.0) ** 0.4 + 0.07886 * (STOP_BAND_DB - 21.0)
    kernel = np.sinc(2.0 * CUTOFF / factor * n) * np.kaiser(len(n), beta)
    taps: IntArray = np.rint(kernel * (2**ONE_BITS / kernel.sum())).astype(np.int64)
    taps[half] += 2**ONE_BITS - taps.sum()
    return taps


def _with_peaks(filtered: IntArray, samples: IntArray, sums: IntArray, width: int) -> IntArray:
    """`filtered`, (leads, n), within the range of each cell, and with its extremes where they stand out.

    `samples`, (leads, (n + 2) * factor), are those of the cells and of one more on either side; `sums`,
    (leads, n), are over the `width` samples around each cell.
    """
    leads, count = filtered.shape
    cells = samples.reshape(leads, count + 2, -1)
    highs, lows = cells.max(axis=-1), cells.min(axis=-1)
    high, low = highs[:, 1:-1], lows[:, 1:-1]
    is_peak = (high >= highs[:, :-2]) & (high >= highs[:, 2:])
    is_valley = (low <= lows[:, :-2]) & (low <= lows[:, 2:])
    # A cell with both, a notch in an R wave for instance, keeps what is farther from the mean around it.
    is_peak &= ~is_valley | ((high + low) * width >= 2 * sums)
    high, low = high << ONE_BITS, low << ONE_BITS
    values: IntArray = np.minimum(np.maximum(filtered, low), high)
    return np.where(is_peak, high, np.where(is_valley, low, values))
