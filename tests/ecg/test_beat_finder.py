"""Beats of several leads: the best lead leads, the other confirms, and no chunk or gap leaves a trace."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.support.noise import noise, with_noise
from bench.support.records import Score, annotated_record, score
from streaming.ecg.beat_finder import BeatFinder
from streaming.ecg.beats import Beat, BeatDetector
from streaming.ecg.simulator import Simulator

Signal = npt.NDArray[np.float64]
RATE_HZ = 250
LEADS = ("II", "V1", "V5")


def patient(
    rhythm: str, seconds: float, seed: int = 4, leads: Sequence[str] = LEADS
) -> tuple[list[int], Signal]:
    """True beats and all leads in microvolts."""
    simulator = Simulator(rhythm, rate_hz=RATE_HZ, leads=tuple(leads), seed=seed)
    signal = simulator.read(round(seconds * RATE_HZ)).astype(np.float64) * 5.0
    return [beat.sample for beat in simulator.beats], signal


def find(signal: Signal, chunk: int = 25, first: int = 0) -> list[Beat]:
    finder = BeatFinder(RATE_HZ, len(signal))
    beats = [
        beat
        for at in range(0, signal.shape[1], chunk)
        for beat in finder.push(first + at, signal[:, at : at + chunk])
    ]
    return beats + finder.reset(first + signal.shape[1])


def samples(beats: list[Beat]) -> list[int]:
    return [beat.sample for beat in beats]


def bad_muscle(signal: Signal, size_uv: float = 700.0) -> Signal:
    return signal + np.random.default_rng(6).normal(0.0, size_uv, signal.shape)


@pytest.mark.parametrize("rhythm", ["sinus", "af", "pvc", "bradycardia", "tachycardia", "vt"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_simulated_beat_is_found_once(rhythm: str, count: int) -> None:
    truth, signal = patient(rhythm, 40)
    beats = find(signal[:count])
    assert score(truth, samples(beats), RATE_HZ) == Score(len(truth), 0, 0)
    assert samples(beats) == sorted(samples(beats))


def test_one_lead_gives_the_detector_s_own_beats() -> None:
    _, signal = patient("pvc", 30)
    detector = BeatDetector(RATE_HZ)
    assert find(signal[:1]) == detector.push(signal[0]) + detector.finish()


def test_two_good_leads_agree_and_are_surer_than_one() -> None:
    _, signal = patient("sinus", 30)
    noisy = signal + np.random.default_rng(1).normal(0.0, 60.0, signal.shape)
    one, two = find(noisy[:1]), find(noisy[:2])
    assert {beat.lead for beat in two} == {0}
    assert np.mean([beat.confidence for beat in two]) >= np.mean([beat.confidence for beat in one])


def test_the_other_lead_leads_while_the_first_is_spoilt() -> None:
    truth, signal = patient("sinus", 60)
    signal = signal[:2]
    spoilt = signal.copy()
    spoilt[0, 20 * RATE_HZ : 40 * RATE_HZ] = bad_muscle(signal[0, 20 * RATE_HZ : 40 * RATE_HZ])
    beats = find(spoilt)
    result = score(truth, samples(beats), RATE_HZ)
    assert (result.overlooked, result.false) == (0, 0)
    assert {beat.lead for beat in beats if beat.sample < 20 * RATE_HZ} == {0}
    assert {beat.lead for beat in beats if 24 * RATE_HZ < beat.sample < 40 * RATE_HZ} == {1}


@pytest.mark.parametrize("value", [0.0, 10_000.0, np.nan])
def test_a_lead_without_a_signal_gives_way_to_the_next(value: float) -> None:
    truth, signal = patient("sinus", 60)
    signal[0, 20 * RATE_HZ :] = value
    beats = find(signal)
    late = [at for at in truth if at > 26 * RATE_HZ]
    found = [beat for beat in beats if beat.sample > 26 * RATE_HZ]
    assert score(late, samples(found), RATE_HZ) == Score(len(late), 0, 0)
    assert {beat.lead for beat in found} <= {1, 2}


def test_a_lead_that_is_called_off_is_left_at_once_and_taken_again() -> None:
    _, signal = patient("sinus", 30)
    finder = BeatFinder(RATE_HZ, 1)
    assert finder.lead == 0
    finder.push(0, signal[:1, :2500])
    finder.set_leads_off([0])
    assert [finder.lead] == [None]
    assert finder.push(2500, signal[:1, 2500:5000]) == []
    finder.set_leads_off([])
    found = finder.push(5000, signal[:1, 5000:])
    assert finder.lead == 0
    assert found
    assert min(samples(found)) >= 5000 + RATE_HZ


def test_without_any_signal_there_is_no_beat_and_no_lead() -> None:
    finder = BeatFinder(RATE_HZ, 2)
    assert finder.push(0, np.full((2, 5000), np.nan)) == []
    assert finder.lead is None


def test_no_beat_is_found_across_a_gap_and_none_before_it_is_lost() -> None:
    truth, signal = patient("sinus", 40)
    finder = BeatFinder(RATE_HZ, 3)
    found = finder.push(0, signal[:, :5003])
    after = finder.push(6000, signal[:, 6000:]) + finder.reset(10_000)
    before = [at for at in truth if at < 4985]
    assert [at for at in samples(found + after) if at < 4985] == pytest.approx(before, abs=3)
    rest = [at for at in truth if 6040 < at < 9985]
    assert [at for at in samples(after) if 6040 < at < 9985] == pytest.approx(rest, abs=3)
    assert not [at for at in samples(found + after) if 5003 <= at < 6000]


def spoilt_patient() -> Signal:
    """Two leads with a flat stretch, a rail, noise, missing samples, and beats that one of them lacks."""
    _, signal = patient("pvc", 60, leads=LEADS[:2])
    signal[0, 3000:4500] = 0.0
    signal[1, 5200:6100] = 10_000.0
    signal[0, 7000:9000] = bad_muscle(signal[0, 7000:9000])
    signal[1, 9500:9520] = np.nan
    signal[:, 11_000:11_003] = np.inf
    return signal


SPOILT = spoilt_patient()
WHOLE = find(SPOILT, chunk=SPOILT.shape[1])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 5000), min_size=1, max_size=40))
def test_chunking_changes_no_bit(chunks: list[int]) -> None:
    finder = BeatFinder(RATE_HZ, 2)
    ends = np.cumsum(chunks)
    beats, at = [], 0
    for piece in np.split(SPOILT, ends[ends < SPOILT.shape[1]], axis=1):
        beats += finder.push(at, piece)
        at += piece.shape[1]
    assert beats + finder.reset(at) == WHOLE
    assert len(WHOLE) > 50


def test_sample_by_sample_changes_no_bit() -> None:
    assert find(SPOILT, chunk=1) == WHOLE


def test_a_beat_is_told_with_the_sample_that_made_it_known() -> None:
    finder = BeatFinder(RATE_HZ, 2)
    told = 0
    for at in range(5000):
        for beat in finder.push(at, SPOILT[:, at : at + 1]):
            told += 1
            assert beat.known_at == at
    assert told > 15


def test_two_recorded_leads_are_better_than_one_in_noise(data_dir: Path) -> None:
    pytest.importorskip("wfdb")
    one, two = Score(0, 0, 0), Score(0, 0, 0)
    for number, name in enumerate(["100", "113", "231"]):
        record = annotated_record(data_dir / "mitdb" / f"{name}.hea")
        stop = 360 * 600
        rng = np.random.default_rng([5, number])
        beats = record.beats[record.beats < stop]
        leads = np.stack(
            [with_noise(lead[:stop], beats, 360, 6, noise(stop, 360, rng)) for lead in record.microvolts]
        )
        detector, finder = BeatDetector(360), BeatFinder(360, 2)
        one += score(beats.tolist(), samples(detector.push(leads[0]) + detector.finish()), 360)
        two += score(beats.tolist(), samples(finder.push(0, leads) + finder.reset(stop)), 360)
    assert two.sensitivity > one.sensitivity
    assert two.predictivity > one.predictivity
