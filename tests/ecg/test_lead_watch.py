"""What one lead shows: whether it carries a signal, how long it has been silent, whose beats it has."""

from __future__ import annotations

import numpy as np
import pytest

from streaming.ecg.fibrillation import TRAINED
from streaming.ecg.filters import FloatArray
from streaming.ecg.lead_watch import LeadView, LeadWatch
from streaming.ecg.lead_waves import LeadWaves
from streaming.ecg.quality import LeadState, QualityMeter
from tests.ecg.hearts import RATE_HZ, rhythm, standstill

TICK = 62


def watched(lead: FloatArray, *, is_off: bool = False) -> LeadView:
    """The view after the last whole tick."""
    watch, waves = LeadWatch(0, 0, RATE_HZ, 0), LeadWaves(1, RATE_HZ, TRAINED)
    quality = QualityMeter(RATE_HZ, 1)
    quality.set_leads_off([0] if is_off else [])
    views = []
    for end in range(TICK, len(lead) + 1, TICK):
        tick = lead[np.newaxis, end - TICK : end]
        quality.push(tick)
        waves.push(tick)
        views.append(watch.push(tick[0], quality.value()[0].state, waves))
    return views[-1]


def sinus(seconds: float) -> FloatArray:
    lead: FloatArray = rhythm("sinus", seconds)[0]
    return lead


def test_a_beating_lead_is_good_and_knows_its_own_beats() -> None:
    view = watched(sinus(30))
    assert view.state is LeadState.GOOD
    assert (view.clean_since, view.good_until) == (0, view.now)
    assert view.now - view.active_at < RATE_HZ
    assert all(beat.own and beat.likeness > 0.95 for beat in view.beats[-12:])
    assert not any(beat.own for beat in view.beats[:8])
    assert view.run is not None
    assert view.run < -4.0
    assert not view.is_flat


def test_ventricular_beats_are_not_the_patients_own() -> None:
    view = watched(rhythm("pvc", 60)[0])
    foreign = [beat for beat in view.beats[10:] if not beat.own]
    assert 0.05 < len(foreign) / len(view.beats[10:]) < 0.4


@pytest.mark.parametrize("value_uv", [0.0, 3000.0])
def test_a_constant_value_is_off_after_a_second(value_uv: float) -> None:
    lead = np.concatenate([sinus(20), np.full(round(RATE_HZ) + 2 * TICK, value_uv)])
    assert watched(lead).state is LeadState.OFF
    assert watched(lead[: -2 * TICK - 30]).state is not LeadState.OFF


def test_a_quiet_lead_is_not_off() -> None:
    view = watched(np.concatenate([sinus(20), standstill(6, noise_uv=2.0)[0]]))
    assert view.state is LeadState.GOOD
    assert view.is_flat
    assert view.now - view.active_at > 5 * RATE_HZ


def test_a_rail_disturbs_a_lead_for_as_long_as_it_is_in_the_window() -> None:
    lead = sinus(40)
    lead[5000:5060] = 4000.0
    assert watched(lead[:5250]).state is LeadState.RAIL
    after = watched(lead)
    assert after.state is LeadState.GOOD
    assert 5060 + 4 * RATE_HZ - 60 - TICK <= after.clean_since <= 5060 + 4 * RATE_HZ + TICK
    clipped = sinus(20)
    clipped[4500:4540] = clipped[4500]
    assert watched(clipped).state is LeadState.GOOD


def test_what_the_device_says_comes_first() -> None:
    view = watched(sinus(20), is_off=True)
    assert view.state is LeadState.OFF
    assert view.good_until == 0


def test_what_is_small_beside_the_usual_beat_is_no_activity() -> None:
    p_waves = standstill(6)[0]
    for at in range(200, len(p_waves) - 60, 250):
        p_waves[at : at + 30] += 90.0 * np.hanning(30)
    silent = watched(np.concatenate([sinus(20), p_waves]))
    assert silent.now - silent.active_at > 5 * RATE_HZ
    escape = np.concatenate([sinus(20), standstill(3)[0], sinus(2)])
    assert watched(escape).active_at > 22 * RATE_HZ


def with_deflections(
    seconds: float, height_uv: float, *, width_s: float = 0.022, every_s: float = 0.8
) -> FloatArray:
    """A standstill in which something small goes on."""
    lead: FloatArray = standstill(seconds)[0]
    t = np.arange(len(lead)) / RATE_HZ
    for at in np.arange(0.3, seconds, every_s):
        lead += height_uv * np.exp(-0.5 * ((t - at) / width_s) ** 2)
    return lead


@pytest.mark.parametrize("height_uv", [150.0, 200.0, 250.0])
def test_what_is_small_does_not_become_the_usual_beat(height_uv: float) -> None:
    silent = watched(np.concatenate([sinus(20), with_deflections(30, height_uv)]))
    assert silent.now - silent.active_at > 29 * RATE_HZ


def test_beats_that_become_smaller_by_and_by_are_learnt() -> None:
    fading = np.concatenate([sinus(10) * share for share in (1.0, 0.5, 0.25, 0.13)])
    view = watched(fading)
    assert view.now - view.active_at < RATE_HZ


def test_a_lead_that_was_off_learns_its_usual_beat_anew() -> None:
    off = np.full(round(3 * RATE_HZ), 4000.0)
    view = watched(np.concatenate([sinus(20), off, sinus(20) * 0.13]))
    assert view.now - view.active_at < RATE_HZ


@pytest.mark.parametrize("samples", [1, 2])
def test_a_pacemakers_spikes_are_no_activity(samples: int) -> None:
    spikes = standstill(10)[0]
    for at in range(100, len(spikes) - samples, 200):
        spikes[at : at + samples] += 3000.0
    silent = watched(np.concatenate([sinus(20), spikes]))
    assert silent.now - silent.active_at > 9 * RATE_HZ
    paced = watched(np.concatenate([sinus(20), spikes + sinus(10)]))
    assert paced.now - paced.active_at < 1.5 * RATE_HZ


def test_the_tall_waves_of_a_run_are_seen_one_by_one() -> None:
    t = np.arange(round(4 * RATE_HZ)) / RATE_HZ
    wide = -900.0 * np.exp(-0.5 * (((t % 0.4) - 0.2) / 0.06) ** 2)
    view = watched(np.concatenate([sinus(20), wide]))
    intervals = np.diff([wave.sample for wave in view.waves[-6:]])
    assert np.abs(intervals - 0.4 * RATE_HZ).max() <= 2
    assert view.now - view.waves[-1].sample < 0.6 * RATE_HZ
    assert min(wave.likeness for wave in view.waves[-5:]) > 0.95
    assert not any(wave.own for wave in view.waves[-6:])
    assert watched(sinus(20)).waves == ()
