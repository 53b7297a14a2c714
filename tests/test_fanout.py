"""What streams have for their viewers leaves together: one message, made once, and never at a loss."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from streaming.backpressure import CutReason
from streaming.core import messages
from streaming.core.backlog import SharedBundle
from streaming.core.frames import FrameFlag, FrameKind, decode_bundle, encode_frame, frame_text
from streaming.core.items import Item, Span
from streaming.core.lane import HoldLimits
from streaming.core.messages import GapReason
from streaming.core.priority import MessagePriority
from streaming.core.profiles import DEFAULT_CLASS_BOUNDS, BackpressureProfile, ClassBounds
from streaming.core.streams import StreamInfo
from streaming.core.tally import GroupTally
from streaming.core.window import MAX_BUNDLE_BYTES
from streaming.fanout import ALONE_S, GATHER_S, MOST_GATHERED_S, SLICE_S, TICK_S, FanOut
from streaming.subscriber import Announcement, gap_item
from tests.accounting import assert_accounts, assert_metrics_account
from tests.fakes import virtual_time
from tests.viewers import FRAME, Viewer, stream_info, turns

STREAMS = ("a", "b", "c")
INFOS = {stream: stream_info(stream) for stream in STREAMS}


def now() -> float:
    return asyncio.get_running_loop().time()


class Ward:
    """Three streams and their viewers behind one FanOut."""

    def __init__(self, viewers: Sequence[Viewer], tick_s: float) -> None:
        self.viewers = viewers
        self.fan_out = FanOut(tick_s=tick_s, clock=now)
        self.watching = {stream: {viewer.subscriber for viewer in viewers} for stream in STREAMS}
        self.tallies = {stream: GroupTally() for stream in STREAMS}
        self.told = {stream: self._announce(INFOS[stream]) for stream in STREAMS}

    def sends(self, index: int, *streams: str, size: int = 100) -> None:
        """Each of these streams has a frame for its viewers."""
        for stream in streams:
            self.fan_out.add(self.told[stream], self.watching[stream], [self.frame(stream, index, size)])

    def frame(self, stream: str, index: int, size: int = 100) -> Item:
        payload = encode_frame(
            FrameKind.WAVEFORM, self.told[stream].alias, FRAME * index, bytes([index]) * size
        )
        span = Span(stream, 1, FRAME * index, FRAME * (index + 1))
        return Item(payload, MessagePriority.HIGH, now(), len(payload), span=span)

    def watch_only_one(self) -> None:
        """As far as the fan-out can tell."""
        for viewer in self.viewers:
            viewer.subscriber.watches = 1

    async def measured(self) -> None:
        """Every viewer's path has shown that it carries full messages."""
        for viewer in self.viewers:
            window = viewer.subscriber.window
            window.network.on_delivery(1e7, now(), app_limited=False)
            window.network.on_rtt(0.05, now())
            window._resize(0.0)

    async def settle(self) -> None:
        """Every viewer has taken and acked what came."""
        for viewer in self.viewers:
            await viewer.catch_up()

    def _announce(self, info: StreamInfo) -> Announcement:
        alias = STREAMS.index(info.stream)
        return Announcement(
            alias, info, messages.stream(info, alias), self.tallies[info.stream], lambda _a, _s: None
        )


@asynccontextmanager
async def ward(viewers: int = 2, *, tick_s: float = TICK_S) -> AsyncIterator[Ward]:
    """Viewers who know all three streams, and have acked all they were sent."""
    there = [Viewer() for _ in range(viewers)]
    made = Ward(there, tick_s)
    made.sends(0, *STREAMS)
    await asyncio.sleep(2 * TICK_S)
    await made.settle()
    for viewer in there:
        assert sorted(placed.announced["stream"] for placed in viewer.frames) == [*STREAMS]
    try:
        yield made
    finally:
        made.fan_out.close()
        for viewer in there:
            await viewer.subscriber.aclose()


async def until(true: Callable[[], bool]) -> None:
    for _ in range(2000):
        if true():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it does not come")


def since(viewer: Viewer, seen: int) -> list[bytes | str]:
    return viewer.socket.sent[seen:]


