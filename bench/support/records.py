"""Reference records by class, cut into messages: what the codec is trained on and judged by."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from streaming.client.recordings import open_recording

Messages = npt.NDArray[np.signedinteger]


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


def quantised(samples: Messages, step: int) -> Messages:
    """The nearest multiples of `step`, in steps: off by half a step at most."""
    return np.floor_divide(2 * samples.astype(np.int64) + step, 2 * step).astype(samples.dtype)
