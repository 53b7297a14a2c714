"""The labels tell from which sample on a rule could hold."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from streaming.ecg.alarms import AlarmKind
from streaming.ecg.labels import Label, RhythmOnset, SimulatedBeat
from tests.alarm_onsets import RHYTHMS, due

RATE_HZ = 100.0


def labels(kind: AlarmKind, peaks: Sequence[int], *, ventricular: bool = False) -> list[Label]:
    """Sinus beats at 60 bpm up to 9 s, from 10 s on the rhythm with its beats at these samples."""
    sinus = [SimulatedBeat(sample, ventricular=False) for sample in range(0, 1000, 100)]
    shown = [SimulatedBeat(sample, ventricular=ventricular) for sample in peaks]
    return [*sinus, RhythmOnset(1000, RHYTHMS[kind], None), *shown]


def test_asystole_is_four_seconds_from_the_last_beat() -> None:
    assert due(AlarmKind.ASYSTOLE, labels(AlarmKind.ASYSTOLE, []), RATE_HZ) == 1300


def test_fibrillation_is_four_seconds_of_it() -> None:
    assert due(AlarmKind.FIBRILLATION, labels(AlarmKind.FIBRILLATION, []), RATE_HZ) == 1400


def test_a_run_is_five_ventricular_beats() -> None:
    kind = AlarmKind.VENTRICULAR_TACHYCARDIA
    assert due(kind, labels(kind, range(1040, 1400, 40), ventricular=True), RATE_HZ) == 1200


def test_extreme_tachycardia_is_a_mean_of_twelve_intervals_above_140() -> None:
    kind = AlarmKind.EXTREME_TACHYCARDIA
    # At 150 bpm 11 fast ones and a sinus beat's make 133 bpm, and 12 make 150.
    assert due(kind, labels(kind, range(1000, 2000, 40)), RATE_HZ) == 1480


def test_extreme_bradycardia_is_a_mean_of_four_intervals_below_40() -> None:
    kind = AlarmKind.EXTREME_BRADYCARDIA
    # 2 s each: with one of the sinus the four take 7 s, which is 34 bpm; with two 6 s, which is 40.
    assert due(kind, labels(kind, range(1100, 3000, 200)), RATE_HZ) == 1500


def test_labels_that_end_too_soon_are_none_to_count_on() -> None:
    with pytest.raises(StopIteration):
        due(AlarmKind.EXTREME_TACHYCARDIA, labels(AlarmKind.EXTREME_TACHYCARDIA, [1000, 1040]), RATE_HZ)


def test_an_alarm_that_is_not_lethal_has_no_rhythm() -> None:
    with pytest.raises(KeyError):
        due(AlarmKind.HR_HIGH, labels(AlarmKind.ASYSTOLE, []), RATE_HZ)
