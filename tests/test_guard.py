"""Bad claims and floods end at the outermost wrapper."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streaming.guard import Guard, InboundLimits

LIMITS = InboundLimits(
    message_bytes=100, queue_messages=4, queue_bytes=300, messages_per_s=10, bytes_per_s=1000, burst_s=1
)


class Peer:
    """The server's side of one ASGI connection."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.inbound: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        self.drained = asyncio.Event()
        for message in messages:
            self.inbound.put_nowait(message)

    async def receive(self) -> dict[str, Any]:
        if self.inbound.empty():
            self.drained.set()
        message = await self.inbound.get()
        if message["type"] == "websocket.disconnect":
            self.drained.set()
        return message

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)
        if message["type"] == "websocket.close":
            self.drained.set()


def websocket(**headers: str) -> dict[str, Any]:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "websocket", "headers": pairs, "client": ["192.0.2.1", 5], "root_path": "/evil"}


def text(data: str) -> dict[str, Any]:
    return {"type": "websocket.receive", "text": data}


class Seen:
    """An application that keeps the scope it was given."""

    def __init__(self) -> None:
        self.scope: dict[str, Any] | None = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.scope = scope


async def scope_behind(guard_options: dict[str, Any], scope: dict[str, Any]) -> dict[str, Any] | None:
    seen, peer = Seen(), Peer({"type": "websocket.connect"})
    await Guard(seen, allowed_hosts=["vital.example"], **guard_options)(scope, peer.receive, peer.send)
    return seen.scope


async def test_forwarded_headers_and_root_path_of_a_stranger_are_dropped() -> None:
    scope = await scope_behind(
        {}, websocket(daphne_root_path="/x", x_forwarded_for="1.2.3.4", forwarded="for=1", accept="*/*")
    )
    assert scope is not None
    assert scope["headers"] == [(b"accept", b"*/*")]
    assert scope["root_path"] == ""


async def test_a_trusted_proxy_may_forward() -> None:
    scope = await scope_behind(
        {"trusted_proxies": ["192.0.2.0/24"]}, websocket(x_forwarded_for="1.2.3.4", accept="*/*")
    )
    assert scope is not None
    assert (b"x-forwarded-for", b"1.2.3.4") in scope["headers"]


async def test_no_proxy_either_may_set_the_root_path() -> None:
    scope = await scope_behind(
        {"trusted_proxies": ["192.0.2.0/24"]}, websocket(daphne_root_path="/x", accept="*/*")
    )
    assert scope is not None
    assert scope["headers"] == [(b"accept", b"*/*")]
    assert scope["root_path"] == ""


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("6.6.6.6, 198.51.100.7", "198.51.100.7"),
        ("6.6.6.6, 198.51.100.7, 192.0.2.9", "198.51.100.7"),
        ("192.0.2.9", "192.0.2.1"),
        ("", "192.0.2.1"),
    ],
)
async def test_behind_a_proxy_the_client_is_whom_the_nearest_proxy_saw(forwarded: str, client: str) -> None:
    scope = await scope_behind({"trusted_proxies": ["192.0.2.0/24"]}, websocket(x_forwarded_for=forwarded))
    assert scope is not None
    assert scope["client"][0] == client


async def test_a_stranger_does_not_choose_its_address() -> None:
    scope = await scope_behind({}, websocket(x_forwarded_for="6.6.6.6"))
    assert scope is not None
    assert scope["client"][0] == "192.0.2.1"


@pytest.mark.parametrize(
    ("client", "peer"),
    [
        (["192.0.2.1", 5], "192.0.2.1"),
        (["2001:db8:1:2:3:4:5:6", 5], "2001:db8:1:2::/64"),
        (["2001:db8:1:2::ffff", 5], "2001:db8:1:2::/64"),
        (["::ffff:192.0.2.1", 5], "192.0.2.1"),
        (["::1", 5], "::/64"),
        (None, ""),
    ],
)
async def test_what_a_peer_does_is_counted_by_its_address(client: Any, peer: str) -> None:
    scope = await scope_behind({}, websocket(x_forwarded_for="6.6.6.6") | {"client": client})
    assert scope is not None
    assert scope["vital.peer"] == peer


async def test_behind_a_proxy_it_is_the_clients_address() -> None:
    scope = await scope_behind({"trusted_proxies": ["192.0.2.0/24"]}, websocket(x_forwarded_for="6.6.6.6"))
    assert scope is not None
    assert scope["vital.peer"] == "6.6.6.6"


