"""What happens to alarms: on disk first, then known here, and told to viewers and to other processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from streaming.alarm_viewers import AlarmViewers
from streaming.core.alarm_record import AlarmEntry, AlarmFacts, AlarmRecord, AlarmState, AlarmStep
from streaming.core.alarm_register import AlarmRegister
from streaming.exceptions import JournalAwayError
from streaming.layer_link import LayerLink

ALARM_MESSAGE = "vital.alarm"
PUBLISHER = "system:desk"
STORE_DEADLINE_S = 0.2
"""What is not stored after so long is told all the same, marked."""
FIND_DEADLINE_S = 0.5
FOREIGN_S = 15.0
"""What another process has told and not stored for so long is stored here: dead ones' spools are, in 10 s."""
TAKEN_OVER, OFF, SUPERSEDED = "system:taken-over", "system:off", "system:superseded"
MOST_ENDED = 32
"""Of one stream, ended and not acknowledged: the newest; what is older is in the journal."""


class Receipt(Protocol):
    """What becomes of entries that were given to the journal."""

    stored: asyncio.Future[None]
    """Done when they are committed."""
    durable: asyncio.Future[None]
    """Done when they are on disk, in the journal or beside it."""


class Journal(Protocol):
    """Where alarms are stored; nothing here waits but what is awaited."""

    @property
    def fault(self) -> str | None:
        """Why nothing is stored now."""

    def append(self, entries: Sequence[AlarmEntry]) -> Receipt:
        """Store these, in this order."""

    async def news(self) -> list[AlarmRecord]:
        """What any process has stored since the last time."""

    async def find(self, alarm: str) -> AlarmRecord | None:
        """What is stored of one alarm."""


