"""Alarms on recorded hearts: minutes out of the reference records, with what a monitor must make of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streaming.client.recordings import open_recording
from streaming.ecg.alarm_rules import FIBRILLATION_ODDS
from streaming.ecg.alarms import AlarmKind
from streaming.ecg.analysis import EcgAnalysis
from streaming.ecg.fibrillation import FIBRILLATION_S, TRAINED
from streaming.ecg.filters import FloatArray
from streaming.ecg.window_features import wave_of

LETHAL = {
    "a": AlarmKind.ASYSTOLE,
    "b": AlarmKind.EXTREME_BRADYCARDIA,
    "f": AlarmKind.FIBRILLATION,
    "t": AlarmKind.EXTREME_TACHYCARDIA,
    "v": AlarmKind.VENTRICULAR_TACHYCARDIA,
}


def microvolts(header: Path, first_s: float, stop_s: float) -> tuple[FloatArray, float, list[str]]:
    """Part of a record, its rate, and the names of its leads."""
    pytest.importorskip("wfdb")
    if not header.is_file():
        pytest.skip(f"no {header}")
    recording = open_recording(header)
    part = recording.samples[:, round(first_s * recording.rate_hz) : round(stop_s * recording.rate_hz)]
    baselines = np.array([[lead.baseline] for lead in recording.leads], np.float64)
    gains_uv = np.array([[lead.gain_uv] for lead in recording.leads])
    return (part - baselines) * gains_uv, recording.rate_hz, [lead.name for lead in recording.leads]


def held(header: Path, first_s: float, stop_s: float, *, from_s: float) -> set[AlarmKind]:
    """The conditions that held at any time after `from_s`."""
    signal, rate_hz, leads = microvolts(header, first_s, stop_s)
    analysis = EcgAnalysis(rate_hz, leads)
    kinds: set[AlarmKind] = set()
    for at in range(0, signal.shape[1], 25):
        analysis.push(at, signal[:, at : at + 25])
        if first_s + analysis.analysed_to / rate_hz > from_s:
            kinds |= {condition.kind for condition in analysis.conditions}
    assert analysis.failure is None
    return kinds


@pytest.mark.parametrize(
    "record",
    ["a142s", "a442s", "b515l", "b656s", "b794s", "f450s", "t333l", "t547l", "v131l", "v579l", "v632s"],
)
def test_true_alarms_of_the_challenge_are_confirmed(data_dir: Path, record: str) -> None:
    kinds = held(data_dir / "cinc2015" / f"{record}.hea", 230, 300, from_s=290)
    assert LETHAL[record[0]] in kinds


@pytest.mark.parametrize(
    "record", ["a103l", "a556s", "b617l", "f236s", "f613l", "t116s", "v100s", "v292s", "v338s", "v498s"]
)
def test_false_alarms_of_the_challenge_are_refused(data_dir: Path, record: str) -> None:
    kinds = held(data_dir / "cinc2015" / f"{record}.hea", 230, 300, from_s=290)
    assert LETHAL[record[0]] not in kinds


@pytest.mark.parametrize(("record", "first_s"), [("104", 285), ("108", 1700), ("222", 1400), ("117", 0)])
def test_noise_and_harmless_rhythms_of_mitdb_raise_no_lethal_alarm(
    data_dir: Path, record: str, first_s: float
) -> None:
    """The noisiest minute of two records, one of atrial flutter, and one of a slow, quiet heart."""
    kinds = held(data_dir / "mitdb" / f"{record}.hea", first_s, first_s + 60, from_s=first_s)
    assert not kinds & set(LETHAL.values())


@pytest.mark.parametrize(
    ("record", "first_s", "fibrillates"),
    [("422", 20, False), ("609", 1300, False), ("614", 20, False), ("422", 1540, True), ("430", 790, True)],
)
def test_the_shipped_model_tells_the_rhythms_of_vfdb(
    data_dir: Path, record: str, first_s: float, fibrillates: bool
) -> None:
    signal, rate_hz, _ = microvolts(data_dir / "vfdb" / f"{record}.hea", first_s, first_s + 60)
    size = round(FIBRILLATION_S * rate_hz)
    windows = np.array([signal[0, at : at + size] for at in range(0, signal.shape[1] - size, size)])
    odds = TRAINED.fibrillation.log_odds(wave_of(windows, rate_hz))
    called = [odd is not None and odd > FIBRILLATION_ODDS for odd in odds]
    assert np.mean(called) >= 0.8 if fibrillates else not any(called)