class TestMessage:
    @virtual_time
    async def test_texts_are_deflated_with_the_dictionary_however_short(self) -> None:
        text = messages.vitals("a", epoch=1, sample=FRAME, hr=72.5, hr_source="II")
        async with ward() as at:
            at.sends(1, "a")
            await asyncio.sleep(TICK_S)
            await at.settle()
            seen = len(at.viewers[0].socket.sent)
            item = Item(text, MessagePriority.HIGH, now(), len(text), key=("a", "vitals"))
            at.fan_out.add(at.told["a"], at.watching["a"], [item])
            at.viewers[0].subscriber.report()
            await asyncio.sleep(TICK_S)
            (message,) = since(at.viewers[0], seen)
            assert isinstance(message, bytes)
            frames = list(decode_bundle(message))
            assert [frame.flags for frame in frames] == [FrameFlag.DEFLATED | FrameFlag.DICTIONARY] * 2
            assert frame_text(frames[0]) == text
            assert json.loads(frame_text(frames[1]))["type"] == "stats"


class TestParts:
    """What is longer than a message may be leaves as several, made once for all as well."""

    @virtual_time
    async def test_they_leave_one_behind_the_other(self) -> None:
        async with ward() as at:
            await at.measured()
            seen = len(at.viewers[0].socket.sent)
            for index in range(1, 8):
                at.sends(index, *STREAMS, size=1000)
            await asyncio.sleep(TICK_S)
            sent = [since(viewer, seen) for viewer in at.viewers]
            assert [len(messages) for messages in sent] == [2, 2]
            assert all(one is other for one, other in zip(*sent, strict=True)), "the same bytes"
            assert all(len(message) <= MAX_BUNDLE_BYTES for message in sent[0])
            await at.settle()
            for viewer in at.viewers:
                assert sorted(viewer.firsts[-21:]) == sorted(3 * [FRAME * index for index in range(1, 8)])

    @virtual_time
    async def test_from_the_first_that_does_not_fit_on_all_queue(self) -> None:
        async with ward(1) as at:
            await at.measured()
            (viewer,) = at.viewers
            viewer.subscriber.window.max_bytes = MAX_BUNDLE_BYTES  # two messages are allowed in any case
            seen = len(viewer.socket.sent)
            for index in range(1, 16):
                at.sends(index, *STREAMS, size=1000)
            await asyncio.sleep(TICK_S)
            assert len(since(viewer, seen)) == 2
            assert viewer.subscriber.handler.queued_messages > 0
            await at.settle()
            assert sorted(viewer.firsts[-45:]) == sorted(3 * [FRAME * index for index in range(1, 16)])
            metrics = viewer.subscriber.handler.get_metrics()
            assert metrics.offered_messages == metrics.acked_messages + metrics.in_flight_messages


class TestSlices:
    """A tick that takes long is handed out in slices."""

    @virtual_time
    async def test_others_have_their_turn_in_between(self) -> None:
        async with ward(12) as at:
            for viewer in at.viewers:
                viewer.socket.busy_s = SLICE_S / 2
            seen = len(at.viewers[0].socket.sent)
            at.sends(1, "a")
            await until(lambda: any(since(viewer, seen) for viewer in at.viewers))
            served = set()
            for _ in range(30):
                served.add(sum(len(since(viewer, seen)) for viewer in at.viewers))
                await asyncio.sleep(0)
            assert served >= {6, 9, 12}, "three take longer than a slice"

    @virtual_time
    async def test_who_leaves_before_its_turn_gets_nothing_and_the_others_all(self) -> None:
        async with ward(12) as at:
            for viewer in at.viewers:
                viewer.socket.busy_s = SLICE_S
            seen = len(at.viewers[0].socket.sent)
            at.sends(1, "a")
            await until(lambda: any(since(viewer, seen) for viewer in at.viewers))
            leaving = next(viewer for viewer in at.viewers if not since(viewer, seen))
            at.watching["a"].discard(leaving.subscriber)
            await asyncio.sleep(1)
            assert [len(since(viewer, seen)) for viewer in at.viewers if viewer is not leaving] == [1] * 11
            assert since(leaving, seen) == []

    @virtual_time
    async def test_before_an_alias_changes_all_have_what_was_made_under_the_old_one(self) -> None:
        async with ward(12) as at:
            for viewer in at.viewers:
                viewer.socket.busy_s = SLICE_S
            seen = len(at.viewers[0].socket.sent)
            at.sends(1, "a")
            await until(lambda: any(since(viewer, seen) for viewer in at.viewers))
            at.fan_out.hand_on("a")
            assert [len(since(viewer, seen)) for viewer in at.viewers] == [1] * 12

    @virtual_time
    async def test_what_comes_meanwhile_leaves_behind_it(self) -> None:
        async with ward(12) as at:
            for viewer in at.viewers:
                viewer.socket.busy_s = SLICE_S
            at.sends(1, "a")
            await until(lambda: any(viewer.firsts[-1] == FRAME for viewer in at.viewers))
            at.sends(2, "a")
            await asyncio.sleep(3)
            await at.settle()
            assert all(viewer.firsts[-2:] == [FRAME, 2 * FRAME] for viewer in at.viewers)


