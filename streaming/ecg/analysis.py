"""What becomes of a stream's samples: heart rate, alarms and pattern, whatever is wrong with them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np

from streaming.core.alarm_record import AlarmSeverity
from streaming.core.patterns import DataPattern
from streaming.ecg.alarm_board import AlarmBoard, NewId, counted_ids
from streaming.ecg.alarm_limits import AlarmSettings
from streaming.ecg.alarm_rules import FIBRILLATION_ODDS, UNLIKE_RUN_ODDS, AlarmRules
from streaming.ecg.alarms import TRAITS, Alarm, AlarmEvent, AlarmKind, Condition, Evidence
from streaming.ecg.beats import Beat
from streaming.ecg.continuity import UNBROKEN_S, WITHIN_S, Continuity
from streaming.ecg.fibrillation import TRAINED, RhythmModels
from streaming.ecg.filters import FloatArray
from streaming.ecg.holes import Holes
from streaming.ecg.lead_watch import LeadView, LeadWatch
from streaming.ecg.lead_waves import LeadWaves
from streaming.ecg.quality import BLOCK_S, LeadState, QualityMeter, block_samples
from streaming.ecg.rhythm import Rhythm
from streaming.ecg.vitals import Vitals, VitalsMonitor

TICK_S = BLOCK_S
"""All is done in steps of so many samples since the epoch's start or the last gap, so that chunks leave no
trace; it delays an alarm by at most as much."""
MAX_LEADS = 3
PREFERRED = ("II", "MLII", "V5", "V", "V1", "MCL")
"""At most three leads are followed, these first: of twelve, eight are sums of the others."""
RESTART_S = 5.0
"""After a failure the analysis begins anew when so much more signal has come."""
QUIET_S = 2.0
"""No QRS for so long is reason enough to look closely."""
NO_DATA_S = 10.0
"""A stream without a sample for so long, by the clock, is a technical alarm."""


class EcgAnalysis:
    """Follows one epoch of a stream, chunk by chunk; any chunking gives the same events at the same samples.

    It begins at `first_sample`, with the alarms that are `standing` as after a gap; `new_id` names new ones.
    A short hole is bridged by a straight line, see `holes`. A gap begins the analysis anew; alarms that are
    on stay on until it can judge again. Where gaps leave too little for that, by a `continuity` that several
    analyses may share, ARRHYTHMIA OFF is raised until there is enough. What goes wrong in here, and a value
    that is no number, is no exception to the caller: it raises ARRHYTHMIA OFF too, and the analysis starts
    again RESTART_S later. `failure` keeps the last exception for the log.
    """

    def __init__(
        self,
        rate_hz: float,
        leads: Sequence[str],
        settings: AlarmSettings | None = None,
        *,
        models: RhythmModels = TRAINED,
        new_id: NewId | None = None,
        standing: Iterable[Alarm] = (),
        first_sample: int = 0,
        continuity: Continuity | None = None,
    ) -> None:
        self._rate_hz = rate_hz
        self._continuity = continuity or Continuity()
        self._leads = leads
        self._models = models
        self._followed = followed(leads)
        self._tick = block_samples(rate_hz)
        self._board = AlarmBoard(
            rate_hz, new_id or counted_ids(), standing=standing, first_sample=first_sample
        )
        self._rules = AlarmRules(rate_hz, leads)
        self._off: frozenset[int] = frozenset()
        self.settings = settings or AlarmSettings()
        """May be replaced at any time; holds from the next tick."""
        self.failure: Exception | None = None
        self.analysed_to = first_sample
        """The heartbeat: every sample before this index has been looked at."""
        self.conditions: tuple[Condition, ...] = ()
        """What held at the last tick, whether it was raised or is covered by something graver."""
        self._failed_at = first_sample
        self._next_sample = first_sample
        self._waiting: FloatArray = np.empty((len(self._followed), 0))
        self._last: FloatArray | None = None
        """The newest sample of each lead."""
        self._begin(first_sample)

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """Those whose condition holds."""
        return self._board.active

    def push(self, first: int, microvolts: FloatArray) -> list[AlarmEvent]:
        """Take samples in microvolts, (leads, n > 0), from sample index `first` on; a jump leaves a hole."""
        fresh = microvolts[self._followed]
        events: list[AlarmEvent] = []
        if first != self._next_sample:
            if (line := self._bridge(first, fresh)) is not None:
                fresh = np.concatenate((line, fresh), axis=1)
            else:
                events += self.reset(first)
        self._next_sample = first + microvolts.shape[1]
        self._last = fresh[:, -1]
        self._waiting = np.concatenate((self._waiting, fresh), axis=1)
        while self._waiting.shape[1] >= self._tick:
            part, self._waiting = self._waiting[:, : self._tick], self._waiting[:, self._tick :]
            events += self._step(part)
        return events

    def reset(self, at_sample: int) -> list[AlarmEvent]:
        """Samples before `at_sample` are missing, and are not bridged."""
        self._continuity.goes_on((self._next_sample - self.analysed_to) / self._rate_hz)
        self._continuity.breaks((at_sample - self._next_sample) / self._rate_hz)
        self._board.gap(at_sample)
        self._begin(at_sample)
        # There may never be a whole tick between two gaps: also then this has to be told.
        return self._tell(at_sample, broken) if (broken := self._broken(at_sample)) else []

    def tend(self, silent_s: float) -> list[AlarmEvent]:
        """No sample has come for so long, by the clock: NO DATA until the next tick of samples."""
        if silent_s < NO_DATA_S:
            return []
        now = self.analysed_to
        evidence = Evidence(silent_s, NO_DATA_S, "s", now, now, "")
        return self._board.tick(now, [Condition(AlarmKind.NO_DATA, evidence)], self.settings)

    def forget(self, ids: Collection[str]) -> None:
        """Somebody else has ended these alarms: what still holds is raised anew."""
        self._board.forget(ids)

    def set_leads_off(self, names: Collection[str]) -> None:
        """The device says that these leads carry no signal now."""
        self._off = frozenset(at for at, lead in enumerate(self._followed) if self._leads[lead] in names)
        self._quality.set_leads_off(self._off)

    def vitals(self) -> Vitals:
        """Heart rate as of `analysed_to`."""
        return self._heart.value

    def beats(self) -> tuple[Beat, ...]:
        """The beats of the last seconds, as of `analysed_to`."""
        return self._heart.beats

    def rhythm(self) -> Rhythm | None:
        """What the beats say of the rhythm as of `analysed_to`; None while there is no heart rate."""
        return self._heart.rhythm()

    def pattern(self) -> DataPattern:
        """What the last seconds look like; ARRHYTHMIA at a suspicion already, before there is an alarm."""
        states = {view.state for view in self._views}
        usable = [view for view in self._views if view.is_usable]
        if usable and all(view.is_flat for view in usable):
            return DataPattern.FLAT
        grave = any(TRAITS[condition.kind].severity is AlarmSeverity.HIGH for condition in self.conditions)
        if grave or any(self._is_suspicious(view) for view in usable):
            return DataPattern.ARRHYTHMIA
        if LeadState.OFF in states:
            return DataPattern.LEAD_OFF
        noisy = [view for view in self._views if view.state in {LeadState.RAIL, LeadState.NOISE}]
        is_noisy = LeadState.RAIL in states or 2 * len(noisy) >= max(1, len(self._views))
        return DataPattern.NOISY if is_noisy else DataPattern.NORMAL

    def _bridge(self, first: int, fresh: FloatArray) -> FloatArray | None:
        """What is put in place of the samples before `first`; None where that would be too much."""
        missing = first - self._next_sample
        if self._last is None or missing < 0 or not self._holes.bridge(self._next_sample, first):
            return None
        line: FloatArray = np.linspace(self._last, fresh[:, 0], missing + 2, axis=1)[:, 1:-1]
        return line

    def _is_suspicious(self, view: LeadView) -> bool:
        looks_so = (view.run or 0.0) > UNLIKE_RUN_ODDS and (view.fibrillation or 0.0) > FIBRILLATION_ODDS
        return looks_so or view.now - view.active_at > QUIET_S * self._rate_hz

    def _begin(self, at_sample: int) -> None:
        self._next_sample = self.analysed_to = at_sample
        self._resume_at = at_sample
        self._waiting = np.empty((len(self._followed), 0))
        self._last = None
        self._holes = Holes(self._rate_hz)
        self.conditions = ()
        self._watch_from(at_sample)

    def _watch_from(self, at_sample: int) -> None:
        self._views: tuple[LeadView, ...] = ()
        followed = len(self._followed)
        self._quality = QualityMeter(self._rate_hz, followed)
        self._quality.set_leads_off(self._off)
        self._waves = LeadWaves(followed, self._rate_hz, self._models)
        self._watches = [
            LeadWatch(place, lead, self._rate_hz, at_sample, self._holes)
            for place, lead in enumerate(self._followed)
        ]
        names = [self._leads[lead] for lead in self._followed]
        self._heart = VitalsMonitor(self._rate_hz, names, at_sample, self._holes)

    def _step(self, part: FloatArray) -> list[AlarmEvent]:
        now = self.analysed_to + self._tick
        self.analysed_to = now
        if now <= self._resume_at:
            return self._tell(now, self._out_of_order(now))
        try:
            conditions = self._analyse(part)
        except Exception as error:  # noqa: BLE001  # whatever it is, the stream goes on, and an alarm says so
            self.failure = error
            self._start_again(now)
            conditions = self._out_of_order(now)
        else:
            self._continuity.goes_on(self._tick / self._rate_hz)
            conditions += self._broken(now)
        return self._tell(now, conditions)

    def _analyse(self, part: FloatArray) -> list[Condition]:
        if not np.isfinite(part).all():
            raise ValueError("a sample is not a number")
        self._quality.push(part)
        self._waves.push(part)
        quality = self._quality.value()
        on = {alarm.kind for alarm in self._board.active}
        still = AlarmKind.ASYSTOLE in on
        self._views = tuple(
            watch.push(samples, each.state, self._waves, stands_still=still)
            for watch, samples, each in zip(self._watches, part, quality, strict=True)
        )
        found = [beat for watch in self._watches for beat in watch.found]
        self._heart.push(self.analysed_to, found, quality)
        return self._rules.conditions(self._views, self._heart.counted, self.settings.limits, on)

    def _start_again(self, now: int) -> None:
        self._failed_at = now
        self._continuity.breaks(0.0)
        self._resume_at = now + round(RESTART_S * self._rate_hz)
        first = self._resume_at + (now - self._resume_at) % self._tick
        self._resume_at = first
        self._watch_from(first)

    def _broken(self, now: int) -> list[Condition]:
        """The signal does not hold together."""
        if not self._continuity.is_lost:
            return []
        first = max(0, now - round(WITHIN_S * self._rate_hz))
        evidence = Evidence(self._continuity.longest_s, UNBROKEN_S, "s", first, now, "")
        return [Condition(AlarmKind.ARRHYTHMIA_OFF, evidence)]

    def _out_of_order(self, now: int) -> list[Condition]:
        without_s = (now - self._failed_at) / self._rate_hz
        evidence = Evidence(without_s, 0.0, "s", self._failed_at, now, "")
        return [Condition(AlarmKind.ARRHYTHMIA_OFF, evidence)]

    def _tell(self, now: int, conditions: list[Condition]) -> list[AlarmEvent]:
        self.conditions = tuple(conditions)
        return self._board.tick(now, conditions, self.settings)


def followed(leads: Sequence[str]) -> list[int]:
    """Which leads are analysed, by index, in the order in which they are trusted."""
    preferred = [leads.index(name) for name in PREFERRED if name in leads]
    others = [index for index in range(len(leads)) if index not in preferred]
    return (preferred + others)[:MAX_LEADS]
