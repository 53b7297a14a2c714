"""The five lethal rhythms as scripts, and from which sample on the rule of each could hold, by the labels."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from streaming.ecg.alarm_limits import AlarmLimits
from streaming.ecg.alarm_rules import RATE_OF, SLOW_BEATS
from streaming.ecg.alarms import AlarmKind
from streaming.ecg.fibrillation import FIBRILLATION_S
from streaming.ecg.labels import Label, RhythmOnset, SimulatedBeat
from streaming.ecg.scenario import Phase, Scenario

SINUS = "sinus"
RHYTHMS = {
    AlarmKind.ASYSTOLE: "asystole",
    AlarmKind.FIBRILLATION: "vf",
    AlarmKind.VENTRICULAR_TACHYCARDIA: "vt_sustained",
    AlarmKind.EXTREME_TACHYCARDIA: "extreme_tachycardia",
    AlarmKind.EXTREME_BRADYCARDIA: "extreme_bradycardia",
}
"""The alarm, and the rhythm that calls for it at the rate that it has by itself."""


def sinus_then(kind: AlarmKind, onset_s: float, sinus_rate: float | None = None) -> Scenario:
    """Sinus rhythm for so long, then for ever what calls for the alarm; `sinus_rate` in bpm."""
    return Scenario((Phase(0.0, onset_s, SINUS, sinus_rate), Phase(onset_s, inf, RHYTHMS[kind])))


def onset(kind: AlarmKind, labels: Sequence[Label]) -> int:
    """The sample from which on the rhythm is played. Raises StopIteration where it has not begun."""
    return next(
        label.sample for label in labels if isinstance(label, RhythmOnset) and label.rhythm == RHYTHMS[kind]
    )


def due(kind: AlarmKind, labels: Sequence[Label], rate_hz: float) -> int:
    """The sample at which the alarm's rule holds first, for who knows each beat as it happens.

    By the constants of the rules and the limits that a patient has by default. Of a rhythm with beats that
    is an R peak, and beats of the sinus before count in a mean rate as they do in the rule's. Raises
    KeyError for an alarm that is not lethal, StopIteration where the labels do not reach so far.
    """
    limits = AlarmLimits()
    began = onset(kind, labels)
    beats = [label for label in labels if isinstance(label, SimulatedBeat)]
    peaks = [beat.sample for beat in beats]
    match kind:
        case AlarmKind.ASYSTOLE:
            last = max(peak for peak in peaks if peak < began)
            return last + round(limits.asystole_s * rate_hz)
        case AlarmKind.FIBRILLATION:
            return began + round(FIBRILLATION_S * rate_hz)
        case AlarmKind.VENTRICULAR_TACHYCARDIA:
            run = (beat.sample for beat in beats if beat.ventricular and beat.sample >= began)
            return [next(run) for _ in range(limits.run_beats)][-1]
        case AlarmKind.EXTREME_TACHYCARDIA:
            rule = (RATE_OF, float(limits.extreme_tachycardia), inf)
        case _:
            rule = (SLOW_BEATS - 1, 0.0, float(limits.extreme_bradycardia))
    return _first_rate_within(peaks, began, rate_hz, *rule)


def _first_rate_within(
    peaks: Sequence[int], began: int, rate_hz: float, intervals: int, low: float, high: float
) -> int:
    """The first peak of the rhythm up to which the mean rate of so many RR intervals is within, in bpm."""
    return next(
        peak
        for first, peak in zip(peaks, peaks[intervals:], strict=False)
        if peak >= began and low < 60.0 * rate_hz * intervals / (peak - first) < high
    )
