"""The models of fibrillation and ventricular runs: on made waves, and as they are trained."""

from __future__ import annotations

import numpy as np
import pytest

from streaming.ecg.alarm_rules import FIBRILLATION_ODDS, UNLIKE_RUN_ODDS
from streaming.ecg.fibrillation import FIBRILLATION_S, LIVE_UV, RUN_S, TRAINED, Model
from streaming.ecg.filters import FloatArray
from streaming.ecg.simulator import Simulator
from streaming.ecg.window_features import FEATURES, wave_of
from tests.ecg.hearts import RATE_HZ, fibrillation, rhythm, standstill

SPAN = round(FIBRILLATION_S * RATE_HZ)


def windows(lead: FloatArray, seconds: float) -> FloatArray:
    size = round(seconds * RATE_HZ)
    return wave_of(np.array([lead[at : at + size] for at in range(0, len(lead) - size, size)]), RATE_HZ)


@pytest.mark.parametrize("size_uv", [200.0, 1000.0])
def test_made_fibrillation_is_called(size_uv: float) -> None:
    for lead in fibrillation(40, size_uv):
        odds = TRAINED.fibrillation.log_odds(windows(lead, FIBRILLATION_S))
        assert min(odd for odd in odds if odd is not None) > FIBRILLATION_ODDS


@pytest.mark.parametrize("name", ["sinus", "af", "pvc", "bradycardia", "tachycardia"])
def test_hearts_that_beat_are_not(name: str) -> None:
    for lead in rhythm(name, 60):
        odds = TRAINED.fibrillation.log_odds(windows(lead, FIBRILLATION_S))
        assert max(odd for odd in odds if odd is not None) < FIBRILLATION_ODDS - 1.0


def test_a_ventricular_run_is_told_from_what_is_around_it() -> None:
    simulator = Simulator("vt", rate_hz=RATE_HZ, seed=1)
    lead = simulator.read(round(60 * RATE_HZ))[0] * 5.0
    ventricular = [beat.sample for beat in simulator.beats if beat.ventricular]
    size = round(RUN_S * RATE_HZ)
    first = ventricular[0]
    both = np.array([lead[first:][:size], lead[first - size - 50 :][:size]])
    inside, before = TRAINED.run.log_odds(wave_of(both, RATE_HZ))
    assert inside is not None
    assert before is not None
    assert before < UNLIKE_RUN_ODDS - 2.0 < UNLIKE_RUN_ODDS < inside


def test_a_flat_line_is_not_judged() -> None:
    waves = wave_of(np.concatenate([standstill(4), fibrillation(4)]), RATE_HZ)
    assert np.ptp(waves, axis=1).tolist()[0] < LIVE_UV
    flat, quiet, *live = TRAINED.fibrillation.log_odds(waves)
    assert (flat, quiet) == (None, None)
    assert live == TRAINED.fibrillation.log_odds(waves[2:])


def test_log_odds_are_the_weighted_sum_of_standardised_features() -> None:
    zeros, ones = np.zeros(len(FEATURES)), np.ones(len(FEATURES))
    model = Model(ones, 2.0 * ones, zeros + np.arange(len(FEATURES)), -0.5)
    total = np.arange(len(FEATURES)).sum()
    assert model.of(np.array([3.0 * ones, ones])) == pytest.approx([total - 0.5, -0.5])


def test_there_is_a_weight_for_each_feature() -> None:
    for model in (TRAINED.fibrillation, TRAINED.run):
        assert len(model.mean) == len(model.deviation) == len(model.weights) == len(FEATURES)
        assert (model.deviation > 0).all()