class TestAlone:
    """A stream whose viewers watch no other has nothing to wait for."""

    @virtual_time
    async def test_it_leaves_at_once(self) -> None:
        async with ward() as at:
            at.watch_only_one()
            seen = len(at.viewers[0].socket.sent)
            at.sends(1, "a")
            assert [len(since(viewer, seen)) for viewer in at.viewers] == [1, 1]
            await asyncio.sleep(2 * ALONE_S)
            at.sends(2, "a")
            assert [len(since(viewer, seen)) for viewer in at.viewers] == [2, 2]

    @virtual_time
    async def test_not_a_hundred_times_a_second(self) -> None:
        async with ward() as at:
            at.watch_only_one()
            seen = len(at.viewers[0].socket.sent)
            for index in range(1, 5):
                at.sends(index, "a")
                await asyncio.sleep(ALONE_S / 4)
            assert len(since(at.viewers[0], seen)) == 1
            await asyncio.sleep(TICK_S)
            assert len(since(at.viewers[0], seen)) == 2, "the rest together"
            await at.settle()
            assert at.viewers[0].firsts[-4:] == [FRAME * index for index in range(1, 5)]

    @virtual_time
    async def test_one_that_takes_long_waits_for_a_tick(self) -> None:
        async with ward(1) as at:
            at.watch_only_one()
            (viewer,) = at.viewers
            viewer.socket.busy_s = 0.1
            seen = len(viewer.socket.sent)
            at.sends(1, "a")
            assert len(since(viewer, seen)) == 1
            at.sends(2, "a")
            assert len(since(viewer, seen)) == 1
            await asyncio.sleep(0.2)
            await at.settle()
            assert viewer.firsts[-2:] == [FRAME, 2 * FRAME]

    @virtual_time
    async def test_with_others_it_waits_for_them(self) -> None:
        async with ward() as at:
            at.watch_only_one()
            at.viewers[1].subscriber.watches = 2
            seen = len(at.viewers[0].socket.sent)
            at.sends(1, "a")
            assert since(at.viewers[0], seen) == []
            await asyncio.sleep(TICK_S)
            assert len(since(at.viewers[0], seen)) == 1


