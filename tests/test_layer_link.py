"""The process's one subscription: what it carries, and what it does when the layer breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer

from streaming import layer_link
from streaming.layer_link import LayerLink


class BreakableLayer(InMemoryChannelLayer):
    """An in-memory layer that can be made to fail, or to hang, and forgets its members when it fails."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False
        self.hangs = False
        self.failed = asyncio.Event()
        self.given_up = asyncio.Event()
        self.joined = asyncio.Event()

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        await self._misbehave()
        await super().group_send(group, message)

    async def group_add(self, group: str, channel: str) -> None:
        await self._misbehave()
        await super().group_add(group, channel)
        self.joined.set()

    async def _misbehave(self) -> None:
        if self.hangs:
            try:
                await asyncio.Event().wait()
            finally:
                self.given_up.set()
        if self.broken:
            self.groups.clear()
            self.failed.set()
            raise ConnectionError("layer is down")


class Inbox:
    """Receives what a link hands over."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def __call__(self, message: dict[str, Any]) -> None:
        self.messages.put_nowait(message)

    async def next(self) -> dict[str, Any]:
        return await asyncio.wait_for(self.messages.get(), 5)


@pytest.fixture
def layer() -> BreakableLayer:
    return BreakableLayer()


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
async def link(layer: BreakableLayer, inbox: Inbox) -> AsyncIterator[LayerLink]:
    opened = LayerLink(layer, inbox)
    await opened.start()
    yield opened
    await opened.aclose()


async def test_a_joined_group_is_received(link: LayerLink, inbox: Inbox) -> None:
    await link.join("ecg.a")
    link.publish("ecg.a", {"type": "x", "n": 1})
    assert await inbox.next() == {"type": "x", "n": 1}


async def test_a_left_group_is_not(link: LayerLink, inbox: Inbox) -> None:
    await link.join("ecg.a")
    await link.join("ecg.b")
    await link.leave("ecg.a")
    link.publish("ecg.a", {"type": "lost"})
    link.publish("ecg.b", {"type": "kept"})
    assert (await inbox.next())["type"] == "kept"


async def test_many_groups_take_one_channel(link: LayerLink, layer: BreakableLayer) -> None:
    for number in range(5):
        await link.join(f"ecg.{number}")
    assert len({channel for members in layer.groups.values() for channel in members}) == 1


async def test_a_failing_publish_is_counted_and_seen(link: LayerLink, layer: BreakableLayer) -> None:
    layer.broken = True
    link.publish("ecg.a", {"type": "x"})
    await asyncio.wait_for(layer.failed.wait(), 5)
    await link.aclose()
    assert not link.healthy
    assert link.lost_messages == 1


async def test_a_hanging_layer_costs_the_deadline_and_not_more(
    link: LayerLink, layer: BreakableLayer, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layer_link, "PUBLISH_DEADLINE_S", 0.05)
    await link.join("ecg.a")
    layer.hangs = True
    link.publish("ecg.a", {"type": "lost"})
    await asyncio.wait_for(layer.given_up.wait(), 5)
    layer.hangs = False
    link.publish("ecg.a", {"type": "again"})
    assert (await inbox.next())["type"] == "again"
    assert link.lost_messages == 1
    assert link.healthy


async def test_a_full_queue_loses_the_oldest_and_counts(layer: BreakableLayer, inbox: Inbox) -> None:
    link = LayerLink(layer, inbox)
    for number in range(layer_link.MAX_OUTBOUND + 3):
        link.publish("ecg.a", {"type": "x", "n": number})
    assert link.lost_messages == 3


async def test_a_queue_full_of_bytes_loses_the_oldest_too(layer: BreakableLayer, inbox: Inbox) -> None:
    link = LayerLink(layer, inbox)
    for number in range(6):
        link.publish("ecg.a", {"type": "x", "n": number}, layer_link.MAX_OUTBOUND_BYTES // 4)
    assert link.lost_messages == 2


async def test_memberships_that_the_layer_forgot_come_back(
    layer: BreakableLayer, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layer_link, "RENEW_S", 0.02)
    link = LayerLink(layer, inbox)
    await link.start()
    await link.join("ecg.a")
    layer.groups.clear()
    layer.joined.clear()
    await asyncio.wait_for(layer.joined.wait(), 5)
    assert "ecg.a" in layer.groups
    await link.aclose()
