"""What comes next in a simulated patient: phases and artefacts that are due, and beats."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Generic, TypeVar

import numpy as np

from streaming.ecg.beat_times import FIRST_BEAT, PlannedBeat
from streaming.ecg.rhythms import RHYTHMS
from streaming.ecg.scenario import Disturbance, Phase

Timed = TypeVar("Timed", bound=Phase | Disturbance)


class Upcoming(Generic[Timed]):
    """What begins one after the other, given out when it is due; `index` makes samples of seconds."""

    def __init__(self, ordered: Iterator[Timed], index: Callable[[float], int]) -> None:
        self._ordered = ordered
        self._index = index
        self._next: Timed | None = next(ordered, None)

    def before(self, stop: int) -> Iterator[Timed]:
        """Those that begin before sample index `stop` and have not been given out."""
        while self._next is not None and self._index(self._next.at_s) < stop:
            yield self._next
            self._next = next(self._ordered, None)


class BeatPlan:
    """The beats of one phase after the other; a phase's last beat comes before its end.

    Its first one comes FIRST_BEAT of its RR after its onset, as each of `beat_times` begins, or later, so
    that it is a whole RR after the last beat of the phase before.
    """

    def __init__(self, rng: np.random.Generator, phases: Iterator[Phase]) -> None:
        self._rng = rng
        self._phases = phases
        self._stop_s = 0.0
        self._last_s = -math.inf
        self._beats: Iterator[PlannedBeat] = iter(())
        self._beat: PlannedBeat | None = None

    def beats_before(self, before_s: float) -> Iterator[PlannedBeat]:
        """Those whose R peak comes before `before_s` and have not been given out."""
        while True:
            if self._beat is None or self._beat.time_s >= self._stop_s:
                if self._stop_s >= before_s:
                    return
                self._begin(next(self._phases))
            elif self._beat.time_s >= before_s:
                return
            else:
                yield self._beat
                self._last_s = self._beat.time_s
                self._beat = next(self._beats)

    def _begin(self, phase: Phase) -> None:
        rhythm = RHYTHMS[phase.rhythm]
        heart_rate = rhythm.heart_rate_or(phase.heart_rate)
        self._stop_s = phase.stop_s
        self._beat = None
        if rhythm.beats is not None and heart_rate is not None:
            rr_s = 60.0 / heart_rate
            start_s = max(phase.at_s, self._last_s + (1.0 - FIRST_BEAT) * rr_s)
            planned = rhythm.beats(self._rng, rr_s)
            self._beats = (replace(beat, time_s=start_s + beat.time_s) for beat in planned)
            self._beat = next(self._beats)
