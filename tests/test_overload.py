"""A process with too much to do: what its viewers are sent then, what they are told, and that it ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from channels.layers import InMemoryChannelLayer

from streaming.core.bundle import Bundle, WaveFrame
from streaming.core.frames import FrameKind
from streaming.core.items import DropReason
from streaming.core.overload import CALM_S, LASTING_S, OverloadState
from streaming.core.priority import MessagePriority
from streaming.core.streams import StreamInfo
from streaming.ecg.codec import WaveformEncoder
from streaming.ecg.simulator import Simulator
from streaming.hub import REPORT_EVERY_S, Hub
from tests.fakes import VirtualLoop, virtual_time
from tests.viewers import FRAME, Viewer, frames_of, stream_info, turns, vitals_of

INFO = stream_info()
STALL_S = 0.9


class Ward:
    """A hub with one stream that goes on, and viewers who ack all that they get."""

    def __init__(self, hub: Hub, *, viewers: int) -> None:
        self.hub = hub
        self.viewers = [Viewer() for _ in range(viewers)]
        self._patient = Simulator("sinus", rate_hz=INFO.rate_hz, leads=("II",), seed=1)
        self._encoder = WaveformEncoder()
        self._first = 0
        self.published = 0

    def state(self) -> OverloadState:
        return self.hub.overload.state

    def holds_back(self) -> bool:
        """Whether history waits."""
        return self.hub.recovery.paused

    async def goes_on(self, seconds: float, *, stall_s: float = 0.0) -> None:
        """Ten frames a second, acked at once; the loop stands still for `stall_s` after each."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        ends_at = loop.time() + seconds
        while loop.time() < ends_at:
            self.hub.publish(self._next(INFO))
            self.hub.publish(vitals_of(INFO, 72))
            self.published += 1
            await turns()
            for viewer in self.viewers:
                viewer.ack()
            await asyncio.sleep(0.1)
            if stall_s:
                loop._jump(stall_s)

    def _next(self, info: StreamInfo) -> Bundle:
        samples = self._patient.read(FRAME)
        frame = WaveFrame(FrameKind.WAVEFORM, self._first, FRAME, self._encoder.encode(samples), samples)
        self._first += FRAME
        return Bundle(info, frames=(frame,))


@asynccontextmanager
async def ward(viewers: int = 1) -> AsyncIterator[Ward]:
    """Ended whatever happens."""
    clock = asyncio.get_running_loop().time
    hub = Hub(InMemoryChannelLayer(), process_id="here", clock=clock, tick_s=0.0)
    await hub.start()
    made = Ward(hub, viewers=viewers)
    for viewer in made.viewers:
        hub.add(viewer.subscriber)
        await hub.watch(viewer.subscriber, "a")
    try:
        yield made
    finally:
        for viewer in made.viewers:
            await viewer.subscriber.aclose()
        await hub.aclose()


def renditions(viewer: Viewer) -> list[str]:
    """What its frames were, each once, in the order in which they changed."""
    seen: list[str] = []
    for placed in viewer.frames:
        if not seen or seen[-1] != placed.announced["rendition"]:
            seen.append(placed.announced["rendition"])
    return seen


@virtual_time
async def test_quality_goes_down_with_the_loop_and_comes_back_and_no_sample_is_missing() -> None:
    async with ward() as beds:
        (viewer,) = beds.viewers
        await beds.goes_on(2)
        assert renditions(viewer) == ["lossless"]
        await beds.goes_on(10, stall_s=STALL_S)
        assert beds.state() is OverloadState.EMERGENCY
        assert beds.holds_back()
        await beds.goes_on(LASTING_S, stall_s=STALL_S)
        await beds.goes_on(4 * CALM_S)
        assert beds.state() is OverloadState.NORMAL
        assert not beds.holds_back()
        await beds.goes_on(2)
        assert renditions(viewer) == ["lossless", "display", "overview", "display", "lossless"]
        assert len(viewer.messages("vitals")) == beds.published  # numbers went on all the time
        assert viewer.gaps == []
        assert all(before < after for before, after in pairwise(viewer.firsts))


