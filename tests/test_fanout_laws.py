"""The laws that hold for what viewers get from a hub, whoever comes, stalls and goes between two ticks."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from channels.layers import InMemoryChannelLayer
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from streaming.core.bundle import Bundle, Gap, WaveFrame
from streaming.core.frames import FrameKind
from streaming.core.messages import GapReason
from streaming.core.priority import MessagePriority
from streaming.core.profiles import (
    DEFAULT_CLASS_BOUNDS,
    BackpressureProfile,
    ClassBounds,
    GroupProfile,
    ProfileSet,
)
from streaming.core.renditions import Quality
from streaming.core.streams import StreamInfo, group_of
from streaming.fanout import TICK_S
from streaming.hub import Hub
from tests.accounting import assert_accounts, assert_metrics_account
from tests.fakes import VirtualLoop
from tests.viewers import FRAME, Placed, Viewer, stream_info, turns, vitals_of

STREAMS = ("a", "b", "c")
VIEWERS = 3
streams = st.sampled_from(STREAMS)
viewers = st.integers(0, VIEWERS - 1)


class FanOutLaws(RuleBasedStateMachine):
    """Frames name their stream, epoch and place in their payload, so that each can be checked by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self.runner.run(work)

    @initialize(tick_s=st.sampled_from([0.0, TICK_S]))
    def start(self, tick_s: float) -> None:
        self.info = {stream: stream_info(stream) for stream in STREAMS}
        self.next_frame = dict.fromkeys(STREAMS, 0)
        self.run(self._start(tick_s))

    async def _start(self, tick_s: float) -> None:
        clock = asyncio.get_running_loop().time
        self.hub = Hub(InMemoryChannelLayer(), process_id="here", clock=clock, shared=False, tick_s=tick_s)
        await self.hub.start()
        self.there = [self._connect() for _ in range(VIEWERS)]
        self.gone: list[Viewer] = []
        self.watching: list[set[str]] = [set() for _ in range(VIEWERS)]
        self.owed: dict[tuple[Viewer, str], set[tuple[int, int]]] = {}
        """Epoch and first sample of what came while a viewer has watched a stream all the time."""

    def _connect(self) -> Viewer:
        viewer = Viewer(self.hub.profiles)
        self.hub.add(viewer.subscriber)
        return viewer

    @rule(stream=streams, frames=st.integers(1, 3), size=st.sampled_from([0, 100, 900, 3000]))
    def send(self, stream: str, frames: int, size: int) -> None:
        places = [self.take_place(stream) for _ in range(frames)]
        made = [self.frame(stream, FrameKind.WAVEFORM, place, size) for place in places]
        self.publish(*(Bundle(self.info[stream], frames=(frame,)) for frame in made))
        for frame in made:
            self.owe(stream, frame.first)

    @rule(stream=streams, told=st.booleans())
    def leave_a_hole(self, stream: str, told: bool) -> None:
        first = FRAME * self.take_place(stream)
        if told:
            gap = Gap(first, first + FRAME, GapReason.SOURCE)
            self.publish(Bundle(self.info[stream], gaps=(gap,)))
            self.owe(stream, first)

    @rule(stream=streams, back=st.integers(1, 5))
    def send_late(self, stream: str, back: int) -> None:
        place = self.next_frame[stream] - back
        if place >= 0:
            late = self.frame(stream, FrameKind.BACKFILL, place, 50)
            self.publish(Bundle(self.info[stream], frames=(late,)))

    @rule(stream=streams, hr=st.integers(40, 180))
    def send_vitals(self, stream: str, hr: int) -> None:
        self.publish(vitals_of(self.info[stream], hr))

    @rule(stream=streams)
    def begin_an_epoch(self, stream: str) -> None:
        self.info[stream] = replace(self.info[stream], epoch=self.info[stream].epoch + 1)
        self.next_frame[stream] = 0

    @rule(stream=streams, patient=st.sampled_from(["P-1", "P-2"]))
    def correct_the_facts(self, stream: str, patient: str) -> None:
        self.info[stream] = replace(self.info[stream], patient=patient)

    @rule(who=viewers, stream=streams)
    def watch(self, who: int, stream: str) -> None:
        if stream not in self.watching[who]:
            self.watching[who].add(stream)
            self.owed.setdefault((self.there[who], stream), set())
        self.run(self.hub.watch(self.there[who].subscriber, stream))

    @rule(who=viewers)
    def watch_all(self, who: int) -> None:
        for stream in STREAMS:
            self.watch(who, stream)

    @rule(who=viewers, stream=streams, again=st.booleans())
    def unwatch(self, who: int, stream: str, again: bool) -> None:
        async def unwatch() -> None:
            subscriber = self.there[who].subscriber
            self.hub.unwatch(subscriber, stream)
            self.owed.pop((self.there[who], stream), None)
            if again and stream in self.watching[who]:
                await self.hub.watch(subscriber, stream)
            else:
                self.watching[who].discard(stream)

        self.run(unwatch())

    @rule(who=viewers)
    def go_and_another_comes(self, who: int) -> None:
        async def go() -> None:
            viewer = self.there[who]
            self.hub.remove(viewer.subscriber)
            await viewer.subscriber.aclose()
            self.gone.append(viewer)
            self.there[who] = self._connect()
            self.watching[who] = set()

        self.run(go())

    @rule(who=viewers)
    def hold_the_socket(self, who: int) -> None:
        self.there[who].socket.hold()

    @rule(who=viewers)
    def release_the_socket(self, who: int) -> None:
        self.there[who].socket.release()

    @rule(who=viewers)
    def ack(self, who: int) -> None:
        async def ack() -> None:
            await turns()
            self.there[who].ack()

        self.run(ack())

    @rule()
    def ack_all(self) -> None:
        for who in range(VIEWERS):
            self.ack(who)

    @rule(seconds=st.sampled_from([0.001, TICK_S / 4, TICK_S, 2 * TICK_S, 0.7, 1.2, 2.1]))
    def wait(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    @rule(count=st.sampled_from([20, 10_000]), high_bytes=st.sampled_from([2000, 50_000]), one=st.booleans())
    def change_the_profile(self, count: int, high_bytes: int, one: bool) -> None:
        bounds = {**DEFAULT_CLASS_BOUNDS, MessagePriority.HIGH: ClassBounds(high_bytes, 1.0)}
        profile = GroupProfile(backpressure=BackpressureProfile(max_buffer_size=count, bounds=bounds))
        profiles = ProfileSet(overrides={group_of("a"): profile}) if one else ProfileSet(default=profile)

        async def apply() -> None:
            self.hub.apply_profiles(profiles)

        self.run(apply())

    @invariant()
    def every_message_is_accounted_for(self) -> None:
        for viewer in [*self.there, *self.gone]:
            assert_accounts(viewer.subscriber.handler)
            assert_metrics_account(viewer.subscriber.handler)

    @invariant()
    def groups_sent_no_more_than_they_had(self) -> None:
        for tally in self.hub.tallies().values():
            assert tally.offered >= tally.sent + sum(tally.by_reason.values())

    def teardown(self) -> None:
        with self.runner:
            self.run(self._end())

    async def _end(self) -> None:
        for viewer in self.there:
            viewer.socket.release()
        await asyncio.sleep(2 * TICK_S)
        for viewer in self.there:
            await viewer.catch_up()
            if not viewer.cuts:
                metrics = viewer.subscriber.handler.get_metrics()
                assert metrics.buffer_size == metrics.in_flight_messages == 0
                for stream in STREAMS:
                    # Who is sent numbers only is told of what it missed when it is sent samples again.
                    sent = viewer.subscriber.renditions.get(stream)
                    is_owed = sent is None or sent.quality is not Quality.VITALS
                    if is_owed and (viewer, stream) in self.owed:
                        self._whole(viewer, stream)
        for viewer in [*self.there, *self.gone]:
            self._read(viewer)
            await viewer.subscriber.aclose()
        await self.hub.aclose()

    def _read(self, viewer: Viewer) -> None:
        """Each frame means what its alias says, and comes once and in order."""
        at: dict[tuple[str, FrameKind], tuple[int, int]] = {}
        for placed in viewer.received:
            if not isinstance(placed, Placed):
                continue
            stream, epoch, patient, first, _ = placed.frame.payload.decode().split("/")
            told = placed.announced
            assert (told["stream"], told["epoch"], told["patient"]) == (stream, int(epoch), patient)
            assert placed.frame.first == int(first)
            if placed.frame.kind is FrameKind.WAVEFORM:
                here = (placed.epoch, placed.frame.first)
                assert here > at.get((stream, placed.frame.kind), (0, -1)), "in order, none twice"
                at[stream, placed.frame.kind] = here

    def _whole(self, viewer: Viewer, stream: str) -> None:
        """What the viewer was owed it has, or has been told that it is missing."""
        had = {
            (placed.epoch, placed.frame.first)
            for placed in viewer.frames
            if placed.announced["stream"] == stream
        }
        for gap in viewer.messages("gap"):
            if gap["stream"] == stream:
                had |= {(gap["epoch"], first) for first in range(gap["from"], gap["to"], FRAME)}
        assert self.owed[viewer, stream] <= had

    def owe(self, stream: str, first: int) -> None:
        for who, viewer in enumerate(self.there):
            if stream in self.watching[who] and (viewer, stream) in self.owed:
                self.owed[viewer, stream].add((self.info[stream].epoch, first))

    def publish(self, *bundles: Bundle) -> None:
        async def publish() -> None:
            for bundle in bundles:
                self.hub.publish(bundle)

        self.run(publish())

    def take_place(self, stream: str) -> int:
        place = self.next_frame[stream]
        self.next_frame[stream] += 1
        return place

    def frame(self, stream: str, kind: FrameKind, place: int, size: int) -> WaveFrame:
        info: StreamInfo = self.info[stream]
        truth = f"{stream}/{info.epoch}/{info.patient}/{FRAME * place}/{'x' * size}"
        return WaveFrame(kind, FRAME * place, FRAME, truth.encode())


TestFanOutLaws = FanOutLaws.TestCase
TestFanOutLaws.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
