"""How a client reaches a VITAL server, when it tries again, and when that is no use."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl as ssl_module
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from streaming.core.client_messages import MAX_SERVER_TEXT_BYTES, client_bye, parse_server_messages
from streaming.core.frames import SUBPROTOCOL
from streaming.exceptions import AuthenticationError, CloseCode, ForbiddenError, ProtocolError

BACKOFF_BASE_S = 0.5
BACKOFF_CAP_S = 30.0
RETRY_AFTER_DEFAULT_S = 1.0
"""The wait of a 4000-4099 close whose `bye` got lost."""
RETRY_AFTER_LIMIT_S = 300.0
"""The longest wait that a server may ask for: a wrong number must not silence a device for a day."""
URGENT_WAIT_S = 5.0
"""What is urgent waits for no more than this, whatever the server has asked for."""
STABLE_S = 5.0
"""A connection that lived this long ends a row of failures: the next wait is short again."""
OPEN_TIMEOUT_S = 10.0
WELCOME_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
PING_INTERVAL_S, PING_TIMEOUT_S = 5.0, 10.0
"""A dead network shows within 15 s: half of what a device keeps to send again."""

_HOPELESS = frozenset({1002, 1003, 1007, 1009, 1010})
"""RFC 6455 codes by which a peer says that what we send is wrong: it would be wrong again."""
_WORTH_RETRYING = frozenset({408, 425, 429})
"""HTTP answers below 500 that are about the moment."""

logger = logging.getLogger(__name__)


def reconnect_delay(
    code: int | None, attempt: int, retry_after_ms: float | None, rng: random.Random
) -> float | None:
    """Seconds to wait before connection attempt number `attempt` (from 0) of a row; None: do not try again.

    `code` is the close code, None when there was no connection to close. The wait is full jitter,
    uniform(0, min(30 s, 0.5 s * 2^attempt)): after a restart a thousand clients come back spread out, not in
    step. Codes 4000-4099 add it to the time that the server's `bye` named.
    """
    if code is not None and (4400 <= code <= 4499 or code in _HOPELESS):
        return None
    jitter = rng.uniform(0.0, min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2.0 ** min(attempt, 16)))
    if code is None or not 4000 <= code <= 4099:
        return jitter
    asked = RETRY_AFTER_DEFAULT_S if retry_after_ms is None else retry_after_ms / 1000.0
    return min(max(asked, 0.0), RETRY_AFTER_LIMIT_S) + jitter


def terminal_error(code: int | None, reason: str) -> ProtocolError:
    """The typed error for a close that `reconnect_delay` calls final."""
    match code:
        case CloseCode.UNAUTHENTICATED:
            return AuthenticationError(reason or "the server refused the token")
        case CloseCode.FORBIDDEN:
            return ForbiddenError(reason or "the server does not allow this")
        case _:
            return ProtocolError(reason or f"the server closed with {code}")


class Line:
    """One open WebSocket that speaks vital.v1, and remembers the server's `bye`."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.leaving = False
        """Set by `leave`: whoever reads goes on reading, to the closing handshake, and sends no more."""
        self.bye: Mapping[str, Any] | None = None

    async def greet(self, hello: str) -> list[dict[str, Any]]:
        """Send `hello` and return the server's first message, which opens with its `welcome`.

        Raises ProtocolError for another first message, TimeoutError when none comes.
        """
        await self.send(hello)
        async with asyncio.timeout(WELCOME_TIMEOUT_S):
            message = await self.receive()
        if self.bye is not None:
            await self._socket.recv()  # raises the close that follows, which has the code
        if isinstance(message, bytes) or not message or not _is_welcome(message[0]):
            raise ProtocolError("the server's first message is not a vital.v1 welcome")
        return message

    async def receive(self) -> bytes | list[dict[str, Any]]:
        """The next message: a bundle's bytes, or the JSON objects of a text message.

        Safe to cancel: the message stays for the next call. Raises ProtocolError for what is not strict JSON,
        websockets' ConnectionClosed at the end.
        """
        message = await self._socket.recv()
        if isinstance(message, bytes):
            return message
        items = parse_server_messages(message)
        for item in items:
            if item["type"] == "bye":
                self.bye = item
        return items

    async def send(self, message: bytes | str) -> None:
        """Send one bundle or one JSON text; waits while the network takes no more."""
        await self._socket.send(message)

    async def leave(self) -> None:
        """Say `bye`, let the server close, else close; quiet when the connection is already gone.

        Somebody must go on reading meanwhile, or the closing handshake is never seen.
        """
        self.leaving = True
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S / 2):
                await self.send(client_bye())
                await self._socket.wait_closed()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S / 2):
                await self._socket.close()


def require_root(url: str) -> SplitResult:
    """The parts of a server's root, `ws://host:port` or `wss://host`. Raises ValueError for anything else."""
    parts = urlsplit(url)
    if parts.scheme not in {"ws", "wss"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"not the root of a WebSocket server, ws://host:port or wss://host: {url!r}")
    return parts


