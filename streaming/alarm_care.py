"""What a process does about alarms as time goes by: it polls the journal, and ends what nobody else ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from channels.db import database_sync_to_async
from django.db import Error as DatabaseFault

from streaming.alarm_desk import AlarmDesk
from streaming.alarm_steps import ALARM_MESSAGE
from streaming.layer_link import CONTROL_GROUP, LayerLink, LayerMessage
from streaming.repeating import repeat
from streaming.store import access, alarm_settings
from streaming.store.alarm_settings import alarm_settings_changed
from streaming.store.journal import AlarmJournal

logger = logging.getLogger(__name__)

SETTINGS_NOTICE = "vital.alarm.settings"
POLL_S = 1.5
"""What the layer loses is told after 2 s at the latest."""
TEND_S = 0.5
ORPHANS_EVERY_S = 10.0
REFRESH_DEADLINE_S = 0.5
"""For the journal, before a device is let in: its alarms may have been raised at another process."""


class AlarmCare:
    """Owns the process's journal and its desk. The owner calls `start`, then `aclose`."""

    def __init__(
        self, link: LayerLink, *, process_id: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._journal = AlarmJournal(clock=clock)
        self._link = link
        self._process_id = process_id
        self.desk = AlarmDesk(self._journal, link, process_id=process_id, clock=clock)
        self._settings_changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, written: Callable[[Collection[str]], Awaitable[Collection[str]]]) -> None:
        """Take in what is open and what is set; `written` says which of some streams a device writes now."""
        self._loop = asyncio.get_running_loop()
        self.desk.begin(await self._journal.start())
        await self._load_settings()
        alarm_settings_changed.connect(self._on_settings_changed)
        works: tuple[tuple[str, asyncio.Event, float, Callable[[bool], Awaitable[None]]], ...] = (
            ("journal", asyncio.Event(), POLL_S, lambda _: self._poll()),
            ("settings", self._settings_changed, POLL_S, lambda _: self._load_settings()),
            ("tend", asyncio.Event(), TEND_S, lambda _: self._tend()),
            ("orphans", asyncio.Event(), ORPHANS_EVERY_S, lambda _: self._tend_orphans(written)),
        )
        self._tasks = [
            asyncio.create_task(repeat(event, every_s, act), name=f"vital-alarms-{name}")
            for name, event, every_s, act in works
        ]

    async def aclose(self, timeout_s: float) -> None:
        """End; what is not stored within `timeout_s` is left in the spool."""
        alarm_settings_changed.disconnect(self._on_settings_changed)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._journal.aclose(timeout_s)

    async def refresh(self) -> None:
        """Know what other processes have stored until now, as far as the journal answers soon."""
        with contextlib.suppress(DatabaseFault, TimeoutError):
            async with asyncio.timeout(REFRESH_DEADLINE_S):
                await self._poll()

    @property
    def degraded(self) -> str | None:
        """Why alarms are not stored now, for people; None while they are."""
        fault = self._journal.fault
        return (
            None if fault is None else f"shown, and not stored: {fault}; {self._journal.waiting} entries wait"
        )

    @property
    def waiting(self) -> int:
        """Entries of the journal that are not yet committed."""
        return self._journal.waiting

    def hear(self, message: LayerMessage) -> None:
        """What another process says."""
        if message["type"] == ALARM_MESSAGE:
            self.desk.hear(message)
        elif message["type"] == SETTINGS_NOTICE:
            self._settings_changed.set()

    async def _poll(self) -> None:
        await self.desk.poll()

    async def _tend(self) -> None:
        self.desk.tend()

    async def _tend_orphans(self, written: Callable[[Collection[str]], Awaitable[Collection[str]]]) -> None:
        async def ended(streams: Collection[str]) -> Collection[str]:
            over: set[str] = await database_sync_to_async(access.ended_streams)(streams)
            return over

        await self.desk.tend_orphans(written, ended)
        self.desk.tend_abandoned(await database_sync_to_async(access.abandoned_streams)())

    async def _load_settings(self) -> None:
        self.desk.apply_settings(await database_sync_to_async(alarm_settings.load)())

    def _on_settings_changed(self, **_signal: Any) -> None:
        """From whichever thread Django ran in: act here, and tell the other processes."""
        assert self._loop is not None, "connected by start"
        self._loop.call_soon_threadsafe(self._settings_changed.set)
        notice = {"type": SETTINGS_NOTICE, "origin": self._process_id}
        self._loop.call_soon_threadsafe(self._link.publish, CONTROL_GROUP, notice)
