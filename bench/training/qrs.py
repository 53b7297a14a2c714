"""Train the model that tells QRS complexes from other peaks, and write it into the detector.

    python -m bench.training.qrs --data DIR [--check]

The detector runs over both leads of each annotated record, and over simulated patients of every rhythm (the
records have little tachycardia), clean and with noise (seeds other than the benches'), and notes what it
weighs at each peak; a peak within 100 ms of an annotation is a QRS complex. What it weighs depends on what it
took for beats before, so it decides by the model that it has: run this again until the figures stay (Ross,
Gordon and Bagnell, A reduction of imitation learning to no-regret online learning, 2011). With --check
nothing is written: models of two thirds of the records are judged by the others. All is seeded.
"""

from __future__ import annotations

import math
import sys
import textwrap
from dataclasses import dataclass
from functools import partial
from itertools import product
from multiprocessing import Pool
from multiprocessing.pool import Pool as PoolType
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from bench.support.noise import noise, with_noise
from bench.support.records import AnnotatedRecord, Score, annotated_record
from bench.support.report import parser
from streaming.ecg import qrs_weights
from streaming.ecg.beats import BeatDetector
from streaming.ecg.qrs_evidence import Evidence
from streaming.ecg.qrs_model import QrsModel, log_odds
from streaming.ecg.simulator import Simulator

Array = npt.NDArray[np.float64]
TARGET = Path(qrs_weights.__file__)
HIDDEN = 8
SEED = 5000
PART_S = 600
"""Of each record in each condition, one third, another in each."""
IS_QRS_S, IS_NONE_S = 0.10, 0.15
"""As near to an annotation, or as far from all; between them a peak teaches nothing."""
CLEAN_WEIGHT, QRS_WEIGHT = 3.0, 1.5
"""A peak of a clean record teaches as much as three others, a QRS complex as much as one and a half."""
NETS = 3
EPOCHS, BATCH, RATE, DECAY = 16, 512, 4e-3, 1e-4
FOLDS = 3


@dataclass(frozen=True, slots=True)
class Condition:
    """Noise that is added: its SNR, and the order of the filters that shape it. None adds none."""

    snr_db: float | None
    order: int = 4


CONDITIONS = (
    Condition(None),
    Condition(None),
    Condition(None),
    Condition(18),
    Condition(12),
    Condition(6, order=2),
    Condition(6, order=8),
)
SIMULATED_RATES_HZ = (100.0, 250.0, 500.0)
SIMULATED_RHYTHMS = ("sinus", "af", "pvc", "bradycardia", "tachycardia", "vt", "vt")
SIMULATED_LEADS = ("II", "V1", "V5", "I")
SIMULATED_S = 300.0
SIMULATED_CONDITIONS = (Condition(None), Condition(12), Condition(6))
JUDGED = (Condition(None), Condition(12), Condition(6))


@dataclass(frozen=True, slots=True)
class Patient:
    """One made of numbers."""

    rhythm: str
    rate_hz: float
    seed: int


@dataclass(frozen=True, slots=True)
class Job:
    """One lead of one record or patient in one condition; `number` is the record's, for the noise."""

    source: Path | Patient
    number: int
    lead: int
    condition: Condition
    part: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Notes:
    """What was weighed at each peak, (peaks, FEATURES); whether it is a QRS complex; how much it teaches."""

    features: Array
    is_qrs: Array
    weights: Array


def main(folder: Path, *, check: bool) -> int:
    """Train, and write the module `qrs_weights`; or train on parts, and judge by the others."""
    headers = sorted((folder / "mitdb").glob("*.hea"))
    if not headers:
        raise SystemExit(f"no annotated records in {folder}/mitdb")
    with Pool(2) as pool:
        if check:
            for fold in range(FOLDS):
                others = headers[fold::FOLDS]
                model = train([each for each in headers if each not in others], headers, pool)
                judge(model, others, headers, pool)
            return 0
        TARGET.write_text(module([header.stem for header in headers], train(headers, headers, pool)))
    print(f"written: {TARGET}")
    return 0


