"""`manage.py confirm_clock`: say that the clock is right, after a month without a server for example."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from streaming.store import audit, believed
from streaming.store.readiness import require_migrated

ACTOR = "system:command"


class Command(BaseCommand):
    """For one var directory; its processes act on it when they prune next."""

    help = (
        "Say what the clock says, and which time was believed last: nothing is deleted for its age by a "
        f"clock that is more than {believed.SLACK.days} days ahead of that. With --yes the clock is believed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """One option."""
        parser.add_argument("--yes", action="store_true", help="the clock is right")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Say it, and believe it when told to."""
        require_migrated()
        now, last = timezone.now(), believed.read()
        known = "no time" if last is None else f"{last:%Y-%m-%d %H:%M}"
        self.stdout.write(f"The clock says {now:%Y-%m-%d %H:%M} UTC; {known} was believed last.")
        if not options["yes"]:
            self.stdout.write("Nothing was changed. If the clock is right, add --yes.")
            return
        try:
            believed.write(now)
        except OSError as error:
            raise CommandError(f"it cannot be written: {error}") from error
        audit.record(ACTOR, "clock.confirm", "clock", "done", last=last.isoformat() if last else None)
        self.stdout.write("The clock is believed.")
