"""The process's one subscription: what it carries, and what it does when the layer breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer

from streaming import layer_link
from streaming.layer_link import LayerLink
from tests.fakes import virtual_time


class BreakableLayer(InMemoryChannelLayer):
    """An in-memory layer that can be made to fail, or to hang, and forgets its members when it fails."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False
        self.hangs = False
        self.deaf = False
        """Whether what is sent is taken, and arrives nowhere."""
        self.failed = asyncio.Event()
        self.given_up = asyncio.Event()
        self.joined = asyncio.Event()
        self.left: asyncio.Queue[str] = asyncio.Queue()

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        await self._misbehave()
        if not self.deaf:
            await super().send(channel, message)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        await self._misbehave()
        await super().group_send(group, message)

    async def group_add(self, group: str, channel: str) -> None:
        await self._misbehave()
        await super().group_add(group, channel)
        self.joined.set()

    async def group_discard(self, group: str, channel: str) -> None:
        await self._misbehave()
        await super().group_discard(group, channel)
        self.left.put_nowait(group)

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


async def test_a_left_group_is_not(link: LayerLink, layer: BreakableLayer, inbox: Inbox) -> None:
    await link.join("ecg.a")
    await link.join("ecg.b")
    link.leave("ecg.a")
    assert await asyncio.wait_for(layer.left.get(), 5) == "ecg.a"
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
    assert link.waiting_bytes == layer_link.MAX_OUTBOUND_BYTES


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


@asynccontextmanager
async def linked(layer: BreakableLayer) -> AsyncIterator[LayerLink]:
    """The same in virtual time."""
    link = LayerLink(layer, Inbox())
    await link.start()
    try:
        yield link
    finally:
        await link.aclose()


def elapsed_since(began: float) -> float:
    return asyncio.get_running_loop().time() - began


class TestMembership:
    @virtual_time
    async def test_a_join_that_failed_is_made_good_in_seconds(self) -> None:
        layer = BreakableLayer()
        async with linked(layer) as link:
            layer.broken = True
            await link.join("ecg.a")
            await link.join("ecg.b")  # not even tried before the join returns
            assert layer.groups == {}
            layer.broken = False
            await asyncio.sleep(layer_link.REJOIN_S + 0.1)
            assert link.healthy
            assert set(layer.groups) == {"ecg.a", "ecg.b"}

    @virtual_time
    async def test_a_join_that_hangs_costs_its_deadline_and_is_made_good(self) -> None:
        layer = BreakableLayer()
        async with linked(layer) as link:
            layer.hangs = True
            began = asyncio.get_running_loop().time()
            await link.join("ecg.a")
            assert elapsed_since(began) == pytest.approx(layer_link.PUBLISH_DEADLINE_S)
            layer.hangs = False
            await asyncio.sleep(layer_link.REJOIN_S + 0.1)
            assert set(layer.groups) == {"ecg.a"}

    @virtual_time
    async def test_a_join_whose_caller_left_is_a_join(self) -> None:
        layer = BreakableLayer()
        async with linked(layer) as link:
            layer.hangs = True
            joining = asyncio.create_task(link.join("ecg.a"))
            await asyncio.sleep(0.1)
            joining.cancel()
            layer.hangs = False
            await asyncio.sleep(layer_link.PUBLISH_DEADLINE_S + layer_link.REJOIN_S)
            assert set(layer.groups) == {"ecg.a"}

    @virtual_time
    async def test_what_a_failing_layer_forgot_is_joined_anew_when_a_message_goes_through(self) -> None:
        layer = BreakableLayer()
        async with linked(layer) as link:
            await link.join("ecg.a")
            layer.broken = True
            link.publish("ecg.x", {"type": "lost"})
            await asyncio.sleep(0.1)
            assert layer.groups == {}
            layer.broken = False
            link.publish("ecg.x", {"type": "sent"})
            await asyncio.sleep(layer_link.REJOIN_S + 0.1)
            assert set(layer.groups) == {"ecg.a"}

    @virtual_time
    async def test_a_leave_that_failed_is_made_good_too(self) -> None:
        layer = BreakableLayer()
        async with linked(layer) as link:
            await link.join("ecg.a")
            layer.hangs = True
            link.leave("ecg.a")
            await asyncio.sleep(layer_link.PUBLISH_DEADLINE_S + 0.1)
            assert set(layer.groups) == {"ecg.a"}
            layer.hangs = False
            await asyncio.sleep(layer_link.REJOIN_S)
            assert layer.groups == {}

    @virtual_time
    async def test_an_outage_is_logged_once(self, caplog: pytest.LogCaptureFixture) -> None:
        layer = BreakableLayer()
        async with linked(layer) as link:
            layer.broken = True
            await link.join("ecg.a")
            await asyncio.sleep(60)
            layer.broken = False
            await asyncio.sleep(60)
        assert [record.message for record in caplog.records] == [
            "channel layer failed, retrying: ConnectionError",
            "channel layer works again",
        ]