async def test_plain_http_loses_the_same_headers() -> None:
    scope = await scope_behind({}, {**websocket(x_real_ip="1.2.3.4"), "type": "http"})
    assert scope is not None
    assert scope["headers"] == []


async def test_cookies_count_only_with_an_origin() -> None:
    scope = await scope_behind({}, websocket(cookie="session=1", host="vital.example"))
    assert scope is not None
    assert not any(name == b"cookie" for name, _ in scope["headers"])


async def test_the_own_origin_keeps_its_cookie() -> None:
    scope = await scope_behind(
        {}, websocket(cookie="session=1", host="vital.example:8000", origin="http://vital.example:8000")
    )
    assert scope is not None
    assert (b"cookie", b"session=1") in scope["headers"]


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "",
        "http://vital.example:9000",
        "http://vital.example.evil.example",
        "ftp://vital.example",
        "http://[",
    ],
)
async def test_a_foreign_origin_is_refused_before_the_handshake(origin: str) -> None:
    seen, peer = Seen(), Peer({"type": "websocket.connect"})
    guard = Guard(seen, allowed_hosts=["vital.example"])
    await guard(websocket(origin=origin, host="vital.example", cookie="session=1"), peer.receive, peer.send)
    assert seen.scope is None
    assert [message["type"] for message in peer.sent] == ["websocket.close"]


async def test_a_host_that_is_not_ours_makes_no_origin_ours() -> None:
    seen, peer = Seen(), Peer({"type": "websocket.connect"})
    guard = Guard(seen, allowed_hosts=["vital.example"])
    scope = websocket(origin="http://rebound.example", host="rebound.example")
    await guard(scope, peer.receive, peer.send)
    assert seen.scope is None


@pytest.mark.parametrize("allowed", ["*", ".example", "vital.example"])
async def test_allowed_hosts_are_read_as_django_reads_them(allowed: str) -> None:
    seen, peer = Seen(), Peer({"type": "websocket.connect"})
    guard = Guard(seen, allowed_hosts=[allowed])
    await guard(websocket(origin="https://vital.example", host="vital.example"), peer.receive, peer.send)
    assert seen.scope is not None


async def enters(scope: dict[str, Any], **options: Any) -> bool:
    seen, peer = Seen(), Peer({"type": "websocket.connect"})
    guard = Guard(seen, allowed_hosts=["vital.example"], **options)
    await guard(scope, peer.receive, peer.send)
    return seen.scope is not None


@pytest.mark.parametrize(("origin", "ours"), [("http", False), ("https", True)])
@pytest.mark.parametrize("proto", ["https", "https, http"])
async def test_on_an_https_site_an_http_origin_is_not_ours(origin: str, proto: str, ours: bool) -> None:
    headers = {"origin": f"{origin}://vital.example", "host": "vital.example"}
    assert await enters({**websocket(**headers), "scheme": "wss"}) is ours
    proxied = websocket(**headers, x_forwarded_proto=proto)
    assert await enters({**proxied, "scheme": "ws"}, trusted_proxies=["192.0.2.0/24"]) is ours
    assert await enters({**proxied, "scheme": "ws"})  # a stranger's word


async def test_a_trusted_origin_may_differ_from_the_host() -> None:
    seen, peer = Seen(), Peer({"type": "websocket.connect"})
    guard = Guard(seen, allowed_hosts=["inner"], trusted_origins=["https://vital.example"])
    await guard(websocket(origin="https://vital.example", host="inner"), peer.receive, peer.send)
    assert seen.scope is not None


class Gone(Peer):
    """A peer that has left: uvicorn says so when it is sent something."""

    async def send(self, message: dict[str, Any]) -> None:
        self.drained.set()
        raise OSError


async def run_flood(
    *messages: dict[str, Any], limits: InboundLimits = LIMITS, kind: type[Peer] = Peer
) -> tuple[Peer, list[str]]:
    """A peer that sends everything at once to an application that reads only after the flood."""
    peer = kind({"type": "websocket.connect"}, *messages, {"type": "websocket.disconnect", "code": 1000})
    read: list[str] = []

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await peer.drained.wait()
        kind = ""
        while kind != "websocket.disconnect":
            message = await receive()
            kind = message["type"]
            read.append(message.get("text", kind))

    guard = Guard(application, allowed_hosts=["*"], limits=limits, clock=lambda: 0.0)
    await asyncio.wait_for(guard(websocket(), peer.receive, peer.send), 5)
    return peer, read


