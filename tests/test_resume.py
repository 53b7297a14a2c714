"""A viewer that was cut gets what it missed, or is told what nobody has: never twice, never wrong."""

from __future__ import annotations

import asyncio

import pytest

from streaming.backfill import LOOK_AGAIN_S
from streaming.core.frames import FrameKind
from streaming.core.messages import MAX_NEWEST_S, SAMPLE_LIMIT, Resume
from streaming.core.renditions import LADDER, Rendition
from streaming.core.ring import KEPT_S, Page, Ring
from streaming.returning import LIVE_WAIT_S
from streaming.sources import ASK_TYPE, DEADLINE_S
from tests.fakes import VirtualLoop, virtual_time
from tests.resuming import CHUNK, RATE_HZ, world


@virtual_time
async def test_a_cut_viewer_gets_all_that_it_missed() -> None:
    async with world() as at:
        here, _ = at.hubs
        client = await at.cut_viewer(here, had_s=2.0, away_s=5.0)
        await client.connect(here)
        await at.run(here, 2.0)
        at.all_came(client)


@virtual_time
async def test_also_on_another_process_than_before() -> None:
    async with world() as at:
        here, there = at.hubs
        client = await at.cut_viewer(here, had_s=2.0, away_s=3.0)
        await client.connect(there)
        await at.run(here, 2.0)
        at.all_came(client)


@virtual_time
async def test_live_samples_come_first_and_then_the_newest_of_the_others() -> None:
    async with world() as at:
        here, _ = at.hubs
        client = await at.cut_viewer(here, had_s=2.0, away_s=20.0, rate=20e3)
        began = len(client.frames)
        await client.connect(here)
        await at.run(here, 8.0)
        client.read()
        came = client.frames[began:]
        live = [(at_s, stop) for at_s, kind, _, _, stop in came if kind is FrameKind.WAVEFORM]
        assert all(at_s - (1000.0 + stop / RATE_HZ) < 0.2 for at_s, stop in live), "live ones do not wait"
        late = [first for _, kind, _, first, _ in came if kind is FrameKind.BACKFILL]
        assert late == sorted(late, reverse=True)
        assert len(late) == 20 * RATE_HZ / CHUNK


@virtual_time
async def test_the_gap_is_told_at_once_and_before_the_first_live_sample() -> None:
    async with world() as at:
        here, there = at.hubs
        client = await at.cut_viewer(here, had_s=1.0, away_s=1.0)
        stop = client.epochs[1].stop
        at.hubs[1].recovery.paused = True
        await client.connect(there)
        await at.run(here, 1.0)
        client.read()
        (missing,) = client.epochs[1].missing
        assert missing == (stop, 500)
        there.recovery.paused = False
        await at.run(here, 1.0)
        assert client.judge(1, at.at - 2 * CHUNK)[1] == 0
        assert not client.epochs[1].missing


@virtual_time
async def test_what_is_older_than_the_ring_is_told_to_be_lost() -> None:
    async with world(shared=False, count=1) as at:
        (here,) = at.hubs
        client = await at.cut_viewer(here, had_s=1.0, away_s=KEPT_S + 10)
        stop = client.epochs[1].stop
        await client.connect(here)
        await at.run(here, 3.0)
        had, lost = client.judge(1, at.at - 2 * CHUNK)
        assert list(client.epochs[1].lost) == [(stop, stop + lost)]
        assert 10 * RATE_HZ - 4 * CHUNK <= lost <= 10 * RATE_HZ + 4 * CHUNK
        assert not client.epochs[1].missing
        assert had + lost == at.at - 2 * CHUNK


class Kept:
    """A history: all of one ring, for as long as it lives."""

    def __init__(self, ring: Ring) -> None:
        self.ring = ring

    async def read(self, stream: str, epoch: int, first: int, stop: int, *, max_bytes: int) -> Page:
        await asyncio.sleep(0.01)
        return self.ring.read(epoch, first, stop, max_bytes=max_bytes)


@virtual_time
async def test_a_device_whose_process_has_died_is_read_from_history() -> None:
    async with world() as at:
        here, there = at.hubs
        client = await at.watching(there)
        await at.run(here, 2.0)
        await client.cut()
        await at.run(here, 5.0)
        history = Ring(kept_s=1e6)
        for frame in here.rings.read("a", 1, 0, at.at, max_bytes=10**6).frames:
            history.append(at.info, frame, 0.0)
        await here.aclose()
        at.hubs.remove(here)
        await asyncio.sleep(70)
        there.recovery.sources.append(Kept(history))
        await client.connect(there)
        await asyncio.sleep(LIVE_WAIT_S + DEADLINE_S + 1.5)
        assert client.judge(1, at.at) == (at.at, 0)
        # The device comes back to this process, and goes on where it was.
        at.skip(there, 100)
        await at.run(there, 1.0)
        had, lost = client.judge(1, at.at - 2 * CHUNK)
        assert (had, lost) == (at.at - 2 * CHUNK - 100, 0)