class TestTick:
    @virtual_time
    async def test_critical_does_not_wait_for_it(self) -> None:
        async with ward() as at:
            seen = len(at.viewers[0].socket.sent)
            at.sends(1, "a")
            text = messages.denied("b")
            alarm = Item(text, MessagePriority.CRITICAL, now(), len(text), control=True)
            at.fan_out.add(at.told["b"], at.watching["b"], [alarm])
            await turns()
            for viewer in at.viewers:
                assert len(since(viewer, seen)) == 1
            at.sends(2, "a")
            await asyncio.sleep(TICK_S)
            await at.settle()
            assert at.viewers[0].firsts[-2:] == [FRAME, 2 * FRAME], "the ticks go on"

    @virtual_time
    async def test_what_comes_right_behind_the_first_leaves_with_it(self) -> None:
        async with ward() as at:
            seen = len(at.viewers[0].socket.sent)
            for stream in STREAMS:
                at.sends(1, stream)
                await asyncio.sleep(GATHER_S / 4)
            await asyncio.sleep(GATHER_S)
            assert len(since(at.viewers[0], seen)) == 1
            assert at.viewers[0].firsts[-3:] == [FRAME] * 3

    @virtual_time
    async def test_a_gateway_with_many_patients_is_waited_for(self) -> None:
        async with ward() as at:
            seen = len(at.viewers[0].socket.sent)
            for index in range(1, 8):
                for stream in STREAMS:
                    at.sends(index, stream, size=20)
                    await asyncio.sleep(GATHER_S / 8)
            assert since(at.viewers[0], seen) == []
            await asyncio.sleep(GATHER_S)
            assert len(since(at.viewers[0], seen)) == 1

    @virtual_time
    async def test_streams_that_never_pause_are_not_waited_for_long(self) -> None:
        async with ward() as at:
            seen, began = len(at.viewers[0].socket.sent), now()
            for index in itertools.count(1):
                at.sends(index, STREAMS[index % 3])
                await asyncio.sleep(GATHER_S / 8)
                if since(at.viewers[0], seen):
                    break
            assert MOST_GATHERED_S <= now() - began < MOST_GATHERED_S + GATHER_S

    @virtual_time
    async def test_ticks_keep_their_distance(self) -> None:
        async with ward() as at:
            seen = len(at.viewers[0].socket.sent)
            for index in range(1, 11):  # one stream or another every 10 ms, for 100 ms
                at.sends(index, STREAMS[index % 3])
                await asyncio.sleep(0.01)
                at.viewers[0].ack()
            await asyncio.sleep(TICK_S)
            at.viewers[0].ack()
            assert len(since(at.viewers[0], seen)) == 4, "after 8, 48, 88 and 128 ms"
            assert sorted(at.viewers[0].firsts[3:]) == [FRAME * index for index in range(1, 11)]

    @pytest.mark.parametrize(("took_s", "messages_a_second"), [(0.005, 25), (0.02, 12.5), (0.05, 5)])
    def test_ticks_that_take_long_are_fewer(self, took_s: float, messages_a_second: float) -> None:
        @virtual_time
        async def paced() -> None:
            async with ward(1) as at:
                (viewer,) = at.viewers
                viewer.socket.busy_s = took_s
                began, seen = now(), len(viewer.socket.sent)
                while now() < began + 4.0:
                    at.sends(len(viewer.socket.sent), "a")
                    await asyncio.sleep(0.01)
                    viewer.ack()
                assert abs(len(since(viewer, seen)) / 4.0 - messages_a_second) < 0.3 * messages_a_second

        paced()

    @virtual_time
    async def test_what_follows_before_the_writer_ran_takes_nothing_from_what_was_handed_over(self) -> None:
        async with ward(1, tick_s=0.0) as at:
            at.sends(1, "a")
            at.sends(2, "a")
            await at.settle()
            assert at.viewers[0].firsts[3:] == [FRAME, 2 * FRAME]

    @virtual_time
    async def test_control_does_not_wait(self) -> None:
        async with ward() as at:
            at.sends(1, "a")
            at.viewers[0].subscriber.tell(messages.denied("s"))
            await turns()
            assert at.viewers[0].received[-1] == json.loads(messages.denied("s"))
            await asyncio.sleep(GATHER_S)
            assert at.viewers[0].firsts[-1] == FRAME

    @virtual_time
    async def test_who_has_left_gets_nothing(self) -> None:
        async with ward() as at:
            at.sends(1, "a")
            at.watching["a"].discard(at.viewers[0].subscriber)
            await asyncio.sleep(TICK_S)
            assert [viewer.firsts[-1] for viewer in at.viewers] == [0, FRAME]

    @virtual_time
    async def test_nothing_leaves_for_a_stream_that_nobody_watches_any_more(self) -> None:
        async with ward() as at:
            at.sends(1, "a", "b")
            at.fan_out.forget("a")
            await asyncio.sleep(TICK_S)
            await at.settle()
            assert [p.announced["stream"] for p in at.viewers[0].frames][3:] == ["b"]


