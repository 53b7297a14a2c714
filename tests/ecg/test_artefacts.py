"""What spoils a simulated signal: of the kind and size that was asked for, where it was asked for."""

from __future__ import annotations

import math
from math import inf

import numpy as np
import pytest
from numpy.typing import NDArray

from streaming.ecg.artefacts import EDGE_S, LEAD_OFF, LEVELS_MV, MAINS_HZ, Artefact, ArtefactSpan
from streaming.ecg.leads import TWELVE_LEADS
from streaming.ecg.scenario import Disturbance, Phase, Scenario
from streaming.ecg.simulator import RAIL_UV, Simulator
from streaming.exceptions import ScenarioError

RATE_HZ = 500
FIRST, STOP = 2050, 5200
"""Where the artefact of each test begins, and where it has ended."""
FULL = slice(FIRST + round(EDGE_S * RATE_HZ), STOP - round(EDGE_S * RATE_HZ))
STEP_UV = 5.0


def spoilt(
    kind: Artefact | None,
    *,
    lead: str | None = None,
    level_mv: float | None = None,
    leads: tuple[str, ...] = TWELVE_LEADS,
    rate_hz: float = RATE_HZ,
) -> Simulator:
    for_s = (STOP - FIRST) / RATE_HZ
    disturbances = () if kind is None else (Disturbance(FIRST / RATE_HZ, for_s, kind, lead, level_mv),)
    scenario = Scenario((Phase(0.0, inf, "sinus"),), disturbances)
    return Simulator(scenario, rate_hz=rate_hz, leads=leads, seed=3)


def signal(patient: Simulator, seconds: float = 12) -> NDArray[np.int64]:
    return patient.read(round(seconds * RATE_HZ)).astype(np.int64)


def added_uv(kind: Artefact, level_mv: float) -> NDArray[np.floating]:
    """What the artefact adds to lead II where it has its full size."""
    leads = ("II",)
    difference = signal(spoilt(kind, level_mv=level_mv, leads=leads)) - signal(spoilt(None, leads=leads))
    return difference[0, FULL] * STEP_UV


def share_of_power(wave: NDArray[np.floating], low_hz: float, high_hz: float) -> float:
    power = np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) ** 2
    hz = np.fft.rfftfreq(len(wave), 1 / RATE_HZ)
    return float(power[(hz >= low_hz) & (hz <= high_hz)].sum() / power.sum())


@pytest.mark.parametrize("kind", Artefact)
def test_artefact_is_in_its_lead_from_its_first_sample_to_its_last(kind: Artefact) -> None:
    clean, patient = signal(spoilt(None)), spoilt(kind, lead="V2")
    samples = signal(patient)
    spans = [one for one in patient.onsets if isinstance(one, ArtefactSpan)]
    assert spans == [ArtefactSpan(FIRST, STOP, kind, "V2", LEVELS_MV.get(kind))]
    differs = np.flatnonzero((samples != clean)[TWELVE_LEADS.index("V2")])
    at_once = kind in (*LEAD_OFF, Artefact.STEP)
    room = 1 if at_once else RATE_HZ if kind is Artefact.CLIPPING else 2 * EDGE_S * RATE_HZ
    assert FIRST <= differs[0] < FIRST + room
    assert STOP - room <= differs[-1] < STOP
    others = [row for row, name in enumerate(TWELVE_LEADS) if name != "V2"]
    assert np.array_equal(samples[others], clean[others])


@pytest.mark.parametrize("kind", [kind for kind in Artefact if kind not in LEAD_OFF])
@pytest.mark.parametrize("lead", [None, "I"])
def test_einthoven_holds_through_artefacts(kind: Artefact, lead: str | None) -> None:
    one, two, three = signal(spoilt(kind, lead=lead))[:3]
    assert np.array_equal(one + three, two)


def test_wander_is_slow_and_at_most_as_high_as_was_asked_for() -> None:
    wander = added_uv(Artefact.WANDER, 1.0)
    assert share_of_power(wander, 0.0, 0.7) > 0.99
    assert np.abs(wander).max() <= 1000 + STEP_UV
    assert np.abs(wander).max() > 1000 / 3  # three waves, one of which is alone somewhere


@pytest.mark.parametrize(("kind", "hz"), MAINS_HZ.items())
def test_mains_hum_at_their_frequency_with_the_peak_that_was_asked_for(kind: Artefact, hz: float) -> None:
    hum = added_uv(kind, 0.4)
    assert share_of_power(hum, hz - 0.5, hz + 0.5) > 0.99
    # The nearest sample is at most half a sample from a peak.
    assert 400 * math.cos(math.pi * hz / RATE_HZ) - STEP_UV <= np.abs(hum).max() <= 400 + STEP_UV


