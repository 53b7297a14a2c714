"""When the leads, together, show something that calls for an alarm."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import attrgetter
from statistics import fmean, median

from streaming.ecg.alarm_limits import AlarmLimits
from streaming.ecg.alarms import AlarmKind, Condition, Evidence
from streaming.ecg.beat_finder import DOUBT, SAME_BEAT_S
from streaming.ecg.fibrillation import FIBRILLATION_S
from streaming.ecg.lead_watch import LeadView, SeenBeat
from streaming.ecg.quality import LeadState
from streaming.ecg.vitals import Counted

FIBRILLATION_ODDS = 1.0
"""Log odds above which all usable leads together look like fibrillation."""
UNLIKE_RUN_ODDS, ALIKE_RUN_ODDS = 0.0, -2.0
"""The same for a ventricular run; a lower bound where the beats of the run are alike.

Both odds hardly matter on the 80 records of the challenge at hand: from -2 to -4, and from -0.5 to 0.5, the
same alarms are confirmed.
"""
STRANGE_RUN_ODDS = -4.0
"""And for every lead with beats, while nothing is known of the patient's own: in a heart that is fast from
the start one lead may look like a run, and none shows yet that it is none."""
ABRUPT_RUN_ODDS = -4.0
"""And where a slow run follows a narrow rhythm at once: from 100 to 130 bpm its waves still have a baseline
between them, and hardly look like a tachycardia to the model, which was trained on faster ones."""
ABRUPT_AFTER = 8
"""So many of the patient's own beats are known from before it: a heart whose beats are broad has none."""
ABRUPT_SHARE = 0.85
"""Of the RR interval before it that of the run may have: a heart that conducts otherwise from some rate on,
as that of mitdb 212, comes to it step by step."""
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
enough against fibrillation, and against a run that some lead does not look like."""
SLOW_BEATS = 5
RECENT = 10
"""So many beats of each lead mostly hold SLOW_BEATS that are confirmed."""
RATE_OF = 12
"""RR intervals that the rate of a tachycardia is the mean of.

