"""What neighbouring samples and leads say of a sample: its prediction, and how far it may be off.

A row is one lead of one message. In full rate each sample is predicted from those before it; in half rate
only every second one, and the odd ones between them from both sides. The residual's table follows from
magnitudes that the decoder knows by then, so that nothing is spent on saying how noisy a stretch is.
All is integer arithmetic: JavaScript gets the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

CAP = 255
"""A magnitude of more says no more about what is to come."""
CLASSES = 17
START = CLASSES
"""The table of a row's first residual, which has none before it."""
AFTER_ZEROS = START + 1
"""The table of the residual that ends a run of zeros, and is none."""
FIRST_ODD = AFTER_ZEROS + 1
TABLES = FIRST_ODD + CLASSES
RUN = -1
"""In place of a table: there were zeros alone, and what comes is how many more."""
WEIGHT_ONE = 256

LAST_EDGES = (0, 1, 2, 3, 4, 6, 9, 14, 23, 41, 81, 161)
BEFORE_EDGES = (0, 1, 3, 6, 14, 41)
EARLIER_EDGES = (0, 1, 6, 14)
"""The last three magnitudes, each less finely: where each of their steps begins."""


def _steps(edges: tuple[int, ...]) -> Int:
    """The step of each magnitude up to CAP."""
    return np.searchsorted(edges, np.arange(CAP + 1), side="right") - 1


LAST_STEP = _steps(LAST_EDGES) * len(BEFORE_EDGES) * len(EARLIER_EDGES)
BEFORE_STEP = _steps(BEFORE_EDGES) * len(EARLIER_EDGES)
EARLIER_STEP = _steps(EARLIER_EDGES)
"""A state is the sum of the three steps: it follows from the state before and the magnitude between."""


def _classes(mean: npt.NDArray[np.float64]) -> Int:
    """Three classes for two octaves of an expected magnitude."""
    return np.minimum(np.floor(1.5 * np.log2(1 + 4 * mean)), CLASSES - 1).astype(np.int64)


def _middle(edges: tuple[int, ...]) -> npt.NDArray[np.float64]:
    return np.array(
        [(low + high - 1) / 2 for low, high in zip(edges, (*edges[1:], 2 * edges[-1]), strict=True)]
    )


def _tables_by_state(last: int, before: int, earlier: int) -> Int:
    """The table of each state, by a weighted mean of its magnitudes; RUN where all that weigh are zero."""
    total = (
        last * _middle(LAST_EDGES)[:, None, None]
        + before * _middle(BEFORE_EDGES)[None, :, None]
        + earlier * _middle(EARLIER_EDGES)[None, None, :]
    )
    tables = _classes(total / (last + before + earlier))
    tables[0, 0, 0 if earlier else slice(None)] = RUN
    return tables.ravel()


FULL_TABLE, HALF_TABLE = _tables_by_state(2, 1, 0), _tables_by_state(3, 2, 1)
"""The table by state in full and in half rate: where samples lie twice as far apart, one more tells."""
ODD_TABLE = FIRST_ODD + _classes(np.arange(6 * CAP + 1) / 12)
"""The table of an odd sample by the sum of how much the four even samples around it bend."""
_MEANS = np.tile((2 ** (np.arange(CLASSES) / 1.5) - 1) / 4, 2)
SHIFTS = np.zeros(TABLES, np.int64)
"""How many low bits of a magnitude go uncoded, by table: there is nothing to be gained from them."""
SHIFTS[np.r_[:CLASSES, FIRST_ODD:TABLES]] = np.floor(np.log2(np.maximum(_MEANS, 7.0) / 7))


@dataclass(frozen=True, slots=True)
class Coarse:
    """Residuals of shape (rows, n) and the table of each.

    Behind zeros alone a run of them begins, of which only the length is coded: `run_at` has the flat index
    of the first residual that the run may hold, `run_lengths` how many zeros it holds. `coded` is None where
    there are no runs.
    """

    residuals: Int
    tables: Int
    coded: Mask | None
    run_at: Int
    run_lengths: Int

    def within(self, width: int) -> Coarse:
        """The same in rows of `width`, of which these are the beginning; of no further use for residuals."""
        if self.coded is None:
            return self
        rows, n = self.coded.shape
        coded = np.ones((rows, width), np.bool_)
        coded[:, :n] = self.coded
        run_at = self.run_at + self.run_at // n * (width - n)
        return Coarse(self.residuals, self.tables, coded, run_at, self.run_lengths)


_NONE = np.empty(0, np.int64)


