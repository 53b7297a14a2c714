"""Who watches which stream, what each viewer is told of it, and that its bytes are made once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from channels.layers import InMemoryChannelLayer

from streaming import aliases as aliases_module
from streaming import channel as channel_module
from streaming.core import frames
from streaming.core.bundle import MESSAGE_TYPE, Bundle, Gap, WaveFrame
from streaming.core.frames import FrameKind
from streaming.core.items import Item
from streaming.core.ladder import CHOOSE_S, Decision, Reason
from streaming.core.messages import GapReason
from streaming.core.profiles import BackpressureProfile, GroupProfile, ProfileSet
from streaming.core.renditions import LADDER
from streaming.core.streams import group_of
from streaming.ecg import codec
from streaming.exceptions import CloseCode
from streaming.fanout import TICK_S
from streaming.hub import LINGER_S, REPORT_EVERY_S, Hub
from tests.fakes import virtual_time
from tests.viewers import Viewer, frames_of, hole_in, stream_info, turns, vitals_of, wave

INFO = stream_info()
GROUP = group_of("a")
SOURCE = GapReason.SOURCE


class RecordingLayer(InMemoryChannelLayer):
    """An in-memory layer that remembers what was asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, str]] = []
        self.before_discard: Callable[[], Coroutine[Any, Any, None]] = turns

    async def group_add(self, group: str, channel: str) -> None:
        self.asked.append(("add", group))
        await super().group_add(group, channel)

    async def group_discard(self, group: str, channel: str) -> None:
        await self.before_discard()
        self.asked.append(("discard", group))
        await super().group_discard(group, channel)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        self.asked.append(("send", group))
        await super().group_send(group, message)


class Place:
    """A layer, the hubs that share it, and the viewers of each; all end with the test."""

    def __init__(self) -> None:
        self.layer = RecordingLayer()
        self.hubs: list[Hub] = []
        self.viewers: list[Viewer] = []

    async def hub(self, name: str = "here", **options: Any) -> Hub:
        options.setdefault("tick_s", 0.0)
        hub = Hub(self.layer, process_id=name, clock=asyncio.get_running_loop().time, **options)
        await hub.start()
        self.hubs.append(hub)
        return hub

    def viewer(self, hub: Hub, profiles: ProfileSet | None = None) -> Viewer:
        """Connected, watching nothing yet."""
        viewer = Viewer(profiles)
        self.viewers.append(viewer)
        hub.add(viewer.subscriber)
        return viewer

    async def watching(self, hub: Hub, *streams: str) -> Viewer:
        viewer = self.viewer(hub)
        for stream in streams or ("a",):
            await hub.watch(viewer.subscriber, stream)
        return viewer

    async def go(self, hub: Hub, viewer: Viewer) -> None:
        """The viewer's connection ends."""
        hub.remove(viewer.subscriber)
        await viewer.subscriber.aclose()


@asynccontextmanager
async def place() -> AsyncIterator[Place]:
    made = Place()
    try:
        yield made
    finally:
        for viewer in made.viewers:
            await viewer.subscriber.aclose()
        for hub in made.hubs:
            await hub.aclose()


def aliases(viewer: Viewer) -> list[int]:
    return [message["alias"] for message in viewer.messages("stream")]


