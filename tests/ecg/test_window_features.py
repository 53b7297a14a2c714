"""What a window looks like in numbers: the same at any rate and size, as they should be on known waves."""

from __future__ import annotations

import numpy as np
import pytest

from streaming.ecg.filters import FloatArray
from streaming.ecg.window_features import FEATURES, WAVE_HZ, features, wave_of


def sine(hz: float, rate_hz: float = 250.0, seconds: float = 4.0, size_uv: float = 500.0) -> FloatArray:
    wave: FloatArray = size_uv * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)
    return wave


def spikes(every_s: float, seconds: float = 4.0) -> FloatArray:
    """Narrow complexes on a quiet line."""
    t = np.arange(round(seconds * 250)) / 250
    wave: FloatArray = 1000 * np.exp(-0.5 * (((t % every_s) - every_s / 2) / 0.015) ** 2)
    return wave


def of(wave: FloatArray, name: str) -> float:
    return float(features(wave)[FEATURES.index(name)])


@pytest.mark.parametrize("rate_hz", [100.0, 130.06, 360.0, 500.0, 1000.0])
def test_the_rate_makes_no_difference(rate_hz: float) -> None:
    at_250 = wave_of(sine(4.3) + sine(9.1), 250.0)
    wave = wave_of(sine(4.3, rate_hz) + sine(9.1, rate_hz), rate_hz)
    assert len(wave) == len(at_250) == 4 * WAVE_HZ
    assert np.abs(wave - at_250)[20:-20].max() < 80
    assert features(wave) == pytest.approx(features(at_250), rel=0.05, abs=0.05)


def test_size_makes_no_difference() -> None:
    wave = wave_of(spikes(0.8) + sine(5.0) / 4, 250.0)
    assert features(wave * 7.0) == pytest.approx(features(wave))


def test_offset_slope_and_what_is_out_of_band_are_taken_away() -> None:
    n = np.arange(1000)
    plain = wave_of(sine(5.0), 250.0)
    moved = wave_of(sine(5.0) + 3000 + 2.0 * n + sine(60.0), 250.0)
    assert np.abs(moved - plain).max() < 25


@pytest.mark.parametrize("hz", [2.0, 4.0, 6.5])
def test_a_sine_is_periodic_and_leaks_nothing(hz: float) -> None:
    wave = wave_of(sine(hz), 250.0)
    assert of(wave, "dominant frequency") == pytest.approx(hz, abs=0.25)
    assert of(wave, "median frequency") == pytest.approx(hz, abs=0.5)
    assert of(wave, "share near the dominant") > 0.95
    assert of(wave, "leakage") < 0.15
    assert of(wave, "kurtosis") == pytest.approx(np.log(1.5), abs=0.1)
    assert of(wave, "isoelectric share") < 0.1


def test_complexes_on_a_quiet_line_are_the_opposite() -> None:
    wave, sinus = wave_of(sine(4.0), 250.0), wave_of(spikes(0.8), 250.0)
    for name in ("leakage", "kurtosis", "isoelectric share", "spectral entropy", "mobility"):
        assert of(sinus, name) > of(wave, name) + 0.2
    for name in ("above a quarter", "typical slope", "periodicity", "fast to QRS"):
        assert of(sinus, name) < of(wave, name) - 0.2


def test_slow_waves_are_told_from_fast_ones() -> None:
    slow, fast = wave_of(sine(1.8), 250.0), wave_of(sine(4.0), 250.0)
    assert of(slow, "fast to slow") < 0 < of(fast, "fast to slow")
    assert of(slow, "lowest tenth") < of(fast, "lowest tenth")
