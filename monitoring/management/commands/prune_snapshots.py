"""`manage.py prune_snapshots`: condense and delete old metrics snapshots, now."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from monitoring.rollup import Limits, Step, upkeep
from streaming.store.readiness import require_migrated

TELL_EVERY_S = 2.0


class Command(BaseCommand):
    """For after the limits were lowered; a running server does the same every ten minutes."""

    help = (
        "Make rows of minutes and hours of metrics snapshots, and delete those that are older than "
        "VITAL_SNAPSHOT_FULL_DAYS, VITAL_SNAPSHOT_MINUTE_DAYS and VITAL_SNAPSHOT_HOUR_DAYS. "
        "May be broken off and repeated, beside running servers."
    )

    def handle(self, *_args: Any, verbosity: int = 1, **_options: Any) -> None:
        """Do it, tell every two seconds how far it is, and at the end what was done."""
        require_migrated()
        done, tell_at = Step(), time.monotonic() + TELL_EVERY_S
        for step in upkeep(Limits.of_settings(), timezone.now()):
            done += step
            if verbosity and time.monotonic() >= tell_at:
                tell_at = time.monotonic() + TELL_EVERY_S
                self.stdout.write(f"{done} so far ...")
                self.stdout.flush()
        self.stdout.write(f"{done}.")