def differences(rows: Int) -> Int:
    """Residuals of the polynomial predictors of order 1, 2 and 3 from the second sample on, (3, rows, n - 1).

    As in Shorten (Robinson, 1994); before the first sample there are copies of it.
    """
    orders = np.empty((3, len(rows), rows.shape[1] - 1), np.int64)
    np.subtract(rows[:, 1:], rows[:, :-1], out=orders[0])
    for order in (1, 2):
        orders[order] = orders[order - 1]
        orders[order, :, 1:] -= orders[order - 1, :, :-1]
    return orders


def coarse(residuals: Int, tables_by_state: Int) -> Coarse:
    """The tables of residuals of shape (rows, n), by the three magnitudes before each.

    Before the first one there are copies of it.
    """
    rows, n = residuals.shape
    if not n:
        return Coarse(residuals, residuals, None, _NONE, _NONE)
    capped = np.empty((rows, n + 2), np.int64)
    np.minimum(np.abs(residuals), CAP, out=capped[:, 2:])
    capped[:, :2] = capped[:, 2:3]
    tables = np.empty((rows, n), np.int64)
    tables[:, 0] = START
    states = LAST_STEP[capped[:, 2:-1]]
    states += BEFORE_STEP[capped[:, 1:-2]]
    states += EARLIER_STEP[capped[:, :-3]]
    tables[:, 1:] = tables_by_state[states]
    calm = tables == RUN
    if not calm.any():
        return Coarse(residuals, tables, None, _NONE, _NONE)
    moves = residuals != 0
    tables[calm & moves] = AFTER_ZEROS
    begins = calm.copy()
    begins[:, 1:] &= ~calm[:, :-1]
    run_at = np.flatnonzero(begins)
    # A run ends where something moves, or with its row: one more column stands for that end.
    ends = np.flatnonzero(np.concatenate([moves, np.ones((rows, 1), np.bool_)], axis=1))
    padded_at = run_at + run_at // n
    lengths = ends[np.searchsorted(ends, padded_at)] - padded_at
    return Coarse(residuals, tables, ~calm | moves, run_at, lengths)


def odd_tables(evens: Int, count: int) -> Int:
    """The tables of `count` odd samples' residuals between rows of even samples (rows, n)."""
    n = evens.shape[1]
    bends = np.zeros((len(evens), n + 3), np.int64)
    if n > 2:
        inner = bends[:, 2:n]
        np.abs(evens[:, 2:] - 2 * evens[:, 1:-1] + evens[:, :-2], out=inner)
        np.minimum(inner, CAP, out=inner)
        bends[:, :2], bends[:, n:] = bends[:, 2:3], bends[:, n - 1 : n]
    near = bends[:, 1 : 1 + count] + bends[:, 2 : 2 + count]
    tables: Int = ODD_TABLE[2 * near + bends[:, :count] + bends[:, 3 : 3 + count]]
    return tables


def pairs_of_first(evens: Int, count: int) -> Int:
    """What the first of each two odd samples (1, 5, 9...) is predicted from: (3, rows, count).

    Sums of the samples 1, 3 and 5 places to both sides, the outermost even sample repeated.
    """
    padded = _padded(evens, 2, 3)
    pairs = np.empty((3, len(evens), count), np.int64)
    for distance in range(3):
        _add_pairs(padded, 2, distance, pairs[distance])
    return pairs


def pairs_of_second(evens: Int, firsts: Int, count: int) -> Int:
    """What the second (3, 7, 11...) is predicted from: sums at distances 1, 3, 5 and 2, (4, rows, count)."""
    padded, first = _padded(evens, 2, 4), _padded(firsts, 0, 1)
    pairs = np.empty((4, len(evens), count), np.int64)
    for distance in range(3):
        _add_pairs(padded, 3, distance, pairs[distance])
    np.add(first[:, :count], first[:, 1 : 1 + count], out=pairs[3])
    return pairs


def predicted(pairs: Int, weights: Int) -> Int:
    """Weighted sums of (taps, rows, count), rounded to the nearest: `weights` (rows, taps) in 256ths."""
    total: Int = weights[:, 0, None] * pairs[0]
    for tap in range(1, len(pairs)):
        total += weights[:, tap, None] * pairs[tap]
    total += WEIGHT_ONE // 2
    total >>= 8
    return total


def _padded(values: Int, before: int, behind: int) -> Int:
    rows, n = values.shape
    padded = np.empty((rows, before + n + behind), np.int64)
    padded[:, before : before + n] = values
    padded[:, :before], padded[:, before + n :] = values[:, :1], values[:, -1:]
    return padded


def _add_pairs(padded: Int, at: int, distance: int, out: Int) -> None:
    stop = 2 * out.shape[1]
    left, right = at - distance, at + 1 + distance
    np.add(padded[:, left : left + stop : 2], padded[:, right : right + stop : 2], out=out)
