"""Simulator and analysis check each other: twelve leads, one exact onset, and the alarms that come of it."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from streaming.core.alarm_record import AlarmSeverity
from streaming.ecg.alarms import TRAITS, AlarmEvent, AlarmKind, Change
from streaming.ecg.analysis import TICK_S, EcgAnalysis
from streaming.ecg.artefacts import LEAD_OFF, LEVELS_MV, Artefact
from streaming.ecg.leads import TWELVE_LEADS
from streaming.ecg.scenario import Disturbance, Phase, Scenario
from streaming.ecg.simulator import Simulator
from tests.alarm_onsets import RHYTHMS, due, onset, sinus_then

RATE_HZ = 250
CHUNK = 25
KNOWN_S = 1.25
"""A beat is known, and the next tick has ended, so long after it (tests/ecg/test_analysis.py)."""


def events_of(
    scenario: Scenario, seconds: float, seed: int, *, leads: tuple[str, ...] = TWELVE_LEADS
) -> tuple[Simulator, list[AlarmEvent]]:
    """What is raised, as a device would send it: in chunks, and with what it says of its leads."""
    patient = Simulator(scenario, rate_hz=RATE_HZ, leads=leads, seed=seed)
    analysis = EcgAnalysis(RATE_HZ, leads)
    events: list[AlarmEvent] = []
    while patient.position < seconds * RATE_HZ:
        first = patient.position
        microvolts = patient.read(CHUNK).astype(np.float64) * patient.gain_uv
        analysis.set_leads_off(patient.leads_off)
        events += analysis.push(first, microvolts)
    assert analysis.failure is None
    return patient, [event for event in events if event.change is Change.RAISED]


@pytest.mark.parametrize("kind", RHYTHMS)
@pytest.mark.parametrize("seed", [1, 2])
def test_each_lethal_rhythm_raises_its_alarm_and_nothing_before_its_onset(kind: AlarmKind, seed: int) -> None:
    onset_s = 20.0 + 0.37 * seed
    patient, events = events_of(sinus_then(kind, onset_s, 75), onset_s + 12, seed)
    labels = patient.labels_from(0)
    assert min(event.sample for event in events) > onset(kind, labels)
    raised_at = next(event.sample for event in events if event.alarm.kind is kind)
    assert raised_at <= due(kind, labels, RATE_HZ) + (KNOWN_S + TICK_S) * RATE_HZ


@pytest.mark.parametrize("leads", [("II",), ("II", "V1"), TWELVE_LEADS], ids=len)
def test_a_slow_ventricular_tachycardia_is_raised_as_soon_and_once(leads: tuple[str, ...]) -> None:
    onset_s = 20.0
    scenario = Scenario((Phase(0.0, onset_s, "sinus", 75), Phase(onset_s, inf, "vt_sustained", 120)))
    patient, events = events_of(scenario, onset_s + 30, seed=1, leads=leads)
    runs = [event for event in events if event.alarm.kind is AlarmKind.VENTRICULAR_TACHYCARDIA]
    shown = [beat.sample for beat in patient.beats if beat.sample >= onset_s * RATE_HZ]
    assert [event.alarm.severity for event in runs] == [AlarmSeverity.HIGH]
    assert runs[0].sample <= shown[4] + (KNOWN_S + TICK_S) * RATE_HZ


@pytest.mark.parametrize("rhythm", ["sinus", "af", "pvc", "couplets", "bigeminy"])
def test_no_rhythm_that_can_wait_raises_a_lethal_alarm(rhythm: str) -> None:
    _, events = events_of(Scenario((Phase(0.0, inf, rhythm),)), 40, seed=1)
    assert events == []


@pytest.mark.parametrize("kind", sorted(set(LEVELS_MV) - {Artefact.CLIPPING}))
@pytest.mark.parametrize("lead", [None, "II"])
def test_sinus_with_noise_raises_nothing(kind: Artefact, lead: str | None) -> None:
    noise = Disturbance(12.0, 10.0, kind, lead)
    _, events = events_of(Scenario((Phase(0.0, inf, "sinus"),), (noise,)), 26, seed=1)
    assert events == []


@pytest.mark.parametrize("kind", LEAD_OFF)
def test_a_lead_that_comes_off_raises_technical_alarms_only(kind: Artefact) -> None:
    off = Disturbance(12.0, 8.0, kind, "II")
    _, events = events_of(Scenario((Phase(0.0, inf, "sinus"),), (off,)), 24, seed=1)
    assert {event.alarm.kind for event in events} == {AlarmKind.LEAD_OFF}
    assert TRAITS[AlarmKind.LEAD_OFF].severity is AlarmSeverity.TECHNICAL
    assert abs(events[0].sample - 12 * RATE_HZ) <= (TICK_S + CHUNK / RATE_HZ) * RATE_HZ
