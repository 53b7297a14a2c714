"""Scripted patients: signals that do what a scenario says, to the sample."""

from __future__ import annotations

import itertools
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streaming.ecg.artefacts import Artefact, ArtefactSpan
from streaming.ecg.beat_times import FIRST_BEAT
from streaming.ecg.labels import Label, RhythmOnset, SimulatedBeat
from streaming.ecg.leads import DOWER
from streaming.ecg.rhythms import RHYTHMS
from streaming.ecg.scenario import Disturbance, Phase, Scenario
from streaming.ecg.simulator import BLOCK, FADE_S, LAST_BREATH_S, Simulator
from streaming.ecg.upcoming import BeatPlan

RATE_HZ = 250
BEATING = [name for name, rhythm in RHYTHMS.items() if rhythm.beats is not None and name != "lead_off"]
CHANGES = Scenario(
    (
        Phase(0.0, 3.3, "af"),
        Phase(3.3, 6.0, "vf"),
        Phase(6.0, 8.5, "pulse"),
        Phase(8.5, 11.0, "asystole"),
        Phase(11.0, inf, "vt_sustained", 150),
    ),
    (
        Disturbance(1.0, 4.0, Artefact.EMG),
        Disturbance(2.0, 9.0, Artefact.WANDER, "V1"),
        Disturbance(4.0, 0.5, Artefact.LEAD_OFF_RAIL, "II"),
    ),
)


def simulate(
    scenario: Scenario, leads: tuple[str, ...] = ("II", "V1"), rate_hz: float = RATE_HZ
) -> Simulator:
    return Simulator(scenario, rate_hz=rate_hz, leads=leads, seed=3)


def after_sinus(rhythm: str, onset_s: float, heart_rate: float | None = None) -> Scenario:
    return Scenario((Phase(0.0, onset_s, "sinus", 75), Phase(onset_s, inf, rhythm, heart_rate)))


def rhythms_of(patient: Simulator) -> list[RhythmOnset]:
    return [label for label in patient.onsets if isinstance(label, RhythmOnset)]


# -- what a scenario is


