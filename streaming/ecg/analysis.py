"""What becomes of a stream's samples: heart rate, alarms and pattern, whatever is wrong with them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from streaming.ecg.alarm_board import AlarmBoard
from streaming.ecg.alarm_limits import AlarmLimits
from streaming.ecg.alarm_rules import FIBRILLATION_ODDS, UNLIKE_RUN_ODDS, AlarmRules
from streaming.ecg.alarms import TRAITS, Alarm, AlarmEvent, AlarmKind, AlarmSeverity, Condition, Evidence
from streaming.ecg.fibrillation import TRAINED, RhythmModels
from streaming.ecg.filters import FloatArray
from streaming.ecg.lead_watch import LeadView, LeadWatch
from streaming.ecg.pattern import DataPattern
from streaming.ecg.quality import LeadState
from streaming.ecg.vitals import Vitals

TICK_S = 0.25
"""All is done in steps of so many samples since the epoch's start or the last gap, so that chunks leave no
trace; it delays an alarm by at most as much."""
MAX_LEADS = 3
PREFERRED = ("II", "MLII", "V5", "V", "V1", "MCL")
"""At most three leads are followed, these first: of twelve, eight are sums of the others."""
RESTART_S = 5.0
"""After a failure the analysis begins anew when so much more signal has come."""
QUIET_S = 2.0
"""No QRS for so long is reason enough to look closely."""


class EcgAnalysis:
    """Follows one epoch of a stream, chunk by chunk; any chunking gives the same events at the same samples.

    A gap begins the analysis anew; alarms that are on stay on until it can judge again. What goes wrong in
    here, and a value that is no number, is no exception to the caller: it raises ARRHYTHMIA OFF, and the
    analysis starts again RESTART_S later. `failure` keeps the last exception for the log.
    """

    def __init__(
        self,
        rate_hz: float,
        leads: Sequence[str],
        limits: AlarmLimits | None = None,
        *,
        models: RhythmModels = TRAINED,
    ) -> None:
        self._rate_hz = rate_hz
        self._leads = leads
        self._models = models
        self._followed = followed(leads)
        self._tick = max(1, round(TICK_S * rate_hz))
        self._board = AlarmBoard(rate_hz)
        self._rules = AlarmRules(rate_hz, leads)
        self._off: frozenset[str] = frozenset()
        self.limits = AlarmLimits() if limits is None else limits
        """May be replaced at any time; holds from the next tick."""
        self.failure: Exception | None = None
        self.analysed_to = 0
        """The heartbeat: every sample before this index has been looked at."""
        self.conditions: tuple[Condition, ...] = ()
        """What held at the last tick, whether it was raised or is covered by something graver."""
        self._failed_at = 0
        self._next_sample = 0
        self._waiting: FloatArray = np.empty((len(self._followed), 0))
        self._begin(0)

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """Those whose condition holds."""
        return self._board.active

    def push(self, first: int, microvolts: FloatArray) -> list[AlarmEvent]:
        """Take samples in microvolts, (leads, n), from sample index `first` on; a jump is a gap."""
        if first != self._next_sample:
            self.reset(first)
        self._next_sample = first + microvolts.shape[1]
        self._waiting = np.concatenate((self._waiting, microvolts[self._followed]), axis=1)
        events: list[AlarmEvent] = []
        while self._waiting.shape[1] >= self._tick:
            part, self._waiting = self._waiting[:, : self._tick], self._waiting[:, self._tick :]
            events += self._step(part)
        return events

    def reset(self, at_sample: int) -> None:
        """Samples before `at_sample` are missing."""
        self._board.gap(at_sample)
        self._begin(at_sample)

    def set_leads_off(self, names: Collection[str]) -> None:
        """The device says that these leads carry no signal now."""
        self._off = frozenset(names)

    def vitals(self) -> Vitals:
        """Heart rate as of `analysed_to`, on the first good lead that has one."""
        for view in self._views:
            if view.is_usable and view.heart_rate is not None:
                return Vitals(view.heart_rate, self._leads[view.lead])
        return Vitals(None, None)

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
        return DataPattern.NOISY if LeadState.RAIL in states else DataPattern.NORMAL

    def _is_suspicious(self, view: LeadView) -> bool:
        looks_so = (view.run or 0.0) > UNLIKE_RUN_ODDS and (view.fibrillation or 0.0) > FIBRILLATION_ODDS
        return looks_so or view.now - view.active_at > QUIET_S * self._rate_hz

    def _begin(self, at_sample: int) -> None:
        self._next_sample = self.analysed_to = at_sample
        self._resume_at = at_sample
        self._waiting = np.empty((len(self._followed), 0))
        self._views: tuple[LeadView, ...] = ()
        self.conditions = ()
        self._watches = [LeadWatch(lead, self._rate_hz, self._models, at_sample) for lead in self._followed]

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
        return self._tell(now, conditions)

    def _analyse(self, part: FloatArray) -> list[Condition]:
        if not np.isfinite(part).all():
            raise ValueError("a sample is not a number")
        self._views = tuple(
            watch.push(samples, is_off=self._leads[lead] in self._off)
            for watch, lead, samples in zip(self._watches, self._followed, part, strict=True)
        )
        on = {alarm.kind for alarm in self._board.active}
        return self._rules.conditions(self._views, self.limits, on)

    def _start_again(self, now: int) -> None:
        self._failed_at = now
        self._resume_at = now + round(RESTART_S * self._rate_hz)
        self._views = ()
        first = self._resume_at + (now - self._resume_at) % self._tick
        self._resume_at = first
        self._watches = [LeadWatch(lead, self._rate_hz, self._models, first) for lead in self._followed]

    def _out_of_order(self, now: int) -> list[Condition]:
        without_s = (now - self._failed_at) / self._rate_hz
        evidence = Evidence(without_s, 0.0, "s", self._failed_at, now, "")
        return [Condition(AlarmKind.ARRHYTHMIA_OFF, evidence)]

    def _tell(self, now: int, conditions: list[Condition]) -> list[AlarmEvent]:
        self.conditions = tuple(conditions)
        return self._board.tick(now, conditions, self.limits)


def followed(leads: Sequence[str]) -> list[int]:
    """Which leads are analysed, by index, in the order in which they are trusted."""
    preferred = [leads.index(name) for name in PREFERRED if name in leads]
    others = [index for index in range(len(leads)) if index not in preferred]
    return (preferred + others)[:MAX_LEADS]
