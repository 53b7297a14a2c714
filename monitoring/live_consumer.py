"""`/ws/live/`: what a live page asks for, and newer figures in place of those that it has not taken yet."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, ClassVar

from channels.db import database_sync_to_async
from django.db import Error as DatabaseFault

from monitoring import live_access, live_messages
from monitoring.live_access import LiveRights
from monitoring.live_messages import Ack, Cut, CutOutcome, Hello, Inspect, Names
from monitoring.live_watch import LiveWatch
from streaming.backpressure import BackpressureHandler
from streaming.consumers import VitalConsumer
from streaming.core.items import Item
from streaming.core.messages import CONNECTIONS_PER_PRINCIPAL
from streaming.core.priority import MessagePriority
from streaming.core.profiles import DEFAULT_CLASS_BOUNDS, KIB, BackpressureProfile, ClassBounds
from streaming.core.strict_json import to_json
from streaming.core.token_bucket import TokenBucket
from streaming.core.window import SendWindow
from streaming.exceptions import (
    AuthenticationError,
    BusyError,
    ForbiddenError,
    ProtocolError,
    RateLimitError,
)
from streaming.store import access

LANE = "live"
PROFILE = BackpressureProfile(
    emergency_mode=False,
    bounds={**DEFAULT_CLASS_BOUNDS, MessagePriority.LOW: ClassBounds(4096 * KIB, 10.0)},
)
"""One message of each process may wait, and the newest takes its place: some 80 kB each."""
MAX_TOTAL_BYTES = 8192 * KIB
COME_AGAIN_MS = 30_000
GONE_S = 4.0
"""A viewer of which no process tells for so long is gone."""
WISHES_PER_S, WISH_BURST = 5.0, 30.0
"""What asks the database, or other processes, for something."""


class LiveConsumer(VitalConsumer):
    """A member of the staff who may view snapshots, by the session's cookie; rights are asked for again."""

    subprotocol: ClassVar[str] = live_messages.SUBPROTOCOL

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.inspected: str | None = None
        self._live: LiveWatch | None = None
        self._handler: BackpressureHandler | None = None
        self._rights = LiveRights.of(None)
        self._clock = asyncio.get_running_loop().time
        self._wishes = TokenBucket(WISHES_PER_S, WISH_BURST, self._clock())
        self._asking = asyncio.Lock()
        """One question to the database at a time: a page's haste must not keep viewers from it."""
        self._checking = False
        self._gone: asyncio.TimerHandle | None = None

    async def said(self, text: str) -> None:
        """Acks cost nothing; all else is bounded, and done beside the reading."""
        message = live_messages.parse(text)
        if isinstance(message, Hello) and not self.greeted:
            await self._greet()
            return
        handler = self._handler
        if handler is None:
            raise AuthenticationError("the first message must be a hello")
        if isinstance(message, Ack):
            handler.on_ack(message.n)
            return
        if not self._wishes.take(1, self._clock()):
            raise RateLimitError("too much is asked for at once")
        if isinstance(message, Inspect):
            self._inspect(message.connection)
        elif isinstance(message, Cut):
            self.spawn(self._cut_viewer(message))
        elif isinstance(message, Names):
            self.spawn(self._name(message))
        elif message is not None:
            raise ProtocolError("hello was said already")

    async def sent(self, data: bytes) -> None:  # noqa: ARG002
        """A live page has no samples."""
        raise ProtocolError("a live page sends text messages only")

    def refresh(self, visible: frozenset[str], *, changed: bool = False) -> None:  # noqa: ARG002
        """Ask for the rights again: called every two seconds, and when somebody's access has changed."""
        if self._handler is not None and not self._checking:
            self._checking = True
            self.spawn(self._check())

    def told_figures(self, process: str, text: str) -> None:
        """Newer figures of a process take the place of those that wait."""
        self._offer(text, ("figures", process))

    def told_viewer(self, text: str, peer: str) -> None:
        """The same of the viewer that is looked at; its address for whoever may name users."""
        if self._rights.may_name:
            text = to_json({**json.loads(text), "peer": peer})
        self._offer(text, "viewer")
        self._expect_viewer()

    def told_processes(self, text: str) -> None:
        """The processes of the deployment."""
        self._offer(text, "processes")

    def told_alerts(self, text: str) -> None:
        """The open alerts, for whoever may see them."""
        if self._rights.may_see_alerts:
            self._offer(text, "alerts")

    async def closed(self) -> None:
        """Looks no more; what waits is abandoned."""
        live, self._live = self._live, None
        handler, self._handler = self._handler, None
        if self._gone is not None:
            self._gone.cancel()
        if live is not None:
            live.leave(self)
        if handler is not None:
            await handler.aclose()

    async def _greet(self) -> None:
        peer, live = self.scope["vital.peer"], self.scope["vital.live"]
        self.runtime.refuse_guesser(peer)
        try:
            self.principal = await self.principal_of_session("sign in to the admin")
        except AuthenticationError:
            self.runtime.admitted_nobody(peer, as_viewer=False)
            raise
        if self.runtime.connections_of(self.principal) >= CONNECTIONS_PER_PRINCIPAL:
            raise RateLimitError(f"more than {CONNECTIONS_PER_PRINCIPAL} connections")
        self._rights = await database_sync_to_async(live_access.enter)(self.principal)
        if not self._rights.may_see:
            raise ForbiddenError("live figures are for staff who may view metrics snapshots")
        if live.is_full:
            raise BusyError("too many live pages are open at this process", COME_AGAIN_MS)
        self.hello_has_come()
        self.runtime.add(self)
        await self.send_text(
            live_messages.welcome(
                process=self.runtime.process_id,
                server_ms=time.time() * 1000,
                may_cut=self._rights.may_cut,
                may_name=self._rights.may_name,
                may_see_alerts=self._rights.may_see_alerts,
            )
        )
        self._handler = BackpressureHandler(
            self,
            SendWindow(),
            profile=PROFILE,
            clock=self._clock,
            on_slow=lambda reason: self.cut(reason.close_code, str(reason)),
            max_total_bytes=MAX_TOTAL_BYTES,
        )
        self._live = live
        live.enter(self)

    def _inspect(self, connection: str | None) -> None:
        self.inspected = connection
        if self._gone is not None:
            self._gone.cancel()
            self._gone = None
        if connection is not None and self._live is not None:
            self._expect_viewer()
            self._live.hurry()

    def _expect_viewer(self) -> None:
        if self._gone is not None:
            self._gone.cancel()
        self._gone = asyncio.get_running_loop().call_later(GONE_S, self._say_gone, self.inspected)

    def _say_gone(self, connection: str | None) -> None:
        self._gone = None
        if connection is not None and connection == self.inspected:
            self._offer(live_messages.viewer_is_gone(connection), "viewer")

    async def _cut_viewer(self, wish: Cut) -> None:
        try:
            async with self._asking:
                await self._read_rights()
                if not self._rights.may_cut:
                    await database_sync_to_async(live_access.refused)(self.principal, wish.connection)
        except DatabaseFault:
            self._answer(live_messages.cut(wish.connection, CutOutcome.UNRECORDED))
            return
        live = self._live
        if live is None:
            return
        if self._rights.may_cut:
            outcome = await live.cut(wish.connection, wish.reason, self.principal.actor)
        else:
            outcome = CutOutcome.FORBIDDEN
        self._answer(live_messages.cut(wish.connection, outcome))

    async def _name(self, wish: Names) -> None:
        users: dict[int, str] = {}
        try:
            async with self._asking:
                if self._rights.may_name:
                    users = await database_sync_to_async(live_access.names_of_users)(wish.users)
                streams = await database_sync_to_async(live_access.names_of_streams)(
                    self.principal, wish.streams
                )
        except DatabaseFault:
            return  # the page asks again for what it has no name of
        self._answer(live_messages.names(users, streams))

    async def _check(self) -> None:
        before = self._rights
        try:
            async with self._asking:
                await self._read_rights()
        except DatabaseFault:
            return  # asked again in two seconds
        finally:
            self._checking = False
        now = self._rights
        if now.may_see and now != before:
            self._answer(
                live_messages.rights(
                    may_cut=now.may_cut, may_name=now.may_name, may_see_alerts=now.may_see_alerts
                )
            )

    async def _read_rights(self) -> None:
        """As they are now; ForbiddenError, which closes, for whoever may not look any more."""
        self._rights = await database_sync_to_async(live_access.rights)(self.principal)
        if not self._rights.may_see:
            reason = "permission was withdrawn"
            await database_sync_to_async(access.note_cut)(self.principal, reason)
            raise ForbiddenError(reason)

    def _offer(self, text: str, key: object) -> None:
        """LOW: it waits for what is more urgent, and gives way to what is newer."""
        if self._handler is not None:
            self._handler.offer(
                Item(text, MessagePriority.LOW, self._clock(), len(text), key=("live", key)), LANE
            )

    def _answer(self, text: str) -> None:
        """Never dropped: somebody waits for it."""
        if self._handler is not None:
            self._handler.offer(
                Item(text, MessagePriority.CRITICAL, self._clock(), len(text), control=True), LANE
            )
