"""Viewers on networks of their own: each is sent what its network carries, whatever the others are."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from channels.layers import InMemoryChannelLayer

from streaming.client.events import Decoder, Event, Frame, Gap, NumbersOnly, Stats, Vitals
from streaming.compression import CompressionHandler
from streaming.core import messages
from streaming.core.bundle import Bundle, WaveFrame
from streaming.core.bundle import Event as Told
from streaming.core.frames import FrameKind
from streaming.core.ladder import Reason
from streaming.core.messages import GapReason
from streaming.core.priority import MessagePriority
from streaming.core.profiles import GroupProfile, ProfileSet
from streaming.core.renditions import LADDER, Quality, Rendition
from streaming.core.streams import Lead, Source, StreamInfo
from streaming.ecg import codec
from streaming.ecg.simulator import Simulator
from streaming.exceptions import CloseCode
from streaming.hub import Hub
from streaming.subscriber import Subscriber
from tests.fakes import virtual_time
from tests.simulation import Trace, TracedLink

RATE_HZ = 500.0
CHUNK = 50
LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
BEST_LAST = list(Quality)[::-1]
Samples = npt.NDArray[np.signedinteger]


def info_of(stream: str) -> StreamInfo:
    return StreamInfo(stream, 1, "P-1", "ward", Source.SIM, RATE_HZ, tuple(Lead(name, 1.0) for name in LEADS))


@dataclass(eq=False)
class Watcher:
    """A viewer behind a link of its own, and all that came through it, with the time at which it came."""

    began: float
    link: TracedLink
    subscriber: Subscriber
    cuts: list[CloseCode]
    _decoder: Decoder = field(default_factory=Decoder)
    _events: list[tuple[float, Event]] = field(default_factory=list)
    _read: int = 0

    def events(self) -> list[tuple[float, Event]]:
        """All events, and when each came."""
        for at, message in self.link.received[self._read :]:
            if isinstance(message, str):
                said = json.loads(message)
                events = self._decoder.decode_items(said if isinstance(said, list) else [said])
            else:
                events = self._decoder.decode(message)
            self._events += [(at - self.began, event) for event in events]
        self._read = len(self.link.received)
        return self._events

    def renditions(self, stream: str, since: float = 0.0) -> list[str]:
        """What the stream's frames were, each run once; numbers only among them."""
        names: list[str] = []
        for at, event in self.events():
            if not isinstance(event, Frame | NumbersOnly) or event.info.stream != stream or at < since:
                continue
            if names[-1:] != [event.info.rendition]:
                names.append(event.info.rendition)
        return names

    def last(self, stream: str) -> int:
        """How good the newest rendition is: its place, from the least."""
        return BEST_LAST.index(Quality(self.renditions(stream)[-1]))

    def gaps(self) -> list[Gap]:
        """All that it was told to be missing."""
        return [event for _, event in self.events() if isinstance(event, Gap)]

    def holes(self, stream: str) -> list[tuple[int, int]]:
        """What is missing between two frames and was not told."""
        reached: int | None = None
        holes: list[tuple[int, int]] = []
        for _, event in self.events():
            if isinstance(event, Frame) and event.stream == stream:
                if reached is not None and event.first >= reached + event.info.factor:
                    holes.append((reached, event.first))
                reached = event.stop
            elif isinstance(event, Gap) and event.stream == stream:
                reached = max(event.stop, reached or 0)
        return holes

    def late_share(self, stream: str, since: float) -> float:
        """Of the frames that came, how many ended more than 1 s and their own length before they came."""
        late = [
            at - event.stop / RATE_HZ > 1.2 + event.info.frame_ms / 1000
            for at, event in self.events()
            if isinstance(event, Frame) and event.stream == stream and at >= since
        ]
        return sum(late) / len(late)