def test_muscle_has_20_to_100_hz_and_the_rms_that_was_asked_for() -> None:
    muscle = added_uv(Artefact.EMG, 0.3)
    # A filter of 31 taps at 500 Hz has edges of 3.3 / 31 x 500 Hz = 53 Hz (Hamming), half of it outside.
    assert share_of_power(muscle, 0.0, 127.0) > 0.98
    assert share_of_power(muscle, 20.0, 100.0) > 0.75
    # n samples of a band of 80 Hz at 500 are n x 80 / 250 independent ones; four deviations.
    independent = len(muscle) * 80 / 250
    assert muscle.std() == pytest.approx(300, rel=4 / math.sqrt(2 * independent))


@pytest.mark.parametrize("kind", [Artefact.WANDER, Artefact.MAINS_50, Artefact.MAINS_60])
def test_what_oscillates_comes_up_from_nothing_and_dies_away(kind: Artefact) -> None:
    spoilt_uv, clean_uv = (
        signal(spoilt(one, level_mv=5.0, leads=("II",)))[0] * STEP_UV for one in (kind, None)
    )
    size_uv = np.abs(spoilt_uv - clean_uv)[FIRST:STOP]
    inside = np.minimum(np.arange(len(size_uv)), len(size_uv) - np.arange(len(size_uv)))
    assert np.all(size_uv <= 5000 * np.minimum(inside / (EDGE_S * RATE_HZ), 1) + STEP_UV)


@pytest.mark.parametrize("level_mv", [-2.0, 1.5])
def test_step_moves_the_baseline_and_back(level_mv: float) -> None:
    assert added_uv(Artefact.STEP, level_mv) == pytest.approx(1000 * level_mv, abs=STEP_UV)


def test_clipping_cuts_above_and_below_and_leaves_the_rest() -> None:
    clean = signal(spoilt(None, leads=("II",)))[0, FULL]
    clipped = signal(spoilt(Artefact.CLIPPING, level_mv=0.2, leads=("II",)))[0, FULL]
    assert clean.max() > 40
    assert clean.min() < -40
    assert np.array_equal(clipped, np.clip(clean, -40, 40))


def test_clipping_clips_the_other_artefacts_too() -> None:
    disturbances = (
        Disturbance(1.0, 4.0, Artefact.CLIPPING, None, 0.5),
        Disturbance(2.0, 4.0, Artefact.STEP, None, 3.0),
    )
    scenario = Scenario((Phase(0.0, inf, "sinus"),), disturbances)
    samples = signal(Simulator(scenario, rate_hz=RATE_HZ, leads=("II",), seed=3))[0]
    assert set(samples[2 * RATE_HZ : 5 * RATE_HZ].tolist()) == {100}
    assert samples[5 * RATE_HZ : 6 * RATE_HZ].min() > 400


@pytest.mark.parametrize(
    ("kind", "reads"), [(Artefact.LEAD_OFF_RAIL, RAIL_UV / STEP_UV), (Artefact.LEAD_OFF_FLAT, 0)]
)
def test_lead_off_is_flagged_for_what_is_computed_from_it(kind: Artefact, reads: float) -> None:
    patient = spoilt(kind, lead="I", leads=("I", "II", "aVF"))
    flags = []
    samples = []
    for _ in range(STOP + 10):
        samples.append(patient.read(1)[:, 0])
        flags.append(patient.leads_off)
    assert flags == [()] * FIRST + [("I", "aVF")] * (STOP - FIRST) + [()] * 10
    off = np.array(samples)[FIRST:STOP]
    assert set(off[:, [0, 2]].ravel().tolist()) == {reads}
    assert np.ptp(off[:, 1]) * STEP_UV > 1000


def test_all_leads_are_off_where_none_is_named() -> None:
    patient = spoilt(Artefact.LEAD_OFF_FLAT)
    patient.read(FIRST + 1)
    assert patient.leads_off == TWELVE_LEADS


@pytest.mark.parametrize(
    ("kind", "lead", "rate_hz", "words"),
    [
        (Artefact.EMG, "V5", 250, "artefact 1: lead: V5 is not among II, V1"),
        (Artefact.MAINS_50, None, 112, "artefact 1: kind: mains_50 needs a higher rate than 112 Hz"),
        (Artefact.MAINS_60, None, 130, "artefact 1: kind: mains_60 needs a higher rate than 130 Hz"),
    ],
)
def test_artefact_that_could_not_be_seen_is_refused(
    kind: Artefact, lead: str | None, rate_hz: float, words: str
) -> None:
    with pytest.raises(ScenarioError, match=words):
        spoilt(kind, lead=lead, leads=("II", "V1"), rate_hz=rate_hz)
