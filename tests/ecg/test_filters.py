"""The filters of the beat detector: exact, causal, and of the gain they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streaming.ecg.filters import INPUT_SCALE, KERNEL_SCALE, ExactFir, MovingMedian, MovingSum, band_pass

chunk_lengths = st.lists(st.integers(1, 400), min_size=1, max_size=20)


def signal(n: int, seed: int = 1) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0.0, 900.0, n)


@settings(max_examples=30)
@given(chunk_lengths, st.sampled_from([50.0, 130.06, 360.0, 2000.0]))
def test_chunking_changes_no_bit(lengths: list[int], rate_hz: float) -> None:
    kernel = band_pass(8.0, 20.0, rate_hz, 0.2)[np.newaxis]
    samples = signal(sum(lengths))
    whole = MovingSum(1, 36).push(np.abs(ExactFir(kernel).push(samples)))
    fir, window = ExactFir(kernel), MovingSum(1, 36)
    pieces = np.split(samples, np.cumsum(lengths)[:-1])
    parts = [window.push(np.abs(fir.push(piece))) for piece in pieces]
    assert np.concatenate(parts, axis=1).tobytes() == whole.tobytes()


def test_order_of_adding_changes_no_bit() -> None:
    kernel = np.rint(band_pass(8.0, 20.0, 360.0, 0.2) * KERNEL_SCALE)
    samples = np.rint(signal(500) * INPUT_SCALE)
    forward = np.convolve(samples, kernel, mode="valid")
    by_hand = [
        sum(samples[i + len(kernel) - 1 - k] * kernel[k] for k in reversed(range(len(kernel))))
        for i in (0, 99)
    ]
    assert [forward[0], forward[99]] == by_hand


@pytest.mark.parametrize("rate_hz", [100.0, 250.0, 360.0, 1000.0])
def test_gain_is_one_in_the_band_and_little_beyond(rate_hz: float) -> None:
    def gain(hertz: float) -> float:
        fir = ExactFir(band_pass(8.0, 20.0, rate_hz, 0.2)[np.newaxis])
        times = np.arange(int(4 * rate_hz)) / rate_hz
        out = fir.push(1000.0 * np.sin(2 * np.pi * hertz * times))[0, int(rate_hz) :]
        return float(np.abs(out).max()) / 1000.0

    assert gain(12.65) == pytest.approx(1.0, abs=0.02)
    assert gain(1.0) < 0.05
    assert gain(40.0) < 0.05


def test_delay_is_that_of_the_kernel_s_centre() -> None:
    fir = ExactFir(band_pass(8.0, 20.0, 250.0, 0.2)[np.newaxis])
    impulse = np.zeros(200)
    impulse[50] = 1000.0
    assert int(np.argmax(fir.push(impulse))) == 50 + fir.delay


def test_first_sample_is_taken_for_the_past_and_leaves_no_step() -> None:
    fir = ExactFir(band_pass(8.0, 20.0, 250.0, 0.2)[np.newaxis])
    assert np.abs(fir.push(np.full(300, 5120.0))).max() < 5.0


def test_rail_beyond_131_millivolts_is_clipped() -> None:
    kernel = np.array([[0.0, 1.0, 0.0]])
    assert np.abs(ExactFir(kernel).push(np.array([1e9, -1e9, 1e9]))).max() == 131_072.0


def test_moving_sum_in_numbers() -> None:
    values = np.array([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 5.0, 0.0]])
    assert MovingSum(2, 3).push(values).tolist() == [[1.0, 3.0, 6.0, 9.0], [0.0, 0.0, 5.0, 5.0]]


def test_moving_median_takes_away_what_is_shorter_than_half_of_it_and_keeps_steps() -> None:
    values = np.array([1.0, 1.0, 9.0, 9.0, 1.0, 1.0, 1.0, 1.0, 5.0, 5.0, 5.0])
    assert MovingMedian(5).push(values).tolist() == [1.0] * 10 + [5.0]


@settings(max_examples=30)
@given(chunk_lengths, st.sampled_from([1, 3, 19]))
def test_chunking_changes_no_median(lengths: list[int], width: int) -> None:
    samples = signal(sum(lengths))
    whole, parts = MovingMedian(width).push(samples), MovingMedian(width)
    pieces = [parts.push(piece) for piece in np.split(samples, np.cumsum(lengths)[:-1])]
    assert np.concatenate(pieces).tobytes() == whole.tobytes()
