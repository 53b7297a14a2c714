"""The device's endpoint in time that a test controls: how long it may be silent, and who may be slow."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from channels.layers import InMemoryChannelLayer

from streaming import consumers
from streaming.alarm_seat import AlarmSeat
from streaming.compression import CompressionHandler
from streaming.consumers import (
    CLOSE_DEADLINE_S,
    DEVICE_SILENCE_S,
    HELLO_DEADLINE_S,
    DeviceConsumer,
    ViewerConsumer,
)
from streaming.core.messages import RosterEntry
from streaming.core.streams import Source
from streaming.exceptions import AuthenticationError, BusyError, CloseCode
from streaming.ingest import Ingest
from streaming.layer_link import LayerLink
from streaming.runtime import Runtime
from streaming.store import access
from streaming.store.access import DeviceAccess, Principal, PrincipalKind
from streaming.subscriber import Subscriber
from streaming.writers import Writers
from tests.e2e.peers import chunk, hello
from tests.fake_leases import FakeLeases
from tests.fakes import virtual_time
from tests.viewers import stream_info


class Connection:
    """A device's connection, and what the server has said on it."""

    def __init__(self) -> None:
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.heard: list[dict[str, Any]] = []
        self.codes: list[int] = []
        """With which the server has closed."""
        self.full = False
        """Whether what is sent waits for ever, as on uvicorn for a peer that takes nothing."""

    async def say(self, message: dict[str, Any] | bytes) -> None:
        """Send one message, and let the server handle it."""
        key, value = ("bytes", message) if isinstance(message, bytes) else ("text", json.dumps(message))
        await self._inbox.put({"type": "websocket.receive", key: value})
        await asyncio.sleep(0.001)

    async def receive(self) -> dict[str, Any]:
        return await self._inbox.get()

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "websocket.send" and self.full:
            await asyncio.Event().wait()
        elif message["type"] == "websocket.send":
            self.heard.append(json.loads(message["text"]))
        elif message["type"] == "websocket.close":
            self.codes.append(message["code"])

    def begin(self) -> None:
        self._inbox.put_nowait({"type": "websocket.connect"})

    def end(self) -> None:
        self._inbox.put_nowait({"type": "websocket.disconnect", "code": 1006})


