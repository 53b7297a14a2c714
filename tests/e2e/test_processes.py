"""Two server processes and a Valkey between them are one hospital."""

from __future__ import annotations

import asyncio
import re
import urllib.request
from typing import Any

import pytest
from redis.asyncio import Redis

from streaming.core.frames import FrameKind
from streaming.exceptions import CloseCode
from tests.e2e.cluster import Cluster
from tests.e2e.peers import DEADLINE_S, Peer, chunk, device, hello, opened, viewer
from tests.e2e.steady import steady
from tests.servers import Server

pytestmark = [pytest.mark.server, pytest.mark.valkey]

WITHIN_S = 2.5


async def test_viewer_of_one_process_sees_the_device_of_the_other(parts: Cluster) -> None:
    bed = (await parts.shell.do("admit", "across")).result
    async with steady(parts.first, bed["stream"], bed["token"], parts.token, watch_at=parts.second) as seen:
        await seen.goes_on(10)


async def test_a_device_that_comes_back_to_the_other_process_goes_on_there(parts: Cluster) -> None:
    bed = (await parts.shell.do("admit", "moving")).result
    async with viewer(parts.second, parts.token, bed["stream"]) as nurse:
        async with device(parts.first, bed["token"]) as before:
            epoch = before.heard[0]["epoch"]
            first = await _until_heard(nurse, before)
            async with device(parts.second, bed["token"], next_sample=first) as after:
                assert (await before.ended()).code == CloseCode.STREAM_BUSY
                assert (after.heard[0]["epoch"], after.heard[0]["next_sample"]) == (epoch, first)
                await after.say(chunk(first))
                while nurse.frames[-1].first < first:
                    await nurse.hear_frame()
        firsts = [frame.first for frame in nurse.frames]
        assert firsts == list(range(firsts[0], first + 25, 25))
        assert not [item for item in nurse.heard if item["type"] == "gap"]
        assert [item["epoch"] for item in nurse.heard if item["type"] == "stream"] == [epoch]


async def test_a_second_session_is_refused_by_either(parts: Cluster) -> None:
    bed = (await parts.shell.do("admit", "taken")).result
    async with device(parts.first, bed["token"]):
        for server in (parts.first, parts.second):
            async with opened(server, "/ws/device/") as other:
                await other.say(hello(bed["token"], "session-2"))
                ending = await other.ended()
                assert ending.code == CloseCode.STREAM_BUSY
                assert "(sessio...) writes the stream since" in ending.reason
        for server in (parts.first, parts.second):
            async with viewer(server, parts.token) as nurse:
                assert _online(nurse)[bed["stream"]]


async def test_a_session_that_said_bye_leaves_the_stream_to_any(parts: Cluster) -> None:
    bed = (await parts.shell.do("admit", "free")).result
    async with device(parts.first, bed["token"]) as leaving:
        await leaving.say({"type": "bye"})
        await leaving.ended()
    async with device(parts.second, bed["token"], "session-2") as next_one:
        assert next_one.heard[0]["next_sample"] == 0


async def test_revocation_reaches_both(parts: Cluster) -> None:
    token = (await parts.shell.do("employ", "gone", "Ward a")).result
    async with viewer(parts.first, token) as one, viewer(parts.second, token) as other:
        done = await parts.shell.do("revoke_api_tokens", "gone")
        for ending in await asyncio.gather(one.ended(), other.ended()):
            assert ending.code == CloseCode.UNAUTHENTICATED
            assert ending.at - done.at < WITHIN_S


async def test_settings_reach_both_without_cutting_anybody(parts: Cluster) -> None:
    bed = (await parts.shell.do("admit", "governed")).result
    group = f"ecg.{bed['stream']}"
    async with steady(parts.first, bed["stream"], bed["token"], parts.token, watch_at=parts.second) as seen:
        await parts.shell.do("set_profile", high_watermark=0.7)
        async with asyncio.timeout(DEADLINE_S):
            while len(await _processes_with(parts, group, 0.7)) < 2:
                await seen.goes_on(3)  # the stream itself is the clock here
    assert len(await _processes_with(parts, group, 0.7)) == 2


async def test_lost_layer_message_is_a_gap_and_fetched_from_the_other_process(parts: Cluster) -> None:
    bed = (await parts.shell.do("admit", "interrupted")).result
    async with (
        viewer(parts.second, parts.token, bed["stream"]) as nurse,
        device(parts.first, bed["token"]) as feed,
        Redis.from_url(parts.valkey.url) as valkey,
    ):
        first = await _until_heard(nurse, feed)
        lost_before = await asyncio.to_thread(_lost_by_the_layer, parts.first)
        await valkey.client_pause(round(1000 * DEADLINE_S), all=False)
        await feed.say(chunk(first))
        async with asyncio.timeout(DEADLINE_S):
            while await asyncio.to_thread(_lost_by_the_layer, parts.first) == lost_before:
                await feed.all_taken()  # the metric is read again and again: no event tells of it
        await valkey.client_unpause()
        await feed.say(chunk(first + 25))
        first += 50
        gap = await nurse.hear("gap")
        assert nurse.frames[0].first < gap["from"] < gap["to"] < first
        assert (gap["reason"], gap["recoverable"]) == ("dropped", True)
        await nurse.ack()
        while not (late := [f for f in nurse.frames if f.kind is FrameKind.BACKFILL]):
            await nurse.hear_any()
            await nurse.ack()
        assert late[0].first == gap["to"] - 25


async def _until_heard(nurse: Peer, feed: Peer) -> int:
    """Send until a viewer is sent some of it, and the server has taken it all; the next sample."""
    heard = asyncio.create_task(nurse.hear_frame())
    first = 0
    while not heard.done():
        await feed.say(chunk(first))
        first += 25
        await asyncio.wait({heard}, timeout=0.1)
    await feed.all_taken()
    return first


def _lost_by_the_layer(server: Server) -> float:
    """How many messages the layer did not take, as /metrics says it."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        found = re.search(r"^vital_layer_lost_messages_total (\S+)$", answer.read().decode(), re.MULTILINE)
    assert found is not None
    return float(found[1])


def _online(nurse: Peer) -> dict[str, bool]:
    roster = next(item for item in reversed(nurse.heard) if item["type"] == "roster")
    return {entry["stream"]: entry["online"] for entry in roster["streams"]}


async def _processes_with(parts: Cluster, group: str, high_watermark: float) -> set[str]:
    rows: list[dict[str, Any]] = (await parts.shell.do("snapshots", group)).result
    return {row["process"] for row in rows if row["high_watermark"] == high_watermark}
