"""The live page's WebSocket: who is let in, what it is told, and when it has to go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from django.db import OperationalError

from monitoring import live_access, live_consumer, live_messages
from monitoring.live_access import LiveRights
from monitoring.live_consumer import GONE_S, WISH_BURST, LiveConsumer
from monitoring.live_messages import CutOutcome
from monitoring.live_watch import MOST_SEATS, LiveWatch
from streaming import alarm_care
from streaming.core.strict_json import to_json
from streaming.exceptions import AuthenticationError, CloseCode
from streaming.runtime import Runtime
from streaming.store import access
from streaming.store.access import Principal, PrincipalKind
from tests.fake_journal import FakeJournal, Store
from tests.fakes import virtual_time
from tests.monitoring.live_parts import Page, process, watching
from tests.test_consumers import Connection, answering_after

BOSS = Principal(PrincipalKind.SESSION, user_id=1, session_key="key")
ALL = LiveRights(True, True, True, True)
NONE = LiveRights.of(None)


class Staff:
    """What the database knows of the one who looks."""

    def __init__(self) -> None:
        self.rights = ALL
        self.is_away = False
        self.refused: list[str] = []
        self.cut: list[str] = []

    def rights_now(self, _principal: Principal) -> LiveRights:
        """As they are, or no answer."""
        if self.is_away:
            raise OperationalError("away")
        return self.rights


@pytest.fixture(autouse=True)
def staff(monkeypatch: pytest.MonkeyPatch) -> Staff:
    """Signed in, and allowed everything until a test says otherwise."""
    staff = Staff()
    monkeypatch.setattr(alarm_care, "AlarmJournal", lambda **_: FakeJournal(Store()))
    monkeypatch.setattr(live_consumer, "database_sync_to_async", answering_after(0.0))
    monkeypatch.setattr(live_access, "enter", staff.rights_now)
    monkeypatch.setattr(live_access, "rights", staff.rights_now)
    monkeypatch.setattr(
        live_access, "refused", lambda _principal, connection: staff.refused.append(connection)
    )
    monkeypatch.setattr(live_access, "names_of_users", lambda ids: dict.fromkeys(ids, "nurse"))
    monkeypatch.setattr(live_access, "names_of_streams", lambda _principal, ids: dict.fromkeys(ids, "bed 1"))
    monkeypatch.setattr(access, "note_cut", lambda _principal, reason: staff.cut.append(reason))

    async def signed_in(_consumer: LiveConsumer, _advice: str) -> Principal:
        return BOSS

    monkeypatch.setattr(LiveConsumer, "principal_of_session", signed_in)
    return staff


class LivePage(Connection):
    """A page that acknowledges what it takes, unless it is `slow`."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = False
        self._taken = 0

    async def send(self, message: dict[str, Any]) -> None:
        await super().send(message)
        if message["type"] != "websocket.send" or self.heard[-1]["type"] in ("welcome", "bye"):
            return
        self._taken += 1
        if not self.slow:
            self.put({"type": "ack", "n": self._taken})

    def put(self, message: dict[str, Any]) -> None:
        """Say it, without waiting for anybody."""
        self._inbox.put_nowait({"type": "websocket.receive", "text": to_json(message)})

    def of(self, kind: str) -> list[dict[str, Any]]:
        """What it heard of one type."""
        return [message for message in self.heard if message["type"] == kind]


@asynccontextmanager
async def opened(
    runtime: Runtime, watch: LiveWatch, *, hello: bool = True, subprotocol: str = live_messages.SUBPROTOCOL
) -> AsyncIterator[LivePage]:
    """A page's socket, which has said hello and was answered."""
    page = LivePage()
    scope = {
        "type": "websocket",
        "subprotocols": [subprotocol],
        "headers": [],
        "vital": runtime,
        "vital.live": watch,
        "vital.peer": "192.0.2.1",
    }
    serving = asyncio.create_task(LiveConsumer()(scope, page.receive, page.send))
    page.begin()
    if hello:
        page.put({"type": "hello", "protocol": live_messages.SUBPROTOCOL})
    await asyncio.sleep(0.1)
    try:
        yield page
    finally:
        page.end()
        await serving


@asynccontextmanager
async def live(**viewers: str) -> AsyncIterator[tuple[LivePage, Runtime, LiveWatch, dict[str, Any]]]:
    """A page of a process with these viewers."""
    async with (
        process(**viewers) as (runtime, watched),
        watching(runtime) as watch,
        opened(runtime, watch) as page,
    ):
        yield page, runtime, watch, watched


@virtual_time
async def test_a_page_is_welcome_and_told_of_the_process() -> None:
    async with live(aaaaaaaa="a") as (page, runtime, _, _):
        welcome, *_ = page.heard
        assert (welcome["type"], welcome["process"]) == ("welcome", runtime.process_id)
        assert (welcome["may_cut"], welcome["may_name"]) == (True, True)
        await asyncio.sleep(3.0)
        assert 3 <= len(page.of("figures")) <= 5
        assert page.codes == []