def train(headers: list[Path], every: list[Path], pool: PoolType) -> QrsModel:
    """A model of these records: the mean of several nets, which are one net of all their units."""
    jobs = [
        Job(header, every.index(header), lead, condition, part)
        for header in headers
        for lead in (0, 1)
        for part, condition in enumerate(CONDITIONS[lead * 2 :], every.index(header) + lead)
    ]
    jobs += [
        Job(Patient(rhythm, rate_hz, seed), 1000 + seed, seed % len(SIMULATED_LEADS), condition)
        for seed, (rhythm, rate_hz, condition) in enumerate(
            product(SIMULATED_RHYTHMS, SIMULATED_RATES_HZ, SIMULATED_CONDITIONS)
        )
    ]
    notes = list(tqdm(pool.imap(observe, jobs), "records", len(jobs)))
    nets = list(tqdm(pool.imap(partial(fit, notes), range(NETS)), "nets", NETS))
    return QrsModel(
        np.concatenate([net.hidden for net in nets], axis=1),
        np.concatenate([net.bias for net in nets]),
        np.concatenate([net.output for net in nets]) / NETS,
        np.mean([net.direct for net in nets], axis=0),
        sum(net.offset for net in nets) / NETS,
    )


def observe(job: Job) -> Notes:
    """Run the detector over a part of a record."""
    record = opened(job.source)
    signal = heard(record, job, SEED)
    rate_hz, size = record.rate_hz, round(PART_S * record.rate_hz)
    first = size * (job.part % 3)
    seen: list[Evidence] = []

    def weigh(evidence: Evidence) -> float:
        seen.append(evidence)
        return log_odds(evidence)

    detector = BeatDetector(rate_hz, weigh)
    detector.push(signal[first : first + size])
    samples = first + np.array([each.sample for each in seen])
    away_s = distance(samples, record.beats) / rate_hz
    weights = np.where((away_s > IS_QRS_S) & (away_s < IS_NONE_S), 0.0, 1.0)
    for start, stop in record.fibrillation:
        weights[(samples > start - rate_hz) & (samples < stop + rate_hz)] = 0.0
    if job.condition.snr_db is None:
        weights *= CLEAN_WEIGHT
    is_qrs = away_s <= IS_QRS_S
    weights[is_qrs] *= QRS_WEIGHT
    return Notes(np.array([each.values for each in seen]), is_qrs.astype(np.float64), weights)


def opened(source: Path | Patient) -> AnnotatedRecord:
    """A record, or what is simulated in its place."""
    if isinstance(source, Path):
        return annotated_record(source)
    simulator = Simulator(source.rhythm, rate_hz=source.rate_hz, leads=SIMULATED_LEADS, seed=source.seed)
    steps = simulator.read(round(SIMULATED_S * source.rate_hz)).astype(np.float64)
    beats = np.array([beat.sample for beat in simulator.beats])
    codes = tuple("V" if beat.ventricular else "N" for beat in simulator.beats)
    return AnnotatedRecord(source.rhythm, source.rate_hz, steps * simulator.gain_uv, beats, codes, ())


def heard(record: AnnotatedRecord, job: Job, seed: int) -> Array:
    """The lead in the job's condition."""
    clean: Array = record.microvolts[job.lead]
    if job.condition.snr_db is None:
        return clean
    rng = np.random.default_rng(
        [seed, job.number, job.lead, round(job.condition.snr_db), job.condition.order]
    )
    unit_noise = noise(len(clean), record.rate_hz, rng, order=job.condition.order)
    return with_noise(clean, record.beats, record.rate_hz, job.condition.snr_db, unit_noise)


