"""All alarms of one process: from its analyses, by its viewers, out of other processes, and to their end."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from streaming.alarm_facts import alarm_of, facts_of, no_data_facts, not_stored_facts
from streaming.alarm_steps import OFF, AlarmSteps, Journal, ward_group
from streaming.alarm_viewers import AlarmViewer, AlarmViewers
from streaming.core.alarm_record import AlarmFacts, AlarmOrigin, AlarmRecord, AlarmState, AlarmStep
from streaming.core.alarm_register import AlarmRegister
from streaming.core.streams import StreamInfo
from streaming.device_alarms import DeviceAlarms
from streaming.ecg.alarm_limits import AlarmSettings
from streaming.ecg.alarms import Alarm, AlarmEvent, AlarmKind, Change
from streaming.exceptions import ForbiddenError
from streaming.layer_link import LayerLink, LayerMessage

logger = logging.getLogger(__name__)

STORED_FOR_S = 5.0
"""A disk that is slow now and then is one alarm, not many."""
ABANDONED_S = 15.0
"""What no process is sent for so long is NO DATA, if none has said so."""
ORPHAN_S = 60.0
"""An alarm whose stream nobody has written for so long has nobody who could end it."""
STRAY_S = 15.0
"""An alarm that the analysis of its stream does not have on is ended after so long: if its condition holds,
the analysis has found that for itself by then."""
ANALYSIS, ORPHANS, ADMISSION = "system:analysis", "system:orphans", "system:admission"


class AlarmDesk:
    """One per process; the `AlarmSink` of its ingest.

    Each step of an alarm is on disk before it is told, to the viewers here and over the layer to those at
    other processes; one that is raised is told after 200 ms in any case. What the layer loses is found in
    the journal by `poll`.
    """

    def __init__(
        self,
        journal: Journal,
        link: LayerLink,
        *,
        process_id: str,
        clock: Callable[[], float] = time.monotonic,
        utc_ms: Callable[[], float] = lambda: 1000 * time.time(),
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self.register = AlarmRegister()
        self.viewers = AlarmViewers(self.register, is_withheld=self._is_withheld, clock=clock, utc_ms=utc_ms)
        self.new_id = new_id
        self.steps = AlarmSteps(
            journal,
            link,
            self.register,
            self.viewers,
            process_id=process_id,
            clock=clock,
            utc_ms=utc_ms,
        )
        self.devices = DeviceAlarms(self.steps, end=self._end)
        self._link = link
        self._process_id = process_id
        self._clock = clock
        self._utc_ms = utc_ms
        self._settings: Mapping[str, AlarmSettings] = {}
        self._default = AlarmSettings()
        self._silent_since: dict[str, float] = {}
        """Streams with open alarms that nobody writes, and since when."""
        self._not_stored: AlarmRecord | None = None
        """The alarm that stands while the journal takes none."""
        self._stray_since: dict[str, float] = {}
        self._fault_at = 0.0
        """When the journal last took none."""
        self._abandoned_since: dict[str, float] = {}
        """By the id of the alarm that will say so, since when this process has seen it."""
        self._wards: set[str] = set()

    def begin(self, open_at_start: Iterable[AlarmRecord]) -> None:
        """These are open, as the journal has it."""
        for record in open_at_start:
            self.steps.hear(record)

    # -- the analysis of the streams that are written here

    def standing(self, info: StreamInfo) -> list[Alarm]:
        """The alarms of this epoch that its analysis may go on with; those of older epochs end."""
        alarms = []
        for record in self.register.open_of(info.stream):
            facts = record.facts
            if facts.epoch < info.epoch and record.cleared_ms is None:
                self._end(record, ANALYSIS)
            elif (
                facts.epoch == info.epoch and _is_analysis_of(facts, *AlarmKind) and self.steps.is_on(record)
            ):
                alarms.append(alarm_of(facts))
        return alarms

    def settings(self, stream: str) -> AlarmSettings:
        """What has been set for the patient."""
        return self._settings.get(stream, self._default)

    def apply_settings(self, settings: Mapping[str, AlarmSettings]) -> None:
        """These hold from now on; streams that are not named have the default."""
        was_off = {stream for stream, known in self._settings.items() if known.is_off}
        off = {stream for stream, known in settings.items() if known.is_off}
        self._settings = settings
        for stream in off - was_off:
            for record in self.register.open_of(stream):
                is_said_of_it = _is_analysis_of(record.facts, AlarmKind.ALARMS_OFF)
                # A device that knows its alarm to be safe does not say it again: it waits, unseen.
                if not is_said_of_it and not (_is_of_device(record) and self.steps.is_on(record)):
                    self.steps.close(record, OFF)
        for stream in was_off - off:
            for record in filter(_is_of_device, self.register.open_of(stream)):
                self.viewers.tell(record, is_new=record.state is AlarmState.ACTIVE)
        self.viewers.look_again(off ^ was_off)

    def take(self, info: StreamInfo, events: Sequence[AlarmEvent]) -> None:
        """Changes that the analysis has found, in their order."""
        for event in events:
            alarm = event.alarm
            known = self.register.get(alarm.id)
            if event.change is Change.ENDED:
                if known is not None and known.cleared_ms is None:
                    self.steps.step(known, AlarmStep.CLEARED, ANALYSIS)
                continue
            if known is None:
                self.steps.raise_(facts_of(info, alarm, 0), ANALYSIS)
            else:
                facts = facts_of(info, alarm, known.facts.revision + 1)
                self.steps.step(known, AlarmStep.UPDATED, ANALYSIS, facts=facts)

    def settle(self, info: StreamInfo, on: Collection[str]) -> Collection[str]:
        """Those of `on` that were ended elsewhere; what is open beside them is ended after STRAY_S."""
        now = self._clock()
        for record in self.register.open_of(info.stream):
            facts = record.facts
            of_analysis = facts.origin is AlarmOrigin.ANALYSIS and facts.epoch <= info.epoch
            if (
                record.alarm in on
                or not (of_analysis or facts.epoch < info.epoch)
                or not self.steps.is_on(record)
            ):
                self._stray_since.pop(record.alarm, None)
            elif now - self._stray_since.setdefault(record.alarm, now) >= STRAY_S:
                self.steps.step(record, AlarmStep.CLEARED, ANALYSIS)
        known = {alarm: self.register.get(alarm) for alarm in on}
        return [alarm for alarm, record in known.items() if record is None or record.cleared_ms is not None]

    # -- viewers

    async def attend(self, wards: Collection[str]) -> None:
        """Hear of the alarms of these wards from other processes as they happen."""
        for ward in sorted(set(wards) - self._wards):
            self._wards.add(ward)
            await self._link.join(ward_group(ward))

    def displayed(self, viewer: AlarmViewer, alarms: Iterable[str], *, hidden: bool) -> None:
        """A viewer says that people see these. The journal keeps the first time, and who it was."""
        for record in self.viewers.displayed(viewer, alarms):
            if record.displayed_ms is None:
                self.steps.note(record, AlarmStep.DISPLAYED, viewer.actor, hidden=hidden)

    def why_not_acknowledge(self, viewer: AlarmViewer, alarm: str) -> str | None:
        """Why its user cannot, whatever its rights; None where it can."""
        record = self.register.get(alarm)
        is_there = record is not None and not record.is_closed and self.viewers.shows(viewer, record)
        return None if is_there else "the alarm is over, or not for you"

    def acknowledge(self, viewer: AlarmViewer, alarm: str, *, by: str) -> None:
        """Its user, who may, has seen to an alarm. Raises ForbiddenError for one that it cannot see."""
        if (reason := self.why_not_acknowledge(viewer, alarm)) is not None:
            raise ForbiddenError(reason)
        record = self.register.get(alarm)
        if record is not None and record.acknowledged_ms is None:
            self.steps.step(record, AlarmStep.ACKNOWLEDGED, viewer.actor, by=by)

    # -- other processes

    def hear(self, message: LayerMessage) -> None:
        """What another process says of an alarm."""
        if message.get("origin") == self._process_id:
            return
        try:
            record = AlarmRecord.from_dict(message["record"])
        except (KeyError, TypeError, ValueError) as error:
            logger.warning("process %s tells alarms that cannot be read: %r", message.get("origin"), error)
            return
        self.steps.hear(record)

    async def poll(self) -> None:
        """Find in the journal what was not heard."""
        while news := await self.steps.journal.news():
            for record in news:
                self.steps.hear(record)

    def tend(self) -> None:
        """Twice a second: send again what is not displayed, and tell when alarms are not stored."""
        self.viewers.tend()
        self.register.forget(self._clock())
        is_open = {record.alarm for record in self.register.open()}
        self._stray_since = {alarm: at for alarm, at in self._stray_since.items() if alarm in is_open}
        self._watch_journal()
        self.steps.watch_unstored()

    async def tend_orphans(
        self,
        written: Callable[[Collection[str]], Awaitable[Collection[str]]],
        ended: Callable[[Collection[str]], Awaitable[Collection[str]]],
    ) -> None:
        """End what has nobody left who could: alarms of streams that nobody writes, or that are over.

        What is raised anew when samples come ends. That there are none, or that alarms are off, is true
        meanwhile; and a device that was told that its alarm is safe does not say it again in that session.
        """
        of_streams = {record.facts.stream for record in self.register.open() if record.facts.stream}
        if not of_streams:
            self._silent_since.clear()
            return
        now, over, online = self._clock(), set(await ended(of_streams)), set(await written(of_streams))
        silent = of_streams - online
        self._silent_since = {stream: self._silent_since.get(stream, now) for stream in silent}
        for record in self.register.open():
            stream = record.facts.stream
            is_orphan = stream in silent and now - self._silent_since[stream] >= ORPHAN_S
            if stream in over:
                self.steps.close(record, ADMISSION)
            elif is_orphan and record.cleared_ms is None and self._needs_writer(record.facts):
                self.steps.step(record, AlarmStep.CLEARED, ORPHANS)

    def tend_abandoned(self, streams: Mapping[StreamInfo, str]) -> None:
        """Say that these send no data: the process that had them may be gone, and their analysis with it.

        One that lives has said so after 10 s. Each silence has a mark, which is a part of the alarm's id, so
        that all processes say the same.
        """
        now = self._clock()
        silences = {f"{info.stream}.{info.epoch}.{mark}": info for info, mark in streams.items()}
        self._abandoned_since = {alarm: self._abandoned_since.get(alarm, now) for alarm in silences}
        for alarm, info in silences.items():
            if now - self._abandoned_since[alarm] < ABANDONED_S:
                continue
            is_said = any(
                _is_analysis_of(record.facts, AlarmKind.NO_DATA) and self.steps.is_on(record)
                for record in self.register.open_of(info.stream)
            )
            is_known = is_said or self.register.get(alarm) is not None
            if not (is_known or self.settings(info.stream).is_off):
                self.steps.raise_(no_data_facts(info, alarm), ORPHANS)

    def _is_withheld(self, record: AlarmRecord) -> bool:
        """What a device says while its patient's alarms are off is kept, and shown when they are on again."""
        return _is_of_device(record) and self.settings(record.facts.stream).is_off

    def _end(self, record: AlarmRecord, actor: str) -> None:
        """Its condition holds no more; while alarms are off nobody need hear of it later."""
        if self.settings(record.facts.stream).is_off:
            self.steps.close(record, actor, for_=OFF)
        elif record.cleared_ms is None:
            self.steps.step(record, AlarmStep.CLEARED, actor)

    def _needs_writer(self, facts: AlarmFacts) -> bool:
        """Whether nobody knows any more that its condition holds, while no samples come."""
        if facts.origin is not AlarmOrigin.ANALYSIS or facts.kind == AlarmKind.NO_DATA:
            return False
        return facts.kind != AlarmKind.ALARMS_OFF or not self.settings(facts.stream).is_off

    # -- storing, then telling

    def _watch_journal(self) -> None:
        """Tell when alarms are not stored; that alarm itself is of this process, and is not stored."""
        fault, known = self.steps.journal.fault, self._not_stored
        now = self._clock()
        if fault is not None:
            self._fault_at = now
        if fault is not None and known is None:
            alarm = f"{self._process_id}.{self.new_id()}"
            self._not_stored = AlarmRecord(not_stored_facts(alarm), self._utc_ms(), unstored=True)
            self.steps.hear(self._not_stored)
        elif known is not None and now - self._fault_at >= STORED_FOR_S:
            self._not_stored = None
            self.steps.hear(replace(known, cleared_ms=self._utc_ms()))


def _is_of_device(record: AlarmRecord) -> bool:
    return record.facts.origin is AlarmOrigin.DEVICE


def _is_analysis_of(facts: AlarmFacts, *kinds: AlarmKind) -> bool:
    """Whether an analysis has raised it, about one of these; a device may use the same words."""
    return facts.origin is AlarmOrigin.ANALYSIS and facts.kind in kinds
