"""Train the models of ventricular fibrillation and of ventricular runs, and write them into the product.

    python -m bench.training.fibrillation --data DIR

On the records of DIR/vfdb and DIR/mitdb, each lead by itself. Fibrillation: windows of 4 s; flutter and
fibrillation against all else but tachycardia, noise and standstill. Runs: windows of 2.4 s; tachycardia,
flutter and fibrillation against all else. A window that holds a change of rhythm is left out.

Slow waves without a QRS are rare in these records, but not in hearts, and they are no fibrillation: half of
each window of flutter, fibrillation or tachycardia, played at half speed, is an example of what is not, if
then it has at most 2.2 waves a second.

Each record counts alike in each class, both classes count alike. Ridge regression by Newton's method: there
is nothing random in it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from bench.support.records import reference_folder
from bench.support.report import parser
from bench.support.rhythms import FIBRILLATION, TACHYCARDIA, RhythmRecord, rhythm_records
from streaming.ecg import fibrillation_trained as trained
from streaming.ecg.fibrillation import FIBRILLATION_S, LIVE_UV, RUN_S, Model, RhythmModels
from streaming.ecg.filters import FloatArray
from streaming.ecg.window_features import FEATURES, features, wave_of

TARGET = Path(trained.__file__)
FOLDERS = ("vfdb", "mitdb")
UNTAUGHT = frozenset({"NOISE", "ASYS", "SVTA", "IVR", "VER"})
"""Rhythms that are no example: what is noise, or stands still, is decided before; of the rest, the waves are
as in a ventricular run, and the rate or its origin makes the difference."""
STEP_S = {"vfdb": 2.5, "mitdb": 7.5}
AT_MOST = 300
"""Windows of one record and class that count fully; of more, each counts less."""
SLOW_AT_MOST = 100
SLOWED_HZ = 2.2
RIDGE = 3.0
ROUNDS = 25


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Windows as features, (n, 15); what each is, which record it is of, and how much of it counts."""

    values: FloatArray
    is_so: FloatArray
    records: tuple[str, ...]
    weights: FloatArray

    def without(self, record: str) -> Examples:
        """Those of all other records."""
        kept = np.array([name != record for name in self.records])
        names = tuple(name for name in self.records if name != record)
        return Examples(self.values[kept], self.is_so[kept], names, self.weights[kept])


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """What both models are taught."""

    fibrillation: Examples
    run: Examples

    def models(self, *, without: str = "") -> RhythmModels:
        """Trained on all records but this one."""
        return RhythmModels(fit(self.fibrillation.without(without)), fit(self.run.without(without)))


def main(folder: Path) -> int:
    """Train, and write the module `fibrillation_trained`."""
    names, course = taught(folder)
    if not names:
        raise SystemExit(f"no annotated records in {folder}")
    TARGET.write_text(module(names, course.models()))
    print(f"{len(names)} records; written: {TARGET}")
    return 0


def taught(folder: Path, only: frozenset[str] | None = None) -> tuple[list[str], Course]:
    """The names of the records of DIR, or of those among them that are asked for, and what they teach."""
    names: list[str] = []
    fibrillation: list[Examples] = []
    run: list[Examples] = []
    for kind in FOLDERS:
        for record in tqdm(list(_chosen(folder / kind, only)), desc=f"{kind}, features", leave=False):
            names.append(record.name)
            fibrillation.append(
                examples(record, FIBRILLATION_S, STEP_S[kind], FIBRILLATION, UNTAUGHT | TACHYCARDIA)
            )
            run.append(examples(record, RUN_S, STEP_S[kind], FIBRILLATION | TACHYCARDIA, UNTAUGHT))
    return names, Course(_joined(fibrillation), _joined(run))


def _chosen(folder: Path, only: frozenset[str] | None) -> Iterator[RhythmRecord]:
    return (record for record in rhythm_records(folder) if only is None or record.name in only)