class Connector:
    """Keeps one conversation with a server going over any number of connections.

    `url` is the server's root (`ws://host:port` or `wss://host`), `path` the endpoint. `ssl` replaces the
    default TLS context of a wss URL, `headers` go with the handshake (a cookie, an Origin). The attributes
    tell how it goes: `connected` (welcomed), `reconnects`, `problem` (the last one, for people), and the
    `close_code` that came with it.
    """

    def __init__(
        self,
        url: str,
        path: str,
        *,
        ssl: ssl_module.SSLContext | None = None,
        headers: Mapping[str, str] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        parts = require_root(url)
        if ssl is not None and parts.scheme != "wss":
            raise ValueError("an SSL context needs a wss:// URL")
        self.url = url.rstrip("/") + path
        self.connected = False
        self.reconnects = 0
        self.problem: str | None = None
        self.close_code: int | None = None
        self.urgent = asyncio.Event()
        """Set while something waits that must not wait long: the next attempt comes within URGENT_WAIT_S."""
        self._headers = dict(headers or {})
        self._rng = rng or random.SystemRandom()
        self._options: dict[str, Any] = {} if ssl is None else {"ssl": ssl}
        if parts.hostname in {"localhost", "127.0.0.1", "::1"}:
            self._options["proxy"] = None  # a proxy of the environment cannot reach our own loopback

    async def run(self, talk: Callable[[Line], Awaitable[None]]) -> None:
        """Connect and `talk`, again and again, until `talk` returns or leaves.

        `talk` greets first and calls `welcomed`. Raises ProtocolError, AuthenticationError or ForbiddenError
        when trying again is no use; everything that time may heal is waited out.
        """
        loop = asyncio.get_running_loop()
        attempt = 0
        while True:
            opened = loop.time()
            line: Line | None = None
            code: int | None = None
            try:
                async with self._open() as socket:
                    line = Line(socket)
                    await talk(line)
                    return
            except ConnectionClosed as closed:
                if line is not None and line.leaving:
                    return
                code, reason = last_words(line, closed)
                code = 1006 if code is None else code
                self.problem = f"connection closed ({code}{': ' + reason if reason else ''})"
            except InvalidStatus as error:
                code, reason = _judge_http(error.response.status_code)
                self.problem = reason
            except (OSError, TimeoutError, InvalidHandshake, EOFError) as error:
                reason = str(error)
                self.problem = f"cannot connect to {self.url}: {reason or type(error).__name__}"
            finally:
                was_connected, self.connected = self.connected, False
            if was_connected and loop.time() - opened >= STABLE_S:
                attempt = 0
            self.close_code = code
            bye = (line.bye if line else None) or {}
            delay = reconnect_delay(code, attempt, _number(bye.get("retry_after_ms")), self._rng)
            if delay is None:
                raise terminal_error(code, reason)
            logger.warning("%s; trying again in %.1f s", self.problem, delay)
            await self._wait(delay)
            attempt += 1
            self.reconnects += was_connected

    async def _wait(self, delay_s: float) -> None:
        if delay_s <= URGENT_WAIT_S:
            await asyncio.sleep(delay_s)
            return
        urgent_s = self._rng.uniform(URGENT_WAIT_S / 2, URGENT_WAIT_S)
        await asyncio.sleep(urgent_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay_s - urgent_s):
                await self.urgent.wait()

    def welcomed(self) -> None:
        """Note that the server accepted us on the present connection."""
        self.connected = True
        self.problem = self.close_code = None

    @contextlib.asynccontextmanager
    async def _open(self) -> AsyncIterator[ClientConnection]:
        async with connect(
            self.url,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            additional_headers=self._headers,
            compression=None,  # the payloads are compressed already; deflate would cost 50 us each
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=PING_INTERVAL_S,
            ping_timeout=PING_TIMEOUT_S,
            max_size=MAX_SERVER_TEXT_BYTES,
            **self._options,
        ) as socket:
            if socket.subprotocol != SUBPROTOCOL:
                raise ProtocolError(f"the server at {self.url} does not speak vital.v1")
            try:
                yield socket
            except ProtocolError as error:
                await socket.close(CloseCode.PROTOCOL, error.reason[:120])
                raise


class Client:
    """What a device and a viewer both tell about the conversation that they keep."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector

    @property
    def connected(self) -> bool:
        """Whether the server has welcomed us on a connection that still stands."""
        return self._connector.connected

    @property
    def reconnects(self) -> int:
        """Connections lost after their welcome."""
        return self._connector.reconnects

    @property
    def problem(self) -> str | None:
        """What went wrong last, for people; None while connected."""
        return self._connector.problem

    @property
    def close_code(self) -> int | None:
        """The code that the last connection was closed with; None while connected, or where none came."""
        return self._connector.close_code


def _is_welcome(item: Mapping[str, Any]) -> bool:
    return item["type"] == "welcome" and item.get("protocol") == SUBPROTOCOL


def refuse_unknown(item: Mapping[str, Any]) -> None:
    """What to do with a message of a type that we do not know: skip it, unless it must be understood."""
    if item.get("must_understand") is True:
        raise ProtocolError("the server sent a message that has to be understood, and is not")


def _judge_http(status: int) -> tuple[int | None, str]:
    """The close code that an HTTP refusal of the handshake amounts to, None where time may heal it."""
    reason = f"the server refused the connection (HTTP {status})"
    if status >= 500 or status in _WORTH_RETRYING:
        return None, reason
    match status:
        case 401:
            return CloseCode.UNAUTHENTICATED, reason
        case 403:
            return CloseCode.FORBIDDEN, reason
        case _:
            return CloseCode.PROTOCOL, reason


def last_words(line: Line | None, closed: ConnectionClosed) -> tuple[int | None, str]:
    """The close code, None where none came, and why.

    The `bye` gives the whole reason; a close frame has room for 123 bytes of it, and Daphne's holds none.
    """
    code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (None, "")
    said = line.bye.get("reason") if line and line.bye else None
    return code, said if isinstance(said, str) else reason


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
