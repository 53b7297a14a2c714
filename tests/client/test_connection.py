"""When a client tries again, how long it waits, and what it takes for an answer."""

from __future__ import annotations

import asyncio
import http
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from streaming.client.connection import (
    BACKOFF_CAP_S,
    RETRY_AFTER_LIMIT_S,
    Connector,
    Line,
    reconnect_delay,
    terminal_error,
)
from streaming.core import messages
from streaming.core.client_messages import viewer_hello
from streaming.exceptions import (
    RETRY_AFTER_MS,
    AuthenticationError,
    CloseCode,
    ForbiddenError,
    ProtocolError,
)
from tests.client.peer import NoWait, port_of, say_bye, server

RETRIED = [None, 1000, 1001, 1006, 1008, 1011, 1012, 1013, 4100, 4101, 4199]
NAMED = [4000, 4008, 4009, 4012, 4029, 4099]
FINAL = [1002, 1003, 1007, 1009, 4400, 4401, 4403, 4499]


@given(code=st.sampled_from(RETRIED), attempt=st.integers(0, 10_000), seed=st.integers())
def test_jitter_is_full_and_capped(code: int | None, attempt: int, seed: int) -> None:
    delay = reconnect_delay(code, attempt, None, random.Random(seed))
    assert delay is not None
    assert 0 <= delay <= min(BACKOFF_CAP_S, 0.5 * 2.0 ** min(attempt, 20))


def test_jitter_reaches_from_zero_to_its_bound() -> None:
    rng = random.Random(7)
    delays = [reconnect_delay(1006, 3, None, rng) or 0.0 for _ in range(2000)]
    assert min(delays) < 0.1
    assert 3.9 < max(delays) <= 4.0


@given(code=st.sampled_from(NAMED), asked_ms=st.floats(0, 250_000), attempt=st.integers(0, 20))
def test_a_named_time_is_waited_out_in_full(code: int, asked_ms: float, attempt: int) -> None:
    delay = reconnect_delay(code, attempt, asked_ms, random.Random(attempt))
    assert delay is not None
    assert delay >= asked_ms / 1000
    assert delay <= asked_ms / 1000 + BACKOFF_CAP_S


def test_whom_an_operator_has_cut_comes_back_after_half_a_minute() -> None:
    assert reconnect_delay(CloseCode.CUT, 0, RETRY_AFTER_MS[CloseCode.CUT], NoWait()) == 30.0


def test_a_lost_bye_means_one_second() -> None:
    assert reconnect_delay(4012, 0, None, NoWait()) == 1.0


@pytest.mark.parametrize(("asked_ms", "floor_s"), [(1e12, RETRY_AFTER_LIMIT_S), (-5.0, 0.0)])
def test_an_absurd_named_time_is_clamped(asked_ms: float, floor_s: float) -> None:
    assert reconnect_delay(4012, 0, asked_ms, NoWait()) == floor_s


@pytest.mark.parametrize("code", FINAL)
def test_a_final_code_is_not_tried_again(code: int) -> None:
    assert reconnect_delay(code, 0, 10.0, random.Random(1)) is None


@pytest.mark.parametrize(
    ("code", "kind"), [(4400, ProtocolError), (4401, AuthenticationError), (4403, ForbiddenError)]
)
def test_a_final_code_has_its_error(code: int, kind: type[ProtocolError]) -> None:
    error = terminal_error(code, "because")
    assert type(error) is kind
    assert error.reason == "because"


@pytest.mark.parametrize("url", ["http://localhost", "localhost:8000", "ws://", "ws://host?token=x", ""])
def test_a_url_that_is_no_server_root_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="root of a WebSocket server"):
        Connector(url, "/ws/viewer/")


def test_a_trailing_slash_does_not_double() -> None:
    assert Connector("ws://localhost:8000/", "/ws/viewer/").url == "ws://localhost:8000/ws/viewer/"


def connector(url: str, rng: random.Random | None = None) -> Connector:
    return Connector(url, "/ws/viewer/", rng=rng or NoWait())


async def greet(line: Line) -> None:
    await line.greet(viewer_hello())


