"""The analysis of one epoch, kept so that no fault in it, nor of who takes its alarms, stops the stream."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from streaming.alarm_sink import AlarmSink
from streaming.core.alarm_record import AlarmSeverity
from streaming.core.patterns import DataPattern
from streaming.core.streams import StreamInfo
from streaming.ecg.alarm_board import NewId
from streaming.ecg.alarms import (
    TRAITS,
    Alarm,
    AlarmEvent,
    AlarmKind,
    Change,
    Condition,
    Evidence,
)
from streaming.ecg.analysis import EcgAnalysis
from streaming.ecg.beats import Beat
from streaming.ecg.continuity import Continuity
from streaming.ecg.rhythm import Rhythm
from streaming.ecg.vitals import Vitals

logger = logging.getLogger(__name__)

MAX_LAG_S = 5.0
"""Further behind the newest sample the analysis has stopped, whatever it says of itself."""
NOTE_EVERY_S = 1.0
"""Between two notes that something grave goes on."""

OnGrave = Callable[[StreamInfo, int, str], None]
"""Told of an epoch, a sample index, and why what surrounds it should be kept."""


class GuardedAnalysis:
    """Gives an epoch's samples to its analysis, and what comes of it to the sink.

    An analysis that raises, or lags, is replaced by a new one, and ARRHYTHMIA OFF is on until that can
    judge; the alarms that are on stay so. The first fault of an epoch is logged. `on_grave` is told once a
    second while a HIGH alarm is on or an arrhythmia is suspected. `continuity` is that of the epoch before.
    """

    def __init__(
        self,
        info: StreamInfo,
        first_sample: int,
        sink: AlarmSink,
        new_id: NewId,
        *,
        standing: Iterable[Alarm],
        on_grave: OnGrave,
        continuity: Continuity | None = None,
    ) -> None:
        self.pattern = DataPattern.NORMAL
        """What the last seconds look like."""
        self.vitals = Vitals(None, None)
        """Heart rate as of the newest tick."""
        self.continuity = continuity or Continuity()
        """To be handed on to the stream's next epoch: a device that starts again and again says little."""
        self._info = info
        self._sink = sink
        self._new_id = new_id
        self._on_grave = on_grave
        self._rate_hz = info.rate_hz
        self._baselines = np.array([[lead.baseline] for lead in info.leads])
        self._gains_uv = np.array([[lead.gain_uv] for lead in info.leads])
        self._leads_off: Collection[str] = ()
        self._standing = {alarm.id: alarm for alarm in standing}
        self._note_at = first_sample
        self._has_failed = False
        if continuity is not None:
            continuity.breaks()
        self._analysis = self._begin(first_sample)

    @property
    def standing(self) -> tuple[Alarm, ...]:
        """The alarms that are on."""
        return tuple(self._standing.values())

    def push(self, first: int, samples: npt.NDArray[np.signedinteger[Any]]) -> None:
        """Take the next samples as they came, (leads, n), from sample index `first` on."""
        stop = first + samples.shape[1]
        try:
            self._analysis.settings = self._sink.settings(self._info.stream)
            events = self._analysis.push(first, (samples - self._baselines) * self._gains_uv)
            self.pattern, self.vitals = self._analysis.pattern(), self._analysis.vitals()
        except Exception as fault:  # noqa: BLE001  # whatever is wrong with it, the stream goes on
            self._start_again(stop, fault)
        else:
            self._tell(events)
            if self._analysis.failure is not None:
                self._log(self._analysis.failure)
            if stop - self._analysis.analysed_to > MAX_LAG_S * self._rate_hz:
                self._start_again(stop, None)
        self._note(stop)

    def beats(self) -> tuple[Beat, ...]:
        """The beats of the last seconds, as of the newest tick."""
        try:
            return self._analysis.beats()
        except Exception as fault:  # noqa: BLE001  # as above
            self._log(fault)
            return ()

    def rhythm(self) -> Rhythm | None:
        """What the beats say of the rhythm, as of the newest tick; None while there is no heart rate."""
        try:
            return self._analysis.rhythm()
        except Exception as fault:  # noqa: BLE001  # as above
            self._log(fault)
            return None

    def tend(self, silent_s: float) -> None:
        """No sample has come for so long, by the clock."""
        try:
            self._analysis.settings = self._sink.settings(self._info.stream)
            self._tell(self._analysis.tend(silent_s))
        except Exception as fault:  # noqa: BLE001  # as above
            self._log(fault)

    def settle(self) -> None:
        """Give up the alarms that somebody else has ended: what still holds is raised anew."""
        try:
            over = self._sink.settle(self._info, self._standing.keys())
            self._standing = {alarm.id: alarm for alarm in self.standing if alarm.id not in over}
            self._analysis.forget(over)
        except Exception as fault:  # noqa: BLE001  # as above
            self._log(fault)

    def end(self) -> None:
        """The epoch is over, and nobody will judge any more: what is on ends."""
        at = self._analysis.analysed_to
        self._tell([AlarmEvent(Change.ENDED, alarm, at) for alarm in self.standing])

    def set_leads_off(self, names: Collection[str]) -> None:
        """The device says that these leads carry no signal now."""
        self._leads_off = names
        self._analysis.set_leads_off(names)

    def _begin(self, first_sample: int) -> EcgAnalysis:
        analysis = EcgAnalysis(
            self._rate_hz,
            [lead.name for lead in self._info.leads],
            new_id=self._new_id,
            standing=self.standing,
            first_sample=first_sample,
            continuity=self.continuity,
        )
        analysis.set_leads_off(self._leads_off)
        self._standing = {alarm.id: alarm for alarm in analysis.alarms}  # of two about one thing, one goes on
        return analysis

    def _start_again(self, at: int, fault: Exception | None) -> None:
        self._log(fault)
        known = any(alarm.kind is AlarmKind.ARRHYTHMIA_OFF for alarm in self.standing)
        if not (known or self._analysis.settings.is_off):
            evidence = Evidence(0.0, 0.0, "s", self._analysis.analysed_to, at, "")
            alarm = Alarm(self._new_id(), Condition(AlarmKind.ARRHYTHMIA_OFF, evidence), at, 0.0, 0.0)
            self._tell([AlarmEvent(Change.RAISED, alarm, at)])
        self.pattern, self.vitals = DataPattern.NORMAL, Vitals(None, None)
        self.continuity.breaks(0.0)
        self._analysis = self._begin(at)

    def _tell(self, events: Sequence[AlarmEvent]) -> None:
        if not events:
            return
        for event in events:
            if event.change is Change.ENDED:
                self._standing.pop(event.alarm.id, None)
            else:
                self._standing[event.alarm.id] = event.alarm
        try:
            self._sink.take(self._info, events)
        except Exception as fault:  # noqa: BLE001  # as above
            self._log(fault)

    def _note(self, at: int) -> None:
        """Say that something grave goes on, and what."""
        if at < self._note_at:
            return
        grave = [alarm.kind for alarm in self.standing if alarm.severity is AlarmSeverity.HIGH]
        if not grave and self.pattern is not DataPattern.ARRHYTHMIA:
            return
        self._note_at = at + round(NOTE_EVERY_S * self._rate_hz)
        self._on_grave(self._info, at, TRAITS[grave[-1]].title if grave else "suspected arrhythmia")

    def _log(self, fault: Exception | None) -> None:
        if not self._has_failed:
            self._has_failed = True
            what = "lags behind" if fault is None else "has failed"
            logger.error("the analysis of stream %s %s, going on", self._info.stream, what, exc_info=fault)