class TestSharing:
    @virtual_time
    async def test_who_watches_the_same_gets_the_same_bytes(self) -> None:
        async with ward(3) as at:
            at.watching["c"].discard(at.viewers[2].subscriber)
            at.sends(1, *STREAMS)
            await asyncio.sleep(TICK_S)
            first, second, third = (viewer.socket.sent[-1] for viewer in at.viewers)
            assert first is second
            assert len(at.viewers[2].frames) == 3 + 2
            assert len(third) < len(first)

    @virtual_time
    async def test_gaps_and_events_keep_their_place_between_the_frames(self) -> None:
        async with ward(1) as at:
            (viewer,) = at.viewers
            gap = gap_item(Span("a", 1, FRAME, 2 * FRAME), GapReason.SOURCE, now())
            vitals = Item('{"type":"vitals"}', MessagePriority.HIGH, now(), 17, key=("a", "vitals"))
            at.fan_out.add(at.told["a"], at.watching["a"], [gap, at.frame("a", 2), vitals])
            await asyncio.sleep(TICK_S)
            kinds = [part["type"] if isinstance(part, dict) else "frame" for part in viewer.received]
            assert kinds[-3:] == ["gap", "frame", "vitals"]
            tally = at.tallies["a"]
            assert (tally.offered, tally.sent, tally.gaps) == (3, 3, 1)

    @virtual_time
    async def test_a_viewer_that_does_not_know_the_stream_is_told_of_it_first(self) -> None:
        async with ward(1) as at:
            newcomer = Viewer()
            at.watching["a"].add(newcomer.subscriber)
            at.sends(1, "a")
            await asyncio.sleep(TICK_S)
            await newcomer.catch_up()
            assert [p.frame.first for p in newcomer.frames] == [FRAME]  # KeyError for an unknown alias
            await newcomer.subscriber.aclose()

    @virtual_time
    async def test_its_own_stats_ride_along(self) -> None:
        async with ward() as at:
            at.sends(1, "a")
            await asyncio.sleep(TICK_S)
            await at.settle()
            viewer, other = at.viewers
            seen = len(viewer.socket.sent)
            viewer.subscriber.report()
            await turns()
            assert since(viewer, seen) == []
            at.sends(2, "a")
            await asyncio.sleep(TICK_S)
            assert len(since(viewer, seen)) == 1
            assert len(viewer.messages("stats")) == 1
            assert viewer.firsts[-1] == 2 * FRAME
            assert other.messages("stats") == []

    @virtual_time
    async def test_stats_do_not_wait_for_a_bundle_that_never_comes(self) -> None:
        async with ward(1) as at:
            (viewer,) = at.viewers
            at.sends(1, "a")
            await asyncio.sleep(TICK_S)
            await at.settle()
            viewer.subscriber.report()
            viewer.subscriber.report()
            await viewer.catch_up()
            assert len(viewer.messages("stats")) == 1


