"""The prefix codes of `ecg1`: which bits say which magnitude, and which say how long a run of zeros is.

A code is given by its lengths alone: shorter ones first, then by symbol, counting up from zero (canonical).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streaming.ecg.ecg1 import trained
from streaming.ecg.ecg1.model import SHIFTS, TABLES, Int

MAGNITUDES = 40
ESCAPE = MAGNITUDES + 1
"""The symbol of a magnitude that has none of its own; its width and its bits follow."""
SYMBOLS = ESCAPE + 1
RUN_SYMBOLS = 28
FIRST_LONG_RUN = 8
"""Shorter runs have a symbol each; of longer ones two share an octave, and low bits follow."""
SETS = 8
"""Sets of tables, of which each lead names one: how noise is distributed differs between recorders."""
LONGEST = 11
WINDOW = 12
"""A code of a magnitude and its sign, or a code of a run, is at most this long."""
WIDTH_BITS = 5


def _lengths(text: str, rows: int, symbols: int) -> npt.NDArray[np.uint8]:
    digits = np.array([int(digit, 16) for digit in "".join(text.split())], np.uint8)
    return digits.reshape(SETS, rows, symbols)


def canonical(lengths: npt.NDArray[np.uint8]) -> Int:
    """The codes of each row of lengths, (..., symbols)."""
    flat = lengths.reshape(-1, lengths.shape[-1]).astype(np.int64)
    codes = np.empty_like(flat)
    for row, own in zip(codes, flat, strict=True):
        code = previous = 0
        for symbol in np.lexsort((np.arange(len(own)), own)).tolist():
            code <<= int(own[symbol]) - previous
            row[symbol], previous = code, int(own[symbol])
            code += 1
    return codes.reshape(lengths.shape)


LENGTHS = _lengths(trained.LENGTHS, TABLES, SYMBOLS)
RUN_LENGTHS = _lengths(trained.RUN_LENGTHS, 1, RUN_SYMBOLS)[:, 0]
CODES = canonical(LENGTHS)
RUN_CODES = canonical(RUN_LENGTHS)

SIGNED = (np.arange(SYMBOLS) > 0) | (SHIFTS[:, None] > 0)
"""Whether a sign follows: not behind a zero, where zero is all that the symbol can mean."""
SPECIAL = (np.arange(SYMBOLS) == ESCAPE) | (SHIFTS[:, None] > 0)
"""Whether bits stand between the code and the sign."""

PLACES = TABLES * SYMBOLS
"""A place is table x SYMBOLS + symbol; those of the runs' symbols are behind these."""
LENGTHS_BY_PLACE = np.concatenate([LENGTHS.reshape(SETS, -1), RUN_LENGTHS], axis=1).T.astype(np.float64)
"""For choosing a set: (places, sets)."""
ENTRY_SPECIAL, ENTRY_BITS = 1 << 7, 8
ENTRIES = ((CODES << SIGNED) << ENTRY_BITS | SPECIAL * ENTRY_SPECIAL | (LENGTHS + SIGNED)).ravel()
"""By set x PLACES + place: the length with the sign, whether special, the code with room for a sign."""


def run_symbols(lengths: Int) -> tuple[Int, Int]:
    """The symbol of each run length, and how many of its low bits follow.

    Up to 7 each has its own; above, two share an octave.
    """
    octave = np.frexp(np.maximum(lengths, 8).astype(np.float64))[1] - 1
    long = lengths >= 8
    symbols = np.where(long, 2 + 2 * octave + (lengths >> (octave - 1) & 1), lengths)
    return symbols, np.where(long, octave - 1, 0)


def run_extra_bits(symbol: int) -> int:
    """How many bits follow a run's symbol."""
    return (symbol - 2 >> 1) - 1 if symbol >= FIRST_LONG_RUN else 0


def run_length(symbol: int, extra: int) -> int:
    """The length of a run by its symbol and the bits that follow."""
    return (symbol & 1 | 2) << run_extra_bits(symbol) | extra if symbol >= FIRST_LONG_RUN else symbol
