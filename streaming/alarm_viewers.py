"""Who is told of which alarms here, until their pages say that people see them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass, field

from streaming.core import alarm_messages
from streaming.core.alarm_queue import AlarmQueue, rank_of
from streaming.core.alarm_record import AlarmRecord, AlarmSeverity, AlarmState
from streaming.core.alarm_register import AlarmRegister
from streaming.core.audio_pauses import AudioPauses
from streaming.core.frames import pack_json_frame
from streaming.core.priority import MessagePriority
from streaming.subscriber import Subscriber

ROOM_BYTES, URGENT_ROOM_BYTES = 16 * 1024, 32 * 1024
"""What waits in a connection's queue about alarms, and with what is urgent: all alarms of a large hospital
would be more control than a connection may hold."""


@dataclass(slots=True, eq=False)
class AlarmViewer:
    """A connected viewer, what it may see, and what its user may do.

    `who` is whose audio pause it shares; `actor` is how the journal names it.
    """

    subscriber: Subscriber
    who: Hashable
    actor: str
    streams: frozenset[str] = frozenset()
    may: frozenset[str] = frozenset()
    told: set[str] = field(default_factory=set)
    """Alarms of which it was told something, or is going to be: it hears of their end."""
    waiting: AlarmQueue = field(default_factory=AlarmQueue)
    """Alarms of which it is to be told something, and that do not fit yet."""
    is_complete: bool = False
    """Whether it has been said that all that is open was told."""

    def sees(self, record: AlarmRecord) -> bool:
        """Alarms of the system are for all."""
        return not record.facts.stream or record.facts.stream in self.streams


class AlarmViewers:
    """Tells each viewer every open alarm of its streams, whatever it subscribes to. Never waits.

    `is_withheld` says which alarms nobody is to see now; `look_again` is called where its answer changes.
    """

    def __init__(
        self,
        register: AlarmRegister,
        *,
        is_withheld: Callable[[AlarmRecord], bool],
        clock: Callable[[], float],
        utc_ms: Callable[[], float],
    ) -> None:
        self._register = register
        self._is_withheld = is_withheld
        self._clock = clock
        self._utc_ms = utc_ms
        self._viewers: dict[AlarmViewer, None] = {}
        self._pauses = AudioPauses()
        self._frames: dict[str, tuple[AlarmRecord, bytes]] = {}
        """Each open alarm as it was last told, made once for all."""

    def enter(self, viewer: AlarmViewer) -> None:
        """A viewer has connected: it is told all that is open for it, then that this was all."""
        self._viewers[viewer] = None
        viewer.subscriber.on_alarms_left = lambda: self._on_alarms_left(viewer)
        self._tell_all(viewer)

    def leave(self, viewer: AlarmViewer) -> None:
        """It is gone."""
        self._viewers.pop(viewer, None)
        viewer.subscriber.on_alarms_left = None

    def see(self, viewer: AlarmViewer, streams: frozenset[str], may: frozenset[str]) -> None:
        """It may see these streams from now on, and its user do this."""
        if (streams, may) != (viewer.streams, viewer.may):
            viewer.streams, viewer.may = streams, may
            self._look_again(viewer)

    def shows(self, viewer: AlarmViewer, record: AlarmRecord) -> bool:
        """Whether the viewer is to see the alarm."""
        return viewer.sees(record) and not self._is_withheld(record)

    def look_again(self, streams: Collection[str]) -> None:
        """What is withheld of these streams has changed."""
        for viewer in self._viewers:
            if not viewer.streams.isdisjoint(streams):
                self._look_again(viewer)

    def tell(self, record: AlarmRecord, *, is_new: bool = False) -> None:
        """Something has become of an alarm; `is_new` ends the pauses of who sees it."""
        if self._is_withheld(record):
            return
        breaks_pauses = is_new and record.facts.severity is not AlarmSeverity.LOW
        if breaks_pauses:  # whoever comes back finds sound: what they see is not known while they are away
            self._pauses.break_but_for({viewer.who for viewer in self._viewers})
        for viewer in [viewer for viewer in self._viewers if viewer.sees(record)]:
            if breaks_pauses:
                self._break_pause(viewer, record.alarm)
            viewer.waiting.put(record.alarm, rank_of(record))
            self._pump(viewer)
        if record.is_closed:
            self._frames.pop(record.alarm, None)

    def displayed(self, viewer: AlarmViewer, alarms: Iterable[str]) -> list[AlarmRecord]:
        """It says that people see these; those of them that it was told of and had not said it of."""
        seen = []
        for alarm in alarms:
            record = self._register.get(alarm)
            if record is not None and alarm in viewer.told and viewer.subscriber.alarms.displayed(alarm):
                seen.append(record)
        return seen

    def pause(self, viewer: AlarmViewer, seconds: int) -> None:
        """No sound for so long, on all connections of its user here; 0 ends that."""
        self._pauses.pause(viewer.who, seconds, self._clock())
        until_ms = self._paused_until_ms(viewer)
        for other in self._viewers:
            if other.who == viewer.who:
                other.subscriber.tell(alarm_messages.audio(until_ms), key="audio")

    def tend(self) -> None:
        """Send again what nobody says they see, and what waited for room."""
        now = self._clock()
        for viewer in self._viewers:
            for alarm in viewer.subscriber.alarms.due(now):
                if (record := self._register.get(alarm)) is not None:
                    viewer.waiting.put(alarm, rank_of(record))
            if viewer.waiting:
                self._pump(viewer)

    @property
    def undisplayed(self) -> int:
        """How many alarms viewers were told of and do not show yet, each counted for each viewer."""
        return sum(viewer.subscriber.alarms.undisplayed for viewer in self._viewers)

    def _look_again(self, viewer: AlarmViewer) -> None:
        """What it may see has changed."""
        for alarm in tuple(viewer.told):
            record = self._register.get(alarm)
            if record is None or not self.shows(viewer, record):
                self._withdraw(viewer, alarm, record)
        self._tell_all(viewer)

    def _tell_all(self, viewer: AlarmViewer) -> None:
        for record in self._register.open():
            if record.alarm not in viewer.told and self.shows(viewer, record):
                viewer.told.add(record.alarm)
                viewer.waiting.put(record.alarm, rank_of(record))
        viewer.is_complete = False
        self._pump(viewer)

    def _on_alarms_left(self, viewer: AlarmViewer) -> None:
        """Some have left: what waits goes on, behind what the connection is doing now."""
        if viewer.waiting:
            asyncio.get_running_loop().call_soon(self._pump, viewer)

    def _pump(self, viewer: AlarmViewer) -> None:
        if viewer not in self._viewers:
            return
        subscriber = viewer.subscriber
        while (queued := subscriber.alarms.queued_bytes) < URGENT_ROOM_BYTES:
            alarm = viewer.waiting.take(urgent_only=queued >= ROOM_BYTES)
            if alarm is None:
                break
            record = self._register.get(alarm)
            if record is None or not self.shows(viewer, record):
                if alarm in viewer.told:
                    self._withdraw(viewer, alarm, record)
            elif not record.is_closed:
                viewer.told.add(alarm)
                subscriber.tell_alarm(alarm, self._frame(record), record.facts.priority)
            elif alarm in viewer.told:
                viewer.told.discard(alarm)
                subscriber.tell_alarm(alarm, self._frame(record), record.facts.priority)
                subscriber.alarms.over(alarm)
        if not (viewer.is_complete or viewer.waiting):
            viewer.is_complete = True
            may, until_ms = sorted(viewer.may), self._paused_until_ms(viewer)
            subscriber.tell(
                alarm_messages.alarms(len(viewer.told), may=may, paused_until_ms=until_ms), key="alarms"
            )

    def _withdraw(self, viewer: AlarmViewer, alarm: str, record: AlarmRecord | None) -> None:
        """It is not for this viewer any more, which may show it still."""
        viewer.told.discard(alarm)
        viewer.waiting.discard(alarm)
        priority = MessagePriority.CRITICAL if record is None else record.facts.priority
        viewer.subscriber.withdraw_alarm(alarm, priority)

    def _frame(self, record: AlarmRecord) -> bytes:
        known = self._frames.get(record.alarm)
        if known is not None and known[0] == record:
            return known[1]
        frame = pack_json_frame(alarm_messages.alarm(record))
        if record.state is not AlarmState.CLOSED:
            self._frames[record.alarm] = record, frame
        return frame

    def _paused_until_ms(self, viewer: AlarmViewer) -> float | None:
        left_s = self._pauses.left_s(viewer.who, self._clock())
        return None if left_s is None else self._utc_ms() + 1000 * left_s

    def _break_pause(self, viewer: AlarmViewer, alarm: str) -> None:
        if self._pauses.break_for(viewer.who, self._clock()):
            for other in self._viewers:
                if other.who == viewer.who:
                    other.subscriber.tell(alarm_messages.audio(None, broken_by=alarm), key="audio")
