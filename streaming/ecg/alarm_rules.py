"""When the leads, together, show something that calls for an alarm."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from streaming.ecg.alarm_limits import AlarmLimits
from streaming.ecg.alarms import AlarmKind, Condition, Evidence
from streaming.ecg.beat_finder import DOUBT, SAME_BEAT_S
from streaming.ecg.fibrillation import FIBRILLATION_S
from streaming.ecg.lead_watch import LeadView, SeenBeat
from streaming.ecg.quality import LeadState

FIBRILLATION_ODDS = 1.0
"""Log odds above which all usable leads together look like fibrillation."""
UNLIKE_RUN_ODDS, ALIKE_RUN_ODDS = 0.0, -2.0
"""The same for a ventricular run; a lower bound where the beats of the run are alike.

Both odds hardly matter on the 80 records of the challenge at hand: from -2 to -4, and from -0.5 to 0.5, the
same alarms are confirmed.
"""
ALIKE = 0.9
"""Beats of one run are alike from this median correlation of neighbours on; artefacts have 0.5."""
REGULAR, FLUTTER_RATE = 0.15, 220
"""A run of beats that are alike, whose RR varies by at most this part, is called tachycardia up to this rate,
and not fibrillation beside it."""
ALIKE_ENOUGH = 0.7
"""What a tachycardia needs of it: noise that is counted for beats has less."""
BEAT_KNOWN_S = 0.6
"""A beat is known at the latest so long after it."""
RUN_AGE_S = 1.0
"""The last beat of a run is at most so old when its waves are looked at."""
OWN_BEATS = 2
"""So many of the patient's own narrow beats on a usable lead: what another shows there is no run. One is
enough against fibrillation."""
SLOW_BEATS = 5
RATE_OF = 12
"""RR intervals that the rate of a tachycardia is the mean of.

