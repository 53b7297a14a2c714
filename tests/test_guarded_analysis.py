"""The analysis of an epoch in the service: alarms reach their sink, and faults stay where they are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from streaming.core.patterns import DataPattern
from streaming.core.streams import Lead, StreamInfo
from streaming.ecg.alarm_board import counted_ids
from streaming.ecg.alarm_limits import AlarmLimits, AlarmSettings
from streaming.ecg.alarms import TRAITS, Alarm, AlarmEvent, AlarmKind, Change
from streaming.ecg.analysis import TICK_S, EcgAnalysis
from streaming.ecg.continuity import Continuity
from streaming.ecg.vitals import Vitals
from streaming.guarded_analysis import MAX_LAG_S, GuardedAnalysis
from tests.ecg.hearts import LEADS, RATE_HZ, Signal, fibrillation, joined, raised, rhythm, standstill
from tests.viewers import stream_info

INFO = replace(stream_info(leads=2), rate_hz=RATE_HZ, leads=tuple(Lead(name, 1.0) for name in LEADS))


class Book:
    """An alarm sink that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[AlarmEvent] = []
        self.present = AlarmSettings()
        self.fault: Exception | None = None
        self.ended_elsewhere: Collection[str] = ()

    def standing(self, info: StreamInfo) -> Sequence[Alarm]:
        return ()

    def settings(self, stream: str) -> AlarmSettings:
        return self.present

    def take(self, info: StreamInfo, events: Sequence[AlarmEvent]) -> None:
        assert info == INFO
        self.told += events
        if self.fault is not None:
            raise self.fault

    def settle(self, info: StreamInfo, on: Collection[str]) -> Collection[str]:
        if self.fault is not None:
            raise self.fault
        return self.ended_elsewhere

    @property
    def story(self) -> list[tuple[str, AlarmKind]]:
        """What changed, in order, without updates."""
        changes = [(event.change, event.alarm.kind) for event in self.told]
        return [(change.value, kind) for change, kind in changes if change is not Change.UPDATED]


class Bed:
    """A guarded analysis, its sink, and what it found grave."""

    def __init__(
        self, *, standing: Sequence[Alarm] = (), first: int = 0, continuity: Continuity | None = None
    ) -> None:
        self.book = Book()
        self.grave: list[tuple[int, str]] = []
        self.stop = first
        self.guarded = GuardedAnalysis(
            INFO,
            first,
            self.book,
            counted_ids(),
            standing=standing,
            on_grave=lambda _info, sample, reason: self.grave.append((sample, reason)),
            continuity=continuity,
        )

    def play(self, signal: Signal) -> None:
        """In chunks of 100 ms, in steps of a microvolt."""
        steps: npt.NDArray[np.int32] = np.rint(signal).astype(np.int32)
        for at in range(0, steps.shape[1], 25):
            chunk = steps[:, at : at + 25]
            self.guarded.push(self.stop, chunk)
            self.stop += chunk.shape[1]


def test_alarms_reach_the_sink_and_stand_until_they_end() -> None:
    bed = Bed()
    bed.play(joined(rhythm("sinus", 10), standstill(6)))
    assert bed.book.story == [("raised", AlarmKind.ASYSTOLE)]
    assert [alarm.kind for alarm in bed.guarded.standing] == [AlarmKind.ASYSTOLE]
    bed.play(rhythm("sinus", 10))
    assert bed.book.story[1:] == [("ended", AlarmKind.ASYSTOLE)]
    assert bed.guarded.standing == ()
    assert bed.guarded.vitals.source == "II"


def test_the_end_of_the_epoch_ends_its_alarms_as_they_were_last() -> None:
    bed = Bed()
    bed.play(joined(rhythm("sinus", 10), standstill(15)))
    standing = bed.guarded.standing
    bed.guarded.end()
    assert [event.alarm for event in bed.book.told if event.change is Change.ENDED] == list(standing)
    assert standing[0].condition.text == next(
        event.alarm.condition.text for event in bed.book.told[::-1] if event.change is Change.UPDATED
    )
    bed.guarded.end()
    assert len([event for event in bed.book.told if event.change is Change.ENDED]) == 1


def test_limits_hold_from_the_next_tick() -> None:
    bed = Bed()
    bed.play(rhythm("sinus", 15))
    assert bed.book.story == []
    bed.book.present = AlarmSettings(AlarmLimits(hr_high=60, hr_low=45))
    bed.play(rhythm("sinus", 3))
    assert bed.book.story == [("raised", AlarmKind.HR_HIGH)]


