"""`manage.py loadtest` as a user types it: what it refuses, what it measures, and what it leaves behind."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from streaming.loadtest.local import cpu_seconds, server_at
from streaming.management.commands import loadtest
from streaming.management.loading import access_from
from tests.servers import ROOT, Server, StartServer

LEFT = """
from django.contrib.auth.models import User
from streaming.models import *
import json
print(json.dumps([
    ApiToken.objects.count(),
    DeviceToken.objects.filter(revoked=None).count(),
    Stream.objects.filter(ended_at=None).count(),
    User.objects.filter(is_active=True).count(),
    Stream.objects.count(),
]))
"""


@pytest.mark.parametrize(
    ("text", "value"),
    [("64kB/s", 64_000), ("1MB/s", 1e6), ("256kbit/s", 32_000), ("2000", 2000), ("1.5 kB/s", 1500)],
)
def test_links_are_read_as_people_write_them(text: str, value: float) -> None:
    assert loadtest.link(text) == value


@pytest.mark.parametrize("text", ["", "fast", "-1kB/s", "1", "100GB/s", "5000MB/s", "64 kB/min"])
def test_a_link_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        loadtest.link(text)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--viewers", "0"], "from 1 to 20000"),
        (["--viewers", "20001"], "from 1 to 20000"),
        (["--patients", "65"], "from 1 to 64"),
        (["--duration", "0"], "more than 0"),
        (["--duration", "1e9"], "at most 86400"),
        (["--link", "1"], "500 B/s"),
        (["--url", "http://x"], "ws://"),
        (["--processes", "100"], "from 1 to 32"),
        (["--tokens", "/no/such/file"], "cannot read the tokens"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_sent(arguments: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        call_command("loadtest", *arguments)


def test_tokens_are_told_apart_by_their_kind(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("# of the test server\nvta_a\n\n vtd_b \nvta_c\n")
    access = access_from(file)
    assert (access.viewers, access.devices) == (("vta_a", "vta_c"), ("vtd_b",))
    assert "vta_a" not in repr(access)
    file.write_text("vtd_b\n")
    with pytest.raises(CommandError, match="no token of a viewer"):
        access_from(file)


def test_more_viewers_than_the_tokens_are_good_for_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("vta_a\n")
    with pytest.raises(CommandError, match="good for 64 viewers at most"):
        call_command("loadtest", "--tokens", str(file), "--viewers", "65")


def test_it_raises_its_own_limit_of_files_or_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Any] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: taken.append(limits))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    loadtest._raise_file_limit(1000)
    assert taken == []
    loadtest._raise_file_limit(2000)
    assert taken == [(2000, 4096)]
    with pytest.raises(CommandError, match="ulimit -Hn 5000"):
        loadtest._raise_file_limit(5000)


async def test_the_process_behind_a_port_of_this_machine_is_found() -> None:
    listening = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening:
        assert server_at("localhost", port) == os.getpid()
        assert server_at("ecg.example.org", port) is None
    assert server_at("127.0.0.1", port) is None
    assert (cpu_seconds(os.getpid()) or 0) > 0
    assert cpu_seconds(2**22 + 1) is None


@pytest.mark.server
async def test_a_few_viewers_for_a_moment_and_nothing_is_left_behind(daphne: StartServer) -> None:
    server = daphne()
    status, out, err = await _loadtest(
        server, "--viewers", "6", "--patients", "2", "--duration", "2", "--link", "64kB/s", "--json"
    )
    assert status == 0, err
    told = json.loads(out)
    assert (told["connected"], told["viewers"], told["patients"]) == (6, 6, 2)
    assert told["renditions"]["lossless"] > 0
    assert told["lost_samples"] == told["repeated_frames"] == told["malformed"] == 0
    assert told["decoded_frames"] > 0
    assert told["age_is_absolute"]
    assert told["age_newest_ms"]["p50"] > 0
    assert told["server_cpu_percent"] is not None
    assert "of 2 s, 6 of 6 viewers" in err
    assert json.loads(server.python(LEFT)) == [0, 0, 0, 0, 2]


@pytest.mark.server
async def test_ctrl_c_ends_it_with_the_figures_so_far(daphne: StartServer) -> None:
    server = daphne()
    process = await _start(server, "--viewers", "2", "--patients", "1", "--duration", "600")
    assert process.stderr is not None
    said = ""
    async with asyncio.timeout(60):
        while "of 600 s" not in said:
            said += (await process.stderr.read(1000)).decode()
        process.send_signal(signal.SIGINT)
        out, _ = await process.communicate()
    assert process.returncode == 0
    assert "2 of 2 viewers connected, 1 patients" in out.decode()
    assert "stopped early" in out.decode()
    assert json.loads(server.python(LEFT))[:4] == [0, 0, 0, 0]


async def test_without_a_server_it_says_so_and_leaves_nothing(migrated_var: Path) -> None:
    listening = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    listening.close()
    await listening.wait_closed()
    tokens = migrated_var.parent / "tokens"
    tokens.write_text("vta_a\n")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "manage.py", "loadtest", "--url", f"ws://127.0.0.1:{port}"),
        *("--tokens", str(tokens), "--viewers", "2"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    assert process.returncode == 1
    assert f"nobody listens at 127.0.0.1:{port}: " in out.decode()
    assert "connecting" not in out.decode(), "it did not even try"
    assert "Is the server running?" in out.decode()
    assert "Traceback" not in out.decode()


async def _start(server: Server, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "manage.py", "loadtest", "--url", server.ws_url, *arguments),
        cwd=ROOT,
        env=server.environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def _loadtest(server: Server, *arguments: str) -> tuple[int | None, str, str]:
    process = await _start(server, *arguments)
    async with asyncio.timeout(90):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()