@pytest.mark.parametrize(
    ("phases", "repeat", "words"),
    [
        ((), False, "without a hole"),
        ((Phase(1.0, 2.0, "sinus"),), False, "without a hole"),
        ((Phase(0.0, 2.0, "sinus"), Phase(2.5, 3.0, "vf")), False, "without a hole"),
        ((Phase(0.0, 0.0, "sinus"),), False, "end after it has begun"),
        ((Phase(0.0, inf, "sinus"),), True, "cannot repeat"),
        ((Phase(0.0, 9.0, "lead_off"), Phase(9.0, inf, "vf")), False, "lead_off is played alone"),
    ],
)
def test_phases_that_cannot_be_played_are_refused(
    phases: tuple[Phase, ...], repeat: bool, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Scenario(phases, repeat=repeat)


def test_a_phase_has_a_rhythm_at_a_rate_that_there_is() -> None:
    with pytest.raises(ValueError, match="unknown rhythm 'waltz'"):
        Phase(0.0, 1.0, "waltz")
    with pytest.raises(ValueError, match="from 120 to 220 bpm"):
        Phase(0.0, 1.0, "vt_sustained", 230)


def test_a_scenario_has_its_own_heart_rates() -> None:
    with pytest.raises(ValueError, match="its own heart rates"):
        Simulator(CHANGES, rate_hz=RATE_HZ, seed=1, heart_rate=60)


def test_scenario_without_repeat_goes_on_with_its_last_rhythm() -> None:
    scenario = Scenario((Phase(0.0, 5.0, "asystole"), Phase(5.0, 10.0, "sinus")))
    assert scenario.duration_s == 10
    patient = simulate(scenario)
    patient.read(60 * RATE_HZ)
    assert patient.beats[-1].sample > 58 * RATE_HZ
    assert len(patient.onsets) == 2


def test_scenario_that_repeats_begins_everything_again() -> None:
    disturbances = (Disturbance(3.0, 1.0, Artefact.EMG), Disturbance(1.0, 0.5, Artefact.STEP, "II", -1.0))
    scenario = Scenario((Phase(0.0, 2.0, "vf"), Phase(2.0, 4.0, "asystole")), disturbances, repeat=True)
    assert scenario.duration_s is None
    patient = simulate(scenario)
    patient.read(9 * RATE_HZ)
    assert rhythms_of(patient) == [
        RhythmOnset(number * 500, ("vf", "asystole")[number % 2], None) for number in range(5)
    ]
    assert [label for label in patient.onsets if isinstance(label, ArtefactSpan)] == [
        span
        for begins in (0, 1000)
        for span in (
            ArtefactSpan(begins + 250, begins + 375, Artefact.STEP, "II", -1.0),
            ArtefactSpan(begins + 750, begins + 1000, Artefact.EMG, None, 0.1),
        )
    ]


# -- the same however it is read


@settings(max_examples=20)
@given(chunks=st.lists(st.integers(1, 900), min_size=1, max_size=12))
def test_chunking_changes_neither_signal_nor_labels(chunks: list[int]) -> None:
    whole, pieces = simulate(CHANGES), simulate(CHANGES)
    expected = whole.read(sum(chunks))
    got: list[NDArray[np.int16]] = []
    labels: list[Label] = []
    for n in chunks:
        first = pieces.position
        got.append(pieces.read(n))
        labels += pieces.labels_from(first)
    assert np.array_equal(np.concatenate(got, axis=1), expected)
    assert labels == whole.labels_from(0)


def test_seed_decides_the_signal_and_not_the_script() -> None:
    one, same, other = (
        Simulator(CHANGES, rate_hz=RATE_HZ, leads=("II", "V1"), seed=seed) for seed in (1, 1, 2)
    )
    signal = one.read(15 * RATE_HZ)
    assert np.array_equal(signal, same.read(15 * RATE_HZ))
    assert not np.array_equal(signal, other.read(15 * RATE_HZ))
    assert one.onsets == other.onsets
    assert one.beats != other.beats


# -- onsets


@pytest.mark.parametrize("rhythm", [name for name in RHYTHMS if name != "lead_off"])
@pytest.mark.parametrize("rate_hz", [130.06, 250, 500])
def test_nothing_is_different_before_the_onset_and_then_it_is(rhythm: str, rate_hz: float) -> None:
    onset_s = 10.123
    onset = round(onset_s * rate_hz)
    patient = simulate(after_sinus(rhythm, onset_s), rate_hz=rate_hz)
    without = simulate(Scenario((Phase(0.0, inf, "sinus", 75),)), rate_hz=rate_hz)
    signal, sinus = (one.read(round(14 * rate_hz)).astype(int) for one in (patient, without))
    # In sinus rhythm, the P wave of a beat that will not come any more has begun: up to 0.4 RR before it.
    began = next(beat.sample for beat in without.beats if beat.sample >= onset) - round(0.4 * 0.8 * rate_hz)
    different = np.flatnonzero((signal != sinus).any(axis=0))
    assert min(onset, began) <= different[0] <= onset + rate_hz
    assert rhythms_of(patient) == [
        RhythmOnset(0, "sinus", 75),
        RhythmOnset(onset, rhythm, RHYTHMS[rhythm].heart_rate),
    ]
    assert [beat for beat in patient.beats if beat.sample < onset] == [
        beat for beat in without.beats if beat.sample < onset
    ]


@given(sample=st.integers(1, 6 * BLOCK), late=st.sampled_from([-0.5, -0.49, 0.0, 0.49, 0.5]))
@settings(max_examples=60)
@pytest.mark.parametrize("rate_hz", [130.06, 250.0, 360.0])
def test_what_begins_between_two_samples_begins_at_the_nearest_and_is_labelled_there(
    rate_hz: float, sample: int, late: float
) -> None:
    at_s = (sample + late) / rate_hz
    off = Disturbance(at_s, 0.3, Artefact.LEAD_OFF_FLAT, "II")
    patient = simulate(Scenario((Phase(0.0, inf, "vf"),), (off,)), rate_hz=rate_hz)
    labels: list[Label] = []
    flat: list[int] = []
    while patient.position < sample + rate_hz:
        first = patient.position
        flat += [first + int(at) for at in np.flatnonzero(patient.read(25)[0] == 0)]
        labels += patient.labels_from(first)
    spans = [label for label in labels if isinstance(label, ArtefactSpan)]
    assert len(spans) == 1
    assert abs(spans[0].first - at_s * rate_hz) <= 0.5
    assert set(range(spans[0].first, spans[0].stop)) <= set(flat)
    # The sample before and the one after may be 0 by chance, but never both ten samples.
    around = {*range(spans[0].first - 10, spans[0].first), *range(spans[0].stop, spans[0].stop + 10)}
    assert not around <= set(flat)


@pytest.mark.parametrize("rhythm", ["vf", "asystole"])
def test_no_beat_comes_after_the_heart_has_ceased_to_beat_nor_before_it_beats_again(rhythm: str) -> None:
    phases = (Phase(0.0, 20.0, "sinus"), Phase(20.0, 30.0, rhythm), Phase(30.0, inf, "sinus", 60))
    patient = simulate(Scenario(phases))
    patient.read(40 * RATE_HZ)
    during = [beat for beat in patient.beats if 20 * RATE_HZ <= beat.sample < 30 * RATE_HZ]
    assert during == []
    again = next(beat.sample for beat in patient.beats if beat.sample >= 30 * RATE_HZ)
    assert again == round((30 + FIRST_BEAT) * RATE_HZ)


@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(BEATING, 2)))
def test_the_first_beat_of_a_rhythm_is_a_whole_rr_after_the_last_one_of_another(
    before: str, after: str
) -> None:
    rr_s = 60 / (RHYTHMS[after].heart_rate or 0)
    for onset_s in np.arange(8.0, 9.0, 0.09):
        phases = (Phase(0.0, onset_s, before), Phase(onset_s, inf, after))
        plan = BeatPlan(np.random.default_rng(3), Scenario(phases).played_phases())
        times = [beat.time_s for beat in plan.beats_before(16.0)]
        last = max(time_s for time_s in times if time_s < onset_s)
        first = min(time_s for time_s in times if time_s >= onset_s)
        assert first == pytest.approx(max(onset_s + FIRST_BEAT * rr_s, last + rr_s))