async def test_messages_pass_in_order() -> None:
    peer, read = await run_flood(text("a"), text("b"))
    assert read == ["websocket.connect", "a", "b", "websocket.disconnect"]
    assert peer.sent == []


async def test_an_oversized_message_closes_with_4400() -> None:
    peer, read = await run_flood(text("x" * 101))
    assert peer.sent[-1]["code"] == 4400
    assert read == ["websocket.disconnect"]


async def test_a_peer_that_left_before_it_could_be_refused_is_a_disconnect() -> None:
    _, read = await run_flood(text("x" * 101), kind=Gone)
    assert read == ["websocket.disconnect"]


async def test_bytes_are_counted_and_not_characters() -> None:
    peer, _ = await run_flood(text("\N{SNOWMAN}" * 34))
    assert peer.sent[-1]["code"] == 4400


async def test_a_full_queue_closes_with_4029() -> None:
    peer, read = await run_flood(*[text("a")] * 5)
    assert peer.sent[-1]["code"] == 4029
    assert read == ["websocket.disconnect"]


async def test_bytes_count_as_well_as_messages() -> None:
    peer, _ = await run_flood(text("x" * 100), text("y" * 100), text("z" * 100), text("!"))
    assert peer.sent[-1]["code"] == 4029


async def test_a_rate_over_the_limit_closes_with_4029() -> None:
    wide = InboundLimits(
        message_bytes=100,
        queue_messages=99,
        queue_bytes=9999,
        messages_per_s=10,
        bytes_per_s=9999,
        burst_s=1,
    )
    peer, _ = await run_flood(*[text("a")] * 11, limits=wide)
    assert peer.sent[-1] == {"type": "websocket.close", "code": 4029, "reason": "rate limit"}


class Turns:
    """An application that says which messages it can take on the spot, and works on others for a while."""

    def __init__(self) -> None:
        self.on_the_spot: list[str] = []
        self.in_turn: list[str] = []
        self.working = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        scope["vital.listen"](self.take)
        while (message := await receive())["type"] != "websocket.disconnect":
            if message.get("text", "").startswith("slow"):
                self.working.set()
                await self.go_on.wait()
            self.in_turn.append(message.get("text", message["type"]))

    def take(self, message: dict[str, Any]) -> bool:
        if not message["text"].startswith("ack"):
            return False
        self.on_the_spot.append(message["text"])
        return True


async def test_a_listener_takes_what_nothing_stands_before() -> None:
    app, peer = Turns(), Peer({"type": "websocket.connect"})
    serving = asyncio.create_task(Guard(app, allowed_hosts=["*"])(websocket(), peer.receive, peer.send))
    await settled()
    for data in ("ack 1", "ack 2", "other", "ack 3"):
        peer.inbound.put_nowait(text(data))
        await settled()
    assert app.on_the_spot == ["ack 1", "ack 2", "ack 3"]
    assert app.in_turn == ["websocket.connect", "other"]
    peer.inbound.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await asyncio.wait_for(serving, 5)


async def test_a_listener_gets_nothing_while_an_earlier_message_is_handled_or_waits() -> None:
    app, peer = Turns(), Peer({"type": "websocket.connect"})
    serving = asyncio.create_task(Guard(app, allowed_hosts=["*"])(websocket(), peer.receive, peer.send))
    await settled()
    peer.inbound.put_nowait(text("slow"))
    await asyncio.wait_for(app.working.wait(), 5)
    peer.inbound.put_nowait(text("ack 1"))
    peer.inbound.put_nowait(text("ack 2"))
    await settled()
    assert app.on_the_spot == []
    app.go_on.set()
    await settled()
    assert app.in_turn == ["websocket.connect", "slow", "ack 1", "ack 2"]
    peer.inbound.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await asyncio.wait_for(serving, 5)


async def test_what_a_listener_would_take_counts_against_the_limits() -> None:
    app, peer = Turns(), Peer({"type": "websocket.connect"})
    guard = Guard(app, allowed_hosts=["*"], limits=LIMITS, clock=lambda: 0.0)
    serving = asyncio.create_task(guard(websocket(), peer.receive, peer.send))
    await settled()
    peer.inbound.put_nowait(text("ack" * 34))
    await asyncio.wait_for(serving, 5)
    assert peer.sent[-1]["code"] == 4400
    assert app.on_the_spot == []


async def settled() -> None:
    """Let every task have its turns."""
    for _ in range(20):
        await asyncio.sleep(0)
