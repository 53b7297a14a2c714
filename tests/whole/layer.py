"""A channel layer that loses, delays and goes away, as its seed has it."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from typing import Any

Message = dict[str, Any]


class Broker:
    """What all processes share: it is away now and then, and then has forgotten who joined what."""

    def __init__(self, rng: random.Random) -> None:
        self.loss = 0.0
        """The share of deliveries that are lost without a word."""
        self.max_delay_s = 0.02
        self.lost = 0
        self._rng = rng
        self._away = False
        self._groups: dict[str, dict[str, None]] = {}
        self._channels: dict[str, _Inbox] = {}

    def go_away(self) -> None:
        """Everything fails from now on, and what was on its way is lost."""
        self._away = True
        self._groups.clear()
        for inbox in self._channels.values():
            inbox.clear()

    def come_back(self) -> None:
        """Answer again; whoever wants something has to join anew."""
        self._away = False

    def forget(self, channel: str) -> None:
        """A process has died, which nobody told."""
        self._channels.pop(channel, None)
        for members in self._groups.values():
            members.pop(channel, None)

    def require_presence(self) -> None:
        if self._away:
            raise ConnectionError("the layer is away")

    def open(self, channel: str) -> None:
        self._channels[channel] = _Inbox()

    def inbox(self, channel: str) -> _Inbox:
        return self._channels[channel]

    def members(self, group: str) -> dict[str, None]:
        return self._groups.setdefault(group, {})

    def deliver(self, group: str, message: Message) -> None:
        """To each member, in order, later by a delay of its own, or not at all."""
        loop = asyncio.get_running_loop()
        for channel in self.members(group):
            if self._rng.random() < self.loss:
                self.lost += 1
                continue
            inbox = self._channels[channel]
            at = max(inbox.last_at + 1e-6, loop.time() + self._rng.random() * self.max_delay_s)
            inbox.last_at = at
            loop.call_at(at, inbox.arrive, message, inbox.generation)


class _Inbox:
    def __init__(self) -> None:
        self.last_at = 0.0
        self.generation = 0
        self._messages: deque[Message] = deque()
        self._came = asyncio.Event()

    def arrive(self, message: Message, generation: int) -> None:
        if generation == self.generation:
            self._messages.append(message)
            self._came.set()

    def clear(self) -> None:
        """Lose what is there and what is on its way; whoever waits is woken, to hear of the fault."""
        self.generation += 1
        self._messages.clear()
        self._came.set()

    async def next(self) -> Message | None:
        while not self._messages:
            self._came.clear()
            generation = self.generation
            await self._came.wait()
            if generation != self.generation:
                return None
        return self._messages.popleft()


class SimulatedLayer:
    """One process's client of the broker: what `LayerLink` needs of a Channels layer."""

    def __init__(self, broker: Broker, name: str) -> None:
        self._broker = broker
        self._name = name

    async def new_channel(self) -> str:
        self._broker.open(self._name)
        return self._name

    async def group_add(self, group: str, channel: str) -> None:
        self._broker.require_presence()
        self._broker.members(group)[channel] = None

    async def group_discard(self, group: str, channel: str) -> None:
        self._broker.require_presence()
        self._broker.members(group).pop(channel, None)

    async def group_send(self, group: str, message: Message) -> None:
        self._broker.require_presence()
        self._broker.deliver(group, message)

    async def receive(self, channel: str) -> Message:
        self._broker.require_presence()
        message = await self._broker.inbox(channel).next()
        if message is None:
            raise ConnectionError("the layer went away")
        return message
