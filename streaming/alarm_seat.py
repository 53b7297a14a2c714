"""What one viewer's connection has to do with alarms: what it may see, and what its user asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from functools import partial

from channels.db import database_sync_to_async
from django.db import Error as DatabaseFault

from streaming.alarm_desk import AlarmDesk
from streaming.alarm_viewers import AlarmViewer
from streaming.core import alarm_messages
from streaming.core.alarm_messages import AlarmAck, AlarmsDisplayed, AlarmsOff, AudioPause
from streaming.exceptions import ForbiddenError
from streaming.store import alarm_access, alarm_settings
from streaming.store.access import Principal
from streaming.store.alarm_access import AlarmRight
from streaming.subscriber import Subscriber

MOST_WAITING = 32
"""Requests of one viewer that wait for the database; no person is so quick."""

AboutAlarms = AlarmsDisplayed | AlarmAck | AudioPause | AlarmsOff


class AlarmSeat:
    """From when a viewer has been let in until it is gone; `spawn` runs what waits for the database."""

    def __init__(
        self,
        desk: AlarmDesk,
        principal: Principal,
        subscriber: Subscriber,
        spawn: Callable[[Awaitable[None]], None],
    ) -> None:
        self._desk = desk
        self._principal = principal
        self._viewer = AlarmViewer(subscriber, principal, principal.actor)
        self._spawn = spawn
        self._turn = asyncio.Lock()
        """Of what asks the database: one viewer's haste must not keep devices and others from it."""
        self._waiting = 0
        self._is_in = False
        self._is_gone = False

    async def watch(self, visible: frozenset[str], wards: Collection[str]) -> None:
        """Be told of the alarms of all that the viewer may see, whatever it subscribes to."""
        may = frozenset(await database_sync_to_async(alarm_access.rights)(self._principal))
        if self._is_gone:
            return
        viewers, viewer = self._desk.viewers, self._viewer
        if self._is_in:
            viewers.see(viewer, visible, may)
        else:
            self._is_in = True
            viewer.streams, viewer.may = visible, may
            viewers.enter(viewer)
        await self._desk.attend(wards)

    def hear(self, message: AboutAlarms) -> None:
        """Take what the viewer says; what needs a right is asked for beside the reading of messages."""
        if isinstance(message, AlarmsDisplayed):
            self._desk.displayed(self._viewer, message.alarms, hidden=message.hidden)
        elif self._waiting < MOST_WAITING:
            self._waiting += 1
            self._spawn(self._act_in_turn(message))
        else:
            kind, _, target, _ = self._asked(message)
            self._refuse(kind, target, "too much is asked for at once, try again")

    def leave(self) -> None:
        """The connection is gone."""
        self._is_gone = True
        self._desk.viewers.leave(self._viewer)

    async def _act_in_turn(self, message: AlarmAck | AudioPause | AlarmsOff) -> None:
        try:
            async with self._turn:
                await self._act(message)
        finally:
            self._waiting -= 1

    async def _act(self, message: AlarmAck | AudioPause | AlarmsOff) -> None:
        """Do what the user asks for, where it may; else say why not."""
        kind, right, target, stream = self._asked(message)
        authorize = partial(alarm_access.authorize, self._principal, right, stream, target=target)
        try:
            name = await database_sync_to_async(authorize)(refusal=self._why_not(message))
            if isinstance(message, AlarmAck):
                self._desk.acknowledge(self._viewer, message.alarm, by=name)
            elif isinstance(message, AudioPause):
                self._desk.viewers.pause(self._viewer, message.seconds)
            else:
                actor = self._principal.actor
                switch = partial(alarm_settings.switch, message.stream, actor, off=message.off)
                await database_sync_to_async(switch)()
        except ForbiddenError as error:
            self._refuse(kind, target, error.reason)
        except DatabaseFault:
            self._refuse(kind, target, "the database does not answer, try again")

    def _asked(self, message: AlarmAck | AudioPause | AlarmsOff) -> tuple[str, AlarmRight, str, str | None]:
        """Its type, the right that it takes, what it is about, and the stream of that."""
        if isinstance(message, AlarmAck):
            known = self._desk.register.get(message.alarm)
            stream = known.facts.stream if known is not None else ""
            return "alarm_ack", AlarmRight.ACKNOWLEDGE, message.alarm, stream or None
        if isinstance(message, AlarmsOff):
            return "alarms_off", AlarmRight.SWITCH_OFF, message.stream, message.stream
        return "audio_pause", AlarmRight.PAUSE_AUDIO, "", None

    def _why_not(self, message: AlarmAck | AudioPause | AlarmsOff) -> str | None:
        """Why it cannot be done, also by whoever has the right to."""
        if isinstance(message, AlarmAck):
            return self._desk.why_not_acknowledge(self._viewer, message.alarm)
        return None

    def _refuse(self, kind: str, target: str, reason: str) -> None:
        text = alarm_messages.refused(kind, target, reason)
        self._viewer.subscriber.tell(text, key=f"{kind}.{target}")
