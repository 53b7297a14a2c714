"""What is said of a rhythm, as information, on simulated hearts whose rhythm is known."""

from __future__ import annotations

import numpy as np
import pytest

from streaming.ecg.analysis import EcgAnalysis
from streaming.ecg.rhythm import Rhythm, RhythmName
from streaming.ecg.simulator import Simulator

RATE_HZ, LEADS = 250, ("II", "V1", "V5")


def said_of(rhythm: str, seconds: float = 60.0, seed: int = 1) -> Rhythm | None:
    patient = Simulator(rhythm, rate_hz=RATE_HZ, leads=LEADS, seed=seed)
    analysis = EcgAnalysis(RATE_HZ, LEADS)
    while patient.position < seconds * RATE_HZ:
        first = patient.position
        analysis.push(first, patient.read(50).astype(np.float64) * patient.gain_uv)
    return analysis.rhythm()


@pytest.mark.parametrize("rhythm", ["sinus", "bradycardia", "tachycardia"])
def test_of_a_regular_rhythm_nothing_stands_out(rhythm: str) -> None:
    said = said_of(rhythm)
    assert said is not None
    assert said.intervals is not None
    assert (said.name, said.ventricular_per_minute) == (None, 0)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_fibrillation_of_the_atria_is_told_by_its_intervals(seed: int) -> None:
    said = said_of("af", seed=seed)
    assert said is not None
    assert said.name is RhythmName.ATRIAL_FIBRILLATION


@pytest.mark.parametrize(
    ("rhythm", "name"),
    [("pvc", RhythmName.SINGLE), ("couplets", RhythmName.COUPLET), ("bigeminy", RhythmName.BIGEMINY)],
)
def test_ventricular_beats_are_counted_and_named(rhythm: str, name: RhythmName) -> None:
    patient = Simulator(rhythm, rate_hz=RATE_HZ, leads=LEADS, seed=1)
    patient.read(60 * RATE_HZ)
    shown = sum(beat.ventricular for beat in patient.beats)
    said = said_of(rhythm)
    assert said is not None
    assert said.name is name
    assert abs(said.ventricular_per_minute - shown) <= max(2, 0.2 * shown)


def test_without_a_heart_rate_nothing_is_said() -> None:
    assert said_of("asystole", seconds=20.0) is None
