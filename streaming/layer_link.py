"""One process's single subscription to the channel layer: it joins, publishes with a deadline, and heals."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)

PUBLISH_DEADLINE_S = 1.0
"""One stalled Redis blocks every publisher of its layer; a second is what a tick may wait."""
MAX_OUTBOUND = 1000
MAX_OUTBOUND_BYTES = 4 * 1024 * 1024
"""What may wait for the layer; beyond either the oldest is lost and counted (viewers see a GAP).

A second of a thousand streams is 3 MB. Four devices that push all they may (61 KB a chunk) filled the
count alone with 60 MB.
"""
RENEW_S = 3600.0
"""Layers forget memberships after `group_expiry`, a day by default."""
RETRY_S = 0.5

LayerMessage = dict[str, Any]


class LayerLink:
    """Wraps any Channels layer.

    `publish` never waits: one task sends, with a deadline. An error of the layer marks the link unhealthy,
    is logged once an outage, and ends with every group joined anew.
    """

    def __init__(self, layer: Any, on_message: Callable[[LayerMessage], None]) -> None:
        self._layer = layer
        self._on_message = on_message
        self._groups: set[str] = set()
        self._outbound: deque[tuple[str, LayerMessage, int]] = deque()
        self._outbound_bytes = 0
        self._outbound_ready = asyncio.Event()
        self._membership = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._channel = ""
        self.healthy = True
        self.lost_messages = 0

    async def start(self) -> None:
        """Take a channel name and start receiving, publishing and renewing."""
        self._channel = await self._layer.new_channel()
        self._tasks = [
            asyncio.create_task(self._receive(), name="vital-layer-receive"),
            asyncio.create_task(self._publish(), name="vital-layer-publish"),
            asyncio.create_task(self._renew(), name="vital-layer-renew"),
        ]

    async def aclose(self) -> None:
        """End the tasks and give the memberships back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for group in list(self._groups):
            await self.leave(group)

    async def join(self, group: str) -> None:
        """Receive what is sent to `group`; on a broken layer this is made good when it heals."""
        async with self._membership:
            self._groups.add(group)
            await self._attempt(self._layer.group_add(group, self._channel))

    async def leave(self, group: str) -> None:
        """Receive `group` no longer."""
        async with self._membership:
            self._groups.discard(group)
            await self._attempt(self._layer.group_discard(group, self._channel))

    def publish(self, group: str, message: LayerMessage, size_bytes: int = 0) -> None:
        """Queue `message` for every process that joined `group`; `size_bytes` is that of its payloads."""
        while self._outbound and (
            len(self._outbound) >= MAX_OUTBOUND or self._outbound_bytes + size_bytes > MAX_OUTBOUND_BYTES
        ):
            self._take_outbound()
            self.lost_messages += 1
        self._outbound.append((group, message, size_bytes))
        self._outbound_bytes += size_bytes
        self._outbound_ready.set()

    def _take_outbound(self) -> tuple[str, LayerMessage]:
        group, message, size_bytes = self._outbound.popleft()
        self._outbound_bytes -= size_bytes
        return group, message

    async def _publish(self) -> None:
        while True:
            await self._outbound_ready.wait()
            while self._outbound:
                group, message = self._take_outbound()
                if not await self._attempt(self._layer.group_send(group, message)):
                    self.lost_messages += 1
            self._outbound_ready.clear()

    async def _receive(self) -> None:
        while True:
            try:
                message = await self._layer.receive(self._channel)
            except Exception as error:  # noqa: BLE001  # each layer raises what its own client raises
                self._mark_broken(error)
                await asyncio.sleep(RETRY_S)
                await self._rejoin()
                continue
            try:
                self._on_message(message)
            except Exception:  # our fault, and one message's: the next must still be heard
                logger.exception("a message of the channel layer could not be handled")

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            await self._rejoin()

    async def _rejoin(self) -> None:
        async with self._membership:
            for group in self._groups:
                if not await self._attempt(self._layer.group_add(group, self._channel)):
                    return

    async def _attempt(self, call: Any) -> bool:
        try:
            async with asyncio.timeout(PUBLISH_DEADLINE_S):
                await call
        except Exception as error:  # noqa: BLE001  # each layer raises what its own client raises
            self._mark_broken(error)
            return False
        if not self.healthy:
            logger.warning("channel layer works again")
            self.healthy = True
        return True

    def _mark_broken(self, error: Exception) -> None:
        if self.healthy:
            logger.warning("channel layer failed, retrying: %s", type(error).__name__)
            self.healthy = False
