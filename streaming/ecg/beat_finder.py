"""The beats of a patient: found on the best of several leads, and confirmed or doubted by another."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from streaming.ecg.beats import LEARNING_S, Beat, BeatDetector
from streaming.ecg.quality import UNUSABLE, LeadQuality, QualityMeter

WATCHED = 2
"""Leads on which beats are looked for at the same time."""
SAME_BEAT_S = 0.15
"""Beats of two leads this near to each other are one (ANSI/AAMI EC57's match window)."""
WAIT_S = 0.06
"""For so long a beat of one lead waits for the other's."""
DOUBT, STRANGER_DOUBT = 1.0, 4.0
"""How much it counts (in log odds) that the other lead has no beat: less against the lead in use."""
SETTLE_S = 1.0
"""When a lead comes back its baseline steps by millivolts: learnt as a beat, that hides the true ones."""
SWITCH_BELOW, SWITCH_GAIN = 0.5, 0.2
"""A lead whose quality is below this gives way to one that is better by so much; an earlier lead that is
above it by so much is used again."""


@dataclass(slots=True, eq=False)
class _Watch:
    """A lead on which beats are looked for; before `from_sample` it is left alone."""

    lead: int
    detector: BeatDetector
    from_sample: int


@dataclass(slots=True)
class _Candidate:
    """A beat that one lead has, by `due` perhaps the other one too."""

    due: int
    beats: list[Beat] = field(default_factory=list)


class BeatFinder:
    """Follows all leads of one epoch, chunk by chunk; any chunking gives the same beats, to the last bit.

    Two leads are watched, the better one is in use: the beats are its own, where the other agrees with more
    confidence, where it does not with less, or not at all. What only the other has is a beat if that is all
    but certain, or if the lead in use is bad. A lead without a signal is replaced by one that has one.
    """

    def __init__(self, rate_hz: float, leads: int) -> None:
        self._rate_hz = rate_hz
        self._leads = leads
        self._quality = QualityMeter(rate_hz, leads)
        self._off: frozenset[int] = frozenset()
        self._same_beat, self._wait = round(SAME_BEAT_S * rate_hz), round(WAIT_S * rate_hz)
        self._settle, self._learning = round(SETTLE_S * rate_hz), round(LEARNING_S * rate_hz)
        self._next_sample = 0
        self._begin(0)

    @property
    def lead(self) -> int | None:
        """The index of the lead in use; None while no watched one has a signal."""
        return self._watched[0].lead if self._watched and self._is_usable(self._watched[0].lead) else None

    @property
    def quality(self) -> tuple[LeadQuality, ...]:
        """Of each lead, as of the last whole quarter of a second."""
        return self._quality.value()

    def push(self, first: int, microvolts: npt.NDArray[np.float64]) -> list[Beat]:
        """Take samples in uV, (leads, n), from sample index `first` on; a jump is a gap.

        The beats that are certain by now, in the order in which they became so. A sample that is no finite
        number is missing on its lead.
        """
        beats = [] if first == self._next_sample else self.reset(first)
        at = 0
        while at < microvolts.shape[1]:
            stop = at + self._quality.until_next
            beats += self._take(microvolts[:, at:stop])
            at = stop
        return beats

    def reset(self, at_sample: int) -> list[Beat]:
        """Samples before `at_sample` are missing: the last beats before the gap. None is found across it."""
        found: list[Beat] = []
        for watch in self._watched:
            if watch.from_sample < self._next_sample:
                found += _on(watch.lead, watch.detector.finish())
        beats = self._join(found) + self._decide_until(math.inf)
        self._begin(at_sample)
        return beats

    def set_leads_off(self, leads: Collection[int]) -> None:
        """The device says that these leads carry no signal now."""
        if frozenset(leads) != self._off:
            self._off = frozenset(leads)
            self._quality.set_leads_off(leads)
            self._choose()

    def _begin(self, at_sample: int) -> None:
        self._next_sample = at_sample
        self._has_begun = False
        self._quality.reset()
        self._watched: list[_Watch] = []
        self._candidates: list[_Candidate] = []
        self._last_sample = -math.inf
        self._choose()
        self._has_begun = True

    def _is_usable(self, lead: int) -> bool:
        return self.quality[lead].state not in UNUSABLE

    def _take(self, microvolts: npt.NDArray[np.float64]) -> list[Beat]:
        """Samples that do not reach beyond the next change of quality."""
        first = self._next_sample
        self._next_sample += microvolts.shape[1]
        found: list[Beat] = []
        for watch in self._watched:
            skipped = max(0, watch.from_sample - first)
            found += _on(watch.lead, watch.detector.push(microvolts[watch.lead, skipped:]))
        beats = self._join(found) + self._decide_until(self._next_sample - 1)
        if self._quality.push(microvolts):
            self._choose()
        return beats

    # -- which leads

    def _choose(self) -> None:
        """Leave leads without a signal, watch others in their place, and use the best."""
        quality = self.quality
        self._watched = [watch for watch in self._watched if self._is_usable(watch.lead)]
        watched = [watch.lead for watch in self._watched]
        others = [lead for lead in range(self._leads) if lead not in watched and self._is_usable(lead)]
        others.sort(key=lambda lead: quality[lead].index < SWITCH_BELOW)
        for lead in others[: WATCHED - len(watched)]:
            detector = BeatDetector(self._rate_hz)
            from_sample = self._next_sample + (self._settle if self._has_begun else 0)
            detector.reset(from_sample)
            self._watched.append(_Watch(lead, detector, from_sample))
        if len(self._watched) == WATCHED:
            used, other = self._watched
            used_index, other_index = quality[used.lead].index, quality[other.lead].index
            is_bad = used_index < SWITCH_BELOW and other_index > used_index + SWITCH_GAIN
            is_back = other.lead < used.lead and other_index > SWITCH_BELOW + SWITCH_GAIN
            if is_bad or (is_back and other.from_sample + self._learning <= self._next_sample):
                self._watched.reverse()

    # -- which beats

    def _join(self, found: list[Beat]) -> list[Beat]:
        """Take beats of single leads in the order in which they became known: what is decided meanwhile."""
        beats: list[Beat] = []
        for beat in sorted(found, key=lambda beat: (beat.known_at, beat.lead)):
            beats += self._decide_until(beat.known_at - 1)
            for candidate in self._candidates:
                if abs(candidate.beats[0].sample - beat.sample) <= self._same_beat:
                    candidate.beats.append(beat)
                    break
            else:
                wait = self._wait if len(self._watched) > 1 else 0
                self._candidates.append(_Candidate(beat.known_at + wait, [beat]))
        return beats

    def _decide_until(self, now: float) -> list[Beat]:
        due = [candidate for candidate in self._candidates if candidate.due <= now]
        self._candidates = [candidate for candidate in self._candidates if candidate.due > now]
        decided = (self._decide(candidate) for candidate in sorted(due, key=lambda candidate: candidate.due))
        return [beat for beat in decided if beat is not None]

    def _decide(self, candidate: _Candidate) -> Beat | None:
        """The beat, with the confidence that both leads give it; None if it is none, or was one already."""
        have = {beat.lead: beat for beat in candidate.beats}
        used = self._watched[0].lead if self._watched else candidate.beats[0].lead
        beat = have.get(used, candidate.beats[0])
        if beat.sample <= self._last_sample + self._same_beat:
            return None
        doubters = [
            watch.lead
            for watch in self._watched
            if watch.lead not in have and watch.from_sample + self._learning <= beat.sample
        ]
        if len(have) == 1 and not doubters:
            self._last_sample = beat.sample
            return replace(beat, known_at=candidate.due)
        odds = sum(_log_odds(each.confidence) for each in have.values())
        if doubters:
            quality = self.quality
            odds *= quality[beat.lead].index
            odds -= (DOUBT if used in have else STRANGER_DOUBT) * quality[doubters[0]].index
            if odds <= 0:
                return None
        self._last_sample = beat.sample
        return replace(beat, confidence=1 / (1 + math.exp(-odds)), known_at=candidate.due)


def _on(lead: int, beats: list[Beat]) -> list[Beat]:
    return [replace(beat, lead=lead) for beat in beats]


def _log_odds(probability: float) -> float:
    bounded = min(1 - 1e-9, max(1e-9, probability))
    return math.log(bounded / (1 - bounded))
