"""What keeps a trail provable and short: checkpoints at a start, hourly and at the end, and pruning."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import Error as DatabaseFault

from streaming.store import believed, checkpoints, retention
from streaming.store.believed import BelievedClock
from streaming.store.chain import Head
from streaming.store.head_log import HeadLog
from streaming.store.trails import Trail

logger = logging.getLogger(__name__)

EVERY_S = 3600.0
RETRY_S = 60.0
"""After a fault: a chain is at risk behind its last checkpoint."""

Run = Callable[[Callable[[], Any]], Awaitable[Any]]


class Upkeep:
    """Of one trail in one process. `head` tells where the process's own chain stands; `run` has a function
    that blocks run elsewhere. The owner cancels what `keep` runs in, then awaits `end`.
    """

    def __init__(
        self,
        trail: Trail,
        head: Callable[[], Head],
        days: int,
        run: Run,
        log: HeadLog | None = None,
        clock: BelievedClock | None = None,
    ) -> None:
        self._trail = trail
        self._head = head
        self._max_age = timedelta(days=days)
        self._run = run
        self._log = log or HeadLog()
        self._clock = clock or BelievedClock(f"{trail.name} trail", partial(believed.newest_of, trail))
        self._fault = ""

    async def keep(self) -> None:
        """Mark what dead processes left, then go on, until it is cancelled."""
        done = await self._tried(self._begin)
        while True:
            await asyncio.sleep(EVERY_S if done else RETRY_S)
            done = await self._tried(self._hourly)

    async def end(self) -> None:
        """Mark where the process's chain has ended, and those that it left after faults."""
        await self._tried(self._mark)

    async def _tried(self, act: Callable[[], Awaitable[None]]) -> bool:
        try:
            await act()
        except (DatabaseFault, OSError) as error:
            if self._fault != str(error):
                logger.warning("the %s trail has no new checkpoint: %s", self._trail.name, error)
            self._fault = str(error)
            return False
        except Exception:  # a fault of ours; the next checkpoint must be written all the same
            logger.exception("the %s trail has no new checkpoint", self._trail.name)
            return False
        self._fault = ""
        return True

    async def _begin(self) -> None:
        await self._run(self._clock.now)  # before a checkpoint has the time of a clock that is wrong
        await self._mark()

    async def _hourly(self) -> None:
        now = await self._run(self._clock.now)
        await self._mark()
        steps = retention.prune(self._trail, now - self._max_age, self._log)
        while (deleted := await self._run(lambda: next(steps, None))) is not None:
            logger.info("%d entries of the %s trail were pruned", deleted, self._trail.name)

    async def _mark(self) -> None:
        """The process's own chain by what it knows of it, then all others by what the database has.

        Also those that a living process left after a fault: no start may come for months. The second is 0.4 s
        for a million rows in SQLite, on one core of 2026.
        """
        await self._run(partial(checkpoints.mark, self._trail, self._head(), self._log))
        await self._run(partial(checkpoints.mark_all, self._trail, self._log))
