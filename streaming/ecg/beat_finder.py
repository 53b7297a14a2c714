"""The beats of a patient: found on the best of several leads, and confirmed or doubted by another."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from streaming.ecg.beats import LEARNING_S, Beat
from streaming.ecg.lead_watch import SETTLE_S
from streaming.ecg.quality import UNKNOWN, UNUSABLE, LeadQuality

WATCHED = 2
"""Leads on which beats are looked for at the same time."""
SAME_BEAT_S = 0.15
"""Beats of two leads this near to each other are one (ANSI/AAMI EC57's match window)."""
WAIT_S = 0.06
"""For so long a beat of one lead waits for the other's."""
DOUBT, STRANGER_DOUBT = 1.0, 4.0
"""How much it counts (in log odds) that the other lead has no beat: less against the lead in use."""
JUDGED_BY, LEAST_AGREED = 8, 0.5
"""What only the other lead has is no beat where a clean lead in use had fewer than half of its last eight: an
artefact that beats as it likes would be counted between the beats of a heart."""
SWITCH_BELOW, SWITCH_GAIN = 0.5, 0.2
"""A lead whose quality is below this gives way to one that is better by so much; an earlier lead that is
above it by so much is used again."""


@dataclass(slots=True)
class _Candidate:
    """A beat that one lead has, by `due` perhaps the other one too."""

    due: int
    beats: list[Beat] = field(default_factory=list)


class BeatFinder:
    """Takes the beats of single leads, tick by tick.

    Two leads are watched, the better one is in use: the beats are its own, where the other agrees with more
    confidence, where it does not with less, or not at all. What only the other has is a beat if that is all
    but certain, or if the lead in use is bad. A lead without a signal is replaced by one that has one.
    """

    def __init__(self, rate_hz: float, leads: int, first_sample: int = 0) -> None:
        self._same_beat, self._wait = round(SAME_BEAT_S * rate_hz), round(WAIT_S * rate_hz)
        self._settle, self._learning = round(SETTLE_S * rate_hz), round(LEARNING_S * rate_hz)
        self._now = first_sample
        self._quality: Sequence[LeadQuality] = (UNKNOWN,) * leads
        self._from = [first_sample] * leads
        """From when on the beats of each lead count: it has settled then."""
        self._watched: list[int] = []
        self._candidates: list[_Candidate] = []
        self._last_sample: float = -math.inf
        self._agreed: deque[bool] = deque(maxlen=JUDGED_BY)
        """Whether the lead in use had the last beats of the other one."""
        self._choose()

    @property
    def lead(self) -> int | None:
        """The lead in use; None while no watched one has a signal."""
        return self._watched[0] if self._watched and self._is_usable(self._watched[0]) else None

    def push(self, now: int, found: Iterable[Beat], quality: Sequence[LeadQuality]) -> list[Beat]:
        """Take what all leads have found before sample index `now`, and their quality as of it.

        The beats that are certain by now, in the order in which they became so.
        """
        beats = self._join(
            [beat for beat in found if beat.lead in self._watched and beat.sample >= self._from[beat.lead]]
        )
        beats += self._decide_until(now - 1)
        self._now = now
        if quality != self._quality:
            for lead, (before, after) in enumerate(zip(self._quality, quality, strict=True)):
                if before.state in UNUSABLE and after.state not in UNUSABLE:
                    self._from[lead] = now + self._settle
            self._quality = quality
            self._choose()
        return beats

    def _is_usable(self, lead: int) -> bool:
        return self._quality[lead].state not in UNUSABLE

    # -- which leads

    def _choose(self) -> None:
        """Leave leads without a signal, watch others in their place, and use the best."""
        quality, used_before = self._quality, self._watched[:1]
        self._watched = [lead for lead in self._watched if self._is_usable(lead)]
        others = [lead for lead in range(len(quality)) if lead not in self._watched and self._is_usable(lead)]
        others.sort(key=lambda lead: quality[lead].index < SWITCH_BELOW)
        self._watched += others[: WATCHED - len(self._watched)]
        if len(self._watched) == WATCHED:
            used, other = self._watched
            used_index, other_index = quality[used].index, quality[other].index
            is_bad = used_index < SWITCH_BELOW and other_index > used_index + SWITCH_GAIN
            is_back = other < used and other_index > SWITCH_BELOW + SWITCH_GAIN
            if is_bad or (is_back and self._from[other] + self._learning <= self._now):
                self._watched.reverse()
        if self._watched[:1] != used_before:
            self._agreed.clear()

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
        used = self._watched[0] if self._watched else candidate.beats[0].lead
        beat = have.get(used, candidate.beats[0])
        if beat.sample <= self._last_sample + self._same_beat:
            return None
        doubters = [
            lead
            for lead in self._watched
            if lead not in have and self._from[lead] + self._learning <= beat.sample
        ]
        if have.keys() != {used}:
            self._agreed.append(used in have)
        if len(have) == 1 and not doubters:
            self._last_sample = beat.sample
            return replace(beat, known_at=candidate.due)
        if used not in have and self._is_contradicted(used):
            return None
        odds = sum(_log_odds(each.confidence) for each in have.values())
        if doubters:
            quality = self._quality
            odds *= quality[beat.lead].index
            odds -= (DOUBT if used in have else STRANGER_DOUBT) * quality[doubters[0]].index
            if odds <= 0:
                return None
        self._last_sample = beat.sample
        return replace(beat, confidence=1 / (1 + math.exp(-odds)), known_at=candidate.due)

    def _is_contradicted(self, used: int) -> bool:
        """Whether the lead in use is clean, and lacks most of what the other one had lately."""
        is_clean = self._quality[used].index > SWITCH_BELOW + SWITCH_GAIN
        return is_clean and sum(self._agreed) < LEAST_AGREED * len(self._agreed)


def _log_odds(probability: float) -> float:
    bounded = min(1 - 1e-9, max(1e-9, probability))
    return math.log(bounded / (1 - bounded))
