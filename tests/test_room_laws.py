"""The laws that hold for what viewers get from a room, whatever each of them is sent it as, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from streaming.aliases import Aliases
from streaming.core.bundle import Bundle, Gap, WaveFrame
from streaming.core.frames import FrameKind
from streaming.core.messages import GapReason
from streaming.core.renditions import LADDER, Quality, Rendition
from streaming.core.streams import Lead, StreamInfo
from streaming.core.tally import GroupTally
from streaming.ecg import codec
from streaming.ecg.renditions import Renderer
from streaming.fanout import TICK_S, FanOut
from streaming.room import QUIET_S, Room
from tests.fakes import VirtualLoop
from tests.viewers import Placed, Viewer, stream_info

VIEWERS = 3
viewers = st.integers(0, VIEWERS - 1)
rarely = st.integers(0, 5).map(lambda drawn: drawn == 5)
Samples = npt.NDArray[np.signedinteger]


@cache
def signal() -> Samples:
    """Two minutes of three leads that say by their values where they stand."""
    rng = np.random.default_rng(3)
    return rng.normal(0, 400, (3, 60_000)).cumsum(axis=1).astype(np.int32) % 20_000 - 10_000


class RoomLaws(RuleBasedStateMachine):
    """Every viewer acks at once, so that nothing is lost but what the source lost."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)

    @initialize(
        tick_s=st.sampled_from([0.0, TICK_S]),
        rate_hz=st.sampled_from([128.0, 250.0, 360.0, 500.0, 1000.0]),
        first=st.sampled_from([0, 7, 1001]),
        gain_uv=st.sampled_from([1.0, 2.0, 4.88]),
    )
    def start(self, tick_s: float, rate_hz: float, first: int, gain_uv: float) -> None:
        leads = tuple(Lead(name, gain_uv, adc_bits=24) for name in ("I", "II", "V5"))
        self.info = replace(stream_info(rate_hz=rate_hz), leads=leads)
        self.at = first
        self.stretches: dict[int, list[tuple[int, int]]] = {1: [(first, first)]}
        """Of each epoch, from where to where its signal came without a hole."""
        self.run(self._start(tick_s))
        for who in range(VIEWERS):
            self.enter(who)

    async def _start(self, tick_s: float) -> None:
        clock = asyncio.get_running_loop().time
        self.fan_out = FanOut(tick_s=tick_s, clock=clock)
        self.aliases = Aliases(lambda _: None)
        self.room = Room("a", self.aliases, GroupTally(), self.fan_out, clock(), on_news=lambda _: None)
        self.there = [Viewer() for _ in range(VIEWERS)]
        self.inside: set[Viewer] = set()
        self.owed_from: dict[Viewer, tuple[int, int | None]] = {}
        """Epoch and index from which a viewer has to be told of every sample; None: from what comes first."""
        self.known: int | None = None
        """Where the room knows its stream to be: it has watched it since its first viewer came."""

    @rule(who=viewers)
    def enter(self, who: int) -> None:
        viewer = self.there[who]
        if viewer not in self.inside:
            self.inside.add(viewer)
            self.owed_from[viewer] = (self.info.epoch, self.known)
            self.room_act(lambda: self.room.enter(viewer.subscriber))

    @rule(who=viewers, really=rarely)
    def leave_for_good(self, who: int, really: bool) -> None:
        viewer = self.there[who]
        if really and viewer in self.inside:
            self.run(self.catch_up())
            self.read(viewer, whole=False)
            self.inside.discard(viewer)
            if not self.inside:
                self.known = None
            self.room.leave(viewer.subscriber, self.now)
            self.aliases.release(viewer.subscriber)
            self.run(self.replace_viewer(who))

    @rule(who=viewers, rendition=st.sampled_from(LADDER))
    def send_as(self, who: int, rendition: Rendition) -> None:
        if self.there[who] in self.inside:
            self.room_act(lambda: self.room.send_as(self.there[who].subscriber, rendition, self.now))

    @rule(seconds=st.sampled_from([0.004, 0.1, 0.1, 0.3, 1.0, 2.0]), chunks=st.integers(1, 4))
    def send(self, seconds: float, chunks: int) -> None:
        for _ in range(chunks):
            count = max(1, round(seconds * self.info.rate_hz))
            if self.at + count < signal().shape[1]:
                self.deliver(Bundle(self.info, frames=(self.frame(FrameKind.WAVEFORM, self.at, count),)))
                self.at += count
                self.stretches[self.info.epoch][-1] = (self.stretches[self.info.epoch][-1][0], self.at)

    @rule(samples=st.integers(1, 300), told=st.booleans(), really=rarely)
    def leave_a_hole(self, samples: int, told: bool, really: bool) -> None:
        if not really:
            return
        if told:
            gap = Gap(self.at, self.at + samples, GapReason.SOURCE)
            self.deliver(Bundle(self.info, gaps=(gap,)))
        self.at += samples
        self.stretches[self.info.epoch].append((self.at, self.at))

    @rule(back=st.integers(1, 400), samples=st.integers(1, 500), hole=st.booleans())
    def send_again(self, back: int, samples: int, hole: bool) -> None:
        """As an ingest does that was started anew, while what it had sent was not acknowledged."""
        first, stop = max(self.stretches[self.info.epoch][-1][0], self.at - back), self.at - back + samples
        if self.known != self.at or not first < stop < signal().shape[1]:
            return
        if hole:
            self.deliver(Bundle(self.info, gaps=(Gap(first, min(stop, self.at), GapReason.SOURCE),)))
        self.deliver(Bundle(self.info, frames=(self.frame(FrameKind.WAVEFORM, first, stop - first),)))
        self.known = self.at = max(self.at, stop)
        self.stretches[self.info.epoch][-1] = (self.stretches[self.info.epoch][-1][0], self.at)

    @rule(back=st.integers(1, 400), samples=st.integers(1, 200))
    def send_late(self, back: int, samples: int) -> None:
        first = self.at - back
        if first >= 0:
            self.deliver(Bundle(self.info, frames=(self.frame(FrameKind.BACKFILL, first, samples),)))

    @rule(really=rarely)
    def begin_an_epoch(self, really: bool) -> None:
        if not really:
            return
        self.info = replace(self.info, epoch=self.info.epoch + 1)
        self.at, self.known = 0, None
        self.stretches[self.info.epoch] = [(0, 0)]
        self.deliver(Bundle(self.info))

    @rule(seconds=st.sampled_from([0.01, TICK_S]))
    def wait(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    @rule(really=rarely)
    def go_quiet(self, really: bool) -> None:
        """What renditions hold back comes; with it their filters begin anew."""
        if not really:
            return
        self.run(asyncio.sleep(QUIET_S + 0.1))
        self.room_act(lambda: self.room.tend(self.now))
        self.stretches[self.info.epoch].append((self.at, self.at))

    @invariant()
    def nobody_is_cut(self) -> None:
        assert not any(viewer.cuts for viewer in self.there)

    def teardown(self) -> None:
        with self.runner:
            for who in range(VIEWERS):
                if self.there[who] in self.inside:
                    self.send_as(who, LADDER[0])
            self.send(0.1, 2)
            self.run(self.catch_up())
            for viewer in self.inside:
                self.read(viewer, whole=True)
            self.run(self.close())

    async def close(self) -> None:
        for viewer in self.there:
            await viewer.subscriber.aclose()
        self.fan_out.close()

    async def replace_viewer(self, who: int) -> None:
        await self.there[who].subscriber.aclose()
        self.there[who] = Viewer()

    # -- what a viewer may expect

    def read(self, viewer: Viewer, *, whole: bool) -> None:
        """All that came, one behind the other: every sample once, right, or told to be missing."""
        epoch, owed_from = self.owed_from[viewer]
        # What waited for a tick when it came in reaches it too.
        reached: dict[int, int | None] = {epoch: owed_from}
        named: dict[int, int] = {}
        is_new = True
        numbers_only = False
        for part in viewer.received:
            if isinstance(part, Placed):
                if part.frame.kind is FrameKind.WAVEFORM:
                    if part.frame.first >= named.get(part.epoch, part.frame.first + 1):
                        reached[part.epoch] = max(reached[part.epoch] or 0, named.pop(part.epoch))
                    before = is_new and part.frame.first < (owed_from or 0)
                    reached[part.epoch] = self.read_frame(part, None if before else reached.get(part.epoch))
                    numbers_only = is_new = False
                else:
                    self.read_late(part)
            elif part["type"] == "stream":
                numbers_only = part["rendition"] == Quality.VITALS
            elif part["type"] == "gap" and not (numbers_only and part["reason"] != GapReason.RENDITION):
                at = reached.get(part["epoch"])
                if at is not None and not (is_new and part["from"] < at):
                    # A coarse rendition's last sample may stand a little before the hole.
                    assert at <= part["from"] < at + 10
                    assert part["reason"] != GapReason.RENDITION or part["from"] == at
                reached[part["epoch"]] = part["to"]
                is_new = False
            elif part["type"] == "gap" and reached.get(part["epoch"]) == part["from"]:
                # All that is missing, where numbers alone were sent for no longer than that.
                named[part["epoch"]] = part["to"]
        if whole and not numbers_only and self.info.epoch in reached:
            assert reached[self.info.epoch] == self.at

    def read_frame(self, placed: Placed, reached: int | None) -> int:
        samples = codec.decode(placed.frame.payload)
        factor, first = placed.announced["factor"], placed.frame.first
        assert first % factor == 0
        if reached is not None:
            assert reached <= first < reached + factor, "nothing twice, nothing left out"
        right = reference(
            Quality(placed.announced["rendition"]), self.info, tuple(self.stretches[placed.epoch])
        )
        for column, index in enumerate(range(first, first + samples.shape[1] * factor, factor)):
            assert samples[:, column].tolist() == right[index]
        assert [lead["name"] for lead in placed.announced["leads"]] == (
            ["II"] if placed.announced["rendition"] == Quality.OVERVIEW else ["I", "II", "V5"]
        )
        count: int = samples.shape[1]
        return int(first + (count - 1) * factor + 1)

    def read_late(self, placed: Placed) -> None:
        samples = codec.decode(placed.frame.payload)
        if placed.announced["rendition"] == Quality.LOSSLESS:
            first = placed.frame.first
            assert samples.tolist() == signal()[:, first : first + samples.shape[1]].tolist()
        else:
            assert placed.frame.first % placed.announced["factor"] == 0

    # -- what happens

    @property
    def now(self) -> float:
        return self.runner.get_loop().time()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self.runner.run(work)

    async def catch_up(self) -> None:
        await asyncio.sleep(2 * TICK_S)
        for viewer in self.there:
            await viewer.catch_up()

    def room_act(self, act: Any) -> None:
        async def acted() -> None:
            act()
            for viewer in self.there:
                await viewer.catch_up()

        self.run(acted())

    def deliver(self, bundle: Bundle) -> None:
        if self.room.is_watched:
            self.room_act(lambda: self.room.deliver(bundle, self.now))
            ends = [gap.stop for gap in bundle.gaps]
            ends += [f.first + f.count for f in bundle.frames if f.kind is FrameKind.WAVEFORM]
            self.known = max(ends, default=self.known)

    def frame(self, kind: FrameKind, first: int, count: int) -> WaveFrame:
        samples = signal()[:, first : first + count]
        payload = codec.WaveformEncoder().encode(samples)
        # Bundles of another process come without the samples.
        return WaveFrame(kind, first, count, payload, samples if first % 2 else None)


def reference(
    quality: Quality, info: StreamInfo, stretches: tuple[tuple[int, int], ...]
) -> dict[int, list[int]]:
    """What each sample of a rendition has to be, made of each stretch of the signal in one piece."""
    right: dict[int, list[int]] = {}
    renderer = Renderer(quality, info.rate_hz, info.leads)
    for first, stop in stretches:
        pieces = renderer.push(first, signal()[:, first:stop]) if stop > first else []
        for piece in pieces + renderer.flush():
            for column in range(piece.samples.shape[1]):
                right[piece.first + column * renderer.factor] = piece.samples[:, column].tolist()
    return right


TestRoomLaws = RoomLaws.TestCase
TestRoomLaws.settings = settings(
    max_examples=40, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
