"""The step of the converter behind samples that were written in a finer unit."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int = npt.NDArray[np.int64]

THOUSANDTHS = 1000
MAX_STEP = 65_535
"""Of a step in thousandths, as a payload has it."""
_SPREAD = 0.4
"""By how much the mean of some gaps of a step may differ from it: each is rounded down or up."""
_MOST_TRIED = 64
_FEWEST = 24
"""Different values, below which a step may be found where there is none."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Values that are whole numbers of a step, written as integers: 4.88 uV in a unit of 1 uV, for example.

    `step` is in thousandths of the unit, 1001 to 65,535. The product is rounded to the nearest integer, half
    away from zero, or cut towards zero where the grid `truncates`: recorders do either.
    """

    step: int
    truncates: bool

    def values(self, counts: Int) -> Int:
        """The integers that stand for so many steps."""
        size = np.abs(counts) * self.step
        size = size if self.truncates else size + THOUSANDTHS // 2
        values: Int = np.sign(counts) * (size // THOUSANDTHS)
        return values

    def half_values(self, counts: Int) -> Int:
        """The integers that stand for so many half steps."""
        size = np.abs(counts) * self.step
        size = size if self.truncates else size + THOUSANDTHS
        values: Int = np.sign(counts) * (size // (2 * THOUSANDTHS))
        return values

    def counts(self, values: Int) -> Int | None:
        """How many steps each value is; None when one of them is not on the grid."""
        size = np.abs(values) * THOUSANDTHS
        size = size + self.step - 1 if self.truncates else size + self.step // 2
        counts = np.sign(values) * (size // self.step)
        return counts if np.array_equal(self.values(counts), values) else None


def find_grid(values: Int) -> Grid | None:
    """The grid of two or more that all `values` lie on; None without one, or with too few values to tell."""
    levels = np.unique(np.abs(values))
    if len(levels) < _FEWEST:
        return None
    gaps = np.diff(levels)
    least = int(gaps.min())
    if not 2 <= least <= MAX_STEP // THOUSANDTHS:
        return None
    narrowed = _narrowed(levels[levels > 0].tolist(), float(np.mean(gaps[gaps <= least + 1])))
    if narrowed is None:
        return None
    for step in itertools.islice(_roundest_first(*narrowed), _MOST_TRIED):
        for truncates in (False, True):
            grid = Grid(step, truncates)
            if grid.counts(levels) is not None:
                return grid
    return None


def _narrowed(levels: list[int], about: float) -> tuple[float, float] | None:
    """Between which steps the true one lies, by levels in rising order; None when there is none.

    `about` is the mean of the gaps that can only be one step. A level that can only be one number of steps
    says which steps it can be; the next one is the better told.
    """
    low, high = max(2.0, about - _SPREAD), about + _SPREAD
    for level in levels:
        fewest, most = math.ceil((level - 0.5) / high), math.floor((level + 1.0) / low)
        if fewest > most:
            return None
        if fewest == most:
            low, high = max(low, (level - 0.5) / most), min(high, (level + 1.0) / most)
            if low > high:
                return None
    return low, high


def _roundest_first(low: float, high: float) -> Iterator[int]:
    """The thousandths from `low` to `high`, those with fewer digits first."""
    for unit in (1000, 100, 10, 1):
        first = math.ceil(low * THOUSANDTHS / unit) * unit
        for step in range(first, min(MAX_STEP, math.floor(high * THOUSANDTHS)) + 1, unit):
            if unit == 1000 or step % (10 * unit):
                yield step
