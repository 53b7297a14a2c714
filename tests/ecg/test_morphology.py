"""Ventricular beats: told by shape, width and prematurity; nothing else is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.support.records import VENTRICULAR_CODES, annotated_record
from streaming.ecg.beats import Beat, BeatDetector
from streaming.ecg.simulator import Simulator


def beats_of(rhythm: str, seconds: float, rate_hz: float, lead: str = "II") -> tuple[Simulator, list[Beat]]:
    simulator = Simulator(rhythm, rate_hz=rate_hz, seed=3, leads=(lead,))
    detector = BeatDetector(rate_hz)
    beats = detector.push(simulator.read(round(seconds * rate_hz))[0] * 5.0)
    return simulator, beats + detector.finish()


@pytest.mark.parametrize("rhythm", ["sinus", "af", "bradycardia", "tachycardia"])
@pytest.mark.parametrize("rate_hz", [100, 130.06, 250, 1000])
def test_no_beat_of_the_atria_is_ventricular(rhythm: str, rate_hz: float) -> None:
    _, beats = beats_of(rhythm, 60, rate_hz)
    assert not any(beat.ventricular for beat in beats)


@pytest.mark.parametrize("rhythm", ["pvc", "vt"])
@pytest.mark.parametrize("rate_hz", [100, 130.06, 250, 1000])
@pytest.mark.parametrize("lead", ["II", "V1", "V5"])
def test_ventricular_beats_are_told_from_others(rhythm: str, rate_hz: float, lead: str) -> None:
    simulator, beats = beats_of(rhythm, 90, rate_hz, lead)
    truth = {beat.sample: beat.ventricular for beat in simulator.beats}
    at = np.array(list(truth))
    agreed = []
    for beat in beats[12:]:
        nearest = int(at[np.abs(at - beat.sample).argmin()])
        agreed.append((truth[nearest], beat.ventricular))
    ventricular = [said for true, said in agreed if true]
    others = [said for true, said in agreed if not true]
    assert len(ventricular) >= 10
    # In a long run of tachycardia its own shape becomes usual after a dozen beats.
    assert np.mean(ventricular) >= (0.7 if rhythm == "vt" else 0.9)
    assert np.mean(others) <= 0.03


def test_uniform_ectopy_of_recorded_hearts_is_found(data_dir: Path) -> None:
    """Records 201 and 217 have 360 ventricular beats; 100, 113, 122 and 212 have one."""
    pytest.importorskip("wfdb")
    found = missed = false = 0
    for name in ("100", "113", "122", "201", "212", "217"):
        record = annotated_record(data_dir / "mitdb" / f"{name}.hea")
        detector = BeatDetector(record.rate_hz)
        beats = detector.push(record.microvolts[0])
        for beat in beats:
            nearest = int(np.abs(record.beats - beat.sample).argmin())
            code = record.codes[nearest]
            if code in VENTRICULAR_CODES:
                found, missed = found + beat.ventricular, missed + (not beat.ventricular)
            elif name in {"100", "113", "122", "212"}:
                false += beat.ventricular
    assert found / (found + missed) >= 0.8
    assert false <= 10
