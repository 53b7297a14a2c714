"""Live figures between two real processes: of both, to whom they may go, a cut at the other, and silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from websockets.exceptions import InvalidStatus

from monitoring.live_leases import LEASE_S
from streaming.exceptions import CloseCode
from streaming.layer_link import PULSE, PULSE_S
from tests.conftest import unavailable
from tests.e2e.cluster import Cluster, cluster
from tests.e2e.peers import DEADLINE_S, Peer, opened, viewer
from tests.e2e.steady import steady
from tests.e2e.web import Browser
from tests.servers import Server
from tests.valkeys import NoValkeyError

pytestmark = [pytest.mark.server, pytest.mark.valkey]

PASSWORD = "only-for-this-test"
WITHIN_S = 2.5


@pytest.fixture(scope="module")
def both(migrated_var: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two processes without TLS before them, so that a browser's cookie is one of plain HTTP."""
    settings = {"VITAL_SNAPSHOT_INTERVAL_S": "3600"}
    try:
        with cluster(migrated_var, tmp_path_factory.mktemp("live"), settings) as started:
            yield started
    except NoValkeyError as error:
        unavailable(str(error))


async def signed_in(both: Cluster, name: str, *codenames: str) -> Browser:
    """A member of the staff with these permissions, at the first process."""
    await both.shell.do("employ", name, "Ward a", password=PASSWORD, is_staff=True)
    await both.shell.do("allow", name, *codenames)
    browser = Browser(both.first)
    await browser.sign_in(name, PASSWORD)
    return browser


