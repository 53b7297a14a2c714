"""How often the lethal alarms are right, on records of real hearts.

    python -m bench.alarms [--data DIR] [--json]

DIR is laid out like PhysioNet's sets: cinc2015 (with ALARMS), vfdb, mitdb. The rules are the product's, and
so are the models, save for a record that they were trained on: it is judged by models trained on the others.

- PhysioNet/CinC Challenge 2015, ECG leads alone, in real time: a record is played up to 5:00, where a
  monitor called its alarm. It is confirmed if the rule of that kind holds at any time of the 10 s before.
  Score: 100 (TP + TN) / (TP + TN + FP + 5 FN).
- vfdb: the rule of fibrillation at the end of every 5 s that hold one rhythm alone, without VT.
- mitdb, records without VT, flutter or fibrillation: lethal alarms that the annotated beats do not bear out,
  by the hour.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from bench.support.records import reference_folder
from bench.support.report import Figure, at_least, at_most, parser, report
from bench.support.rhythms import FIBRILLATION, TACHYCARDIA, RhythmRecord, in_microvolts, rhythm_record
from bench.training.fibrillation import Course, taught
from streaming.client.recordings import Recording, open_recording
from streaming.core.alarm_record import AlarmSeverity
from streaming.ecg.alarm_limits import AlarmLimits
from streaming.ecg.alarm_rules import FIBRILLATION_ODDS, RATE_OF, SLOW_BEATS
from streaming.ecg.alarms import AlarmEvent, AlarmKind, Change
from streaming.ecg.analysis import EcgAnalysis
from streaming.ecg.fibrillation import FIBRILLATION_S, TRAINED, RhythmModels
from streaming.ecg.fibrillation_trained import TRAINED_ON
from streaming.ecg.window_features import wave_of

CALLED_S, LOOKED_AT_S = 300.0, 10.0
WINDOW_S = 5.0
CHUNK_S = 0.1
NEAR_S = 10.0
"""An alarm is borne out by annotated beats up to so long before its strip and after it."""
KINDS = {
    "Asystole": AlarmKind.ASYSTOLE,
    "Bradycardia": AlarmKind.EXTREME_BRADYCARDIA,
    "Tachycardia": AlarmKind.EXTREME_TACHYCARDIA,
    "Ventricular_Flutter_Fib": AlarmKind.FIBRILLATION,
    "Ventricular_Tachycardia": AlarmKind.VENTRICULAR_TACHYCARDIA,
}


@dataclass(frozen=True, slots=True)
class Models:
    """The product's models, and how to do without a record."""

    course: Course | None

    @classmethod
    def of(cls, folder: Path) -> Models:
        """Reads again what the models were trained on, as far as it is in DIR."""
        names, course = taught(folder, only=frozenset(TRAINED_ON.split()))
        return cls(course if names else None)

    def for_record(self, name: str) -> RhythmModels:
        """Models that have not seen this record."""
        if self.course is None or name not in TRAINED_ON.split():
            return TRAINED
        return self.course.models(without=name)


def main(folder: Path) -> Iterator[Figure]:
    """All figures that DIR has records for."""
    models = Models.of(folder)
    if (folder / "cinc2015" / "ALARMS").is_file():
        yield from challenge(folder / "cinc2015")
    yield from fibrillation(sorted((folder / "vfdb").glob("*.hea")), models)
    yield from false_alarms(sorted((folder / "mitdb").glob("*.hea")), models)


def challenge(folder: Path) -> Iterator[Figure]:
    """The score, and what it is made of."""
    lines = [line.split(",") for line in (folder / "ALARMS").read_text().split()]
    counts: dict[str, Counter[tuple[bool, bool]]] = {kind: Counter() for kind in KINDS}
    for name, kind, truth in tqdm(lines, desc="cinc2015", leave=False):
        if (folder / f"{name}.hea").is_file():
            confirmed = is_confirmed(open_recording(folder / f"{name}.hea"), KINDS[kind])
            counts[kind][truth == "1", confirmed] += 1
    for kind, count in counts.items():
        yield _share(f"cinc2015, {kind}: true alarms confirmed", count, truth=True)
        yield _share(f"cinc2015, {kind}: false alarms refused", count, truth=False)
    total = sum(counts.values(), Counter[tuple[bool, bool]]())
    right = total[True, True] + total[False, False]
    score = 100 * right / (right + total[False, True] + 5 * total[True, False])
    of = f"{total.total()} records"
    for name, truth, bound in (("TPR", True, 0.95), ("TNR", False, 0.60)):
        share = _share("", total, truth=truth)
        yield at_least(f"cinc2015, {name}", share.value, bound, "", against=share.against)
    yield at_least("cinc2015, score", score, 65.0, "", against=f"{of}; the winner, with pulse waves: 81.4")


def _share(name: str, count: Counter[tuple[bool, bool]], *, truth: bool) -> Figure:
    """Of the alarms that are so, the part that was called so."""
    of = count[truth, True] + count[truth, False]
    return Figure(name, count[truth, truth] / max(1, of), "", against=f"{count[truth, truth]} of {of}")


def is_confirmed(recording: Recording, kind: AlarmKind) -> bool:
    """Whether the rule holds at any tick of the last 10 s before the alarm was called."""
    rate_hz = recording.rate_hz
    analysis = EcgAnalysis(rate_hz, [lead.name for lead in recording.leads])
    from_sample = (CALLED_S - LOOKED_AT_S) * rate_hz
    microvolts = in_microvolts(recording)
    held = False
    for first, stop in _pieces(recording, round(CALLED_S * rate_hz)):
        off = {off.lead for off in recording.leads_off if off.first < stop and first < off.stop}
        analysis.set_leads_off(off)
        analysis.push(first, microvolts[:, first:stop])
        if analysis.analysed_to > from_sample:  # a tick is longer than a chunk: none is missed
            held = held or any(condition.kind is kind for condition in analysis.conditions)
    return held


