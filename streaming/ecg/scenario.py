"""What a simulated patient goes through: one rhythm after another, and the artefacts on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from math import inf

from streaming.ecg.artefacts import Artefact
from streaming.ecg.rhythms import LEAD_OFF, rhythm_named


@dataclass(frozen=True, slots=True)
class Phase:
    """A rhythm from `at_s` up to `stop_s`; `heart_rate` in bpm, None for the rhythm's own.

    Raises ValueError for an unknown rhythm, and a heart rate that it cannot have.
    """

    at_s: float
    stop_s: float
    rhythm: str
    heart_rate: float | None = None

    def __post_init__(self) -> None:
        rhythm_named(self.rhythm).heart_rate_or(self.heart_rate)


@dataclass(frozen=True, slots=True)
class Disturbance:
    """An artefact from `at_s` for `for_s` seconds; without `lead` in all, without `level_mv` with its own."""

    at_s: float
    for_s: float
    kind: Artefact
    lead: str | None = None
    level_mv: float | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """Phases that follow one another without a hole, from 0 on, and artefacts; once, or again and again.

    `read_scenario` makes one out of a file. Raises ValueError for phases with a hole, for `lead_off` among
    others, and for a scenario without end that shall repeat.
    """

    phases: tuple[Phase, ...]
    disturbances: tuple[Disturbance, ...] = ()
    seed: int | None = None
    repeat: bool = False

    def __post_init__(self) -> None:
        begins_s = [phase.at_s for phase in self.phases]
        if begins_s != [0.0, *(phase.stop_s for phase in self.phases[:-1])]:
            raise ValueError("phases must follow one another without a hole, from 0 on")
        if any(phase.stop_s <= phase.at_s for phase in self.phases):
            raise ValueError("a phase must end after it has begun")
        if any(phase.rhythm == LEAD_OFF for phase in self.phases) and (self.phases[1:] or self.disturbances):
            raise ValueError(f"{LEAD_OFF} is played alone: beside others it is an artefact")
        if self.repeat and self.phases[-1].stop_s == inf:
            raise ValueError("a scenario without end cannot repeat")

    @property
    def duration_s(self) -> float | None:
        """How long it lasts; None when it has no end."""
        end_s = self.phases[-1].stop_s
        return None if self.repeat or end_s == inf else end_s

    def played_phases(self) -> Iterator[Phase]:
        """All phases in order, without end: the last one goes on, or the first one comes again."""
        if not self.repeat:
            yield from self.phases[:-1]
            yield replace(self.phases[-1], stop_s=inf)
            return
        for begins_s in self._rounds():
            for phase in self.phases:
                yield replace(phase, at_s=begins_s + phase.at_s, stop_s=begins_s + phase.stop_s)

    def played_disturbances(self) -> Iterator[Disturbance]:
        """All artefacts by their onset; without end when the scenario repeats and has any."""
        ordered = sorted(self.disturbances, key=lambda one: one.at_s)
        if not self.repeat:
            yield from ordered
            return
        for begins_s in self._rounds() if ordered else ():
            for one in ordered:
                yield replace(one, at_s=begins_s + one.at_s)

    def _rounds(self) -> Iterator[float]:
        """When each round begins."""
        return (number * self.phases[-1].stop_s for number in count())
