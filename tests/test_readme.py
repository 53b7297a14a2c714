"""The README's two programs, run as they are printed: one feeds the server, the other shows what came."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers import ROOT, Server, StartServer

PROGRAMS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
ISSUE_TOKENS = """
import json
from django.contrib.auth.models import User
from streaming.models import Device, Ward
from streaming.store import tokens
device = tokens.issue_device_token(Device.objects.get(name={device!r}), actor="test")
user = User.objects.get(username={user!r})
viewer = tokens.issue_api_token(user, "readme", Ward.objects.all(), actor="test")
print(json.dumps([device.text, viewer.text]))
"""
FRAME = re.compile(r"^\w+ (\d+) \[\[", re.MULTILINE)
"""What the viewer prints of each frame: stream, first sample, microvolts."""


@pytest.mark.server
def test_the_viewer_of_the_readme_prints_what_its_device_sends(daphne: StartServer, tmp_path: Path) -> None:
    device, viewer = PROGRAMS
    server = daphne()
    device_token, viewer_token = tokens_of_the_demo(server)
    output, errors = tmp_path / "output", tmp_path / "errors"
    running = [
        start(viewer, server, viewer_token, output, errors),
        start(device, server, device_token, tmp_path / "nothing", errors),
    ]
    try:
        deadline = time.monotonic() + 60
        while len(indices := [int(first) for first in FRAME.findall(output.read_text())]) < 5:
            assert all(process.poll() is None for process in running), errors.read_text()
            assert time.monotonic() < deadline, output.read_text() + errors.read_text()
            time.sleep(0.05)
    finally:
        for process in running:
            process.kill()
            process.wait()
    assert indices == sorted(set(indices))
    assert errors.read_text() == ""


def start(program: str, server: Server, token: str, output: Path, errors: Path) -> subprocess.Popen[bytes]:
    program = program.replace("ws://127.0.0.1:8000", server.ws_url)
    environment = {**os.environ, "TOKEN": token, "PYTHONUNBUFFERED": "1"}
    with output.open("wb") as stdout, errors.open("ab") as stderr:
        return subprocess.Popen(
            [sys.executable, "-c", program], cwd=ROOT, env=environment, stdout=stdout, stderr=stderr
        )


def tokens_of_the_demo(server: Server) -> tuple[str, str]:
    """A token for the device that replays a record, and one for a viewer of all wards."""
    demo = json.loads(server.manage("setup_demo", "--json"))
    replay = next(bed for bed in demo["beds"] if bed["source"] == "REPLAY")
    device, viewer = json.loads(
        server.python(ISSUE_TOKENS.format(device=replay["device"], user=demo["username"]))
    )
    return device, viewer
