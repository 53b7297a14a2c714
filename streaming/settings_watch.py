"""Which settings this process runs: the newest that are usable, and the word of it for all to read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from channels.db import database_sync_to_async

from streaming.core.profiles import ProfileSet
from streaming.exceptions import ProfileError
from streaming.store import processes, profiles
from streaming.store.processes import Refusal

logger = logging.getLogger(__name__)


class SettingsWatch:
    """Loads what is new and hands it to `apply`; what is not usable leaves the last good settings in force.

    `due` is set when there is something to report before its time.
    """

    def __init__(self, process_id: str, apply: Callable[[ProfileSet], None]) -> None:
        self.held = ProfileSet()
        self.due = asyncio.Event()
        self.due.set()
        self._process_id = process_id
        self._apply = apply
        self._refusal: Refusal | None = None

    async def load(self) -> None:
        """Take the newest settings, if they are others; a bad row costs nothing but itself."""
        version = await database_sync_to_async(profiles.current_version)()
        if version == self.held.version and not await self._streams_have_moved():
            self._refuse(None)
            return
        try:
            loaded = await database_sync_to_async(profiles.load)()
        except ProfileError as error:
            self._refuse(Refusal(version, str(error)))
            return
        self.held = loaded
        self._apply(loaded)
        self._refusal = None
        self.due.set()
        logger.info("settings version %s in force", loaded.version)

    async def report(self) -> None:
        """Say which version is in force here, off the data path."""
        await database_sync_to_async(processes.report)(self._process_id, self.held.version, self._refusal)

    async def leave(self) -> None:
        """The process ends."""
        await database_sync_to_async(processes.leave)(self._process_id)

    def _refuse(self, refusal: Refusal | None) -> None:
        """Say once what is not usable; None when that is over."""
        if refusal == self._refusal:
            return
        self._refusal = refusal
        self.due.set()
        if refusal is not None:
            logger.warning(
                "settings version %s is not usable, the former stays in force: %s",
                refusal.version,
                refusal.reason,
            )

    async def _streams_have_moved(self) -> bool:
        """Whether another stream lies in a ward that has settings of its own."""
        wards = self.held.wards
        return bool(wards) and await database_sync_to_async(profiles.places)(wards) != self.held.places
