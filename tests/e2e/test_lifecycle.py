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


async def _stopped_with_sockets(server: Server, viewers: int) -> tuple[list[Ending], int, float]:
    """Open sockets while a patient streams, then SIGTERM; how each ended, the status, the time it took."""
    with Shell(server) as shell:
        calm, bed = shell.run("admit", "calm"), shell.run("admit", "feed")
        tokens = [shell.run("employ", f"nurse {n}", "Ward a") for n in range(1 + viewers // 60)]
    token = tokens[0]
    async with contextlib.AsyncExitStack() as stack:
        async with steady(server, calm["stream"], calm["token"], token) as others:
            await others.goes_on(3)
        staying = []
        for number in range(viewers):
            opening = viewer(server, tokens[number // 60], bed["stream"])
            staying.append(asyncio.create_task((await stack.enter_async_context(opening)).stay()))
        feed = await stack.enter_async_context(device(server, bed["token"]))
        staying.append(asyncio.create_task(feed.ended()))
        began = time.monotonic()
        server.terminate()
        status = await asyncio.to_thread(server.wait)
        took_s = time.monotonic() - began
        return await asyncio.gather(*staying), status, took_s


@pytest.mark.parametrize("kind", ["daphne", "uvicorn"])
async def test_sigterm_says_goodbye_to_every_socket(request: pytest.FixtureRequest, kind: str) -> None:
    start: StartServer = request.getfixturevalue(kind)
    server = start()
    endings, status, took_s = await _stopped_with_sockets(server, SOCKETS - 1)
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


@pytest.mark.nightly
async def test_sigterm_with_500_sockets(daphne: StartServer) -> None:
    endings, status, took_s = await _stopped_with_sockets(daphne(), 499)
    assert status == 0
    assert [ending.code for ending in endings] == 500 * [CloseCode.GOING_AWAY]
    assert took_s < STOP_S


async def test_what_is_critical_leaves_before_the_close(daphne: StartServer) -> None:
    server = daphne()
    wanted = [f"nobody{n}" for n in range(640)]  # 28 kB of denials: without acks the window takes 12 of them
    with Shell(server) as shell:
        token = shell.run("employ", "nurse", "Ward a")
        async with viewer(server, token) as nurse:
            for number in range(10):
                await nurse.say({"type": "subscribe", "streams": wanted[64 * number : 64 * number + 64]})
                while (await shell.do("audited", "stream.subscribe")).result <= number:
                    pass
            async with viewer(server, token):  # by now the last denial is queued
                server.terminate()
            ending = await nurse.ended()
    assert ending.code == CloseCode.GOING_AWAY
    denied = [item["stream"] for item in nurse.heard if item["type"] == "denied"]
    assert sorted(denied) == sorted(wanted)
    assert await asyncio.to_thread(server.wait) == 0


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
