"""The whole analysis of a stream: alarms at the right time, in any chunks, whatever goes wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.core.patterns import DataPattern
from streaming.ecg.alarm_limits import AlarmLimits, AlarmSettings
from streaming.ecg.alarms import Alarm, AlarmEvent, AlarmKind, Change
from streaming.ecg.analysis import MAX_LEADS, RESTART_S, EcgAnalysis, followed
from streaming.ecg.holes import TOUCH_S
from streaming.ecg.lead_watch import LeadWatch
from streaming.ecg.simulator import Simulator
from streaming.ecg.vitals import Vitals
from tests.ecg.hearts import (
    LEADS,
    RATE_HZ,
    Signal,
    fibrillation,
    joined,
    played,
    raised,
    rhythm,
    standstill,
)

ONSET_S = 30.0
"""What follows half a minute of sinus rhythm begins here."""


def sinus(seconds: float = ONSET_S) -> Signal:
    return rhythm("sinus", seconds)


def first_of(kind: AlarmKind, events: list[AlarmEvent]) -> Alarm:
    """The first alarm of this kind."""
    return next(e.alarm for e in events if e.change is Change.RAISED and e.alarm.kind is kind)


@pytest.mark.parametrize("name", ["sinus", "pvc", "af"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_harmless_rhythm_raises_nothing(name: str, seed: int) -> None:
    assert played(rhythm(name, 60, seed=seed)) == []


@pytest.mark.parametrize("rate_hz", [100, 130.06, 360, 500, 1000])
def test_any_rate_will_do(rate_hz: float) -> None:
    simulator = Simulator("sinus", rate_hz=rate_hz, leads=LEADS, seed=1)
    analysis = EcgAnalysis(rate_hz, LEADS)
    sinus_uv = simulator.read(round(20 * rate_hz)).astype(np.float64) * simulator.gain_uv
    still_uv = np.random.default_rng(1).normal(0.0, 8.0, (2, round(6 * rate_hz)))
    assert analysis.push(0, sinus_uv) == []
    events = analysis.push(sinus_uv.shape[1], still_uv)
    assert raised(events) == [AlarmKind.ASYSTOLE]
    last_beat = simulator.beats[-1].sample
    assert (events[0].sample - last_beat) / rate_hz == pytest.approx(4.2, abs=0.2)


def test_asystole_is_raised_four_seconds_after_the_last_beat() -> None:
    simulator = Simulator("sinus", rate_hz=RATE_HZ, leads=LEADS, seed=1)
    simulator.read(round(ONSET_S * RATE_HZ))
    last_beat = simulator.beats[-1].sample
    events = played(joined(sinus(), standstill(10)))
    assert raised(events) == [AlarmKind.ASYSTOLE]
    alarm = first_of(AlarmKind.ASYSTOLE, events)
    assert 4.0 <= (alarm.raised_at - last_beat) / RATE_HZ <= 4.5
    seen = alarm.condition.evidence
    assert abs(seen.first - last_beat) < 0.1 * RATE_HZ
    assert seen.stop == alarm.raised_at
    assert (seen.limit, seen.unit) == (4.0, "s")
    assert alarm.condition_delay_s == pytest.approx(seen.value)
    assert alarm.signal_delay_s == 0.0


def test_asystole_ends_when_the_heart_beats_and_is_no_bradycardia() -> None:
    events = played(joined(sinus(), standstill(10), sinus(20)))
    assert [event.change for event in events] == [Change.RAISED, Change.UPDATED, Change.ENDED]
    assert {event.alarm.kind for event in events} == {AlarmKind.ASYSTOLE}
    assert events[-1].alarm.latching


@pytest.mark.parametrize("size_uv", [150.0, 400.0, 1000.0])
def test_fibrillation_is_raised_within_its_span_and_a_second_and_a_half(size_uv: float) -> None:
    events = played(joined(sinus(), fibrillation(10, size_uv)))
    alarm = first_of(AlarmKind.FIBRILLATION, events)
    assert 2.0 <= alarm.raised_at / RATE_HZ - ONSET_S <= 5.0
    assert AlarmKind.ASYSTOLE not in raised(events)


def test_asystole_stays_on_while_p_waves_go_on() -> None:
    t = np.arange(round(30 * RATE_HZ)) / RATE_HZ
    p_waves = 250.0 * np.exp(-0.5 * ((t % 0.8 - 0.4) / 0.022) ** 2)
    events = played(joined(sinus(), standstill(30) + np.outer((1.0, 0.5), p_waves)))
    assert raised(events) == [AlarmKind.ASYSTOLE]
    assert Change.ENDED not in {event.change for event in events}


def test_fibrillation_that_dies_away_becomes_asystole() -> None:
    events = played(joined(sinus(), fibrillation(10), standstill(8)))
    grave = [kind for kind in raised(events) if kind in {AlarmKind.FIBRILLATION, AlarmKind.ASYSTOLE}]
    assert grave == [AlarmKind.FIBRILLATION, AlarmKind.ASYSTOLE]


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5, 6])
def test_a_ventricular_run_is_raised_when_its_fifth_beat_is_known(seed: int) -> None:
    simulator = Simulator("vt", rate_hz=RATE_HZ, leads=LEADS, seed=seed)
    events = played(simulator.read(round(40 * RATE_HZ)).astype(np.float64) * simulator.gain_uv)
    run = [beat.sample for beat in simulator.beats if beat.ventricular]
    alarm = first_of(AlarmKind.VENTRICULAR_TACHYCARDIA, events)
    assert -0.1 <= (alarm.raised_at - run[4]) / RATE_HZ <= 1.25
    rate = 60 * RATE_HZ * 4 / (run[4] - run[0])
    assert alarm.condition.evidence.value == pytest.approx(rate, rel=0.1)
    assert raised(events)[0] is AlarmKind.VENTRICULAR_TACHYCARDIA


def test_extreme_tachycardia_covers_hr_high() -> None:
    events = played(joined(sinus(), rhythm("tachycardia", 20, 170)))
    assert raised(events) == [AlarmKind.EXTREME_TACHYCARDIA]
    assert first_of(AlarmKind.EXTREME_TACHYCARDIA, events).raised_at / RATE_HZ - ONSET_S < 17 * 60 / 170 + 1.5


@pytest.mark.parametrize("seed", range(8))
def test_a_heart_that_is_fast_from_the_start_is_no_ventricular_run(seed: int) -> None:
    simulator = Simulator("tachycardia", rate_hz=RATE_HZ, leads=("II", "V1"), seed=seed, gain_uv=1.0)
    events = played(
        simulator.read(round(40 * RATE_HZ)).astype(np.float64), EcgAnalysis(RATE_HZ, ["II", "V1"])
    )
    assert raised(events) == [AlarmKind.HR_HIGH]


@pytest.mark.parametrize("seed", range(8))
def test_what_was_counted_in_a_fibrillation_is_no_tachycardia_after_it(seed: int) -> None:
    events = played(joined(sinus(), rhythm("vf", 15, seed=seed), rhythm("sinus", 30, 80, seed=seed)))
    assert AlarmKind.EXTREME_TACHYCARDIA not in raised(events)


def test_extreme_bradycardia_after_five_beats() -> None:
    events = played(joined(sinus(), rhythm("bradycardia", 30, 30)))
    alarm = first_of(AlarmKind.EXTREME_BRADYCARDIA, events)
    assert alarm.raised_at / RATE_HZ - ONSET_S < 4 * 2.0 + 2.0
    assert alarm.condition.text.endswith("< 40")


@pytest.mark.parametrize(
    ("name", "heart_rate", "kind"),
    [
        ("tachycardia", 139, AlarmKind.EXTREME_TACHYCARDIA),
        ("tachycardia", 140, AlarmKind.EXTREME_TACHYCARDIA),
        ("bradycardia", 40, AlarmKind.EXTREME_BRADYCARDIA),
        ("bradycardia", 41, AlarmKind.EXTREME_BRADYCARDIA),
    ],
)
def test_two_minutes_of_a_rate_at_a_lethal_limit_are_one_alarm(
    name: str, heart_rate: float, kind: AlarmKind
) -> None:
    simulator = Simulator(name, rate_hz=RATE_HZ, leads=("V1",), seed=1, heart_rate=heart_rate)
    analysis = EcgAnalysis(RATE_HZ, ["V1"])
    signal = simulator.read(round(120 * RATE_HZ)).astype(np.float64) * simulator.gain_uv
    assert raised(played(signal, analysis)).count(kind) == 1


@pytest.mark.parametrize(
    ("name", "heart_rate", "kind"),
    [("tachycardia", 130, AlarmKind.HR_HIGH), ("bradycardia", 45, AlarmKind.HR_LOW)],
)
def test_a_limit_that_is_passed(name: str, heart_rate: float, kind: AlarmKind) -> None:
    events = played(joined(sinus(), rhythm(name, 25, heart_rate)))
    assert raised(events) == [kind]
    alarm = first_of(kind, events)
    assert alarm.signal_delay_s == pytest.approx(2.0, abs=0.25)
    assert alarm.raised_at / RATE_HZ - ONSET_S <= 13 * 60 / heart_rate + 3


def test_limits_are_the_patients_and_may_change() -> None:
    analysis = EcgAnalysis(RATE_HZ, LEADS, AlarmSettings(AlarmLimits(hr_high=60, hr_low=45)))
    events = played(rhythm("sinus", 20), analysis)
    assert raised(events) == [AlarmKind.HR_HIGH]
    analysis.settings = AlarmSettings()
    events = played(rhythm("sinus", 20), analysis, first=round(20 * RATE_HZ))
    assert [event.change for event in events] == [Change.ENDED]


def test_a_gap_alone_raises_nothing() -> None:
    analysis = EcgAnalysis(RATE_HZ, LEADS)
    assert played(sinus(), analysis) == []
    stop = round(ONSET_S * RATE_HZ)
    for gap_s in (0.004, 1.0, 10.0, 3600.0):
        first = stop + round(gap_s * RATE_HZ)
        assert played(sinus(12), analysis, first=first) == []
        stop = first + round(12 * RATE_HZ)


def holed(
    signal: Signal, holes: list[tuple[int, int]], chunk: int = 25
) -> tuple[EcgAnalysis, list[AlarmEvent]]:
    """What a signal raises of which samples `first` to `stop` of each hole do not come."""
    analysis, first, events = EcgAnalysis(RATE_HZ, LEADS), 0, []
    for hole_first, hole_stop in (*holes, (signal.shape[1], signal.shape[1])):
        events += played(signal[:, first:hole_first], analysis, first=first, chunk=chunk)
        first = hole_stop
    return analysis, events


def every(
    seconds: float, stop_s: float, *, samples: int = 25, first_s: float = 20.0
) -> list[tuple[int, int]]:
    """Holes so far apart."""
    return [
        (at, at + samples)
        for at in range(round(first_s * RATE_HZ), round(stop_s * RATE_HZ), round(seconds * RATE_HZ))
    ]


@pytest.mark.parametrize("apart_s", [1.0, 3.0])
def test_lost_chunks_hide_no_asystole(apart_s: float) -> None:
    analysis, events = holed(joined(sinus(), standstill(20)), every(apart_s, 50))
    assert raised(events) == [AlarmKind.ASYSTOLE]
    alarm = first_of(AlarmKind.ASYSTOLE, events)
    assert 3.5 <= alarm.raised_at / RATE_HZ - ONSET_S <= 5.0
    assert alarm.condition.evidence.value < (alarm.raised_at - alarm.condition.evidence.first) / RATE_HZ
    assert analysis.alarms == (events[-1].alarm,)


@pytest.mark.parametrize(
    ("name", "heart_rate", "kind"),
    [
        ("extreme_bradycardia", 30, AlarmKind.EXTREME_BRADYCARDIA),
        ("extreme_tachycardia", 160, AlarmKind.EXTREME_TACHYCARDIA),
        ("vt_sustained", 180, AlarmKind.VENTRICULAR_TACHYCARDIA),
        ("vf", None, AlarmKind.FIBRILLATION),
    ],
)
def test_lost_chunks_hide_no_lethal_rhythm(name: str, heart_rate: float | None, kind: AlarmKind) -> None:
    _, events = holed(joined(sinus(), rhythm(name, 12, heart_rate)), every(2.0, 42))
    assert first_of(kind, events).raised_at / RATE_HZ - ONSET_S <= 11.0


@pytest.mark.parametrize(("name", "heart_rate"), [("sinus", 52), ("af", None), ("pvc", None)])
def test_lost_chunks_make_no_alarm(name: str, heart_rate: float | None) -> None:
    signal, random = rhythm(name, 60, heart_rate), np.random.default_rng(1)
    lost = np.flatnonzero(random.random(signal.shape[1] // 25) < 0.05)
    analysis, events = holed(signal, [(25 * at, 25 * at + 25) for at in lost.tolist() if at])
    assert raised(events) == []
    assert analysis.vitals().hr is not None


def test_a_beat_that_a_hole_hides_is_no_pause_and_none_is_found_in_its_place() -> None:
    simulator = Simulator("sinus", rate_hz=RATE_HZ, leads=LEADS, seed=1, heart_rate=52)
    signal = simulator.read(round(60 * RATE_HZ)).astype(np.float64) * simulator.gain_uv
    hidden = [beat.sample for beat in simulator.beats if 20 < beat.sample / RATE_HZ < 58][::4]
    analysis, events = holed(signal, [(at - 30, at + 30) for at in hidden])
    assert events == []
    beats = [beat.sample for beat in analysis._views[0].beats]
    reach = 30 + round(TOUCH_S * RATE_HZ)
    assert not any(abs(beat - at) < reach for beat in beats for at in hidden)
    true = [beat.sample for beat in simulator.beats]
    assert all(min(abs(beat - at) for at in true) <= 5 for beat in beats)


@pytest.mark.parametrize("chunk", [7, 62, 333])
def test_chunks_leave_no_trace_beside_holes_either(chunk: int) -> None:
    signal = joined(sinus(25), standstill(6), rhythm("vt", 6))
    holes = [*every(1.7, 30, samples=20, first_s=12), (7600, 7950), (8500, 8501)]
    one, expected = holed(signal, holes, chunk=signal.shape[1])
    other, events = holed(signal, holes, chunk=chunk)
    assert AlarmKind.ASYSTOLE in raised(expected)
    assert events == expected
    assert other.vitals() == one.vitals()


@pytest.mark.parametrize(("apart_s", "samples"), [(0.5, 100), (5.0, 100), (0.25, 25)])
def test_where_holes_leave_too_little_that_is_an_alarm_until_they_end(apart_s: float, samples: int) -> None:
    signal = sinus(50)
    _, events = holed(signal, every(apart_s, 40, samples=samples))
    assert [event.change for event in events if event.change is not Change.UPDATED] == [
        Change.RAISED,
        Change.ENDED,
    ]
    begun, ended = events[0], events[-1]
    assert begun.alarm.kind is AlarmKind.ARRHYTHMIA_OFF
    assert begun.sample / RATE_HZ <= 20 + 10 + 6
    assert 40 < ended.sample / RATE_HZ <= 40 + 6 + 3
    evidence = begun.alarm.condition.evidence
    assert evidence.value < evidence.limit == 6.0
    assert begun.alarm.condition.text.endswith("< 6 s UNBROKEN")


def test_no_pause_is_measured_across_a_gap() -> None:
    analysis = EcgAnalysis(RATE_HZ, LEADS)
    played(joined(sinus(), standstill(3)), analysis)
    again = round(35 * RATE_HZ)
    assert played(joined(standstill(3), sinus(12)), analysis, first=again) == []


def test_an_alarm_outlives_a_gap_and_is_not_raised_twice() -> None:
    analysis = EcgAnalysis(RATE_HZ, LEADS)
    played(joined(sinus(), standstill(8)), analysis)
    again = round(39 * RATE_HZ)
    events = played(standstill(15), analysis, first=again)
    assert {event.change for event in events} == {Change.UPDATED}
    assert [alarm.id for alarm in analysis.alarms] == ["1"]


@pytest.mark.parametrize("heart_rate", [20, 30, 36])
def test_a_bradycardia_is_the_same_alarm_behind_a_gap(heart_rate: float) -> None:
    signal = joined(sinus(), rhythm("extreme_bradycardia", 60, heart_rate))
    analysis, gap, again = EcgAnalysis(RATE_HZ, LEADS), round(60 * RATE_HZ), round(61 * RATE_HZ)
    before = played(signal[:, :gap], analysis)
    assert raised(before).count(AlarmKind.EXTREME_BRADYCARDIA) == 1
    behind = played(signal[:, again:], analysis, first=again)
    assert AlarmKind.EXTREME_BRADYCARDIA not in raised(behind)
    assert AlarmKind.EXTREME_BRADYCARDIA in {alarm.kind for alarm in analysis.alarms}


@pytest.mark.parametrize("value_uv", [0.0, 10_000.0])
def test_a_lead_that_is_off_is_no_asystole(value_uv: float) -> None:
    off = np.full((2, round(10 * RATE_HZ)), value_uv)
    events = played(joined(sinus(), off))
    assert set(raised(events)) == {AlarmKind.LEAD_OFF, AlarmKind.NO_SIGNAL}
    leads = {e.alarm.condition.text for e in events if e.alarm.kind is AlarmKind.LEAD_OFF}
    assert leads == {"LEAD OFF II", "LEAD OFF V1"}


def test_with_one_lead_off_the_other_tells_of_asystole() -> None:
    signal = joined(sinus(), standstill(10))
    signal[0] = 10_000.0
    assert set(raised(played(signal))) == {AlarmKind.LEAD_OFF, AlarmKind.ASYSTOLE}


def test_what_the_device_calls_off_is_off_at_once() -> None:
    analysis = EcgAnalysis(RATE_HZ, LEADS)
    played(sinus(), analysis)
    analysis.set_leads_off(LEADS)
    events = played(standstill(10), analysis, first=round(ONSET_S * RATE_HZ))
    assert raised(events) == [AlarmKind.LEAD_OFF, AlarmKind.LEAD_OFF, AlarmKind.NO_SIGNAL]
    assert (events[0].sample / RATE_HZ - ONSET_S) <= 0.3
    silent = first_of(AlarmKind.NO_SIGNAL, events)
    assert silent.raised_at / RATE_HZ - ONSET_S == pytest.approx(4.1, abs=0.3)


def test_artefact_on_one_lead_is_not_fibrillation_while_the_other_beats() -> None:
    signal = sinus(50)
    artefact = fibrillation(10, 1500)[0]
    signal[1, -len(artefact) :] = artefact
    assert raised(played(signal)) == []


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 5000), min_size=1, max_size=30))
def test_chunks_leave_no_trace(chunks: list[int]) -> None:
    signal = joined(sinus(15), standstill(6), rhythm("vt", 30), fibrillation(8))
    whole = EcgAnalysis(RATE_HZ, LEADS)
    expected = whole.push(0, signal)
    assert len(raised(expected)) >= 3
    ends = np.cumsum(chunks)
    pieces = np.split(signal, ends[ends < signal.shape[1]], axis=1)
    analysis, first, events = EcgAnalysis(RATE_HZ, LEADS), 0, []
    for piece in pieces:
        events += analysis.push(first, piece)
        first += piece.shape[1]
    assert events == expected
    assert analysis.vitals() == whole.vitals()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_value_that_is_no_number_turns_the_alarms_off_for_a_while_and_says_so(wrong: float) -> None:
    analysis = EcgAnalysis(RATE_HZ, LEADS)
    signal = sinus(40)
    signal[1, round(20.1 * RATE_HZ)] = wrong
    events = played(signal, analysis)
    assert raised(events) == [AlarmKind.ARRHYTHMIA_OFF]
    assert events[0].sample / RATE_HZ == pytest.approx(20.2, abs=0.2)
    assert events[0].alarm.condition.text == "ARRHYTHMIA OFF"
    assert isinstance(analysis.failure, ValueError)
    assert events[-1].change is Change.ENDED
    assert events[-1].sample / RATE_HZ <= 20.2 + RESTART_S + 3.0
    assert analysis.analysed_to > 39 * RATE_HZ
    assert analysis.vitals().hr is not None


def test_a_detector_that_fails_stops_neither_the_stream_nor_the_alarms_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    analysis = EcgAnalysis(RATE_HZ, LEADS)
    played(sinus(10), analysis)
    with monkeypatch.context() as broken:
        broken.setattr(LeadWatch, "push", lambda *_, **__: 1 / 0)
        events = played(sinus(20), analysis, first=round(10 * RATE_HZ))
    assert raised(events) == [AlarmKind.ARRHYTHMIA_OFF]
    assert analysis.analysed_to > 29 * RATE_HZ
    events = played(joined(sinus(10), standstill(6)), analysis, first=round(30 * RATE_HZ))
    assert events[0].change is Change.ENDED
    assert raised(events) == [AlarmKind.ASYSTOLE]


def test_the_pattern_follows_the_signal() -> None:
    for signal, pattern in (
        (sinus(), DataPattern.NORMAL),
        (joined(sinus(), fibrillation(5)), DataPattern.ARRHYTHMIA),
        (joined(sinus(), rhythm("tachycardia", 15, 170)), DataPattern.ARRHYTHMIA),
        (joined(sinus(), standstill(3.5)), DataPattern.FLAT),
        (standstill(1.5), DataPattern.NOISY),
        (np.zeros((2, 2000)), DataPattern.LEAD_OFF),
    ):
        analysis = EcgAnalysis(RATE_HZ, LEADS)
        played(signal, analysis)
        assert analysis.pattern() is pattern


def test_noise_on_half_of_the_leads_is_the_pattern() -> None:
    draw = np.random.default_rng(5)
    one, all_of_three = sinus(), np.vstack((sinus(), sinus()[:1]))
    one[0] += draw.normal(0, 200, one.shape[1])
    analysis = EcgAnalysis(RATE_HZ, LEADS)
    played(one, analysis)
    assert analysis.pattern() is DataPattern.NOISY
    all_of_three[0] += draw.normal(0, 200, one.shape[1])
    analysis = EcgAnalysis(RATE_HZ, (*LEADS, "V5"))
    played(all_of_three, analysis)
    assert analysis.pattern() is DataPattern.NORMAL


def test_a_rail_makes_a_lead_noisy_and_useless_for_rates() -> None:
    signal = sinus()
    signal[0, -900:-750] = 3000.0
    analysis = EcgAnalysis(RATE_HZ, LEADS)
    assert played(signal, analysis) == []
    assert analysis.pattern() is DataPattern.NOISY
    assert analysis.vitals().source == "V1"


def test_nothing_is_known_at_first() -> None:
    analysis = EcgAnalysis(RATE_HZ, LEADS)
    assert analysis.vitals() == Vitals(None, None)
    assert analysis.pattern() is DataPattern.NORMAL
    assert analysis.alarms == ()


def test_three_leads_are_followed_the_telling_ones_first() -> None:
    twelve = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
    assert [twelve[lead] for lead in followed(twelve)] == ["II", "V5", "V1"]
    assert followed(("X", "Y", "Z", "Q")) == [0, 1, 2]
    assert followed(("X",)) == [0]
    assert len(followed(twelve)) == MAX_LEADS


def test_updates_are_rare() -> None:
    events = played(joined(sinus(), standstill(30)))
    told = [event.sample for event in events]
    assert len(told) == 6
    assert min(np.diff(told)) >= 5 * RATE_HZ


def test_an_event_is_a_value() -> None:
    alarm = first_of(AlarmKind.ASYSTOLE, played(joined(sinus(), standstill(6))))
    with pytest.raises(AttributeError):
        alarm.raised_at = 5  # type: ignore[misc]  # what this test is about
    assert replace(alarm, raised_at=5) != alarm
