"""One process's single subscription to the channel layer: it joins, publishes with a deadline, and heals."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

logger = logging.getLogger(__name__)

CONTROL_GROUP = "vital.control"
"""Every process joins it: notices of changes, and questions for samples."""
PUBLISH_DEADLINE_S = 1.0
"""One stalled Redis blocks every publisher of its layer; a second is what a tick may wait."""
START_DEADLINE_S = 5.0
MAX_OUTBOUND = 1000
MAX_OUTBOUND_BYTES = 4 * 1024 * 1024
"""What may wait for the layer; beyond either the oldest is lost and counted (viewers see a GAP).

A second of a thousand streams is 3 MB. Four devices that push all they may (61 KB a chunk) filled the
count alone with 60 MB.
"""
RENEW_S = 3600.0
"""Layers forget memberships after `group_expiry`, a day by default."""
RETRY_S = 0.5
REJOIN_S = 2.0
"""Between attempts to join what is missing, and to find out whether a broken layer works again."""
PULSE = "vital.pulse"
PULSE_S = 1.0
"""Between messages of a process to itself. One that only watches would not notice otherwise that the layer is
away, nor that what it has joined does not reach it any more."""
DEAF_S = 3.0
"""A pulse that was sent and not heard for so long: this process is deaf."""
CLOSE_DEADLINE_S = 1.0
"""For ending the tasks and leaving all groups: the layer may hang, and the process has 5 s for its end."""

LayerMessage = dict[str, Any]
_Send = Callable[[str, LayerMessage], Awaitable[None]]


class LayerLink:
    """Wraps any Channels layer.

    `publish` never waits: one task sends, with a deadline. Another brings the memberships to what is
    wanted. A third sends a pulse and listens for it. An error of the layer, or a pulse that is not heard,
    marks the link unhealthy and is logged once an outage; when it is over, every group is joined anew.
    `renew` makes another layer of the same kind, for when this one sends and no longer hears.
    """

    def __init__(
        self,
        layer: Any,
        on_message: Callable[[LayerMessage], None],
        *,
        renew: Callable[[], Any] | None = None,
    ) -> None:
        self._layer = layer
        self._on_message = on_message
        self._renew = renew
        self._wanted: set[str] = set()
        self._unsettled: dict[str, None] = {}
        """Groups whose membership may differ from what is wanted, oldest first."""
        self._attempts: dict[str, asyncio.Future[None]] = {}
        """Set when the membership has been tried, whatever came of it."""
        self._membership_due = asyncio.Event()
        self._outbound: deque[tuple[_Send, str, LayerMessage, int]] = deque()
        self._outbound_bytes = 0
        self._outbound_ready = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._receiving: asyncio.Task[None] | None = None
        self._channel = ""
        self._unheard_since: float | None = None
        """When the oldest pulse left that was not heard, nor any after it."""
        self._deaf = False
        self._heard_at = -math.inf
        """When anything but a pulse came last."""
        self.healthy = True
        self.lost_messages = 0

    async def start(self) -> None:
        """Take a channel name and start receiving, publishing and joining.

        Raises ConnectionError when the layer does not answer.
        """
        try:
            async with asyncio.timeout(START_DEADLINE_S):
                self._channel = await self._layer.new_channel()
        except Exception as error:  # each layer raises what its own client raises
            raise ConnectionError("the channel layer does not answer, check REDIS_URL") from error
        self._receiving = asyncio.create_task(self._receive(), name="vital-layer-receive")
        self._tasks = [
            asyncio.create_task(self._pulse(), name="vital-layer-pulse"),
            asyncio.create_task(self._publish(), name="vital-layer-publish"),
            asyncio.create_task(self._keep_memberships(), name="vital-layer-membership"),
        ]

    async def aclose(self) -> None:
        """End the tasks and give the memberships back, if the layer takes them."""
        tasks, self._tasks = self._tasks, []
        if self._receiving is not None:
            tasks.append(self._receiving)
            self._receiving = None
        for task in tasks:
            task.cancel()
        deadline = asyncio.get_running_loop().time() + CLOSE_DEADLINE_S
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_DEADLINE_S)
        self._end_attempts()
        leaving = self._wanted | self._unsettled.keys()
        self._wanted, self._unsettled = set(), {}
        if self.healthy and leaving:
            discards = (self._layer.group_discard(group, self._channel) for group in leaving)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await asyncio.gather(*discards, return_exceptions=True)

    async def join(self, group: str) -> None:
        """Receive what is sent to `group` from now on; on a broken layer, from when it works again."""
        self._wanted.add(group)
        self._unsettle((group,))
        if self.healthy:
            attempt = self._attempts.setdefault(group, asyncio.get_running_loop().create_future())
            await asyncio.shield(attempt)

    def leave(self, group: str) -> None:
        """Receive `group` no longer; returns at once."""
        self._wanted.discard(group)
        self._unsettle((group,))

    @property
    def has_just_heard(self) -> bool:
        """Whether other processes were heard within a pulse's time: a layer that heals brings them first."""
        return asyncio.get_running_loop().time() - self._heard_at < PULSE_S

    @property
    def channel(self) -> str:
        """Where `reply` of another process reaches this one."""
        return self._channel

    @property
    def waiting_bytes(self) -> int:
        """What waits for the layer, by its payloads."""
        return self._outbound_bytes

    def publish(self, group: str, message: LayerMessage, size_bytes: int = 0) -> None:
        """Queue `message` for every process that joined `group`; `size_bytes` is that of its payloads."""
        self._queue(self._layer.group_send, group, message, size_bytes)

    def reply(self, channel: str, message: LayerMessage, size_bytes: int = 0) -> None:
        """Queue `message` for the one process whose `channel` this is."""
        self._queue(self._layer.send, channel, message, size_bytes)

    def _queue(self, send: _Send, target: str, message: LayerMessage, size_bytes: int) -> None:
        while self._outbound and (
            len(self._outbound) >= MAX_OUTBOUND or self._outbound_bytes + size_bytes > MAX_OUTBOUND_BYTES
        ):
            self._take_outbound()
            self.lost_messages += 1
        self._outbound.append((send, target, message, size_bytes))
        self._outbound_bytes += size_bytes
        self._outbound_ready.set()

    def _take_outbound(self) -> tuple[_Send, str, LayerMessage]:
        send, target, message, size_bytes = self._outbound.popleft()
        self._outbound_bytes -= size_bytes
        return send, target, message

    async def _publish(self) -> None:
        while True:
            await self._outbound_ready.wait()
            while self._outbound:
                send, target, message = self._take_outbound()
                if not await self._attempt(send(target, message)):
                    self.lost_messages += 1
            self._outbound_ready.clear()

    async def _receive(self) -> None:
        while True:
            try:
                message = await self._layer.receive(self._channel)
            except Exception as error:  # noqa: BLE001  # each layer raises what its own client raises
                self._mark_broken(error)
                await asyncio.sleep(RETRY_S)
                continue
            if message["type"] == PULSE:
                self._heard_pulse()
                continue
            self._heard_at = asyncio.get_running_loop().time()
            try:
                self._on_message(message)
            except Exception:  # our fault, and one message's: the next must still be heard
                logger.exception("a message of the channel layer could not be handled")

    async def _pulse(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(PULSE_S)
            if not await self._attempt(self._layer.send(self._channel, {"type": PULSE})):
                self._unheard_since = None  # away, not deaf
            elif self._unheard_since is None:
                self._unheard_since = loop.time()
            elif loop.time() - self._unheard_since >= DEAF_S:
                await self._begin_anew()

    def _heard_pulse(self) -> None:
        self._unheard_since = None
        if self._deaf:
            self._deaf = False
            self._mark_well()

    async def _begin_anew(self) -> None:
        """Give up what sends and does not hear: another layer, another channel, every group joined anew."""
        if not self._deaf:
            logger.warning("nothing of the channel layer is heard, beginning anew")
        self._deaf, self.healthy = True, False
        self._unheard_since = None
        before, layer = self._layer, self._renew() if self._renew is not None else self._layer
        try:
            async with asyncio.timeout(START_DEADLINE_S):
                self._channel = await layer.new_channel()
        except Exception as error:  # noqa: BLE001  # as in `start`; the next pulse tells
            self._mark_broken(error)
            return
        self._layer = layer
        if self._receiving is not None:
            self._receiving.cancel()
        self._receiving = asyncio.create_task(self._receive(), name="vital-layer-receive")
        self._unsettle(self._wanted)
        if before is not layer and hasattr(before, "flush"):
            with contextlib.suppress(Exception):  # what is broken may not close either
                async with asyncio.timeout(CLOSE_DEADLINE_S):
                    await before.flush()

    async def _keep_memberships(self) -> None:
        loop = asyncio.get_running_loop()
        renew_at = loop.time() + RENEW_S
        settled = True
        while True:
            try:
                async with asyncio.timeout_at(renew_at):
                    await self._membership_due.wait()
            except TimeoutError:
                renew_at = loop.time() + RENEW_S
                self._unsettle(self._wanted)
            if not (settled and self.healthy):
                await asyncio.sleep(REJOIN_S)
                self._unsettle(self._wanted)  # also where nothing is missing: it shows when the layer heals
            self._membership_due.clear()
            settled = await self._settle()
            if not settled:
                self._membership_due.set()

    async def _settle(self) -> bool:
        """Join what is wanted and leave what is not, until one fails."""
        while self._unsettled:
            group = next(iter(self._unsettled))
            del self._unsettled[group]
            change = self._layer.group_add if group in self._wanted else self._layer.group_discard
            if not await self._attempt(change(group, self._channel)):
                self._unsettled[group] = None
                self._end_attempts()
                return False
            if group not in self._unsettled and group in self._attempts:
                self._attempts.pop(group).set_result(None)
        return True

    def _unsettle(self, groups: Iterable[str]) -> None:
        for group in groups:
            self._unsettled[group] = None
        self._membership_due.set()

    def _end_attempts(self) -> None:
        attempts, self._attempts = self._attempts, {}
        for attempt in attempts.values():
            attempt.set_result(None)

    async def _attempt(self, call: Any) -> bool:
        try:
            async with asyncio.timeout(PUBLISH_DEADLINE_S):
                await call
        except Exception as error:  # noqa: BLE001  # each layer raises what its own client raises
            self._mark_broken(error)
            return False
        if not (self.healthy or self._deaf):
            self._mark_well()
        return True

    def _mark_well(self) -> None:
        logger.warning("channel layer works again")
        self.healthy = True
        self._unsettle(self._wanted)

    def _mark_broken(self, error: Exception) -> None:
        if self.healthy:
            logger.warning("channel layer failed, retrying: %s", type(error).__name__)
            self.healthy = False
            self._membership_due.set()