def test_what_stood_before_is_the_same_alarm_here() -> None:
    before = Bed()
    before.play(joined(rhythm("sinus", 10), standstill(6)))
    here = Bed(standing=before.guarded.standing, first=before.stop)
    here.play(standstill(10))
    assert {event.change for event in here.book.told} <= {Change.UPDATED}
    assert [alarm.id for alarm in here.guarded.standing] == [alarm.id for alarm in before.guarded.standing]
    gone = Bed(standing=before.guarded.standing, first=before.stop)
    gone.play(rhythm("sinus", 10))
    assert gone.book.story == [("ended", AlarmKind.ASYSTOLE)]


def test_what_somebody_else_has_ended_and_still_holds_is_another_alarm() -> None:
    bed = Bed()
    bed.play(joined(rhythm("sinus", 10), standstill(6)))
    [first] = bed.guarded.standing
    bed.book.ended_elsewhere = (first.id,)
    bed.guarded.settle()
    assert not list(bed.guarded.standing)
    bed.play(standstill(2))
    [again] = bed.guarded.standing
    assert (again.kind, again.id != first.id) == (AlarmKind.ASYSTOLE, True)
    bed.book.fault = RuntimeError("boom")
    bed.guarded.settle()
    assert bed.guarded.standing == (again,)


def test_of_two_that_stand_about_one_thing_one_goes_on() -> None:
    before = Bed()
    before.play(joined(rhythm("sinus", 10), standstill(6)))
    [one] = before.guarded.standing
    here = Bed(standing=(one, replace(one, id="two")), first=before.stop)
    assert len(here.guarded.standing) == 1
    here.play(rhythm("sinus", 10))
    assert not list(here.guarded.standing)


