"""When background work starts and ends: with the reactor under Daphne, with the lifespan elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from channels import DEFAULT_CHANNEL_LAYER
from channels.db import database_sync_to_async
from channels.layers import InMemoryChannelLayer, channel_layers, get_channel_layer
from django.conf import settings
from django.db import Error as DatabaseFault

from monitoring.alerting import Alerting
from monitoring.live_watch import LiveWatch
from monitoring.snapshots import SnapshotWriter
from streaming.core import messages
from streaming.core.frames import SUBPROTOCOL
from streaming.exceptions import RETRY_AFTER_MS, CloseCode
from streaming.runtime import Runtime
from streaming.store.readiness import DatabaseAwayError, require_migrated
from vital.collector import settle

logger = logging.getLogger(__name__)

FIRST_RETRY_S, MAX_RETRY_S = 0.5, 8.0
"""Between attempts to start while the database or the channel layer is away; doubled after each."""
LIFESPAN_DEADLINE_S = 30.0
"""After this a server with a lifespan is told that the start failed: it listens only after it."""
EARLY_SOCKET_S = 10.0
"""How long a WebSocket waits for the start; Daphne gives a handshake 20 s."""
EXIT_S = 0.3
"""How long the interpreter may take for its end, once the reactor has ended; it takes 50 ms."""

Scope = dict[str, Any]
App = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


class Lifecycle:
    """ASGI wrapper that owns the process's Runtime and puts it into every scope as `scope["vital"]`, the
    writer of snapshots as `scope["vital.snapshots"]`, the watch over alert rules as `scope["vital.alerts"]`,
    and who tells live pages as `scope["vital.live"]`; all are None until it has started.

    Daphne runs a Twisted reactor and has no lifespan: `hook_into_daphne` starts with the reactor, and holds
    its shutdown until every socket has its close frame. Other servers send `lifespan`; importing Daphne
    installs a reactor there as well, but nobody runs it.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._runtime: Runtime | None = None
        self._snapshots: SnapshotWriter | None = None
        self._alerts: Alerting | None = None
        self._live: LiveWatch | None = None
        self._started = asyncio.Event()
        self._starting: asyncio.Task[None] | None = None
        self._fault: str | None = None

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] == "websocket" and not await self._has_started():
            await _send_away(scope, receive, send)
            return
        told = {
            "vital": self._runtime,
            "vital.snapshots": self._snapshots,
            "vital.alerts": None if self._alerts is None else self._alerts.watch,
            "vital.live": self._live,
        }
        await self._app(scope | told, receive, send)

    async def start(self) -> None:
        """Start the background work, as soon as the database and the channel layer are there.

        Tries until it succeeds. Raises SystemExit with what to do when the database lacks migrations.
        """
        retry_s = FIRST_RETRY_S
        while (fault := await self._try_to_start()) is not None:
            if fault != self._fault:
                logger.warning("cannot start yet, retrying: %s", fault)
                self._fault = fault
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, MAX_RETRY_S)
        if self._fault is not None:
            logger.warning("started, after all")
        settle()
        self._started.set()

    async def _try_to_start(self) -> str | None:
        """The fault that hinders the start, None when it is done."""
        layer = get_channel_layer()
        runtime = Runtime(
            layer, shared=not isinstance(layer, InMemoryChannelLayer), renew_layer=_renewed_layer
        )
        try:
            await database_sync_to_async(require_migrated)()
            await runtime.start()
        except DatabaseAwayError as away:
            fault = str(away)
        except (DatabaseFault, ConnectionError) as error:
            fault = f"{error} ({type(error).__name__})"
        except Exception as error:  # a fault of ours; a process that hangs without a word helps nobody
            fault = repr(error)
            if fault != self._fault:
                logger.exception("the start failed")
        else:
            self._runtime = runtime
            self._alerts = Alerting(runtime)
            self._snapshots = SnapshotWriter(
                runtime.stats,
                interval_s=settings.VITAL_SNAPSHOT_INTERVAL_S,
                process_id=runtime.process_id,
                beside=self._alerts.watch,
                usage=runtime.usage,
            )
            self._snapshots.start()
            self._alerts.start(self._snapshots)
            self._live = LiveWatch(runtime)
            self._live.start()
            return None
        await runtime.stop()
        return fault

    async def stop(self) -> None:
        """Close the sockets, then end the background work."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        if self._live is not None:
            await self._live.aclose()
        if self._runtime is not None:
            await self._runtime.stop()
        if self._alerts is not None:
            await self._alerts.aclose()
        if self._snapshots is not None:
            await self._snapshots.aclose()

    async def _has_started(self) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EARLY_SOCKET_S):
                await self._started.wait()
        return self._started.is_set()

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
        reactor.addSystemEventTrigger("after", "shutdown", _end_soon)  # type: ignore[arg-type]  # the same

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
            async with asyncio.timeout(LIFESPAN_DEADLINE_S):
                await self.start()
        except (SystemExit, TimeoutError) as refusal:
            message = str(refusal) or f"VITAL cannot run: {self._fault or 'the start hangs'}"
            await send({"type": "lifespan.startup.failed", "message": message})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})


def _end_soon() -> None:
    """End the process also where a thread waits for a database that hangs: the interpreter would wait for it.

    All that has to be said, stored and closed has been by now, or was given up.
    """

    def end() -> None:
        logger.warning("a thread has not ended, most likely it waits for the database: ending without it")
        logging.shutdown()
        os._exit(0)

    timer = threading.Timer(EXIT_S, end)
    timer.daemon = True
    timer.start()


def _renewed_layer() -> Any:
    """A channel layer as at the start, in place of one that has gone deaf."""
    channel_layers.set(DEFAULT_CHANNEL_LAYER, channel_layers.make_backend(DEFAULT_CHANNEL_LAYER))
    return get_channel_layer()


async def _send_away(scope: Scope, receive: Any, send: Any) -> None:
    """Accept and close with 4012: a refused handshake would not say when to come again."""
    await receive()
    code = CloseCode.GOING_AWAY
    bye = messages.bye(code, "server is starting", retry_after_ms=RETRY_AFTER_MS[code])
    with contextlib.suppress(OSError, RuntimeError):  # the peer did not wait
        offered = SUBPROTOCOL in scope["subprotocols"]
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL if offered else None})
        await send({"type": "websocket.send", "text": bye})
        await send({"type": "websocket.close", "code": int(code), "reason": "server is starting"})