class Ward:
    """Streams that are simulated and published in virtual time, in chunks of 100 ms."""

    def __init__(self, streams: Sequence[str]) -> None:
        clock = asyncio.get_running_loop().time
        self.began = clock()
        self.hub = Hub(InMemoryChannelLayer(), process_id="here", clock=clock, shared=False)
        self.streams = streams
        self.watchers: list[Watcher] = []
        self.sources = {
            stream: Simulator("sinus", rate_hz=RATE_HZ, leads=LEADS, seed=number, gain_uv=1.0)
            for number, stream in enumerate(streams)
        }
        self.signal: dict[str, list[Samples]] = {stream: [] for stream in streams}
        self._encoder = codec.WaveformEncoder()

    async def run(self, seconds: float) -> None:
        """Let so much time go by."""
        for _ in range(round(seconds * RATE_HZ / CHUNK)):
            for stream, source in self.sources.items():
                samples = source.read(CHUNK)
                first = CHUNK * len(self.signal[stream])
                self.signal[stream].append(samples)
                frame = WaveFrame(FrameKind.WAVEFORM, first, CHUNK, self._encoder.encode(samples), samples)
                vitals = messages.vitals(stream, epoch=1, sample=first, hr=60, hr_source="II")
                due = first % RATE_HZ == 0
                events = (Told(vitals, MessagePriority.HIGH, "vitals"),) if due else ()
                self.hub.publish(Bundle(info_of(stream), frames=(frame,), events=events))
            await asyncio.sleep(CHUNK / RATE_HZ)

    async def watch(self, kbps: float, *streams: str, focus: str | None = None) -> Watcher:
        """A viewer whose link carries so much, with a round trip of 40 ms."""
        trace = Trace("narrow", 0.04, 3600.0, ((0.0, 1000 * kbps),))
        return await self.watch_over(trace, *streams, focus=focus)

    async def watch_over(self, trace: Trace, *streams: str, focus: str | None = None) -> Watcher:
        link = TracedLink(trace, rng=random.Random(1))
        cuts: list[CloseCode] = []
        subscriber = Subscriber(
            link,
            profiles=ProfileSet(),
            compression=CompressionHandler(),
            on_cut=lambda code, _: cuts.append(code),
            clock=asyncio.get_running_loop().time,
            rng=random.Random(1),
        )
        link.acknowledge = subscriber.acked
        watcher = Watcher(self.began, link, subscriber, cuts)
        self.watchers.append(watcher)
        self.hub.add(subscriber)
        for stream in streams or tuple(self.signal):
            await self.hub.watch(subscriber, stream)
        self.hub.focus(subscriber, focus)
        return watcher


@asynccontextmanager
async def ward(*streams: str) -> AsyncIterator[Ward]:
    made = Ward(streams)
    await made.hub.start()
    try:
        yield made
    finally:
        for watcher in made.watchers:
            await watcher.subscriber.aclose()
        await made.hub.aclose()


class TestOneStream:
    @virtual_time
    async def test_a_wide_network_gets_every_sample_as_it_came(self) -> None:
        async with ward("a") as at:
            watcher = await at.watch(10_000.0)
            await at.run(10)
            frames = [event for _, event in watcher.events() if isinstance(event, Frame)]
            assert {frame.info.rendition for frame in frames[20:]} == {"lossless"}
            lossless = [frame for frame in frames if frame.info.rendition == "lossless"]
            told = np.concatenate(at.signal["a"], axis=1)
            for frame in lossless:
                assert frame.samples.tolist() == told[:, frame.first : frame.stop].tolist()
            assert watcher.gaps() == []
            assert frames[-1].info.frame_ms == 100

    @virtual_time
    async def test_a_narrow_network_gets_less_and_in_time(self) -> None:
        async with ward("a") as at:
            watcher = await at.watch(14.0)
            await at.run(40)
            late = watcher.renditions("a", since=15.0)
            assert "lossless" not in late[1:-1]
            assert watcher.late_share("a", since=15.0) < 0.02
            assert [gap for gap in watcher.gaps() if gap.stop > 15 * RATE_HZ] == []
            stats = [event for _, event in watcher.events() if isinstance(event, Stats)]
            assert stats[-1].rendition in {"display", "overview"}
            assert watcher.cuts == []

    @virtual_time
    async def test_numbers_come_where_nothing_else_fits_and_a_gap_tells_of_the_rest(self) -> None:
        async with ward("a", "b", "c", "d", "e", "f") as at:
            trace = Trace("widens", 0.04, 3600.0, ((0.0, 9_000.0), (30.0, 1e6)))
            watcher = await at.watch_over(trace)
            await at.run(60)
            assert "vitals" in watcher.renditions("a")
            assert watcher.renditions("a")[-1] == "lossless"
            assert any(gap.reason is GapReason.RENDITION for gap in watcher.gaps())
            assert any(isinstance(event, Vitals) and 20 < at_s < 30 for at_s, event in watcher.events())
            assert watcher.holes("a") == []
            assert watcher.cuts == []

    @virtual_time
    async def test_the_stats_tell_why_it_became_less_and_more(self) -> None:
        async with ward("a") as at:
            trace = Trace("widens", 0.04, 3600.0, ((0.0, 14_000.0), (20.0, 1e6)))
            watcher = await at.watch_over(trace)
            await at.run(40)
            stats = [(when, event) for when, event in watcher.events() if isinstance(event, Stats)]
            down = {Reason.QUEUEING, Reason.EXPIRY, Reason.RATE}
            assert down & {event.reason for when, event in stats if when < 20}
            changed = [
                event for (_, before), (_, event) in pairwise(stats) if before.rendition != event.rendition
            ]
            assert changed
            assert {event.reason for event in changed}.isdisjoint({Reason.STEADY, Reason.QUIET})
            assert stats[-1][1].reason in {Reason.TRIAL, Reason.KNOWN}