def _pieces(recording: Recording, end: int) -> Iterator[tuple[int, int]]:
    """Chunks of the samples before `end`, as a device would send them: none where it had none."""
    size = round(CHUNK_S * recording.rate_hz)
    first = 0
    for hole_first, hole_stop in (*recording.missing, (end, end)):
        for at in range(first, min(hole_first, end), size):
            yield at, min(at + size, hole_first, end)
        first = hole_stop


def fibrillation(headers: list[Path], models: Models) -> Iterator[Figure]:
    """Sensitivity and specificity by window."""
    called: dict[str, list[bool]] = {"so": [], "not so": [], "not so, without noise": []}
    for header in tqdm(headers, desc="vfdb", leave=False):
        record = rhythm_record(header)
        for rhythm, is_called in _windows(record, models.for_record(record.name)):
            called["so" if rhythm in FIBRILLATION else "not so"].append(is_called)
            if rhythm not in FIBRILLATION | {"NOISE"}:
                called["not so, without noise"].append(is_called)
    if called["so"] and called["not so"]:
        of = f"{len(called['so'])} windows of {len(headers)} records"
        yield at_least(
            "vfdb, fibrillation and flutter: Se", float(np.mean(called["so"])), 0.90, "", against=of
        )
        for name, bound in (("not so", 0.95), ("not so, without noise", 0.95)):
            specificity = 1.0 - float(np.mean(called[name]))
            extra = name.removeprefix("not so")
            of = f"{len(called[name])} windows"
            yield at_least(f"vfdb, without VT{extra}: Sp", specificity, bound, "", against=of)


def _windows(record: RhythmRecord, models: RhythmModels) -> Iterator[tuple[str, bool]]:
    """Each window's rhythm, and whether all leads that are not flat call it fibrillation."""
    length, seen = round(WINDOW_S * record.rate_hz), round(FIBRILLATION_S * record.rate_hz)
    for rhythm, first in record.within_one_rhythm(length, length):
        if rhythm not in TACHYCARDIA:
            windows = record.microvolts[:, first + length - seen : first + length]
            odds = models.fibrillation.log_odds(wave_of(windows, record.rate_hz))
            judged = [each for each in odds if each is not None]
            yield rhythm, bool(judged) and min(judged) > FIBRILLATION_ODDS


def false_alarms(headers: list[Path], models: Models) -> Iterator[Figure]:
    """Lethal alarms by the hour that nothing in the annotations bears out."""
    hours, false = 0.0, Counter[AlarmKind]()
    for header in tqdm(headers, desc="mitdb", leave=False):
        record = rhythm_record(header)
        if not any(span.rhythm in FIBRILLATION | TACHYCARDIA for span in record.rhythms):
            hours += record.hours
            lethal = [event for event in _played(record, models) if _is_lethal(event)]
            false.update(event.alarm.kind for event in lethal if not is_borne_out(record, event))
    if hours:
        kinds = ", ".join(f"{count} {kind.value}" for kind, count in sorted(false.items())) or "none"
        rate = false.total() / hours
        against = f"{kinds}, in {hours:.1f} h"
        yield at_most("mitdb, false lethal alarms an hour", rate, 0.1, "/h", against=against)


def _played(record: RhythmRecord, models: Models) -> list[AlarmEvent]:
    analysis = EcgAnalysis(record.rate_hz, record.leads, models=models.for_record(record.name))
    size = round(CHUNK_S * record.rate_hz)
    return [
        event
        for first in range(0, record.microvolts.shape[1], size)
        for event in analysis.push(first, record.microvolts[:, first : first + size])
    ]


def _is_lethal(event: AlarmEvent) -> bool:
    return event.change is Change.RAISED and event.alarm.severity is AlarmSeverity.HIGH


def is_borne_out(record: RhythmRecord, event: AlarmEvent, limits: AlarmLimits | None = None) -> bool:
    """Whether the annotated beats around the strip show what the alarm says; no beat tells of VT or VF."""
    limits = limits or AlarmLimits()
    seen = event.alarm.condition.evidence
    near = NEAR_S * record.rate_hz
    beats = np.array([at for at in record.beats if seen.first - near <= at <= seen.stop + near], np.int64)
    shown: Mapping[AlarmKind, bool] = {
        AlarmKind.ASYSTOLE: _mean_rr(beats, 1, record.rate_hz).max(initial=0.0) >= limits.asystole_s,
        AlarmKind.EXTREME_BRADYCARDIA: _mean_rr(beats, SLOW_BEATS - 1, record.rate_hz).max(initial=0.0)
        > 60 / limits.extreme_bradycardia,
        AlarmKind.EXTREME_TACHYCARDIA: _mean_rr(beats, RATE_OF, record.rate_hz).min(initial=np.inf)
        < 60 / limits.extreme_tachycardia,
    }
    return bool(shown.get(event.alarm.kind, False))


def _mean_rr(beats: npt.NDArray[np.int64], of: int, rate_hz: float) -> npt.NDArray[np.float64]:
    """The means of so many intervals in a row, in seconds."""
    means: npt.NDArray[np.float64] = (beats[of:] - beats[:-of]) / (of * rate_hz)
    return means


if __name__ == "__main__":
    options = parser("How often the lethal alarms are right.")
    options.add_argument("--data", type=Path, default=reference_folder())
    arguments = options.parse_args()
    sys.exit(report(list(main(arguments.data)), as_json=arguments.json))
