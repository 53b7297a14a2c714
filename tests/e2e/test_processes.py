"""Two server processes and a Valkey between them are one hospital."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from streaming.exceptions import CloseCode
from tests.e2e.peers import DEADLINE_S, Peer, chunk, device, hello, opened, viewer
from tests.e2e.shell import Shell
from tests.e2e.steady import steady
from tests.servers import DaphneServer, Server

pytestmark = [pytest.mark.server, pytest.mark.valkey]

WITHIN_S = 2.5


@dataclass(frozen=True, slots=True)
class Pair:
    """Two processes on one database and one Valkey."""

    first: Server
    second: Server
    shell: Shell
    token: str
    valkey_url: str


@pytest.fixture(scope="module")
def pair(migrated_var: Path, valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    home = tmp_path_factory.mktemp("pair")
    shutil.copytree(migrated_var, home / "first")
    (home / "second").mkdir()
    env = {
        "DATABASE_URL": f"sqlite:///{home / 'first' / 'db.sqlite3'}",
        "REDIS_URL": valkey_url,
        "VITAL_SECRET_KEY": secrets.token_urlsafe(64),
        "VITAL_SNAPSHOT_INTERVAL_S": "1",
    }
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(DaphneServer(home / name, env=env)) for name in ("first", "second")
        )
        shell = stack.enter_context(Shell(first))
        yield Pair(first, second, shell, shell.run("employ", "nurse", "Ward a"), valkey_url)


async def test_viewer_of_one_process_sees_the_device_of_the_other(pair: Pair) -> None:
    bed = (await pair.shell.do("admit", "across")).result
    async with steady(pair.first, bed["stream"], bed["token"], pair.token, watch_at=pair.second) as seen:
        await seen.goes_on(10)


async def test_a_device_that_comes_back_to_the_other_process_goes_on_there(pair: Pair) -> None:
    bed = (await pair.shell.do("admit", "moving")).result
    async with viewer(pair.second, pair.token, bed["stream"]) as nurse:
        async with device(pair.first, bed["token"]) as before:
            epoch = before.heard[0]["epoch"]
            first = await _until_heard(nurse, before)
            async with device(pair.second, bed["token"], next_sample=first) as after:
                assert (await before.ended()).code == CloseCode.STREAM_BUSY
                assert (after.heard[0]["epoch"], after.heard[0]["next_sample"]) == (epoch, first)
                await after.say(chunk(first))
                while nurse.frames[-1].first < first:
                    await nurse.hear_frame()
        firsts = [frame.first for frame in nurse.frames]
        assert firsts == list(range(firsts[0], first + 25, 25))
        assert not [item for item in nurse.heard if item["type"] == "gap"]
        assert [item["epoch"] for item in nurse.heard if item["type"] == "stream"] == [epoch]


async def test_a_second_session_is_refused_by_either(pair: Pair) -> None:
    bed = (await pair.shell.do("admit", "taken")).result
    async with device(pair.first, bed["token"]):
        for server in (pair.first, pair.second):
            async with opened(server, "/ws/device/") as other:
                await other.say(hello(bed["token"], "session-2"))
                ending = await other.ended()
                assert ending.code == CloseCode.STREAM_BUSY
                assert "(sessio...) writes the stream since" in ending.reason
        for server in (pair.first, pair.second):
            async with viewer(server, pair.token) as nurse:
                assert _online(nurse)[bed["stream"]]


async def test_a_session_that_said_bye_leaves_the_stream_to_any(pair: Pair) -> None:
    bed = (await pair.shell.do("admit", "free")).result
    async with device(pair.first, bed["token"]) as leaving:
        await leaving.say({"type": "bye"})
        await leaving.ended()
    async with device(pair.second, bed["token"], "session-2") as next_one:
        assert next_one.heard[0]["next_sample"] == 0


async def test_revocation_reaches_both(pair: Pair) -> None:
    token = (await pair.shell.do("employ", "gone", "Ward a")).result
    async with viewer(pair.first, token) as one, viewer(pair.second, token) as other:
        done = await pair.shell.do("revoke_api_tokens", "gone")
        for ending in await asyncio.gather(one.ended(), other.ended()):
            assert ending.code == CloseCode.UNAUTHENTICATED
            assert ending.at - done.at < WITHIN_S


async def test_settings_reach_both_without_cutting_anybody(pair: Pair) -> None:
    bed = (await pair.shell.do("admit", "governed")).result
    group = f"ecg.{bed['stream']}"
    async with steady(pair.first, bed["stream"], bed["token"], pair.token, watch_at=pair.second) as seen:
        await pair.shell.do("set_profile", high_watermark=0.7)
        async with asyncio.timeout(DEADLINE_S):
            while len(await _processes_with(pair, group, 0.7)) < 2:
                await seen.goes_on(3)  # the stream itself is the clock here
    assert len(await _processes_with(pair, group, 0.7)) == 2


async def test_lost_layer_message_is_a_gap(pair: Pair) -> None:
    bed = (await pair.shell.do("admit", "interrupted")).result
    async with (
        viewer(pair.second, pair.token, bed["stream"]) as nurse,
        device(pair.first, bed["token"]) as feed,
        Redis.from_url(pair.valkey_url) as valkey,
    ):
        first = await _until_heard(nurse, feed)
        # Longer than the link tries one message, shorter than it tries two.
        await valkey.client_pause(1500, all=False)
        for _ in range(2):
            await feed.say(chunk(first))
            first += 25
        gap = await nurse.hear("gap")
        assert nurse.frames[0].first < gap["from"] < gap["to"] < first
        assert (gap["reason"], gap["recoverable"]) == ("dropped", False)


async def _until_heard(nurse: Peer, feed: Peer) -> int:
    """Send until a viewer is sent some of it; the next sample."""
    heard = asyncio.create_task(nurse.hear_frame())
    first = 0
    while not heard.done():
        await feed.say(chunk(first))
        first += 25
        await asyncio.wait({heard}, timeout=0.1)
    return first


def _online(nurse: Peer) -> dict[str, bool]:
    roster = next(item for item in reversed(nurse.heard) if item["type"] == "roster")
    return {entry["stream"]: entry["online"] for entry in roster["streams"]}


async def _processes_with(pair: Pair, group: str, high_watermark: float) -> set[str]:
    rows: list[dict[str, Any]] = (await pair.shell.do("snapshots", group)).result
    return {row["process"] for row in rows if row["high_watermark"] == high_watermark}
