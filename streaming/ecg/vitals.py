"""The numbers beside a trace: heart rate, and the lead that it was counted on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from streaming.ecg.beat_finder import BeatFinder
from streaming.ecg.beats import Beat
from streaming.ecg.heart_rate import MEAN_OF, HeartRate
from streaming.ecg.holes import Holes
from streaming.ecg.quality import LeadQuality
from streaming.ecg.rhythm import Rhythm, RhythmMonitor


@dataclass(frozen=True, slots=True)
class Vitals:
    """Heart rate in beats a minute, None while it is not valid; `source` is the lead's name."""

    hr: int | None
    source: str | None


BEATS_S = 4.0
"""Beats of so many seconds are told each time, once a second: three messages in a row may be lost."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A valid heart rate, the lead in use, and the samples `first` to `stop` (exclusive) of its beats."""

    rate: int
    lead: str
    first: int
    stop: int


class VitalsMonitor:
    """Counts the beats of one epoch, tick by tick, from `first_sample` on.

    A change of lead starts the count anew: no interval is measured across it, nor across one of the `holes`.
    """

    def __init__(
        self, rate_hz: float, leads: Sequence[str], first_sample: int = 0, holes: Holes | None = None
    ) -> None:
        self.counted: Counted | None = None
        """As of the last tick."""
        self._leads = leads
        self._holes = holes or Holes(rate_hz)
        self._finder = BeatFinder(rate_hz, len(leads), first_sample)
        self._rate = HeartRate(rate_hz)
        self._rhythm = RhythmMonitor(rate_hz)
        self._now = first_sample
        self._beats: deque[int] = deque(maxlen=MEAN_OF + 1)
        self._lead = self._finder.lead
        self._shown: deque[Beat] = deque()
        self._shown_samples = round(BEATS_S * rate_hz)

    @property
    def value(self) -> Vitals:
        """As of the last tick."""
        counted = self.counted
        return Vitals(None, None) if counted is None else Vitals(counted.rate, counted.lead)

    @property
    def beats(self) -> tuple[Beat, ...]:
        """Those of the last BEATS_S that are known by now."""
        return tuple(self._shown)

    def rhythm(self) -> Rhythm | None:
        """What the beats of the last minute say of the rhythm; None while there is no heart rate."""
        return None if self.counted is None else self._rhythm.value(self._now)

    def push(self, now: int, found: Iterable[Beat], quality: Sequence[LeadQuality]) -> None:
        """Take the beats that the leads have found before `now`, and what their signals are like."""
        for beat in self._finder.push(now, found, quality):
            apart = bool(self._beats) and self._holes.between(self._beats[-1], beat.sample)
            self._rate.beat(beat.sample, apart=apart)
            self._rhythm.beat(beat, apart=apart)
            self._beats.append(beat.sample)
            self._shown.append(beat)
        while self._shown and self._shown[0].sample < now - self._shown_samples:
            self._shown.popleft()
        if (lead := self._finder.lead) != self._lead:
            self._lead = lead
            self._rate.reset()
            self._rhythm.reset()
            self._beats.clear()
        self._now = now
        rate = self._rate.value(now)
        self.counted = None
        if rate is not None and lead is not None:
            self.counted = Counted(rate, self._leads[lead], self._beats[0], self._beats[-1] + 1)
