"""The noise that benches and tests add: its power is the one that is asked for; and how beats are matched."""

from __future__ import annotations

import numpy as np
import pytest

from bench.support.noise import noise, with_noise
from bench.support.records import Score, score


def test_noise_has_unit_variance_and_bursts_in_the_qrs_band() -> None:
    unit = noise(360 * 300, 360, np.random.default_rng(1))
    assert unit.std() == pytest.approx(1.0)
    spectrum = np.abs(np.fft.rfft(unit)) ** 2
    frequencies = np.fft.rfftfreq(len(unit), 1 / 360)
    shares = [
        spectrum[(frequencies > low) & (frequencies < high)].sum() for low, high in ((1, 20), (20, 100))
    ]
    # 1, 0.5^2, 0.7^2 and 0.3^2 of 1.83; the hum is at 60 Hz, and the edges are no cliffs.
    assert shares[0] / spectrum.sum() == pytest.approx(1 / 1.83, abs=0.08)
    assert shares[1] / spectrum.sum() == pytest.approx(0.34 / 1.83, abs=0.08)


def test_the_same_seed_is_the_same_noise() -> None:
    one, other = (noise(5000, 250, np.random.default_rng(3)) for _ in range(2))
    assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("snr_db", [0, 6, 24])
def test_ratio_is_an_eighth_of_the_squared_height_to_the_power(snr_db: float) -> None:
    clean = np.zeros(50_000)
    beats = np.arange(500, 49_000, 400)
    clean[beats], clean[beats + 2] = 700.0, -300.0
    unit = noise(len(clean), 500, np.random.default_rng(2))
    added = with_noise(clean, beats, 500, snr_db, unit) - clean
    assert 10 * np.log10(1000.0**2 / 8 / added.var()) == pytest.approx(snr_db)


def test_beats_are_matched_one_to_one() -> None:
    truth = [1000, 2000, 3000]
    assert score(truth, [], 360) == Score(0, 3, 0)
    assert score(truth, [990, 1010, 2054, 3055], 360) == Score(2, 1, 2)
    assert score([], [5], 360) == Score(0, 0, 1)
    both = Score(2, 1, 2) + Score(1, 0, 0)
    assert (both.sensitivity, both.predictivity) == (0.75, 0.6)
    assert (Score(0, 0, 0).sensitivity, Score(0, 0, 0).predictivity) == (1.0, 1.0)
