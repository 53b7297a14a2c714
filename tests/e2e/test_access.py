"""Whoever loses access loses the live socket: at once through the app, two seconds later by the database."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from streaming.exceptions import CloseCode
from tests.e2e.peers import Ending, Peer, device, opened, viewer
from tests.e2e.shell import Shell
from tests.e2e.steady import Steady, steady
from tests.e2e.web import Browser
from tests.servers import Server, StartServer

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="module")]

WITHIN_APP_S = 1.0
"""From the answer to the form: the page that follows it takes its time."""
WITHIN_DATABASE_S = 2.5
"""The poll of 2 s, and the time that asking takes on a busy machine."""
PASSWORD = "a long enough one"


@dataclass(frozen=True, slots=True)
class Place:
    """A server, somebody who may do everything in its admin, and a patient."""

    server: Server
    shell: Shell
    bed: dict[str, str]
    colleague: str
    names: Iterator[str]

    async def nurse(self, **fields: Any) -> tuple[str, str]:
        """Another user of ward a: name and API token."""
        name = next(self.names)
        return name, (await self.shell.do("employ", name, "Ward a", **fields)).result

    async def signed_in(self) -> tuple[str, Browser]:
        """Another user of ward a, and the browser in which it has signed in."""
        name, _ = await self.nurse(password=PASSWORD)
        browser = Browser(self.server)
        await browser.sign_in(name, PASSWORD)
        return name, browser


@pytest.fixture(scope="module")
def place(module_daphne: StartServer) -> Iterator[Place]:
    server = module_daphne()
    with Shell(server) as shell:
        bed = shell.run("admit", "watched")
        colleague = shell.run("employ", "colleague", "Ward a")
        shell.run("employ", "boss", password=PASSWORD, is_staff=True, is_superuser=True)
        yield Place(server, shell, bed, colleague, (f"nurse{n}" for n in itertools.count()))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def boss(place: Place) -> Browser:
    browser = Browser(place.server)
    await browser.sign_in("boss", PASSWORD)
    return browser


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def others(place: Place) -> AsyncIterator[Steady]:
    async with steady(place.server, place.bed["stream"], place.bed["token"], place.colleague) as watched:
        yield watched


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _others_go_on(others: Steady) -> AsyncIterator[None]:
    yield
    await others.goes_on()


async def _cut(peer: Peer | asyncio.Task[Ending], since: float, within_s: float, code: CloseCode) -> Ending:
    ending = await (peer.ended() if isinstance(peer, Peer) else peer)
    assert ending.code == code, ending
    assert ending.bye is not None
    assert ending.at - since < within_s
    return ending


async def _left(peer: Peer, stream: str) -> float:
    """The viewer stays, and hears that the stream is no more; when it did."""
    assert (await peer.hear("denied"))["stream"] == stream
    roster = await peer.hear("roster")
    assert stream not in {entry["stream"] for entry in roster["streams"]}
    return time.monotonic()


async def _in_bed(peer: Peer, stream: str, bed: str) -> float:
    """The viewer hears that the stream is of this bed; when it did."""
    beds: set[str] = set()
    while bed not in beds:
        roster = await peer.hear("roster")
        beds = {entry["bed"] for entry in roster["streams"] if entry["stream"] == stream}
    return time.monotonic()


class TestThroughTheApp:
    """Logout and admin announce what they change."""

    async def test_logout(self, place: Place) -> None:
        _, browser = await place.signed_in()
        form = await browser.form("/")
        async with viewer(place.server, None, place.bed["stream"], headers=browser.socket_headers) as peer:
            await peer.hear_frame()
            ending = asyncio.create_task(peer.ended())
            await browser.post("/accounts/logout/", form)
            await _cut(ending, browser.accepted_at, WITHIN_APP_S, CloseCode.UNAUTHENTICATED)
        async with opened(place.server, "/ws/viewer/", headers=browser.socket_headers) as peer:
            await peer.say({"type": "hello", "protocol": "vital.v1"})
            assert (await peer.ended()).code == CloseCode.UNAUTHENTICATED

    async def test_deactivated_user(self, place: Place, boss: Browser) -> None:
        name, token = await place.nurse()
        path = f"/admin/auth/user/{await _pk(place, 'user', name)}/change/"
        form = await boss.form(path, "is_active")
        form.pop("is_active")
        async with viewer(place.server, token, place.bed["stream"]) as peer:
            ending = asyncio.create_task(peer.ended())
            await boss.post(path, form)
            await _cut(ending, boss.accepted_at, WITHIN_APP_S, CloseCode.UNAUTHENTICATED)

    async def test_removed_group(self, place: Place, boss: Browser) -> None:
        name, token = await place.nurse()
        path = f"/admin/auth/user/{await _pk(place, 'user', name)}/change/"
        form = await boss.form(path, "is_active")
        form.pop("groups")
        async with viewer(place.server, token, place.bed["stream"]) as peer:
            ending = asyncio.create_task(peer.ended())
            await boss.post(path, form)
            await _cut(ending, boss.accepted_at, WITHIN_APP_S, CloseCode.FORBIDDEN)

    async def test_revoked_api_token(self, place: Place, boss: Browser) -> None:
        name, token = await place.nurse()
        form = await boss.form("/admin/streaming/apitoken/", "action")
        chosen = str(await _pk(place, "token", name))
        form |= {"action": ["revoke_tokens"], "_selected_action": [chosen], "index": ["0"]}
        async with viewer(place.server, token, place.bed["stream"]) as peer:
            ending = asyncio.create_task(peer.ended())
            await boss.post("/admin/streaming/apitoken/", form)
            await _cut(ending, boss.accepted_at, WITHIN_APP_S, CloseCode.UNAUTHENTICATED)

    async def test_a_corrected_bed_reaches_pages_that_are_open(self, place: Place, boss: Browser) -> None:
        stream = place.bed["stream"]
        _, token = await place.nurse()
        path = f"/admin/streaming/stream/{stream}/change/"
        form = await boss.form(path, "bed")
        async with viewer(place.server, token, stream) as peer:
            heard_at = asyncio.create_task(_in_bed(peer, stream, "B-17"))
            await boss.post(path, form | {"bed": ["B-17"]})
            assert await heard_at - boss.accepted_at < WITHIN_APP_S

    async def test_ended_admission_cuts_the_device_and_leaves_the_roster(
        self, place: Place, boss: Browser
    ) -> None:
        bed = (await place.shell.do("admit", "discharged")).result
        _, token = await place.nurse()
        form = await boss.form("/admin/streaming/stream/", "action")
        form |= {
            "action": ["end_admissions"],
            "_selected_action": [bed["stream"]],
            "index": ["0"],
            "confirmed": ["yes"],
        }
        async with (
            viewer(place.server, token, bed["stream"]) as peer,
            device(place.server, bed["token"]) as feed,
        ):
            ending, left_at = (
                asyncio.create_task(feed.ended()),
                asyncio.create_task(_left(peer, bed["stream"])),
            )
            await boss.post("/admin/streaming/stream/", form)
            await _cut(ending, boss.accepted_at, WITHIN_APP_S, CloseCode.FORBIDDEN)
            assert await left_at - boss.accepted_at < WITHIN_APP_S


class TestByAnotherProcess:
    """Nobody tells the server: it asks."""

    @pytest.mark.parametrize(
        ("deed", "code"),
        [
            ("revoke_api_tokens", CloseCode.UNAUTHENTICATED),
            ("deactivate", CloseCode.UNAUTHENTICATED),
            ("take_out_of_groups", CloseCode.FORBIDDEN),
        ],
    )
    async def test_user_who_loses(self, place: Place, deed: str, code: CloseCode) -> None:
        name, token = await place.nurse()
        async with viewer(place.server, token, place.bed["stream"]) as peer:
            done = await place.shell.do(deed, name)
            await _cut(peer, done.at, WITHIN_DATABASE_S, code)

    async def test_ward_that_closes_to_a_group(self, place: Place) -> None:
        name, token = await place.nurse()
        async with viewer(place.server, token, place.bed["stream"]) as peer:
            done = await place.shell.do("close_ward_to", name, "Ward a")
            await _cut(peer, done.at, WITHIN_DATABASE_S, CloseCode.FORBIDDEN)

    async def test_session_that_ends(self, place: Place) -> None:
        _, browser = await place.signed_in()
        async with viewer(place.server, None, place.bed["stream"], headers=browser.socket_headers) as peer:
            done = await place.shell.do("end_session", browser.session_key)
            await _cut(peer, done.at, WITHIN_DATABASE_S, CloseCode.UNAUTHENTICATED)

    async def test_device_token(self, place: Place) -> None:
        bed = (await place.shell.do("admit", "stolen")).result
        async with device(place.server, bed["token"]) as feed:
            done = await place.shell.do("revoke_device_tokens", bed["stream"])
            await _cut(feed, done.at, WITHIN_DATABASE_S, CloseCode.UNAUTHENTICATED)

    async def test_admission_that_ends(self, place: Place) -> None:
        bed = (await place.shell.do("admit", "discharged elsewhere")).result
        _, token = await place.nurse()
        async with (
            viewer(place.server, token, bed["stream"]) as peer,
            device(place.server, bed["token"]) as feed,
        ):
            done = await place.shell.do("end_admission", bed["stream"])
            await _cut(feed, done.at, WITHIN_DATABASE_S, CloseCode.FORBIDDEN)
            assert await _left(peer, bed["stream"]) - done.at < WITHIN_DATABASE_S

    async def test_admission_that_begins_joins_the_roster(self, place: Place) -> None:
        _, token = await place.nurse()
        async with viewer(place.server, token) as peer:
            bed = (await place.shell.do("admit", "newcomer")).result
            roster = await peer.hear("roster")
            assert bed["stream"] in {entry["stream"] for entry in roster["streams"]}


async def test_session_cookie_without_an_origin_counts_for_nothing(place: Place) -> None:
    _, browser = await place.signed_in()
    headers = {"Cookie": browser.socket_headers["Cookie"]}
    async with opened(place.server, "/ws/viewer/", headers=headers) as peer:
        await peer.say({"type": "hello", "protocol": "vital.v1"})
        assert (await peer.ended()).code == CloseCode.UNAUTHENTICATED


async def test_session_cookie_with_a_foreign_origin_is_no_handshake(place: Place) -> None:
    _, browser = await place.signed_in()
    with pytest.raises(Exception, match="403"):
        async with opened(
            place.server,
            "/ws/viewer/",
            headers=browser.socket_headers | {"Origin": "https://evil.example"},
        ):
            pass


async def _pk(place: Place, kind: str, name: str) -> int:
    keys = (await place.shell.do("primary_keys")).result
    return int(keys[kind][name])