@pytest.fixture(autouse=True)
def _admitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that knows one device."""
    info = stream_info()

    monkeypatch.setattr(consumers, "database_sync_to_async", answering_after(0.0))
    monkeypatch.setattr(access, "authenticate_device", lambda token: DeviceAccess(1, Source.SIM, 1))
    monkeypatch.setattr(access, "admitted_stream", lambda device_id: info.stream)
    monkeypatch.setattr(access, "open_epoch", lambda *arguments: info)
    FakeLeases(lambda: asyncio.get_running_loop().time()).install(monkeypatch)


def answering_after(seconds: float) -> Callable[..., Callable[..., Awaitable[Any]]]:
    """In place of a thread: each answer takes so long."""

    def wrap(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any) -> Any:
            await asyncio.sleep(seconds)
            return function(*arguments)

        return call

    return wrap


async def known() -> None:
    """All that the journal has is known."""


def scope_of(runtime: SimpleNamespace) -> dict[str, Any]:
    """A handshake, as the guard passes it on."""
    facts = {"type": "websocket", "subprotocols": ["vital.v1"], "headers": []}
    return facts | {"vital": runtime, "vital.peer": "192.0.2.1"}


@asynccontextmanager
async def device() -> AsyncIterator[Connection]:
    """A device that has said hello."""
    clock = asyncio.get_running_loop().time
    ingest = Ingest(lambda bundle: None, lambda group: CompressionHandler(), clock=clock)
    link = LayerLink(InMemoryChannelLayer(), lambda message: None)
    runtime = SimpleNamespace(
        writers=Writers(ingest, link, process_id="here", shared=False, clock=clock),
        stopping=False,
        care=SimpleNamespace(refresh=known),
        admit_device=lambda peer: None,
        add=lambda connection: None,
        remove=lambda connection: None,
    )
    connection = Connection()
    serving = asyncio.create_task(DeviceConsumer()(scope_of(runtime), connection.receive, connection.send))
    connection.begin()
    await connection.say(hello("T"))
    yield connection
    connection.end()
    await serving


@virtual_time
async def test_a_device_that_says_nothing_is_asked_to_connect_again() -> None:
    async with device() as connection:
        await asyncio.sleep(DEVICE_SILENCE_S - 1)
        assert connection.codes == []
        await asyncio.sleep(1)
        assert connection.codes == [CloseCode.SILENT]
        assert connection.heard[-1]["code"] == CloseCode.SILENT
        assert connection.heard[-1]["reason"] == "nothing was heard for 60 s"


@pytest.mark.parametrize(
    "sign",
    [{"type": "time", "t0": 1}, {"type": "quality", "sample": 0, "leads_off": []}, chunk(0)],
    ids=["time", "quality", "chunk"],
)
def test_whatever_it_says_shows_that_it_lives(sign: dict[str, Any] | bytes) -> None:
    @virtual_time
    async def alive() -> None:
        async with device() as connection:
            for _ in range(5):
                await asyncio.sleep(DEVICE_SILENCE_S - 1)
                await connection.say(sign)
            assert connection.codes == []
            await asyncio.sleep(DEVICE_SILENCE_S)
            assert connection.codes == [CloseCode.SILENT]

    alive()


@virtual_time
async def test_a_device_that_has_left_is_not_watched_any_more() -> None:
    async with device() as connection:
        pass
    await asyncio.sleep(2 * DEVICE_SILENCE_S)
    assert connection.codes == []


@virtual_time
async def test_a_peer_that_takes_nothing_is_closed_all_the_same() -> None:
    async with device() as connection:
        connection.full = True
        await asyncio.sleep(DEVICE_SILENCE_S + CLOSE_DEADLINE_S)
        assert connection.codes == [CloseCode.SILENT]


def test_a_slow_database_is_not_the_fault_of_who_said_hello_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "database_sync_to_async", answering_after(HELLO_DEADLINE_S))

    @virtual_time
    async def greeted() -> None:
        async with device() as connection:
            await asyncio.sleep(4 * HELLO_DEADLINE_S)
            assert [message["type"] for message in connection.heard] == ["welcome"]
            assert connection.codes == []

    greeted()


def nobody(token: str) -> DeviceAccess:
    raise AuthenticationError("token is not valid")


@pytest.mark.parametrize(
    ("consumer", "said", "noted"),
    [
        (ViewerConsumer, {"type": "hello", "protocol": "vital.v1"}, {"as_viewer": True}),
        (DeviceConsumer, hello("wrong"), {"as_viewer": False}),
    ],
)
def test_wrong_credentials_are_counted_and_take_nobodys_place(
    monkeypatch: pytest.MonkeyPatch,
    consumer: type[ViewerConsumer | DeviceConsumer],
    said: dict[str, Any],
    noted: dict[str, bool],
) -> None:
    monkeypatch.setattr(access, "authenticate_device", nobody)
    counted: list[Any] = []

    @virtual_time
    async def refused() -> None:
        runtime = SimpleNamespace(
            stopping=False,
            admit_viewer=counted.append,
            admit_device=counted.append,
            admitted_nobody=lambda peer, **how: counted.append((peer, how)),
            remove=lambda connection: None,
        )
        connection = Connection()
        serving = asyncio.create_task(consumer()(scope_of(runtime), connection.receive, connection.send))
        connection.begin()
        await connection.say(said)
        assert connection.codes == [CloseCode.UNAUTHENTICATED]
        connection.end()
        await serving

    refused()
    assert counted == ["192.0.2.1", ("192.0.2.1", noted)]


@virtual_time
async def test_a_roster_that_waits_for_the_layer_is_not_told_behind_a_newer_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    present = {"a"}

    def entries(_principal: Principal) -> list[RosterEntry]:
        return [RosterEntry(stream, "P", "", "icu", "ICU", "1", Source.SIM, False) for stream in present]

    async def watch(visible: frozenset[str], _wards: set[str]) -> None:
        await asyncio.sleep(1.0 if "a" in visible else 0.0)  # the layer is slow to let it join a ward

    async def online(_streams: frozenset[str]) -> set[str]:
        return set()

    monkeypatch.setattr(access, "visible_streams", entries)
    viewer, told = ViewerConsumer(), list[str]()
    viewer.principal = Principal(PrincipalKind.SESSION, user_id=1)
    viewer.runtime = cast("Runtime", SimpleNamespace(writers=SimpleNamespace(online=online)))
    viewer._alarms = cast("AlarmSeat", SimpleNamespace(watch=watch, leave=lambda: None))
    viewer._subscriber = cast("Subscriber", SimpleNamespace(tell=lambda text, key: told.append(text)))
    viewer.refresh(frozenset({"a"}))
    await asyncio.sleep(0.1)
    present.clear()
    viewer.refresh(frozenset())
    await asyncio.sleep(2.0)
    assert [json.loads(text)["streams"] for text in told][-1] == []


@virtual_time
async def test_a_viewer_that_is_not_let_in_is_told_of_a_time_of_its_own() -> None:
    def admit_viewer(peer: str) -> None:
        raise BusyError("too many viewers come at once", 2345)

    runtime = SimpleNamespace(stopping=False, admit_viewer=admit_viewer, remove=lambda connection: None)
    connection = Connection()
    serving = asyncio.create_task(ViewerConsumer()(scope_of(runtime), connection.receive, connection.send))
    connection.begin()
    await connection.say({"type": "hello", "protocol": "vital.v1", "token": "T"})
    assert connection.codes == [CloseCode.BUSY]
    assert connection.heard == [
        {"type": "bye", "code": 4013, "reason": "too many viewers come at once", "retry_after_ms": 2345}
    ]
    connection.end()
    await serving
