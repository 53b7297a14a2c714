"""The figures of a group are put together from its viewers, its counters and its codec."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest
from channels.layers import InMemoryChannelLayer

from streaming.adaptive_compression import AdaptiveCompression
from streaming.compression import CompressionHandler
from streaming.core.bundle import Bundle, WaveFrame
from streaming.core.frames import FrameKind
from streaming.core.items import LOST
from streaming.core.network import NetworkCondition
from streaming.core.profiles import BackpressureProfile, CompressionProfile, GroupProfile, ProfileSet
from streaming.core.renditions import Quality
from streaming.core.stats import GroupStats
from streaming.core.streams import group_of
from streaming.ecg.codec import WaveformEncoder
from streaming.group_stats import VIEWERS_AT_ONCE, group_pieces, group_stats
from streaming.hub import Hub
from streaming.recorder import HistoryFigures
from streaming.subscriber import CONTROL_GROUP
from tests.fakes import virtual_time
from tests.viewers import FRAME, Viewer, frames_of, stream_info

INFO = stream_info()
GROUP = group_of("a")


def big(index: int) -> Bundle:
    """A frame that fills a fresh viewer's window by itself, and two more do for certain."""
    return Bundle(INFO, frames=(WaveFrame(FrameKind.WAVEFORM, FRAME * index, FRAME, b"x" * 5000),))


@asynccontextmanager
async def watched(
    viewers: int, profiles: ProfileSet | None = None
) -> AsyncIterator[tuple[Hub, list[Viewer]]]:
    """A hub, and so many viewers of stream a."""
    hub = Hub(
        InMemoryChannelLayer(),
        process_id="here",
        profiles=profiles,
        clock=asyncio.get_running_loop().time,
        tick_s=0.0,
    )
    await hub.start()
    watching = [Viewer(profiles) for _ in range(viewers)]
    for viewer in watching:
        hub.add(viewer.subscriber)
        await hub.watch(viewer.subscriber, "a")
    try:
        yield hub, watching
    finally:
        for viewer in watching:
            await viewer.subscriber.aclose()
        await hub.aclose()


def read(hub: Hub, compression: Mapping[str, CompressionHandler] | None = None) -> dict[str, GroupStats]:
    adaptive = {group: AdaptiveCompression(handler) for group, handler in (compression or {}).items()}
    stats = list(group_stats(hub, adaptive, {}, clock=asyncio.get_running_loop().time))
    assert [each.group for each in stats] == sorted(each.group for each in stats)
    return {each.group: each for each in stats}


@virtual_time
async def test_a_process_at_rest_has_no_groups() -> None:
    async with watched(0) as (hub, _):
        assert read(hub) == {}


@virtual_time
async def test_counters_are_sums_over_the_viewers() -> None:
    async with watched(3) as (hub, viewers):
        hub.publish(frames_of(INFO, 0, 1))
        for viewer in viewers:
            await viewer.catch_up()
        stats = read(hub)[GROUP]
        assert (stats.viewers, stats.sent_messages, stats.dropped_messages, stats.gaps) == (3, 6, 0, 0)
        assert stats.offered_messages == 6
        hub.link.lost_messages = 3
        assert read(hub)[GROUP].detail["lost_messages"] == 3
        assert stats.bytes_sent == 3 * sum(len(part.frame.payload) + 8 for part in viewers[0].frames)
        assert stats.messages_per_second > 0


@virtual_time
async def test_a_group_of_many_viewers_is_read_in_pieces_whoever_leaves_meanwhile() -> None:
    async with watched(2 * VIEWERS_AT_ONCE + 1) as (hub, viewers):
        clock = asyncio.get_running_loop().time
        pieces = group_pieces(hub, {}, {}, clock=clock)
        assert next(pieces) is None
        hub.remove(viewers[0].subscriber)
        assert next(pieces) is None
        last = next(pieces)
        assert last is not None
        assert last.viewers == 2 * VIEWERS_AT_ONCE + 1
        assert list(pieces) == []
        assert read(hub)[GROUP].viewers == 2 * VIEWERS_AT_ONCE


@virtual_time
async def test_what_is_the_process_s_own_is_in_each_group() -> None:
    async with watched(1) as (hub, (viewer,)):
        hub.overload.read(0.0, 10**9, 0.0)
        now = asyncio.get_running_loop().time()
        frame = replace(frames_of(INFO, 0).frames[0], stamps=(now - 0.02, now))
        hub.publish(Bundle(INFO, frames=(frame,)))
        await viewer.catch_up()
        stats = read(hub)[GROUP]
        assert (stats.overload, stats.loop_lag_ms) == ("emergency", 0.0)
        assert 5 < stats.rss_mb < 10_000
        detail = stats.detail
        assert detail["queued_bytes"] == 10**9
        assert detail["stages_ms"]["encoded"] == [20.0, 20.0, 20.0]
        assert json.loads(json.dumps(detail)) == detail


