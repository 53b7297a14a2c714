"""What bounds the samples that are sent late, and what holds them back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from streaming.backfill import LOOK_AGAIN_S, MAX_SPANS, PATIENCE_S, PREFETCHED_BYTES
from streaming.channel import CANONICAL
from streaming.core.bundle import Bundle, WaveFrame
from streaming.core.frames import FrameKind
from streaming.core.ladder import Decision, Reason
from streaming.core.messages import Ack, Resume
from streaming.core.renditions import LADDER, Quality, Rendition
from streaming.core.ring import AWAY, NOTHING, Page
from streaming.ecg import codec
from streaming.exceptions import CloseCode
from streaming.returning import LIVE_WAIT_S
from streaming.sources import DEADLINE_S
from tests.fakes import virtual_time
from tests.resuming import Client, World, samples_of, world
from tests.viewers import Viewer, turns


@virtual_time
async def test_a_viewer_waits_for_so_many_spans_and_no_more() -> None:
    async with world(shared=False, count=1) as at:
        (here,) = at.hubs
        client = Client()
        await at.run(here, 1.0)
        await client.connect(here)
        here.recovery.paused = True
        for number in range(MAX_SPANS + 10):
            here.resume(client.subscriber, Resume("a", 1, number % 200, number % 200 + 5))
        assert (here.recovery.spans, here.recovery.is_full(client.subscriber)) == (MAX_SPANS, True)
        await client.cut()
        assert here.recovery.spans == 0


@virtual_time
async def test_little_is_read_ahead_of_what_is_sent() -> None:
    async with world(shared=False, count=1) as at:
        (here,) = at.hubs
        frames = tuple(WaveFrame(FrameKind.WAVEFORM, 25 * n, 25, b"x" * 4000) for n in range(100))
        here.publish(Bundle(at.info, frames=frames))
        client = Client()
        await client.connect(here)
        here.recovery.paused = True
        here.resume(client.subscriber, Resume("a", 1, 0, 2500))
        await turns(200)
        ready = here.recovery._backfills[client.subscriber]._ready_bytes
        assert PREFETCHED_BYTES // 2 < ready <= PREFETCHED_BYTES + 16 * 1024
        client._read = 10**6  # these are no real payloads
        await client.cut()


@virtual_time
async def test_a_source_that_fails_has_nothing_and_the_next_one_may(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        async def read(self, stream: str, epoch: int, first: int, stop: int, *, max_bytes: int) -> Page:
            raise OSError("away")

    async with world(shared=False, count=1) as at:
        (here,) = at.hubs
        here.recovery.sources.insert(0, Broken())
        client = Client()
        await at.run(here, 1.0)
        await client.connect(here)
        await at.run(here, 0.5)
        with caplog.at_level(logging.ERROR):
            here.resume(client.subscriber, Resume("a", 1, 0, 250))
            await at.run(here, 0.5)
        client.read()
        assert client.epochs[1].had.overlap(0, 250) == [(0, 250)]
        assert "Broken failed to read stream a" in caplog.text
        await client.cut()


@virtual_time
async def test_who_lacks_nothing_any_more_is_asked_no_more_until_it_lacks_something() -> None:
    async with world(shared=False, count=1) as at:
        (here,) = at.hubs
        client = Client()
        await at.run(here, 1.0)
        await client.connect(here)
        await at.run(here, 0.5)
        handler = client.subscriber.handler
        for first in (100, 0):
            here.resume(client.subscriber, Resume("a", 1, first, first + 50))
            assert handler._pulls
            await at.run(here, 0.5)
            assert not handler._pulls
        client.read()
        assert client.epochs[1].had.overlap(0, 250) == [(0, 50), (100, 150)]
        await client.cut()


@virtual_time
async def test_samples_that_cannot_be_read_are_lost_to_who_is_sent_coarse_ones() -> None:
    async with world(shared=False, count=1) as at:
        (here,) = at.hubs
        here.publish(Bundle(at.info, frames=(WaveFrame(FrameKind.WAVEFORM, 0, 25, b"no payload"),)))
        at.at = 25
        client = Client()
        await client.connect(here)
        await at.run(here, 0.5)
        here.resume(client.subscriber, Resume("a", 1, 5, 20))  # cutting it means reading it
        await at.run(here, 0.5)
        client.read()
        assert list(client.epochs[1].lost) == [(5, 20)]
        await client.cut()


@virtual_time
async def test_a_frame_of_other_samples_than_it_says_is_lost_where_it_has_to_be_cut() -> None:
    async with world(shared=False, count=1) as at:
        (here,) = at.hubs
        payload = codec.WaveformEncoder().encode(samples_of(1, 0, 10))
        here.publish(Bundle(at.info, frames=(WaveFrame(FrameKind.WAVEFORM, 0, 25, payload),)))
        at.at = 25
        client = Client()
        await client.connect(here)
        await at.run(here, 0.5)
        here.resume(client.subscriber, Resume("a", 1, 15, 20))
        await at.run(here, 0.5)
        client.read()
        assert list(client.epochs[1].lost) == [(15, 20)]
        await client.cut()


@virtual_time
async def test_late_samples_that_cannot_be_made_cost_themselves_and_not_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with world(shared=False, count=1) as at:
        (here,) = at.hubs
        for first, leads in ((0, 1), (25, 2)):
            samples = samples_of(1, first, first + 25).repeat(leads, axis=0)
            payload = codec.WaveformEncoder().encode(samples)
            here.publish(Bundle(at.info, frames=(WaveFrame(FrameKind.WAVEFORM, first, 25, payload),)))
        at.at = 50
        client = Client(rendition=LADDER[4])
        await client.connect(here)
        await at.run(here, 2.0)
        here.resume(client.subscriber, Resume("a", 1, 0, 50))
        await at.run(here, 2.0)
        client.read()
        assert list(client.epochs[1].lost) == [(0, 50)]
        assert client.cuts == []
        assert "late samples of stream a cannot be made, going on" in caplog.text
        await client.cut()


@virtual_time
async def test_a_viewer_that_has_to_go_for_an_alias_of_late_samples_goes_for_nothing_else(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(shared=False, count=1) as at:
        (here,) = at.hubs
        await at.run(here, 1.0)
        at.begin_epoch()
        client = Client()
        await client.connect(here)
        await at.run(here, 1.0)
        take = here._aliases.take

        def take_from_the_viewer() -> int:
            here._evict(client.subscriber)
            return take()

        monkeypatch.setattr(here._aliases, "take", take_from_the_viewer)
        here.resume(client.subscriber, Resume("a", 1, 0, 250))
        await at.run(here, 1.0)
        assert client.cuts == [(CloseCode.GOING_AWAY, "aliases are used up, reconnect")]
        assert here.recovery.spans == 0
        assert "failed" not in caplog.text
        await client.cut()


@virtual_time
async def test_a_stream_of_which_only_numbers_are_sent_holds_up_no_other() -> None:
    async with world(shared=False, count=1) as at:
        (here,) = at.hubs
        subscriber = Viewer().subscriber
        here.add(subscriber)
        for stream in "abc":
            info = replace(at.info, stream=stream)
            frames = tuple(WaveFrame(FrameKind.WAVEFORM, 25 * n, 25, b"x" * 4000) for n in range(100))
            here.publish(Bundle(info, frames=frames))
            await here.watch(subscriber, stream)
            payload = codec.WaveformEncoder().encode(samples_of(1, 2500, 2525))
            here.publish(Bundle(info, frames=(WaveFrame(FrameKind.WAVEFORM, 2500, 25, payload),)))
        await turns()
        numbers = Decision(
            {stream: Rendition(Quality.VITALS, 1.0) for stream in "ab"} | {"c": CANONICAL},
            Reason.STREAMS,
            0.0,
        )
        subscriber._decision = numbers
        subscriber.choose = lambda: False  # type: ignore[method-assign]
        here._switch(subscriber)
        for stream in "abc":
            here.resume(subscriber, Resume(stream, 1, 0, 2500))
        for _ in range(600):
            await asyncio.sleep(0.02)
            subscriber.acked(Ack(subscriber.window.sent, 0.0, 0))
        backfill = here.recovery._backfills[subscriber]
        assert "c" not in backfill._fills, "all of it was sent"
        assert backfill.spans == 2
        here.remove(subscriber)
        await subscriber.aclose()


@virtual_time
async def test_a_narrow_path_is_told_in_its_own_time_of_all_that_is_lost() -> None:
    async with world(shared=False, count=1) as at:
        (here,) = at.hubs
        client = Client(rate=4000.0)
        await at.run(here, 0.1)
        await client.connect(here)
        await at.run(here, 1.0)
        at.skip(here, 2 * 10**9)
        asked = 0
        for _ in range(120):
            while asked < 2 * MAX_SPANS and not here.recovery.is_full(client.subscriber):
                here.resume(client.subscriber, Resume("a", 1, 10**9 + 10 * asked, 10**9 + 10 * asked + 5))
                asked += 1
            await at.run(here, 0.5)
        client.read()
        assert client.cuts == []
        assert len(list(client.epochs[1].lost)) == 2 * MAX_SPANS
        await client.cut()


class Store:
    """A source behind the rings: away, or with nothing, or with all of one chunk."""

    def __init__(self, at: World) -> None:
        self.away = True
        self.has: WaveFrame | None = None
        self.reads = 0
        self._info = at.info

    async def read(self, stream: str, epoch: int, first: int, stop: int, *, max_bytes: int) -> Page:
        self.reads += 1
        if self.away:
            return AWAY
        return NOTHING if self.has is None else Page(self._info, (self.has,))


@asynccontextmanager
async def asking_a_store() -> AsyncIterator[tuple[World, Store, Client]]:
    """A viewer has asked for the samples 200 to 225, which no ring has, and the store is away."""
    async with world(shared=False, count=1) as at:
        (here,) = at.hubs
        here.recovery.sources.append(store := Store(at))
        client = Client()
        await client.connect(here)
        at.at = 1000
        await at.run(here, 0.5)
        here.resume(client.subscriber, Resume("a", 1, 200, 225))
        await at.run(here, 0.5)
        yield at, store, client
        await client.cut()


@virtual_time
async def test_what_a_source_may_have_that_is_away_is_sent_when_it_is_back() -> None:
    async with asking_a_store() as (at, store, client):
        client.read()
        assert list(client.epochs[1].lost) == []
        assert at.hubs[0].recovery.spans == 0, "what waits for a source takes no place"
        payload = codec.WaveformEncoder().encode(samples_of(1, 200, 225))
        store.has, store.away = WaveFrame(FrameKind.WAVEFORM, 200, 25, payload), False
        await at.run(at.hubs[0], LOOK_AGAIN_S)
        client.read()
        assert client.epochs[1].had.overlap(0, 1000) == [(200, 225)]
        assert list(client.epochs[1].lost) == []


@virtual_time
async def test_what_it_has_not_when_it_is_back_is_lost() -> None:
    async with asking_a_store() as (at, store, client):
        await at.run(at.hubs[0], 2 * LOOK_AGAIN_S)
        client.read()
        assert list(client.epochs[1].lost) == []
        store.away = False
        await at.run(at.hubs[0], LOOK_AGAIN_S)
        client.read()
        assert list(client.epochs[1].lost) == [(200, 225)]


@virtual_time
async def test_a_source_that_stays_away_is_asked_for_a_minute() -> None:
    async with asking_a_store() as (at, store, client):
        await at.run(at.hubs[0], PATIENCE_S + LOOK_AGAIN_S)
        reads = store.reads
        assert PATIENCE_S / LOOK_AGAIN_S <= reads <= PATIENCE_S / LOOK_AGAIN_S + 2
        await at.run(at.hubs[0], PATIENCE_S)
        assert store.reads == reads
        client.read()
        assert list(client.epochs[1].lost) == [], "the viewer may ask again"
        store.away = False
        at.hubs[0].resume(client.subscriber, Resume("a", 1, 200, 225))
        await at.run(at.hubs[0], 0.5)
        client.read()
        assert list(client.epochs[1].lost) == [(200, 225)]


@virtual_time
async def test_what_waits_for_a_source_is_forgotten_with_its_stream() -> None:
    async with asking_a_store() as (at, store, client):
        at.hubs[0].unwatch(client.subscriber, "a")
        reads = store.reads
        await at.run(at.hubs[0], 2 * LOOK_AGAIN_S)
        assert store.reads == reads


@virtual_time
async def test_of_what_waits_for_a_source_the_oldest_is_given_up_beyond_a_bound() -> None:
    async with asking_a_store() as (at, _, client):
        for first in range(MAX_SPANS):
            at.hubs[0].resume(client.subscriber, Resume("a", 1, first, first + 1))
            await turns(20)
        backfill = at.hubs[0].recovery._backfills[client.subscriber]
        assert [len(backfill._aside), backfill._aside[0].span.first] == [MAX_SPANS, 0]


@virtual_time
async def test_samples_that_another_process_had_while_it_was_too_slow_to_say_so_are_not_lost() -> None:
    async with world() as at:
        there, here = at.hubs
        await at.run(there, 2.0)
        client = Client()
        await client.connect(here)
        await at.run(there, 0.5)
        hear = there.link._on_message
        there.link._on_message = lambda message: None
        here.resume(client.subscriber, Resume("a", 1, 200, 225))
        await at.run(there, DEADLINE_S + 0.5)
        there.link._on_message = hear
        client.read()
        assert list(client.epochs[1].lost) == []
        await at.run(there, LOOK_AGAIN_S)
        client.read()
        assert client.epochs[1].had.overlap(200, 225) == [(200, 225)]
        await client.cut()


@virtual_time
async def test_where_a_silent_stream_stands_is_looked_up_again_while_its_history_is_away() -> None:
    async with world(shared=False) as at:
        there, here = at.hubs
        client = Client()
        await client.connect(there)
        await at.run(there, 1.0)
        await client.cut()
        payload = codec.WaveformEncoder().encode(samples_of(1, 250, 275))
        here.recovery.sources.append(store := Store(at))
        store.has = WaveFrame(FrameKind.WAVEFORM, 250, 25, payload)
        await client.connect(here)
        await asyncio.sleep(LIVE_WAIT_S + 1.0)
        assert store.reads == 1, "it is looked up once, and again later"
        store.away = False
        await asyncio.sleep(LOOK_AGAIN_S + 1.0)
        client.read()
        assert client.epochs[1].had.overlap(0, 300) == [(0, 275)]
        reads = store.reads
        await asyncio.sleep(2 * LOOK_AGAIN_S)
        assert store.reads == reads
        await client.cut()


@virtual_time
async def test_what_is_found_of_a_stream_that_nobody_watches_any_more_is_no_gap_for_who_comes() -> None:
    async with world(shared=False) as at:
        there, here = at.hubs
        leaving, coming = Client(), Client()
        await leaving.connect(there)
        await at.run(there, 1.0)
        await leaving.cut()
        here.recovery.sources.append(store := Store(at))
        found = asyncio.Event()

        async def read(*_: object, **__: object) -> Page:
            await found.wait()
            return Page(at.info, (WaveFrame(FrameKind.WAVEFORM, 250, 25, b"x"),))

        store.read = read  # type: ignore[method-assign]
        await leaving.connect(here)
        await asyncio.sleep(LIVE_WAIT_S + 1.0)
        await leaving.cut()
        found.set()
        await asyncio.sleep(0.1)
        await coming.connect(here)
        at.at = 1000
        await at.run(here, 0.5)
        coming.read()
        assert [*coming.epochs[1].missing, *coming.epochs[1].lost] == []
        await coming.cut()