The challenge says 17 beats. Of 14 true alarms of the 80 records at hand four show fewer before they were
called, and the mean of 12 is what bedside monitors display: it is early, never late.
"""
STILL_OF = 4
"""A tachycardia that is over: the mean of so many RR intervals is below the limit."""
SURE_ALONE = 1 / (1 + math.exp(-DOUBT))
"""A beat that one of several leads shows alone is none below this confidence. Search-back takes, after a
pause, the likeliest peak even at odds of 1 to 7: in a heart that has just slowed down that is a T wave."""
HIDDEN = 1.6
"""An interval with a hole in it that is longer than the usual one by this factor is taken for two, or more:
the hole may hide a beat. Holes in most intervals do not in most; so what is usual is the lower median."""
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
        self,
        views: Sequence[LeadView],
        counted: Counted | None,
        limits: AlarmLimits,
        on: Collection[AlarmKind],
    ) -> list[Condition]:
        """What holds now, gravest first; `counted` is the heart rate, if it is valid.

        `on`: the alarms that stand, for the hysteresis of rates.
        """
        usable = [view for view in views if view.is_usable]
        fibrillation = self._fibrillation(usable)
        run = self._run(usable, limits, on)
        return [
            *self._no_signal(views),
            *([] if run and run.explains_waves else fibrillation),
            *([] if fibrillation else self._standstill(usable, limits)),
            *([run.condition] if run else []),
            *self._slow(usable, limits, on),
            *self._fast(views, limits, on),
            *([] if counted is None else _limits(counted, limits, on)),
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
        """By amplitude: no deflection of a QRS on any usable lead.

        A device's silence is no activity, but may hide some: in a hole this clock stands, and then goes on.
        """
        if not usable:
            return
        last = max(usable, key=attrgetter("active_at"))
        silence_s = (last.now - last.active_at - last.missing) / self._rate_hz
        if silence_s >= limits.asystole_s:
            span = (last.active_at, last.now)
            yield self._seen(AlarmKind.ASYSTOLE, silence_s, limits.asystole_s, "s", span, usable)

    def _run(self, usable: Sequence[LeadView], limits: AlarmLimits, on: Collection[AlarmKind]) -> _Run | None:
        """On one lead, beats in a row that are not the patient's own, and no such on any."""
        waves = [view for view in usable if view.run is not None]
        odds = min((view.run for view in waves if view.run is not None), default=-math.inf)
        knows_own = any(beat.own for view in usable for beat in view.beats)
        alone = knows_own or all(
            view.run >= STRANGE_RUN_ODDS for view in waves if view.run is not None and view.beats
        )
        for view in waves:
            goes_on = AlarmKind.VENTRICULAR_TACHYCARDIA in on
            beats = self._run_beats(view, odds, limits.run_beats, goes_on=goes_on, alone=alone)
            if not beats:
                continue
            late = view.now - beats[-1].sample > (RUN_AGE_S + BEAT_KNOWN_S) * self._rate_hz
            rate = self._rate(beats)
            enough = OWN_BEATS if odds >= ALIKE_RUN_ODDS else 1
            if late or rate <= limits.run_rate or self._own_beats(usable, beats[0].sample) >= enough:
                continue
            span = (beats[0].sample, beats[-1].sample + 1)
            kind = AlarmKind.VENTRICULAR_TACHYCARDIA
            run = self._seen(kind, rate, limits.run_rate, "bpm", span, [view])
            return _Run(run, explains_waves=_is_steady(beats) and rate <= FLUTTER_RATE)
        return None

    @staticmethod
    def _run_beats(
        view: LeadView, odds: float, least: int, *, goes_on: bool, alone: bool
    ) -> Sequence[SeenBeat]:
        """The last beats of a run, or tall waves of it that are alike; empty where there is none.

        Where they are alike the lead that shows them is enough if it may stand `alone`; `odds` are those of
        the least likely one.
        `goes_on`: there is an alarm of it, and what was before it need not be known any more.
        """
        beats = _last_foreign(view.beats)[-least:]
        if len(beats) == least and odds >= UNLIKE_RUN_ODDS:
            return beats
        if view.run is None:
            return ()
        if view.run >= ALIKE_RUN_ODDS and alone:
            for run in (beats, _last_foreign(view.waves)[-least:]):
                if len(run) == least and _likeness(run) >= ALIKE:
                    return run
        if view.run >= ABRUPT_RUN_ODDS and len(beats) == least and _is_steady(beats):
            return beats if goes_on or _is_abrupt(beats, view) else ()
        return ()

    @staticmethod
    def _own_beats(usable: Sequence[LeadView], since: int) -> int:
        """How many of the patient's own beats the lead shows that shows most of them."""
        return max(sum(beat.own and beat.sample >= since for beat in view.beats) for view in usable)

    def _slow(
        self, usable: Sequence[LeadView], limits: AlarmLimits, on: Collection[AlarmKind]
    ) -> Iterator[Condition]:
        """On all leads, as one may overlook a beat; without those that count noise, if any is left."""
        sure = [view for view in usable if _likeness(view.beats[-SLOW_BEATS:]) >= ALIKE_ENOUGH] or usable
        beats = self._confirmed(sure)
        if len(beats) < SLOW_BEATS or min(view.clean_since for view in sure) > beats[-1].sample:
            return
        last = beats[-SLOW_BEATS:]
        rate = self._rate(last)
        longest_s = max(*_intervals(last), usable[0].now - last[-1].sample) / self._rate_hz
        if longest_s < limits.asystole_s + BEAT_KNOWN_S:
            kind, limit = AlarmKind.EXTREME_BRADYCARDIA, limits.extreme_bradycardia
            evidence = self._evidence(rate, limit, "bpm", (last[0].sample, last[-1].sample + 1), sure)
            yield from _beyond(kind, limit - rate, evidence, on)

    def _confirmed(self, views: Sequence[LeadView]) -> list[SeenBeat]:
        """The last beats that some lead shows or may show, without those that all others rightly doubt."""
        since = max((view.beats[-RECENT].sample for view in views if len(view.beats) > RECENT), default=0)
        recent = self._confirmed_since(since, views)
        return recent if len(recent) > SLOW_BEATS else self._confirmed_since(0, views)

    def _confirmed_since(self, first: int, views: Sequence[LeadView]) -> list[SeenBeat]:
        groups: list[list[SeenBeat]] = []
        seen = (beat for view in views for beat in (*view.beats, *view.doubtful) if beat.sample >= first)
        for beat in sorted(seen, key=attrgetter("sample")):
            if groups and beat.sample - groups[-1][0].sample <= SAME_BEAT_S * self._rate_hz:
                groups[-1].append(beat)
            else:
                groups.append([beat])
        alone = len(views) == 1
        return [
            replace(group[0], apart=any(beat.apart for beat in group))
            for group in groups
            if alone or len(group) > 1 or group[0].confidence > SURE_ALONE
        ]

    def _fast(
        self, views: Sequence[LeadView], limits: AlarmLimits, on: Collection[AlarmKind]
    ) -> Iterator[Condition]:
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
        if self._is_recent(counted, view):
            kind, limit = AlarmKind.EXTREME_TACHYCARDIA, limits.extreme_tachycardia
            rate, span = self._rate(counted), (counted[0].sample, counted[-1].sample + 1)
            # What was counted for beats before, in a fibrillation that has ended, is no rate of now.
            excess = min(rate, self._rate(counted[-STILL_OF - 1 :])) - limit
            yield from _beyond(kind, excess, self._evidence(rate, limit, "bpm", span, [view]), on)

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
        intervals = _intervals(beats)
        span = sum(intervals)
        return 60.0 * self._rate_hz * len(intervals) / span if span else math.inf

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
        return Condition(kind, self._evidence(value, limit, unit, span, views))

    def _evidence(
        self, value: float, limit: float, unit: str, span: tuple[int, int], views: Sequence[LeadView]
    ) -> Evidence:
        names = ", ".join(self._leads[view.lead] for view in views)
        return Evidence(value, limit, unit, *span, names)