@virtual_time
async def test_ages_are_those_of_the_messages_that_were_followed_in_the_group() -> None:
    async with watched(1) as (hub, (viewer,)):
        assert read(hub)[GROUP].age_p50_ms is None
        loop = asyncio.get_running_loop()
        now = loop.time()
        frame = replace(frames_of(INFO, 0).frames[0], stamps=(now - 0.03, now - 0.01))
        hub.publish(Bundle(INFO, frames=(frame,)))
        await viewer.catch_up()
        stats = read(hub, {"ecg.b": CompressionHandler()})
        mine = stats[GROUP]
        assert mine.age_p50_ms == mine.age_p95_ms == mine.age_p99_ms
        assert mine.age_p50_ms is not None
        assert mine.age_p50_ms >= 30.0
        assert (mine.encode_p95_ms, mine.followed_messages) == (20.0, 1)
        assert mine.queue_p95_ms is not None
        assert (stats["ecg.b"].age_p50_ms, stats["ecg.b"].followed_messages) == (None, 0)


@virtual_time
async def test_viewers_are_told_by_rendition_and_by_condition() -> None:
    async with watched(3) as (hub, viewers):
        hub.publish(frames_of(INFO, 0))
        for viewer in viewers:
            await viewer.catch_up()
        viewers[0].subscriber.window.network.condition = NetworkCondition.POOR
        stats = read(hub)[GROUP]
        sent_as = [getattr(stats, f"viewers_{quality.value}") for quality in Quality]
        assert sent_as == [3, 0, 0, 0, 0]
        conditions = [getattr(stats, f"viewers_{condition.value}") for condition in NetworkCondition]
        assert conditions == [2, 0, 0, 1, 0]


@virtual_time
async def test_every_metric_of_the_spec_is_told() -> None:
    """By the dicts of "Monitoring and Metrics", and the names within them."""
    spec: dict[str, dict[str, set[str]]] = {
        "compression": {
            "": {
                "current_level",
                "messages_processed",
                "average_compression_ratio",
                "average_latency_ms",
                "space_saved_mb",
            }
        },
        "backpressure": {
            "buffer": {"size", "utilization", "high_watermark"},
            "performance": {"sent_messages", "dropped_messages", "drop_rate", "messages_per_second"},
            "state": {"backpressure_active", "emergency_mode", "paused"},
        },
        "adaptive": {
            "": {"current_level", "network_condition", "data_pattern", "adaptation_count"},
            "performance": {"latency_ms", "compression_ratio", "throughput_mbps"},
        },
    }
    async with watched(1) as (hub, (viewer,)):
        hub.publish(frames_of(INFO, 0))
        await viewer.catch_up()
        metrics = read(hub, {GROUP: CompressionHandler()})[GROUP].metrics
        for name, parts in spec.items():
            for part, names in parts.items():
                told = metrics[name][part] if part else metrics[name]
                assert names <= told.keys(), f"{name} {part}"
        assert json.loads(json.dumps(metrics)) == metrics


@virtual_time
async def test_what_became_of_the_history_is_told_where_it_is_recorded() -> None:
    async with watched(1) as (hub, _):
        hub.publish(frames_of(INFO, 0))
        history = {GROUP: HistoryFigures(stored_chunks=7, lost_chunks=1, lost_seconds=5.0)}
        (stats,) = group_stats(hub, {}, history)
        assert stats.detail["history"] == {
            "stored_chunks": 7,
            "stored_bytes": 0,
            "lost_chunks": 1,
            "lost_bytes": 0,
            "lost_seconds": 5.0,
        }
        assert "history" not in read(hub)[GROUP].detail


@virtual_time
async def test_queues_are_those_of_the_group_alone() -> None:
    async with watched(2) as (hub, viewers):
        hub.publish(frames_of(INFO, 0))
        viewers[0].subscriber.tell("{}")
        stats = read(hub)[GROUP]
        assert stats.buffer_size == 4  # for each viewer the stream message and a frame
        assert stats.buffer_utilization == 2 / 10_000


