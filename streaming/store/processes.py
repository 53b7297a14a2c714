"""Which server processes run, and under which settings, by what each of them writes every few seconds.

All functions block. One statement each, two when a process is new.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import DurationField, ExpressionWrapper, F
from django.db.models.functions import Now

from streaming.models_processes import ServerProcess

REPORT_S = 5.0
GONE_AFTER = timedelta(seconds=3 * REPORT_S)
"""A process that did not write for so long has most likely ended without a word."""
FORGOTTEN_AFTER = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A version of the profiles that a process cannot use, and why."""

    version: int
    reason: str


@dataclass(frozen=True, slots=True)
class Process:
    """One process as it last told; `silent_s` is how long ago that was."""

    name: str
    host: str
    pid: int
    version: int
    refusal: Refusal | None
    silent_s: float

    @property
    def is_gone(self) -> bool:
        """Whether it has not told anything for too long."""
        return self.silent_s > GONE_AFTER.total_seconds()


def report(process: str, version: int, refusal: Refusal | None) -> None:
    """This process runs, with this version of the profiles."""
    told = {
        "host": socket.gethostname()[:255],
        "pid": os.getpid(),
        "settings_version": version,
        "refused_version": refusal.version if refusal else None,
        "refusal": refusal.reason if refusal else "",
        "seen_at": Now(),
    }
    if not ServerProcess.objects.filter(pk=process).update(**told):
        ServerProcess.objects.filter(seen_at__lt=Now() - FORGOTTEN_AFTER).delete()
        ServerProcess.objects.create(process=process, **told)


def leave(process: str) -> None:
    """This process ends."""
    ServerProcess.objects.filter(pk=process).delete()


def known() -> list[Process]:
    """Those that told something in the last minutes, also those that ended without a word."""
    silent = ExpressionWrapper(Now() - F("seen_at"), output_field=DurationField())
    recent = ServerProcess.objects.filter(seen_at__gte=Now() - FORGOTTEN_AFTER).annotate(silent=silent)
    return [
        Process(
            row.process,
            row.host,
            row.pid,
            row.settings_version,
            None if row.refused_version is None else Refusal(row.refused_version, row.refusal),
            row.silent.total_seconds(),
        )
        for row in recent
    ]
