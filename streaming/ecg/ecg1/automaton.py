"""Residuals out of bits, several at a time: what to read next follows from what was read, state by state.

A state stands for the three magnitudes before a residual, as `model` has them. For each state and the next
ten bits it is found out once which residuals lie whole in these bits, and which state they lead to; from
then on that is one look-up. What does not fit in ten bits is read one by one.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import cache
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from streaming.ecg.ecg1 import codes
from streaming.ecg.ecg1.model import (
    AFTER_ZEROS,
    BEFORE_EDGES,
    BEFORE_STEP,
    CAP,
    EARLIER_EDGES,
    EARLIER_STEP,
    FULL_TABLE,
    HALF_TABLE,
    LAST_EDGES,
    LAST_STEP,
    RUN,
    SHIFTS,
    START,
    TABLES,
)

WINDOW = 10
"""Against eight, an eighth less time, and two thirds more look-ups."""
SIZE = 4
"""Bytes of a residual, as they lie in an array."""
MOST_VALUES = 32
"""Residuals of one look-up, so that a row's end is near only where it is near."""
MAX_LOOKUPS = 150_000
"""At 190 bytes each. Streams of all kinds together need 110,000; who makes up others has all made anew."""

Whole = list[tuple[int, int] | None]
"""By the next twelve bits: how many are used, and the residual that they say; None where it has more."""
_BUCKET_SIZE = len(BEFORE_EDGES) * len(EARLIER_EDGES)
_BUCKETS = (LAST_STEP // _BUCKET_SIZE).tolist()
"""How far apart magnitudes are told, when they are the last."""


class State(dict[int, "tuple[int, bytes, State] | bool"]):
    """By the next ten bits: how many are used, the residuals in them (int32), and the state behind.

    Nothing where that was not looked for yet, False where not even one residual lies in ten bits.
    """

    __slots__ = ("after", "table", "whole")

    def __init__(self, whole: Sequence[tuple[int, int] | None], table: int) -> None:
        super().__init__()
        self.whole = whole
        """What is read alone; of a run, its symbol."""
        self.table = table
        """RUN where it is the length of a run of zeros that is read."""
        self.after: list[State] = []
        """The state behind a residual, by the bucket of its magnitude; of a run, the only one."""

    def behind(self, magnitude: int) -> State:
        """The state behind a residual of this magnitude."""
        state: State = self.after[_BUCKETS[magnitude]]
        return state

    def find(self, window: int) -> bool:
        """Look for what lies in the next bits; whether there is anything.

        A run of no zeros is taken together with the residual behind it alone: where a row ends, none is sent.
        """
        values: list[int] = []
        found: tuple[int, bytes, State] | None = None
        bits, state = 0, self
        while len(values) < MOST_VALUES:
            left = WINDOW - bits
            ahead = window & (1 << left) - 1
            entry = state.whole[ahead << codes.WINDOW - left]
            if entry is None:
                break
            used, value = entry
            if state.table == RUN:
                extra = codes.run_extra_bits(value)
                used += extra
                zeros = codes.run_length(value, ahead >> max(left - used, 0) & (1 << extra) - 1)
                if len(values) + zeros > MOST_VALUES:
                    break
                more, behind = [0] * zeros, state.after[0]
            else:
                more, behind = [value], state.behind(min(abs(value), CAP))
            bits, state = bits + used, behind
            if bits > WINDOW:
                break
            values += more
            if more:
                found = bits, array("i", values).tobytes(), state
        self[window] = found or False
        _bound_lookups()
        return found is not None


_lookups_made = 0


def _bound_lookups() -> None:
    """Count one more, and forget all when there are too many; who reads by them now goes on with his own."""
    global _lookups_made  # noqa: PLW0603  # as the cache that it bounds
    _lookups_made += 1
    if _lookups_made >= MAX_LOOKUPS:
        _lookups_made = 0
        automaton.cache_clear()


class Automaton:
    """All states of one set of codes in one rate."""

    def __init__(self, set_: int, *, half: bool) -> None:
        tables = (HALF_TABLE if half else FULL_TABLE).tolist()
        states = [_state(set_, table) for table in tables]
        self.start = _state(set_, START)
        after_zeros = _state(set_, AFTER_ZEROS)
        for state, numbers in zip(states, _BEHIND[half], strict=True):
            state.after = [after_zeros] if state.table == RUN else [states[number] for number in numbers]
        self.start.after = [states[number] for number in _BEHIND_FIRST[half]]
        after_zeros.after = states[::_BUCKET_SIZE]


def _behind(*, half: bool) -> list[list[int]]:
    """By the number of a state: those of the states behind it, by the bucket of the magnitude read there."""
    edges = np.array(LAST_EDGES)
    last = np.repeat(edges, _BUCKET_SIZE)
    before = np.tile(np.repeat(BEFORE_EDGES, len(EARLIER_EDGES)), len(LAST_EDGES))
    aged = BEFORE_STEP[last] + (EARLIER_STEP[before] if half else 0)
    numbers: list[list[int]] = (LAST_STEP[edges] + aged[:, None]).tolist()
    return numbers


def _behind_first(*, half: bool) -> list[int]:
    """Likewise behind the first residual, before which there are copies of it."""
    edges = np.array(LAST_EDGES)
    numbers: list[int] = (
        LAST_STEP[edges] + BEFORE_STEP[edges] + (EARLIER_STEP[edges] if half else 0)
    ).tolist()
    return numbers


_BEHIND = {half: _behind(half=half) for half in (False, True)}
_BEHIND_FIRST = {half: _behind_first(half=half) for half in (False, True)}


def _state(set_: int, table: int) -> State:
    return State(RUNS[set_] if table == RUN else RESIDUALS[set_][table], table)


@cache
def automaton(set_: int, *, half: bool) -> Automaton:
    """The states of one set of codes, as far as they were needed so far."""
    return Automaton(set_, half=half)


def _residuals(set_: int, table: int) -> Whole:
    entries: Whole = []
    shift = int(SHIFTS[table])
    for symbol, length in _by_code(codes.LENGTHS[set_, table]):
        spare = codes.WINDOW - length
        bits = length + shift + 1
        if symbol == 0 and shift == 0:
            entries += [(length, 0)] * (1 << spare)
        elif symbol == codes.ESCAPE or bits > codes.WINDOW:
            entries += [None] * (1 << spare)
        else:
            for magnitude in range(symbol << shift, symbol + 1 << shift):
                entries += [(bits, magnitude)] * (1 << codes.WINDOW - bits)
                entries += [(bits, -magnitude)] * (1 << codes.WINDOW - bits)
    return entries


@cache
def symbols(set_: int, table: int) -> list[tuple[int, int]]:
    """By the next twelve bits: how many the code of a residual's symbol has, and the symbol."""
    return _symbols(codes.LENGTHS[set_, table])


def _symbols(lengths: npt.NDArray[np.uint8]) -> list[tuple[int, int]]:
    entries: list[tuple[int, int]] = []
    for symbol, length in _by_code(lengths):
        entries += [(length, symbol)] * (1 << codes.WINDOW - length)
    return entries


def _by_code(lengths: npt.NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Symbols and lengths as their codes count up; together these leave no bits without a meaning."""
    return sorted(enumerate(lengths.tolist()), key=itemgetter(1))


# Made at once, in 45 ms: at the first message of each set they would keep it waiting.
RESIDUALS = [[_residuals(set_, table) for table in range(TABLES)] for set_ in range(codes.SETS)]
"""By set and table."""
RUNS = [_symbols(lengths) for lengths in codes.RUN_LENGTHS]
"""By set."""
