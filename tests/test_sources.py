"""Samples that other processes have, asked for over the layer: by whom, how often, and until when."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from streaming.backfill import LOOK_AGAIN_S
from streaming.core.bundle import Bundle, WaveFrame
from streaming.core.frames import FrameKind
from streaming.core.ring import AWAY, NOTHING, Page
from streaming.hub import Hub
from streaming.layer_link import LayerMessage
from streaming.sources import ASK_TYPE, DEADLINE_S, GRACE_S, PAGE_TYPE, SILENT_S, FrameSource
from tests.fakes import virtual_time
from tests.resuming import World
from tests.viewers import stream_info

INFO = stream_info()


def frame(first: int, count: int = 50, size: int = 100) -> WaveFrame:
    return WaveFrame(FrameKind.WAVEFORM, first, count, b"x" * size)


def layer_of(hub: Hub) -> FrameSource:
    return hub.recovery.sources[1]


def firsts(page: Page) -> list[int]:
    return [found.first for found in page.frames]


def now() -> float:
    return asyncio.get_running_loop().time()


@virtual_time
async def test_the_process_of_the_device_answers_newest_first_and_at_once() -> None:
    at = World(1)
    await at.start(count=3)
    at.hubs[0].publish(Bundle(INFO, frames=tuple(frame(50 * n) for n in range(10))))
    began = now()
    page = await layer_of(at.hubs[1]).read("a", 1, 100, 300, max_bytes=250)
    assert (firsts(page), page.next, page.info) == ([250, 200], 200, INFO)
    assert now() - began < GRACE_S
    assert firsts(at.hubs[1].rings.read("a", 1, 0, 500, max_bytes=10**6)) == [250, 200], "kept for others"
    await at.aclose()


@virtual_time
async def test_two_processes_that_had_the_device_are_both_heard() -> None:
    at = World(1)
    await at.start(count=3)
    at.hubs[0].publish(Bundle(INFO, frames=(frame(0), frame(50))))
    at.hubs[1].publish(Bundle(INFO, frames=(frame(150), frame(200))))
    page = await layer_of(at.hubs[2]).read("a", 1, 0, 300, max_bytes=10**6)
    assert (firsts(page), page.next) == ([200, 150, 50, 0], None)
    await at.aclose()


@virtual_time
async def test_where_nobody_answers_the_deadline_is_waited_for_once() -> None:
    at = World(1)
    await at.start()
    source, began = layer_of(at.hubs[1]), now()
    assert await source.read("a", 1, 0, 50, max_bytes=1) == AWAY
    assert now() - began == pytest.approx(DEADLINE_S)
    assert await source.read("a", 1, 50, 100, max_bytes=1) == AWAY
    assert now() - began == pytest.approx(DEADLINE_S)
    await asyncio.sleep(SILENT_S + 0.01)
    at.hubs[0].publish(Bundle(INFO, frames=(frame(0),)))
    assert firsts(await source.read("a", 1, 0, 50, max_bytes=1)) == [0]
    await at.aclose()


@virtual_time
async def test_that_nobody_has_a_stream_is_believed_the_second_time_and_not_for_ever() -> None:
    at = World(1)
    await at.start()
    source, pages = layer_of(at.hubs[1]), []
    for _ in range(4):
        pages.append(await source.read("a", 1, 0, 50, max_bytes=1))
        pages.append(await source.read("a", 1, 0, 50, max_bytes=1))
        await asyncio.sleep(LOOK_AGAIN_S)
    assert pages == [AWAY] * 2 + [NOTHING] * 4 + [AWAY] * 2
    await at.aclose()


@virtual_time
async def test_an_answer_that_comes_too_late_is_there_for_who_asks_again() -> None:
    at = World(1)
    await at.start()
    hub = at.hubs[0]
    asked: list[LayerMessage] = []
    hub.publish(Bundle(INFO, frames=(frame(0), frame(50))))
    hub.link._on_message = asked.append  # it hears, and is too slow
    assert await layer_of(at.hubs[1]).read("a", 1, 0, 100, max_bytes=1000) == AWAY
    for question in asked:
        hub._on_layer_message(question)
    await asyncio.sleep(0.01)
    assert firsts(at.hubs[1].rings.read("a", 1, 0, 100, max_bytes=1000)) == [50, 0]
    await at.aclose()


@virtual_time
async def test_who_begins_within_the_span_is_waited_behind_for_who_had_the_device_before() -> None:
    at = World(1)
    await at.start(count=3)
    first, second = at.hubs[:2]
    first.publish(Bundle(INFO, frames=(frame(0), frame(50))))
    second.publish(Bundle(INFO, frames=(frame(100), frame(150))))
    asked: list[LayerMessage] = []
    first.link._on_message = asked.append
    reading = asyncio.create_task(layer_of(at.hubs[2]).read("a", 1, 0, 200, max_bytes=10**6))
    await asyncio.sleep(GRACE_S / 2)
    for question in asked:
        first._on_layer_message(question)
    page = await reading
    assert (firsts(page), page.unheard) == ([150, 100, 50, 0], False)
    await at.aclose()


@virtual_time
async def test_who_has_the_stream_and_not_the_samples_says_so_at_once() -> None:
    at = World(1)
    await at.start()
    at.hubs[0].publish(Bundle(INFO, frames=(frame(1000),)))
    source, began = layer_of(at.hubs[1]), now()
    assert await source.read("a", 1, 0, 50, max_bytes=1) == AWAY, "another may have them"
    assert now() - began < GRACE_S + 0.05
    await asyncio.sleep(LOOK_AGAIN_S)
    assert await source.read("a", 1, 0, 50, max_bytes=1) == NOTHING
    await at.aclose()


@virtual_time
async def test_a_broken_layer_is_not_waited_for() -> None:
    at = World(1)
    await at.start()
    at.hubs[1].link.healthy = False
    began = now()
    assert await layer_of(at.hubs[1]).read("a", 1, 0, 50, max_bytes=1) == AWAY
    assert now() == began
    await at.aclose()


@virtual_time
async def test_who_only_watches_a_stream_does_not_answer_for_it() -> None:
    at = World(1)
    await at.start()
    at.hubs[0].rings.take(Bundle(INFO, frames=(frame(0),)), now(), own=False)
    assert await layer_of(at.hubs[1]).read("a", 1, 0, 50, max_bytes=1) == AWAY
    await at.aclose()


@virtual_time
async def test_an_answer_that_nobody_waits_for_any_more_is_nothing() -> None:
    at = World(1)
    await at.start()
    hub = at.hubs[0]
    late = {
        "type": PAGE_TYPE,
        "origin": "p9",
        "id": 77,
        "info": None,
        "frames": [],
    }
    hub._on_layer_message(late)
    assert hub.rings.read("a", 1, 0, 50, max_bytes=1) == NOTHING
    hub._on_layer_message({"type": ASK_TYPE, "origin": hub.process_id, "reply": "x", "id": 1, "what": []})
    await at.aclose()


@virtual_time
async def test_pages_on_the_layer_have_their_bound_whatever_was_asked_for() -> None:
    at = World(1)
    await at.start()
    info = replace(INFO, epoch=2)
    at.hubs[0].publish(Bundle(info, frames=tuple(frame(50 * n, size=20_000) for n in range(10))))
    page = await layer_of(at.hubs[1]).read("a", 2, 0, 500, max_bytes=10**9)
    assert sum(len(found.payload) for found in page.frames) <= 64 * 1024
    await at.aclose()


@virtual_time
async def test_an_answer_that_ends_early_is_no_hole_where_another_reaches_further() -> None:
    at = World(1)
    await at.start(count=3)
    at.hubs[0].publish(Bundle(INFO, frames=(frame(0), frame(50))))
    at.hubs[1].publish(Bundle(INFO, frames=tuple(frame(50 * n) for n in range(2, 8))))
    source = layer_of(at.hubs[2])
    page = await source.read("a", 1, 0, 400, max_bytes=250)
    assert (firsts(page), page.next) == ([350, 300], 300), "between 100 and 300 the second one has more"
    rest = await source.read("a", 1, 0, 300, max_bytes=10**6)
    assert (firsts(rest), rest.next) == ([250, 200, 150, 100, 50, 0], None)
    await at.aclose()


@virtual_time
async def test_a_layer_that_brings_something_again_is_asked_before_its_pulse_is_heard() -> None:
    at = World(1)
    await at.start()
    at.hubs[0].publish(Bundle(INFO, frames=(frame(0), frame(50))))
    await at.hubs[1].link.join("group")
    await asyncio.sleep(0.1)
    at.hubs[1].link.healthy = False
    at.hubs[0].link.publish("group", {"type": "anything", "origin": "p0"})
    await asyncio.sleep(0.01)
    assert not at.hubs[1].link.healthy
    assert firsts(await layer_of(at.hubs[1]).read("a", 1, 0, 100, max_bytes=1000)) == [50, 0]
    await at.aclose()