@virtual_time
async def test_an_old_epoch_is_ended_by_a_gap_and_the_new_one_comes_from_its_start() -> None:
    async with world() as at:
        here, _ = at.hubs
        client = await at.cut_viewer(here, had_s=2.0, away_s=1.0)
        old = at.at
        at.begin_epoch()
        await at.run(here, 0.5)
        at.begin_epoch()
        await at.run(here, 1.5)
        await client.connect(here)
        await at.run(here, 3.0 + LOOK_AGAIN_S)
        client.read()
        assert [list(client.epochs[epoch].had) for epoch in (1, 2)] == [[(0, old)], [(0, 125)]]
        assert [list(client.epochs[epoch].lost) for epoch in (1, 2)] == [
            [(old, SAMPLE_LIMIT)],
            [(125, SAMPLE_LIMIT)],
        ]
        at.all_came(client)
        aliases = {said["epoch"]: alias for alias, said in client._aliases.items()}
        assert len(aliases) == 3


@virtual_time
async def test_what_the_layer_lost_is_told_at_once_and_fetched_once_for_all() -> None:
    async with world() as at:
        here, there = at.hubs
        clients = [await at.watching(there) for _ in range(5)]
        await at.run(here, 2.0)
        at.layer.loss = 1.0
        await at.run(here, 1.0)
        at.layer.loss = 0.0
        asked = 0
        send = there.link.publish

        def count(group: str, message: dict[str, object], size_bytes: int = 0) -> None:
            nonlocal asked
            asked += message["type"] == ASK_TYPE
            send(group, message, size_bytes)

        there.link.publish = count  # type: ignore[method-assign]
        await at.run(here, 3.0)
        for client in clients:
            at.all_came(client)
        assert asked == 1


@virtual_time
async def test_what_nobody_has_of_a_lost_bundle_is_said_again_to_be_lost() -> None:
    async with world() as at:
        here, there = at.hubs
        client = await at.watching(there)
        await at.run(here, 1.0)
        at.at += 50  # Never published: no ring has them.
        await at.run(here, 3.0)
        client.read()
        assert list(client.epochs[1].lost) == [], "a process may have them that is slow"
        await at.run(here, LOOK_AGAIN_S)
        client.read()
        assert list(client.epochs[1].lost) == [(250, 300)]
        assert not client.epochs[1].missing


@pytest.mark.parametrize("rendition", [LADDER[2], LADDER[4], LADDER[5]])
def test_late_samples_are_made_as_the_viewer_is_sent_the_stream(rendition: Rendition) -> None:
    @virtual_time
    async def run() -> None:
        async with world() as at:
            here, _ = at.hubs
            client = await at.cut_viewer(here, had_s=3.0, away_s=5.0, rendition=rendition)
            await client.connect(here)
            await at.run(here, 3.0)
            assert client.judge(1, 10 * 250 - 50)[1] == 0
            assert not list(client.epochs[1].missing)
            assert rendition.quality in client.qualities
            late = [frame for frame in client.frames if frame[1] is FrameKind.BACKFILL]
            assert len(late) >= 5

    run()


@virtual_time
async def test_a_viewer_of_numbers_gets_late_samples_once_it_gets_samples() -> None:
    async with world() as at:
        here, _ = at.hubs
        client = await at.watching(here, rendition=LADDER[6])
        await at.run(here, 1.0)
        here.resume(client.subscriber, Resume("a", 1, 30, 90))
        await at.run(here, 1.0)
        client.read()
        assert not [frame for frame in client.frames if frame[1] is FrameKind.BACKFILL]
        here._subscribers[client.subscriber]["a"].send_as(client.subscriber, LADDER[0], 0.0)
        await at.run(here, 1.0)
        client.read()
        assert client.epochs[1].had.overlap(30, 90) == [(30, 90)]


@virtual_time
async def test_a_viewer_that_leaves_a_stream_is_sent_no_more_of_it() -> None:
    async with world() as at:
        here, _ = at.hubs
        client = await at.cut_viewer(here, had_s=1.0, away_s=30.0, rate=20e3)
        await client.connect(here)
        await asyncio.sleep(0.3)
        here.unwatch(client.subscriber, "a")
        await asyncio.sleep(0.5)
        client.read()
        count = len(client.frames)
        await asyncio.sleep(5.0)
        client.read()
        assert len(client.frames) == count
        assert here.recovery.spans == 0


