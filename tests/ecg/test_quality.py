"""The quality of leads: each fault by its name, none where there is none, the same for any chunking."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.support.records import annotated_record
from streaming.ecg.quality import UNKNOWN, LeadQuality, LeadState, QualityMeter
from streaming.ecg.rhythms import RHYTHMS
from streaming.ecg.simulator import Simulator

Signal = npt.NDArray[np.float64]
RATE_HZ = 250


def patient(rhythm: str = "sinus", seconds: float = 10, rate_hz: float = RATE_HZ) -> Signal:
    simulator = Simulator(rhythm, rate_hz=rate_hz, seed=2)
    signal: Signal = simulator.read(round(seconds * rate_hz))[0] * 5.0
    return signal


def states(signal: Signal, rate_hz: float = RATE_HZ) -> list[LeadQuality]:
    """The quality after each quarter of a second, from the second second on."""
    meter = QualityMeter(rate_hz, 1)
    seen = []
    size = round(rate_hz / 4)
    for at in range(0, len(signal) - size, size):
        meter.push(signal[np.newaxis, at : at + size])
        seen.append(meter.value()[0])
    return seen[8:]


def faults(signal: Signal, rate_hz: float = RATE_HZ) -> set[LeadState]:
    return {quality.state for quality in states(signal, rate_hz)}


@pytest.mark.parametrize("rhythm", sorted(set(RHYTHMS) - {"asystole", "lead_off", "pulse"}))
@pytest.mark.parametrize("rate_hz", [100, 130.06, 250, 1000])
def test_no_rhythm_is_a_fault(rhythm: str, rate_hz: float) -> None:
    seen = states(patient(rhythm, 20, rate_hz), rate_hz)
    assert {quality.state for quality in seen} == {LeadState.GOOD}
    assert min(quality.index for quality in seen) > 0.5


def test_before_the_first_block_there_is_no_complaint() -> None:
    meter = QualityMeter(RATE_HZ, 2)
    meter.push(np.zeros((2, 3)))
    assert meter.value() == (UNKNOWN, UNKNOWN)


def test_standstill_is_no_fault_of_the_electrodes() -> None:
    rng = np.random.default_rng(1)
    wander = 30.0 * np.sin(2 * np.pi * 0.3 * np.arange(5000) / RATE_HZ)
    assert LeadState.FLAT not in faults(wander + rng.normal(0.0, 5.0, 5000))
    # Nothing but muscle is left, and is called so; there is an electrode.
    assert faults(patient("asystole", 20)) <= {LeadState.GOOD, LeadState.NOISE}


@pytest.mark.parametrize("level", [0.0, 350.0, -1900.0])
def test_a_line_that_hardly_moves_is_flat(level: float) -> None:
    assert faults(np.tile([level, level + 4.0], 1000)) == {LeadState.FLAT}


@pytest.mark.parametrize("level", [0.0, 350.0, 10_000.0])
def test_a_line_that_does_not_move_at_all_is_off_after_a_second(level: float) -> None:
    assert faults(np.full(2000, level)) == {LeadState.OFF}
    signal = np.concatenate([patient(), np.full(62 * 6, level)])
    assert [quality.state is LeadState.OFF for quality in states(signal)[-5:]] == [False] * 3 + [True] * 2


def test_a_lead_that_was_stuck_at_a_rail_is_so_for_four_seconds() -> None:
    signal = patient(seconds=20)
    signal[2480:2540] = 1500.0
    at_rail = [quality.state is LeadState.RAIL for quality in states(signal)]
    assert 15 <= sum(at_rail) <= 17
    assert at_rail.index(True) == 2540 // 62 - 8


def test_the_still_line_between_the_beats_of_a_clean_signal_is_no_rail() -> None:
    beat = np.tile(np.concatenate([np.zeros(160), 1200.0 * np.hanning(40)]), 15)
    assert faults(beat) == {LeadState.GOOD}


@pytest.mark.parametrize("rail", [10_000.0, -5_115.0])
def test_a_saturated_amplifier_is_at_its_rail(rail: float) -> None:
    signal: Signal = rail + np.sign(rail) * 5.0 * (np.arange(2000) % 3 > 0)
    assert faults(signal) == {LeadState.RAIL}


def test_what_only_touches_the_rail_is_not_at_it() -> None:
    assert LeadState.RAIL not in faults(np.minimum(patient() * 4, 2500.0))


def test_muscle_noise_is_noise() -> None:
    noise = np.random.default_rng(2).normal(0.0, 200.0, 2500)
    assert faults(patient() + noise) == {LeadState.NOISE}


def test_a_moving_baseline_is_wander() -> None:
    times = np.arange(2500) / RATE_HZ
    seen = states(patient() + 2000.0 * np.sin(2 * np.pi * 0.4 * times))
    assert {quality.state for quality in seen} == {LeadState.WANDER}
    assert max(quality.index for quality in seen) < 0.5


def test_index_falls_with_noise_and_is_half_where_it_becomes_a_fault() -> None:
    rng = np.random.default_rng(5)
    unit = rng.normal(0.0, 1.0, 2500)
    indices = [
        float(np.mean([q.index for q in states(patient() + unit * size)])) for size in (0, 20, 60, 200)
    ]
    assert indices == sorted(indices, reverse=True)
    for quality in states(patient() + unit * 70):
        assert (quality.state is LeadState.NOISE) == (quality.index <= 0.5)


def test_a_missing_sample_is_a_lead_off_for_two_seconds() -> None:
    signal = patient(seconds=10)
    signal[1300] = np.nan
    off = [quality.state is LeadState.OFF for quality in states(signal)]
    assert sum(off) == 8
    signal[1300] = np.inf
    assert LeadState.OFF in faults(signal)


def test_a_lead_that_the_device_calls_off_is_off_at_once() -> None:
    meter = QualityMeter(RATE_HZ, 2)
    meter.push(np.stack([patient(), patient()]))
    meter.set_leads_off([1])
    assert [quality.state for quality in meter.value()] == [LeadState.GOOD, LeadState.OFF]
    meter.set_leads_off([])
    assert [quality.state for quality in meter.value()] == [LeadState.GOOD, LeadState.GOOD]


def test_after_a_gap_nothing_before_it_counts() -> None:
    meter = QualityMeter(RATE_HZ, 1)
    meter.push(np.full((1, 1000), 10_000.0))
    meter.reset()
    assert meter.value() == (UNKNOWN,)
    meter.push(patient()[np.newaxis])
    assert meter.value()[0].state is LeadState.GOOD


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 900), min_size=1, max_size=20))
def test_chunking_changes_nothing(chunks: list[int]) -> None:
    leads = np.stack([patient("af", 20), patient("lead_off", 20)])[:, : sum(chunks)]
    whole, parts = QualityMeter(RATE_HZ, 2), QualityMeter(RATE_HZ, 2)
    whole.push(leads)
    for piece in np.split(leads, np.cumsum(chunks)[:-1], axis=1):
        parts.push(piece)
    assert parts.value() == whole.value()


def test_a_loose_electrode_is_seen_while_it_is_off() -> None:
    simulator = Simulator("lead_off", rate_hz=RATE_HZ, seed=8)
    meter = QualityMeter(RATE_HZ, 1)
    off_for = 0
    seen_off = 0
    for _ in range(600):
        meter.push(simulator.read(25).astype(np.float64) * 5.0)
        off_for = off_for + 1 if simulator.leads_off else 0
        if off_for > 25:  # two seconds and a block
            seen_off += 1
            assert meter.value()[0].state in {LeadState.FLAT, LeadState.RAIL, LeadState.OFF}
    assert seen_off > 40


def test_reference_records_are_mostly_good(data_dir: Path) -> None:
    pytest.importorskip("wfdb")
    for name, least in {"100": 0.99, "104": 0.8, "122": 0.99, "217": 0.9}.items():
        record = annotated_record(data_dir / "mitdb" / f"{name}.hea")
        seen = states(record.microvolts[0], record.rate_hz)
        assert np.mean([quality.state is LeadState.GOOD for quality in seen]) >= least, name
