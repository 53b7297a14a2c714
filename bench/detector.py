"""How many beats of reference records the detector finds, clean and in noise, how soon, and for how much CPU.

Whole records of the MIT-BIH Arrhythmia Database (DIR/mitdb), first lead, in chunks of 100 ms; a beat is found
when it lies within 150 ms of its annotation, one to one. Stretches annotated as ventricular flutter or
fibrillation are left out. Noise is that of bench/support/noise.py, its seed other than those trained with.
Latency is from the R peak to the end of the chunk that made the beat known. Beside it, on the same signals:
the detectors of sleepecg and wfdb, which take whole records and may look ahead as far as they like. A * marks
records that the detector's model was trained on. Two processes work at once; CPU time is that of one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from bench.support.noise import noise, with_noise
from bench.support.records import AnnotatedRecord, Score, annotated_record, reference_folder
from bench.support.report import Figure, at_least, at_most, parser, report
from streaming.ecg.beats import BeatDetector
from streaming.ecg.qrs_weights import TRAINED_ON

Signal = npt.NDArray[np.float64]
SEED = 1000
CHUNK_S = 0.1
LATENCY_S, CPU_MS = 0.5, 1.0
OURS = "VITAL"


@dataclass(frozen=True, slots=True)
class Condition:
    """What is added to a record, and how many percent of its beats must be found, and of those be true."""

    name: str
    snr_db: float | None
    sensitivity: float
    predictivity: float


CONDITIONS = (
    Condition("clean", None, 99.8, 99.7),
    Condition("12 dB", 12.0, 98.0, 94.0),
    Condition("6 dB", 6.0, 94.0, 85.0),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One record in one condition: the score of each detector, and how soon and how dearly ours works."""

    record: str
    condition: Condition
    scores: dict[str, Score]
    latencies_s: list[float]
    cpu_ms: float


def main() -> int:
    """Run all detectors, and print."""
    options = parser(__doc__ or "")
    options.add_argument("--data", type=Path, help="folder with mitdb/*.hea; else VITAL_DATA")
    options.add_argument("--without-peers", action="store_true", help="the other detectors take many minutes")
    chosen = options.parse_args()
    headers = sorted(((chosen.data or reference_folder()) / "mitdb").glob("*.hea"))
    if not headers:
        print("no annotated records: give --data", file=sys.stderr)
        return 0
    jobs = [(number, header, each) for number, header in enumerate(headers) for each in CONDITIONS]
    with Pool(2) as pool:
        results = pool.imap(partial(run, {} if chosen.without_peers else PEERS), jobs)
        runs = list(tqdm(results, "detector", len(jobs), file=sys.stderr))
    return report(list(figures(runs)), as_json=chosen.json)


def run(peers: dict[str, Detector], job: tuple[int, Path, Condition]) -> Run:
    """All detectors on the first lead of one record in one condition."""
    number, header, condition = job
    record = annotated_record(header)
    signal = record.microvolts[0]
    if condition.snr_db is not None:
        unit_noise = noise(len(signal), record.rate_hz, np.random.default_rng([SEED, number]))
        signal = with_noise(signal, record.beats, record.rate_hz, condition.snr_db, unit_noise)
    found, latencies_s, cpu_ms = ours(record, signal)
    scores = {OURS: record.score(found)}
    for name, detect in peers.items():
        scores[name] = record.score(sorted(detect(signal, record.rate_hz)))
    return Run(record.name, condition, scores, latencies_s, cpu_ms)


def ours(record: AnnotatedRecord, signal: Signal) -> tuple[list[int], list[float], float]:
    """The beats, how late each was known, and CPU milliseconds for each second of the lead."""
    rate_hz, size = record.rate_hz, round(CHUNK_S * record.rate_hz)
    detector = BeatDetector(rate_hz)
    found: list[int] = []
    latencies_s: list[float] = []
    began = time.process_time()
    for at in range(0, len(signal), size):
        for beat in detector.push(signal[at : at + size]):
            found.append(beat.sample)
            latencies_s.append((at + size - beat.sample) / rate_hz)
    spent = time.process_time() - began
    found += [beat.sample for beat in detector.finish()]
    return found, latencies_s, 1000 * spent * rate_hz / len(signal)


