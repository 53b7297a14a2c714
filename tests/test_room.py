"""One stream's renditions where something is amiss: samples that cannot be read, late ones, no alias left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import numpy as np
import pytest

from streaming import aliases as aliases_module
from streaming.aliases import Aliases
from streaming.core.bundle import Bundle, Gap, WaveFrame
from streaming.core.frames import FrameKind
from streaming.core.messages import GapReason
from streaming.core.patterns import DataPattern
from streaming.core.renditions import LADDER
from streaming.core.streams import StreamInfo
from streaming.core.tally import GroupTally
from streaming.ecg import codec
from streaming.ecg.frame_maker import FrameMaker
from streaming.fanout import FanOut
from streaming.room import QUIET_S, SUSPECTED_S, Room
from streaming.subscriber import Subscriber
from tests.fakes import virtual_time
from tests.viewers import Viewer, stream_info

INFO = stream_info(leads=2)
LOSSLESS, DISPLAY, OVERVIEW, VITALS = LADDER[0], LADDER[4], LADDER[5], LADDER[6]


class Place:
    """A room without a hub, and those who are in it."""

    def __init__(self) -> None:
        self.clock = asyncio.get_running_loop().time
        self.news: list[Iterable[Subscriber]] = []
        self.aliases = Aliases(self.evict)
        fan_out = FanOut(tick_s=0.0, clock=self.clock)
        self.room = Room("a", self.aliases, GroupTally(), fan_out, self.clock(), on_news=self.news.append)
        self.viewers: list[Viewer] = []
        self.evicted: list[Subscriber] = []

    def evict(self, subscriber: Subscriber) -> None:
        """As the hub does."""
        self.evicted.append(subscriber)
        self.room.leave(subscriber, self.clock())
        self.aliases.release(subscriber)

    def viewer(self) -> Viewer:
        """One that watches the stream."""
        viewer = Viewer()
        self.viewers.append(viewer)
        self.room.enter(viewer.subscriber)
        return viewer

    async def deliver(
        self, *frames: WaveFrame, info: StreamInfo = INFO, pattern: DataPattern | None = None
    ) -> None:
        """A bundle of these frames, and the viewers take it."""
        self.room.deliver(Bundle(info, frames=frames, pattern=pattern), self.clock())
        for viewer in self.viewers:
            await viewer.catch_up()


@asynccontextmanager
async def place() -> AsyncIterator[Place]:
    made = Place()
    try:
        yield made
    finally:
        for viewer in made.viewers:
            await viewer.subscriber.aclose()


def live(first: int, *, leads: int = 2, kind: FrameKind = FrameKind.WAVEFORM) -> WaveFrame:
    """Fifty samples, each of which is its own index."""
    samples = np.arange(first, first + 50, dtype=np.int16)[None].repeat(leads, axis=0)
    return WaveFrame(kind, first, 50, codec.WaveformEncoder().encode(samples))


@virtual_time
async def test_whoever_changes_amid_samples_that_cannot_be_read_is_told_of_a_gap() -> None:
    async with place() as at:
        ahead, viewer = at.viewer(), at.viewer()
        await at.deliver(live(0))
        at.room.send_as(ahead.subscriber, OVERVIEW, at.clock())
        await at.deliver(live(50, leads=1))
        at.room.send_as(ahead.subscriber, LOSSLESS, at.clock())
        at.room.send_as(viewer.subscriber, DISPLAY, at.clock())
        for first in range(100, 700, 50):
            await at.deliver(live(first))
        assert viewer.frames[-1].announced["rendition"] == "display"
        assert ahead.frames[-1].frame.first == 650
        assert ahead.gaps == [(50, 100, "dropped")]


@virtual_time
async def test_whoever_changes_together_costs_one_frame_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    async with place() as at:
        viewers = [at.viewer() for _ in range(5)]
        await at.deliver(live(0))
        for viewer in viewers:
            at.room.send_as(viewer.subscriber, OVERVIEW, at.clock())
        for first in range(50, 250, 50):
            await at.deliver(live(first))
        made = []
        encode = codec.WaveformEncoder.encode

        def counting(encoder: codec.WaveformEncoder, samples: codec.Samples, **settings: int) -> bytes:
            made.append(samples.shape)
            return encode(encoder, samples, **settings)

        monkeypatch.setattr(codec.WaveformEncoder, "encode", counting)
        for viewer in viewers:
            at.room.send_as(viewer.subscriber, LOSSLESS, at.clock())
        assert len(made) == 1
        await at.deliver(live(250))
        between = {(viewer.frames[-2].frame.first, viewer.frames[-2].frame.payload) for viewer in viewers}
        assert len(between) == 1
        assert [viewer.firsts[-1] for viewer in viewers] == [250] * 5


@virtual_time
async def test_a_change_of_a_stream_that_has_stopped_leaves_no_sample_out() -> None:
    async with place() as at:
        coarse, finer, viewer = at.viewer(), at.viewer(), at.viewer()
        at.room.send_as(coarse.subscriber, OVERVIEW, at.clock())
        at.room.send_as(finer.subscriber, DISPLAY, at.clock())
        at.room.send_as(viewer.subscriber, OVERVIEW, at.clock())
        for first in range(49, 199, 50):
            await at.deliver(live(first))
        await asyncio.sleep(QUIET_S + 0.1)
        at.room.tend(at.clock())
        at.room.send_as(viewer.subscriber, DISPLAY, at.clock())
        await viewer.catch_up()
        for first in range(199, 600, 50):
            await at.deliver(live(first))
        reached = 0
        for placed in viewer.frames:
            assert placed.frame.first < reached + placed.announced["factor"] or not reached
            count = codec.decode(placed.frame.payload).shape[1]
            reached = placed.frame.first + (count - 1) * placed.announced["factor"] + 1
        assert viewer.frames[-1].announced["rendition"] == "display"


@virtual_time
async def test_late_samples_reach_whoever_waits_for_its_next_rendition() -> None:
    async with place() as at:
        before, viewer = at.viewer(), at.viewer()
        await at.deliver(live(0))
        at.room.send_as(before.subscriber, OVERVIEW, at.clock())
        for first in (50, 150, 200):
            await at.deliver(live(first))
        at.room.send_as(viewer.subscriber, OVERVIEW, at.clock())
        await at.deliver(live(100, kind=FrameKind.BACKFILL))
        late = [placed.frame.first for placed in viewer.frames if placed.frame.kind is FrameKind.BACKFILL]
        assert late == [100]
        assert viewer.gaps == [(100, 150, "dropped")]


@virtual_time
async def test_aliases_that_run_out_cost_those_who_hold_the_oldest_and_nobody_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(aliases_module, "MAX_ALIASES", 3)
    async with place() as at:
        ways = (OVERVIEW, VITALS, OVERVIEW, VITALS)
        for epoch in range(1, 9):
            info = stream_info(leads=2, epoch=epoch)
            viewers = [at.viewer() for _ in ways]
            await at.deliver(live(0), info=info)
            for viewer, rendition in zip(viewers, ways, strict=True):
                at.room.send_as(viewer.subscriber, rendition, at.clock())
            for first in (50, 100, 150):
                await at.deliver(live(first), info=info)
            for rendition in (DISPLAY, OVERVIEW):
                at.room.send_as(viewers[-1].subscriber, rendition, at.clock())
                await at.deliver(live(200), info=info)
        assert at.evicted
        assert at.room.viewers.isdisjoint(at.evicted)
        assert at.room.is_watched
        for channel in at.room._channels.values():
            assert at.room.viewers.issuperset(channel.viewers | channel.joining.keys())
        assert caplog.text == ""


@virtual_time
async def test_an_epoch_that_begins_while_a_viewer_is_sent_numbers_leaves_a_gap_as_well() -> None:
    async with place() as at:
        viewer = at.viewer()
        await at.deliver(live(0))
        at.room.send_as(viewer.subscriber, VITALS, at.clock())
        await at.deliver(live(50))
        second = stream_info(leads=2, epoch=2)
        for first in (500, 550):
            await at.deliver(live(first), info=second)
        at.room.send_as(viewer.subscriber, LOSSLESS, at.clock())
        await at.deliver(live(600), info=second)
        assert viewer.gaps == [(500, 600, "rendition")]
        assert viewer.firsts == [0, 600]


@virtual_time
async def test_an_epoch_that_begins_with_a_gap_is_missing_from_there_on() -> None:
    async with place() as at:
        viewer = at.viewer()
        await at.deliver(live(0))
        at.room.send_as(viewer.subscriber, VITALS, at.clock())
        second = stream_info(leads=2, epoch=2)
        at.room.deliver(Bundle(second, gaps=(Gap(90, 100, GapReason.SOURCE),)), at.clock())
        await at.deliver(live(100), info=second)
        at.room.send_as(viewer.subscriber, LOSSLESS, at.clock())
        await at.deliver(live(150), info=second)
        assert viewer.gaps[-1] == (90, 150, "rendition")


@virtual_time
async def test_what_comes_after_all_viewers_went_for_an_alias_is_nobodys_gap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(aliases_module, "MAX_ALIASES", 0)
    async with place() as at:
        at.viewer()
        await at.deliver(live(0))
        await at.deliver(live(0), info=stream_info(leads=2, epoch=2))
        assert not at.room.is_watched
        viewer = at.viewer()
        await at.deliver(live(200), info=stream_info(leads=2, epoch=2))
        assert viewer.firsts == [200]
        assert viewer.gaps == []


@virtual_time
async def test_a_rendition_that_cannot_be_ended_has_a_gap_and_takes_nothing_from_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with place() as at:
        thinned, whole = at.viewer(), at.viewer()
        await at.deliver(live(0))
        at.room.send_as(thinned.subscriber, OVERVIEW, at.clock())
        await at.deliver(live(50))
        with monkeypatch.context() as broken:
            broken.setattr(FrameMaker, "flush", _fail)
            await at.deliver(live(200))
        for first in range(250, 900, 50):
            await at.deliver(live(first))
        assert whole.firsts == [0, 50, *range(200, 900, 50)]
        assert whole.gaps == [(100, 200, "dropped")]
        assert thinned.gaps == [(50, 200, "dropped")]
        assert thinned.firsts[1] == 200


def _fail(*_: object) -> None:
    raise KeyError("ours")


class TestSuspicion:
    def wants(self, at: Place) -> list[bool]:
        """Whether an arrhythmia is suspected, for who focuses on the stream and who does not."""
        wants = [at.room.want(focused=focused) for focused in (True, False)]
        return [want.suspected for want in wants if want is not None]

    @virtual_time
    async def test_an_arrhythmia_is_suspected_from_the_bundle_on_that_says_it(self) -> None:
        async with place() as at:
            at.viewer()
            await at.deliver(live(0), pattern=DataPattern.NOISY)
            assert self.wants(at) == [False, False]
            told = len(at.news)
            await at.deliver(live(50), pattern=DataPattern.ARRHYTHMIA)
            assert self.wants(at) == [True, True]
            assert len(at.news) == told + 1
            await at.deliver(live(100), pattern=DataPattern.ARRHYTHMIA)
            assert len(at.news) == told + 1

    @virtual_time
    async def test_it_lasts_half_a_minute_longer_and_does_not_flap(self) -> None:
        async with place() as at:
            at.viewer()
            first = 0
            for _ in range(5):
                await at.deliver(live(first), pattern=DataPattern.ARRHYTHMIA)
                await at.deliver(live(first + 50), pattern=DataPattern.NORMAL)
                first += 100
                await asyncio.sleep(SUSPECTED_S - 1)
                at.room.tend(at.clock())
                assert self.wants(at) == [True, True]
            told = len(at.news)
            await asyncio.sleep(1)
            at.room.tend(at.clock())
            at.room.tend(at.clock())
            assert self.wants(at) == [False, False]
            assert len(at.news) == told + 1