@pytest.mark.parametrize(
    ("code", "kind"),
    [(4400, ProtocolError), (4401, AuthenticationError), (4403, ForbiddenError)],
)
async def test_a_refused_hello_ends_it_with_the_typed_error(code: int, kind: type[ProtocolError]) -> None:
    async def talk(socket: ServerConnection) -> None:
        await socket.recv()
        await say_bye(socket, code, "no")

    async with server(talk) as url:
        with pytest.raises(kind, match="no"):
            await connector(url).run(greet)


async def test_a_server_without_the_subprotocol_is_refused() -> None:
    async def talk(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async with serve(talk, "127.0.0.1", 0) as plain:
        with pytest.raises(ProtocolError, match=r"does not speak vital\.v1"):
            await connector(f"ws://127.0.0.1:{port_of(plain)}").run(greet)


@pytest.mark.parametrize("text", ['{"type":"roster"}', '{"type":"welcome","protocol":"vital.v2"}', "[]", "{"])
async def test_a_first_message_that_is_no_welcome_is_refused_with_4400(text: str) -> None:
    closed: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def talk(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(text)
        await socket.wait_closed()
        closed.set_result(socket.close_code)

    async with server(talk) as url:
        with pytest.raises(ProtocolError):
            await connector(url).run(greet)
        assert await closed == CloseCode.PROTOCOL


@pytest.mark.parametrize(
    ("status", "kind"), [(401, AuthenticationError), (403, ForbiddenError), (404, ProtocolError)]
)
async def test_a_refused_handshake_has_its_typed_error(status: int, kind: type[ProtocolError]) -> None:
    async with refusing([status]) as (url, _):
        with pytest.raises(kind, match=str(status)):
            await connector(url).run(greet)


async def test_a_busy_or_failing_server_is_tried_again() -> None:
    async with refusing([500, 503, 429, 403]) as (url, asked):
        with pytest.raises(ForbiddenError):
            await connector(url).run(greet)
        assert asked == [500, 503, 429, 403]


async def test_failures_in_a_row_wait_longer_and_longer() -> None:
    rng = NoWait()
    async with refusing([500] * 8 + [403]) as (url, _):
        with pytest.raises(ForbiddenError):
            await connector(url, rng).run(greet)
    assert rng.bounds == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


async def test_a_server_that_is_not_there_is_waited_for() -> None:
    async def talk(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(messages.welcome(connection="c", server_ms=0.0))
        await socket.wait_closed()

    async with server(talk) as url:
        gone = url
    waits = asyncio.Event()

    class Watched(NoWait):
        def uniform(self, a: float, b: float) -> float:
            waits.set()
            return super().uniform(a, b)

    line = connector(gone, Watched())
    running = asyncio.create_task(line.run(greet))
    async with asyncio.timeout(5):
        await waits.wait()
    assert line.problem is not None
    assert "cannot connect" in line.problem
    async with server(talk, port=int(gone.rsplit(":", 1)[1])), asyncio.timeout(10):
        await running


async def test_the_time_named_in_a_bye_is_kept() -> None:
    opened: list[float] = []

    async def talk(socket: ServerConnection) -> None:
        opened.append(asyncio.get_running_loop().time())
        await socket.recv()
        if len(opened) == 1:
            await say_bye(socket, CloseCode.GOING_AWAY, "restarting", retry_after_ms=200)
        await socket.send(messages.welcome(connection="c", server_ms=0.0))
        await socket.wait_closed()

    async with server(talk) as url:
        await connector(url, NoWait()).run(greet)
    assert opened[1] - opened[0] >= 0.2


@asynccontextmanager
async def refusing(statuses: list[int]) -> AsyncIterator[tuple[str, list[int]]]:
    """A server that refuses handshakes with these statuses, in order; and those that it has used."""
    used: list[int] = []

    def refuse(socket: ServerConnection, request: Request) -> Response:
        used.append(statuses[len(used)])
        return socket.respond(http.HTTPStatus(used[-1]), "no\n")

    async def talk(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async with serve(talk, "127.0.0.1", 0, process_request=refuse) as started:
        yield f"ws://127.0.0.1:{port_of(started)}", used