class TestLayer:
    @virtual_time
    async def test_one_subscription_per_group_however_many_viewers(self) -> None:
        async with place() as at:
            hub = await at.hub()
            for _ in range(3):
                await at.watching(hub)
            assert at.layer.asked == [("add", GROUP)]
            assert len(at.layer.groups[GROUP]) == 1

    @virtual_time
    async def test_viewers_of_the_publishing_process_need_no_layer(self) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer = await at.watching(hub)
            hub.publish(frames_of(INFO, 0))
            assert not [verb for verb, _ in at.layer.asked if verb == "send"]
            assert (
                viewer.subscriber.handler.get_metrics().buffer_size == 2
            )  # the stream message and the frame

    @virtual_time
    async def test_the_copy_that_the_layer_brings_back_is_dropped(self) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer = await at.watching(hub)
            hub.publish(frames_of(INFO, 0))
            await viewer.catch_up()
            assert ("send", GROUP) in at.layer.asked
            assert viewer.firsts == [0]

    @virtual_time
    async def test_viewers_of_another_process_get_the_same(self) -> None:
        async with place() as at:
            here, there = await at.hub("here"), await at.hub("there")
            viewer = await at.watching(there)
            here.publish(Bundle(INFO, (wave(2),), (Gap(0, 100, SOURCE),)))
            here.publish(vitals_of(INFO, 72))
            await viewer.catch_up()
            assert viewer.gaps == [(0, 100, "source")]
            assert viewer.firsts == [100]
            assert viewer.messages("vitals")[0]["hr"] == 72

    @virtual_time
    async def test_notices_of_other_processes_are_handed_on(self) -> None:
        async with place() as at:
            heard: list[dict[str, Any]] = []
            here = await at.hub("here", on_notice=heard.append)
            there = await at.hub("there")
            await here.link.join("g")
            there.link.publish("g", {"type": "vital.access", "origin": "there"})
            here.link.publish("g", {"type": "vital.access", "origin": "here"})
            await turns()
            assert heard == [{"type": "vital.access", "origin": "there"}]

    @virtual_time
    async def test_a_notice_that_nobody_waits_for_is_passed_over(self) -> None:
        async with place() as at:
            here, there = await at.hub("here"), await at.hub("there")
            viewer = await at.watching(here)
            there.link.publish(GROUP, {"type": "vital.access", "origin": "there"})
            there.publish(frames_of(INFO, 0))
            await viewer.catch_up()
            assert viewer.firsts == [0]

    @virtual_time
    async def test_a_bundle_of_another_version_is_skipped_and_said_once(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING)
        async with place() as at:
            here, there = await at.hub("here"), await at.hub("there")
            viewer = await at.watching(here)
            newer = frames_of(INFO, 0).to_message("there")
            newer["info"] = newer["info"] | {"unheard_of": 1}
            for message in (newer, newer, {"type": MESSAGE_TYPE, "origin": "there"}):
                there.link.publish(GROUP, message)
            there.publish(frames_of(INFO, 1))
            await viewer.catch_up()
            assert viewer.firsts == [50]
            assert len([record for record in caplog.records if "there" in record.getMessage()]) == 1

    @virtual_time
    async def test_a_stream_that_nobody_here_watches_costs_nothing(self) -> None:
        async with place() as at:
            hub = await at.hub()
            hub.publish(frames_of(INFO, 0))
            assert hub.tallies() == {}
            assert hub.viewers_by_group() == {}


class TestEnd:
    @virtual_time
    async def test_a_hub_that_was_never_started_can_be_closed(self) -> None:
        await Hub(RecordingLayer(), process_id="here").aclose()

    @virtual_time
    async def test_closing_gives_the_memberships_back(self) -> None:
        async with place() as at:
            hub = await at.hub()
            await at.go(hub, await at.watching(hub))
        assert at.layer.groups == {}