@virtual_time
async def test_another_subprotocol_is_refused() -> None:
    async with (
        process() as (runtime, _),
        watching(runtime) as watch,
        opened(runtime, watch, hello=False, subprotocol="vital.v1") as page,
    ):
        assert page.codes == [CloseCode.PROTOCOL]


@virtual_time
async def test_who_is_not_signed_in_is_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nobody(_consumer: LiveConsumer, advice: str) -> Principal:
        raise AuthenticationError(advice)

    monkeypatch.setattr(LiveConsumer, "principal_of_session", nobody)
    async with live() as (page, _, _, _):
        assert page.codes == [CloseCode.UNAUTHENTICATED]
        assert not page.of("figures")


@virtual_time
async def test_who_may_not_view_snapshots_is_told_nothing(staff: Staff) -> None:
    staff.rights = NONE
    async with live() as (page, _, _, _):
        assert page.codes == [CloseCode.FORBIDDEN]
        assert [message["type"] for message in page.heard] == ["bye"]


@virtual_time
async def test_nothing_is_said_before_the_hello() -> None:
    async with (
        process() as (runtime, _),
        watching(runtime) as watch,
        opened(runtime, watch, hello=False) as page,
    ):
        page.put({"type": "inspect", "connection": "aaaaaaaa"})
        await asyncio.sleep(0.1)
        assert page.codes == [CloseCode.UNAUTHENTICATED]


@virtual_time
async def test_pages_beyond_the_bound_are_told_when_to_come() -> None:
    async with process() as (runtime, _), watching(runtime) as watch:
        for _ in range(MOST_SEATS):
            watch.enter(Page())
        async with opened(runtime, watch) as page:
            assert page.codes == [CloseCode.BUSY]
            assert page.heard[-1]["retry_after_ms"] > 0


@virtual_time
async def test_binary_and_a_second_hello_are_no_live_page() -> None:
    async with live() as (page, _, _, _):
        await page.say(b"\x01")
        assert page.codes == [CloseCode.PROTOCOL]
    async with live() as (page, _, _, _):
        page.put({"type": "hello", "protocol": live_messages.SUBPROTOCOL})
        await asyncio.sleep(0.1)
        assert page.codes == [CloseCode.PROTOCOL]


@virtual_time
async def test_a_page_that_asks_without_end_is_cut() -> None:
    async with live() as (page, _, _, _):
        for _ in range(int(WISH_BURST) + 1):
            page.put({"type": "inspect", "connection": None})
        await asyncio.sleep(0.1)
        assert page.codes == [CloseCode.RATE_LIMIT]


@virtual_time
async def test_a_slow_page_gets_the_newest_figures_and_is_cut_in_the_end() -> None:
    async with live() as (page, _, watch, _):
        page.slow = True
        before = len(page.of("figures"))
        for number in range(200):
            watch_told = f'{{"type":"figures","process":"there","n":{number},"pad":"{"x" * 20_000}"}}'
            for seat in list(watch._seats):
                seat.told_figures("there", watch_told)
        await asyncio.sleep(1.0)
        told = [message["n"] for message in page.of("figures")[before:] if message["process"] == "there"]
        assert len(told) < 5, "what it does not take is not sent after it"
        page.put({"type": "ack", "n": page._taken})
        await asyncio.sleep(0.1)
        told = [message["n"] for message in page.of("figures")[before:] if message["process"] == "there"]
        assert told[-1] == 199
        await asyncio.sleep(12.0)
        assert page.codes == [CloseCode.SLOW]


@virtual_time
async def test_a_viewer_is_looked_at_until_it_is_gone() -> None:
    async with live(aaaaaaaa="a") as (page, runtime, _, watched):
        page.put({"type": "inspect", "connection": "aaaaaaaa"})
        await asyncio.sleep(0.5)
        assert page.of("viewer")[-1]["connection"] == "aaaaaaaa"
        assert page.of("viewer")[-1]["peer"] == "192.0.2.7"
        runtime.hub.remove(watched["aaaaaaaa"].subscriber)
        await asyncio.sleep(GONE_S + 1.5)
        assert [message["connection"] for message in page.of("gone")] == ["aaaaaaaa"]


@virtual_time
async def test_a_connection_that_nobody_has_is_gone_and_no_one_is_said_of_none() -> None:
    async with live() as (page, _, _, _):
        page.put({"type": "inspect", "connection": "bbbbbbbb"})
        await asyncio.sleep(GONE_S + 0.5)
        assert [message["connection"] for message in page.of("gone")] == ["bbbbbbbb"]
        page.put({"type": "inspect", "connection": "cccccccc"})
        page.put({"type": "inspect", "connection": None})
        await asyncio.sleep(2 * GONE_S)
        assert len(page.of("gone")) == 1


