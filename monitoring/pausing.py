"""How much may be read on the event loop before others have their turn."""

from __future__ import annotations

import asyncio

READ_AT_ONCE = 300
"""Queues between two turns of the event loop, and the last viewer's or group's: about a millisecond."""


class Pause:
    """Lets others run after so much was read."""

    def __init__(self) -> None:
        self._read = 0

    async def after(self, read: int) -> None:
        """So much more was read."""
        self._read += read
        if self._read >= READ_AT_ONCE:
            self._read = 0
            await asyncio.sleep(0)