@virtual_time
async def test_a_viewer_is_told_once_at_each_change_and_by_no_other_report() -> None:
    async with ward() as beds:
        (viewer,) = beds.viewers
        await beds.goes_on(3)
        before = len(viewer.messages("stats"))
        assert {stats["overload"] for stats in viewer.messages("stats")} == {"normal"}
        await beds.goes_on(10, stall_s=STALL_S)
        await beds.goes_on(CALM_S + 1)
        await beds.goes_on(4 * CALM_S)
        words = [stats["overload"] for stats in viewer.messages("stats")[before:]]
        assert words[:4] == ["emergency", "shedding", "normal", "normal"] or words[:5] == [
            "shedding",
            "emergency",
            "shedding",
            "normal",
            "normal",
        ]
        emergency = next(stats for stats in viewer.messages("stats") if stats["overload"] == "emergency")
        assert (emergency["reason"], emergency["rendition"]) == ("overload", "display")


@virtual_time
async def test_who_comes_during_an_emergency_is_held_to_it_as_well() -> None:
    async with ward() as beds:
        await beds.goes_on(10, stall_s=STALL_S)
        late = Viewer()
        beds.viewers.append(late)
        beds.hub.add(late.subscriber)
        await beds.hub.watch(late.subscriber, "a")
        await turns()  # it is chosen then, before the next frame
        await beds.goes_on(8, stall_s=STALL_S)
        assert renditions(late) == ["display"]
        assert late.messages("stats")[0]["overload"] == "emergency"


@virtual_time
async def test_each_change_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async with ward(viewers=3) as beds:
        await beds.goes_on(LASTING_S + 8, stall_s=STALL_S)
        await beds.goes_on(4 * CALM_S)
    said = [record.getMessage() for record in caplog.records if "overload" in record.getMessage()]
    assert [line.split(" (")[0] for line in said] == [
        "overload: shedding after normal",
        "overload: emergency after shedding",
        "overload: shedding after emergency",
        "overload: normal after shedding",
    ]
    assert all("3 viewers" in line for line in said)


@virtual_time
async def test_bytes_that_wait_are_a_load_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streaming.core.overload.SHEDDING_BYTES", 4000)
    async with ward(viewers=2) as beds:
        await beds.goes_on(1)
        for index in range(1000, 1400):
            beds.hub.publish(frames_of(INFO, index))
        await asyncio.sleep(0.5)
        assert beds.state() is OverloadState.SHEDDING
        assert beds.hub.stats().queued_bytes >= 4000


@virtual_time
async def test_what_is_low_or_bulk_is_refused_with_a_reason_and_is_no_fault_of_the_network() -> None:
    async with ward() as beds:
        (viewer,) = beds.viewers
        await beds.goes_on(1)
        beds.hub.overload.read(0.0, 10**9, 0.0)
        viewer.subscriber.limit(beds.hub.overload)
        losses = viewer.subscriber._losses
        viewer.subscriber.tell('{"type":"x"}', priority=MessagePriority.LOW)
        late = WaveFrame(FrameKind.BACKFILL, 0, FRAME, beds._next(INFO).frames[0].payload)
        beds.hub.publish(Bundle(INFO, frames=(late,)))
        await viewer.catch_up()
        stats = viewer.subscriber.stats()
        assert stats.drops[DropReason.OVERLOAD] == 2
        assert [gap[2] for gap in viewer.gaps] == ["dropped"]
        assert not [placed for placed in viewer.frames if placed.frame.kind is FrameKind.BACKFILL]
        assert viewer.subscriber._losses == losses
        viewer.subscriber.tell('{"type":"alarm"}')
        await viewer.catch_up()
        assert viewer.messages("alarm")


@virtual_time
async def test_the_figures_of_a_viewer_name_nobody(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with ward(viewers=2) as beds:
        await beds.goes_on(REPORT_EVERY_S)
        stats = beds.hub.stats()
        assert len(stats.viewers) == 2
        each = stats.viewers[0]
        assert sum(each.streams.values()) == 1
        assert each.rendition == "lossless"
        assert set(each.queued) == set(MessagePriority)
        assert each.rtt_s is not None
        for secret in ("P-1", "ecg.a", "'a'"):
            assert secret not in repr(stats)