def distance(samples: npt.NDArray[np.int64], beats: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """From each sample to the nearest beat."""
    after = np.searchsorted(beats, samples)
    later = np.abs(beats[np.minimum(after, len(beats) - 1)] - samples)
    earlier = np.abs(beats[np.maximum(after - 1, 0)] - samples)
    nearest: npt.NDArray[np.int64] = np.minimum(later, earlier)
    return nearest


# -- the fit


def fit(notes: list[Notes], seed: int) -> QrsModel:
    """The network that makes the notes likeliest, by Adam (Kingma and Ba, 2015)."""
    rng = np.random.default_rng(seed)
    x = np.concatenate([each.features for each in notes])
    y = np.concatenate([each.is_qrs for each in notes])
    weights = np.concatenate([each.weights for each in notes])
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-6
    z = (x - mean) / scale
    width = z.shape[1]
    parts = [
        rng.normal(0.0, width**-0.5, (width, HIDDEN)),
        np.zeros(HIDDEN),
        rng.normal(0.0, HIDDEN**-0.5, HIDDEN),
        np.zeros(width),
        np.zeros(1),
    ]
    first, second = [np.zeros_like(part) for part in parts], [np.zeros_like(part) for part in parts]
    steps = EPOCHS * (len(z) // BATCH)
    step = 0
    for _ in range(EPOCHS):
        for batch in np.array_split(rng.permutation(len(z)), len(z) // BATCH):
            step += 1
            speed = RATE * 0.5 * (1 + np.cos(np.pi * step / steps))
            for at, slope in enumerate(slopes(parts, z[batch], y[batch], weights[batch])):
                first[at] += 0.1 * (slope - first[at])
                second[at] += 0.001 * (slope**2 - second[at])
                size = np.sqrt(second[at] / (1 - 0.999**step)) + 1e-8
                parts[at] = parts[at] - speed * (first[at] / (1 - 0.9**step) / size + DECAY * parts[at])
    hidden, bias, output, direct, offset = parts
    hidden = hidden / scale[:, None]
    direct = direct / scale
    # The odds are those of peaks as they come, not as they weighed.
    plain_offset = float(offset[0] - mean @ direct) - math.log(QRS_WEIGHT)
    return QrsModel(hidden, bias - mean @ hidden, output, direct, plain_offset)


def slopes(parts: list[Array], z: Array, y: Array, weights: Array) -> list[Array]:
    """The gradient of the mean cross entropy."""
    hidden, bias, output, direct, offset = parts
    felt = np.tanh(z @ hidden + bias)
    wrong = weights * (1 / (1 + np.exp(-(felt @ output + z @ direct + offset))) - y) / len(y)
    back = np.outer(wrong, output) * (1 - felt**2)
    return [z.T @ back, back.sum(axis=0), felt.T @ wrong, z.T @ wrong, wrong.sum(keepdims=True)]


# -- the figures


def judge(model: QrsModel, headers: list[Path], every: list[Path], pool: PoolType) -> None:
    """Print what the detector with this model makes of the first lead of whole records."""
    for condition in JUDGED:
        jobs = [Job(header, every.index(header), 0, condition) for header in headers]
        scores = list(pool.imap(partial(judged, model), jobs))
        for header, score in zip(headers, scores, strict=True):
            print(f"    {header.stem} {score}")
        total = sum(scores, Score(0, 0, 0))
        print(
            f"{condition.snr_db} dB: Se {total.sensitivity:.4%}, PPV {total.predictivity:.4%} {total}",
            flush=True,
        )


def judged(model: QrsModel, job: Job) -> Score:
    """The score of one record."""
    record = opened(job.source)
    detector = BeatDetector(record.rate_hz, model)
    found = detector.push(heard(record, job, SEED + 1)) + detector.finish()
    return record.score([beat.sample for beat in found])


# -- the module


def module(names: list[str], model: QrsModel) -> str:
    """The text of the module that holds what was found."""
    return f'''"""What bench/training/qrs.py found: the weights of the QRS model."""

from __future__ import annotations

TRAINED_ON = "{" ".join(names)}"
"""Records of the MIT-BIH Arrhythmia Database (Moody and Mark, 2001), beside simulated patients."""

HIDDEN = (
{rows(model.hidden)}
)
"""(features, units)"""
BIAS = {tuple(rounded(model.bias))}
OUTPUT = {tuple(rounded(model.output))}
DIRECT = {tuple(rounded(model.direct))}
OFFSET = {rounded(np.array([model.offset]))[0]}
'''


def rows(matrix: Array) -> str:
    """One row a line, or two."""
    return "\n".join(
        textwrap.fill(f"{tuple(rounded(row))},", 100, initial_indent="    ", subsequent_indent="     ")
        for row in matrix
    )


def rounded(values: Array) -> list[float]:
    """To four digits."""
    return [float(f"{value:.4g}") for value in values.tolist()]


if __name__ == "__main__":
    options = parser("Train the model of QRS complexes.")
    options.add_argument("--data", type=Path, required=True, help="folder of reference records")
    options.add_argument("--check", action="store_true", help="judge models of parts by the others")
    given = options.parse_args()
    sys.exit(main(given.data, check=given.check))
