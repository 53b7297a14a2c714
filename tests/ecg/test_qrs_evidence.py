"""What the detector weighs: aligned bands, peaks where they are, numbers that mean what they are named."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streaming.ecg import qrs_weights
from streaming.ecg.beats import BeatDetector
from streaming.ecg.qrs_bands import FAST, QRS, SLOW, QrsBands
from streaming.ecg.qrs_evidence import AFTER_S, BEFORE_S, FEATURES, Evidence, Learned, Peak, Surroundings
from streaming.ecg.qrs_model import QrsModel, log_odds
from streaming.ecg.simulator import Simulator

Signal = NDArray[np.float64]


def complexes(rate_hz: float, times_s: list[float], seconds: float, width_s: float = 0.013) -> Signal:
    """R waves of 1 mV."""
    grid = np.arange(round(seconds * rate_hz)) / rate_hz
    wave: Signal = sum(1000.0 * np.exp(-0.5 * ((grid - at) / width_s) ** 2) for at in times_s) + np.zeros(
        len(grid)
    )
    return wave


@pytest.mark.parametrize("rate_hz", [50, 100, 130.06, 360, 1000, 2000])
def test_all_bands_are_strongest_at_the_complex_itself(rate_hz: float) -> None:
    bands = QrsBands(rate_hz, 700, 3.0)
    bands.push(complexes(rate_hz, [1.5], 2.5))
    at = 700 + 1.5 * rate_hz
    for band in (QRS, FAST, SLOW):
        # The window is as wide as the complex: its plateau has a middle.
        strength = bands.strengths[band]
        plateau = np.flatnonzero(strength > 0.98 * strength.max())
        middle = bands.strengths_from + (plateau[0] + plateau[-1]) / 2
        assert middle == pytest.approx(at, abs=max(1.5, 0.006 * rate_hz))
    largest = bands.waves_from + int(np.abs(bands.waves[QRS]).argmax())
    assert largest == pytest.approx(at, abs=1)


def test_the_bands_are_known_no_later_than_they_say() -> None:
    bands = QrsBands(250, 0, 1.0)
    bands.push(np.zeros(300))
    assert bands.stop == 300 - bands.lag
    bands.push(np.zeros(17))
    assert bands.stop == 317 - bands.lag


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=20), st.sampled_from([100.0, 130.06, 360.0, 1000.0])
)
def test_chunking_changes_no_bit_of_the_bands(chunks: list[int], rate_hz: float) -> None:
    signal = np.random.default_rng(1).normal(0.0, 500.0, sum(chunks))
    whole, parts = QrsBands(rate_hz, 0, 0.7), QrsBands(rate_hz, 0, 0.7)
    peaks = whole.push(signal)
    assert [at for piece in np.split(signal, np.cumsum(chunks)[:-1]) for at in parts.push(piece)] == peaks
    count = min(whole.strengths.shape[1], parts.strengths.shape[1])
    assert whole.strengths[:, -count:].tobytes() == parts.strengths[:, -count:].tobytes()


def peaks_of(signal: Signal, rate_hz: float) -> list[Peak]:
    bands, surroundings = QrsBands(rate_hz, 0, len(signal) / rate_hz), Surroundings(rate_hz)
    at = [each for each in bands.push(signal) if each + surroundings.needs_after < bands.stop]
    seen = (surroundings.peak(bands, each) for each in at)
    return [peak for peak in seen if peak is not None]


def highest(peaks: list[Peak]) -> list[Peak]:
    """The highest of those that belong to one complex, in order."""
    best: dict[int, Peak] = {}
    for peak in peaks:
        if peak.amplitude_uv > 200 and (
            peak.sample not in best or peak.heights[QRS] > best[peak.sample].heights[QRS]
        ):
            best[peak.sample] = peak
    return [best[sample] for sample in sorted(best)]


def test_a_peak_sees_what_is_around_it() -> None:
    first, second, third = highest(peaks_of(complexes(250, [1.0, 1.2, 2.0], 3.0), 250))
    assert [peak.sample for peak in (first, second, third)] == [250, 300, 500]
    assert first.before[QRS] < 0.1 * first.heights[QRS]
    assert second.before[QRS] > 0.9 * second.heights[QRS]
    assert first.after[QRS] > 0.9 * first.heights[QRS]
    assert third.after[QRS] < 0.3 * third.heights[QRS]
    assert third.quiet[QRS] <= third.usual[QRS] <= third.loud[QRS] < third.heights[QRS]


def named(evidence: Evidence) -> dict[str, float]:
    return dict(zip(FEATURES, evidence.values, strict=True))


def test_evidence_means_what_it_is_named() -> None:
    peaks = highest(peaks_of(complexes(250, [1.0, 2.0, 3.0, 4.0, 4.6], 6.0), 250))
    learned = Learned(peaks[0])
    for peak in peaks[:4]:
        learned.accept(peak, sure=True)
    values = named(learned.evidence(peaks[4], 250))
    assert values["since"] == pytest.approx(0.6, abs=0.01)
    assert values["since/interval"] == pytest.approx(0.6, abs=0.01)
    assert values["qrs/level"] == pytest.approx(0.0, abs=0.02)
    assert values["likeness"] == pytest.approx(1.0, abs=0.001)
    assert values["spread of intervals"] == pytest.approx(0.0, abs=0.01)
    assert values["within T wave"] == 0.0


def test_without_beats_evidence_is_finite() -> None:
    peak = peaks_of(complexes(250, [1.0], 2.0), 250)[0]
    assert all(map(math.isfinite, Learned(peak).evidence(peak, 250).values))


def test_the_model_is_one_layer_beside_a_direct_path() -> None:
    model = QrsModel([[1.0, -2.0], [0.5, 0.0]], [0.1, 0.2], [3.0, 4.0], [0.7, -0.7], 0.05)
    expected = 3 * math.tanh(1.0 + 1.0 + 0.1) + 4 * math.tanh(-2.0 + 0.2) + 0.7 - 1.4 + 0.05
    assert model(Evidence(0, [1.0, 2.0])) == pytest.approx(expected)


def test_the_shipped_weights_fit_the_evidence_and_name_their_origin() -> None:
    assert len(qrs_weights.HIDDEN) == len(qrs_weights.DIRECT) == len(FEATURES)
    assert len(qrs_weights.TRAINED_ON.split()) >= 8


def test_the_shipped_model_tells_complexes_from_other_peaks() -> None:
    simulator = Simulator("sinus", rate_hz=250, seed=1)
    odds: list[tuple[int, float]] = []

    def noted(evidence: Evidence) -> float:
        odds.append((evidence.sample, log_odds(evidence)))
        return odds[-1][1]

    BeatDetector(250, noted).push(simulator.read(250 * 60)[0] * 5.0)
    truth = np.array([beat.sample for beat in simulator.beats])
    of_beats = [each for at, each in odds if np.abs(truth - at).min() < 10]
    of_others = [each for at, each in odds if np.abs(truth - at).min() >= 40]
    assert len(of_beats) > 60
    assert len(of_others) > 5
    assert min(of_beats) > 0 > max(of_others)


def test_a_detector_asks_its_model_about_each_peak_once() -> None:
    seen: list[int] = []

    def never(evidence: Evidence) -> float:
        seen.append(evidence.sample)
        return -9.0

    signal = Simulator("sinus", rate_hz=250, seed=1).read(250 * 5)[0] * 5.0
    assert BeatDetector(250, never).push(signal) == []
    assert len(seen) >= 5
    assert AFTER_S < BEFORE_S
