"""Real servers in real processes: started on a free port, read from their log, always ended by pid."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, Self

ROOT = Path(__file__).resolve().parent.parent
START_DEADLINE_S = 60.0
"""Ten times what Daphne takes on two busy cores; only a server that hangs gets this far."""
STOP_DEADLINE_S = 8.0
_POLL_S = 0.02
_SETUP = "import django; django.setup()\n"


class Server:
    """One ASGI server process with a var directory of its own.

    Its output goes to a file: a pipe that nobody reads would stop the server once full. The figures of
    `rss_bytes` and `cpu_seconds` come from Linux's /proc.
    """

    def __init__(
        self, command: Sequence[str], listening: re.Pattern[str], var_dir: Path, env: Mapping[str, str]
    ) -> None:
        self.var_dir = var_dir
        self.env = dict(env)
        self.port = 0
        self.log_path = var_dir / "server.log"
        self._command = list(command)
        self._listening = listening
        self._process: subprocess.Popen[bytes] | None = None

    # -- life

    def start(self, *, ready: bool = True, timeout_s: float = START_DEADLINE_S) -> Self:
        """Start the process and wait until it listens, and (unless `ready=False`) until /readyz says 200.

        Raises AssertionError with the end of the log when it ends or does not get there in time.
        """
        assert self._process is None or self._process.poll() is not None, "already running"
        self.log_path.write_bytes(b"")
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._until(self._has_port, timeout_s, "did not say where it listens")
            if ready:
                self._until(self._is_ready, timeout_s, "did not become ready")
        except BaseException:
            self.kill()
            raise
        return self

    def start_again(self, port: int) -> Self:
        """Start a server that has ended on the port that it had, as a service does."""
        at = self._command.index("-p" if "-p" in self._command else "--port") + 1
        self._command[at] = str(port)
        return self.start()

    def terminate(self) -> None:
        """Send SIGTERM and return at once; `wait` tells how it went."""
        self._running().send_signal(signal.SIGTERM)

    def wait(self, timeout_s: float = STOP_DEADLINE_S) -> int:
        """Wait for the process to end; its exit status."""
        return self._running().wait(timeout_s)

    def stop(self) -> None:
        """End the process: SIGTERM, a deadline, then SIGKILL. Safe to call twice."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, as a crash would; returns when the process is gone."""
        process = self._process
        if process is not None and process.poll() is None:
            process.kill()
            process.wait(STOP_DEADLINE_S)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- addresses and figures

    @property
    def url(self) -> str:
        """http://127.0.0.1:<port>"""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """ws://127.0.0.1:<port>"""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The server's process id; signals in tests go to this and no other."""
        return self._running().pid

    @property
    def log(self) -> str:
        """Everything that the server has written so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def rss_bytes(self) -> int:
        """Resident memory now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def cpu_seconds(self) -> float:
        """User and system time spent so far, to 10 ms."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # -- the same database from beside it

    def environment(self) -> dict[str, str]:
        """The environment of the server and of everything run beside it."""
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "vital.settings",
            "PYTHONUNBUFFERED": "1",
            "VITAL_VAR_DIR": str(self.var_dir),
            **self.env,
        }

    def manage(self, *arguments: str, timeout_s: float = 120.0) -> str:
        """Run `manage.py` with the server's database; what it printed. AssertionError when it fails."""
        return run([sys.executable, "manage.py", *arguments], self.environment(), timeout_s)

    def python(self, code: str, timeout_s: float = 120.0) -> str:
        """Run Python code in a process of its own, Django set up as in the server; what it printed."""
        return run([sys.executable, "-c", _SETUP + code], self.environment(), timeout_s)

    # -- waiting

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not started"
        return self._process

    def _has_port(self) -> bool:
        if found := self._listening.search(self.log):
            self.port = int(found[1])
        return found is not None

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def _until(self, condition: Callable[[], bool], timeout_s: float, complaint: str) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            status = self._running().poll()
            if status is not None or time.monotonic() > deadline:
                ended = "" if status is None else f" and ended with status {status}"
                raise AssertionError(f"{self._command[2]} {complaint}{ended}:\n{self.log[-4000:]}")
            time.sleep(_POLL_S)


class DaphneServer(Server):
    """`daphne vital.asgi:application`, as a user runs it, on a port that the kernel chose."""

    def __init__(
        self, var_dir: Path, *, env: Mapping[str, str] | None = None, arguments: Sequence[str] = ()
    ) -> None:
        command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", "0", *arguments]
        listening = re.compile(r"Listening on TCP address 127\.0\.0\.1:(\d+)")
        super().__init__([*command, "vital.asgi:application"], listening, var_dir, env or {})


class UvicornServer(Server):
    """The same application on uvicorn: lifespan events, back-pressure in `send`, another WebSocket engine."""

    def __init__(
        self, var_dir: Path, *, env: Mapping[str, str] | None = None, arguments: Sequence[str] = ()
    ) -> None:
        command = [sys.executable, "-m", "uvicorn", "--host", "127.0.0.1", "--port", "0", *arguments]
        listening = re.compile(r"running on http://127\.0\.0\.1:(\d+)")
        super().__init__([*command, "vital.asgi:application"], listening, var_dir, env or {})


class StartServer(Protocol):
    """What the server fixtures hand out: start one more server; it ends with the fixture."""

    def __call__(
        self, *, env: Mapping[str, str] | None = None, arguments: Sequence[str] = (), ready: bool = True
    ) -> Server: ...


@contextmanager
def servers(
    kind: type[DaphneServer] | type[UvicornServer], template: Path, directory: Path
) -> Iterator[StartServer]:
    """A function that starts servers of this kind, each on its own copy of a migrated var directory."""
    started: list[Server] = []

    def start(
        *, env: Mapping[str, str] | None = None, arguments: Sequence[str] = (), ready: bool = True
    ) -> Server:
        var_dir = directory / f"var{len(started)}"
        shutil.copytree(template, var_dir)
        server = kind(var_dir, env=env, arguments=arguments)
        started.append(server)
        return server.start(ready=ready)

    try:
        yield start
    finally:
        for server in started:
            server.stop()


def migrated(var_dir: Path) -> Path:
    """Make a var directory with every table in it."""
    var_dir.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "VITAL_VAR_DIR": str(var_dir)}
    run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], environment, 120.0)
    return var_dir


def run(command: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> str:
    """Run a command in the project's directory; its standard output. AssertionError when it fails."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, f"{command[1:3]} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout
