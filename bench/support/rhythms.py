"""Reference records with the rhythms that cardiologists marked in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.support.records import BEAT_CODES
from streaming.client.recordings import Recording, open_recording

Signal = npt.NDArray[np.float64]
FIBRILLATION = frozenset({"VF", "VFIB", "VFL"})
TACHYCARDIA = frozenset({"VT"})


@dataclass(frozen=True, slots=True)
class Span:
    """Samples `first` to `stop` (exclusive) of one rhythm, by its name in the annotations."""

    rhythm: str
    first: int
    stop: int


@dataclass(frozen=True, slots=True, eq=False)
class RhythmRecord:
    """One record in microvolts, (leads, n); rhythms from the first that was marked on; beats."""

    name: str
    rate_hz: float
    leads: tuple[str, ...]
    microvolts: Signal
    rhythms: tuple[Span, ...]
    beats: tuple[int, ...]

    @property
    def hours(self) -> float:
        return float(self.microvolts.shape[1] / self.rate_hz / 3600.0)

    def within_one_rhythm(self, length: int, step: int) -> Iterator[tuple[str, int]]:
        """Rhythm and first sample of each stretch of this length that holds one rhythm alone."""
        for first in range(0, self.microvolts.shape[1] - length, step):
            for span in self.rhythms:
                if span.first <= first and first + length <= span.stop:
                    yield span.rhythm, first


def rhythm_records(folder: Path) -> Iterator[RhythmRecord]:
    """The records of a folder of WFDB records with annotations (.atr), by name."""
    for header in sorted(folder.glob("*.hea")):
        yield rhythm_record(header)


def rhythm_record(header: Path) -> RhythmRecord:
    """One record and its .atr."""
    import wfdb

    recording = open_recording(header)
    annotation = wfdb.rdann(str(header.with_suffix("")), "atr")
    changes = [
        (int(sample), note.rstrip("\0")[1:])
        for sample, note in zip(annotation.sample, annotation.aux_note, strict=True)
        if note.startswith("(")
    ]
    ends = [sample for sample, _ in changes[1:]] + [recording.samples.shape[1]]
    return RhythmRecord(
        recording.name,
        recording.rate_hz,
        tuple(lead.name for lead in recording.leads),
        in_microvolts(recording),
        tuple(Span(rhythm, first, stop) for (first, rhythm), stop in zip(changes, ends, strict=True)),
        tuple(
            int(sample)
            for sample, code in zip(annotation.sample, annotation.symbol, strict=True)
            if code in BEAT_CODES
        ),
    )


def in_microvolts(recording: Recording) -> Signal:
    """A recording's samples, (leads, n), in microvolts."""
    baselines = np.array([[lead.baseline] for lead in recording.leads], np.float64)
    gains_uv = np.array([[lead.gain_uv] for lead in recording.leads])
    microvolts: Signal = (recording.samples - baselines) * gains_uv
    return microvolts