def examples(
    record: RhythmRecord, length_s: float, step_s: float, wanted: frozenset[str], left_out: frozenset[str]
) -> Examples:
    """The windows of one record, and the slowed ones where `wanted` has no tachycardia."""
    rate_hz = record.rate_hz
    length, step = round(length_s * rate_hz), round(step_s * rate_hz)
    rows: list[tuple[FloatArray, str]] = []
    for rhythm, first in record.within_one_rhythm(length, step):
        for lead in record.microvolts[:, first : first + length]:
            wave = wave_of(lead, rate_hz)
            if np.ptp(wave) < LIVE_UV:
                continue
            if rhythm in wanted or rhythm not in left_out:
                rows.append((features(wave), "so" if rhythm in wanted else "not so"))
            if not wanted & TACHYCARDIA and rhythm in FIBRILLATION | TACHYCARDIA:
                slow = features(slowed(wave))
                if slow[FEATURES.index("dominant frequency")] <= SLOWED_HZ:
                    rows.append((slow, "slowed"))
    kinds = np.array([kind for _, kind in rows])
    weights = np.ones(len(rows))
    for kind, most in (("so", AT_MOST), ("not so", AT_MOST), ("slowed", SLOW_AT_MOST)):
        alike = kinds == kind
        weights[alike] = min(1.0, most / max(1, alike.sum()))
    values = np.array([row for row, _ in rows]).reshape(len(rows), len(FEATURES))
    return Examples(values, (kinds == "so").astype(np.float64), (record.name,) * len(rows), weights)


def slowed(wave: FloatArray) -> FloatArray:
    """The first half at half speed."""
    half = len(wave) // 2
    return np.interp(np.linspace(0, half - 1, len(wave)), np.arange(half), wave[:half])


def _joined(parts: Sequence[Examples]) -> Examples:
    return Examples(
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.is_so for part in parts]),
        tuple(name for part in parts for name in part.records),
        np.concatenate([part.weights for part in parts]),
    )


def fit(given: Examples) -> Model:
    """The ridge logistic regression of weighted examples, both classes at the same total weight."""
    weights = given.weights.copy()
    for side in (0.0, 1.0):
        weights[given.is_so == side] *= 1000.0 / weights[given.is_so == side].sum()
    mean = np.average(given.values, axis=0, weights=weights)
    deviation = np.sqrt(np.average((given.values - mean) ** 2, axis=0, weights=weights))
    terms = np.column_stack([(given.values - mean) / deviation, np.ones(len(given.values))])
    ridge = np.diag([RIDGE] * len(FEATURES) + [0.0])
    found = np.zeros(len(FEATURES) + 1)
    for _ in range(ROUNDS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(terms @ found, -30, 30)))
        gradient = terms.T @ (weights * (given.is_so - chance)) - ridge @ found
        curvature = (terms * (weights * chance * (1.0 - chance))[:, np.newaxis]).T @ terms + ridge
        found += np.linalg.solve(curvature, gradient)
    return Model(mean, deviation, found[:-1], float(found[-1]))


MODULE = '''"""What bench/training/fibrillation.py found: python -m bench.training.fibrillation --data DIR."""

from __future__ import annotations

TRAINED_ON = """
{names}
"""
"""The records, of vfdb and mitdb (PhysioNet): figures are of others, or leave the judged one out."""

FIBRILLATION = """
{fibrillation}
"""
RUN = """
{run}
"""
"""A row for each of `window_features.FEATURES`: mean, deviation, weight. The last weight is the constant."""
'''


def module(names: Sequence[str], models: RhythmModels) -> str:
    """The text of the module."""
    lines = [" ".join(names[at : at + 12]) for at in range(0, len(names), 12)]
    return MODULE.format(
        names="\n".join(lines), fibrillation=_table(models.fibrillation), run=_table(models.run)
    )


def _table(model: Model) -> str:
    rows = [*zip(model.mean, model.deviation, model.weights, strict=True), (0.0, 1.0, model.constant)]
    return "\n".join(" ".join(f"{value:.5g}" for value in row) for row in rows)


if __name__ == "__main__":
    options = parser("Train the models of fibrillation and ventricular runs.")
    options.add_argument("--data", type=Path, default=reference_folder())
    arguments = options.parse_args()
    sys.exit(main(arguments.data))
