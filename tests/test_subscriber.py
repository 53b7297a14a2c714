"""What one viewer is told: GAPs in the place of frames, bundles, deflated JSON, and the settings in force."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.core import messages
from streaming.core.frames import FrameFlag, FrameKind, decode_bundle, encode_frame
from streaming.core.items import DropReason, Item, Span
from streaming.core.ladder import Want
from streaming.core.messages import Ack, GapReason
from streaming.core.priority import MessagePriority
from streaming.core.profiles import (
    DEFAULT_CLASS_BOUNDS,
    BackpressureProfile,
    ClassBounds,
    ConnectionProfile,
    GroupProfile,
    ProfileSet,
)
from streaming.core.renditions import LADDER
from streaming.core.streams import StreamInfo
from streaming.core.tally import GroupTally
from streaming.exceptions import CloseCode, ProtocolError
from streaming.subscriber import CONTROL_GROUP, QUIET_REPORTS, Announcement, Subscriber, gap_item
from tests.accounting import accounted
from tests.fakes import virtual_time
from tests.viewers import FRAME, Placed, Viewer, stream_info, turns

CRITICAL, HIGH, NORMAL, LOW, BULK = MessagePriority
INFO = stream_info()
GROUP = INFO.group
NEARLY_ALL_HIGH = {CRITICAL: 0.02, HIGH: 0.9, NORMAL: 0.04, LOW: 0.02, BULK: 0.02}


def now() -> float:
    return asyncio.get_running_loop().time()


def announce(info: StreamInfo = INFO, alias: int = 0, tally: GroupTally | None = None) -> Announcement:
    return Announcement(
        alias, info, messages.stream(info, alias), tally or GroupTally(), lambda _alias, _subscriber: None
    )


def frame(
    index: int, *, size: int = 300, alias: int = 0, info: StreamInfo = INFO, late: bool = False
) -> Item:
    kind = FrameKind.BACKFILL if late else FrameKind.WAVEFORM
    payload = encode_frame(kind, alias, FRAME * index, b"x" * size)
    span = Span(info.stream, info.epoch, FRAME * index, FRAME * (index + 1))
    return Item(payload, BULK if late else HIGH, now(), len(payload), span=span)


def event(text: str, priority: MessagePriority = HIGH, key: str = "vitals") -> Item:
    return Item(text, priority, now(), len(text), key=(INFO.stream, key))


def governed(*, overrides: dict[str, BackpressureProfile] | None = None, **fields: Any) -> ProfileSet:
    return ProfileSet(
        default=GroupProfile(backpressure=BackpressureProfile(**fields)),
        overrides={g: GroupProfile(backpressure=p) for g, p in (overrides or {}).items()},
    )


@asynccontextmanager
async def connected(profiles: ProfileSet | None = None) -> AsyncIterator[Viewer]:
    viewer = Viewer(profiles)
    try:
        yield viewer
    finally:
        await viewer.subscriber.aclose()


async def stuck(viewer: Viewer, announcement: Announcement) -> None:
    """The stream message has been sent, and the window is full: what is offered now waits."""
    for index in range(2):
        viewer.subscriber.offer(frame(index, size=5000), announcement)
    await turns()
    assert len(viewer.firsts) == 2
    assert viewer.subscriber.window.room <= 0


def order(viewer: Viewer) -> list[int | tuple[int, int]]:
    """First samples of frames, and (from, to) of GAPs, in the order in which they came."""
    return [
        part.frame.first if isinstance(part, Placed) else (part["from"], part["to"])
        for part in viewer.received
        if isinstance(part, Placed) or part["type"] == "gap"
    ]


class TestRenditions:
    @virtual_time
    async def test_numbers_alone_are_announced_behind_the_frames_before_them(self) -> None:
        async with connected() as viewer:
            announcement, numbers = announce(), announce(alias=1)
            await stuck(viewer, announcement)
            viewer.subscriber.offer(frame(2), announcement)
            viewer.subscriber.announce(numbers)
            viewer.subscriber.offer(frame(3), announcement)
            await viewer.catch_up()
            told = [
                part.frame.first if isinstance(part, Placed) else part["alias"] for part in viewer.received
            ]
            assert told == [0, 0, 50, 100, 1, 150]

    @virtual_time
    async def test_numbers_alone_that_begin_again_are_announced_behind_what_came_between(self) -> None:
        async with connected() as viewer:
            announcement, numbers = announce(), announce(alias=1)
            await stuck(viewer, announcement)
            viewer.subscriber.announce(numbers)
            viewer.subscriber.offer(frame(2), announcement)
            viewer.subscriber.announce(numbers)
            viewer.subscriber.offer(frame(3), announcement)
            viewer.subscriber.announce(numbers)
            await viewer.catch_up()
            told = [
                part.frame.first if isinstance(part, Placed) else part["alias"] for part in viewer.received
            ]
            assert told == [0, 0, 50, 100, 150, 1]

    @virtual_time
    async def test_they_are_announced_each_time_that_they_begin(self) -> None:
        async with connected() as viewer:
            for _ in range(2):
                viewer.subscriber.announce(announce(alias=1))
                await viewer.catch_up()
            assert [told["alias"] for told in viewer.messages("stream")] == [1, 1]


class TestGaps:
    @virtual_time
    async def test_expired_frames_become_one_gap(self) -> None:
        async with connected() as viewer:
            announcement = announce()
            await stuck(viewer, announcement)
            for index in range(2, 6):
                viewer.subscriber.offer(frame(index), announcement)
            await asyncio.sleep(1.5)
            await viewer.catch_up()
            assert viewer.gaps == [(100, 300, "expired")]

    @virtual_time
    async def test_a_gap_stands_where_its_frames_would(self) -> None:
        async with connected() as viewer:
            announcement = announce()
            await stuck(viewer, announcement)
            viewer.subscriber.offer(frame(2), announcement)
            await asyncio.sleep(0.6)
            viewer.subscriber.offer(frame(3), announcement)
            await asyncio.sleep(0.6)
            viewer.subscriber.offer(frame(4), announcement)
            await viewer.catch_up()
            assert order(viewer) == [0, 50, (100, 150), 150, 200]

    @virtual_time
    async def test_gaps_of_different_reasons_stay_apart(self) -> None:
        async with connected() as viewer:
            announcement = announce()
            await stuck(viewer, announcement)
            for reason, first in (
                (GapReason.SOURCE, 100),
                (GapReason.DROPPED, 150),
                (GapReason.DROPPED, 200),
            ):
                viewer.subscriber.offer(
                    gap_item(Span("a", 1, first, first + 50), reason, now()), announcement
                )
            await viewer.catch_up()
            assert viewer.gaps == [(100, 150, "source"), (150, 250, "dropped")]

    @virtual_time
    async def test_gaps_of_two_epochs_stay_apart(self) -> None:
        async with connected() as viewer:
            announcement = announce()
            await stuck(viewer, announcement)
            for epoch in (1, 2):
                gap = gap_item(Span("a", epoch, 100, 150), GapReason.DROPPED, now())
                viewer.subscriber.offer(gap, announcement)
            await viewer.catch_up()
            assert [gap["epoch"] for gap in viewer.messages("gap")] == [1, 2]

    @virtual_time
    @pytest.mark.parametrize("late", [False, True])
    async def test_a_full_class_says_which_samples_are_missing(self, late: bool) -> None:
        bounds = {**DEFAULT_CLASS_BOUNDS, HIGH: ClassBounds(12 * 1024, 1.0), BULK: ClassBounds(12 * 1024)}
        async with connected(governed(bounds=bounds, emergency_mode=False)) as viewer:
            announcement = announce()
            await stuck(viewer, announcement)
            for index in range(2, 8):
                viewer.subscriber.offer(frame(index, size=4000, late=late), announcement)
            await viewer.catch_up()
            told = {sample for first, stop, _ in viewer.gaps for sample in range(first, stop, FRAME)}
            assert told
            assert sorted([*viewer.firsts, *told]) == list(range(0, 400, FRAME))

    @virtual_time
    async def test_an_emergency_says_which_samples_are_missing(self) -> None:
        async with connected(governed(max_buffer_size=10, quotas=NEARLY_ALL_HIGH)) as viewer:
            announcement = announce()
            await stuck(viewer, announcement)
            for index in range(2, 30):
                viewer.subscriber.offer(frame(index), announcement)
            await viewer.catch_up()
            told = {sample for first, stop, _ in viewer.gaps for sample in range(first, stop, FRAME)}
            assert "emergency" in {reason for _, _, reason in viewer.gaps}
            assert sorted([*viewer.firsts, *told]) == list(range(0, 1500, FRAME))

    @virtual_time
    async def test_a_dropped_event_leaves_no_gap(self) -> None:
        bounds = {**DEFAULT_CLASS_BOUNDS, NORMAL: ClassBounds(1024, 10.0)}
        async with connected(governed(bounds=bounds)) as viewer:
            announcement = announce()
            await stuck(viewer, announcement)
            for n in range(4):
                text = json.dumps({"type": "quality", "filling": "x" * 400})
                viewer.subscriber.offer(event(text, NORMAL, f"quality {n}"), announcement)
            await viewer.catch_up()
            assert len(viewer.messages("quality")) < 4
            assert viewer.gaps == []
            assert announcement.tally.by_reason[DropReason.QUOTA] + announcement.tally.by_reason[
                DropReason.DROPPED
            ] == 4 - len(viewer.messages("quality"))


class TestWire:
    @virtual_time
    async def test_frames_that_wait_travel_in_one_message(self) -> None:
        async with connected() as viewer:
            for index in range(5):
                viewer.subscriber.offer(frame(index, size=200), announce())
            await turns()
            (bundle,) = viewer.socket.sent
            assert isinstance(bundle, bytes)
            kinds = [frame.kind for frame in decode_bundle(bundle)]
            assert kinds == [FrameKind.JSON] + [FrameKind.WAVEFORM] * 5

    @virtual_time
    async def test_texts_that_wait_travel_as_one_array(self) -> None:
        async with connected() as viewer:
            for n in range(3):
                viewer.subscriber.tell(messages.denied(f"s{n}"), key=f"denied {n}")
            await turns()
            (text,) = viewer.socket.sent
            assert [message["stream"] for message in json.loads(text)] == ["s0", "s1", "s2"]

    @virtual_time
    async def test_one_text_travels_alone(self) -> None:
        async with connected() as viewer:
            viewer.subscriber.tell(messages.denied("s"))
            await turns()
            assert viewer.socket.sent == [messages.denied("s")]

    @virtual_time
    async def test_a_long_text_travels_deflated(self) -> None:
        async with connected() as viewer:
            text = json.dumps({"type": "roster", "streams": ["x" * 30] * 100})
            viewer.subscriber.tell(text, key="roster")
            await turns()
            (message,) = viewer.socket.sent
            assert isinstance(message, bytes)
            (packed,) = decode_bundle(message)
            flags = FrameFlag.DEFLATED | FrameFlag.DICTIONARY
            assert (packed.kind, packed.flags) == (FrameKind.JSON, flags)
            assert viewer.received == [json.loads(text)]
            assert len(message) < len(text) / 4

    @virtual_time
    async def test_a_roster_of_a_thousand_patients_does_not_count_as_overflowing_control(self) -> None:
        async with connected() as viewer:
            text = json.dumps(
                {"type": "roster", "streams": [{"stream": f"s{n}", "name": "x" * 80} for n in range(1000)]}
            )
            assert len(text) > 64 * 1024
            viewer.subscriber.tell(text, key="roster")
            await turns()
            assert viewer.received == [json.loads(text)]
            assert viewer.subscriber.handler.cut is None

    @virtual_time
    async def test_acks_count_websocket_messages_and_free_the_window(self) -> None:
        async with connected() as viewer:
            announcement = announce()
            await stuck(viewer, announcement)
            viewer.subscriber.offer(frame(2), announcement)
            await turns()
            assert len(viewer.firsts) == 2
            viewer.subscriber.acked(Ack(len(viewer.socket.sent), 1.0, 0, held_ms=10.0))
            await turns()
            assert viewer.firsts == [0, 50, 100]

    @virtual_time
    async def test_the_time_that_the_client_held_its_ack_is_not_the_networks(self) -> None:
        async with connected() as viewer:
            viewer.subscriber.tell(messages.denied("s"))
            await turns()
            await asyncio.sleep(0.100)
            viewer.subscriber.acked(Ack(1, 1.0, 0, held_ms=80.0))
            rtt_s = viewer.subscriber.window.network.rtt_s
            assert rtt_s is not None
            assert rtt_s == pytest.approx(0.020, abs=1e-6)

    @virtual_time
    async def test_an_ack_of_what_was_never_sent_is_refused(self) -> None:
        async with connected() as viewer:
            with pytest.raises(ProtocolError, match="never sent"):
                viewer.subscriber.acked(Ack(1, 0.0, 0))


class TestAnnouncing:
    @virtual_time
    async def test_the_alias_is_held_once(self) -> None:
        held: list[tuple[int, Subscriber]] = []
        async with connected() as viewer:
            announcement = replace(announce(), hold=lambda alias, who: held.append((alias, who)))
            for index in range(3):
                viewer.subscriber.offer(frame(index), announcement)
            assert held == [(0, viewer.subscriber)]

    @virtual_time
    async def test_a_gap_is_announced_as_well(self) -> None:
        async with connected() as viewer:
            viewer.subscriber.offer(gap_item(Span("a", 1, 0, 50), GapReason.SOURCE, now()), announce())
            await viewer.catch_up()
            assert [part["type"] for part in viewer.received if isinstance(part, dict)] == ["stream", "gap"]

    @virtual_time
    async def test_what_is_queued_for_a_forgotten_group_is_not_sent(self) -> None:
        async with connected() as viewer:
            announcement = announce()
            await stuck(viewer, announcement)
            viewer.subscriber.offer(frame(2), announcement)
            viewer.subscriber.offer(event('{"type":"vitals"}'), announcement)
            viewer.subscriber.forget(GROUP)
            await viewer.catch_up()
            assert viewer.firsts == [0, 50]
            assert viewer.gaps == []
            assert viewer.subscriber.handler.get_metrics().abandoned_messages == 2

    @virtual_time
    async def test_a_stream_message_that_was_forgotten_before_it_left_is_due_again(self) -> None:
        async with connected() as viewer:
            announcement = announce()
            viewer.subscriber.offer(frame(0), announcement)
            viewer.subscriber.forget(GROUP)
            viewer.subscriber.offer(frame(1), announcement)
            await viewer.catch_up()
            assert viewer.firsts == [50]
            assert len(viewer.messages("stream")) == 1

    @virtual_time
    async def test_forgetting_a_group_that_never_sent_is_nothing(self) -> None:
        async with connected() as viewer:
            viewer.subscriber.forget("ecg.other")
            await viewer.catch_up()
            assert viewer.received == []


class TestSettings:
    @virtual_time
    async def test_each_lane_is_governed_by_its_own_group(self) -> None:
        profiles = governed(overrides={GROUP: BackpressureProfile(max_buffer_size=20)})
        async with connected(profiles) as viewer:
            other = stream_info("b")
            viewer.subscriber.offer(frame(0), announce())
            viewer.subscriber.offer(frame(0, alias=1, info=other), announce(other, 1))
            assert _utilization(viewer, GROUP) == 2 / 20
            assert _utilization(viewer, other.group) == 2 / 10_000

    @virtual_time
    async def test_a_group_watched_again_is_governed_by_its_own_profile_again(self) -> None:
        profiles = governed(overrides={GROUP: BackpressureProfile(max_buffer_size=20)})
        async with connected(profiles) as viewer:
            announcement = announce()
            viewer.subscriber.offer(frame(0), announcement)
            await viewer.catch_up()
            viewer.subscriber.forget(GROUP)
            viewer.subscriber.offer(frame(1), announcement)
            assert _utilization(viewer, GROUP) == 1 / 20
            viewer.subscriber.apply_profiles(
                governed(overrides={GROUP: BackpressureProfile(max_buffer_size=40)})
            )
            assert _utilization(viewer, GROUP) == 1 / 40

    @virtual_time
    async def test_new_settings_govern_what_waits_already(self) -> None:
        async with connected() as viewer:
            announcement = announce()
            await stuck(viewer, announcement)
            for index in range(2, 12):
                viewer.subscriber.offer(frame(index, size=400), announcement)
            tight = BackpressureProfile(
                bounds={**DEFAULT_CLASS_BOUNDS, HIGH: ClassBounds(1024, 1.0)}, emergency_mode=False
            )
            viewer.subscriber.apply_profiles(
                ProfileSet(1, overrides={GROUP: GroupProfile(backpressure=tight)})
            )
            await viewer.catch_up()
            assert viewer.gaps == [(100, 500, "quota")]
            assert viewer.firsts == [0, 50, 500, 550]

    @virtual_time
    async def test_new_settings_govern_groups_that_come_later(self) -> None:
        async with connected() as viewer:
            viewer.subscriber.apply_profiles(governed(max_buffer_size=50))
            viewer.subscriber.offer(frame(0), announce())
            assert _utilization(viewer, GROUP) == 2 / 50
            viewer.subscriber.tell("{}")
            assert _utilization(viewer, CONTROL_GROUP) == 1 / 50

    @virtual_time
    async def test_the_connection_belongs_to_the_default_profile(self) -> None:
        connection = ConnectionProfile(max_window_bytes=8192, max_total_bytes=64 * 1024, stall_s=4.0)
        profiles = ProfileSet(default=GroupProfile(connection=connection))
        async with connected(profiles) as viewer:
            assert viewer.subscriber.window.max_bytes == 8192
            await stuck(viewer, announce())
            for index in range(2, 22):
                viewer.subscriber.offer(frame(index, size=5000), announce())
            assert 0 < viewer.subscriber.handler.get_metrics().buffer_bytes <= 64 * 1024
            await asyncio.sleep(4.5)
            assert [code for code, _ in viewer.cuts] == [CloseCode.SLOW]

    @virtual_time
    async def test_new_settings_govern_a_connection_that_is_open(self) -> None:
        connection = ConnectionProfile(max_window_bytes=8192, max_total_bytes=64 * 1024, stall_s=4.0)
        async with connected() as viewer:
            await stuck(viewer, announce())
            viewer.subscriber.apply_profiles(
                ProfileSet(version=2, default=GroupProfile(connection=connection))
            )
            assert viewer.subscriber.window.max_bytes == 8192
            for index in range(2, 22):
                viewer.subscriber.offer(frame(index, size=5000), announce())
            assert 0 < viewer.subscriber.handler.get_metrics().buffer_bytes <= 64 * 1024
            await asyncio.sleep(4.5)
            assert [code for code, _ in viewer.cuts] == [CloseCode.SLOW]

    @virtual_time
    async def test_new_settings_govern_the_retries_of_a_connection_that_is_open(self) -> None:
        backpressure = BackpressureProfile(max_retries=7)
        async with connected() as viewer:
            viewer.subscriber.apply_profiles(
                ProfileSet(version=2, default=GroupProfile(backpressure=backpressure))
            )
            assert viewer.subscriber.handler.config.MAX_RETRIES == 7


def _utilization(viewer: Viewer, group: str) -> float:
    state = viewer.subscriber.handler.group_state(group)
    assert state is not None
    return state.utilization


class TestConnection:
    @virtual_time
    async def test_a_viewer_that_never_acks_is_cut(self) -> None:
        async with connected() as viewer:
            await stuck(viewer, announce())
            await asyncio.sleep(9)
            assert viewer.cuts == []
            await asyncio.sleep(3)
            assert [code for code, _ in viewer.cuts] == [CloseCode.SLOW]

    @virtual_time
    async def test_an_idle_viewer_is_asked_for_an_ack(self) -> None:
        async with connected() as viewer:
            viewer.subscriber.tell(messages.denied("s"))
            await viewer.catch_up()
            await asyncio.sleep(4)
            assert [sorted(message) for message in viewer.messages("time")] == [["server_ms", "type"]]

    @virtual_time
    async def test_control_is_never_dropped_and_the_latest_of_a_key_is_kept(self) -> None:
        async with connected() as viewer:
            await stuck(viewer, announce())
            for n in range(50):
                viewer.subscriber.tell(messages.denied(f"s{n}"), key="same")
                viewer.subscriber.tell(messages.denied("s"), priority=LOW, key="low")
            await viewer.catch_up()
            assert [message["stream"] for message in viewer.messages("denied")] == ["s49", "s"]

    @virtual_time
    async def test_its_own_stats_are_the_latest(self) -> None:
        async with connected() as viewer:
            announcement = announce()
            await stuck(viewer, announcement)
            viewer.subscriber.report()
            viewer.subscriber.offer(frame(2), announcement)
            viewer.subscriber.report()
            await viewer.catch_up()
            (stats,) = viewer.messages("stats")
            assert stats["queued"]["high"] == 1
            assert stats["rendition"] == "lossless"
            assert stats["rtt_ms"] is None
            viewer.subscriber.report()
            await viewer.catch_up()
            assert viewer.messages("stats")[-1]["rtt_ms"] is not None

    @virtual_time
    async def test_stats_say_why_less_was_sent_also_when_that_is_decided(self) -> None:
        async with connected() as viewer:
            announcement = announce()
            viewer.subscriber.wants = (
                Want("a", tuple(1000.0 / place for place in range(1, len(LADDER) + 1))),
            )
            viewer.subscriber.choose()
            await stuck(viewer, announcement)
            viewer.subscriber.offer(frame(2), announcement)
            await asyncio.sleep(0.9)
            assert viewer.subscriber.choose()  # less
            viewer.subscriber.report()
            await viewer.catch_up()
            assert viewer.messages("stats")[-1]["reason"] == "queueing"
            assert not viewer.subscriber.choose()
            viewer.subscriber.report()
            await viewer.catch_up()
            assert [stats["reason"] for stats in viewer.messages("stats")] == ["queueing"] * 2

    @virtual_time
    async def test_new_streams_alone_are_no_reason(self) -> None:
        async with connected() as viewer:
            viewer.subscriber.wants = (Want("a", (1.0,) * len(LADDER)),)
            viewer.subscriber.choose()
            viewer.subscriber.report()
            await viewer.catch_up()
            assert viewer.messages("stats")[-1]["reason"] == "steady"

    @virtual_time
    async def test_a_reading_says_what_it_is_sent_and_needs_and_when_it_was_heard(self) -> None:
        async with connected() as viewer:
            needs = tuple(1000.0 / place for place in range(1, len(LADDER) + 1))
            viewer.subscriber.wants = (Want("a", needs),)
            viewer.subscriber.choose()
            assert viewer.subscriber.reading().unheard_s is None
            viewer.subscriber.offer(frame(0), announce())
            await viewer.catch_up()
            await asyncio.sleep(0.5)
            viewer.subscriber.acked(Ack(len(viewer.socket.sent), 7.5, 2))
            await asyncio.sleep(0.25)
            reading = viewer.subscriber.reading()
            assert (reading.sent_as, reading.need) == ({"a": LADDER[0]}, 1000.0)
            assert reading.unheard_s == pytest.approx(0.25)
            assert (reading.decoded_ms, reading.backlog) == (7.5, 2)
            assert reading.stats == viewer.subscriber.stats()
            assert not any((reading.is_paused, reading.is_under_pressure, reading.is_in_emergency))
            assert reading.lost_s is None

    @virtual_time
    async def test_who_fares_worse_is_in_more_trouble(self) -> None:
        async with connected() as viewer:
            announcement = announce()
            assert viewer.subscriber.trouble_s() == 0
            await stuck(viewer, announcement)
            await asyncio.sleep(0.5)
            waits = viewer.subscriber.trouble_s()
            assert waits >= 0.5
            viewer.subscriber.offer(frame(2), announcement)
            await asyncio.sleep(0.5)
            also_queues = viewer.subscriber.trouble_s()
            assert also_queues == pytest.approx(waits + 2 * 0.5)
            await asyncio.sleep(1.0)  # what queued expires
            assert viewer.subscriber.reading().lost_s == pytest.approx(0.5, abs=0.1)
            lost = viewer.subscriber.trouble_s()
            await asyncio.sleep(7.0)
            assert viewer.subscriber.trouble_s() > lost + 6.0

    @virtual_time
    async def test_stats_that_say_nothing_new_come_less_often(self) -> None:
        async with connected() as viewer:
            for _ in range(1 + QUIET_REPORTS):
                viewer.subscriber.report()
                await viewer.catch_up()
            assert len(viewer.messages("stats")) == 2

    @virtual_time
    async def test_a_layer_that_is_away_is_news(self) -> None:
        async with connected() as viewer:
            for away in (False, True, True, False):
                viewer.subscriber.layer_is_away = away
                viewer.subscriber.report()
                await viewer.catch_up()
            assert [stats["layer"] for stats in viewer.messages("stats")] == ["ok", "away", "ok"]

    @virtual_time
    async def test_nothing_is_sent_after_the_end(self) -> None:
        async with connected() as viewer:
            await viewer.subscriber.aclose()
            viewer.subscriber.offer(frame(0), announce())
            viewer.subscriber.tell("{}")
            await turns()
            assert viewer.socket.sent == []


class TestTally:
    @virtual_time
    async def test_what_was_sent_and_dropped_is_counted_for_the_group(self) -> None:
        async with connected() as viewer:
            announcement = announce()
            tally = announcement.tally
            await stuck(viewer, announcement)
            for index in range(2, 6):
                viewer.subscriber.offer(frame(index), announcement)
            viewer.subscriber.offer(event('{"type":"vitals"}'), announcement)
            await asyncio.sleep(0.5)
            viewer.subscriber.offer(event('{"type":"vitals"}'), announcement)
            await asyncio.sleep(1.0)
            await viewer.catch_up()
            assert tally.offered == 8
            assert tally.by_reason[DropReason.EXPIRED] == 4
            assert tally.by_reason[DropReason.COALESCED] == 1  # a value; GAPs that joined another are no loss
            assert tally.dropped == 4
            assert tally.gaps == 1
            assert tally.sent == 2 + 1  # two frames, the newest value
            assert tally.offered == tally.sent + sum(tally.by_reason.values())

    @virtual_time
    async def test_what_belongs_to_the_connection_counts_for_no_group(self) -> None:
        async with connected() as viewer:
            announcement = announce(stream_info("stream"))
            viewer.subscriber.offer(frame(0, info=announcement.info), announcement)
            viewer.subscriber.tell("{}", key="roster")
            await viewer.catch_up()
            assert announcement.tally.sent == 1


Step = Callable[[Viewer, list[Announcement], random.Random], None]


def _offer(viewer: Viewer, announcements: list[Announcement], rng: random.Random) -> None:
    announcement = rng.choice(announcements)
    alias, info = announcement.alias, announcement.info
    viewer.subscriber.offer(
        frame(rng.randrange(40), size=rng.choice((60, 700)), alias=alias, info=info), announcement
    )


def _offer_late(viewer: Viewer, announcements: list[Announcement], rng: random.Random) -> None:
    viewer.subscriber.offer(frame(rng.randrange(40), late=True), announcements[0])


def _tell(viewer: Viewer, announcements: list[Announcement], rng: random.Random) -> None:
    viewer.subscriber.tell(messages.denied("s"), priority=rng.choice(list(MessagePriority)), key="k")


def _gap(viewer: Viewer, announcements: list[Announcement], rng: random.Random) -> None:
    first = FRAME * rng.randrange(40)
    gap = gap_item(Span("a", 1, first, first + FRAME), GapReason.SOURCE, now())
    viewer.subscriber.offer(gap, announcements[0])


def _forget(viewer: Viewer, announcements: list[Announcement], rng: random.Random) -> None:
    viewer.subscriber.forget(rng.choice(announcements).info.group)


def _ack(viewer: Viewer, announcements: list[Announcement], rng: random.Random) -> None:
    viewer.ack()


@settings(max_examples=40)
@given(
    st.lists(
        st.sampled_from((_offer, _offer, _offer, _offer_late, _tell, _gap, _forget, _ack)), max_size=120
    ),
    st.randoms(use_true_random=False),
)
def test_every_message_is_accounted_for(steps: list[Step], rng: random.Random) -> None:
    """offered = acked + in flight + queued + coalesced + expired + dropped + abandoned, at every moment."""

    @virtual_time
    async def run() -> None:
        async with connected(governed(max_buffer_size=20)) as viewer:
            announcements = [announce(), announce(stream_info("b"), 1)]
            for step in steps:
                step(viewer, announcements, rng)
                assert accounted(viewer.subscriber.handler.get_metrics())
                await asyncio.sleep(rng.choice((0, 0, 0.05, 0.4)))
            await viewer.subscriber.aclose()
            metrics = viewer.subscriber.handler.get_metrics()
            assert accounted(metrics)
            assert metrics.buffer_size == metrics.in_flight_messages == 0
            assert all(placed.announced["alias"] == placed.frame.alias for placed in viewer.frames)

    run()
