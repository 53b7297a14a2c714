"""When background work starts and ends: with the reactor under Daphne, with the lifespan elsewhere."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from django.conf import settings

from monitoring.snapshots import SnapshotWriter
from streaming.runtime import Runtime
from streaming.store.readiness import require_migrated

logger = logging.getLogger(__name__)

Scope = dict[str, Any]
App = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


class Lifecycle:
    """ASGI wrapper that owns the process's Runtime and puts it into every scope as `scope["vital"]`.

    Daphne runs a Twisted reactor and has no lifespan: `hook_into_daphne` starts with the reactor, and holds
    its shutdown until every socket has its close frame. Other servers send `lifespan`; importing Daphne
    installs a reactor there as well, but nobody runs it.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._runtime: Runtime | None = None
        self._snapshots: SnapshotWriter | None = None
        self._started = asyncio.Event()
        self._starting: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] == "websocket":
            await self._started.wait()
        await self._app({**scope, "vital": self._runtime}, receive, send)

    async def start(self) -> None:
        """Refuse an unmigrated database (SystemExit with what to do), then start the background work."""
        await database_sync_to_async(require_migrated)()
        runtime = Runtime(get_channel_layer())
        await runtime.start()
        self._runtime = runtime
        self._snapshots = SnapshotWriter(
            runtime.stats, interval_s=settings.VITAL_SNAPSHOT_INTERVAL_S, process_id=runtime.process_id
        )
        self._snapshots.start()
        self._started.set()

    async def stop(self) -> None:
        """Close the sockets, then end the background work."""
        if self._runtime is not None:
            await self._runtime.stop()
        if self._snapshots is not None:
            await self._snapshots.aclose()

    def hook_into_daphne(self) -> None:
        """Start and stop with Twisted's reactor, if Daphne has installed one."""
        if "daphne.server" not in sys.modules:
            return
        from twisted.internet import reactor
        from twisted.internet.defer import Deferred

        def start() -> None:
            self._starting = asyncio.ensure_future(self._start_or_exit())

        def stop() -> Deferred[None]:
            return Deferred.fromFuture(asyncio.ensure_future(self.stop()))

        reactor.callWhenRunning(start)
        reactor.addSystemEventTrigger("before", "shutdown", stop)  # type: ignore[arg-type]  # a wrong stub

    async def _start_or_exit(self) -> None:
        try:
            await self.start()
        except SystemExit as refusal:
            # Not by raising: a request in flight has a thread that waits for this loop, and the interpreter
            # would wait for that thread for ever.
            sys.stderr.write(f"{refusal}\n")
            sys.stderr.flush()
            os._exit(1)

    async def _lifespan(self, receive: Any, send: Any) -> None:
        await receive()
        try:
            await self.start()
        except SystemExit as refusal:
            await send({"type": "lifespan.startup.failed", "message": str(refusal)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})