def sleepecg(signal: Signal, rate_hz: float) -> list[int]:
    """The detector of the package sleepecg (Pan and Tompkins, with its authors' changes)."""
    from sleepecg.heartbeats import detect_heartbeats

    found: list[int] = detect_heartbeats(signal / 1000, rate_hz).tolist()
    return found


def xqrs(signal: Signal, rate_hz: float) -> list[int]:
    """The detector XQRS of the package wfdb."""
    from wfdb.processing import xqrs_detect

    found: list[int] = xqrs_detect(signal / 1000, rate_hz, verbose=False).tolist()
    return found


def gqrs(signal: Signal, rate_hz: float) -> list[int]:
    """The detector GQRS of the package wfdb."""
    from wfdb.processing import gqrs_detect

    steps = np.rint(signal / 5.0).astype(np.int64)
    found: list[int] = gqrs_detect(d_sig=steps, fs=rate_hz, adc_gain=200, adc_zero=0).tolist()
    return found


Detector = Callable[[Signal, float], list[int]]
PEERS: dict[str, Detector] = {"sleepecg": sleepecg, "wfdb xqrs": xqrs, "wfdb gqrs": gqrs}


def figures(runs: Sequence[Run]) -> Iterator[Figure]:
    """Each record, all, those that were not trained on, and the peers; then latency and CPU."""
    trained = set(TRAINED_ON.split())
    for each in runs:
        name = f"{each.record}{'*' * (each.record in trained)} {each.condition.name}"
        yield from both(name, each.scores)
    for condition in CONDITIONS:
        of_it = [each for each in runs if each.condition == condition]
        yield from both(f"all {condition.name}", total(of_it), condition)
        others = [each for each in of_it if each.record not in trained]
        if others:
            yield from both(f"{len(others)} not trained on, {condition.name}", total(others), condition)
    latencies_s = [
        latency_s for each in runs if each.condition.snr_db is None for latency_s in each.latencies_s
    ]
    latency_s = float(np.quantile(latencies_s, 0.99))
    yield at_most("latency p99, chunks of 100 ms", latency_s, LATENCY_S, "s", against="")
    for condition in CONDITIONS:
        cpu_ms = float(np.mean([each.cpu_ms for each in runs if each.condition == condition]))
        yield at_most(f"CPU of a second of one lead, {condition.name}", cpu_ms, CPU_MS, "ms", against="")


def total(runs: Sequence[Run]) -> dict[str, Score]:
    """Of each detector, over all these runs."""
    return {name: sum((each.scores[name] for each in runs), Score(0, 0, 0)) for name in runs[0].scores}


def both(name: str, scores: dict[str, Score], bound: Condition | None = None) -> Iterator[Figure]:
    """Sensitivity and positive predictive value, against the peers'."""
    others = {peer: score for peer, score in scores.items() if peer != OURS}
    own = scores[OURS]
    found = "; ".join(f"{peer} {100 * score.sensitivity:.2f}" for peer, score in others.items())
    true = "; ".join(f"{peer} {100 * score.predictivity:.2f}" for peer, score in others.items())
    if bound is None:
        yield Figure(f"{name}: Se", 100 * own.sensitivity, "%", against=found)
        yield Figure(f"{name}: PPV", 100 * own.predictivity, "%", against=true)
    else:
        yield at_least(f"{name}: Se", 100 * own.sensitivity, bound.sensitivity, "%", against=found)
        yield at_least(f"{name}: PPV", 100 * own.predictivity, bound.predictivity, "%", against=true)


if __name__ == "__main__":
    sys.exit(main())