@virtual_time
async def test_names_and_addresses_are_for_whoever_may_see_users(staff: Staff) -> None:
    staff.rights = LiveRights(True, True, False)
    async with live(aaaaaaaa="a") as (page, _, _, _):
        page.put({"type": "names", "users": ["7"], "streams": ["a"]})
        page.put({"type": "inspect", "connection": "aaaaaaaa"})
        await asyncio.sleep(0.5)
        assert page.of("names") == [{"type": "names", "users": {}, "streams": {"a": "bed 1"}}]
        assert "peer" not in page.of("viewer")[-1]
    staff.rights = ALL
    async with live() as (page, _, _, _):
        page.put({"type": "names", "users": ["7"], "streams": []})
        await asyncio.sleep(0.1)
        assert page.of("names")[-1]["users"] == {"7": "nurse"}


@virtual_time
async def test_a_cut_is_done_and_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str, str]] = []

    async def cut(_watch: LiveWatch, connection: str, reason: str, by: str) -> CutOutcome:
        asked.append((connection, reason, by))
        return CutOutcome.DONE

    monkeypatch.setattr(LiveWatch, "cut", cut)
    async with live() as (page, _, _, _):
        page.put({"type": "cut", "connection": "aaaaaaaa", "reason": "moves"})
        await asyncio.sleep(0.1)
        assert page.of("cut") == [{"type": "cut", "connection": "aaaaaaaa", "outcome": "done"}]
        assert asked == [("aaaaaaaa", "moves", "user:1")]


@virtual_time
async def test_the_right_to_cut_is_asked_for_at_each_cut(
    staff: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut(*_arguments: Any) -> CutOutcome:
        raise AssertionError("nobody may")

    monkeypatch.setattr(LiveWatch, "cut", cut)
    async with live() as (page, _, _, _):
        staff.rights = LiveRights(True, False, True)
        page.put({"type": "cut", "connection": "aaaaaaaa", "reason": ""})
        await asyncio.sleep(0.1)
        assert [message["outcome"] for message in page.of("cut")] == ["forbidden"]
        assert staff.refused == ["aaaaaaaa"]
        staff.is_away = True
        page.put({"type": "cut", "connection": "aaaaaaaa", "reason": ""})
        await asyncio.sleep(0.1)
        assert page.of("cut")[-1]["outcome"] == "unrecorded"


@virtual_time
async def test_who_loses_the_right_to_look_is_cut_and_that_is_noted(staff: Staff) -> None:
    async with live() as (page, runtime, watch, _):
        (connection,) = runtime._connections
        connection.refresh(frozenset())
        await asyncio.sleep(0.1)
        assert page.codes == []
        staff.is_away = True
        connection.refresh(frozenset())
        await asyncio.sleep(0.1)
        assert page.codes == [], "a database that is away says nothing of rights"
        staff.is_away, staff.rights = False, NONE
        connection.refresh(frozenset())
        await asyncio.sleep(0.1)
        assert page.codes == [CloseCode.FORBIDDEN]
        assert staff.cut == ["permission was withdrawn"]
        assert not watch._seats


@virtual_time
async def test_a_page_is_told_when_its_rights_have_changed(staff: Staff) -> None:
    async with live() as (page, runtime, _, _):
        (connection,) = runtime._connections
        staff.rights = LiveRights(True, False, False)
        for _ in range(2):
            connection.refresh(frozenset())
            await asyncio.sleep(0.1)
        expected = {"may_cut": False, "may_name": False, "may_see_alerts": False}
        assert page.of("rights") == [{"type": "rights", **expected}]


@virtual_time
async def test_alerts_are_for_whoever_may_see_them(staff: Staff) -> None:
    text = to_json({"type": "alerts", "alerts": [], "count": 3})
    async with live() as (page, runtime, _, _):
        (connection,) = runtime._connections
        assert isinstance(connection, LiveConsumer)
        connection.told_alerts(text)
        await asyncio.sleep(0.1)
        assert [told["count"] for told in page.of("alerts")] == [3]
        staff.rights = LiveRights(True, True, True, False)
        connection.refresh(frozenset())
        await asyncio.sleep(0.1)
        connection.told_alerts(text)
        await asyncio.sleep(0.1)
        assert len(page.of("alerts")) == 1
        assert page.of("rights")[-1]["may_see_alerts"] is False


@virtual_time
async def test_a_page_that_left_is_told_no_more() -> None:
    async with process() as (runtime, _), watching(runtime) as watch:
        async with opened(runtime, watch):
            assert len(watch._seats) == 1
        assert not watch._seats
        assert not runtime._connections
