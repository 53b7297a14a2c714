"""The history as a source of what viewers lack: the last one that is asked, behind the rings."""

from __future__ import annotations

import asyncio
import logging
from functools import lru_cache, partial

from channels.db import database_sync_to_async
from django.db import Error as DatabaseFault

from streaming.core.ring import AWAY, NOTHING, Page
from streaming.core.streams import StreamInfo
from streaming.store import access, history
from streaming.store.own_thread import DatabaseThread
from streaming.store.routing import HISTORY

logger = logging.getLogger(__name__)

DEADLINE_S = 5.0
"""A database that takes longer for a page is away, for whoever waits for it."""


class HistorySource:
    """Reads pages on a thread of its own: it is behind neither what is written nor who signs in.

    A database that fails or hangs is `AWAY`, and that is said once an outage. The owner calls `close`.
    """

    def __init__(self, *, deadline_s: float = DEADLINE_S) -> None:
        self._thread = DatabaseThread(HISTORY, name="vital-history-read")
        self._deadline_s = deadline_s
        self._failing = False

    async def read(self, stream: str, epoch: int, first: int, stop: int, *, max_bytes: int) -> Page:
        """As every `sources.FrameSource`."""
        try:
            async with asyncio.timeout(self._deadline_s):
                found = await self._thread.run(
                    partial(history.read, stream, epoch, first, stop, max_bytes=max_bytes)
                )
                info = await database_sync_to_async(_info_of)(stream, epoch) if found.frames else None
        except (DatabaseFault, TimeoutError) as error:
            if not self._failing:
                logger.warning("the history cannot be read: %s", type(error).__name__)
            self._failing = True
            return AWAY
        self._failing = False
        if info is None:  # an admission that was deleted meanwhile
            return NOTHING
        return Page(info, tuple(reversed(found.frames)), found.next)

    def close(self) -> None:
        """End the thread, after what it was given; returns at once."""
        self._thread.close()


@lru_cache(maxsize=256)
def _known(stream: str, epoch: int) -> StreamInfo:
    info = access.epoch_info(stream, epoch)
    if info is None:
        raise LookupError
    return info


def _info_of(stream: str, epoch: int) -> StreamInfo | None:
    """What an epoch consists of; it never changes. One query for each that was not asked for lately."""
    try:
        return _known(stream, epoch)
    except LookupError:
        return None
