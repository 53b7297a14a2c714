"""What this process may use of its machine, and how large its databases are; asking blocks."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any

from django.db import DatabaseError, connections

_CGROUP = Path("/sys/fs/cgroup")
"""Of control groups, version 2, as a container sees its own; elsewhere the process's path lies below it."""
_OF_SELF = Path("/proc/self/cgroup")
_ALIASES = {"default": "database_mb", "history": "history_mb", "journal": "journal_mb"}


def facts() -> dict[str, float | None]:
    """Columns of a usage snapshot: limits of the machine, and sizes of the databases. None: not known.

    A database that cannot be asked has no size. Databases that are one count once, as the first.
    """
    return {"cores": cores(), "memory_limit_mb": memory_limit_mb(), **sizes()}


def cores() -> float:
    """That this process may use at once, by its affinity and its control group."""
    allowed = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    for line in _told_by_groups("cpu.max"):
        quota, _, period = line.partition(" ")
        if quota != "max":
            allowed = min(allowed, int(quota) / int(period))
    return allowed


def memory_limit_mb() -> float | None:
    """Of the control group, if it has one; else all of the machine's. All processes in it share it."""
    limits = [int(line) / 1e6 for line in _told_by_groups("memory.max") if line != "max"]
    with contextlib.suppress(OSError, ValueError):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e6)
    return min(limits, default=None)


def sizes() -> dict[str, float | None]:
    """Of each database, and what is free where their files are."""
    found: dict[str, float | None] = dict.fromkeys((*_ALIASES.values(), "disk_free_mb"))
    seen: set[tuple[Any, ...]] = set()
    free = []
    for alias, column in _ALIASES.items():
        given = connections[alias].settings_dict
        place = tuple(given.get(name) for name in ("ENGINE", "NAME", "HOST", "PORT"))
        if place in seen:
            continue
        seen.add(place)
        if given["ENGINE"].endswith("sqlite3"):
            file = Path(given["NAME"])
            found[column] = sum(map(_file_mb, (file, file.with_name(f"{file.name}-wal"))))
            with contextlib.suppress(OSError):
                free.append(shutil.disk_usage(file.parent).free / 1e6)
        else:
            found[column] = _server_mb(alias)
    found["disk_free_mb"] = min(free, default=None)
    return found


def _told_by_groups(name: str) -> list[str]:
    """What the process's control group and those above it say under this name."""
    told = []
    path = _CGROUP
    with contextlib.suppress(OSError):
        own = _OF_SELF.read_text().strip().rpartition("::")[2].strip("/")
        path = _CGROUP / own
    for directory in (path, *path.parents):
        if not directory.is_relative_to(_CGROUP):
            break
        with contextlib.suppress(OSError):
            told.append((directory / name).read_text().strip())
    return told


def _file_mb(path: Path) -> float:
    try:
        return path.stat().st_size / 1e6
    except OSError:
        return 0.0


def _server_mb(alias: str) -> float | None:
    """PostgreSQL's own word for it; None where that cannot be had: the rest is worth storing."""
    try:
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            row = cursor.fetchone()
    except DatabaseError:
        return None
    return None if row is None else row[0] / 1e6
