"""The heart rate beside a trace: on which lead it is counted, and when it stops."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.ecg.analysis import EcgAnalysis
from streaming.ecg.simulator import Simulator
from streaming.ecg.vitals import Vitals
from tests.ecg.hearts import standstill

RATE_HZ = 250.0
LEADS = ("II", "V1")
UNKNOWN = Vitals(None, None)


def sinus(seconds: float, heart_rate: float = 75.0) -> npt.NDArray[np.float64]:
    """Both leads in microvolts."""
    simulator = Simulator("sinus", rate_hz=RATE_HZ, leads=LEADS, seed=1, heart_rate=heart_rate)
    steps = simulator.read(int(seconds * RATE_HZ))
    return steps.astype(np.float64) * simulator.gain_uv


def follow(monitor: EcgAnalysis, microvolts: npt.NDArray[np.float64], first: int = 0, chunk: int = 25) -> int:
    """Push all in chunks; one past the last sample."""
    for at in range(0, microvolts.shape[1], chunk):
        monitor.push(first + at, microvolts[:, at : at + chunk])
    return first + len(microvolts[0])


def test_nothing_is_known_at_first() -> None:
    assert EcgAnalysis(RATE_HZ, LEADS).vitals() == UNKNOWN


def test_the_rate_of_a_steady_rhythm_on_the_first_lead() -> None:
    monitor = EcgAnalysis(RATE_HZ, LEADS)
    follow(monitor, sinus(15))
    vitals = monitor.vitals()
    assert vitals.source == "II"
    assert vitals.hr is not None
    assert abs(vitals.hr - 75) <= 3


def test_the_beats_of_the_last_four_seconds_are_told() -> None:
    monitor = EcgAnalysis(RATE_HZ, LEADS)
    told: set[int] = set()
    stop = 0
    for piece in np.split(sinus(20), 20, axis=1):
        stop = follow(monitor, piece, stop)
        beats = [beat.sample for beat in monitor.beats()]
        assert beats == sorted(beats)
        assert all(stop - 4.2 * RATE_HZ <= sample < stop for sample in beats)
        told |= set(beats)
    assert len(told) in {24, 25}, "each of 75 a minute, but the last, which is not known yet"
    assert np.ptp(np.diff(sorted(told))) < 0.2 * RATE_HZ


def test_a_gap_begins_the_count_anew() -> None:
    monitor = EcgAnalysis(RATE_HZ, LEADS)
    stop = follow(monitor, sinus(15))
    again = follow(monitor, sinus(1), stop + 100)
    assert monitor.vitals() == UNKNOWN
    follow(monitor, sinus(15), again)
    assert monitor.vitals().hr is not None


def test_a_gap_that_was_announced_is_the_same_as_one_that_was_not() -> None:
    told, untold = EcgAnalysis(RATE_HZ, LEADS), EcgAnalysis(RATE_HZ, LEADS)
    stop = follow(told, sinus(15))
    follow(untold, sinus(15))
    told.reset(stop + 100)
    for monitor in (told, untold):
        follow(monitor, sinus(10), stop + 100)
    assert told.vitals() == untold.vitals() != UNKNOWN


def test_silence_of_the_heart_ends_the_rate_but_not_at_once() -> None:
    monitor = EcgAnalysis(RATE_HZ, LEADS)
    stop = follow(monitor, sinus(15))
    stop = follow(monitor, standstill(2), stop)
    assert monitor.vitals() != UNKNOWN
    follow(monitor, standstill(5), stop)
    assert monitor.vitals() == UNKNOWN


def test_a_lead_that_falls_off_passes_the_count_to_the_next() -> None:
    monitor = EcgAnalysis(RATE_HZ, LEADS)
    stop = follow(monitor, sinus(15))
    monitor.set_leads_off(["II"])
    stop = follow(monitor, sinus(1), stop)
    assert monitor.vitals() == UNKNOWN
    follow(monitor, sinus(6), stop)
    assert monitor.vitals().source == "V1"


def test_another_lead_that_falls_off_changes_nothing() -> None:
    monitor = EcgAnalysis(RATE_HZ, LEADS)
    follow(monitor, sinus(15))
    before = monitor.vitals()
    monitor.set_leads_off(["V1"])
    assert monitor.vitals() == before != UNKNOWN


def test_without_any_lead_there_is_no_rate_until_one_is_back() -> None:
    monitor = EcgAnalysis(RATE_HZ, LEADS)
    stop = follow(monitor, sinus(15))
    monitor.set_leads_off(LEADS)
    stop = follow(monitor, sinus(10), stop)
    assert monitor.vitals() == UNKNOWN
    monitor.set_leads_off([])
    follow(monitor, sinus(15), stop)
    assert monitor.vitals().source == "II"


@settings(max_examples=10)
@given(chunk=st.integers(1, 700))
def test_the_rate_does_not_depend_on_the_chunks(chunk: int) -> None:
    whole, parts = EcgAnalysis(RATE_HZ, LEADS), EcgAnalysis(RATE_HZ, LEADS)
    follow(whole, sinus(8), chunk=50)
    follow(parts, sinus(8), chunk=chunk)
    assert whole.vitals() == parts.vitals()


def test_a_lead_that_comes_back_shows_no_wrong_rate() -> None:
    simulator = Simulator("lead_off", rate_hz=RATE_HZ, leads=("II",), seed=8, heart_rate=80)
    monitor = EcgAnalysis(RATE_HZ, ["II"])
    shown: list[int] = []
    first, came_back, off = 0, 0, False
    for _ in range(1200):
        samples = simulator.read(25).astype(np.float64) * simulator.gain_uv
        if off and not simulator.leads_off:
            came_back += 1
        off = bool(simulator.leads_off)
        monitor.set_leads_off(simulator.leads_off)
        monitor.push(first, samples)
        first += 25
        hr = monitor.vitals().hr
        if hr is not None:
            shown.append(hr)
    assert came_back >= 2
    assert len(shown) > 200
    assert min(shown) >= 70
    assert max(shown) <= 92
