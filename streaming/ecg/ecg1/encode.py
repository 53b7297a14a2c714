"""Samples to bits: for each lead the plan that leaves least, and for its residuals the shortest codes."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from streaming.ecg.ecg1 import codes, trained
from streaming.ecg.ecg1.bits import pack
from streaming.ecg.ecg1.model import (
    FULL_TABLE,
    HALF_TABLE,
    SHIFTS,
    WEIGHT_ONE,
    Coarse,
    Int,
    Mask,
    coarse,
    differences,
    odd_tables,
    pairs_of_first,
    pairs_of_second,
    predicted,
)
from streaming.ecg.grid import Grid, find_grid


@dataclass(frozen=True, slots=True)
class Fields:
    """Bit fields of shape (rows, n)."""

    codes: Int
    lengths: Int


class Coded:
    """Residuals of shape (rows, n) as symbols, before each row has its set of codes."""

    __slots__ = ("_magnitudes", "_places", "_run_symbols", "_runs", "_values", "bits", "counts")

    def __init__(self, values: Int, tables: Int, runs: Coarse) -> None:
        self._values = values
        self._magnitudes = np.abs(values)
        self._runs = runs
        symbols = np.minimum(self._magnitudes >> SHIFTS[tables], codes.ESCAPE)
        self._places = tables * codes.SYMBOLS + symbols
        self._run_symbols: tuple[Int, Int] | None = None
        rows, n = values.shape
        kinds = len(codes.LENGTHS_BY_PLACE)
        places = self._places + (np.arange(rows) * kinds)[:, None]
        if runs.coded is None:
            places = places.ravel()
        else:
            self._run_symbols = codes.run_symbols(runs.run_lengths)
            opened = runs.run_at // n * kinds + codes.PLACES + self._run_symbols[0]
            places = np.concatenate([places[runs.coded], opened])
        self.counts = np.bincount(places, minlength=rows * kinds).reshape(rows, kinds)
        """How often each row has each symbol of each table, and behind these each symbol of a run."""
        self.bits = _in_small_products(self.counts, codes.LENGTHS_BY_PLACE)
        """What each row takes in each set of codes, (rows, sets), but for what is the same in all of them."""

    def fields(self, sets: Int) -> Fields:
        """The bits of all, by the set of each row."""
        entries = codes.ENTRIES[self._places + (sets * codes.PLACES)[:, None]]
        fields = entries >> codes.ENTRY_BITS
        fields |= self._values < 0
        lengths = entries & codes.ENTRY_SPECIAL - 1
        special = np.flatnonzero(entries & codes.ENTRY_SPECIAL)
        if len(special):
            self._put_magnitudes(special, fields.reshape(-1), lengths.reshape(-1))
        if self._runs.coded is not None:
            lengths *= self._runs.coded
            fields *= self._runs.coded
            self._put_runs(sets, fields.reshape(-1), lengths.reshape(-1))
        return Fields(fields, lengths)

    def _put_magnitudes(self, at: Int, fields: Int, lengths: Int) -> None:
        """Between code and sign: the low bits of a magnitude, or the width and all bits of an escaped one."""
        places, magnitudes = self._places.reshape(-1)[at], self._magnitudes.reshape(-1)[at]
        escaped = places % codes.SYMBOLS == codes.ESCAPE
        width = np.where(escaped, np.frexp(magnitudes.astype(np.float64))[1], SHIFTS[places // codes.SYMBOLS])
        extra = np.where(escaped, width << width | magnitudes, magnitudes & ((1 << width) - 1))
        extra_bits = np.where(escaped, codes.WIDTH_BITS + width, width)
        sign = fields[at] & 1
        fields[at] = (fields[at] >> 1 << extra_bits | extra) << 1 | sign
        lengths[at] += extra_bits

    def _put_runs(self, sets: Int, fields: Int, lengths: Int) -> None:
        """Into the place of a run's first zero, or in front of the residual where the run holds none."""
        assert self._run_symbols is not None, "there are runs"
        at, (symbols, extra_bits) = self._runs.run_at, self._run_symbols
        own = sets[at // self._values.shape[1]]
        extra = self._runs.run_lengths & ((1 << extra_bits) - 1)
        fields[at] |= (codes.RUN_CODES[own, symbols] << extra_bits | extra) << lengths[at]
        lengths[at] += codes.RUN_LENGTHS[own, symbols] + extra_bits


_PRODUCT_ROWS = 16


def _in_small_products(counts: Int, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """`counts @ weights`, in pieces that the linear algebra below does not spread over threads.

    On a busy machine waiting for these takes ten times as long as the product.
    """
    pieces = [counts[at : at + _PRODUCT_ROWS] @ weights for at in range(0, len(counts), _PRODUCT_ROWS)]
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


@dataclass(frozen=True, slots=True)
class Plan:
    """One way to code rows (rows, samples): the order of each, and the residuals with their tables."""

    order: Int
    coarse: Coarse
    filters: Int | None = None
    odd: Int | None = None
    odd_tables: Int | None = None

    def effort(self) -> npt.NDArray[np.float64]:
        """About how many bits each row takes."""
        bits = _effort(self.coarse.residuals)
        if self.coarse.coded is not None:
            bits *= self.coarse.coded
        total: npt.NDArray[np.float64] = bits.sum(axis=1)
        return total if self.odd is None else total + _effort(self.odd).sum(axis=1)

    def coded(self) -> Coded:
        """Its residuals as symbols, the coarse ones of a row before the odd ones."""
        if self.odd is None or self.odd_tables is None:
            return Coded(self.coarse.residuals, self.coarse.tables, self.coarse)
        values = np.concatenate([self.coarse.residuals, self.odd], axis=1)
        tables = np.concatenate([self.coarse.tables, self.odd_tables], axis=1)
        return Coded(values, tables, self.coarse.within(values.shape[1]))


def plan_full(rows: Int, plain: Mask | None = None) -> Plan:
    """Every sample from those before it; rows that are `plain` stay as they are."""
    residuals, order = _best_order(rows)
    if plain is not None:
        residuals[plain], order[plain] = rows[plain, 1:], 0
    return Plan(order, coarse(residuals, FULL_TABLE))


def plan_half(rows: Int) -> Plan:
    """Every second sample from those before it, the odd ones from the samples around them."""
    evens = np.ascontiguousarray(rows[:, ::2])
    firsts, seconds = rows[:, 1::4], rows[:, 3::4]
    residuals, order = _best_order(evens)
    pairs = pairs_of_first(evens, firsts.shape[1])
    misses = -firsts[None].astype(np.float64)
    for tap, weights in enumerate(trained.FIRST_WEIGHTS.T / WEIGHT_ONE):
        misses = misses + weights[:, None, None] * pairs[tap]
    filters = np.sqrt(np.abs(misses)).sum(axis=2).argmin(axis=0)
    odd = np.empty((len(rows), rows.shape[1] // 2), np.int64)
    odd[:, ::2] = firsts - predicted(pairs, trained.FIRST_WEIGHTS[filters])
    pairs = pairs_of_second(evens, firsts, seconds.shape[1])
    odd[:, 1::2] = seconds - predicted(pairs, trained.SECOND_WEIGHTS[filters])
    return Plan(order, coarse(residuals, HALF_TABLE), filters, odd, odd_tables(evens, odd.shape[1]))


def _best_order(rows: Int) -> tuple[Int, Int]:
    candidates = differences(rows)
    order = np.sqrt(np.abs(candidates)).sum(axis=-1).argmin(axis=0)
    return candidates[order, np.arange(len(rows))], order + 1


def _effort(residuals: Int) -> npt.NDArray[np.float64]:
    bits: npt.NDArray[np.float64] = np.log2(2 * np.abs(residuals) + 1.2)
    return bits


# -- messages

MAX_LEADS = 16
MAX_SAMPLES = 4096
MAX_WIDTH = 26
"""Bits of a first sample, or of an escaped magnitude; what needs more is not for this codec."""
MIN_HALF_SAMPLES = 16
ID = 0x10
HALF, TWELVE, WIDE, EXTRAS = 1, 2, 4, 8
"""Flags in the lowest bits of the first byte, beside ID."""
GAINS, GRID, TRUNCATES, LIMBS_IN_VALUES = 1, 2, 4, 8
"""Flags in the byte of EXTRAS."""
GAIN_ONE, GAIN_BITS = 16, 6
_MIN_GAIN_LEADS = 6
"""Below, two neighbouring leads have too little in common for it to pay."""
_CHEST = [0, 1, 6, 7, 8, 9, 10, 11]
LIMBS = 4
"""Of twelve leads those that follow from I and II, and are sent as what they deviate."""
_LIMB_DEVIATION = 2.0
"""Steps on average, above which twelve leads are not the twelve standard ones."""
_GAIN_PAYS = 0.97


@dataclass(frozen=True, slots=True)
class Rows:
    """Messages as they are coded, (messages, rows, samples): the last `derived` rows are deviations."""

    values: Int
    derived: int
    grid: Grid | None
    limbs_in_values: bool = False
    gains: Int | None = None
    """Of each row of the first 8 the share of the row before it that was taken off, in 16ths."""


class Encoder:
    """Encodes one stream, and remembers of it what would take time to find out again.

    What is remembered decides about time and size alone: each payload says itself how it is to be read.
    """

    _RETRY = 32
    """Messages until what did not pay, or was not there, is tried again."""

    def __init__(self) -> None:
        self._grid: Grid | None = None
        self._half: Mask | None = None
        self._grid_due = self._half_due = 0

    def encode(self, samples: npt.NDArray[np.signedinteger]) -> bytes:
        """One payload of samples (leads, n); see `encode`."""
        messages = samples[None]
        if self._grid is None or not fits(self._grid, messages):
            self._grid_due -= 1
            if self._grid_due < 0:
                self._grid = find_grid(_grid_leads(samples).astype(np.int64))
                self._grid_due = self._RETRY
        if samples.shape[0] >= _MIN_GAIN_LEADS:
            return encode(messages, grid=self._grid)[0]
        self._half_due -= 1
        if self._half is None or self._half_due < 0:
            self._half_due = self._RETRY
            payload = encode(messages, grid=self._grid)[0]
            self._half = np.array([bool(payload[0] & HALF)])
            return payload
        half = self._half if samples.shape[1] >= MIN_HALF_SAMPLES else None
        return encode(messages, grid=self._grid, half=half)[0]


def plans(
    messages: npt.NDArray[np.signedinteger], *, grid: Grid | None = None, half: bool
) -> list[tuple[Plan, Int]]:
    """How messages of one kind would be coded in full or in half rate: plans, and the rows that they are of.

    The rows of the second plan, if there is one, are deviations.
    """
    rows = _rows(messages.astype(np.int64), grid)
    if rows is None:
        raise ValueError("messages of different kinds")
    return _plans(rows.values, rows.derived, half=half)


def encode(
    messages: npt.NDArray[np.signedinteger], *, grid: Grid | None = None, half: Mask | None = None
) -> list[bytes]:
    """One payload for each of `messages` (messages, leads, samples), int16 or int32, all in one pass.

    1 to 16 leads and 1 to 4096 samples. `grid` is used where all messages lie on it. `half` says which go in
    half rate; by default what seems shorter is found out for each. Raises ValueError for other shapes, and
    OverflowError where samples or their differences need more than 26 bits.
    """
    count, leads, n = messages.shape
    if not (1 <= leads <= MAX_LEADS and 1 <= n <= MAX_SAMPLES):
        raise ValueError(f"{leads} leads of {n} samples do not fit one payload")
    rows = _rows(messages.astype(np.int64), grid)
    if rows is None:  # Some are twelve standard leads and some are not.
        return [encode(messages[at : at + 1], grid=grid, half=_part(half, at))[0] for at in range(count)]
    if half is None:
        half = _shorter_in_half(rows)
    payloads: list[bytes] = [b""] * count
    for chosen in (False, True):
        at = np.flatnonzero(half == chosen)
        if len(at):
            header = _header(rows, leads, n, half=chosen, wide=messages.dtype.itemsize > 2)
            gains = None if rows.gains is None else rows.gains[at]
            bodies = _bodies(rows.values[at], rows.derived, gains, half=chosen)
            for index, body in zip(at.tolist(), bodies, strict=True):
                payloads[index] = header + body
    return payloads


def fits(grid: Grid, messages: npt.NDArray[np.signedinteger]) -> bool:
    """Whether messages (messages, leads, samples) can be sent in steps of `grid`."""
    leads = messages[:, _CHEST] if messages.shape[1] == 12 else messages
    return grid.counts(leads.astype(np.int64)) is not None


def _part(half: Mask | None, at: int) -> Mask | None:
    return half if half is None else half[at : at + 1]


def _grid_leads(samples: npt.NDArray[np.signedinteger]) -> npt.NDArray[np.signedinteger]:
    # The augmented leads may lie on half steps.
    return samples[_CHEST] if len(samples) == 12 else samples


def _header(rows: Rows, leads: int, n: int, *, half: bool, wide: bool) -> bytes:
    extras = b""
    if rows.gains is not None or rows.grid is not None:
        flags = (GAINS if rows.gains is not None else 0) | (LIMBS_IN_VALUES if rows.limbs_in_values else 0)
        if rows.grid is None:
            extras = bytes([flags])
        else:
            flags |= GRID | (TRUNCATES if rows.grid.truncates else 0)
            extras = struct.pack(">BH", flags, rows.grid.step)
    flags = ID | (HALF if half else 0) | (TWELVE if rows.derived else 0) | (WIDE if wide else 0)
    return struct.pack(">BH", flags | (EXTRAS if extras else 0), leads - 1 << 12 | n - 1) + extras


def _rows(messages: Int, grid: Grid | None) -> Rows | None:
    """What is coded of messages: steps for values, deviations for limb leads, differences for like leads.

    None when only some of the messages are twelve standard leads.
    """
    counts = None if grid is None else grid.counts(messages)
    if messages.shape[1] != 12:
        return _less_alike(Rows(messages, 0, None) if counts is None else Rows(counts, 0, grid))
    if counts is not None:
        messages = counts
    chest = messages[:, _CHEST]
    limbs_in_values = False
    if counts is None and grid is not None and (steps := grid.counts(chest)) is not None:
        chest, limbs_in_values = steps, True
    deviations = messages[:, 2:6] - limb_leads(chest[:, 0], chest[:, 1], grid if limbs_in_values else None)
    standard = np.abs(deviations).mean(axis=(1, 2)) <= _LIMB_DEVIATION
    if standard.all():
        used = grid if counts is not None or limbs_in_values else None
        return _less_alike(Rows(np.concatenate([chest, deviations], axis=1), LIMBS, used, limbs_in_values))
    if standard.any():
        return None
    return _less_alike(Rows(messages, 0, grid if counts is not None else None))


def limb_leads(one: Int, two: Int, grid: Grid | None = None) -> Int:
    """III, aVR, aVL and aVF by Einthoven's and Goldberger's equations: (messages, 4, samples).

    In the unit of I and II, halves downwards. With a `grid`, these are steps of it and the result is values.
    """
    doubled = np.stack([2 * (two - one), -(one + two), 2 * one - two, 2 * two - one], axis=1)
    return doubled >> 1 if grid is None else grid.half_values(doubled)


def _less_alike(rows: Rows) -> Rows:
    """Take off each row what it has in common with the row before it, where that pays for any."""
    own = rows.values.shape[1] - rows.derived
    if own < _MIN_GAIN_LEADS or rows.values.shape[2] < MIN_HALF_SAMPLES:
        return rows
    bends = np.diff(rows.values[:, :own], 2, axis=2)
    last, this = bends[:, :-1], bends[:, 1:]
    # Weighted so that the waves do not decide for the noise between them.
    weighted = last / (1.0 + np.abs(last) + np.abs(this))
    in_common, in_last = (weighted * this).sum(axis=2), (weighted * last).sum(axis=2)
    gains = np.rint(GAIN_ONE * in_common / np.maximum(in_last, 1e-9))
    gains = np.clip(gains, -(1 << GAIN_BITS - 1), (1 << GAIN_BITS - 1) - 1)
    rest = np.sqrt(np.abs(this - gains[:, :, None] / GAIN_ONE * last)).sum(axis=2)
    gains = np.where(rest < _GAIN_PAYS * np.sqrt(np.abs(this)).sum(axis=2), gains, 0).astype(np.int64)
    if not gains.any():
        return rows
    values = rows.values.copy()
    values[:, 1:own] -= shared(rows.values[:, : own - 1], gains[:, :, None])
    return replace(rows, values=values, gains=gains)


def shared(last: Int, gains: Int | int) -> Int:
    """What a row has in common with the `last` one: so many 16ths of it, to the nearest integer."""
    common: Int = gains * last + GAIN_ONE // 2 >> 4
    return common


def _shorter_in_half(rows: Rows) -> Mask:
    """Which messages take fewer bits in half rate, by estimate."""
    count, leads, n = rows.values.shape
    if n < MIN_HALF_SAMPLES:
        return np.zeros(count, np.bool_)
    flat = np.ascontiguousarray(rows.values[:, : leads - rows.derived]).reshape(-1, n)
    saved = plan_full(flat).effort() - plan_half(flat).effort()
    shorter: Mask = saved.reshape(count, -1).sum(axis=1) > 0
    return shorter


def _bodies(rows: Int, derived: int, gains: Int | None, *, half: bool) -> list[bytes]:
    """The bits of messages (messages, leads, samples) of which the last `derived` leads are deviations."""
    count = len(rows)
    sides = [] if gains is None else [_gain_fields(gains)]
    coarse_fields, odd_fields = [], []
    for plan, own in _plans(rows, derived, half=half):
        coded = plan.coded()
        sets = coded.bits.argmin(axis=1)
        sides.append(_side(own[:, 0], plan, sets))
        fields, split = coded.fields(sets), plan.coarse.residuals.shape[1]
        coarse_fields.append(Fields(fields.codes[:, :split], fields.lengths[:, :split]))
        odd_fields.append(Fields(fields.codes[:, split:], fields.lengths[:, split:]))
    together = sides + coarse_fields + odd_fields
    return pack(
        np.concatenate([each.codes.reshape(count, -1) for each in together], axis=1),
        np.concatenate([each.lengths.reshape(count, -1) for each in together], axis=1),
    )


def _plans(rows: Int, derived: int, *, half: bool) -> list[tuple[Plan, Int]]:
    """Plans for messages (messages, rows, samples), and the rows (rows, samples) that each is of."""
    count, leads, n = rows.shape
    if not half:
        plain = np.tile(np.arange(leads) >= leads - derived, count) if derived else None
        flat = rows.reshape(-1, n)
        return [(plan_full(flat, plain), flat)]
    own = np.ascontiguousarray(rows[:, : leads - derived]).reshape(-1, n)
    together = [(plan_half(own), own)]
    if derived:
        rest = np.ascontiguousarray(rows[:, leads - derived :]).reshape(-1, n)
        together.append((plan_full(rest, np.ones(len(rest), np.bool_)), rest))
    return together


def _side(first: Int, plan: Plan, sets: Int) -> Fields:
    """What a row's residuals do not say: its order, its set of codes, its filters, its first sample."""
    zigzag = first << 1 ^ first >> 63
    widths = np.frexp(zigzag.astype(np.float64))[1].astype(np.int64)
    largest = max(
        int(widths.max()), _width(plan.coarse.residuals), 0 if plan.odd is None else _width(plan.odd)
    )
    if largest > MAX_WIDTH:
        raise OverflowError(f"samples or their differences take {largest} bits, more than {MAX_WIDTH}")
    fields = plan.order << 3 | sets
    lengths = 2 + 3 + codes.WIDTH_BITS + widths
    if plan.filters is not None:
        fields = fields << 3 | plan.filters
        lengths += 3
    return Fields((fields << codes.WIDTH_BITS | widths) << widths | zigzag, lengths)


def _width(values: Int) -> int:
    return int(np.abs(values).max(initial=0)).bit_length()


def _gain_fields(gains: Int) -> Fields:
    return Fields(gains & (1 << GAIN_BITS) - 1, np.full(gains.shape, GAIN_BITS))
