"""The outermost ASGI wrapper: what a peer may claim, and how much it may push at us."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from streaming import log_context
from streaming.core import messages
from streaming.core.token_bucket import TokenBucket
from streaming.exceptions import RETRY_AFTER_MS, CloseCode
from streaming.log_context import Work, WorkKind

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Any]
Send = Callable[[Message], Any]
App = Callable[[Scope, Receive, Send], Any]

FORWARDED = frozenset({b"forwarded", b"x-real-ip"})
"""Headers that only a proxy may set; whatever starts with x-forwarded- belongs to them too."""
ROOT_PATH = b"daphne-root-path"
"""Daphne believes it, no proxy filters it, and VITAL is never mounted below a path: nobody may set it."""


@dataclass(frozen=True, slots=True)
class InboundLimits:
    """What one WebSocket peer may send.

    A sixteen-lead device at 2 kHz and twentyfold speed sends 200 chunks and about 1 MB a second,
    so that the defaults leave it room for a resend. No valid message is longer than 64 KiB.
    """

    message_bytes: int = 64 * 1024
    queue_messages: int = 256
    queue_bytes: int = 1024 * 1024
    messages_per_s: float = 500.0
    bytes_per_s: float = 4.0 * 1024 * 1024
    burst_s: float = 4.0


class Guard:
    """Wraps the whole application.

    - Headers that name the client's address or scheme are dropped unless the connection comes from a trusted
      proxy; proxies append to what the client wrote. Behind one, the client's address is the rightmost one in
      `X-Forwarded-For` that is not ours. `Daphne-Root-Path` is dropped always.
    - `scope["vital.relayed"]` is whether such headers were dropped: then the client's address is that of a
      proxy for which nobody vouches, and says nothing about who asks.
    - A WebSocket whose `Origin` is present but not ours is refused (on an https site an http origin, which
      anybody on the way may forge, is not); without one its cookies are ignored, so that it has to
      authenticate by its first message.
    - WebSocket messages are taken from the server at once into a bounded queue (Daphne's own queue has no
      bound: 300,000 unread messages cost 500 MB); who overflows it, or a rate, is closed with 4029.
    - `scope["vital.peer"]` is the address for which the application counts what a peer does: of IPv6 the
      network of 64 bits, in which one host may have any number of them.
    - An application that can take some messages on the spot says so by `scope["vital.listen"](listener)`:
      `listener(message)` is called with what comes while nothing else waits or is being handled, and what it
      returns True for goes no further. An ack of a viewer needs no turn of a task then.
    """

    def __init__(
        self,
        app: App,
        *,
        allowed_hosts: Sequence[str],
        trusted_origins: Sequence[str] = (),
        trusted_proxies: Sequence[str] = (),
        limits: InboundLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._allowed_hosts = tuple(host.lower() for host in allowed_hosts)
        self._trusted_origins = frozenset(origin.lower() for origin in trusted_origins)
        self._proxies = tuple(ipaddress.ip_network(proxy) for proxy in trusted_proxies)
        self._limits = limits or InboundLimits()
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        scope = self._believable(scope)
        if scope["type"] == "http":
            with log_context.working_for(Work.new(WorkKind.REQUEST)):
                await self._app(scope, receive, send)
            return
        origin = _header(scope, b"origin")
        if origin is None:
            scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"cookie"]
        elif not self._origin_is_ours(origin, _header(scope, b"host"), secure=_is_secure(scope)):
            await receive()
            await send({"type": "websocket.close", "code": CloseCode.FORBIDDEN})
            return
        await self._run_websocket(scope, receive, send)

    def _believable(self, scope: Scope) -> Scope:
        """The scope without what this peer has no say in."""
        if self._is_proxy(_address_of(scope)):
            client, headers, relayed = self._forwarded_client(scope), scope["headers"], False
        else:
            client, headers = scope.get("client"), list(_without_forwarded(scope["headers"]))
            relayed = len(headers) < len(scope["headers"])
        kept = [(name, value) for name, value in headers if name != ROOT_PATH]
        return {**scope, "client": client, "root_path": "", "headers": kept, "vital.relayed": relayed}

    async def _run_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        inbound = _Inbound(self._limits, self._clock)
        told = {"vital.listen": inbound.listen, "vital.peer": _network_of(_address_of(scope))}
        drain = asyncio.create_task(inbound.drain(receive, send))
        try:
            await self._app(scope | told, inbound.receive, inbound.unless_refused(send))
        finally:
            drain.cancel()
            await asyncio.gather(drain, return_exceptions=True)

    def _is_proxy(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._proxies)

    def _forwarded_client(self, scope: Scope) -> Any:
        """The client as the nearest proxy saw it: the rightmost address that is not a proxy of ours.

        What stands further left was written by the client, who may write anything.
        """
        hops = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
        for hop in reversed(hops.decode("latin-1").split(",")):
            address = hop.strip()
            if address and not self._is_proxy(address):
                return [address, 0]
        return scope.get("client")

    def _origin_is_ours(self, origin: str, host: str | None, *, secure: bool) -> bool:
        """Same host as the request's, which must itself be allowed; or listed as trusted."""
        origin = origin.lower()
        if origin in self._trusted_origins:
            return True
        try:
            parts = urlsplit(origin)
        except ValueError:  # such as "http://["
            return False
        if (
            parts.scheme not in (("https",) if secure else ("http", "https"))
            or host is None
            or parts.netloc != host.lower()
        ):
            return False
        return self._host_is_allowed(parts.hostname or "")

    def _host_is_allowed(self, host: str) -> bool:
        for allowed in self._allowed_hosts:
            if allowed in ("*", host) or allowed == f"[{host}]":
                return True
            if allowed.startswith(".") and (host == allowed[1:] or host.endswith(allowed)):
                return True
        return False


