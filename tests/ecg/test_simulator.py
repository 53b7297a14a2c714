"""The simulated patients: reproducible, chunk by chunk, and true to their labels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streaming.ecg import simulator
from streaming.ecg.labels import SimulatedBeat
from streaming.ecg.leads import TWELVE_LEADS
from streaming.ecg.rhythms import RHYTHMS
from streaming.ecg.simulator import Simulator

RATE_HZ = 250
BEATING = [name for name, rhythm in RHYTHMS.items() if rhythm.beats is not None]
OF_A_BODY = [name for name in RHYTHMS if name != "pulse"]


def play(rhythm: str, seconds: float, **arguments: object) -> tuple[Simulator, NDArray[np.int16]]:
    given_arguments = {"rate_hz": RATE_HZ, "seed": 7} | arguments
    patient = Simulator(rhythm, **given_arguments)  # type: ignore[arg-type]  # a test's keyword soup
    return patient, patient.read(round(seconds * patient.rate_hz))


def intervals_s(patient: Simulator, *, ventricular: bool | None = None) -> NDArray[np.float64]:
    """RR intervals; with `ventricular`, only those between two neighbours of that kind."""
    samples = [
        (earlier.sample, later.sample)
        for earlier, later in itertools.pairwise(patient.beats)
        if ventricular is None or earlier.ventricular is later.ventricular is ventricular
    ]
    return np.diff(samples).ravel() / patient.rate_hz


@pytest.mark.parametrize("rhythm", RHYTHMS)
@settings(max_examples=8)
@given(chunks=st.lists(st.integers(1, 900), min_size=1, max_size=12))
def test_chunking_changes_nothing(rhythm: str, chunks: list[int]) -> None:
    whole = Simulator(rhythm, rate_hz=RATE_HZ, leads=("II", "V1"), seed=11)
    pieces = Simulator(rhythm, rate_hz=RATE_HZ, leads=("II", "V1"), seed=11)
    expected = whole.read(sum(chunks))
    got = np.concatenate([pieces.read(n) for n in chunks], axis=1)
    assert np.array_equal(got, expected)
    assert pieces.beats == whole.beats
    assert pieces.leads_off == whole.leads_off


@pytest.mark.parametrize("rhythm", RHYTHMS)
def test_samples_are_int16_in_rows_of_leads(rhythm: str) -> None:
    _, samples = play(rhythm, 2, leads=("V5", "aVF", "II"))
    assert samples.dtype == np.int16
    assert samples.shape == (3, 500)
    assert samples.flags.c_contiguous


def test_reading_nothing_moves_nothing() -> None:
    patient, _ = play("sinus", 1)
    assert patient.read(0).shape == (1, 0)
    assert patient.position == RATE_HZ


def test_seed_decides_the_patient() -> None:
    _, one = play("sinus", 10, seed=1)
    _, same = play("sinus", 10, seed=1)
    _, other = play("sinus", 10, seed=2)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("rhythm", BEATING)
@pytest.mark.parametrize("rate_hz", [100, 130.06, 500])
def test_labels_lie_on_the_peaks(rhythm: str, rate_hz: float) -> None:
    patient, samples = play(rhythm, 60, rate_hz=rate_hz)
    reach = round(0.05 * rate_hz)
    off = 0
    for beat in patient.beats[1:-1]:
        around = samples[0, beat.sample - reach : beat.sample + reach + 1]
        if np.ptp(around) < 40:  # the lead is off there
            off += 1
            continue
        assert abs(int(np.argmax(around)) - reach) <= 1.5 + peak_error_s(patient, beat) * rate_hz
    assert off == 0 or rhythm == "lead_off"


def peak_error_s(patient: Simulator, beat: SimulatedBeat) -> float:
    """How far from the top of R noise may have its highest sample.

    There the Gaussian has lost as much as noise varies by: 40 microvolts, five times the muscle's RMS or
    more, with a step of the digits. Q and S add a millisecond at most (tests/ecg/test_rhythms.py).
    """
    rr = np.diff([other.sample for other in patient.beats]).max() / patient.rate_hz
    sigma_s = 0.030 if beat.ventricular else 0.1 * np.sqrt(rr) / (2 * np.pi)
    return float(sigma_s * np.sqrt(2 * 40 / 1000)) + 0.001


@pytest.mark.parametrize("rhythm", sorted(set(BEATING) - {"lead_off"}))
def test_the_mean_of_all_beats_peaks_at_the_sample_of_their_labels(rhythm: str) -> None:
    patient, samples = play(rhythm, 120, rate_hz=500)
    beats = patient.beats[1:-1]
    for ventricular in {beat.ventricular for beat in beats}:
        of_kind = [beat.sample for beat in beats if beat.ventricular is ventricular]
        mean = np.mean([samples[0, sample - 25 : sample + 26] for sample in of_kind], axis=0)
        assert abs(int(np.argmax(mean)) - 25) <= 1


def test_labels_never_run_ahead_of_the_samples() -> None:
    patient = Simulator("tachycardia", rate_hz=RATE_HZ, seed=3)
    for _ in range(100):
        patient.read(25)
        assert all(beat.sample < patient.position for beat in patient.beats)


def test_heart_rate_can_be_chosen() -> None:
    patient, _ = play("sinus", 120, heart_rate=95)
    assert 60 / intervals_s(patient).mean() == pytest.approx(95, rel=0.02)


def test_fibrillation_has_no_p_wave_but_f_waves() -> None:
    def spectrum_before_qrs(rhythm: str) -> tuple[float, NDArray[np.float64]]:
        patient, samples = play(rhythm, 120, leads=("V1",), heart_rate=60)
        stretches = [samples[0, beat.sample - 100 : beat.sample - 20] * 5.0 for beat in patient.beats[2:-1]]
        mean = np.mean(stretches, axis=0)
        power = np.mean([np.abs(np.fft.rfft(row - row.mean(), 500)) ** 2 for row in stretches], axis=0)
        return float(np.ptp(mean)), power

    _, sinus = spectrum_before_qrs("sinus")
    _, af = spectrum_before_qrs("af")
    f_waves = slice(9, 19)  # 4.5 to 9 Hz
    assert af[f_waves].sum() > 10 * sinus[f_waves].sum()


def test_p_wave_precedes_sinus_beats_only() -> None:
    def p_height_uv(rhythm: str) -> float:
        patient, samples = play(rhythm, 120, heart_rate=60)
        beats = np.mean(
            [samples[0, beat.sample - 90 : beat.sample - 20] * 5.0 for beat in patient.beats[2:-1]], axis=0
        )
        p_peak, before = 41, 5  # 70 degrees of a second before R, and the line before it
        return float(beats[p_peak] - beats[before])

    assert p_height_uv("sinus") == pytest.approx(150, abs=40)
    assert abs(p_height_uv("af")) < 50


@pytest.mark.parametrize("rate_hz", [100, 250, 500])
def test_no_wave_is_cut_where_blocks_meet(rate_hz: int) -> None:
    patient, samples = play("bradycardia", 120, rate_hz=rate_hz, heart_rate=50)
    for beat in patient.beats[1:-1]:
        rr_s = 60 / 50
        p_peak = beat.sample - round(70 / 360 * rr_s * (60 / rr_s / 60) ** 0.25 * rate_hz)
        height_uv = 5.0 * float(samples[0, p_peak] - samples[0, p_peak - round(0.16 * rate_hz)])
        assert 60 < height_uv < 250


def test_lead_off_reads_rail_or_nothing_and_says_so() -> None:
    patient = Simulator("lead_off", rate_hz=RATE_HZ, seed=1)
    rail = round(simulator.RAIL_UV / 5.0)
    on, off = 0, []
    for _ in range(240):
        chunk = patient.read(RATE_HZ)[0]
        if patient.leads_off == ("II",):
            off.append(int(chunk[-1]))
        else:
            on += 1
            assert np.ptp(chunk[-5:]) < 300
    assert on > 150
    assert set(off) == {0, rail}


def test_leads_off_turns_on_and_off_with_the_sample() -> None:
    patient = Simulator("lead_off", rate_hz=RATE_HZ, seed=1)
    states = []
    for _ in range(60 * RATE_HZ):
        sample = int(patient.read(1)[0, 0])
        states.append((bool(patient.leads_off), sample))
    flat = [sample for is_off, sample in states if is_off]
    assert flat
    assert len(set(flat)) <= 2
    assert np.ptp([sample for is_off, sample in states if not is_off]) > 100


def test_loose_electrode_takes_the_derived_leads_with_it() -> None:
    patient = Simulator("lead_off", rate_hz=RATE_HZ, leads=("II", "III", "aVF", "V1"), seed=1)
    seen = set()
    for _ in range(120):
        samples = patient.read(RATE_HZ)
        if patient.leads_off:
            seen.add(patient.leads_off)
            assert samples[3, -125:].std() > 0
    assert seen == {("II", "III", "aVF")}


def test_no_lead_comes_off_elsewhere() -> None:
    patient = Simulator("sinus", rate_hz=RATE_HZ, seed=1)
    for _ in range(60):
        patient.read(RATE_HZ)
        assert patient.leads_off == ()


@pytest.mark.parametrize("gain_uv", [1.0, 2.5, 5.0])
def test_pulse_is_one_millivolt_for_200_ms_every_second(gain_uv: float) -> None:
    patient, samples = play("pulse", 3, gain_uv=gain_uv, leads=("I", "III"))
    second = [round(1000 / gain_uv)] * 50 + [0] * 200
    assert samples.tolist() == [second * 3] * 2
    assert patient.beats == []


@pytest.mark.parametrize("rhythm", OF_A_BODY)
def test_twelve_leads_obey_einthoven(rhythm: str) -> None:
    _, samples = play(rhythm, 20, leads=TWELVE_LEADS, rate_hz=500)
    one, two, three = samples[:3].astype(int)
    whole = (one != 0) & (np.abs(one) < 2000)  # while the electrode of I is on
    assert np.array_equal((one + three)[whole], two[whole])


def test_r_grows_from_v1_to_v5() -> None:
    patient, samples = play("sinus", 20, leads=("V1", "V2", "V3", "V4", "V5"), rate_hz=500)
    peaks = np.mean([samples[:, beat.sample] for beat in patient.beats[1:-1]], axis=0)
    assert peaks[0] < 0 < peaks[3]
    assert np.all(np.diff(peaks) > 0)


def test_amplitudes_are_those_of_a_person() -> None:
    _, samples = play("sinus", 60)
    assert 900 < samples.max() * 5.0 < 1800
    assert -700 < samples.min() * 5.0 < -100


def test_noise_keeps_the_line_alive_between_beats() -> None:
    patient, samples = play("bradycardia", 20)
    pauses = [samples[0, beat.sample + 160 : beat.sample + 210] for beat in patient.beats[1:-1]]
    assert all(0.5 < np.diff(pause).std() < 10 for pause in pauses)


def test_gain_scales_the_same_signal() -> None:
    _, coarse = play("af", 20, gain_uv=5.0)
    _, fine = play("af", 20, gain_uv=1.0)
    assert np.abs(coarse * 5.0 - fine).max() <= 3.0


def test_labels_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator, "MAX_LABELS", 10)
    patient, _ = play("tachycardia", 60)
    assert 1 <= len(patient.beats) <= 10
    assert patient.beats[-1].sample > 59 * RATE_HZ


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate_hz": 49},
        {"rate_hz": 2001},
        {"heart_rate": 19},
        {"heart_rate": 251},
        {"gain_uv": 0.0},
        {"rate_hz": float("nan")},
        {"leads": ("Q7",)},
        {"leads": ()},
        {"leads": ("II", "II")},
    ],
)
def test_arguments_out_of_bounds_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"bounds|lead"):
        play("sinus", 1, **wrong)


def test_unknown_rhythm_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"waltz.*sinus, af, pvc"):
        play("waltz", 1)
