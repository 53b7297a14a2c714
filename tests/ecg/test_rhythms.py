"""Each simulated rhythm is what its name says: rate, regularity, and the shape of its waves.

The bounds are the definitions of ECGSYN (McSharry et al. 2003) and of the rhythms (docs/operations.md).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from streaming.ecg import beat_times
from streaming.ecg.beat_times import ECTOPIC, PlannedBeat
from streaming.ecg.fibrillatory_waves import AtrialFibrillation, VentricularFibrillation
from streaming.ecg.leads import DOWER, TWELVE_LEADS
from streaming.ecg.rhythms import RHYTHMS, WARD_RHYTHMS, Rhythm, rhythm_named
from streaming.ecg.simulator import Simulator
from streaming.ecg.waves import BeatShape, render_beat

Signal = NDArray[np.floating]
FINE_HZ = 5000.0
QRS_LEVEL = 0.1
"""A QRS complex lasts while the lead deviates by a tenth of its peak: a Gaussian never ends."""
SINUS_CV = math.sqrt(
    (beat_times.Breathing.LOW**2 + beat_times.Breathing.HIGH**2) / 2 + beat_times.Breathing.RANDOM**2
)
SINUS_LIKE = [name for name, rhythm in RHYTHMS.items() if rhythm.beats is beat_times.sinus]
VENTRICULAR = BeatShape.VENTRICULAR


def beats_of(
    name: str, n: int = 3000, *, heart_rate: float | None = None, seed: int = 1
) -> list[PlannedBeat]:
    rhythm = RHYTHMS[name]
    bpm = rhythm.heart_rate_or(heart_rate)
    assert rhythm.beats is not None
    assert bpm is not None
    return list(itertools.islice(rhythm.beats(np.random.default_rng(seed), 60.0 / bpm), n))


def intervals_s(beats: Sequence[PlannedBeat]) -> Signal:
    return np.diff([beat.time_s for beat in beats])


def variation(intervals: Signal) -> float:
    return float(intervals.std() / intervals.mean())


def lead_ii(shape: BeatShape, *, rr_s: float = 60 / 72) -> tuple[Signal, Signal]:
    """Seconds from the R peak, and millivolts, of one beat without noise."""
    first, wave = render_beat(shape, time_s=0.0, rr_s=rr_s, scale=1.0, rate_hz=FINE_HZ)
    return (first + np.arange(wave.shape[1])) / FINE_HZ, np.array(DOWER["II"]) @ wave


def qrs_s(shape: BeatShape) -> float:
    times, wave = lead_ii(shape)
    wide = times[(np.abs(wave) >= QRS_LEVEL * wave.max()) & (np.abs(times) < 0.13)]
    return float(wide[-1] - wide[0])


# -- when beats come


@pytest.mark.parametrize("name", SINUS_LIKE)
def test_sinus_rhythms_have_their_rate_and_breathe(name: str) -> None:
    intervals = intervals_s(beats_of(name))
    # A whole number of breaths or not, the mean errs by less than one breath in all of them.
    assert 60 / intervals.mean() == pytest.approx(RHYTHMS[name].heart_rate, rel=0.002)
    if intervals.mean() < 1.9:  # two beats in each breath of 4 s, or else its size depends on when it is seen
        assert variation(intervals) == pytest.approx(SINUS_CV, rel=0.05)
    else:
        assert 0 < variation(intervals) < 2 * SINUS_CV


def test_breathing_has_half_the_power_at_a_tenth_of_a_hertz() -> None:
    beats = beats_of("sinus")
    times, intervals = np.array([beat.time_s for beat in beats[:-1]]), intervals_s(beats)
    hz = np.array([0.1, 0.25])[:, np.newaxis]
    sizes = np.abs((np.exp(-2j * np.pi * hz * times) * (intervals - intervals.mean())).mean(axis=1))
    assert (sizes[0] / sizes[1]) ** 2 == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("bradycardia", 40, 60),
        ("sinus", 60, 100),
        ("tachycardia", 100, 140),
        ("extreme_bradycardia", 20, 40),
        ("extreme_tachycardia", 140, 250),
    ],
)
def test_rates_are_where_the_name_has_them(name: str, low: float, high: float) -> None:
    rhythm = RHYTHMS[name]
    assert rhythm.heart_rate is not None
    assert low < rhythm.heart_rate < high
    for asked in rhythm.heart_rates if name.startswith("extreme") else ():
        # The mean of 12 intervals, which is what an alarm is about, stays on its side too.
        intervals = intervals_s(beats_of(name, heart_rate=asked))
        means = np.convolve(intervals, np.full(12, 1 / 12), mode="valid")
        at_most = SINUS_CV * math.sqrt(2) * asked
        assert low - at_most < 60 / means.max() <= 60 / means.min() < high + at_most


def test_atrial_fibrillation_is_irregularly_irregular() -> None:
    beats = beats_of("af")
    intervals = intervals_s(beats)
    assert {beat.shape for beat in beats} == {BeatShape.NO_P}
    assert 0.20 <= variation(intervals) <= 0.25
    assert 60 / intervals.mean() == pytest.approx(92, rel=4 * 0.25 / math.sqrt(len(intervals)))
    memory = np.corrcoef(intervals[:-1], intervals[1:])[0, 1]
    assert abs(memory) < 4 / math.sqrt(len(intervals))


@pytest.mark.parametrize(("name", "run"), [("pvc", 1), ("couplets", 2), ("bigeminy", 1)])
def test_premature_beats_come_early_in_the_number_of_their_rhythm_before_a_pause(name: str, run: int) -> None:
    beats = beats_of(name)
    runs = [list(group) for _, group in itertools.groupby(beats, lambda beat: beat.shape)]
    for before, premature, after in zip(runs[::2], runs[1::2], runs[2::2], strict=False):
        assert {beat.shape for beat in premature} == {VENTRICULAR}
        assert len(premature) == run
        rr_s = premature[0].rr_s
        assert 0.5 <= (premature[0].time_s - before[-1].time_s) / rr_s <= 0.7
        pause = (after[0].time_s - premature[-1].time_s) / rr_s
        assert pause > 1.15
        if run == 1:
            # Fully compensatory: as if the premature beat had taken the place of a sinus beat.
            assert (after[0].time_s - before[-1].time_s) / rr_s == pytest.approx(2, abs=4 * SINUS_CV)
    sinus = {len(group) for group in runs[:-1:2]}
    assert sinus == {1} if name == "bigeminy" else min(sinus) >= 2


@pytest.mark.parametrize("heart_rate", [None, 120, 220])
def test_sustained_ventricular_tachycardia_is_regular_at_its_rate(heart_rate: float | None) -> None:
    beats = beats_of("vt_sustained", heart_rate=heart_rate)
    intervals = intervals_s(beats)
    assert {beat.shape for beat in beats} == {VENTRICULAR}
    assert 60 / intervals.mean() == pytest.approx(heart_rate or 170, rel=0.002)
    assert 0 < variation(intervals) < 0.03


def test_runs_of_ventricular_tachycardia_are_regular_at_a_rate_of_their_own() -> None:
    runs = [
        list(group)
        for shape, group in itertools.groupby(beats_of("vt"), lambda beat: beat.shape)
        if shape is VENTRICULAR
    ]
    assert len(runs) > 50
    for run in runs[:-1]:
        assert 6 <= len(run) <= 20
        # CV 0.015; five deviations of its estimate from as few as five intervals.
        assert variation(intervals_s(run)) < 0.03
        assert 120 < 60 / intervals_s(run).mean() < 220


@pytest.mark.parametrize("name", [name for name, rhythm in RHYTHMS.items() if rhythm.beats is not None])
@pytest.mark.parametrize("end", [0, 1])
def test_beats_only_come_later_at_any_rate(name: str, end: int) -> None:
    assert intervals_s(beats_of(name, heart_rate=RHYTHMS[name].heart_rates[end])).min() > 0


# -- what beats look like


def test_sinus_beat_has_a_p_wave_and_a_narrow_qrs() -> None:
    times, wave = lead_ii(BeatShape.SINUS)
    p = wave[(times > -0.25) & (times < -0.1)]
    assert p.max() == pytest.approx(0.15, abs=0.01)
    assert qrs_s(BeatShape.SINUS) < 0.12


def test_beat_of_atrial_fibrillation_is_the_same_without_p() -> None:
    times, wave = lead_ii(BeatShape.NO_P)
    assert np.abs(wave[times < -0.1]).max(initial=0.0) < 0.001
    of_sinus = lead_ii(BeatShape.SINUS)[1][-len(wave) :]
    later = times > -0.05
    assert np.allclose(wave[later], of_sinus[later], atol=0.001)


def test_ventricular_beat_is_broad_tall_without_p_and_its_t_points_the_other_way() -> None:
    times, wave = lead_ii(VENTRICULAR)
    assert 0.120 <= qrs_s(VENTRICULAR) <= 0.160 + 1 / FINE_HZ
    assert np.abs(wave[times < -0.14]).max(initial=0.0) < 0.001
    t_wave = wave[times > 0.2]
    assert t_wave.min() < -0.3
    assert t_wave.max() < 0.01
    taller = wave.max() / lead_ii(BeatShape.SINUS)[1].max()
    assert 1.3 <= ECTOPIC[0] * taller < ECTOPIC[1] * taller <= 2.0


@pytest.mark.parametrize("shape", BeatShape)
@pytest.mark.parametrize("bpm", [20, 30, 72, 128, 220, 250])
@pytest.mark.parametrize("lead", ["II", "V1", "V5"])
def test_qrs_peaks_where_the_beat_is_planned(shape: BeatShape, bpm: float, lead: str) -> None:
    first, dipole = render_beat(shape, time_s=0.0, rr_s=60 / bpm, scale=1.0, rate_hz=FINE_HZ)
    times = (first + np.arange(dipole.shape[1])) / FINE_HZ
    near = np.abs(times) < 0.05
    peak_s = times[near][np.argmax(np.abs(np.array(DOWER[lead]) @ dipole)[near])]
    assert abs(peak_s) <= 0.001  # Q and S, which are not alike, pull a little


# -- hearts without beats


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_f_waves_have_4_to_9_hz_and_a_twentieth_to_a_tenth_of_a_millivolt(seed: int) -> None:
    times = np.arange(60 * 250) / 250
    wave = np.array(DOWER["V1"]) @ AtrialFibrillation(np.random.default_rng(seed)).block(times)
    sizes = np.ptp(wave.reshape(-1, 250), axis=1) / 2
    assert 0.05 <= sizes.min() < sizes.max() - 0.03
    assert sizes.max() <= 0.1
    for window in wave.reshape(-1, 1000):
        assert 4 <= dominant_hz(window) <= 9


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_fibrillating_ventricles_make_waves_of_4_to_7_hz_on_every_lead(seed: int) -> None:
    patient = Simulator("vf", rate_hz=250, leads=TWELVE_LEADS, seed=seed)
    signal = patient.read(60 * 250) * (patient.gain_uv / 1000)
    for window in signal.reshape(-1, 1000):
        assert 4 <= dominant_hz(window) <= 7
        power, hz = spectrum(window)
        assert power[(hz >= 4) & (hz <= 7)].sum() > 0.9 * power[hz >= 1].sum()
    assert patient.beats == []


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_ventricular_fibrillation_is_a_fifth_of_a_millivolt_to_one_in_lead_ii(seed: int) -> None:
    times = np.arange(300 * 250) / 250
    wave = np.array(DOWER["II"]) @ VentricularFibrillation(np.random.default_rng(seed)).block(times)
    sizes = np.abs(wave).reshape(-1, 500).max(axis=1)
    assert 0.2 <= sizes.min() < sizes.max() <= 1.0
    assert variation(sizes) > 0.1


@pytest.mark.parametrize("rate_hz", [100, 250, 1000])
@pytest.mark.parametrize("seed", [1, 2])
def test_asystole_leaves_5_to_20_microvolts_that_are_never_still(rate_hz: int, seed: int) -> None:
    patient = Simulator("asystole", rate_hz=rate_hz, leads=TWELVE_LEADS, seed=seed)
    signal = patient.read(32 * rate_hz)[:, 2 * rate_hz :] * patient.gain_uv
    rms = signal.reshape(12, 6, 5 * rate_hz).std(axis=2)
    assert rms.min() >= 5
    assert rms.max() <= 20
    for lead in signal:
        changes = np.flatnonzero(np.diff(lead))
        assert np.diff(changes).max() < 0.25 * rate_hz
    assert patient.beats == []


def dominant_hz(window: Signal, rate_hz: float = 250) -> float:
    power, hz = spectrum(window, rate_hz)
    return float(hz[np.argmax(power * (hz >= 1))])


def spectrum(window: Signal, rate_hz: float = 250) -> tuple[Signal, Signal]:
    smooth = (window - window.mean()) * np.hanning(len(window))
    return np.abs(np.fft.rfft(smooth)) ** 2, np.fft.rfftfreq(len(window), 1 / rate_hz)


# -- names and rates


def test_loads_and_benches_keep_their_rhythms() -> None:
    assert WARD_RHYTHMS == ("sinus", "af", "pvc", "bradycardia", "tachycardia", "vt", "lead_off", "pulse")


def test_unknown_rhythm_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"waltz.*sinus, af, pvc"):
        rhythm_named("waltz")


def test_a_rate_that_a_rhythm_cannot_have_is_refused_with_those_that_it_can() -> None:
    with pytest.raises(ValueError, match="from 120 to 220 bpm"):
        RHYTHMS["vt_sustained"].heart_rate_or(100)
    with pytest.raises(ValueError, match="no heart rate"):
        Rhythm("Still").heart_rate_or(60)