class TestPulse:
    @virtual_time
    async def test_who_only_listens_notices_an_outage_and_its_end(self) -> None:
        layer = BreakableLayer()
        async with linked(layer) as link:
            await link.join("ecg.a")
            layer.broken = True
            await asyncio.sleep(layer_link.PULSE_S + 0.1)
            assert not link.healthy
            layer.broken = False
            await asyncio.sleep(layer_link.PULSE_S)
            assert link.healthy

    @virtual_time
    async def test_a_layer_that_hangs_is_noticed_within_two_seconds(self) -> None:
        layer = BreakableLayer()
        async with linked(layer) as link:
            layer.hangs = True
            await asyncio.sleep(layer_link.PULSE_S + layer_link.PUBLISH_DEADLINE_S + 0.1)
            assert not link.healthy

    @virtual_time
    async def test_nobody_is_told_of_the_pulse(self) -> None:
        inbox = Inbox()
        link = LayerLink(BreakableLayer(), inbox)
        await link.start()
        await asyncio.sleep(10 * layer_link.PULSE_S)
        assert inbox.messages.empty()
        assert link.healthy
        await link.aclose()

    @virtual_time
    async def test_what_has_gone_deaf_begins_anew_on_another_layer(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        deaf, fresh, inbox = BreakableLayer(), BreakableLayer(), Inbox()
        link = LayerLink(deaf, inbox, renew=lambda: fresh)
        await link.start()
        await link.join("ecg.a")
        deaf.deaf = True
        await asyncio.sleep(layer_link.DEAF_S + layer_link.PULSE_S)
        assert link.healthy
        await asyncio.sleep(layer_link.DEAF_S + layer_link.PULSE_S + layer_link.REJOIN_S)
        assert link.healthy
        assert set(fresh.groups) == {"ecg.a"}
        link.publish("ecg.a", {"type": "x"})
        await asyncio.sleep(0.1)
        assert inbox.messages.get_nowait() == {"type": "x"}
        assert [record.message for record in caplog.records] == [
            "nothing of the channel layer is heard, beginning anew",
            "channel layer works again",
        ]
        await link.aclose()

    @virtual_time
    async def test_what_was_lost_before_an_outage_does_not_make_it_deaf(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        layer = BreakableLayer()
        async with linked(layer) as link:
            layer.deaf = True
            await asyncio.sleep(layer_link.PULSE_S + 0.1)
            layer.broken = True
            await asyncio.sleep(2 * layer_link.DEAF_S)
            layer.broken = layer.deaf = False
            await asyncio.sleep(2 * layer_link.PULSE_S)
            assert link.healthy
        assert not [record for record in caplog.records if "beginning anew" in record.message]

    @virtual_time
    async def test_a_deaf_process_is_unwell_although_what_it_says_is_taken(self) -> None:
        layer = BreakableLayer()
        async with linked(layer) as link:
            layer.deaf = True
            await asyncio.sleep(layer_link.DEAF_S + 2 * layer_link.PULSE_S + 0.1)
            link.publish("ecg.a", {"type": "x"})
            await asyncio.sleep(0.1)
            assert not link.healthy


class TestEnd:
    @virtual_time
    async def test_it_gives_the_memberships_back(self) -> None:
        layer = BreakableLayer()
        async with linked(layer) as link:
            await link.join("ecg.a")
        assert layer.groups == {}

    @virtual_time
    @pytest.mark.parametrize("known", [True, False])
    async def test_a_stalled_layer_holds_it_up_for_one_deadline(self, known: bool) -> None:
        layer = BreakableLayer()
        async with linked(layer) as link:
            for number in range(20):
                await link.join(f"ecg.{number}")
            layer.hangs = True
            if known:
                link.publish("ecg.a", {"type": "lost"})
                await asyncio.sleep(layer_link.PUBLISH_DEADLINE_S + 0.1)
            began = asyncio.get_running_loop().time()
            await link.aclose()
            assert elapsed_since(began) == pytest.approx(0 if known else layer_link.CLOSE_DEADLINE_S)

    @virtual_time
    async def test_a_join_under_way_ends_with_it(self) -> None:
        layer = BreakableLayer()
        async with linked(layer) as link:
            layer.hangs = True
            joining = asyncio.create_task(link.join("ecg.a"))
            await asyncio.sleep(0.1)
            await link.aclose()
            await joining


@virtual_time
async def test_a_layer_that_hangs_at_the_start_is_said_to_be_away() -> None:
    layer = BreakableLayer()
    layer.new_channel = lambda: asyncio.Event().wait()
    with pytest.raises(ConnectionError, match="REDIS_URL"):
        await LayerLink(layer, Inbox()).start()
