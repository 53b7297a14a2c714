"""What a process does again and again, whatever becomes of one time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from django.db import Error as DatabaseFault

logger = logging.getLogger(__name__)


async def repeat(changed: asyncio.Event, every_s: float, act: Callable[[bool], Awaitable[None]]) -> None:
    """Run `act` when `changed` is set, and every `every_s` in any case; what fails is tried again.

    `act` is told whether something has changed since it last succeeded. That the database does not answer is
    logged once, and once that it does again.
    """
    announced = fails = False
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(every_s):
                await changed.wait()
        announced = announced or changed.is_set()
        changed.clear()
        try:
            await act(announced)
        except DatabaseFault as error:  # also InterfaceError: a connection that the server has closed
            if not fails:
                logger.warning("database failed, trying again: %s", type(error).__name__)
            fails = True
        except Exception:  # a fault of ours; revocation and settings must go on all the same
            logger.exception("watching for changes failed, trying again")
        else:
            if fails:
                logger.info("the database answers again")
            announced = fails = False
