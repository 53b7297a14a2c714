"""Bits to samples; what is malformed is refused, in time and memory bounded by what the header announces."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from sys import byteorder

import numpy as np
import numpy.typing as npt

from streaming.ecg.ecg1 import codes, trained
from streaming.ecg.ecg1.automaton import RESIDUALS, SIZE, WINDOW, State, automaton, symbols
from streaming.ecg.ecg1.bits import windows
from streaming.ecg.ecg1.encode import (
    EXTRAS,
    GAIN_BITS,
    GAINS,
    GRID,
    HALF,
    ID,
    LIMBS,
    LIMBS_IN_VALUES,
    MAX_SAMPLES,
    MAX_WIDTH,
    MIN_HALF_SAMPLES,
    TRUNCATES,
    TWELVE,
    WIDE,
    limb_leads,
    shared,
)
from streaming.ecg.ecg1.model import (
    CAP,
    RUN,
    SHIFTS,
    Int,
    odd_tables,
    pairs_of_first,
    pairs_of_second,
    predicted,
)
from streaming.ecg.grid import THOUSANDTHS, Grid
from streaming.exceptions import ProtocolError

FIRST_LARGE = int(np.flatnonzero(SHIFTS)[0])
"""From this table of coarse residuals on, hardly one lies in ten bits."""


def decode(payload: bytes) -> npt.NDArray[np.int16] | npt.NDArray[np.int32]:
    """The samples of a payload, (leads, samples). Raises ProtocolError for every malformed one."""
    header = read_header(payload)
    body = payload[header.size :]
    if len(body) > header.leads * (16 + 8 * header.samples):
        raise ProtocolError("payload body is longer than its samples")
    try:
        return _Reader(body).samples(header)
    except IndexError:
        raise ProtocolError("payload ends before its samples") from None


@dataclass(frozen=True, slots=True)
class Header:
    """What a payload says before its bits."""

    leads: int
    samples: int
    half: bool
    twelve: bool
    wide: bool
    gains: bool
    grid: Grid | None
    limbs_in_values: bool
    size: int


def read_header(payload: bytes) -> Header:
    """The header of a payload; raises ProtocolError."""
    if len(payload) < 4 or payload[0] & 0xF0 != ID:
        raise ProtocolError("payload is not ecg1")
    flags, shape = payload[0], payload[1] << 8 | payload[2]
    leads, n = (shape >> 12) + 1, (shape & MAX_SAMPLES - 1) + 1
    half, twelve = bool(flags & HALF), bool(flags & TWELVE)
    extras = payload[3] if flags & EXTRAS else 0
    grid, size = None, 4 if flags & EXTRAS else 3
    if extras & GRID:
        step = int.from_bytes(payload[size : size + 2], "big")
        size += 2
        if step <= THOUSANDTHS:
            raise ProtocolError("payload has a step of one or less")
        grid = Grid(step, bool(extras & TRUNCATES))
    limbs_in_values = bool(extras & LIMBS_IN_VALUES)
    if (
        len(payload) <= size
        or (twelve and leads != 12)
        or (half and n < MIN_HALF_SAMPLES)
        or extras & ~(GAINS | GRID | TRUNCATES | LIMBS_IN_VALUES)
        or (flags & EXTRAS and not extras & (GAINS | GRID))
        or (extras & TRUNCATES and grid is None)
        or (limbs_in_values and not (twelve and grid))
    ):
        raise ProtocolError("payload header is not valid")
    return Header(
        leads, n, half, twelve, bool(flags & WIDE), bool(extras & GAINS), grid, limbs_in_values, size
    )


class _Row:
    """What is said of one row before its residuals."""

    __slots__ = ("filters", "first", "order", "set")

    def __init__(self, order: int, set_: int, filters: int, first: int) -> None:
        self.order = order
        self.set = set_
        self.filters = filters
        self.first = first


class _Reader:
    """A place in the bits, and a window of 12 bits from each place on."""

    def __init__(self, body: bytes) -> None:
        self._body = body + bytes(9)
        self._end = 8 * len(body)
        long = windows(body, codes.WINDOW)
        self._windows = array("H", long.tobytes())
        self._window = array("H", (long >> codes.WINDOW - WINDOW).tobytes())
        self._at = 0

    def samples(self, header: Header) -> npt.NDArray[np.int16] | npt.NDArray[np.int32]:
        """Read all of it."""
        n, half = header.samples, header.half
        own = header.leads - (LIMBS if header.twelve else 0)
        gains = [self._gain() for _ in range(own - 1)] if header.gains else []
        rows = [self._row(filters=half) for _ in range(own)]
        rows += [self._row(filters=False) for _ in range(header.leads - own)]
        if half:
            evens = self._coarse(rows[:own], (n + 1) // 2, half=True)
            deviations = self._coarse(rows[own:], n, half=False)
            values = np.concatenate([self._with_odds(evens, rows[:own], n), deviations])
        else:
            values = self._coarse(rows, n, half=False)
        self._check_end()
        for lead, gain in enumerate(gains, 1):
            values[lead] += shared(values[lead - 1], gain)
        return _in_type(_leads(values, header), wide=header.wide)

    def _gain(self) -> int:
        gain = self._take(GAIN_BITS)
        return gain - (gain >> GAIN_BITS - 1 << GAIN_BITS)

    def _take(self, bits: int) -> int:
        """The next bits, at most 57."""
        at = self._at
        self._at = at + bits
        if self._at > self._end:
            raise IndexError
        word = int.from_bytes(self._body[at >> 3 : (at >> 3) + 8], "big")
        return word >> 64 - (at & 7) - bits & (1 << bits) - 1

    def _width(self) -> int:
        width = self._take(codes.WIDTH_BITS)
        if width > MAX_WIDTH:
            raise ProtocolError("payload has a number of too many bits")
        return width

    def _row(self, *, filters: bool) -> _Row:
        order, set_ = self._take(2), self._take(3)
        filter_ = self._take(3) if filters else 0
        zigzag = self._take(self._width())
        return _Row(order, set_, filter_, zigzag >> 1 ^ -(zigzag & 1))

    def _coarse(self, rows: list[_Row], n: int, *, half: bool) -> Int:
        """Samples that are predicted from those before them: (rows, n)."""
        values = np.empty((len(rows), n), np.int64)
        values[:, 0] = [row.first for row in rows]
        if n > 1:
            residuals = bytearray()
            for row in rows:
                self._read_residuals(row.set, residuals, len(residuals) + SIZE * (n - 1), half=half)
            values[:, 1:] = np.frombuffer(residuals, np.int32).reshape(len(rows), n - 1)
            for row, own in zip(rows, values, strict=True):
                for first in (1, 1, 0)[3 - row.order :]:
                    own[first:].cumsum(out=own[first:])
        return values

    def _read_residuals(self, set_: int, values: bytearray, size: int, *, half: bool) -> None:
        """Append the residuals of one row, as int32, until there are `size` bytes.

        The inner loop is most of the time that decoding takes. What it cannot look up is no pair to unpack,
        and ends it by that: nothing is asked on the way.
        """
        state = automaton(set_, half=half).start
        window, at = self._window, self._at
        before, bits = state, 0
        some = b""
        while len(values) < size:
            try:
                while len(values) < size:
                    before = state
                    bits, some, state = state[window[at]]  # type: ignore[misc]  # what is no tuple ends the loop
                    at += bits
                    values += some
            except KeyError:
                if state.find(window[at]):
                    continue
            except TypeError:
                pass
            if len(values) > size:  # The last look-up went on into the next row.
                del values[-len(some) :]
                state, at = before, at - bits
                while len(values) < size:
                    state = self._next(set_, state, at, values, size)
                    at = self._at
            elif len(values) < size:
                state = self._next(set_, state, at, values, size)
                at = self._at
        self._at = at

    def _next(self, set_: int, state: State, at: int, values: bytearray, size: int) -> State:
        """Read one residual or the length of one run, and what follows while magnitudes are large.

        Returns the state behind. Of large magnitudes hardly one lies in ten bits.
        """
        if state.table == RUN:
            return self._run(state, at, values, size)
        windows = self._windows
        while True:
            entry = state.whole[windows[at]]
            if entry:
                bits, value = entry
                at += bits
            else:
                value = self._long(set_, state.table, at)
                at = self._at
            values += value.to_bytes(SIZE, byteorder, signed=True)
            state = state.behind(min(CAP, abs(value)))
            if state.table < FIRST_LARGE or len(values) >= size:
                self._at = at
                return state

    def _run(self, state: State, at: int, values: bytearray, size: int) -> State:
        entry = state.whole[self._windows[at]]
        assert entry is not None, "codes of runs fit"
        self._at = at + entry[0]
        zeros = codes.run_length(entry[1], self._take(codes.run_extra_bits(entry[1])))
        if SIZE * zeros > size - len(values):
            raise ProtocolError("payload has a run of zeros beyond its samples")
        values += bytes(SIZE * zeros)
        return state.after[0]

    def _long(self, set_: int, table: int, at: int) -> int:
        """A residual that does not lie in twelve bits."""
        bits, symbol = symbols(set_, table)[self._windows[at]]
        self._at = at + bits
        if symbol == codes.ESCAPE:
            magnitude = self._take(self._width())
        else:
            shift = int(SHIFTS[table])
            magnitude = symbol << shift | self._take(shift)
        return -magnitude if self._take(1) else magnitude

    def _with_odds(self, evens: Int, rows: list[_Row], n: int) -> Int:
        """All samples, the odd ones from the even ones around them."""
        count = n // 2
        residuals: list[int] = []
        for row, named in zip(rows, odd_tables(evens, count).tolist(), strict=True):
            self._read_odd_residuals(row.set, named, residuals)
        odd = np.frombuffer(array("i", residuals), np.int32).reshape(len(rows), count)
        filters = [row.filters for row in rows]
        values = np.empty((len(rows), n), np.int64)
        values[:, ::2] = evens
        pairs = pairs_of_first(evens, (count + 1) // 2)
        firsts = odd[:, ::2] + predicted(pairs, trained.FIRST_WEIGHTS[filters])
        values[:, 1::4] = firsts
        pairs = pairs_of_second(evens, firsts, count // 2)
        values[:, 3::4] = odd[:, 1::2] + predicted(pairs, trained.SECOND_WEIGHTS[filters])
        return values

    def _read_odd_residuals(self, set_: int, named: list[int], values: list[int]) -> None:
        """Append residuals, each by its table; where one has more than twelve bits is no pair to unpack."""
        windows, at = self._windows, self._at
        append = values.append
        wholes = map(RESIDUALS[set_].__getitem__, named)
        count = len(values) + len(named)
        while len(values) < count:
            try:
                for whole in wholes:
                    bits, value = whole[windows[at]]  # type: ignore[misc]  # what is no tuple ends the loop
                    at += bits
                    append(value)
            except TypeError:
                append(self._long(set_, named[len(values) - count], at))
                at = self._at
        self._at = at

    def _check_end(self) -> None:
        if not 0 <= self._end - self._at < 8 or self._take(self._end - self._at):
            raise ProtocolError("payload does not end with its samples")


def _leads(rows: Int, header: Header) -> Int:
    """The leads out of rows: values for steps, and III, aVR, aVL and aVF from I, II and what they deviate."""
    if header.twelve:
        one, two = rows[None, 0], rows[None, 1]
        limbs = rows[8:] + limb_leads(one, two, header.grid if header.limbs_in_values else None)[0]
        if not header.limbs_in_values:
            rows = np.concatenate([rows[:2], limbs, rows[2:8]])
            return rows if header.grid is None else header.grid.values(rows)
        assert header.grid is not None, "as the header was checked"
        chest = header.grid.values(rows[:8])
        return np.concatenate([chest[:2], limbs, chest[2:]])
    return rows if header.grid is None else header.grid.values(rows)


def _in_type(values: Int, *, wide: bool) -> npt.NDArray[np.int16] | npt.NDArray[np.int32]:
    limits = np.iinfo(np.int32 if wide else np.int16)
    if values.max() > limits.max or values.min() < limits.min:
        raise ProtocolError("payload has a sample beyond its type")
    return values.astype(np.int32) if wide else values.astype(np.int16)