@pytest.mark.parametrize("failing", ["push", "pattern", "vitals"])
def test_a_fault_turns_arrhythmia_alarms_off_for_a_while_and_is_logged_once(
    failing: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bed = Bed()
    bed.play(joined(rhythm("sinus", 10), standstill(6)))
    with monkeypatch.context() as broken:
        broken.setattr(EcgAnalysis, failing, lambda *_: 1 / 0)
        bed.play(standstill(3))
        assert bed.book.story == [("raised", AlarmKind.ASYSTOLE), ("raised", AlarmKind.ARRHYTHMIA_OFF)]
        assert bed.guarded.vitals == Vitals(None, None)
    bed.play(standstill(12))
    assert bed.book.story[2:] == [("ended", AlarmKind.ARRHYTHMIA_OFF)]
    assert [alarm.kind for alarm in bed.guarded.standing] == [AlarmKind.ASYSTOLE]
    assert [record.getMessage() for record in caplog.records] == [
        "the analysis of stream a has failed, going on"
    ]
    assert caplog.records[0].exc_info is not None


def test_a_fault_that_the_analysis_has_dealt_with_is_logged_once_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bed = Bed()
    monkeypatch.setattr("streaming.ecg.lead_watch.LeadWatch.push", lambda *_, **__: 1 / 0)
    bed.play(rhythm("sinus", 15))
    assert bed.book.story == [("raised", AlarmKind.ARRHYTHMIA_OFF)]
    assert len(caplog.records) == 1


def test_an_analysis_that_stands_still_is_found_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bed = Bed()
    bed.play(rhythm("sinus", 10))
    with monkeypatch.context() as stuck:
        stuck.setattr(EcgAnalysis, "push", lambda *_: [])
        bed.play(rhythm("sinus", MAX_LAG_S - 0.3))
        assert bed.book.story == []
        bed.play(rhythm("sinus", 1))
        assert bed.book.story == [("raised", AlarmKind.ARRHYTHMIA_OFF)]
        bed.play(rhythm("sinus", 15))
    assert bed.book.story == [("raised", AlarmKind.ARRHYTHMIA_OFF)]
    assert [record.getMessage() for record in caplog.records] == [
        "the analysis of stream a lags behind, going on"
    ]
    bed.play(rhythm("sinus", 12))
    assert bed.book.story[1:] == [("ended", AlarmKind.ARRHYTHMIA_OFF)]


def test_a_device_that_starts_again_and_again_has_no_alarms_and_that_is_one() -> None:
    bed = Bed()
    bed.play(rhythm("sinus", 20))
    starts = 0
    while not any(kind is AlarmKind.ARRHYTHMIA_OFF for _, kind in bed.book.story):
        bed, starts = Bed(continuity=bed.guarded.continuity), starts + 1
        bed.play(rhythm("sinus", 4))
    assert starts == 2
    bed.play(rhythm("sinus", 12))
    assert bed.book.story == [("raised", AlarmKind.ARRHYTHMIA_OFF), ("ended", AlarmKind.ARRHYTHMIA_OFF)]


def test_a_device_that_starts_again_once_raises_nothing() -> None:
    before = Bed()
    before.play(rhythm("sinus", 20))
    bed = Bed(continuity=before.guarded.continuity)
    bed.play(rhythm("sinus", 20))
    assert bed.book.story == []


def test_with_alarms_off_a_fault_is_no_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    bed = Bed()
    bed.book.present = AlarmSettings(is_off=True)
    bed.play(rhythm("sinus", 1))
    monkeypatch.setattr(EcgAnalysis, "push", lambda *_: 1 / 0)
    bed.play(rhythm("sinus", 1))
    assert bed.book.story == [("raised", AlarmKind.ALARMS_OFF)]


def test_a_sink_that_fails_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    bed = Bed()
    bed.book.fault = OSError("full")
    bed.play(joined(rhythm("sinus", 10), standstill(6), rhythm("sinus", 10)))
    assert bed.book.story == [("raised", AlarmKind.ASYSTOLE), ("ended", AlarmKind.ASYSTOLE)]
    assert bed.guarded.vitals.hr is not None
    assert len(caplog.records) == 1


def test_silence_is_an_alarm_after_ten_seconds_until_samples_come() -> None:
    bed = Bed()
    bed.play(rhythm("sinus", 5))
    bed.guarded.tend(9.9)
    assert bed.book.story == []
    for silent_s in (10.0, 11.0, 60.0):
        bed.guarded.tend(silent_s)
    assert bed.book.story == [("raised", AlarmKind.NO_DATA)]
    assert bed.book.told[0].alarm.condition.text == "NO DATA"
    assert bed.stop - bed.book.told[0].sample < TICK_S * RATE_HZ
    bed.play(rhythm("sinus", 0.3))
    assert bed.book.story[1:] == [("ended", AlarmKind.NO_DATA)]


def test_silence_ends_no_alarm_but_alarms_that_are_turned_off_do_so_in_it() -> None:
    bed = Bed()
    bed.play(joined(rhythm("sinus", 10), standstill(6)))
    bed.guarded.tend(10.0)
    assert bed.book.story == [("raised", AlarmKind.ASYSTOLE), ("raised", AlarmKind.NO_DATA)]
    bed.book.present = AlarmSettings(is_off=True)
    bed.guarded.tend(11.0)
    assert set(bed.book.story[2:]) == {
        ("ended", AlarmKind.ASYSTOLE),
        ("ended", AlarmKind.NO_DATA),
        ("raised", AlarmKind.ALARMS_OFF),
    }


def test_a_fault_in_silence_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bed = Bed()
    monkeypatch.setattr(EcgAnalysis, "tend", lambda *_: 1 / 0)
    bed.guarded.tend(10.0)
    bed.guarded.tend(11.0)
    assert len(caplog.records) == 1


def test_what_is_grave_is_told_when_it_begins_and_every_second() -> None:
    bed = Bed()
    bed.play(rhythm("sinus", 20))
    assert bed.grave == []
    bed.play(fibrillation(12))
    began = bed.grave[0][0] / RATE_HZ
    assert 20 < began < 25
    assert bed.guarded.pattern is DataPattern.ARRHYTHMIA
    steps = np.diff([sample for sample, _ in bed.grave])
    assert (steps >= RATE_HZ).all()
    assert np.median(steps) <= 1.2 * RATE_HZ
    titles = {TRAITS[kind].title for kind in raised(bed.book.told)}
    assert {reason for _, reason in bed.grave} == titles | {"suspected arrhythmia"}


def test_leads_that_are_off_are_so_after_a_fault_too(monkeypatch: pytest.MonkeyPatch) -> None:
    bed = Bed()
    bed.play(rhythm("sinus", 5))
    bed.guarded.set_leads_off(["II"])
    with monkeypatch.context() as broken:
        broken.setattr(EcgAnalysis, "push", lambda *_: 1 / 0)
        bed.play(rhythm("sinus", 0.1))
    bed.play(rhythm("sinus", 10))
    assert bed.guarded.vitals.source == "V1"
    assert ("raised", AlarmKind.LEAD_OFF) in bed.book.story


def test_gain_and_baseline_of_each_lead_are_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[npt.NDArray[np.float64]] = []

    def keep(_analysis: EcgAnalysis, _first: int, microvolts: npt.NDArray[np.float64]) -> list[AlarmEvent]:
        seen.append(microvolts)
        return []

    monkeypatch.setattr(EcgAnalysis, "push", keep)
    info = replace(INFO, leads=(Lead("II", 5.0, baseline=100), Lead("V1", 2.0, baseline=-10)))
    guarded = GuardedAnalysis(info, 0, Book(), counted_ids(), standing=(), on_grave=lambda *_: None)
    guarded.push(0, np.array([[101] * 50, [0] * 50], np.int16))
    assert seen[0][:, 0].tolist() == [5.0, 20.0]