The challenge says 17 beats. Of 14 true alarms of the 80 records at hand four show fewer before they were
called, and the mean of 12 is what bedside monitors display: it is early, never late.
"""
SURE_ALONE = 1 / (1 + math.exp(-DOUBT))
"""A beat that one of several leads shows alone is none below this confidence. Search-back takes, after a
pause, the likeliest peak even at odds of 1 to 7: in a heart that has just slowed down that is a T wave."""
NO_SIGNAL_S = 4.0
HYSTERESIS_BPM = 3
"""A limit that was passed is kept again this far inside of it: a rate at the limit is one alarm."""


@dataclass(frozen=True, slots=True)
class _Run:
    """A ventricular run; where its beats explain the waves, these are no fibrillation."""

    condition: Condition
    explains_waves: bool


class AlarmRules:
    """The rules for one stream at one rate; they remember nothing."""

    def __init__(self, rate_hz: float, leads: Sequence[str]) -> None:
        self._rate_hz = rate_hz
        self._leads = leads

    def conditions(
        self, views: Sequence[LeadView], limits: AlarmLimits, on: Collection[AlarmKind]
    ) -> list[Condition]:
        """What holds now, gravest first; `on`: the alarms that stand, for the hysteresis of HR."""
        usable = [view for view in views if view.is_usable]
        fibrillation = self._fibrillation(usable)
        run = self._run(usable, limits)
        return [
            *self._no_signal(views),
            *([] if run and run.explains_waves else fibrillation),
            *([] if fibrillation else self._standstill(usable, limits)),
            *([run.condition] if run else []),
            *self._slow(usable, limits),
            *self._fast(views, limits),
            *self._limits(usable, limits, on),
            *self._leads_off(views),
        ]

    def _fibrillation(self, usable: Sequence[LeadView]) -> list[Condition]:
        """All leads that are not flat look like it, and none shows the patient's own beats."""
        waves = [view for view in usable if view.fibrillation is not None]
        odds = min((view.fibrillation for view in waves if view.fibrillation is not None), default=-math.inf)
        if odds <= FIBRILLATION_ODDS:
            return []
        now = waves[0].now
        first = now - round(FIBRILLATION_S * self._rate_hz)
        if self._own_beats(usable, first):
            return []
        span = (first, now)
        return [self._seen(AlarmKind.FIBRILLATION, FIBRILLATION_S, FIBRILLATION_S, "s", span, waves)]

    def _standstill(self, usable: Sequence[LeadView], limits: AlarmLimits) -> Iterator[Condition]:
        """By amplitude: no deflection of a QRS on any usable lead."""
        active_at = max((view.active_at for view in usable), default=math.inf)
        silence_s = (usable[0].now - active_at) / self._rate_hz if usable else 0.0
        if silence_s >= limits.asystole_s:
            span = (int(active_at), usable[0].now)
            yield self._seen(AlarmKind.ASYSTOLE, silence_s, limits.asystole_s, "s", span, usable)

    def _run(self, usable: Sequence[LeadView], limits: AlarmLimits) -> _Run | None:
        """On one lead, beats in a row that are not the patient's own; all leads look like a run."""
        waves = [view for view in usable if view.run is not None]
        odds = min((view.run for view in waves if view.run is not None), default=-math.inf)
        for view in waves:
            beats = self._run_beats(view, odds, limits.run_beats)
            if not beats:
                continue
            late = view.now - beats[-1].sample > (RUN_AGE_S + BEAT_KNOWN_S) * self._rate_hz
            rate = self._rate(beats)
            if late or rate <= limits.run_rate or self._own_beats(usable, beats[0].sample) >= OWN_BEATS:
                continue
            span = (beats[0].sample, beats[-1].sample + 1)
            kind = AlarmKind.VENTRICULAR_TACHYCARDIA
            run = self._seen(kind, rate, limits.run_rate, "bpm", span, [view])
            regular = _likeness(beats) >= ALIKE and _unsteadiness(beats) <= REGULAR
            return _Run(run, explains_waves=regular and rate <= FLUTTER_RATE)
        return None

    @staticmethod
    def _run_beats(view: LeadView, odds: float, least: int) -> Sequence[SeenBeat]:
        """The last beats of a run, or tall waves of it that are alike; empty where there is none."""
        beats = _last_foreign(view.beats)[-least:]
        needed = ALIKE_RUN_ODDS if _likeness(beats) >= ALIKE else UNLIKE_RUN_ODDS
        if len(beats) == least and odds >= needed:
            return beats
        tall = _last_foreign(view.waves)[-least:]
        if len(tall) == least and odds >= ALIKE_RUN_ODDS and _likeness(tall) >= ALIKE:
            return tall
        return ()

    @staticmethod
    def _own_beats(usable: Sequence[LeadView], since: int) -> int:
        """How many of the patient's own beats the lead shows that shows most of them."""
        return max(sum(beat.own and beat.sample >= since for beat in view.beats) for view in usable)

    def _slow(self, usable: Sequence[LeadView], limits: AlarmLimits) -> Iterator[Condition]:
        """On all leads, as one may overlook a beat; without those that count noise, if any is left."""
        sure = [view for view in usable if _likeness(view.beats[-SLOW_BEATS:]) >= ALIKE_ENOUGH] or usable
        beats = self._confirmed(sure)
        if len(beats) < SLOW_BEATS or min(view.clean_since for view in sure) > beats[-1]:
            return
        last = beats[-SLOW_BEATS:]
        rate = 60.0 * self._rate_hz * (SLOW_BEATS - 1) / (last[-1] - last[0])
        longest_s = float(np.diff([*last, usable[0].now]).max()) / self._rate_hz
        if rate < limits.extreme_bradycardia and longest_s < limits.asystole_s + BEAT_KNOWN_S:
            span = (last[0], last[-1] + 1)
            yield self._seen(
                AlarmKind.EXTREME_BRADYCARDIA, rate, limits.extreme_bradycardia, "bpm", span, sure
            )

    def _confirmed(self, views: Sequence[LeadView]) -> list[int]:
        """The samples of the beats that some lead shows, without those that all others rightly doubt."""
        groups: list[list[SeenBeat]] = []
        for beat in sorted((beat for view in views for beat in view.beats), key=lambda beat: beat.sample):
            if groups and beat.sample - groups[-1][0].sample <= SAME_BEAT_S * self._rate_hz:
                groups[-1].append(beat)
            else:
                groups.append([beat])
        alone = len(views) == 1
        return [
            group[0].sample for group in groups if alone or len(group) > 1 or group[0].confidence > SURE_ALONE
        ]

    def _fast(self, views: Sequence[LeadView], limits: AlarmLimits) -> Iterator[Condition]:
        """On the lead with the steadiest beat: noise, and T waves that are counted, are unsteady."""
        best: tuple[float, Sequence[SeenBeat], LeadView] | None = None
        for view in views:
            beats = view.beats[-RATE_OF - 1 :]
            if view.state is LeadState.OFF or len(beats) <= RATE_OF or _likeness(beats) < ALIKE_ENOUGH:
                continue
            unsteady = _unsteadiness(beats)
            if best is None or unsteady < best[0]:
                best = unsteady, beats, view
        if best is None:
            return
        _, counted, view = best
        rate = self._rate(counted)
        if rate > limits.extreme_tachycardia and self._is_recent(counted, view):
            span = (counted[0].sample, counted[-1].sample + 1)
            yield self._seen(
                AlarmKind.EXTREME_TACHYCARDIA, rate, limits.extreme_tachycardia, "bpm", span, [view]
            )

    def _limits(
        self, usable: Sequence[LeadView], limits: AlarmLimits, on: Collection[AlarmKind]
    ) -> Iterator[Condition]:
        view = next((view for view in usable if view.heart_rate is not None), None)
        if view is None or view.heart_rate is None:
            return
        rate = view.heart_rate
        beats = view.beats[-RATE_OF - 1 :]
        span = (beats[0].sample, beats[-1].sample + 1)
        for kind, limit, excess in (
            (AlarmKind.HR_HIGH, limits.hr_high, rate - limits.hr_high),
            (AlarmKind.HR_LOW, limits.hr_low, limits.hr_low - rate),
        ):
            if excess > 0 or (kind in on and excess > -HYSTERESIS_BPM):
                seen = self._seen(kind, rate, limit, "bpm", span, [view])
                yield replace(seen, is_held=excess <= 0)

    def _leads_off(self, views: Sequence[LeadView]) -> Iterator[Condition]:
        for view in views:
            if view.state is LeadState.OFF:
                yield self._seen(AlarmKind.LEAD_OFF, 0.0, 0.0, "", (view.good_until, view.now), [view])

    def _no_signal(self, views: Sequence[LeadView]) -> Iterator[Condition]:
        """No lead can be judged, and none could for a while."""
        now, first = views[0].now, max(view.good_until for view in views)
        without_s = (now - first) / self._rate_hz
        if without_s >= NO_SIGNAL_S:
            yield self._seen(AlarmKind.NO_SIGNAL, without_s, NO_SIGNAL_S, "s", (first, now), views)

    def _rate(self, beats: Sequence[SeenBeat]) -> float:
        span = beats[-1].sample - beats[0].sample
        return 60.0 * self._rate_hz * (len(beats) - 1) / span if span else math.inf

    def _is_recent(self, beats: Sequence[SeenBeat], view: LeadView) -> bool:
        return view.now - beats[-1].sample <= 2.0 * self._rate_hz

    def _seen(
        self,
        kind: AlarmKind,
        value: float,
        limit: float,
        unit: str,
        span: tuple[int, int],
        views: Sequence[LeadView],
    ) -> Condition:
        names = ", ".join(self._leads[view.lead] for view in views)
        return Condition(kind, Evidence(value, limit, unit, *span, names))


def _last_foreign(beats: Sequence[SeenBeat]) -> list[SeenBeat]:
    """The last beats in a row that do not look like the patient's own, in rising order."""
    run: list[SeenBeat] = []
    for beat in reversed(beats):
        if beat.own:
            break
        run.append(beat)
    return run[::-1]


def _likeness(beats: Sequence[SeenBeat]) -> float:
    """The median correlation of neighbours; 0 of fewer than two beats."""
    return float(np.median([beat.likeness for beat in beats[1:]])) if len(beats) > 1 else 0.0


def _unsteadiness(beats: Sequence[SeenBeat]) -> float:
    """The coefficient of variation of their RR intervals."""
    intervals = np.diff([beat.sample for beat in beats])
    return float(intervals.std() / intervals.mean())
