"""One message a second is followed from its ingest to the ack of one viewer, and costs the others nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from channels.layers import InMemoryChannelLayer

from streaming.core.bundle import Bundle
from streaming.core.items import DropReason
from streaming.core.stages import Stage
from streaming.hub import Hub
from streaming.probe import EVERY_S, GIVE_UP_S
from tests.fakes import virtual_time
from tests.viewers import Viewer, frames_of, stream_info, turns

INFO = stream_info()


def stamped(index: int, *, ingest_s: float = 0.03, encoded_s: float = 0.01) -> Bundle:
    """A frame whose first samples came `ingest_s` ago, and which was encoded `encoded_s` ago."""
    now = asyncio.get_running_loop().time()
    bundle = frames_of(INFO, index)
    return replace(
        bundle, frames=tuple(replace(f, stamps=(now - ingest_s, now - encoded_s)) for f in bundle.frames)
    )


@asynccontextmanager
async def watched(viewers: int, *, tick_s: float = 0.04) -> AsyncIterator[tuple[Hub, list[Viewer]]]:
    """A hub, and viewers of streams a and b; all end with the test."""
    clock = asyncio.get_running_loop().time
    hub = Hub(InMemoryChannelLayer(), process_id="here", clock=clock, tick_s=tick_s)
    await hub.start()
    watching = [Viewer() for _ in range(viewers)]
    for viewer in watching:
        hub.add(viewer.subscriber)
        await hub.watch(viewer.subscriber, "a")
        await hub.watch(viewer.subscriber, "b")  # who watches one alone does not wait for a tick
    try:
        yield hub, watching
    finally:
        for viewer in watching:
            await viewer.subscriber.aclose()
        await hub.aclose()


def is_followed(viewer: Viewer) -> bool:
    return viewer.subscriber.journey is not None


async def let_leave(viewers: list[Viewer]) -> None:
    """The next tick, and what the writers make of it."""
    await asyncio.sleep(0.05)
    await turns()
    assert all(viewer.socket.sent for viewer in viewers)


@pytest.mark.parametrize("known", [False, True], ids=["from the queue", "shared"])
@virtual_time
async def test_the_stages_are_the_way_to_the_ack(known: bool) -> None:
    async with watched(1) as (hub, (viewer,)):
        if known:  # its alias was announced: then it takes the bundle that others share
            hub.publish(frames_of(INFO, 0))
            await let_leave([viewer])
            viewer.ack()
            await asyncio.sleep(EVERY_S)
        hub.publish(stamped(1))
        await let_leave([viewer])
        await asyncio.sleep(0.2)
        assert hub.stages() == {}
        viewer.ack()
        took = {stage: round(1000 * each.p50_s) for stage, each in hub.stages().items()}
        assert (took["encoded"], took["published"], took["queued"]) == (20, 10, 8)
        assert (took["written"], took["acked"]) == (0, 242)
        assert took["total"] == 20 + 10 + 8 + 242
        assert sum(hub._probe.times.last().values()) == 1e6 * hub.stages()["total"].p50_s


@virtual_time
async def test_what_waits_for_credit_is_followed_to_the_message_that_holds_it() -> None:
    async with watched(1) as (hub, (viewer,)):
        hub.publish(frames_of(INFO, 0))
        await let_leave([viewer])
        viewer.subscriber.window.size = viewer.subscriber.window.in_flight_bytes
        await asyncio.sleep(EVERY_S)
        hub.publish(stamped(1))
        await let_leave([viewer])
        assert viewer.subscriber.journey is not None
        assert viewer.subscriber.journey.number is None
        await asyncio.sleep(0.3)
        await viewer.catch_up()
        stages = hub.stages()
        assert stages["written"].p50_s == pytest.approx(0.342, abs=0.001)


@virtual_time
async def test_about_one_a_second_and_each_viewer_in_turn() -> None:
    async with watched(3) as (hub, viewers):
        followed = []
        for index in range(50):
            hub.publish(stamped(index))
            await let_leave(viewers)
            followed += [number for number, viewer in enumerate(viewers) if viewer.subscriber.journey]
            for viewer in viewers:
                viewer.ack()
            await asyncio.sleep(0.05)
        assert len(followed) == 5
        assert set(followed) == {0, 1, 2}
        hub.stages()
        assert len(hub._probe.times._taken) == 5


@virtual_time
async def test_a_dropped_message_is_lost_and_the_next_one_followed() -> None:
    async with watched(1) as (hub, (viewer,)):
        hub.publish(frames_of(INFO, 0))
        await let_leave([viewer])
        viewer.subscriber.window.size = viewer.subscriber.window.in_flight_bytes
        hub.publish(stamped(1))
        await let_leave([viewer])
        assert is_followed(viewer)
        await asyncio.sleep(1.5)
        assert viewer.subscriber.stats().drops[DropReason.EXPIRED]
        assert not is_followed(viewer)
        stats = hub.stats()
        assert (stats.unfollowed, stats.stages) == (1, {})


@virtual_time
async def test_a_viewer_that_never_acks_or_is_gone_is_given_up() -> None:
    async with watched(2) as (hub, (silent, other)):
        hub.publish(stamped(0))
        await let_leave([silent, other])
        hub.remove(silent.subscriber)
        hub.remove(other.subscriber)
        await asyncio.sleep(GIVE_UP_S + 1)
        assert hub.stats().unfollowed == 1
        fresh = Viewer()
        hub.add(fresh.subscriber)
        await hub.watch(fresh.subscriber, "a")
        hub.publish(stamped(1))
        await let_leave([fresh])
        fresh.ack()
        assert set(hub.stages()) == {stage.value for stage in Stage if stage is not Stage.INGEST} | {"total"}
        await fresh.subscriber.aclose()


@virtual_time
async def test_who_owes_an_ack_keeps_nobody_else_from_being_followed() -> None:
    async with watched(2) as (hub, (stuck, other)):
        for index in range(40):
            hub.publish(stamped(index))
            await let_leave([stuck, other])
            other.ack()
            await asyncio.sleep(0.15)
        hub.stages()
        assert len(hub._probe.times._taken) >= 6
        assert is_followed(stuck)


@virtual_time
async def test_one_that_never_comes_to_be_queued_is_given_up() -> None:
    async with watched(2) as (hub, (gone, other)):
        hub.publish(stamped(0))
        assert hub._fan_out.journey is not None
        hub.remove(gone.subscriber if hub._fan_out.journey.viewer is gone.subscriber else other.subscriber)
        for index in range(1, 150):
            hub.publish(stamped(index))
            await asyncio.sleep(0.1)
            for viewer in (gone, other):
                if viewer.socket.sent:
                    viewer.ack()
        assert hub.stages()
        assert hub.stats().unfollowed == 1


@virtual_time
async def test_frames_of_another_process_have_no_stamps_and_are_not_followed() -> None:
    async with watched(1) as (hub, (viewer,)):
        hub.publish(frames_of(INFO, 0))
        await let_leave([viewer])
        assert viewer.subscriber.journey is None
        crossed = Bundle.from_message(stamped(1).to_message("there"))
        assert crossed.frames[0].stamps is None