def best(rendition: Rendition) -> ProfileSet:
    """Settings under which `a` is sent as nothing better."""
    return ProfileSet(overrides={"ecg.a": GroupProfile(best_rendition=rendition)})


class TestBestRendition:
    @virtual_time
    async def test_change_of_the_settings_is_seen_within_two_seconds_and_no_sample_is_missing(self) -> None:
        async with ward("a", "b") as at:
            watcher = await at.watch(10_000.0, focus="a")
            await at.run(8)
            at.hub.apply_profiles(best(LADDER[4]))
            await at.run(8)
            assert watcher.renditions("a", since=10.0) == ["display"]
            assert watcher.renditions("b", since=10.0) == ["lossless"]
            at.hub.apply_profiles(ProfileSet())
            await at.run(8)
            assert watcher.renditions("a", since=18.0) == ["lossless"]
            assert watcher.gaps() == []
            assert watcher.holes("a") == watcher.holes("b") == []
            assert watcher.cuts == []

    @virtual_time
    async def test_frames_are_as_long_as_the_settings_say(self) -> None:
        async with ward("a") as at:
            at.hub.apply_profiles(best(LADDER[2]))
            watcher = await at.watch(10_000.0)
            await at.run(10)
            frames = [event for _, event in watcher.events() if isinstance(event, Frame)]
            assert {(frame.info.rendition, frame.info.frame_ms) for frame in frames[5:]} == {
                ("lossless", 500)
            }


class TestSeveral:
    @virtual_time
    async def test_a_slow_viewer_takes_nothing_from_a_quick_one(self) -> None:
        async with ward("a", "b") as at:
            slow = await at.watch(10.0)
            quick = await at.watch(50_000.0)
            await at.run(20)
            assert quick.renditions("a", since=3.0) == quick.renditions("b", since=3.0) == ["lossless"]
            assert quick.gaps() == []
            assert quick.holes("a") == quick.holes("b") == []
            assert "lossless" not in slow.renditions("a", since=10.0)

    @virtual_time
    async def test_the_one_that_is_looked_at_comes_first(self) -> None:
        async with ward("a", "b", "c") as at:
            watcher = await at.watch(36.0, focus="b")
            await at.run(40)
            assert watcher.last("b") > max(watcher.last("a"), watcher.last("c"))
            at.hub.focus(watcher.subscriber, "c")
            await at.run(20)
            assert watcher.last("c") > max(watcher.last("a"), watcher.last("b"))

    @virtual_time
    async def test_each_rendition_is_made_once_for_all(self) -> None:
        async with ward("a") as at:
            watchers = [await at.watch(12.0) for _ in range(3)]
            await at.run(30)
            payloads = [
                {(event.info.rendition, event.first): event.samples.tobytes() for event in frames}
                for frames in (
                    [e for when, e in each.events() if isinstance(e, Frame) and when > 20]
                    for each in watchers
                )
            ]
            compared = 0
            for one, other in itertools.combinations(payloads, 2):
                shared = one.keys() & other.keys()  # each viewer is told of its network at a time of its own
                assert {key: one[key] for key in shared} == {key: other[key] for key in shared}
                compared += len(shared)
            assert compared > 5

    @virtual_time
    async def test_a_stream_that_is_left_and_watched_again_is_sent_as_before(self) -> None:
        async with ward("a") as at:
            watcher = await at.watch(12.0)
            await at.run(20)
            before = watcher.renditions("a")[-1]
            assert before != "lossless"
            seen = len(watcher.events())
            at.hub.unwatch(watcher.subscriber, "a")
            await at.hub.watch(watcher.subscriber, "a")
            await asyncio.sleep(0)  # chosen when all that happens now has happened
            await at.run(3)
            again = [event for _, event in watcher.events()[seen:] if isinstance(event, Frame)]
            assert {frame.info.rendition for frame in again} <= {before, "overview"}

    @virtual_time
    async def test_a_process_that_is_late_blames_no_network(self) -> None:
        """Its loop comes to nothing for 0.9 s at a time: everything arrives and is acked when it does."""
        async with ward("a") as at:
            loop, late = asyncio.get_running_loop(), 0.0

            def stand_still() -> None:
                nonlocal late
                late += 0.9

            watcher = await at.watch(10_000.0)
            at.hub._overload.state.read = lambda *_: False  # type: ignore[method-assign]  # sheds, and blames nobody
            at.hub._clock = watcher.subscriber._clock = watcher.subscriber.handler._clock = lambda: (
                loop.time() + late
            )
            await at.run(5)
            for chunk in range(20):
                loop.call_later(0.1 * chunk + 0.03, stand_still)  # with a frame on its way
            await at.run(2)
            await at.run(5)
            assert watcher.renditions("a", since=3.0) == ["lossless"]
            assert {stats.reason for at_s, stats in watcher.events() if isinstance(stats, Stats)} <= {
                "streams",
                "known",
                "trial",
                "steady",
            }
