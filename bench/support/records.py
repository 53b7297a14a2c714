"""Reference records: their samples, cut into messages, and the beats that cardiologists marked in them."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from streaming.client.recordings import open_recording

Messages = npt.NDArray[np.signedinteger]
Signal = npt.NDArray[np.float64]
BEAT_CODES = frozenset("NLRBAaJSVrFejnE/fQ?")
"""The annotations that are QRS complexes, of those that MIT-BIH records have (WFDB's ecgcodes.h)."""
VENTRICULAR_CODES = frozenset("VE")
MATCH_S = 0.15
"""How far a detected beat may lie from its annotation (ANSI/AAMI EC57's match window)."""


def reference_folder() -> Path:
    """The folder of reference records: VITAL_DATA, else the one beside the project."""
    root = Path(__file__).resolve().parent.parent.parent
    return Path(os.environ.get("VITAL_DATA") or root.parent / "shared" / "data")


@dataclass(frozen=True, slots=True)
class RecordClass:
    """Records of one kind: where they lie in a folder laid out like PhysioNet's."""

    name: str
    pattern: str


CLASSES = (
    RecordClass("mitdb", "mitdb/*.hea"),
    RecordClass("vfdb", "vfdb/*.hea"),
    RecordClass("ptbxl", "twelve-lead/HR*.hea"),
    RecordClass("georgia", "twelve-lead/E*.hea"),
    RecordClass("ningbo", "twelve-lead/JS*.hea"),
    RecordClass("cinc2015", "cinc2015/*.hea"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One record: digital values (leads, n), and what they mean."""

    name: str
    kind: str
    rate_hz: float
    gain_uv: float
    samples: Messages

    def messages(self, duration_s: float, most: int) -> Messages:
        """At most so many messages of this duration, evenly over the record: (messages, leads, samples)."""
        size = round(duration_s * self.rate_hz)
        count = self.samples.shape[1] // size
        starts = np.unique(np.linspace(0, count - 1, min(count, most)).astype(int)) * size
        return np.stack([self.samples[:, start : start + size] for start in starts])


def records(folder: Path, kind: RecordClass) -> Iterator[Record]:
    """The records of a class, by name."""
    for header in sorted(folder.glob(kind.pattern)):
        recording = open_recording(header)
        gain_uv = recording.leads[0].gain_uv
        yield Record(recording.name, kind.name, recording.rate_hz, gain_uv, recording.samples)


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedRecord:
    """One record in microvolts, (leads, n), and its beats: sample indices in rising order, and their codes.

    In `fibrillation`, spans (first, last), the ventricles flutter or fibrillate, and no beat is annotated.
    """

    name: str
    rate_hz: float
    microvolts: Signal
    beats: npt.NDArray[np.int64]
    codes: tuple[str, ...]
    fibrillation: tuple[tuple[int, int], ...]

    def beginning(self, minutes: float) -> AnnotatedRecord:
        """Its first minutes, or all of it if it is shorter."""
        stop = round(minutes * 60 * self.rate_hz)
        count = int(np.searchsorted(self.beats, stop))
        spans = tuple(span for span in self.fibrillation if span[0] < stop)
        return replace(
            self,
            microvolts=self.microvolts[:, :stop],
            beats=self.beats[:count],
            codes=self.codes[:count],
            fibrillation=spans,
        )

    def score(self, found: Sequence[int]) -> Score:
        """What became of the beats outside of fibrillation; `found` rises."""
        reach = MATCH_S * self.rate_hz
        truth = [beat for beat in self.beats.tolist() if self._counts(beat, reach)]
        return score(truth, [beat for beat in found if self._counts(beat, reach)], self.rate_hz)

    def _counts(self, beat: int, reach: float) -> bool:
        return not any(first - reach <= beat <= last + reach for first, last in self.fibrillation)


@dataclass(frozen=True, slots=True)
class Score:
    """How many beats were found, overlooked, and found where none is."""

    found: int
    overlooked: int
    false: int

    def __add__(self, other: Score) -> Score:
        return Score(self.found + other.found, self.overlooked + other.overlooked, self.false + other.false)

    @property
    def sensitivity(self) -> float:
        """The part of the true beats that was found; 1 where there was none to find."""
        return self.found / (self.found + self.overlooked) if self.overlooked else 1.0

    @property
    def predictivity(self) -> float:
        """The part of what was found that is a beat (PPV); 1 where nothing was found."""
        return self.found / (self.found + self.false) if self.false else 1.0


def score(truth: Sequence[int], found: Sequence[int], rate_hz: float) -> Score:
    """Match one to one, within MATCH_S, in the order of time; both lists rise."""
    reach, matched, at = MATCH_S * rate_hz, 0, 0
    for beat in truth:
        at = bisect_left(found, beat - reach, lo=at)
        if at < len(found) and found[at] <= beat + reach:
            matched, at = matched + 1, at + 1
    return Score(matched, len(truth) - matched, len(found) - matched)


def annotated_record(header: Path) -> AnnotatedRecord:
    """A record of the MIT-BIH Arrhythmia Database, or one laid out like it: header, samples and .atr."""
    import wfdb

    recording = open_recording(header)
    annotation = wfdb.rdann(str(header.with_suffix("")), "atr")
    marks = list(zip(annotation.sample.tolist(), annotation.symbol, strict=True))
    beats = [(at, code) for at, code in marks if code in BEAT_CODES]
    spans = zip([at for at, s in marks if s == "["], [at for at, s in marks if s == "]"], strict=True)
    baselines = np.array([[lead.baseline] for lead in recording.leads], np.float64)
    gains_uv = np.array([[lead.gain_uv] for lead in recording.leads])
    return AnnotatedRecord(
        recording.name,
        recording.rate_hz,
        (recording.samples - baselines) * gains_uv,
        np.array([at for at, _ in beats], np.int64),
        tuple(code for _, code in beats),
        tuple(spans),
    )


def quantised(samples: Messages, step: int) -> Messages:
    """The nearest multiples of `step`, in steps: off by half a step at most."""
    return np.floor_divide(2 * samples.astype(np.int64) + step, 2 * step).astype(samples.dtype)
