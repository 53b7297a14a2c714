"""Whatever happens on a server, each line of its log is an object of JSON without names and secrets."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streaming.exceptions import CloseCode
from tests.e2e.peers import chunk, device, hello, opened, viewer, watch
from tests.e2e.shell import Shell
from tests.e2e.web import Browser
from tests.servers import Server, StartServer

LOUD = "streaming=DEBUG,monitoring=DEBUG,vital=DEBUG,daphne=DEBUG,channels=DEBUG,django=DEBUG,axes=DEBUG"
SAMPLE = 29_417
"""A value that no port, time or count of these few seconds is."""
KNOWN = {"time", "level", "logger", "message", "pid", "request", "connection", "exceptions"}


async def everything(server: Server) -> tuple[list[str], str]:
    """Let people, devices and strangers do what they do.

    Returns what no log may hold, and the id of a connection that was cut.
    """
    with Shell(server) as shell:
        bed = (await shell.do("admit", "Eisvogel-device", "Ward Kingfisher")).result
        other = (await shell.do("admit", "Heron-device", "Ward Pelican")).result
        token = (
            await shell.do("employ", "schwester-rabiata", "Ward Kingfisher", password="hunter2-secret")
        ).result
        boss = {"is_staff": True, "is_superuser": True, "password": "boss-hunter2"}
        await shell.do("employ", "doctor-stork", "Ward Kingfisher", **boss)
        await shell.do("set_profile", stall_s=1.0)

        nurse, doctor = Browser(server), Browser(server)
        with suppress(AssertionError):
            await nurse.sign_in("schwester-rabiata", "wrong-hunter2")
        await nurse.sign_in("schwester-rabiata", "hunter2-secret")
        await doctor.sign_in("doctor-stork", "boss-hunter2")
        for page in ("/", f"/patients/{bed['stream']}/", "/admin/streaming/patient/", "/admin/auth/user/"):
            await doctor.get(page)
        for page in ("/nowhere", "/admin/"):
            with suppress(AssertionError, OSError):
                await nurse.get(page)

        flat = np.full((1, 125), SAMPLE, np.int16)
        async with opened(server, "/ws/device/") as stranger:
            await stranger.say(hello(bed["token"][:-4] + "AAAA"))
            assert (await stranger.ended()).code == CloseCode.UNAUTHENTICATED
        async with (
            device(server, bed["token"]) as feed,
            viewer(server, token, bed["stream"], other["stream"]),
            viewer(server, None, bed["stream"], headers=nurse.socket_headers),
            viewer(server, token) as stalled,
        ):
            await watch(stalled, bed["stream"])
            for number in range(12):
                await feed.say(chunk(125 * number, flat + number % 2, number=number))
                await asyncio.sleep(0.2)
            await feed.say({"type": "alarm", "alarm": "own-1", "state": "on", "sample": 9, "kind": "pump"} | {
                "severity": "medium", "text": "PUMP OF EISVOGEL",
            })  # fmt: skip
            await feed.hear("alarm_stored")
            ending = await stalled.ended()
            assert ending.code == CloseCode.SLOW
            connection = next(said["connection"] for said in stalled.heard if said["type"] == "welcome")
            await feed.say(b"\x00garbage")
            assert (await feed.ended()).code == CloseCode.PROTOCOL
        secrets = [
            *("Eisvogel", "EISVOGEL", "Heron", "Kingfisher", "Pelican", "rabiata", "stork", "hunter2"),
            *(text.partition("_")[2].partition("_")[2] for text in (bed["token"], other["token"], token)),
            *(browser.session_key for browser in (nurse, doctor)),
            str(SAMPLE),
            str(SAMPLE + 1),
        ]
        return secrets, connection


@pytest.fixture
def loud(daphne: StartServer, tmp_path: Path) -> Server:
    """A server that says all it can as JSON, but for Daphne's log of requests."""
    env = {"VITAL_LOG_FORMAT": "json", "VITAL_LOG_LEVELS": LOUD}
    return daphne(env=env, arguments=["--access-log", str(tmp_path / "access.log")])


@pytest.mark.server
async def test_the_log_of_a_busy_server_is_json_about_nobody(loud: Server) -> None:
    secrets, connection = await everything(loud)
    loud.stop()
    entries: list[dict[str, Any]] = [json.loads(line) for line in loud.log.splitlines()]
    assert len(entries) > 30
    for entry in entries:
        assert entry.keys() <= KNOWN
        assert not [secret for secret in secrets if secret in json.dumps(entry)], entry
    said = [entry["logger"] for entry in entries]
    assert {"streaming.backpressure", "streaming.settings_watch", "django.request"} <= set(said)
    assert any("request" in entry for entry in entries)
    (cut,) = [e["message"] for e in entries if e.get("connection") == connection and "is cut" in e["message"]]
    assert cut.startswith("connection is cut")


@pytest.mark.server
async def test_the_log_for_people_is_the_default(daphne: StartServer) -> None:
    server = daphne()
    with suppress(OSError):
        await asyncio.to_thread(urllib.request.urlopen, f"{server.url}/nowhere")
    lines = [line for line in server.log.splitlines() if "Not Found: /nowhere" in line]
    assert len(lines) == 1
    assert lines[0].endswith("]")
    assert "WARNING django.request: Not Found: /nowhere [request " in lines[0]
