"""What a process has done is counted whoever has left, and what it holds is as it is now."""

from __future__ import annotations

import asyncio

import pytest

from streaming.compression import CompressionHandler
from streaming.exceptions import ProtocolError
from streaming.ingest import Ingest, Place
from streaming.usage import process_usage
from tests.fakes import virtual_time
from tests.test_group_stats import watched
from tests.test_ingest import INFO, chunk, ramp
from tests.viewers import frames_of, stream_info


def ingest() -> Ingest:
    return Ingest(lambda _: None, lambda _: CompressionHandler(), clock=asyncio.get_running_loop().time)


@virtual_time
async def test_process_at_rest_has_done_nothing() -> None:
    async with watched(0) as (hub, _):
        usage = process_usage(hub, ingest(), cpu_clock=lambda: 1.23456)
    assert (usage.cpu_s, usage.overload, usage.loop_lag_ms) == (1.2346, "normal", 0.0)
    assert usage.rss_mb > 5
    assert (usage.streams, usage.viewers, usage.chunks, usage.websocket_messages) == (0, 0, 0, 0)


@virtual_time
async def test_chunks_and_samples_of_every_lead_are_counted_also_of_sessions_that_ended() -> None:
    taking = ingest()
    for session in ("00000000000000000000000000000001", "00000000000000000000000000000002"):
        intake = taking.open(INFO, session, Place(0))
        intake.push(chunk(0, ramp(0, 50)))
        intake.push(chunk(50, ramp(50, 80)))
        intake.close(ended=True)
    assert (taking.taken.chunks, taking.taken.lead_samples) == (4, 160)


@virtual_time
async def test_chunk_that_is_refused_does_not_count() -> None:
    taking = ingest()
    intake = taking.open(INFO, "00000000000000000000000000000001", Place(0))
    with pytest.raises(ProtocolError):
        intake.push(chunk(0, ramp(0, 50, leads=2)))
    assert taking.taken.lead_samples == 0


@virtual_time
async def test_messages_to_viewers_are_counted_also_of_those_that_left() -> None:
    async with watched(3) as (hub, viewers):
        hub.publish(frames_of(stream_info(), 0, 1))
        for viewer in viewers:
            await viewer.catch_up()
        before = process_usage(hub, ingest())
        assert (before.viewers, before.viewer_streams) == (3, 3)
        assert (before.sent_messages, before.bytes_sent) == (6, hub.totals().sent_bytes)
        assert before.websocket_messages == sum(len(viewer.socket.sent) for viewer in viewers) > 0
        hub.remove(viewers[0].subscriber)
        hub.remove(viewers[0].subscriber)
        after = process_usage(hub, ingest())
        assert (after.viewers, after.websocket_messages) == (2, before.websocket_messages)
