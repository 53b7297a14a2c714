"""make.py: what it says when something is missing, and that it ends all that it started."""

from __future__ import annotations

import ast
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

import make
from tests.servers import ROOT

PAUSE = "import signal; signal.pause()"
STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
)
PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, '-c', {PAUSE!r}])
print(child.pid, flush=True)
child.wait()
"""


class Version(NamedTuple):
    major: int
    minor: int
    micro: int


@pytest.fixture
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A make.py whose virtual environment is empty, and whose python is ours."""
    monkeypatch.setattr(make, "VENV", tmp_path)
    monkeypatch.setattr(make, "PYTHON", sys.executable)
    return tmp_path


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[make.Crew]:
    """A crew whose end does not leave this process deaf to Ctrl-C."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    crew = make.Crew(tmp_path)
    yield crew
    crew.stop()
    for number, handler in handlers.items():
        signal.signal(number, handler)


def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended but is not yet reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


# -- what is missing


def test_old_python_parses_the_script() -> None:
    ast.parse((ROOT / "make.py").read_text(), feature_version=(3, 7))


def test_old_python_is_told_which_one_is_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", Version(3, 9, 2))
    assert make.main(["demo"]) == 2
    assert "needs Python 3.11 or newer" in capsys.readouterr().out


def test_missing_venv_module_names_the_package(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "works", lambda command: False)
    with pytest.raises(make.MakeError, match="apt install python3-venv"):
        make.install("demo")


def test_failed_pip_shows_what_it_said(venv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(make.MakeError, match="hashes do not match"):
        make.narrate([sys.executable, "-c", "print('hashes do not match'); raise SystemExit(1)"], 10)


def test_taken_port_is_named_with_its_holder_before_anything_is_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(make, "install", lambda lock: pytest.fail("started something"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert make.main(["demo", "--port", str(port)]) == 2
    said = capsys.readouterr().out
    assert f"Port {port} cannot be used" in said
    assert f"by process {os.getpid()}" in said
    (other,) = set(re.findall(r"(?:PORT=|--port )(\d+)", said))
    assert make.refusal(int(other)) is None


def test_port_that_is_proposed_is_free_and_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = {8000, 8001, 65535, 80}
    monkeypatch.setattr(make, "refusal", lambda port: "in use" if port in taken else None)
    for port, other in ((8000, 8002), (65535, 8002), (80, 1024)):
        with pytest.raises(make.MakeError, match=f"make demo PORT={other}`.* --port {other}`"):
            make.require_free(port)


def test_help_says_how_to_take_another_port(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        make.main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "else VITAL_PORT, else 8000" in said
    assert "make demo PORT=8080" in said


@pytest.mark.parametrize("text", ["abc", "0", "65536", "-1", "8000.0"])
def test_port_that_is_none_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    monkeypatch.setenv("VITAL_PORT", text)
    with pytest.raises(SystemExit, match="2"):
        make.main(["demo"])
    said = capsys.readouterr().err
    assert f"{text!r} is not a port" in said
    assert "VITAL_PORT" in said


def test_port_is_the_one_given_else_of_the_environment_else_8000(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VITAL_PORT", raising=False)
    assert make.parse(["demo"]).port == 8000
    monkeypatch.setenv("VITAL_PORT", "8100")
    assert make.parse(["demo"]).port == 8100
    assert make.parse(["demo", "--port", "8200"]).port == 8200


@pytest.mark.parametrize(("ci", "status"), [("", None), ("true", 1)], ids=["skips", "fails in CI"])
def test_missing_npm_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ci: str, status: int | None
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert make.check_javascript() == status
    assert "npm is not installed" in capsys.readouterr().out


def test_every_check_runs_though_the_first_one_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[str] = []

    def run(command: list[str], extra: object = None) -> int:
        ran.append(" ".join(command[-3:]))
        return int(len(ran) == 1)

    monkeypatch.setattr(make, "install", lambda lock: None)
    monkeypatch.setattr(make, "run", run)
    monkeypatch.setattr(make, "check_javascript", lambda: None)
    assert make.main(["check"]) == 1
    said = capsys.readouterr().out
    assert len(ran) == 9
    assert (said.count("FAILED"), said.count("  ok"), said.count("skipped")) == (1, 7, 1)


def test_every_bench_runs_but_what_they_share(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def run(command: list[str]) -> int:
        ran.append(command[-1])
        return 0

    monkeypatch.setattr(make, "install", lambda lock: None)
    monkeypatch.setattr(make, "run", run)
    assert make.main(["bench"]) == 0
    assert ran == [
        "bench.adaptation",
        "bench.alarm_latency",
        "bench.alarms",
        "bench.browser",
        "bench.capacity",
        "bench.central",
        "bench.cluster",
        "bench.codec",
        "bench.detector",
        "bench.fanout",
        "bench.history",
        "bench.latency",
        "bench.levels",
        "bench.live",
        "bench.monitoring",
        "bench.outage",
        "bench.renditions",
        "bench.resume",
        "bench.review",
        "bench.slow_client",
        "bench.stalled",
        "bench.throughput",
    ]
    ran.clear()
    assert make.main(["bench", "--", "fanout"]) == 0
    assert ran == ["bench.fanout"]


def test_nightly_goes_on_without_a_fuzzer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[str] = []

    def install(lock: str) -> None:
        if lock == "fuzz":
            raise make.MakeError("no wheel")

    def run(command: list[str], extra: object = None) -> int:
        ran.append(command[-1])
        return 0

    monkeypatch.setattr(make, "install", install)
    monkeypatch.setattr(make, "provide_chromium", lambda: None)
    monkeypatch.setattr(make, "run", run)
    assert make.main(["nightly"]) == 0
    assert ran[:3] == ["nightly", "tests.mutants", "bench.adaptation"]
    assert "no wheel" in capsys.readouterr().out


# -- what is installed


def test_nothing_is_installed_twice(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed: list[int] = []
    monkeypatch.setattr(make, "narrate", lambda command, lines: installed.append(lines))
    make.install("demo")
    make.install("demo")
    assert len(installed) == 1


def test_changed_lock_is_installed_again(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed: list[int] = []
    monkeypatch.setattr(make, "narrate", lambda command, lines: installed.append(lines))
    make.install("demo")
    make.stamp("demo").write_text("of another content")
    make.install("demo")
    assert len(installed) == 2


def test_larger_lock_serves_for_a_smaller(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make.stamp("check").write_text(make.digest("check"))
    monkeypatch.setattr(make, "narrate", lambda command, lines: pytest.fail("installed again"))
    make.install("demo")


def test_failed_installation_is_tried_again(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make.stamp("demo").write_text(make.digest("demo"))

    def fail(command: object, lines: int) -> None:
        raise make.MakeError("no network")

    monkeypatch.setattr(make, "narrate", fail)
    with pytest.raises(make.MakeError):
        make.install("test")
    assert not make.is_installed("demo")  # half an installation of another lock lies over it


# -- what is started


def test_all_processes_end_with_their_children(crew: make.Crew, tmp_path: Path) -> None:
    crew.start("one", [sys.executable, "-c", PARENT])
    crew.start("two", [sys.executable, "-c", PAUSE])
    log = tmp_path / "one.log"
    until(lambda: log.read_text().endswith("\n"))
    child = int(log.read_text())
    assert is_alive(child)
    crew.stop()
    until(lambda: not is_alive(child))
    assert [process.returncode for _, process in crew._members] == [-signal.SIGTERM, -signal.SIGTERM]


def test_process_that_ignores_the_request_is_killed(
    crew: make.Crew, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "STOP_DEADLINE_S", 0.3)
    crew.start("stubborn", [sys.executable, "-c", STUBBORN])
    until(lambda: (tmp_path / "stubborn.log").read_text() == "up\n")
    crew.stop()
    assert [process.returncode for _, process in crew._members] == [-signal.SIGKILL]


def test_death_of_one_is_reported_with_the_end_of_its_log(crew: make.Crew) -> None:
    crew.start("well", [sys.executable, "-c", PAUSE])
    crew.start("feed", [sys.executable, "-c", "raise SystemExit('no patients')"])
    with pytest.raises(make.MakeError, match=r"feed ended with status 1\.(.|\n)*no patients"):
        crew.wait_for_an_end()


def test_server_that_dies_while_it_is_waited_for_is_reported(crew: make.Crew) -> None:
    crew.start("daphne", [sys.executable, "-c", "raise SystemExit('no such table')"])
    with pytest.raises(make.MakeError, match="no such table"):
        crew.wait_until_ready("http://127.0.0.1:9/readyz", 20.0)


def test_server_that_never_gets_ready_is_given_up(crew: make.Crew) -> None:
    crew.start("daphne", [sys.executable, "-c", PAUSE])
    with pytest.raises(make.MakeError, match="not ready after 0 s"):
        crew.wait_until_ready("http://127.0.0.1:9/readyz", 0.0)


def test_proxy_of_the_environment_is_not_asked_for_our_own_server(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ready(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with HTTPServer(("127.0.0.1", 0), Ready) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert make.answers(f"http://127.0.0.1:{server.server_port}/readyz")


# -- the demo itself


@pytest.mark.server
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_demo_serves_the_page_and_ends_all_it_started(tmp_path: Path, number: signal.Signals) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # As a user runs it, but with the packages of this run; and by `&`, for which a shell ignores SIGINT.
    script = f"""
import make, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
make.PYTHON = {sys.executable!r}
make.install = lambda lock: None
sys.exit(make.main(["demo", "--port", "{port}"]))
"""
    output = tmp_path / "output"
    with output.open("wb") as log:
        demo = subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env={**os.environ, "VITAL_VAR_DIR": str(tmp_path / "var")},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    started: list[int] = []
    try:
        until(lambda: "VITAL runs at" in output.read_text() or demo.poll() is not None, 180.0)
        assert demo.poll() is None, output.read_text()
        assert re.search(r"[Pp]assword", output.read_text())
        assert make.answers(f"http://127.0.0.1:{port}/")
        children = Path(f"/proc/{demo.pid}/task/{demo.pid}/children").read_text()
        started = [int(pid) for pid in children.split()]
        assert len(started) == 2
        demo.send_signal(number)
        assert demo.wait(20) == 0
        assert "Stopped." in output.read_text()
        assert not any(map(is_alive, started))
    finally:
        for pid in filter(is_alive, [demo.pid, *started]):
            os.kill(pid, signal.SIGKILL)
