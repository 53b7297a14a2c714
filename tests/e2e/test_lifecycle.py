"""How a server starts, says that it is well, and ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from streaming import command_line
from streaming.exceptions import CloseCode
from tests.e2e.peers import Ending, device, viewer
from tests.e2e.shell import Shell
from tests.e2e.steady import steady
from tests.servers import DaphneServer, Server, StartServer, UvicornServer

pytestmark = pytest.mark.server

SOCKETS = 20
STOP_S = 5.0


async def _stopped_with_sockets(server: Server) -> tuple[list[Ending], int, float]:
    """Open sockets while a patient streams, then SIGTERM; how each ended, the status, the time it took."""
    with Shell(server) as shell:
        calm, bed = shell.run("admit", "calm"), shell.run("admit", "feed")
        token = shell.run("employ", "nurse", "Ward a")
    async with contextlib.AsyncExitStack() as stack:
        async with steady(server, calm["stream"], calm["token"], token) as others:
            await others.goes_on(3)
        connecting = [
            device(server, bed["token"]),
            *(viewer(server, token, bed["stream"]) for _ in range(SOCKETS - 1)),
        ]
        peers = [await stack.enter_async_context(peer) for peer in connecting]
        endings = [asyncio.create_task(peer.ended()) for peer in peers]
        began = time.monotonic()
        server.terminate()
        status = await asyncio.to_thread(server.wait)
        took_s = time.monotonic() - began
        return await asyncio.gather(*endings), status, took_s


@pytest.mark.parametrize("kind", ["daphne", "uvicorn"])
async def test_sigterm_says_goodbye_to_every_socket(request: pytest.FixtureRequest, kind: str) -> None:
    start: StartServer = request.getfixturevalue(kind)
    server = start()
    endings, status, took_s = await _stopped_with_sockets(server)
    assert len(endings) == SOCKETS
    if kind == "daphne":
        assert status == 0
        assert {ending.code for ending in endings} == {CloseCode.GOING_AWAY}
        assert {ending.reason for ending in endings} == {"server is going away"}
        assert all(ending.bye and ending.bye["retry_after_ms"] > 0 for ending in endings)
    else:
        # uvicorn ends by the signal that it was sent, once all is done.
        assert status == -signal.SIGTERM
        assert "Application shutdown complete" in server.log
        # uvicorn closes what is open by itself, with 1012 (service restart), before it says shutdown.
        assert {ending.code for ending in endings} <= {CloseCode.GOING_AWAY, 1012}
    assert took_s < STOP_S
    assert "Traceback" not in server.log, server.log[-4000:]


@pytest.mark.parametrize("kind", [DaphneServer, UvicornServer])
def test_unmigrated_database_is_named_and_ends_the_process(
    kind: type[DaphneServer] | type[UvicornServer], tmp_path: Path
) -> None:
    server = kind(tmp_path)
    with contextlib.suppress(AssertionError):  # it may end before or after it listens
        server.start()
    assert server.wait() != 0
    assert f"Run: {command_line.here('manage.py', 'migrate')}" in server.log
    assert "Traceback" not in server.log


def test_probes_answer(daphne: StartServer) -> None:
    server = daphne()
    assert _probe(server, "healthz") == (200, {"status": "ok"})
    assert _probe(server, "readyz") == (200, {"status": "ok"})


def test_not_ready_while_the_database_is_away(daphne: StartServer) -> None:
    server = daphne()
    database = server.var_dir / "db.sqlite3"
    database.rename(away := server.var_dir / "away.sqlite3")
    try:
        status, answer = _probe(server, "readyz")
        assert (status, list(answer["reasons"])) == (503, ["database"])
        assert _probe(server, "healthz")[0] == 200
    finally:
        for made in server.var_dir.glob("db.sqlite3*"):
            made.unlink()
        away.rename(database)


def test_not_ready_while_the_layer_is_away(daphne: StartServer) -> None:
    server = daphne(env={"REDIS_URL": "unix:///nonexistent/valkey.sock"}, ready=False)
    status, answer = _probe(server, "readyz")
    assert (status, sorted(answer["reasons"])) == (503, ["layer", "process"])
    assert _probe(server, "healthz")[0] == 200


def test_ready_as_soon_as_the_layer_is_there(daphne: StartServer, valkey_url: str, tmp_path: Path) -> None:
    later = tmp_path / "later.sock"
    server = daphne(env={"REDIS_URL": f"unix://{later}"}, ready=False)
    deadline = time.monotonic() + 20
    status, answer = _probe(server, "readyz")
    while "cannot start yet" not in server.log:
        assert time.monotonic() < deadline, server.log
        status, answer = _probe(server, "readyz")
    assert (status, answer["reasons"]["process"]) == (503, "starting")
    later.symlink_to(valkey_url.removeprefix("unix://"))
    while status != 200:
        assert time.monotonic() < deadline, server.log
        status, _ = _probe(server, "readyz")
    assert server.log.count("cannot start yet") == 1
    assert server.log.count("started, after all") == 1


def _probe(server: Server, name: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"{server.url}/{name}", timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