class TestFanOut:
    @virtual_time
    async def test_every_viewer_is_offered_the_same_item(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made = 0

        def counting(*args: Any) -> bytes:
            nonlocal made
            made += 1
            return frames.encode_frame(*args)

        monkeypatch.setattr(channel_module, "encode_frame", counting)
        async with place() as at:
            hub = await at.hub()
            viewers = [await at.watching(hub) for _ in range(3)]
            offered: list[Item] = []
            for viewer in viewers:
                monkeypatch.setattr(
                    viewer.subscriber, "offer", lambda item, _announcement: offered.append(item)
                )
            hub.publish(frames_of(INFO, 0))
            assert made == 1
            assert len(offered) == 3
            assert offered[0] is offered[1] is offered[2]

    @virtual_time
    async def test_a_stream_message_comes_before_the_first_frame_under_its_alias(self) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer = await at.watching(hub)
            hub.publish(frames_of(INFO, 0, 1))
            hub.publish(frames_of(INFO, 2))
            await viewer.catch_up()
            assert [type(part) is dict for part in viewer.received] == [True, False, False, False]
            (announced,) = viewer.messages("stream")
            assert announced["stream"] == "a"
            assert announced["epoch"] == 1
            assert viewer.firsts == [0, 50, 100]

    @virtual_time
    async def test_a_watcher_of_two_streams_has_two_aliases(self) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer = await at.watching(hub, "a", "b")
            hub.publish(frames_of(INFO, 0))
            hub.publish(frames_of(stream_info("b", epoch=7), 3))
            await viewer.catch_up()
            told = {placed.announced["stream"]: placed.frame.first for placed in viewer.frames}
            assert told == {"a": 0, "b": 150}

    @virtual_time
    async def test_late_samples_travel_as_backfill_behind_live_ones_and_make_no_gap(self) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer = await at.watching(hub)
            hub.publish(frames_of(INFO, 5))
            hub.publish(Bundle(INFO, (wave(2, FrameKind.BACKFILL),)))
            hub.publish(frames_of(INFO, 6))
            await viewer.catch_up()
            assert viewer.firsts == [250, 300, 100]
            assert viewer.frames[-1].frame.kind is FrameKind.BACKFILL
            assert viewer.gaps == []

    @virtual_time
    async def test_a_newer_value_replaces_one_that_still_waits(self) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer = await at.watching(hub)
            for hr in (60, 70, 80):
                hub.publish(vitals_of(INFO, hr))
            await viewer.catch_up()
            assert [message["hr"] for message in viewer.messages("vitals")] == [80]

    @virtual_time
    async def test_a_viewer_reports_how_it_fares(self) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer = await at.watching(hub)
            await asyncio.sleep(REPORT_EVERY_S + 0.1)
            await viewer.catch_up()
            assert len(viewer.messages("stats")) == 1

    @virtual_time
    async def test_a_bundle_of_which_nothing_can_be_read_sends_nothing(self) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer = await at.watching(hub)
            hub.publish(frames_of(INFO, 0))
            await viewer.catch_up()
            seen = len(viewer.socket.sent)
            hub.publish(Bundle(INFO))  # as from a newer version, whose news have another name
            await viewer.catch_up()
            assert len(viewer.socket.sent) == seen


class TestHoles:
    @virtual_time
    async def test_a_lost_bundle_becomes_a_gap(self) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer = await at.watching(hub)
            hub.publish(frames_of(INFO, 0))
            hub.publish(frames_of(INFO, 3))
            await viewer.catch_up()
            assert viewer.gaps == [(50, 150, "dropped")]

    @virtual_time
    async def test_a_hole_that_the_source_explained_is_not_reported_again(self) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer = await at.watching(hub)
            hub.publish(frames_of(INFO, 0))
            hub.publish(hole_in(INFO, Gap(50, 150, SOURCE)))
            hub.publish(frames_of(INFO, 3))
            await viewer.catch_up()
            assert viewer.gaps == [(50, 150, "source")]

    @virtual_time
    async def test_a_bundle_lost_before_a_gap_of_the_source_is_reported_as_well(self) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer = await at.watching(hub)
            hub.publish(frames_of(INFO, 0))
            hub.publish(hole_in(INFO, Gap(100, 150, SOURCE)))
            hub.publish(frames_of(INFO, 3))
            await viewer.catch_up()
            assert sorted(viewer.gaps) == [(50, 100, "dropped"), (100, 150, "source")]

    @virtual_time
    async def test_what_an_ingest_that_began_anew_sends_again_is_passed_over(self) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer = await at.watching(hub)
            samples = np.arange(500, dtype=np.int16)[None]
            payload = codec.WaveformEncoder().encode(samples[:, 120:200])
            hub.publish(frames_of(INFO, 0, 1, 2))
            hub.publish(hole_in(INFO, Gap(20, 40, SOURCE)))
            hub.publish(frames_of(INFO, 1, 2))
            hub.publish(Bundle(INFO, frames=(WaveFrame(FrameKind.WAVEFORM, 120, 80, payload),)))
            hub.publish(hole_in(INFO, Gap(180, 250, SOURCE)))
            hub.publish(frames_of(INFO, 5))
            await viewer.catch_up()
            assert viewer.firsts == [0, 50, 100, 150, 250]
            assert codec.decode(viewer.frames[3].frame.payload).tolist() == samples[:, 150:200].tolist()
            assert viewer.gaps == [(200, 250, "source")]

    @virtual_time
    async def test_a_late_joiner_gets_no_gap_for_what_went_before(self) -> None:
        async with place() as at:
            hub = await at.hub()
            first = await at.watching(hub)
            hub.publish(frames_of(INFO, 0, 1))
            late = await at.watching(hub)
            hub.publish(frames_of(INFO, 2))
            await first.catch_up()
            await late.catch_up()
            assert late.firsts == [100]
            assert late.gaps == first.gaps == []

    @virtual_time
    async def test_whoever_finds_an_empty_room_gets_no_gap_for_the_time_when_nobody_watched(self) -> None:
        async with place() as at:
            hub = await at.hub()
            first = await at.watching(hub)
            hub.publish(frames_of(INFO, 0))
            await first.catch_up()
            await at.go(hub, first)
            hub.publish(frames_of(INFO, 1))
            second = await at.watching(hub)
            hub.publish(frames_of(INFO, 2))
            await second.catch_up()
            assert second.firsts == [100]
            assert second.gaps == []

    @virtual_time
    async def test_whoever_stops_watching_and_comes_back_begins_anew(self) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer, other = await at.watching(hub), await at.watching(hub)
            hub.publish(frames_of(INFO, 0))
            await viewer.catch_up()
            hub.unwatch(viewer.subscriber, "a")
            hub.publish(frames_of(INFO, 1, 2))
            await hub.watch(viewer.subscriber, "a")
            hub.publish(frames_of(INFO, 3))
            await viewer.catch_up()
            await other.catch_up()
            assert viewer.firsts == [0, 150]
            assert viewer.gaps == other.gaps == []


class TestEpochs:
    @virtual_time
    async def test_an_older_epoch_beside_the_present_one_is_ignored_and_said_once(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer = await at.watching(hub)
            older, newer = stream_info(epoch=1), stream_info(epoch=2)
            for index in range(3):
                hub.publish(frames_of(older, index))
                hub.publish(frames_of(newer, index))
            await viewer.catch_up()
            assert [(p.epoch, p.frame.first) for p in viewer.frames] == [(1, 0), (2, 0), (2, 50), (2, 100)]
            assert viewer.gaps == []
            assert len(aliases(viewer)) == 2
            assert [record.message for record in caplog.records] == [
                "epoch 1 of stream a comes beside a newer one, ignored"
            ]

    @virtual_time
    async def test_a_new_epoch_takes_a_new_alias_and_leaves_no_gap(self) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer = await at.watching(hub)
            hub.publish(frames_of(INFO, 4))
            hub.publish(frames_of(replace(INFO, epoch=2), 9))
            await viewer.catch_up()
            assert [placed.epoch for placed in viewer.frames] == [1, 2]
            assert len(set(aliases(viewer))) == 2
            assert viewer.gaps == []

    @virtual_time
    async def test_new_facts_about_an_epoch_take_a_new_alias_and_continue_it(self) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer = await at.watching(hub)
            hub.publish(frames_of(INFO, 4))
            hub.publish(frames_of(replace(INFO, ward="other"), 9))
            await viewer.catch_up()
            assert len(set(aliases(viewer))) == 2
            assert viewer.gaps == [(250, 450, "dropped")]

    @virtual_time
    async def test_an_alias_is_free_again_only_when_no_connection_holds_it(self) -> None:
        async with place() as at:
            hub = await at.hub()
            first, second = await at.watching(hub), await at.watching(hub)
            for epoch in (1, 2):
                hub.publish(frames_of(replace(INFO, epoch=epoch), 0))
            await at.go(hub, first)
            hub.publish(frames_of(replace(INFO, epoch=3), 0))
            await second.catch_up()
            assert aliases(second) == [0, 1, 2]
            await at.go(hub, second)
            third = await at.watching(hub)
            for epoch in (4, 5):
                hub.publish(frames_of(replace(INFO, epoch=epoch), 0))
            await third.catch_up()
            assert aliases(third) == [0, 1]

    @virtual_time
    async def test_an_alias_that_nobody_was_told_of_is_free_at_once(self) -> None:
        async with place() as at:
            hub = await at.hub(tick_s=TICK_S)
            gone = await at.watching(hub)
            hub.publish(frames_of(INFO, 0))
            await at.go(hub, gone)  # before the tick
            viewer = await at.watching(hub, "a", "b")
            hub.publish(frames_of(replace(INFO, epoch=2), 0))
            hub.publish(frames_of(stream_info("b"), 0))
            await asyncio.sleep(2 * TICK_S)
            await viewer.catch_up()
            assert aliases(viewer) == [0, 1]

    @virtual_time
    async def test_frames_that_wait_for_the_tick_keep_their_epoch(self) -> None:
        async with place() as at:
            hub = await at.hub(tick_s=TICK_S)
            viewer = await at.watching(hub)
            hub.publish(frames_of(replace(INFO, epoch=1), 0))
            hub.publish(frames_of(replace(INFO, epoch=2), 0))
            await asyncio.sleep(2 * TICK_S)
            await viewer.catch_up()
            assert [placed.epoch for placed in viewer.frames] == [1, 2]

    @virtual_time
    async def test_an_alias_under_which_frames_wait_is_not_free_when_its_holder_leaves(self) -> None:
        async with place() as at:
            hub = await at.hub(tick_s=TICK_S)
            first = await at.watching(hub)
            hub.publish(frames_of(replace(INFO, epoch=1), 0))
            await asyncio.sleep(2 * TICK_S)
            second = await at.watching(hub, "a", "b")
            hub.publish(frames_of(replace(INFO, epoch=1), 1))
            hub.publish(frames_of(replace(INFO, epoch=2), 0))
            await at.go(hub, first)
            hub.publish(frames_of(stream_info("b"), 7))
            await asyncio.sleep(2 * TICK_S)
            await second.catch_up()
            came = [(p.announced["stream"], p.epoch, p.frame.first) for p in second.frames]
            assert came == [("a", 1, 50), ("a", 2, 0), ("b", 1, 350)]

    @virtual_time
    async def test_when_all_aliases_are_held_the_oldest_holders_have_to_come_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(aliases_module, "MAX_ALIASES", 1)
        async with place() as at:
            hub = await at.hub()
            early = await at.watching(hub)
            hub.publish(frames_of(replace(INFO, epoch=1), 0))
            late = await at.watching(hub)
            hub.publish(frames_of(replace(INFO, epoch=2), 0))
            await late.catch_up()
            hub.publish(frames_of(replace(INFO, epoch=3), 0))
            assert early.cuts == [(CloseCode.GOING_AWAY, "aliases are used up, reconnect")]
            assert late.cuts == []
            await late.catch_up()
            assert [placed.epoch for placed in late.frames] == [2, 3]
            assert aliases(late) == [1, 0]

    @virtual_time
    async def test_a_viewer_cut_for_its_alias_is_sent_nothing_under_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(aliases_module, "MAX_ALIASES", 0)
        async with place() as at:
            hub = await at.hub()
            viewer = await at.watching(hub)
            hub.publish(frames_of(replace(INFO, epoch=1), 0))
            await viewer.catch_up()
            hub.publish(frames_of(replace(INFO, epoch=2), 3))
            assert [code for code, _ in viewer.cuts] == [CloseCode.GOING_AWAY]
            await viewer.catch_up()
            assert [(placed.epoch, placed.frame.first) for placed in viewer.frames] == [(1, 0)]

    @virtual_time
    @pytest.mark.parametrize("at_once", [True, False])
    async def test_whoever_is_cut_for_an_alias_amid_a_choice_is_cut_for_nothing_else(
        self, at_once: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(aliases_module, "MAX_ALIASES", 1)
        async with place() as at:
            hub = await at.hub()
            viewers = [await at.watching(hub) for _ in range(3)]
            for epoch in (1, 2):
                hub.publish(frames_of(replace(INFO, epoch=epoch), 0))
                for viewer in viewers:
                    await viewer.catch_up()
            decision = Decision({"a": LADDER[5]}, Reason.STREAMS, 0.0)
            for viewer in viewers:
                monkeypatch.setattr(viewer.subscriber, "choose", lambda: True)
                monkeypatch.setattr(viewer.subscriber, "_decision", decision)
                if at_once:
                    hub.focus(viewer.subscriber, "a")
            await asyncio.sleep(2 * CHOOSE_S)
            assert [[code for code, _ in viewer.cuts] for viewer in viewers] == [[CloseCode.GOING_AWAY]] * 3
            assert hub.viewers_by_group() == {GROUP: set()}


class TestLinger:
    @virtual_time
    async def test_a_group_is_left_90_s_after_its_last_viewer(self) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer = await at.watching(hub)
            await at.go(hub, viewer)
            await asyncio.sleep(LINGER_S - REPORT_EVERY_S)
            assert list(hub.viewers_by_group()) == [GROUP]
            await asyncio.sleep(3 * REPORT_EVERY_S)
            assert hub.viewers_by_group() == {}
            assert at.layer.asked == [("add", GROUP), ("discard", GROUP)]

    @virtual_time
    async def test_a_page_that_reloads_joins_nothing_anew(self) -> None:
        async with place() as at:
            hub = await at.hub()
            await at.go(hub, await at.watching(hub))
            await asyncio.sleep(60)
            viewer = await at.watching(hub)
            await asyncio.sleep(60)
            assert at.layer.asked == [("add", GROUP)]
            await at.go(hub, viewer)

    @virtual_time
    async def test_leaving_a_group_gives_its_alias_back(self) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer = await at.watching(hub, "a", "b")
            hub.publish(frames_of(INFO, 0))
            await at.go(hub, viewer)
            await asyncio.sleep(LINGER_S + 2 * REPORT_EVERY_S)
            later = await at.watching(hub, "c", "d")
            hub.publish(frames_of(stream_info("c"), 0))
            hub.publish(frames_of(stream_info("d"), 0))
            await later.catch_up()
            assert sorted(aliases(later)) == [0, 1]

    @virtual_time
    async def test_who_comes_while_another_group_is_being_left_is_served(self) -> None:
        """The layer may take its time over a `leave`; a membership that is wanted again meanwhile is kept."""
        async with place() as at:
            hub = await at.hub()
            await at.go(hub, await at.watching(hub, "a", "b"))
            entering: list[asyncio.Task[Viewer]] = []

            async def enter_b() -> None:
                if not entering:
                    entering.append(asyncio.create_task(at.watching(hub, "b")))
                    await turns()

            at.layer.before_discard = enter_b
            await asyncio.sleep(LINGER_S + 2 * REPORT_EVERY_S)
            viewer = await entering[0]
            assert set(at.layer.groups) == {group_of("b")}
            hub.publish(frames_of(stream_info("b"), 0))
            await viewer.catch_up()
            assert viewer.firsts == [0]

    @virtual_time
    async def test_leaving_twice_does_not_prolong_the_linger(self) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer = await at.watching(hub)
            hub.unwatch(viewer.subscriber, "a")
            await asyncio.sleep(LINGER_S - 10)
            hub.unwatch(viewer.subscriber, "a")
            await asyncio.sleep(15)
            assert hub.viewers_by_group() == {}
            hub.unwatch(viewer.subscriber, "a")

    @virtual_time
    async def test_a_fault_in_one_report_does_not_end_the_housekeeping(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer = await at.watching(hub)
            faults = [KeyError("ours")]

            def report() -> None:
                if faults:
                    raise faults.pop()

            monkeypatch.setattr(viewer.subscriber, "report", report)
            hub.unwatch(viewer.subscriber, "a")
            await asyncio.sleep(LINGER_S + 2 * REPORT_EVERY_S)
            assert "reporting to a viewer failed" in caplog.text
            assert hub.viewers_by_group() == {}


class TestFaults:
    """A fault of ours is one stream's or one viewer's."""

    @virtual_time
    async def test_a_stream_that_cannot_be_delivered_leaves_its_device_and_other_processes_alone(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with place() as at:
            here, there = await at.hub(), await at.hub("there")
            await at.watching(here)
            elsewhere = await at.watching(there)
            monkeypatch.setattr(here._rooms["a"], "deliver", _fail)
            here.publish(frames_of(INFO, 0))
            await elsewhere.catch_up()
            assert elsewhere.firsts == [0]
            assert "delivering stream a failed" in caplog.text

    @virtual_time
    async def test_a_stream_that_cannot_be_tended_keeps_no_viewer_from_its_choice(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer = await at.watching(hub)
            chosen: list[bool] = []
            monkeypatch.setattr(hub._rooms["a"], "tend", _fail)
            monkeypatch.setattr(viewer.subscriber, "choose", lambda: chosen.append(True))
            await asyncio.sleep(3 * CHOOSE_S)
            assert chosen

    @virtual_time
    @pytest.mark.parametrize("act", ["choose", "report", "take"])
    async def test_a_viewer_that_fails_has_to_come_again_and_the_others_go_on(
        self, act: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with place() as at:
            hub = await at.hub()
            viewers = [await at.watching(hub) for _ in range(3)]
            for _ in range(2):
                hub.publish(frames_of(INFO, 0))
                await turns()
            went: list[int] = []
            for number in (0, 2):
                real = getattr(viewers[number].subscriber, act)

                def acting(*args: Any, number: int = number, real: Callable[..., Any] = real) -> Any:
                    went.append(number)
                    return real(*args)

                monkeypatch.setattr(viewers[number].subscriber, act, acting)
            monkeypatch.setattr(viewers[1].subscriber, act, _fail)
            hub.publish(frames_of(INFO, 1))
            await asyncio.sleep(REPORT_EVERY_S + CHOOSE_S)
            assert {0, 2} <= set(went)
            assert [bool(viewer.cuts) for viewer in viewers] == [False, True, False]
            assert viewers[1].cuts[0][0] is CloseCode.INTERNAL

    @virtual_time
    async def test_whoever_has_just_left_a_stream_is_chosen_for_as_it_is_now(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer = await at.watching(hub, "a", "b")
            hub.publish(frames_of(INFO, 0))
            hub.publish(frames_of(stream_info("b"), 0))
            await viewer.catch_up()
            real = viewer.subscriber.choose
            monkeypatch.setattr(viewer.subscriber, "choose", lambda: real() or True)
            hub.unwatch(viewer.subscriber, "a")
            hub._adapt(0.0)
            await turns()
            assert set(viewer.subscriber.renditions) == {"b"}
            assert viewer.cuts == []
            assert caplog.text == ""


def _fail(*_: Any) -> None:
    raise KeyError("ours")


class TestWatching:
    @virtual_time
    async def test_whoever_stopped_watching_gets_nothing_more(self) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer, other = await at.watching(hub), await at.watching(hub)
            hub.publish(frames_of(INFO, 0))
            hub.unwatch(viewer.subscriber, "a")
            hub.publish(frames_of(INFO, 1))
            await viewer.catch_up()
            await other.catch_up()
            assert viewer.received == []
            assert other.firsts == [0, 50]

    @virtual_time
    async def test_a_stream_message_that_never_left_is_said_again(self) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer = await at.watching(hub)
            hub.publish(frames_of(INFO, 0))
            hub.unwatch(viewer.subscriber, "a")
            await hub.watch(viewer.subscriber, "a")
            hub.publish(frames_of(INFO, 1))
            await viewer.catch_up()
            assert viewer.firsts == [50]
            assert len(aliases(viewer)) == 1

    @virtual_time
    async def test_a_stream_message_that_was_sent_is_not_said_again(self) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer = await at.watching(hub)
            hub.publish(frames_of(INFO, 0))
            await viewer.catch_up()
            hub.unwatch(viewer.subscriber, "a")
            await hub.watch(viewer.subscriber, "a")
            hub.publish(frames_of(INFO, 1))
            await viewer.catch_up()
            assert viewer.firsts == [0, 50]
            assert len(aliases(viewer)) == 1

    @virtual_time
    async def test_a_viewer_that_is_gone_is_in_no_room(self) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer = await at.watching(hub, "a", "b")
            assert hub.subscribers() == [viewer.subscriber]
            hub.remove(viewer.subscriber)
            assert hub.subscribers() == []
            assert hub.viewers_by_group() == {group_of("a"): set(), group_of("b"): set()}

    @virtual_time
    async def test_a_viewer_that_goes_between_two_streams_leaves_nothing_to_those_who_come(self) -> None:
        async with place() as at:
            hub = await at.hub()
            leaving = at.viewer(hub)

            async def watch_both() -> None:
                for stream in ("b", "a"):
                    await hub.watch(leaving.subscriber, stream)

            watching = asyncio.create_task(watch_both())
            await asyncio.sleep(0)  # it waits for the layer, which is to bring the first one
            hub.remove(leaving.subscriber)
            await watching
            assert list(hub.viewers_by_group()) == ["ecg.b"]
            viewer = await at.watching(hub)
            assert at.layer.asked[-1] == ("add", GROUP)
            assert hub.viewers_by_group()[GROUP] == {viewer.subscriber}

    @virtual_time
    async def test_new_settings_reach_every_viewer(self) -> None:
        async with place() as at:
            hub = await at.hub()
            viewer = await at.watching(hub)
            hub.publish(frames_of(INFO, 0))
            small = GroupProfile(backpressure=BackpressureProfile(max_buffer_size=20))
            hub.apply_profiles(ProfileSet(7, overrides={GROUP: small}))
            assert hub.profiles.version == 7
            state = viewer.subscriber.handler.group_state(GROUP)
            assert state is not None
            assert state.utilization == 2 / 20