def test_ventricular_fibrillation_is_there_a_tenth_of_a_second_after_its_onset() -> None:
    phases = (Phase(0.0, 5.0, "asystole"), Phase(5.0, 10.0, "vf"), Phase(10.0, inf, "asystole"))
    patient, still = simulate(Scenario(phases)), simulate(Scenario((Phase(0.0, inf, "asystole"),)))
    signal, quiet_uv = (one.read(15 * RATE_HZ)[0] * 5.0 for one in (patient, still))
    waves_uv = np.abs(signal - quiet_uv)
    # Beside the fibrillation, the baseline comes to rest anew: 0.1 mV at most.
    apart = round(LAST_BREATH_S * RATE_HZ)
    assert waves_uv[: 5 * RATE_HZ - apart].max() == 0
    assert waves_uv[5 * RATE_HZ + round(FADE_S * RATE_HZ) :][: RATE_HZ // 2].max() > 150
    assert waves_uv[10 * RATE_HZ + apart :].max() == 0


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("onset_s", [3.2, 3.4, 3.6, 3.8])
def test_the_baseline_comes_to_rest_in_a_standstill_without_a_jump(seed: int, onset_s: float) -> None:
    phases = (Phase(0.0, onset_s, "sinus", 20), Phase(onset_s, inf, "asystole"))
    patient = Simulator(Scenario(phases), rate_hz=RATE_HZ, leads=tuple(DOWER), seed=seed)
    since = 3 * RATE_HZ  # the T wave of the one beat, at 1.8 s, has ended
    signal = patient.read(20 * RATE_HZ)[:, since:] * 5.0
    baseline = np.array([np.convolve(lead, np.full(25, 1 / 25), mode="valid") for lead in signal])
    # A tenth of a second apart: 0.12 mV of at most 0.5 Hz, and what it loses; 25 samples leave a third of
    # the muscle, which is 8 microvolts.
    moves_uv = (120 * 2 * np.pi * 0.5 + 108 / LAST_BREATH_S) * 0.1
    assert np.abs(baseline[:, 25:] - baseline[:, :-25]).max() < moves_uv + 5 * 8 / 3
    at_rest = round((onset_s + LAST_BREATH_S) * RATE_HZ) - since
    assert np.abs(baseline[:, at_rest:]).max() <= 12 + 5 * 8 / 3


@pytest.mark.parametrize("onset", [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1])
def test_a_rhythm_may_begin_with_any_sample_of_a_block(onset: int) -> None:
    onset_s = onset / RATE_HZ
    patient = simulate(Scenario((Phase(0.0, onset_s, "asystole"), Phase(onset_s, inf, "pulse"))))
    samples = patient.read(onset + RATE_HZ)[0]
    assert np.flatnonzero(samples == 200).tolist() == list(range(onset, onset + 50))
    assert rhythms_of(patient)[1] == RhythmOnset(onset, "pulse", None)


def test_pulse_phase_begins_with_its_first_sample() -> None:
    samples = simulate(CHANGES).read(9 * RATE_HZ)
    second = [200] * 50 + [0] * 200
    assert samples[:, 1500:2125].tolist() == [(second * 3)[:625]] * 2


# -- labels


def test_labels_come_in_order_and_those_of_one_sample_with_the_onset_first() -> None:
    onset_s = (FIRST_BEAT + 1) * 0.8
    scenario = Scenario(
        (Phase(0.0, onset_s, "sinus", 75), Phase(onset_s, inf, "vf")),
        (Disturbance(onset_s, 1.0, Artefact.EMG),),
    )
    patient = simulate(scenario)
    patient.read(5 * RATE_HZ)
    labels = patient.labels_from(0)
    assert [type(label) for label in labels[-2:]] == [RhythmOnset, ArtefactSpan]
    assert patient.labels_from(round(onset_s * RATE_HZ)) == labels[-2:]
    assert sum(isinstance(label, SimulatedBeat) for label in labels) == len(patient.beats)