class LivePage:
    """A live page's connection, which acknowledges all that it hears."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.welcome: dict[str, Any] = {}

    async def hear(self, kind: str) -> dict[str, Any]:
        """The next message of this type."""
        while True:
            known = len(self.peer.heard)
            await self.peer.hear_any()
            await self.peer.say({"type": "ack", "n": len(self.peer.heard) - 1})
            for message in self.peer.heard[known:]:
                if message["type"] == kind:
                    return message

    async def hear_of(self, process: str, *, viewers: int = 0) -> dict[str, Any]:
        """The next figures of this process that tell of so many viewers."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                told = await self.hear("figures")
                if told["process"] == process and told["viewer_count"] >= viewers:
                    return told

    async def hear_of_another(self, *, viewers: int = 0) -> dict[str, Any]:
        """The same of any process but the one that it is connected to."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                told = await self.hear("figures")
                if told["process"] != self.welcome["process"] and told["viewer_count"] >= viewers:
                    return told


@asynccontextmanager
async def live_page(server: Server, headers: Mapping[str, str]) -> AsyncIterator[LivePage]:
    """A page that was let in."""
    async with opened(server, "/ws/live/", subprotocols=("vital.live.v1",), headers=headers) as peer:
        await peer.say({"type": "hello", "protocol": "vital.live.v1"})
        page = LivePage(peer)
        page.welcome = await peer.hear("welcome")
        yield page


async def test_figures_of_both_processes_come(both: Cluster) -> None:
    boss = await signed_in(both, "looks", "view_metricssnapshot", "view_user")
    bed = (await both.shell.do("admit", "live bed")).result
    async with (
        steady(both.first, bed["stream"], bed["token"], both.token, watch_at=both.second),
        viewer(both.first, both.token) as _,
        live_page(both.first, boss.socket_headers) as page,
    ):
        assert (page.welcome["may_cut"], page.welcome["may_name"]) == (False, True)
        mine = await page.hear_of(page.welcome["process"], viewers=1)
        assert mine["devices"] == 1
        other = await page.hear_of_another(viewers=1)
        async with asyncio.timeout(DEADLINE_S):
            while not (groups := {group["group"]: group for group in other["groups"]}):
                other = await page.hear_of_another(viewers=1)
        assert groups[f"ecg.{bed['stream']}"]["viewers"] == 1
        (watching,) = other["viewers"]
        assert (watching["watches"], watching["streams"]) == (1, [bed["stream"]])
        listed = await page.hear("processes")
        assert {each["process"] for each in listed["processes"]} == {mine["process"], other["process"]}
        await page.peer.say(
            {"type": "names", "users": [str(watching["user"])], "streams": [bed["stream"], "unknown"]}
        )
        named = await page.hear("names")
        assert list(named["users"].values()) == ["nurse"]
        assert named["streams"][bed["stream"]].startswith("Ward a, bed ")
        await page.peer.say({"type": "inspect", "connection": watching["connection"]})
        detail = await page.hear("viewer")
        assert (detail["process"], detail["peer"]) == (other["process"], "127.0.0.1")
        assert detail["why"]


async def test_a_viewer_of_the_other_process_is_cut_and_that_is_in_the_trail(both: Cluster) -> None:
    boss = await signed_in(both, "cuts", "view_metricssnapshot", "cut_viewer")
    async with (
        viewer(both.second, both.token) as nurse,
        live_page(both.first, boss.socket_headers) as page,
    ):
        told = await page.hear_of_another(viewers=1)
        connection = told["viewers"][0]["connection"]
        await page.peer.say({"type": "cut", "connection": connection, "reason": "changes its network"})
        ending = await nurse.ended()
        assert (ending.code, ending.reason) == (CloseCode.CUT, "cut by an operator: changes its network")
        assert ending.bye is not None
        assert ending.bye["retry_after_ms"] == 30_000
        assert (await page.hear("cut"))["outcome"] == "done"
        await page.peer.say({"type": "cut", "connection": connection, "reason": ""})
        assert (await page.hear("cut"))["outcome"] == "unanswered"
    entries = (await both.shell.do("audited_details", "viewer.cut")).result
    assert len(entries) == 1
    keys = (await both.shell.do("primary_keys")).result
    assert entries[0]["actor"] == f"user:{keys['user']['cuts']}"
    assert entries[0]["object"] == f"connection:{connection}"
    assert entries[0]["outcome"] == "allowed"
    assert entries[0]["detail"] == {
        "viewer": f"api-token:{keys['token']['nurse']}",
        "process": told["process"],
        "reason": "changes its network",
    }


async def test_without_the_right_nobody_is_cut(both: Cluster) -> None:
    boss = await signed_in(both, "may not cut", "view_metricssnapshot")
    async with viewer(both.first, both.token) as nurse, live_page(both.first, boss.socket_headers) as page:
        told = await page.hear_of(page.welcome["process"], viewers=1)
        connection = told["viewers"][0]["connection"]
        await page.peer.say({"type": "cut", "connection": connection, "reason": ""})
        assert (await page.hear("cut"))["outcome"] == "forbidden"
        await nurse.say({"type": "time", "t0": 1})
        await nurse.hear("time")


async def test_when_the_page_has_gone_no_process_tells_any_more(both: Cluster) -> None:
    boss = await signed_in(both, "leaves", "view_metricssnapshot")
    async with Redis.from_url(both.valkey.url) as valkey, valkey.pubsub() as heard:
        await heard.psubscribe("*")
        async with live_page(both.first, boss.socket_headers) as page:
            await page.hear_of_another()
            await _until(heard, live=2)
        # The pulses of the two processes are the clock: two a second.
        await _until(heard, pulses=round(2 * (LEASE_S + 2.0) / PULSE_S))
        assert await _until(heard, pulses=8) == 0


async def _until(heard: Any, *, live: int | None = None, pulses: int | None = None) -> int:
    """Listen to the layer until so many live messages, or pulses, have passed; how many live ones did."""
    seen_live = seen_pulses = 0
    async with asyncio.timeout(DEADLINE_S):
        while (live is None or seen_live < live) and (pulses is None or seen_pulses < pulses):
            message = await heard.get_message(ignore_subscribe_messages=True, timeout=1.0)
            data = b"" if message is None else message["data"]
            seen_live += b"vital.live." in data
            seen_pulses += PULSE.encode() in data
    return seen_live


async def test_who_loses_the_permission_is_cut_at_once(both: Cluster) -> None:
    boss = await signed_in(both, "loses", "view_metricssnapshot")
    async with live_page(both.first, boss.socket_headers) as page:
        await page.hear("figures")
        done = await both.shell.do("disallow", "loses")
        ending = await page.peer.ended()
        assert (ending.code, ending.reason) == (CloseCode.FORBIDDEN, "permission was withdrawn")
        assert ending.at - done.at < WITHIN_S


async def test_who_signs_out_is_cut_at_once(both: Cluster) -> None:
    boss = await signed_in(both, "signs out", "view_metricssnapshot")
    async with live_page(both.first, boss.socket_headers) as page:
        await page.hear("figures")
        await both.shell.do("end_session", boss.session_key)
        assert (await page.peer.ended()).code == CloseCode.UNAUTHENTICATED


async def test_staff_alone_is_let_in_and_only_from_our_own_pages(both: Cluster) -> None:
    await both.shell.do("employ", "visitor", "Ward a", password=PASSWORD)
    visitor = Browser(both.first)
    await visitor.sign_in("visitor", PASSWORD)
    for headers, code in (
        (visitor.socket_headers, CloseCode.FORBIDDEN),
        ({"Cookie": visitor.socket_headers["Cookie"]}, CloseCode.UNAUTHENTICATED),
    ):
        async with opened(both.first, "/ws/live/", subprotocols=("vital.live.v1",), headers=headers) as peer:
            await peer.say({"type": "hello", "protocol": "vital.live.v1"})
            assert (await peer.ended()).code == code
    with pytest.raises(InvalidStatus):
        async with opened(
            both.first,
            "/ws/live/",
            subprotocols=("vital.live.v1",),
            headers={**visitor.socket_headers, "Origin": "http://elsewhere.example"},
        ):
            pass