class _Inbound:
    """The bounded queue between the server's `receive` and the application's."""

    def __init__(self, limits: InboundLimits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._queue: deque[Message] = deque()
        self._queued_bytes = 0
        self._arrived = asyncio.Event()
        self._awaited = False
        """Whether the application has handled all it took, and waits for more."""
        self._listener: Callable[[Message], bool] | None = None
        self._refused = False
        now = clock()
        self._messages = TokenBucket(limits.messages_per_s, limits.messages_per_s * limits.burst_s, now)
        self._bytes = TokenBucket(limits.bytes_per_s, limits.bytes_per_s * limits.burst_s, now)

    async def drain(self, receive: Receive, send: Send) -> None:
        """Take every message at once; end at the disconnect, or when the peer breaks a limit."""
        while True:
            message = await receive()
            if message["type"] == "websocket.receive":
                refusal = self._refusal(_size(message))
                if refusal is not None:
                    code, reason = refusal
                    self._refused = True
                    # Daphne sends no reason with a close, so that the bye is where it is read.
                    bye = messages.bye(code, reason, retry_after_ms=RETRY_AFTER_MS.get(code))
                    try:
                        await send({"type": "websocket.send", "text": bye})
                        await send({"type": "websocket.close", "code": int(code), "reason": reason})
                    finally:  # also when the peer has left; last, because the application's end is ours
                        self._end({"type": "websocket.disconnect", "code": int(code)})
                    return
                if self._was_taken(message):
                    continue
            self._put(message)
            if message["type"] == "websocket.disconnect":
                return

    def listen(self, listener: Callable[[Message], bool]) -> None:
        """Offer `listener` each message for which the application would have no others to handle first."""
        self._listener = listener

    async def receive(self) -> Message:
        """The application's `receive`."""
        while not self._queue:
            self._arrived.clear()
            self._awaited = True
            try:
                await self._arrived.wait()
            finally:
                self._awaited = False
        message = self._queue.popleft()
        self._queued_bytes -= _size(message)
        return message

    def unless_refused(self, send: Send) -> Send:
        """The application's `send`, which says nothing more to a peer that is being cut."""

        async def send_unless_refused(message: Message) -> None:
            if not self._refused:
                await send(message)

        return send_unless_refused

    def _was_taken(self, message: Message) -> bool:
        """Whether the listener has done with it; it is asked while nothing stands before the message."""
        listener = self._listener
        return listener is not None and self._awaited and not self._queue and listener(message)

    def _refusal(self, size: int) -> tuple[CloseCode, str] | None:
        limits = self._limits
        if size > limits.message_bytes:
            return CloseCode.PROTOCOL, f"message over {limits.message_bytes} bytes"
        if len(self._queue) >= limits.queue_messages or self._queued_bytes + size > limits.queue_bytes:
            return CloseCode.RATE_LIMIT, "messages arrive faster than they can be read"
        now = self._clock()
        if not self._messages.take(1, now) or not self._bytes.take(size, now):
            return CloseCode.RATE_LIMIT, "rate limit"
        return None

    def _put(self, message: Message) -> None:
        self._queue.append(message)
        self._queued_bytes += _size(message)
        self._arrived.set()

    def _end(self, message: Message) -> None:
        """Nothing that came before matters to a peer that is being cut."""
        self._queue.clear()
        self._queued_bytes = 0
        self._put(message)


def _address_of(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _network_of(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # such as none at all, of a Unix socket
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, 64), strict=False))


def _size(message: Message) -> int:
    text = message.get("text") or ""
    return len(message.get("bytes") or (text if text.isascii() else text.encode()))


def _header(scope: Scope, name: bytes) -> str | None:
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value).decode("latin-1")
    return None


def _is_secure(scope: Scope) -> bool:
    """Whether the peer is known to have come by TLS; a proxy that is not trusted leaves it unknown."""
    forwarded = _header(scope, b"x-forwarded-proto") or ""
    hops = {hop.strip().lower() for hop in forwarded.split(",")}
    return scope.get("scheme") == "wss" or not hops.isdisjoint({"https", "wss"})


def _without_forwarded(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
    for name, value in headers:
        if name not in FORWARDED and not name.startswith(b"x-forwarded-"):
            yield name, value
