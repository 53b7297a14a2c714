"""What beats say of the rhythm: statistics in numbers, fibrillation, and what ventricular beats form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.ecg.beats import Beat
from streaming.ecg.rhythm import Ectopy, RhythmMonitor
from streaming.ecg.simulator import Simulator

RATE_HZ = 1000.0


def after(intervals_ms: list[int], ventricular: str = "") -> tuple[RhythmMonitor, int]:
    """A monitor that saw beats at these intervals; V marks the ventricular ones, the first beat included."""
    monitor, sample = RhythmMonitor(RATE_HZ), 0
    marks = ventricular or "N" * (len(intervals_ms) + 1)
    for interval, mark in zip([0, *intervals_ms], marks, strict=True):
        sample += interval
        monitor.beat(Beat(sample, 500.0, ventricular=mark == "V"))
    return monitor, sample


def ectopy(marks: str) -> Ectopy:
    monitor, now = after([600] * (len(marks) - 1), marks)
    return monitor.value(now).ectopy


def test_statistics_in_numbers() -> None:
    monitor, now = after([800, 900] * 10)
    intervals = monitor.value(now).intervals
    assert intervals is not None
    assert intervals.mean_ms == pytest.approx(850)
    assert intervals.sdnn_ms == pytest.approx(50 * np.sqrt(20 / 19))
    assert intervals.rmssd_ms == pytest.approx(100)


def test_neither_an_interval_nor_a_pattern_reaches_across_a_hole() -> None:
    monitor, now = after([800] * 16)
    for mark in (True, True, False):
        now += 800
        monitor.beat(Beat(now, 500.0, ventricular=mark), apart=mark)
    rhythm = monitor.value(now)
    assert (rhythm.ectopy, rhythm.run_length, rhythm.ventricular_per_minute) == (Ectopy.SINGLE, 1, 2)
    now += 3000
    monitor.beat(Beat(now, 500.0), apart=True)
    intervals = monitor.value(now).intervals
    assert intervals is not None
    assert intervals.mean_ms == pytest.approx(800)


def test_fifteen_intervals_are_too_few() -> None:
    monitor, now = after([800] * 15)
    assert monitor.value(now).intervals is None
    monitor, now = after([800] * 16)
    assert monitor.value(now).intervals is not None


def test_the_last_32_intervals_count() -> None:
    monitor, now = after([400] * 50 + [1000] * 32)
    intervals = monitor.value(now).intervals
    assert intervals is not None
    assert intervals.mean_ms == pytest.approx(1000)


def test_intervals_beside_ventricular_beats_do_not_count() -> None:
    intervals, marks = [], "N"
    for _ in range(12):
        intervals += [800, 800, 450, 1150]
        marks += "NNVN"
    monitor, now = after(intervals, marks)
    statistics = monitor.value(now).intervals
    assert statistics is not None
    assert statistics.mean_ms == pytest.approx(800)
    assert statistics.rmssd_ms == 0.0
    assert not monitor.value(now).atrial_fibrillation


def test_irregular_intervals_are_fibrillation() -> None:
    rng = np.random.default_rng(1)
    monitor, now = after(rng.normal(700, 140, 40).clip(350, 1300).astype(int).tolist())
    assert monitor.value(now).atrial_fibrillation


def test_regular_alternation_is_irregular_but_no_fibrillation() -> None:
    """Its RMSSD is high; its entropy is not."""
    monitor, now = after([600, 900] * 20)
    rhythm = monitor.value(now)
    assert rhythm.intervals is not None
    assert rhythm.intervals.rmssd_ms > 0.1 * rhythm.intervals.mean_ms
    assert not rhythm.atrial_fibrillation


@given(st.integers(300, 1500), st.integers(17, 60))
def test_a_steady_rhythm_is_none(interval_ms: int, count: int) -> None:
    monitor, now = after([interval_ms] * count)
    assert not monitor.value(now).atrial_fibrillation


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ("NNNN", Ectopy.NONE),
        ("NNVN", Ectopy.SINGLE),
        ("NVNNVN", Ectopy.SINGLE),
        ("NVVN", Ectopy.COUPLET),
        ("NVNVNV", Ectopy.BIGEMINY),
        ("NVNVNN", Ectopy.SINGLE),
        ("NVVVN", Ectopy.RUN),
        ("NVNVNVNVVVV", Ectopy.RUN),
    ],
)
def test_ventricular_beats_form(marks: str, expected: Ectopy) -> None:
    assert ectopy(marks) is expected


def test_ventricular_beats_of_the_last_minute_are_counted() -> None:
    monitor, now = after([1000] * 100, "N" * 20 + "VVVV" + "N" * 40 + "V" * 2 + "N" * 35)
    rhythm = monitor.value(now)
    assert (rhythm.ventricular_per_minute, rhythm.run_length, rhythm.ectopy) == (2, 2, Ectopy.COUPLET)
    assert monitor.value(now + 60_001).ventricular_per_minute == 0


def test_nothing_reaches_across_a_gap() -> None:
    monitor, now = after([800] * 20, "N" * 19 + "VV")
    monitor.reset()
    assert monitor.value(now).intervals is None
    monitor.beat(Beat(now + 500, 500.0, ventricular=True))
    assert monitor.value(now + 500).run_length == 1


@pytest.mark.parametrize("seed", range(4))
def test_simulated_fibrillation_is_told_from_sinus_rhythm(seed: int) -> None:
    for name in ("sinus", "af", "tachycardia"):
        simulator = Simulator(name, rate_hz=RATE_HZ, seed=seed)
        simulator.read(60_000)
        monitor = RhythmMonitor(RATE_HZ)
        for beat in simulator.beats:
            monitor.beat(Beat(beat.sample, 500.0, ventricular=beat.ventricular))
        assert monitor.value(60_000).atrial_fibrillation == (name == "af")


def test_recorded_fibrillation_is_told_from_other_rhythms(data_dir: Path) -> None:
    """By the annotated beats of record 201, which changes into fibrillation and back, and of regular ones."""
    wfdb = pytest.importorskip("wfdb")

    def judged(name: str) -> tuple[list[bool], list[bool]]:
        annotation = wfdb.rdann(str(data_dir / "mitdb" / name), "atr")
        monitor, rhythm = RhythmMonitor(360), ""
        said, true = [], []
        since = 0
        for at, symbol, note in zip(annotation.sample, annotation.symbol, annotation.aux_note, strict=True):
            if symbol == "+":
                rhythm, since = note.strip("\0"), at
            elif symbol in "NLRAaJSVFejE/f":
                monitor.beat(Beat(int(at), 500.0, ventricular=symbol in "VE"))
                if at - since > 30 * 360:
                    said.append(monitor.value(int(at)).atrial_fibrillation)
                    true.append(rhythm == "(AFIB")
        return said, true

    said, true = judged("201")
    assert sum(true) > 300
    assert np.mean(np.array(said)[true]) >= 0.9
    for name in ("100", "104", "113", "122", "212", "217"):
        said, true = judged(name)
        assert np.mean(np.array(said)[~np.array(true)]) <= 0.1, name
