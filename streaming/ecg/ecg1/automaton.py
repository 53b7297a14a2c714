"""Residuals out of bits, several at a time: what to read next follows from what was read, state by state.

A state stands for the three magnitudes before a residual, as `model` has them. For each state and the next
eight bits it is found out once which residuals lie whole in these bits, and which state they lead to; from
then on that is one look-up. What does not fit in eight bits is read one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

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

WINDOW = 8
MOST_VALUES = 32
"""Residuals of one look-up, so that a row's end is near only where it is near."""
MAX_LOOKUPS = 100_000
"""At 150 bytes each. Streams of all kinds together need a third; who makes up others has all made anew."""

Plain = tuple[int, int, int]
"""Bits, value, magnitude; a magnitude of -1 says that there is more to read, and the value is the symbol."""
_BUCKET_SIZE = len(BEFORE_EDGES) * len(EARLIER_EDGES)
_BUCKETS = (LAST_STEP // _BUCKET_SIZE).tolist()
"""How far apart magnitudes are told, when they are the last."""


class State(dict[int, "tuple[int, tuple[int, ...], State] | bool"]):
    """By the next eight bits: how many are used, the residuals in them, and the state behind.

    Nothing where that was not looked for yet, False where not even one residual lies in eight bits.
    """

    __slots__ = ("_make_plain", "_plain", "after", "shift", "zeros")

    def __init__(self, make_plain: Callable[[], list[Plain]], shift: int, *, zeros: bool) -> None:
        super().__init__()
        self._make_plain = make_plain
        self._plain: list[Plain] | None = None
        self.shift = shift
        self.zeros = zeros
        """Whether it is the length of a run of zeros that is read."""
        self.after: list[State] = []
        """The state behind a residual, by the bucket of its magnitude; of a run, the only one."""

    @property
    def plain(self) -> list[Plain]:
        """What the next twelve bits begin with: 32 KiB that states share, and few are ever needed."""
        if self._plain is None:
            self._plain = self._make_plain()
        return self._plain

    def behind(self, magnitude: int) -> State:
        """The state behind a residual of this magnitude."""
        state: State = self.after[_BUCKETS[magnitude]]
        return state

    def find(self, window: int) -> bool:
        """Look for what lies in the next bits; whether there is anything.

        A run of no zeros is taken together with the residual behind it alone: where a row ends, none is sent.
        """
        values: list[int] = []
        found: tuple[int, tuple[int, ...], State] | None = None
        bits, state = 0, self
        while len(values) < MOST_VALUES:
            left = WINDOW - bits
            ahead = window & (1 << left) - 1
            used, value, magnitude = state.plain[ahead << codes.WINDOW - left]
            if state.zeros:
                extra = codes.run_extra_bits(value)
                used += extra
                zeros = codes.run_length(value, ahead >> max(left - used, 0) & (1 << extra) - 1)
                if len(values) + zeros > MOST_VALUES:
                    break
                more, behind = [0] * zeros, state.after[0]
            else:
                if magnitude < 0 and value != codes.ESCAPE:
                    used += state.shift + 1
                    low = ahead >> max(left - used, 0)
                    magnitude = value << state.shift | low >> 1 & (1 << state.shift) - 1
                    value = -magnitude if low & 1 else magnitude
                if magnitude < 0:
                    break
                more, behind = [value], state.behind(min(magnitude, CAP))
            bits, state = bits + used, behind
            if bits > WINDOW:
                break
            values += more
            if more:
                found = bits, tuple(values), state
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
        representatives = LAST_EDGES
        for number, state in enumerate(states):
            if state.zeros:
                state.after = [after_zeros]
                continue
            last, rest = divmod(number, _BUCKET_SIZE)
            before = rest // len(EARLIER_EDGES)
            state.after = [
                states[_number(m, LAST_EDGES[last], BEFORE_EDGES[before], half=half)] for m in representatives
            ]
        self.start.after = [states[_number(m, m, m, half=half)] for m in representatives]
        after_zeros.after = [states[_number(m, 0, 0, half=half)] for m in representatives]


def _number(last: int, before: int, earlier: int, *, half: bool) -> int:
    last, before, earlier = (min(magnitude, CAP) for magnitude in (last, before, earlier))
    number = LAST_STEP[last] + BEFORE_STEP[before] + (EARLIER_STEP[earlier] if half else 0)
    return int(number)


def _state(set_: int, table: int) -> State:
    if table == RUN:
        return State(partial(run_plain, set_), 0, zeros=True)
    return State(partial(plain, set_, table), int(SHIFTS[table]), zeros=False)


@cache
def automaton(set_: int, *, half: bool) -> Automaton:
    """The states of one set of codes, as far as they were needed so far."""
    return Automaton(set_, half=half)


@cache
def tables_of_set(set_: int) -> list[State]:
    """The tables of one set of codes by number, as states that nothing is behind."""
    return [_state(set_, table) for table in range(TABLES)]


@cache
def plain(set_: int, table: int) -> list[Plain]:
    """What each window of 12 bits begins with."""
    entries: list[Plain] = [(0, 0, -1)] * (1 << codes.WINDOW)
    for symbol in range(codes.SYMBOLS):
        length, code = int(codes.LENGTHS[set_, table, symbol]), int(codes.CODES[set_, table, symbol])
        if codes.SPECIAL[table, symbol]:
            _fill(entries, code, length, (length, symbol, -1))
        elif symbol == 0:
            _fill(entries, code, length, (length, 0, 0))
        else:
            _fill(entries, code << 1, length + 1, (length + 1, symbol, symbol))
            _fill(entries, code << 1 | 1, length + 1, (length + 1, -symbol, symbol))
    return entries


@cache
def run_plain(set_: int) -> list[Plain]:
    """The same for the length of a run of zeros."""
    entries: list[Plain] = [(0, 0, -1)] * (1 << codes.WINDOW)
    for symbol in range(codes.RUN_SYMBOLS):
        length = int(codes.RUN_LENGTHS[set_, symbol])
        _fill(entries, int(codes.RUN_CODES[set_, symbol]), length, (length, symbol, -1))
    return entries


def _fill(entries: list[Plain], code: int, length: int, entry: Plain) -> None:
    spare = codes.WINDOW - length
    entries[code << spare : code + 1 << spare] = [entry] * (1 << spare)
