"""The history as a source of what viewers lack: the last one that is asked, behind the rings."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial

from channels.db import database_sync_to_async
from django.db import Error as DatabaseFault

from streaming.core.breaker import Breaker
from streaming.core.ring import AWAY, NOTHING, Page
from streaming.core.streams import StreamInfo
from streaming.store import access, history
from streaming.store.own_thread import DatabaseThread
from streaming.store.routing import HISTORY

logger = logging.getLogger(__name__)

DEADLINE_S = 5.0
"""A database that takes longer for a page is away, for everybody."""
PASSED_OVER_S = 5.0
LONGEST_PASSED_OVER_S = 30.0
"""It is tried again so much later, by one reader alone: at first, and at most."""
INFO_KEPT_S = 60.0
"""What an epoch consists of never changes; whose it is, and in which ward, may."""
MAX_INFOS = 256


class HistorySource:
    """Reads pages on a thread of its own: it is behind neither what is written nor who signs in.

    One page at a time, in the order of the readers. A database that fails or hangs is `AWAY`, at once for all
    who wait, until one of them finds it well; that is said once an outage. The owner calls `close`.
    """

    def __init__(
        self, *, deadline_s: float = DEADLINE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._thread = DatabaseThread(HISTORY, name="vital-history-read")
        self._deadline_s = deadline_s
        self._clock = clock
        self._breaker = Breaker(first_s=PASSED_OVER_S, longest_s=LONGEST_PASSED_OVER_S)
        self._turn = asyncio.Lock()
        self._infos: dict[tuple[str, int], tuple[StreamInfo, float]] = {}
        """With the time at which each was read; the oldest first."""

    async def read(self, stream: str, epoch: int, first: int, stop: int, *, max_bytes: int) -> Page:
        """As every `sources.FrameSource`."""
        async with self._turn:
            if not self._breaker.lets_through(self._clock()):
                return AWAY
            try:
                async with asyncio.timeout(self._deadline_s):
                    found = await self._thread.run(
                        partial(history.read, stream, epoch, first, stop, max_bytes=max_bytes)
                    )
                    info = await self._info_of(stream, epoch) if found.frames else None
            except (DatabaseFault, TimeoutError) as error:
                if not self._breaker.is_open:
                    logger.warning("the history cannot be read: %s", type(error).__name__)
                self._breaker.failed(self._clock())
                return AWAY
            self._breaker.worked()
        if info is None:  # an admission that was deleted meanwhile
            return NOTHING
        return Page(info, tuple(reversed(found.frames)), found.next)

    def close(self) -> None:
        """End the thread, after what it was given; returns at once."""
        self._thread.close()

    async def _info_of(self, stream: str, epoch: int) -> StreamInfo | None:
        """What an epoch consists of; one query for each that was not asked for lately."""
        key, now = (stream, epoch), self._clock()
        info, read_at = self._infos.get(key, (None, now))
        if info is not None and now - read_at < INFO_KEPT_S:
            return info
        self._infos.pop(key, None)
        found: StreamInfo | None = await database_sync_to_async(access.epoch_info)(stream, epoch)
        if found is not None:
            if len(self._infos) >= MAX_INFOS:
                del self._infos[next(iter(self._infos))]
            self._infos[key] = found, now
        return found