@virtual_time
async def test_the_fullest_viewer_and_any_state_are_told() -> None:
    tight = GroupProfile(backpressure=BackpressureProfile(max_buffer_size=20, high_watermark=0.5))
    async with watched(2, ProfileSet(5, overrides={GROUP: tight})) as (hub, (slow, fast)):
        for index in range(3):
            hub.publish(big(index))
        await fast.catch_up()
        for index in range(3, 30):
            hub.publish(frames_of(INFO, index))
            await fast.catch_up()
        stats = read(hub)[GROUP]
        slow_lane = slow.subscriber.handler.group_state(GROUP)
        assert slow_lane is not None
        assert stats.buffer_utilization == slow_lane.utilization > 0
        assert stats.high_watermark == 0.5
        assert stats.paused
        assert stats.backpressure_active
        assert stats.dropped_messages > 0
        assert stats.drop_rate == stats.dropped_messages / stats.offered_messages
        reasons = [getattr(stats, f"drops_{reason.value}") for reason in LOST]
        assert sum(reasons) == stats.dropped_messages
        assert stats.detail["not_lost"] == {"coalesced": 0, "abandoned": 0}
        assert stats.buffer_bytes == sum(
            state.size_bytes
            for viewer in (slow, fast)
            if (state := viewer.subscriber.handler.group_state(GROUP)) is not None
        )
        assert stats.pressure >= stats.buffer_utilization
        assert stats.detail["settings_version"] == 5
        await slow.catch_up()
        assert read(hub)[GROUP].gaps == len(slow.gaps)
        assert fast.gaps == []


@virtual_time
async def test_an_emergency_is_told() -> None:
    tight = GroupProfile(backpressure=BackpressureProfile(max_buffer_size=20, critical_watermark=0.9))
    async with watched(1, ProfileSet(overrides={GROUP: tight})) as (hub, (viewer,)):
        for index in range(8):  # HIGH may hold 0.4 of 20; at eight it is beyond 0.9 of that
            assert not read(hub)[GROUP].emergency_mode
            hub.publish(big(index))
        assert read(hub)[GROUP].emergency_mode
        await viewer.catch_up()


@virtual_time
async def test_a_group_that_is_encoded_here_and_watched_nowhere_has_its_codecs_figures() -> None:
    async with watched(1) as (hub, _):
        handler = CompressionHandler(CompressionProfile(level=4))
        handler.compress_samples(np.zeros((1, 50), np.int16), WaveformEncoder())
        stats = read(hub, {"ecg.b": handler})
        assert stats["ecg.b"].viewers == 0
        assert stats["ecg.b"].current_level == 4
        assert stats["ecg.b"].messages_processed == 1
        assert stats["ecg.b"].ratio_vs_json == handler.get_compression_stats()["ratio_vs_json"]
        assert stats["ecg.b"].average_compression_ratio == pytest.approx(
            handler.get_compression_stats()["average_compression_ratio"]
        )
        assert stats["ecg.b"].average_latency_ms is not None
        assert stats["ecg.b"].space_saved_mb > 0
        assert stats["ecg.b"].compress_s > 0
        assert stats["ecg.b"].waveform_json_bytes > stats["ecg.b"].waveform_bytes_out > 0
        assert stats["ecg.b"].bytes_in > stats["ecg.b"].bytes_out > 0
        assert (stats[GROUP].current_level, stats[GROUP].average_compression_ratio) == (0, None)
        assert "adaptive" not in stats[GROUP].detail


@virtual_time
async def test_how_a_group_is_adapted_stands_in_its_detail() -> None:
    async with watched(0) as (hub, _):
        handler = CompressionHandler()
        handler.compress_samples(np.arange(50, dtype=np.int16).reshape(1, 50) * 40, WaveformEncoder())
        told = read(hub, {"ecg.b": handler})["ecg.b"].metrics["adaptive"]
        assert told["current_level"] == 6
        assert told["network_condition"] == "excellent"
        assert told["data_pattern"] == "normal"
        json.dumps(told, allow_nan=False)


@virtual_time
async def test_what_viewers_that_left_got_stays_counted() -> None:
    async with watched(1) as (hub, (viewer,)):
        hub.publish(frames_of(INFO, 0))
        await viewer.catch_up()
        hub.remove(viewer.subscriber)
        stats = read(hub)[GROUP]
        assert (stats.viewers, stats.sent_messages, stats.paused) == (0, 1, False)


@virtual_time
async def test_epochs_of_a_stream_count_together() -> None:
    async with watched(1) as (hub, (viewer,)):
        for epoch in (1, 2):
            hub.publish(frames_of(replace(INFO, epoch=epoch), 0))
        await viewer.catch_up()
        assert read(hub)[GROUP].sent_messages == 2


@virtual_time
async def test_what_belongs_to_no_stream_has_a_row_when_it_has_figures() -> None:
    async with watched(0) as (hub, _):
        handler = CompressionHandler()
        assert read(hub, {CONTROL_GROUP: handler}) == {}
        handler.compress_samples(np.zeros((1, 50), np.int16), WaveformEncoder())
        assert read(hub, {CONTROL_GROUP: handler})[CONTROL_GROUP].messages_processed == 1
