"""The truth about a simulated ECG: every beat, and where each rhythm and artefact begins."""

from __future__ import annotations

from dataclasses import dataclass

from streaming.ecg.artefacts import ArtefactSpan


@dataclass(frozen=True, slots=True)
class SimulatedBeat:
    """The sample index of an R peak, and whether the beat started in a ventricle."""

    sample: int
    ventricular: bool


@dataclass(frozen=True, slots=True)
class RhythmOnset:
    """The sample index from which on a rhythm is played, and its bpm, if it has beats."""

    sample: int
    rhythm: str
    heart_rate: float | None


Label = SimulatedBeat | RhythmOnset | ArtefactSpan


def sample_of(label: Label) -> int:
    """The sample index at which the label begins."""
    return label.first if isinstance(label, ArtefactSpan) else label.sample


def as_json(label: Label) -> dict[str, str | int | float | None]:
    """The label for a line of JSON; `stop` is the first sample that is whole again, null is all leads."""
    match label:
        case SimulatedBeat(sample, ventricular):
            return {"label": "beat", "sample": sample, "kind": "ventricular" if ventricular else "normal"}
        case RhythmOnset(sample, rhythm, heart_rate):
            return {"label": "rhythm", "sample": sample, "kind": rhythm, "hr": heart_rate}
        case ArtefactSpan(first, stop, kind, lead, level_mv):
            return {
                "label": "artefact",
                "sample": first,
                "stop": stop,
                "kind": kind.value,
                "lead": lead,
                "level": level_mv,
            }