class AlarmSteps:
    """One process's. A step is on disk before it is known of; one that is raised is told after 200 ms in any
    case, marked as not stored. `process_id` names the process to others.
    """

    def __init__(
        self,
        journal: Journal,
        link: LayerLink,
        register: AlarmRegister,
        viewers: AlarmViewers,
        *,
        process_id: str,
        clock: Callable[[], float],
        utc_ms: Callable[[], float],
    ) -> None:
        self.journal = journal
        self.register = register
        self._link = link
        self._viewers = viewers
        self._process_id = process_id
        self._clock = clock
        self._utc_ms = utc_ms
        self._pending: dict[str, Receipt] = {}
        """Of alarms whose last entry is not stored yet."""
        self._underway: set[tuple[str, AlarmStep]] = set()
        """Steps that are not on disk yet, and not known of."""
        self._latest: dict[str, tuple[str, AlarmFacts]] = {}
        """Of alarms with an update underway, the newest that came meanwhile, and whose it is."""
        self._unstored_since: dict[str, float] = {}

    def is_on(self, record: AlarmRecord) -> bool:
        """Whether its condition holds, as far as it is known here, on disk or not."""
        return record.cleared_ms is None and (record.alarm, AlarmStep.CLEARED) not in self._underway

    def pending(self, alarm: str) -> Receipt | None:
        """What becomes of the last entry about it; None where that is stored."""
        return self._pending.get(alarm)

    def raise_(self, facts: AlarmFacts, actor: str) -> None:
        """What is urgent: told before it is on disk, where that takes too long.

        It takes the place of the oldest of its stream that has ended, where there are too many.
        """
        self._make_room(facts.stream)
        entry = self.entry(AlarmStep.RAISED, facts.alarm, actor, facts=facts)
        self.register.take(AlarmRecord(facts, entry.at_ms, unstored=True), self._clock())
        telling = _Telling(lambda: self._tell(facts.alarm, is_new=True))
        telling.within(STORE_DEADLINE_S)
        self.append(entry, telling)

    def step(
        self,
        record: AlarmRecord,
        step: AlarmStep,
        actor: str,
        *,
        facts: AlarmFacts | None = None,
        by: str = "",
    ) -> None:
        """Anything else is known of once it is on disk: others would take for done what may yet be lost.

        What is underway is not begun again; of updates that come meanwhile the newest follows.
        """
        alarm = record.alarm
        if (alarm, step) in self._underway:
            if facts is not None:
                self._latest[alarm] = actor, facts
            return
        self._underway.add((alarm, step))
        entry = self.entry(step, alarm, actor, facts=facts, by=by)
        receipt = self.append(entry)

        def happened(done: asyncio.Future[None]) -> None:
            self._underway.discard((alarm, step))
            known = self.register.get(alarm)
            if known is not None and not done.cancelled():
                self.hear(known.after(entry))
                known = self.register.get(alarm) or known
                self._publish(known)
                self._update_again(known)

        receipt.durable.add_done_callback(happened)

    def _update_again(self, record: AlarmRecord) -> None:
        """Go on with what came while an update was underway."""
        if (record.alarm, AlarmStep.UPDATED) in self._underway or record.alarm not in self._latest:
            return
        actor, facts = self._latest.pop(record.alarm)
        if self.is_on(record):
            facts = replace(facts, revision=record.facts.revision + 1)
            self.step(record, AlarmStep.UPDATED, actor, facts=facts)

    def close(self, record: AlarmRecord, actor: str, *, for_: str = "") -> None:
        """Nobody is to see it any more, whether or not somebody has acknowledged it.

        `actor` has ended it; that it needs no acknowledgement is in the name of `for_`, or of the same.
        """
        if record.cleared_ms is None:
            self.step(record, AlarmStep.CLEARED, actor)
        if record.facts.latching and record.acknowledged_ms is None:
            self.step(record, AlarmStep.ACKNOWLEDGED, for_ or actor)

    def _make_room(self, stream: str) -> None:
        ended = [record for record in self.register.open_of(stream) if record.state is AlarmState.ENDED]
        ended.sort(key=lambda record: record.raised_ms, reverse=True)
        for record in ended[MOST_ENDED - 1 :]:
            self.close(record, SUPERSEDED)

    def note(self, record: AlarmRecord, step: AlarmStep, actor: str, *, hidden: bool = False) -> None:
        """Store what nobody waits for."""
        entry = self.entry(step, record.alarm, actor, hidden=hidden)
        self.journal.append([entry])
        self.register.take(record.after(entry), self._clock())

    def store_again(self, record: AlarmRecord) -> None:
        """Store what another process has told, and perhaps never stored: it has died, or its disk fails."""
        at = record.raised_ms, self._clock()
        entry = AlarmEntry(AlarmStep.RAISED, record.alarm, *at, TAKEN_OVER, record.facts)
        self.append(entry)

    def append(self, entry: AlarmEntry, telling: _Telling | None = None) -> Receipt:
        alarm = entry.alarm
        receipt = self._pending[alarm] = self.journal.append([entry])

        def stored(done: asyncio.Future[None]) -> None:
            if self._pending.get(alarm) is receipt:
                del self._pending[alarm]
            known = self.register.get(alarm)
            # That a later step is stored says nothing of what another process has told first.
            was_raised = entry.step is AlarmStep.RAISED and not done.cancelled()
            is_news = was_raised and known is not None and known.unstored
            if known is not None and is_news:
                self.register.take(replace(known, unstored=False), self._clock())
            is_told = telling is not None and telling.once()
            if is_news and not is_told:
                self._tell(alarm)

        receipt.stored.add_done_callback(stored)
        return receipt

    def _tell(self, alarm: str, *, is_new: bool = False) -> None:
        """To the viewers here, then to other processes."""
        record = self.register.get(alarm)
        if record is None:
            return
        self._viewers.tell(record, is_new=is_new)
        self._publish(record)
        if is_new:
            self.note(record, AlarmStep.PUBLISHED, PUBLISHER)

    def _publish(self, record: AlarmRecord) -> None:
        if record.facts.ward:
            message = {"type": ALARM_MESSAGE, "origin": self._process_id, "record": record.to_dict()}
            self._link.publish(ward_group(record.facts.ward), message)

    def hear(self, record: AlarmRecord) -> None:
        was_known = self.register.get(record.alarm) is not None
        if (known := self.register.take(record, self._clock())) is not None:
            self._viewers.tell(known, is_new=not was_known and not known.is_closed)

    async def find(self, alarm: str) -> None:
        """Know what is stored of an alarm, if the journal answers."""
        if self.journal.fault is not None:
            return
        try:
            async with asyncio.timeout(FIND_DEADLINE_S):
                record = await self.journal.find(alarm)
        except (TimeoutError, JournalAwayError):
            return
        if record is not None:
            self.hear(record)

    def watch_unstored(self) -> None:
        """See to what another process has told and not stored for long: nobody else may live who knows it."""
        now = self._clock()
        unstored = {r.alarm: r for r in self.register.open() if r.unstored and r.facts.stream}
        self._unstored_since = {alarm: self._unstored_since.get(alarm, now) for alarm in unstored}
        for alarm, since in self._unstored_since.items():
            if now - since >= FOREIGN_S and alarm not in self._pending:
                self.store_again(unstored[alarm])

    def entry(
        self,
        step: AlarmStep,
        alarm: str,
        actor: str,
        *,
        facts: AlarmFacts | None = None,
        by: str = "",
        hidden: bool = False,
    ) -> AlarmEntry:
        return AlarmEntry(step, alarm, self._utc_ms(), self._clock(), actor, facts, by, hidden)


class _Telling:
    """Something that is told once, by whichever comes first."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell: Callable[[], None] | None = tell
        self._timer: asyncio.TimerHandle | None = None

    def within(self, seconds: float) -> None:
        """Tell it after so long in any case."""
        self._timer = asyncio.get_running_loop().call_later(seconds, self.once)

    def once(self) -> bool:
        """Tell it, unless that was done; whether it was done now."""
        tell, self._tell = self._tell, None
        if self._timer is not None:
            self._timer.cancel()
        if tell is None:
            return False
        tell()
        return True


def ward_group(ward: str) -> str:
    """The channel-layer group that carries a ward's alarms."""
    return f"ward.{ward}"
