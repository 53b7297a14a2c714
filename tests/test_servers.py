"""The test infrastructure itself: a test that cannot fail is a defect, so is a fixture that hides one."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers import Server

if TYPE_CHECKING:
    from tests.browser import Chromium

LISTENING = re.compile(r"port (\d+)")
SERVE = """
import http.server, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", 0), Ready)
print("port", server.server_port, flush=True)
print("x" * 1_000_000, flush=True)  # more than any pipe holds
server.serve_forever()
"""


def test_server_is_ready_measured_and_ended(tmp_path: Path) -> None:
    with Server([sys.executable, "-c", SERVE], LISTENING, tmp_path, {}) as server:
        assert server.port > 0
        assert server.rss_bytes() > 1_000_000
        assert server.cpu_seconds() > 0
        pid = server.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_server_that_dies_says_why(tmp_path: Path) -> None:
    server = Server([sys.executable, "-c", "raise SystemExit('no such port')"], LISTENING, tmp_path, {})
    with pytest.raises(AssertionError, match=r"ended with status 1:\n.*no such port"):
        server.start()


def test_server_that_never_listens_is_ended_at_the_deadline(tmp_path: Path) -> None:
    server = Server([sys.executable, "-c", "import signal; signal.pause()"], LISTENING, tmp_path, {})
    with pytest.raises(AssertionError, match="did not say where it listens"):
        server.start(timeout_s=0.2)
    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)


@pytest.mark.valkey
async def test_valkey_answers(valkey_url: str) -> None:
    from redis.asyncio import Redis

    async with Redis.from_url(valkey_url) as client:
        assert await client.echo("hello") == b"hello"


@pytest.mark.browser
async def test_page_remembers_an_uncaught_error(chromium: Chromium) -> None:
    watched = await chromium.page()
    async with watched.page.expect_event("pageerror"):
        await watched.page.set_content("<script>console.error('first'); throw new Error('second')</script>")
    assert [complaint.partition(" (")[0] for complaint in watched.complaints] == [
        "error: first",
        "uncaught: second",
    ]
