"""A Valkey that is killed or stopped costs viewers of other processes a GAP, and nobody anything else."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from streaming.exceptions import CloseCode
from tests.e2e.cluster import Cluster
from tests.e2e.peers import DEADLINE_S, viewer
from tests.e2e.witness import RATE_HZ, Witness, numbered_device, witness
from tests.servers import Server

pytestmark = [pytest.mark.server, pytest.mark.valkey]

HEALED_S = WITHIN_S = 2.0


def _reasons(server: Server) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"{server.url}/readyz", timeout=10):
            return {}
    except urllib.error.HTTPError as error:
        reasons: dict[str, Any] = json.load(error)["reasons"]
        return reasons


async def _says_away(server: Server, seen: Witness) -> None:
    """Whoever watches is told, and so is whoever asks."""
    await seen.hears_that_the_layer_is("away")
    assert "layer" in await asyncio.to_thread(_reasons, server)


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_streams_go_on_when_the_layer_is_back(parts: Cluster, how: str) -> None:
    bed = (await parts.shell.do("admit", f"while {how}")).result
    async with (
        numbered_device(parts.first.ws_url, bed["token"]) as feed,
        witness(parts.first.ws_url, parts.token, bed["stream"]) as near,
        witness(parts.second.ws_url, parts.token, bed["stream"]) as far,
    ):
        await near.reaches(1)
        await far.reaches(1)
        near.forget_pause()
        if how == "killed":
            parts.valkey.kill()
        else:
            parts.valkey.freeze()
        try:
            await _says_away(parts.second, far)
        finally:
            if how == "killed":
                await asyncio.to_thread(parts.valkey.start)
            else:
                parts.valkey.thaw()
        now = feed.next_sample
        assert await far.reaches(now) < HEALED_S
        await far.hears_that_the_layer_is("ok")
        async with asyncio.timeout(DEADLINE_S):
            while await asyncio.to_thread(_reasons, parts.second):
                await far.reaches(feed.next_sample)  # what hung in the outage may fail once more
        await far.reaches(feed.next_sample + int(RATE_HZ))
        assert near.gaps == []
        assert near.longest_s < HEALED_S
        assert far.disconnects == near.disconnects == 0


async def test_settings_and_revocations_reach_all_while_the_layer_is_away(parts: Cluster) -> None:
    shell = parts.shell
    bed = (await shell.do("admit", "without a layer")).result
    token = (await shell.do("employ", "gone meanwhile", "Ward a")).result
    group = f"ecg.{bed['stream']}"
    async with (
        numbered_device(parts.first.ws_url, bed["token"]),
        witness(parts.first.ws_url, parts.token, bed["stream"]) as near,
        witness(parts.second.ws_url, parts.token, bed["stream"]),
        viewer(parts.first, token) as one,
        viewer(parts.second, token) as other,
    ):
        await near.reaches(1)
        parts.valkey.kill()
        try:
            revoked = await shell.do("revoke_api_tokens", "gone meanwhile")
            for ending in await asyncio.gather(one.ended(), other.ended()):
                assert ending.code == CloseCode.UNAUTHENTICATED
                assert ending.at - revoked.at < WITHIN_S
            await shell.do("set_profile", high_watermark=0.75)
            async with asyncio.timeout(DEADLINE_S):
                while len(await _governed(parts, group)) < 2:
                    await near.reaches((near.next_sample or 0) + 25)  # the stream is the clock here
        finally:
            await asyncio.to_thread(parts.valkey.start)


async def _governed(parts: Cluster, group: str) -> set[str]:
    rows: list[dict[str, Any]] = (await parts.shell.do("snapshots", group)).result
    return {row["process"] for row in rows if row["high_watermark"] == 0.75}
