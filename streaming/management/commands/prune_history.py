"""`manage.py prune_history`: delete what the history's limits give up, now."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from streaming.store import believed, history_limits
from streaming.store.believed import BelievedClock
from streaming.store.history_keeper import record_prune
from streaming.store.history_limits import Limits, Removed
from streaming.store.readiness import require_migrated

ACTOR = "system:command"


class Command(BaseCommand):
    """For after the limits were lowered; a running server does the same every five minutes."""

    help = "Delete what is older than VITAL_HISTORY_HOURS, or beyond VITAL_HISTORY_MAX_MB, and not pinned."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Prune, record it, and say what is gone."""
        require_migrated()
        now = BelievedClock("history", believed.newest_of_history).now()
        removed = Removed()
        try:
            for step in history_limits.prune(Limits.of_settings(), now=now):
                removed += step
        finally:
            if removed:
                record_prune(ACTOR, removed)
        self.stdout.write(f"Deleted {removed}.")
