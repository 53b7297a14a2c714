"""What the samples are: a signal, noise, a flat line, or a lead that is off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.client.recordings import open_recording
from streaming.core.patterns import DataPattern
from streaming.ecg.pattern import MIN_SAMPLES, pattern_of

DRAW = np.random.default_rng(5)


def beats(leads: int = 1, samples: int = 500) -> npt.NDArray[np.int16]:
    """Complexes of 1 mV once a second at 250 Hz, on a slow drift."""
    at = np.arange(samples) % 250
    signal = 200 * np.exp(-(((at - 100) / 4) ** 2)) + 10 * np.sin(np.arange(samples) / 100)
    return np.tile(np.round(signal), (leads, 1)).astype(np.int16)


def noise(leads: int = 1) -> npt.NDArray[np.int16]:
    return np.round(DRAW.normal(0, 30, (leads, 500))).astype(np.int16)


def test_beats_are_normal() -> None:
    assert pattern_of(beats()) is DataPattern.NORMAL
    assert pattern_of(beats()[0]) is DataPattern.NORMAL


def test_beats_under_noise_are_noisy() -> None:
    assert pattern_of(beats() + noise()) is DataPattern.NOISY


def test_half_of_the_leads_make_it_noisy() -> None:
    clean = beats(4)
    one, two = clean.copy(), clean.copy()
    one[:1] += noise(1)
    two[:2] += noise(2)
    assert pattern_of(one) is DataPattern.NORMAL
    assert pattern_of(two) is DataPattern.NOISY


def test_an_amplifiers_own_noise_is_a_flat_line() -> None:
    assert pattern_of(DRAW.integers(-3, 4, (2, 500)).astype(np.int16)) is DataPattern.FLAT


def test_flat_is_judged_in_microvolts() -> None:
    low = (beats() // 10).astype(np.int16)
    assert pattern_of(low, gain_uv=5.0) is DataPattern.NORMAL
    assert pattern_of(low, gain_uv=1.0) is DataPattern.FLAT


def test_one_live_lead_is_not_flat() -> None:
    assert pattern_of(np.vstack([beats(), DRAW.integers(-3, 4, (1, 500))])) is DataPattern.NORMAL


@pytest.mark.parametrize("value", [0, -32768, 32767, 5])
def test_a_lead_that_does_not_move_is_off(value: int) -> None:
    assert pattern_of(np.vstack([beats(), np.full((1, 500), value)])) is DataPattern.LEAD_OFF


@pytest.mark.parametrize("rail", [-2048, 2047, 32767, -32768, 127, -128])
def test_a_lead_at_its_rail_is_off(rail: int) -> None:
    swings = np.where(np.arange(500) % 10 < 7, rail, 0)
    assert pattern_of(swings.astype(np.int16)) is DataPattern.LEAD_OFF


@pytest.mark.parametrize("level", [0, -40, 1500])
def test_a_quiet_line_between_upright_beats_is_no_rail(level: int) -> None:
    at = np.arange(500) % 250
    quiet = level + np.round(200 * np.exp(-(((at - 100) / 4) ** 2)))
    assert pattern_of(quiet.astype(np.int16)) is DataPattern.NORMAL


def test_an_arrhythmia_is_told_where_there_is_a_signal() -> None:
    assert pattern_of(beats(), arrhythmia=True) is DataPattern.ARRHYTHMIA
    assert pattern_of(beats() + noise(), arrhythmia=True) is DataPattern.ARRHYTHMIA
    assert pattern_of(np.zeros((1, 500)), arrhythmia=True) is DataPattern.LEAD_OFF


def test_too_few_samples_say_nothing() -> None:
    assert pattern_of(np.zeros((2, MIN_SAMPLES - 1))) is DataPattern.NORMAL
    assert pattern_of(np.empty((1, 0)), arrhythmia=True) is DataPattern.ARRHYTHMIA


@given(st.integers(-1000, 1000), st.sampled_from([1, -1]))
def test_neither_offset_nor_polarity_matters(offset: int, sign: int) -> None:
    for signal in (beats(2), beats(2) + noise(2)):
        assert pattern_of(sign * signal + offset) is pattern_of(signal)


def test_extremes_of_the_container_do_not_wrap() -> None:
    swing = np.where(np.arange(500) % 100 < 50, -32768, 32767).astype(np.int16)
    assert pattern_of(swing) is DataPattern.LEAD_OFF


@pytest.mark.parametrize("record", ["mitdb/100", "mitdb/207", "vfdb/418", "vfdb/609"])
def test_real_ecg_is_normal_and_noisy_with_a_tenth_of_noise(data_dir: Path, record: str) -> None:
    recording = open_recording(data_dir / record)
    count = round(2 * recording.rate_hz)
    for first in range(0, 40 * count, count):
        part = recording.samples[:, first : first + count]
        height = np.ptp(part, axis=1, keepdims=True)
        assert pattern_of(part) is DataPattern.NORMAL
        assert pattern_of(part + DRAW.normal(0, 0.1 * height, part.shape)) is DataPattern.NOISY
