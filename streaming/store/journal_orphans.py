"""What dead processes left in their spools, stored by the living: at a start, and every ten seconds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from streaming.store import spool
from streaming.store.journal_rows import Line
from streaming.store.own_thread import OwnThread
from streaming.store.spool import Orphan

logger = logging.getLogger(__name__)

EVERY_S = 10.0
PART_LINES = 200
"""So that what happens now is stored between the parts of a long file."""


class Orphans:
    """The spools in a directory; `store` returns once the lines that it is given are committed."""

    def __init__(
        self, directory: Path, disk: OwnThread, store: Callable[[Sequence[Line]], Awaitable[None]]
    ) -> None:
        self._directory = directory
        self._disk = disk
        self._store = store
        self._fault = ""

    async def take_over_on(self, once: asyncio.Event) -> None:
        """Look again and again, until it is cancelled; `once` is set after the first time."""
        while True:
            try:
                await self.take_over()
                self._fault = ""
            except OSError as error:
                if self._fault != str(error):
                    logger.warning("spools of other processes cannot be taken over: %s", error)
                self._fault = str(error)
            once.set()
            await asyncio.sleep(EVERY_S)

    async def take_over(self) -> None:
        """Store what there is now, file by file, and delete each. Raises OSError."""
        found = spool.orphans(self._directory)
        while (orphan := await self._disk.run(lambda: next(found, None))) is not None:
            try:
                await self._take_over_one(orphan)
            finally:
                orphan.leave()

    async def _take_over_one(self, orphan: Orphan) -> None:
        entries = 0
        while lines := await self._disk.run(partial(orphan.read, PART_LINES)):
            await self._store(lines)
            entries += len(lines)
        await self._disk.run(orphan.finish)
        logger.warning("%d journal entries that a process had left are stored", entries)
