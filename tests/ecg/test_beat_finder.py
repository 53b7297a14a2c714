"""Beats of several leads: the best lead leads, and the other confirms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bench.support.noise import noise, with_noise
from bench.support.records import Score, annotated_record, score
from streaming.ecg.beat_finder import BeatFinder
from streaming.ecg.beats import Beat, BeatDetector
from streaming.ecg.quality import QualityMeter, block_samples
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


class Leads:
    """Detectors and quality of some leads, tick by tick, as the analysis has them, and a finder."""

    def __init__(self, leads: int, rate_hz: float = RATE_HZ, first: int = 0) -> None:
        self.finder = BeatFinder(rate_hz, leads, first)
        self.quality = QualityMeter(rate_hz, leads)
        self.detectors = [BeatDetector(rate_hz, lead=lead) for lead in range(leads)]
        for detector in self.detectors:
            detector.reset(first)
        self.tick, self.now = block_samples(rate_hz), first

    def push(self, signal: Signal) -> list[Beat]:
        """What the finder makes of all whole ticks."""
        beats: list[Beat] = []
        for at in range(0, signal.shape[1] - self.tick + 1, self.tick):
            part = signal[:, at : at + self.tick]
            self.quality.push(part)
            pairs = zip(self.detectors, part, strict=True)
            found = [beat for detector, lead in pairs for beat in detector.push(lead)]
            self.now += self.tick
            beats += self.finder.push(self.now, found, self.quality.value())
        return beats


def find(signal: Signal) -> list[Beat]:
    return Leads(len(signal)).push(signal)


def samples(beats: list[Beat]) -> list[int]:
    return [beat.sample for beat in beats]


def bad_muscle(signal: Signal, size_uv: float = 700.0) -> Signal:
    return signal + np.random.default_rng(6).normal(0.0, size_uv, signal.shape)


@pytest.mark.parametrize("rhythm", ["sinus", "af", "pvc", "bradycardia", "tachycardia", "vt"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_simulated_beat_is_found_once(rhythm: str, count: int) -> None:
    truth, signal = patient(rhythm, 40)
    until = 39 * RATE_HZ
    beats = [at for at in samples(find(signal[:count])) if at < until]
    truth = [at for at in truth if at < until]
    assert score(truth, beats, RATE_HZ) == Score(len(truth), 0, 0)
    assert beats == sorted(beats)


def test_one_lead_gives_the_detector_s_own_beats() -> None:
    _, signal = patient("pvc", 30)
    assert find(signal[:1]) == BeatDetector(RATE_HZ).push(signal[0, : 120 * 62])


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
    result = score([at for at in truth if at < 59 * RATE_HZ], samples(beats), RATE_HZ)
    assert (result.overlooked, result.false) == (0, 0)
    assert {beat.lead for beat in beats if beat.sample < 20 * RATE_HZ} == {0}
    assert {beat.lead for beat in beats if 24 * RATE_HZ < beat.sample < 40 * RATE_HZ} == {1}


def test_what_beats_as_it_likes_on_the_other_lead_is_not_counted_between_the_beats_of_a_heart() -> None:
    truth, signal = patient("sinus", 60)
    signal = signal[:2]
    signal[1, 30 * RATE_HZ :] = patient("tachycardia", 30, seed=9)[1][1]
    beats = [at for at in samples(find(signal)) if at < 59 * RATE_HZ]
    truth = [at for at in truth if at < 59 * RATE_HZ]
    result = score(truth, beats, RATE_HZ)
    assert result.overlooked <= 1
    assert result.false <= 4


@pytest.mark.parametrize("value", [0.0, 10_000.0, np.nan])
def test_a_lead_without_a_signal_gives_way_to_the_next(value: float) -> None:
    truth, signal = patient("sinus", 60)
    signal[0, 20 * RATE_HZ :] = value
    beats = find(signal)
    late = [at for at in truth if 26 * RATE_HZ < at < 59 * RATE_HZ]
    found = [beat for beat in beats if 26 * RATE_HZ < beat.sample < 59 * RATE_HZ]
    assert score(late, samples(found), RATE_HZ) == Score(len(late), 0, 0)
    assert {beat.lead for beat in found} <= {1, 2}


def test_a_lead_that_is_called_off_is_left_and_taken_again_when_it_has_settled() -> None:
    _, signal = patient("sinus", 30)
    leads = Leads(1)
    leads.push(signal[:1, :2480])
    leads.quality.set_leads_off([0])
    assert not [at for at in samples(leads.push(signal[:1, 2480:4960])) if at >= 2480]
    assert [leads.finder.lead] == [None]
    leads.quality.set_leads_off([])
    found = leads.push(signal[:1, 4960:])
    assert leads.finder.lead == 0
    assert found
    assert min(samples(found)) >= 4960 + RATE_HZ


def test_without_any_signal_there_is_no_beat_and_no_lead() -> None:
    leads = Leads(2)
    assert leads.push(np.full((2, 5000), np.nan)) == []
    assert leads.finder.lead is None


def test_a_beat_is_known_at_the_latest_at_the_end_of_its_tick() -> None:
    _, signal = patient("pvc", 30)
    leads = Leads(2)
    told = 0
    for at in range(0, 7000, 62):
        for beat in leads.push(signal[:2, at : at + 62]):
            told += 1
            assert leads.now - 62 <= beat.known_at < leads.now
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
        detector = BeatDetector(360)
        one += score(beats.tolist(), samples(detector.push(leads[0]) + detector.finish()), 360)
        two += score(beats.tolist(), samples(Leads(2, 360).push(leads)), 360)
    assert two.sensitivity > one.sensitivity
    assert two.predictivity > one.predictivity