@virtual_time
async def test_what_is_asked_for_by_its_span_comes_and_no_more() -> None:
    async with world() as at:
        here, _ = at.hubs
        await at.run(here, 3.0)
        client = await at.watching(here)
        await at.run(here, 0.5)
        here.resume(client.subscriber, Resume("a", 1, 110, 320))
        await at.run(here, 0.5)
        client.read()
        assert client.epochs[1].had.overlap(0, 750) == [(110, 320)]


async def _random_cuts(seed: int, cuts: int) -> tuple[int, int]:
    """Cuts at random times, processes and lengths, with what a layer and devices do meanwhile."""
    async with world(seed) as at:
        rng = at.rng
        client = at.client(rate=rng.choice([1e6, 30e3]), delay_s=rng.choice([0.005, 0.1]))
        home = at.hubs[0]
        connected = False
        for _ in range(cuts):
            await client.connect(rng.choice(at.hubs))
            await at.run(home, rng.choice([0.1, 0.5, 2.0]))
            at.layer.loss = rng.choice([0.0, 0.0, 0.2])
            await at.run(home, rng.choice([0.1, 0.5, 2.0]))
            at.layer.loss = 0.0
            await client.cut()
            event = rng.random()
            if event < 0.15:
                at.skip(home, rng.randrange(1, 200))
            elif event < 0.25:
                at.begin_epoch()
            elif event < 0.35:
                home = rng.choice(at.hubs)
            await at.run(home, rng.choice([0.0, 0.3, 3.0]))
            connected = True
        assert connected
        await client.connect(at.hubs[1])
        await at.run(home, 4.0)
        client.read()
        client.recover()
        await at.run(home, 6.0 + LOOK_AGAIN_S)
        assert not client.cuts
        client.read()
        had = lost = 0
        for epoch, stop in at.epochs.items():
            if epoch in client.epochs:
                known = client.epochs[epoch]
                end = stop if epoch < at.info.epoch else at.at - 4 * CHUNK
                if known.first is not None and known.first < end:
                    got, gone = client.judge(epoch, end)
                    had, lost = had + got, lost + gone
                assert not known.missing
        await client.cut()
        return had, lost


@pytest.mark.parametrize("seed", range(12))
def test_random_cuts(seed: int) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        had, _ = runner.run(_random_cuts(seed, 6))
        assert had


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(100, 200))
def test_a_thousand_random_cuts(seed: int) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        had, _ = runner.run(_random_cuts(seed, 10))
        assert had


@virtual_time
async def test_who_wants_the_newest_seconds_alone_gets_no_more_and_is_told_of_all() -> None:
    async with world() as at:
        here, _ = at.hubs
        await at.run(here, 1.0)
        at.begin_epoch()
        await at.run(here, 6.0)
        client = await at.watching(here)
        here.resume(client.subscriber, Resume("a", 1, 100, newest_s=2.0))
        await at.run(here, 1.0)
        client.read()
        assert client.epochs[2].had.overlap(0, 1500) == [(1000, 1500)]
        assert list(client.epochs[2].missing) == [(0, 1000)]
        assert list(client.epochs[1].missing) == [(100, SAMPLE_LIMIT)]
        assert here.recovery.spans == 0


@virtual_time
async def test_who_wants_more_seconds_than_there_can_be_gets_all_that_there_are() -> None:
    async with world() as at:
        here, _ = at.hubs
        await at.run(here, 1.0)
        client, other = await at.watching(here), await at.watching(here)
        here.resume(client.subscriber, Resume("a", 1, 0, newest_s=MAX_NEWEST_S))
        await at.run(here, 1.0)
        at.all_came(client)
        other.read()
        assert list(other.epochs[1].had) == [(250, at.at)]


@pytest.mark.parametrize("is_placed", [True, False])
def test_who_had_more_elsewhere_than_came_here_gets_nothing_twice(is_placed: bool) -> None:
    @virtual_time
    async def run() -> None:
        async with world(shared=False, count=2) as at:
            ahead, behind = at.hubs
            client = await at.watching(ahead)
            await at.run(ahead, 2.0)
            await client.cut()
            at.at = 400  # what the client has up to 500 comes to the other process only now
            if is_placed:
                at.send(behind)
            await client.connect(behind)
            await at.run(behind, 2.0)
            client.judge(1, at.at - 2 * CHUNK)
            live = [frame for frame in client.frames if frame[1] is FrameKind.WAVEFORM]
            assert live[-1][4] >= 800, "it goes on live"

    run()
