"""The step of the converter behind samples that were written in a finer unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int = npt.NDArray[np.int64]

THOUSANDTHS = 1000
MAX_STEP = 65_535
"""Of a step in thousandths, as a payload has it."""
_REACHES = tuple(8 << doubling for doubling in range(13))
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
    if least < 2:
        return None
    step = float(np.mean(gaps[gaps <= least + 1]))
    # The estimate gets as much better as the span gets longer: one step more is told apart all the way.
    for reach in _REACHES:
        near = levels[levels <= reach * step]
        counts = np.rint(near / step)
        spread = counts - counts.mean()
        # A slope, not a ratio: values that are cut towards zero lie half a unit low on average.
        if spread.any():
            step = float(near @ spread / (spread @ spread))
    for decimals in (0, 1, 2, 3):
        for nudge in (0, -1, 1, -2, 2, -3, 3):
            thousandths = round((round(step, decimals) + nudge / 10**decimals) * THOUSANDTHS)
            if not 2 * THOUSANDTHS <= thousandths <= MAX_STEP:
                continue
            for truncates in (False, True):
                grid = Grid(thousandths, truncates)
                if grid.counts(levels) is not None:
                    return grid
    return None
