"""A PostgreSQL of the tests' own: made in a directory, reached by a socket, ended by its process id."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

USER = "vital"
STOP_DEADLINE_S = 10.0
START_DEADLINE_S = 60.0
_POLL_S = 0.05


class NoPostgresError(Exception):
    """There is none on this machine; the text says what is missing."""


class Postgres:
    """A running server; each `database` is a fresh one."""

    def __init__(self, binaries: Path, directory: Path) -> None:
        self._binaries = binaries
        self._directory = directory
        self._data = directory / "data"
        self._server: subprocess.Popen[bytes] | None = None
        self._made = 0
        # PostgreSQL does not run as root; Debian's package brings a user, and nobody is everywhere.
        self._owner: dict[str, Any] = {}
        if os.geteuid() == 0:
            owner = _unprivileged()
            self._owner = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
            os.chown(directory, owner.pw_uid, owner.pw_gid)

    def make(self) -> None:
        """Make the cluster."""
        self._run(
            "initdb", "-D", str(self._data), "-U", USER, "-A", "trust", "-N", "-E", "UTF8", "--no-locale"
        )

    def start(self) -> None:
        """Start, and wait until it answers. AssertionError with its log when it does not."""
        log = self._directory / "log"
        with log.open("ab") as output:
            self._server = subprocess.Popen(
                [
                    *(str(self._binaries / "postgres"), "-D", str(self._data), "-k", str(self._directory)),
                    *("-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=16MB"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._directory,
                start_new_session=True,
                **self._owner,
            )
        deadline = time.monotonic() + START_DEADLINE_S
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"PostgreSQL did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(_POLL_S)

    def kill(self) -> None:
        """SIGKILL; the backends notice and end."""
        if self._server is not None and self._server.poll() is None:
            self._server.kill()
            self._server.wait(STOP_DEADLINE_S)

    def stop(self) -> None:
        """Fast shutdown: sessions are cut. SIGKILL after a deadline."""
        if self._server is None or self._server.poll() is not None:
            return
        self._server.send_signal(signal.SIGINT)
        try:
            self._server.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def freeze(self) -> None:
        """SIGSTOP to the server and all its sessions: it is there, and does not answer."""
        assert self._server is not None, "not started"
        self._server.send_signal(signal.SIGSTOP)
        while self._state() != "T":  # else it may fork one more, or reap one that has ended
            time.sleep(_POLL_S)
        self._signal_sessions(signal.SIGSTOP)

    def thaw(self) -> None:
        """Undo `freeze`."""
        assert self._server is not None, "not started"
        self._signal_sessions(signal.SIGCONT)
        self._server.send_signal(signal.SIGCONT)

    def database(self) -> str:
        """The URL of a fresh database."""
        self._made += 1
        name = f"vital{self._made}"
        self._run("createdb", "-h", str(self._directory), "-U", USER, name)
        return f"postgres://{USER}@/{name}?host={self._directory}"

    def _answers(self) -> bool:
        asked = [str(self._binaries / "pg_isready"), "-q", "-h", str(self._directory)]
        return subprocess.run(asked, check=False).returncode == 0

    def _state(self) -> str:
        """As Linux has it: T is stopped."""
        assert self._server is not None, "not started"
        return Path(f"/proc/{self._server.pid}/stat").read_text().rpartition(") ")[2][0]

    def _signal_sessions(self, number: int) -> None:
        """Those of a server that is stopped: none comes, and none that has ended is gone."""
        assert self._server is not None, "not started"
        children = Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children").read_text().split()
        for pid in map(int, children):
            os.kill(pid, number)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._binaries / program), *arguments],
            cwd=self._directory,
            capture_output=True,
            text=True,
            check=False,
            **self._owner,
        )
        assert done.returncode == 0, f"{program} failed:\n{done.stdout}{done.stderr}"


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A running server, gone with the block. Raises NoPostgresError."""
    binaries = _binaries()
    # Not in pytest's directory: a socket's path may have 107 bytes, and another user has to get there.
    with tempfile.TemporaryDirectory(prefix="vital-postgres-") as directory:
        server = Postgres(binaries, Path(directory))
        server.make()
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _binaries() -> Path:
    """Where Debian keeps them, newest first, else where the path finds them."""
    versions = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    found = sorted(versions, key=lambda path: float(path.parts[-3]), reverse=True)
    if found:
        return found[0].parent
    on_path = shutil.which("postgres")
    if on_path is None:
        raise NoPostgresError("no PostgreSQL server is installed (apt install postgresql)")
    return Path(on_path).resolve().parent


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NoPostgresError("PostgreSQL does not run as root, and there is no other user")