class TestSlowViewer:
    @virtual_time
    async def test_who_has_no_credit_queues_and_the_others_do_not(self) -> None:
        async with ward() as at:
            slow, quick = at.viewers
            for index in range(1, 8):
                at.sends(index, "a", size=1500)
                await asyncio.sleep(TICK_S)
                quick.ack()
            assert quick.firsts[3:] == [FRAME * index for index in range(1, 8)]
            assert slow.subscriber.handler.queued_messages > 0
            await slow.catch_up()
            assert slow.firsts[3:] == [FRAME * index for index in range(1, 8)], "in order, none lost"

    @virtual_time
    async def test_nothing_overtakes_what_is_queued(self) -> None:
        async with ward(1) as at:
            (viewer,) = at.viewers
            at.sends(1, "a", size=3000)
            at.sends(2, "a", size=3000)
            await asyncio.sleep(TICK_S)
            at.sends(3, "a", size=10)  # there is room for this one
            await asyncio.sleep(TICK_S)
            await viewer.catch_up()
            assert viewer.firsts[3:] == [FRAME, 2 * FRAME, 3 * FRAME]

    @virtual_time
    async def test_every_message_is_accounted_for_whichever_way_it_took(self) -> None:
        async with ward() as at:
            for index in range(1, 9):
                at.sends(index, "a", "b", size=900)
                await asyncio.sleep(TICK_S)
                at.viewers[1].ack()
            for viewer in at.viewers:
                metrics = viewer.subscriber.handler.get_metrics()
                assert metrics.offered_messages == 3 + 3 + 16, "stream messages, and frames"
                assert metrics.offered_messages == (
                    metrics.acked_messages + metrics.in_flight_messages + metrics.buffer_size
                )
            await at.settle()
            assert [at.tallies[s].offered for s in STREAMS] == [18, 18, 2]
            sent = [viewer.subscriber.handler.get_metrics().sent_messages for viewer in at.viewers]
            assert sent == [22, 22]

    @virtual_time
    async def test_what_was_handed_over_and_not_sent_counts_as_abandoned(self) -> None:
        async with ward(1) as at:
            (viewer,) = at.viewers
            handler = viewer.subscriber.handler
            viewer.socket.hold()
            assert handler.offer_prepared(b"message", (0, 2, 0, 0, 0))
            await viewer.subscriber.aclose()
            viewer.socket.release()
            await asyncio.sleep(TICK_S)
            assert viewer.socket.sent[-1] != b"message"
            assert handler.get_metrics().abandoned_messages == 2
            assert not handler.offer_prepared(b"message", (0, 1, 0, 0, 0))


class TestHeld:
    """A viewer without credit, and what waits for it as it is."""

    @virtual_time
    async def test_a_bundle_waits_as_it_is_and_leaves_as_the_same_bytes(self) -> None:
        async with ward() as at:
            slow, fast = at.viewers
            await fill(at)
            at.sends(3, "a", "b", size=200)
            await asyncio.sleep(2 * TICK_S)
            fast.ack()
            await turns()
            handler = slow.subscriber.handler
            assert (len(handler._queue.backlog), len(handler._queue.outbox)) == (2, 0)
            metrics = handler.get_metrics()
            assert metrics.queued[MessagePriority.HIGH] == metrics.buffer_size == 2
            assert metrics.buffer_bytes == handler.queued_bytes > 400
            assert metrics.buffer_utilization > 0
            assert 0 < metrics.pressure < 1
            assert handler.waveform_waits_s(now()) > 0
            state = handler.group_state(INFOS["a"].group)
            assert state is not None
            assert state.size == 1
            assert_accounts(handler)
            assert_metrics_account(handler)
            await at.settle()
            assert slow.socket.sent[-1] == fast.socket.sent[-1]
            assert slow.socket.sent[-1] is fast.socket.sent[-1], "and nobody made them again"
            assert at.tallies["a"].sent == at.tallies["a"].offered

    @virtual_time
    async def test_what_is_too_old_is_dropped_at_once_and_told_in_one_gap_a_stream(self) -> None:
        async with ward(1) as at:
            (viewer,) = at.viewers
            await fill(at)
            for index in range(3, 7):
                at.sends(index, "a", "b", size=200)
                await asyncio.sleep(2 * TICK_S)
            await asyncio.sleep(1.2)
            handler = viewer.subscriber.handler
            assert len(handler._queue.backlog) == 0
            metrics = handler.get_metrics()
            assert (metrics.expired_messages, metrics.buffer_size) == (8, 2)
            assert_accounts(handler)
            await at.settle()
            gaps = [(gap["stream"], gap["from"], gap["to"]) for gap in viewer.messages("gap")]
            assert gaps == [(stream, 3 * FRAME, 7 * FRAME) for stream in ("a", "b")]
            assert at.tallies["b"].dropped == 4

    @virtual_time
    async def test_what_comes_behind_a_queue_waits_as_it_is_and_leaves_behind_it(self) -> None:
        async with ward(1) as at:
            (viewer,) = at.viewers
            await fill(at)
            viewer.subscriber.offer(at.frame("a", 3), at.told["a"])
            at.sends(4, "a")
            await asyncio.sleep(2 * TICK_S)
            handler = viewer.subscriber.handler
            assert (len(handler._queue.outbox), len(handler._queue.backlog)) == (1, 1)
            await at.settle()
            assert viewer.firsts[-2:] == [3 * FRAME, 4 * FRAME]

    @virtual_time
    async def test_what_belongs_behind_it_makes_it_queue(self) -> None:
        async with ward(1) as at:
            (viewer,) = at.viewers
            await fill(at)
            at.sends(3, "a")
            await asyncio.sleep(2 * TICK_S)
            handler = viewer.subscriber.handler
            assert len(handler._queue.backlog) == 1
            viewer.subscriber.offer(at.frame("a", 4), at.told["a"])
            assert (len(handler._queue.outbox), len(handler._queue.backlog)) == (2, 0)
            await at.settle()
            assert viewer.firsts[-2:] == [3 * FRAME, 4 * FRAME]

    @virtual_time
    async def test_critical_goes_before_it_and_low_behind(self) -> None:
        async with ward(1) as at:
            (viewer,) = at.viewers
            await fill(at)
            at.sends(3, "a")
            await asyncio.sleep(2 * TICK_S)
            viewer.subscriber.tell('{"type":"low"}', priority=MessagePriority.LOW)
            viewer.subscriber.tell('{"type":"alarm"}')
            assert len(viewer.subscriber.handler._queue.backlog) == 1
            await at.settle()
            kinds = [
                came["type"] if isinstance(came, dict) else came.frame.first for came in viewer.received[-3:]
            ]
            assert kinds == ["alarm", 3 * FRAME, "low"]

    @virtual_time
    async def test_what_cuts_the_connection_while_it_queues_is_counted_and_hurts_nobody(self) -> None:
        async with ward(1) as at:
            (viewer,) = at.viewers
            await fill(at)
            handler, group = viewer.subscriber.handler, INFOS["a"].group
            gaps = [
                (gap_item(Span("a", 1, first, first + 1), GapReason.SOURCE, now()), group)
                for first in range(10_000, 12_000, 2)
            ]
            frames = [(at.frame("a", index, 1500), group) for index in range(3, 23)]
            items = [*frames[:5], *gaps, *frames[5:]]
            assert handler._queue.backlog.takes(SharedBundle(items, [b"frame" for _ in items]), HoldLimits())
            small = {**DEFAULT_CLASS_BOUNDS, MessagePriority.HIGH: ClassBounds(16 * 1024, 1.0)}
            handler.set_profile(group, BackpressureProfile(bounds=small))
            assert handler.cut is CutReason.CONTROL_OVERFLOW
            assert handler.queued_messages == 0
            assert_accounts(handler)
            assert_metrics_account(handler)

    @virtual_time
    async def test_it_is_abandoned_with_the_connection(self) -> None:
        async with ward(1) as at:
            (viewer,) = at.viewers
            await fill(at)
            at.sends(3, "a", "b")
            await asyncio.sleep(2 * TICK_S)
            handler = viewer.subscriber.handler
            before = handler.get_metrics().abandoned_messages
            await viewer.subscriber.aclose()
            assert handler.get_metrics().abandoned_messages >= before + 2
            assert_accounts(handler)

    @virtual_time
    async def test_where_lanes_differ_in_age_each_has_its_own(self) -> None:
        async with ward(1) as at:
            (viewer,) = at.viewers
            bounds = {**DEFAULT_CLASS_BOUNDS, MessagePriority.HIGH: ClassBounds(50_000, 5.0)}
            viewer.subscriber.handler.set_profile(INFOS["b"].group, BackpressureProfile(bounds=bounds))
            await fill(at)
            at.sends(3, "a", "b")
            await asyncio.sleep(1.5)
            await at.settle()
            assert [gap["stream"] for gap in viewer.messages("gap")] == ["a"]
            assert viewer.frames[-1].announced["stream"] == "b"


async def fill(at: Ward) -> None:
    """All viewers have as much in flight as their windows take."""
    for index in (1, 2):
        at.sends(index, "a", size=2040)
        await asyncio.sleep(2 * TICK_S)
    for viewer in at.viewers:
        assert viewer.subscriber.window.room <= 0
