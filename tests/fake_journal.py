"""A journal of alarms in memory, shared by the desks of several processes; a test can lock it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from streaming.core.alarm_record import AlarmEntry, AlarmRecord, AlarmStep, folded


@dataclass
class Store:
    """What is committed, by all processes."""

    entries: list[AlarmEntry] = field(default_factory=list)

    def record(self, alarm: str) -> AlarmRecord | None:
        return folded(entry for entry in self.entries if entry.alarm == alarm)

    def records(self) -> list[AlarmRecord]:
        by_alarm: dict[str, list[AlarmEntry]] = {}
        for entry in self.entries:
            by_alarm.setdefault(entry.alarm, []).append(entry)
        return [record for entries in by_alarm.values() if (record := folded(entries)) is not None]

    def steps(self, alarm: str) -> list[AlarmStep]:
        return [entry.step for entry in self.entries if entry.alarm == alarm]


class FakeReceipt:
    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.stored: asyncio.Future[None] = loop.create_future()
        self.durable: asyncio.Future[None] = loop.create_future()


class FakeJournal:
    """One process's. While it is locked, entries wait; `durable` is then a matter of the spool's 0.2 s."""

    def __init__(self, store: Store) -> None:
        self.fault: str | None = None
        self._store = store
        self._is_locked = False
        self._waiting: list[tuple[Sequence[AlarmEntry], FakeReceipt]] = []
        self._read = 0
        self.asked_for: list[str] = []

    @property
    def waiting(self) -> int:
        return sum(len(entries) for entries, _ in self._waiting)

    async def start(self) -> list[AlarmRecord]:
        return [record for record in self._store.records() if not record.is_closed]

    async def aclose(self, timeout_s: float) -> None:
        """What waits is lost."""

    def append(self, entries: Sequence[AlarmEntry]) -> FakeReceipt:
        receipt = FakeReceipt()
        self._waiting.append((entries, receipt))
        if self._is_locked:
            asyncio.get_running_loop().call_later(0.2, _settle, receipt.durable)
        else:
            asyncio.get_running_loop().call_later(0.001, self._commit)
        return receipt

    def lock(self) -> None:
        self._is_locked, self.fault = True, "database is locked"

    def unlock(self) -> None:
        self._is_locked, self.fault = False, None
        self._commit()

    def die(self) -> list[AlarmEntry]:
        """The process is killed: what was on disk, and nothing else, is there for another."""
        self._is_locked = True
        waiting, self._waiting = self._waiting, []
        for _, receipt in waiting:
            receipt.stored.cancel()
        return [entry for entries, receipt in waiting if receipt.durable.done() for entry in entries]

    async def news(self) -> list[AlarmRecord]:
        new, self._read = self._store.entries[self._read :], len(self._store.entries)
        records = (self._store.record(alarm) for alarm in dict.fromkeys(entry.alarm for entry in new))
        return [record for record in records if record is not None]

    async def find(self, alarm: str) -> AlarmRecord | None:
        self.asked_for.append(alarm)
        return self._store.record(alarm)

    def _commit(self) -> None:
        if self._is_locked:
            return
        waiting, self._waiting = self._waiting, []
        for entries, receipt in waiting:
            self._store.entries += entries
            _settle(receipt.stored)
            _settle(receipt.durable)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
