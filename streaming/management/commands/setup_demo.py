"""`manage.py setup_demo`: the demo's wards, patients, devices and login."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from streaming import command_line
from streaming.store import demo
from streaming.store.readiness import require_migrated


class Command(BaseCommand):
    """Prints the password once, when it makes it; run it again and it keeps what is there."""

    help = "Make the demo's wards, patients, devices and login; a second run keeps what is there."

    def add_arguments(self, parser: CommandParser) -> None:
        """Options."""
        parser.add_argument("--reset-password", action="store_true", help="give the login a new password")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Set up, and say what a person needs to sign in."""
        require_migrated()
        try:
            made = demo.set_up(reset_password=options["reset_password"])
        except ValueError as error:
            raise CommandError(str(error)) from None
        if options["json"]:
            self.stdout.write(json.dumps(_as_dict(made)))
            return
        self.stdout.write(f"{len(demo.BEDS)} patients in {demo.WARD}.")
        self.stdout.write(f"  User      {made.username}")
        if made.password is None:
            self.stdout.write("  Password  as it was printed the first time.")
            again = command_line.here("manage.py", "setup_demo", "--reset-password")
            self.stdout.write(f"            For a new one: {again}")
        else:
            self.stdout.write(f"  Password  {made.password}")
            self.stdout.write("            It is not shown again.")


def _as_dict(made: demo.Demo) -> dict[str, Any]:
    return {
        "username": made.username,
        "password": made.password,
        "beds": [
            {
                "bed": bed.bed,
                "patient": bed.patient,
                "ward": demo.WARD,
                "device": bed.device,
                "source": bed.source.value,
                "content": bed.content,
                "stream": made.streams[bed.bed],
            }
            for bed in demo.BEDS
        ],
    }
