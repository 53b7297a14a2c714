"""The process behind a port of this machine, and the time that it spends; by Linux's /proc, else nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_LISTEN = "0A"
"""Of the states in /proc/net/tcp (include/net/tcp_states.h)."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def server_at(host: str, port: int) -> int | None:
    """The process that listens on this port here; None where it is elsewhere, or somebody else's."""
    if host not in LOOPBACK:
        return None
    sockets = {f"socket:[{inode}]" for inode in _listening(port)}
    if not sockets:
        return None
    for process in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # not ours to look into, or gone
            if any(str(entry.readlink()) in sockets for entry in (process / "fd").iterdir()):
                return int(process.name)
    return None


def cpu_seconds(pid: int) -> float | None:
    """User and system time that the process has spent, to 10 ms; None when it is gone."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _listening(port: int) -> Iterator[str]:
    """The inodes of the sockets that listen there."""
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (_PROC / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]
