"""The decimator: a grid that is always the same, a filter that does what it promises, and peaks that stay."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streaming.ecg.resample import ONE_BITS, REACH, Decimator, IntArray, Piece, low_pass

ONE = 2**ONE_BITS
factors = st.sampled_from([2, 3, 4, 5, 10])


@st.composite
def signals(draw: st.DrawFn, max_samples: int = 300) -> NDArray[np.int32]:
    """Noise, up to the limits of 32 bits, and walks: (1 or 2 leads, 1 or more)."""
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, max_samples)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        return rng.integers(-(2**31), 2**31, shape, dtype=np.int32)
    return np.cumsum(rng.integers(-9, 10, shape, dtype=np.int32), axis=1, dtype=np.int32)


def row(*values: int) -> NDArray[np.int32]:
    return np.array([values], np.int32)


def decimate(
    samples: NDArray[np.int32], factor: int, *, first: int = 0, keep_peaks: bool = False
) -> tuple[int, IntArray]:
    """The index of the first output sample, and all of them, of one stretch."""
    return joined(stream([(first, samples)], factor, keep_peaks=keep_peaks))


def stream(
    chunks: list[tuple[int, NDArray[np.int32]]], factor: int, *, keep_peaks: bool = False
) -> list[Piece]:
    decimator = Decimator(factor, keep_peaks=keep_peaks)
    pieces = [piece for first, samples in chunks for piece in decimator.push(first, samples)]
    return pieces + decimator.flush()


def joined(pieces: list[Piece]) -> tuple[int, IntArray]:
    return pieces[0].first, np.concatenate([piece.samples for piece in pieces], axis=1)


def positions(pieces: list[Piece], factor: int) -> list[int]:
    return [piece.first + factor * n for piece in pieces for n in range(piece.samples.shape[1])]


def cut(samples: NDArray[np.int32], lengths: list[int], first: int) -> list[tuple[int, NDArray[np.int32]]]:
    """Chunks of these lengths, over and over; without gaps."""
    chunks: list[tuple[int, NDArray[np.int32]]] = []
    at = 0
    while at < samples.shape[1]:
        length = lengths[len(chunks) % len(lengths)]
        chunks.append((first + at, samples[:, at : at + length]))
        at += length
    return chunks


# The filter.


def gain(factor: int, parts_of_output_rate: NDArray[np.float64]) -> NDArray[np.float64]:
    taps = low_pass(factor)
    n = np.arange(len(taps)) - len(taps) // 2
    turns = np.outer(parts_of_output_rate / factor, n)
    response: NDArray[np.float64] = np.abs(np.cos(2 * np.pi * turns) @ taps) / ONE
    return response


@pytest.mark.parametrize("factor", range(2, 21))
def test_taps_are_symmetric_and_sum_to_one(factor: int) -> None:
    taps = low_pass(factor)
    assert len(taps) == 2 * REACH * factor + 1
    assert taps.sum() == ONE
    assert taps.tolist() == taps[::-1].tolist()


def test_taps_in_numbers() -> None:
    half = [85, 429, 291, -1250, -2924, -815, 7442, 18031]
    assert low_pass(2).tolist() == [*half, 22958, *half[::-1]]


@pytest.mark.parametrize("factor", [2, 3, 5, 10, 20])
def test_pass_band_stop_band_and_the_edge_between_them(factor: int) -> None:
    decibels = 20 * np.log10(gain(factor, np.array([0.05, 0.1, 0.15, 0.18])))
    assert np.abs(decibels).max() < 0.1
    assert 20 * np.log10(gain(factor, np.array([0.30]))) > -3.0
    beyond = np.linspace(0.536, factor / 2, 3000)
    assert 20 * np.log10(gain(factor, beyond).max()) < -50.0


@pytest.mark.parametrize(("rate_hz", "factor"), [(500, 2), (400, 2), (1000, 5), (2000, 10), (720, 3)])
def test_a_display_shows_40_hz_and_lets_nothing_fold_below(rate_hz: float, factor: int) -> None:
    out_hz = rate_hz / factor
    assert gain(factor, np.array([40.0 / out_hz])) > np.sqrt(0.5)
    folding = np.linspace(out_hz - 40.0, rate_hz / 2, 2000) / out_hz
    assert gain(factor, folding).max() < 0.01


def test_order_of_adding_changes_no_bit() -> None:
    samples = np.random.default_rng(1).integers(-(2**31), 2**31, (1, 100), dtype=np.int32)
    _, decimated = decimate(samples, 3)
    taps, around = low_pass(3).tolist(), samples[0, 48 - 12 : 48 + 13].tolist()
    assert decimated[0, 16] == sum(a * b for a, b in zip(reversed(taps), reversed(around), strict=True))


# Where the output stands.


@given(signals(), factors, st.integers(0, 2**32 - 301), st.lists(st.integers(1, 90), min_size=1, max_size=9))
@settings(max_examples=150)
def test_chunking_changes_no_bit(
    samples: NDArray[np.int32], factor: int, first: int, lengths: list[int]
) -> None:
    for keep_peaks in (False, True):
        pieces = stream(cut(samples, lengths, first), factor, keep_peaks=keep_peaks)
        whole = stream([(first, samples)], factor, keep_peaks=keep_peaks)
        assert positions(pieces, factor) == positions(whole, factor)
        if whole:
            assert joined(pieces)[1].tobytes() == joined(whole)[1].tobytes()


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 60)), min_size=1, max_size=6), factors)
def test_every_multiple_of_the_factor_that_came_is_put_out_once(
    gaps_and_lengths: list[tuple[int, int]], factor: int
) -> None:
    chunks, came, at = [], [], 0
    for gap, length in gaps_and_lengths:
        at += gap
        chunks.append((at, np.zeros((1, length), np.int32)))
        came += [index for index in range(at, at + length) if index % factor == 0]
        at += length
    assert positions(stream(chunks, factor), factor) == came


@given(signals(), signals(), factors, st.integers(1, 100), st.booleans())
def test_nothing_reaches_across_a_gap(
    before: NDArray[np.int32], after: NDArray[np.int32], factor: int, gap: int, keep_peaks: bool
) -> None:
    resumes = before.shape[1] + gap
    apart = [
        *stream([(0, before)], factor, keep_peaks=keep_peaks),
        *stream([(resumes, after)], factor, keep_peaks=keep_peaks),
    ]
    together = stream([(0, before), (resumes, after)], factor, keep_peaks=keep_peaks)
    assert [(piece.first, piece.samples.tolist()) for piece in together if piece.first < resumes] == [
        (piece.first, piece.samples.tolist()) for piece in apart if piece.first < resumes
    ]
    # The rest of `before` is a piece of its own, and so is what `after` gives at once and at its end.
    ours, theirs = (
        [piece.samples.tolist() for piece in pieces if piece.first >= resumes] for pieces in (together, apart)
    )
    assert ours == theirs


def test_a_jump_back_is_a_gap_too() -> None:
    pieces = stream([(100, row(*[7] * 20)), (40, row(*[9] * 20))], 10)
    assert positions(pieces, 10) == [100, 110, 40, 50]
    assert [piece.samples.max() // ONE for piece in pieces if piece.first < 100] == [9]


@given(st.integers(0, 400), factors, st.booleans())
def test_who_begins_late_has_the_same_grid_and_soon_the_same_samples(
    late: int, factor: int, keep_peaks: bool
) -> None:
    samples = np.random.default_rng(late).integers(-500, 500, (1, 600), dtype=np.int32)
    first, whole = decimate(samples, factor, first=1000, keep_peaks=keep_peaks)
    began, partial = decimate(samples[:, late:], factor, first=1000 + late, keep_peaks=keep_peaks)
    settled = -(-late // factor) + REACH - (began - first) // factor
    assert (began - first) % factor == 0
    assert partial[:, settled:].tolist() == whole[:, settled + (began - first) // factor :].tolist()


@pytest.mark.parametrize("factor", [2, 5])
def test_a_sample_is_known_when_its_lookahead_has_come(factor: int) -> None:
    decimator = Decimator(factor)
    index = 30
    early = decimator.push(0, np.zeros((1, index + decimator.lookahead), np.int32))
    assert positions(early, factor)[-1] == index - factor
    just = decimator.push(index + decimator.lookahead, row(0))
    assert positions(just, factor) == [index]


@pytest.mark.parametrize("factor", [2, 3, 5, 10])
def test_the_sample_at_an_index_is_the_signal_there(factor: int) -> None:
    """Delay by half a sample would be an error of 60 at this slope."""
    indices = np.arange(4000)
    sine = 10_000.0 * np.sin(2 * np.pi * 0.1 / factor * indices)
    first, decimated = decimate(np.rint(sine).astype(np.int32)[np.newaxis], factor)
    middle = slice(REACH, -REACH)
    assert first == 0
    assert decimated[0, middle] / ONE == pytest.approx(sine[::factor][middle], abs=40.0)


@given(st.integers(-(2**31), 2**31 - 1), factors, st.integers(1, 100), st.booleans())
def test_what_is_flat_stays_flat_from_end_to_end(
    value: int, factor: int, count: int, keep_peaks: bool
) -> None:
    _, decimated = decimate(np.full((1, count), value, np.int32), factor, keep_peaks=keep_peaks)
    assert set(decimated[0].tolist()) == {value * ONE}


def test_memory_does_not_grow_with_the_signal() -> None:
    chunk = np.ones((2, 50), np.int32)
    decimator = Decimator(2)
    decimator.push(0, chunk)
    tracemalloc.start()
    for n in range(1, 2001):
        decimator.push(50 * n, chunk)
    now, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert now < 10_000


def test_a_stretch_between_two_output_positions_gives_nothing() -> None:
    assert stream([(11, row(1, 2, 3))], 10) == []


def test_after_a_flush_the_decimator_is_as_new() -> None:
    decimator = Decimator(5)
    assert decimator.flush() == []
    decimator.push(0, row(*[1000] * 37))
    decimator.flush()
    again = decimator.push(37, row(*[3] * 30)) + decimator.flush()
    assert positions(again, 5) == [40, 45, 50, 55, 60, 65]
    assert set(joined(again)[1][0].tolist()) == {3 * ONE}
    assert decimator.flush() == []


def test_leads_do_not_mix() -> None:
    samples = np.random.default_rng(2).integers(-900, 900, (3, 200), dtype=np.int32)
    _, together = decimate(samples, 5, keep_peaks=True)
    for lead in range(3):
        assert decimate(samples[lead : lead + 1], 5, keep_peaks=True)[1].tolist() == [together[lead].tolist()]


@pytest.mark.parametrize("length", [1, 2, 60])
def test_samples_may_lie_in_memory_in_any_order(length: int) -> None:
    samples = np.random.default_rng(2).integers(-900, 900, (3, 60), dtype=np.int32)
    _, plain = decimate(samples, 2, keep_peaks=True)
    for other in (np.asfortranarray(samples), np.flip(np.flip(samples, 1).copy(), 1)):
        chunks = cut(other, [length], 0)
        assert joined(stream(chunks, 2, keep_peaks=True))[1].tolist() == plain.tolist()


# Peaks.


def cells(samples: NDArray[np.int32], factor: int) -> list[list[int]]:
    """The native samples around each output position, as far as they came."""
    values = samples[0].tolist()
    firsts = range(-(factor // 2), len(values) - factor // 2, factor)
    return [values[max(0, at) : at + factor] for at in firsts]


@given(signals(), factors)
def test_with_peaks_no_sample_leaves_the_range_of_its_cell(samples: NDArray[np.int32], factor: int) -> None:
    _, decimated = decimate(samples, factor, keep_peaks=True)
    for value, cell in zip(decimated[0].tolist(), cells(samples, factor), strict=False):
        assert min(cell) * ONE <= value <= max(cell) * ONE


@given(st.integers(100, 200), st.sampled_from([-1, 1]), factors, st.integers(1, 1000))
def test_a_single_sample_keeps_its_height_and_moves_by_half_an_output_sample_at_most(
    at: int, sign: int, factor: int, height: int
) -> None:
    samples = np.full((1, 300), 50, np.int32)
    samples[0, at] += sign * height
    _, decimated = decimate(samples, factor, keep_peaks=True)
    peak = int(np.argmax(np.abs(decimated[0] - 50 * ONE)))
    assert decimated[0, peak] == (50 + sign * height) * ONE
    assert abs(peak * factor - at) <= factor / 2


@given(st.integers(100, 200), factors)
def test_a_rounded_top_keeps_its_height(at: int, factor: int) -> None:
    samples = np.rint(1000.0 * np.exp(-0.5 * ((np.arange(300) - at) / factor) ** 2)).astype(np.int32)
    _, plain = decimate(samples[np.newaxis], factor)
    _, kept = decimate(samples[np.newaxis], factor, keep_peaks=True)
    assert plain.max() < 970 * ONE
    assert kept.max() == 1000 * ONE


@pytest.mark.parametrize("step", [20, -20])
@pytest.mark.parametrize("factor", [2, 3, 5])
def test_a_slope_is_filtered_as_without_peaks(factor: int, step: int) -> None:
    ramp = np.arange(300, dtype=np.int32)[np.newaxis] * np.int32(step)
    _, plain = decimate(ramp, factor)
    _, kept = decimate(ramp, factor, keep_peaks=True)
    assert kept[0, REACH:-REACH].tolist() == plain[0, REACH:-REACH].tolist()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_notch_does_not_take_the_top_that_shares_its_cell(sign: int) -> None:
    """MIT-BIH 108 at 1028 s: cell 61, 73, 86 has both the least and the largest value of three cells."""
    top = np.array([39, 51, 65, 68, 63, 61, 73, 86, 84, 78, 63, 35, 5, -24, -52], np.int32)
    samples = np.pad(sign * top, (12, 12), mode="edge")[np.newaxis]
    _, kept = decimate(samples, 3, first=3, keep_peaks=True)
    assert np.abs(kept).max() == 86 * ONE
