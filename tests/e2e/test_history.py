"""The history of a real server: every sample in it, and nobody who notices when its database is held up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import sqlite3
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streaming.core.frames import FrameKind
from streaming.ecg.codec import decode
from tests.e2e.peers import DEADLINE_S, chunk, device, viewer
from tests.e2e.shell import Shell
from tests.e2e.steady import steady
from tests.postgres import Postgres
from tests.servers import DaphneServer, Server, StartServer

pytestmark = pytest.mark.server

CHUNK = 25
STOP_S = 5.0


def degraded(server: Server) -> str | None:
    """What /readyz says of the history; it answers 200 in any case."""
    with urllib.request.urlopen(f"{server.url}/readyz", timeout=20) as answer:
        told: dict[str, Any] = json.load(answer)
    said: str | None = told.get("degraded", {}).get("history")
    return said


async def until(condition: Callable[[], bool]) -> None:
    """Ask in a thread, again and again."""

    def ask() -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.1)

    await asyncio.to_thread(ask)


async def stopped_in_time(server: Server) -> None:
    began = time.monotonic()
    server.terminate()
    assert await asyncio.to_thread(server.wait) == 0
    assert time.monotonic() - began < STOP_S


async def test_every_sample_is_in_it_when_the_server_has_stopped(daphne: StartServer) -> None:
    """Eight seconds with a hole that is filled late and one that stays: full chunks, and the rest."""
    server = daphne()
    with Shell(server) as shell:
        bed = shell.run("admit", "recorded")
        order = [n for n in range(80) if n not in {10, 11, 40}] + [10, 11]
        async with device(server, bed["token"]) as sending:
            for number in order:
                await sending.say(chunk(CHUNK * number, number=number))
            await sending.all_taken()  # an ack tells nothing of what fills a hole
        await stopped_in_time(server)
        stored = shell.run("history_of", bed["stream"])
    ramp = list(range(CHUNK))
    assert stored == [
        {"epoch": 1, "first": 0, "samples": 40 * ramp},
        {"epoch": 1, "first": 41 * CHUNK, "samples": 39 * ramp},
    ]


async def test_a_locked_file_costs_no_live_sample_and_in_the_end_no_history(daphne: StartServer) -> None:
    server = daphne()
    with Shell(server) as shell:
        bed, token = shell.run("admit", "locked"), shell.run("employ", "nurse", "Ward a")
        lock = sqlite3.connect(server.var_dir / "history.sqlite3", isolation_level=None)
        with contextlib.closing(lock):
            lock.execute("BEGIN IMMEDIATE")
            async with steady(server, bed["stream"], bed["token"], token) as seen:
                await until(lambda: "database is locked" in (degraded(server) or ""))
                await seen.goes_on(5)
                lock.execute("ROLLBACK")
                await until(lambda: degraded(server) is None)
        await stopped_in_time(server)
        (stored,) = shell.run("history_of", bed["stream"])
    assert stored["first"] == 0
    assert len(stored["samples"]) >= 250 * 5
    assert server.log.count("the history is not stored") == 1
    assert server.log.count("the history is stored again, 0 chunks lost so far") == 1


async def test_a_database_server_that_hangs_holds_up_neither_viewers_nor_the_end(
    migrated_var: Path, postgres: Postgres, tmp_path: Path
) -> None:
    shutil.copytree(migrated_var, var_dir := tmp_path / "var")
    server = DaphneServer(var_dir, env={"HISTORY_DATABASE_URL": postgres.database()})
    server.manage("migrate", "--verbosity", "0")
    with server, Shell(server) as shell:
        bed, token = shell.run("admit", "hanging"), shell.run("employ", "nurse", "Ward a")
        postgres.freeze()
        try:
            async with steady(server, bed["stream"], bed["token"], token) as seen:
                await seen.goes_on(30)
            await stopped_in_time(server)
        finally:
            postgres.thaw()
    assert "chunks that the history did not take" in server.log
    assert "Traceback" not in server.log, server.log[-4000:]


async def test_nor_does_the_one_that_everything_else_is_in(postgres: Postgres, tmp_path: Path) -> None:
    (var_dir := tmp_path / "var").mkdir()
    server = DaphneServer(var_dir, env={"DATABASE_URL": postgres.database()})
    server.manage("migrate", "--verbosity", "0")
    with server, Shell(server) as shell:
        bed, token = shell.run("admit", "hanging"), shell.run("employ", "nurse", "Ward a")
        async with steady(server, bed["stream"], bed["token"], token) as seen:
            postgres.freeze()
            try:
                await seen.goes_on(30)
            except BaseException:
                postgres.thaw()
                raise
        try:
            await stopped_in_time(server)
        finally:
            postgres.thaw()
    assert "a thread has not ended" in server.log
    assert "Traceback" not in server.log, server.log[-4000:]


async def test_a_viewer_that_comes_back_is_sent_what_only_the_history_has(daphne: StartServer) -> None:
    """Four seconds that no process remembers, and one that nobody has; the viewer has the first second."""
    server = daphne()
    with Shell(server) as shell:
        bed, token = shell.run("admit", "read"), shell.run("employ", "nurse", "Ward a")
        async with device(server, bed["token"]) as sending:
            for number in range(40):
                await sending.say(chunk(CHUNK * number, number=number))
            while (await sending.hear("ack"))["next_sample"] != 40 * CHUNK:
                pass
        await stopped_in_time(server)
        with server:
            async with (
                viewer(server, token, bed["stream"]) as peer,
                device(server, bed["token"], next_sample=50 * CHUNK) as sending,
            ):
                await peer.say({"type": "resume", "stream": bed["stream"], "epoch": 1, "next_sample": 250})
                await sending.say(chunk(50 * CHUNK))
                late: set[int] = set()
                missing: set[int] = set()
                async with asyncio.timeout(DEADLINE_S):
                    while not (late == set(range(250, 40 * CHUNK)) and missing >= set(range(1000, 1250))):
                        await peer.hear_any()
                        await peer.ack()
                        for frame in peer.frames:
                            if frame.kind is FrameKind.BACKFILL:
                                count = decode(frame.payload).shape[1]
                                late |= set(range(frame.first, frame.first + count))
                        for gap in (item for item in peer.heard if item["type"] == "gap"):
                            missing |= set(range(gap["from"], gap["to"]))