def _limits(counted: Counted, limits: AlarmLimits, on: Collection[AlarmKind]) -> Iterator[Condition]:
    for kind, limit, excess in (
        (AlarmKind.HR_HIGH, limits.hr_high, counted.rate - limits.hr_high),
        (AlarmKind.HR_LOW, limits.hr_low, limits.hr_low - counted.rate),
    ):
        seen = Evidence(counted.rate, limit, "bpm", counted.first, counted.stop, counted.lead)
        yield from _beyond(kind, excess, seen, on)


def _beyond(
    kind: AlarmKind, excess: float, evidence: Evidence, on: Collection[AlarmKind]
) -> Iterator[Condition]:
    """A rate that is so much beyond its limit, or was and has not come back by the hysteresis."""
    if excess > 0 or (kind in on and excess > -HYSTERESIS_BPM):
        yield Condition(kind, evidence, is_held=excess <= 0)


def _last_foreign(beats: Sequence[SeenBeat]) -> list[SeenBeat]:
    """The last beats in a row that do not look like the patient's own, in rising order."""
    run: list[SeenBeat] = []
    for beat in reversed(beats):
        if beat.own:
            break
        run.append(beat)
    return run[::-1]


def _is_steady(run: Sequence[SeenBeat]) -> bool:
    """Whether the beats are alike, and come in turn."""
    return _likeness(run) >= ALIKE and _unsteadiness(run) <= REGULAR


def _is_abrupt(run: Sequence[SeenBeat], view: LeadView) -> bool:
    """Whether the patient's own, slower beats are known of the time just before."""
    own = [known for known in view.beats if known.own and known.sample < run[0].sample][-ABRUPT_AFTER:]
    if len(own) < ABRUPT_AFTER:
        return False
    return fmean(_intervals(run)) < ABRUPT_SHARE * fmean(_intervals(own))


def _likeness(beats: Sequence[SeenBeat]) -> float:
    """The median correlation of neighbours; 0 of fewer than two beats."""
    return median(beat.likeness for beat in beats[1:]) if len(beats) > 1 else 0.0


def _unsteadiness(beats: Sequence[SeenBeat]) -> float:
    """The coefficient of variation of their RR intervals."""
    intervals = _intervals(beats)
    mean = fmean(intervals)
    return math.sqrt(fmean((interval - mean) ** 2 for interval in intervals)) / mean


def _intervals(beats: Sequence[SeenBeat]) -> list[float]:
    """Between neighbours; in parts where a hole hides the beats between, as far as that can be told."""
    whole = [(later.sample - beat.sample, later.apart) for beat, later in pairwise(beats)]
    usual = sorted(interval for interval, _ in whole)[(len(whole) - 1) // 2]
    intervals: list[float] = []
    for interval, apart in whole:
        parts = round(interval / usual) if apart and interval >= HIDDEN * usual > 0 else 1
        intervals += [interval / parts] * parts
    return intervals
