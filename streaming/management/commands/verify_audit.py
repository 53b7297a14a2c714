"""`manage.py verify_audit`: whether audit trail and alarm journal are what was written."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from streaming.store import audit, open_alarms, verification
from streaming.store.head_log import HeadLog
from streaming.store.readiness import require_migrated
from streaming.store.verification import Report

ACTOR = "system:command"
NAMED = 20
"""Alarms that an entry of the audit trail names."""


class Command(BaseCommand):
    """For a daily job, and for whoever has to show that nothing was changed; servers may run meanwhile."""

    help = (
        "Verify the audit trail and the alarm journal: hashes, chains, signed checkpoints, the file "
        "audit-heads.log, and the table of open alarms. Exit status 1 when anything is changed, missing or "
        "cut off."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Two options."""
        parser.add_argument("--json", action="store_true", help="print one object instead of lines")
        parser.add_argument(
            "--repair",
            action="store_true",
            help="make the table of open alarms what their entries add up to, before anything else",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Read all of it, and say what was found."""
        require_migrated()
        repaired = self._repair() if options["repair"] else []
        report = verification.verify(HeadLog())
        if options["json"]:
            self.stdout.write(json.dumps({**asdict(report), "repaired": repaired}))
        else:
            self.stdout.writelines(f"REPAIRED {each}\n" for each in repaired)
            self._say(report)
        if report.faults:
            sys.exit(1)

    def _repair(self) -> list[str]:
        repaired = open_alarms.repair()
        if repaired:
            alarms = [each.alarm for each in repaired[:NAMED]]
            audit.record(ACTOR, "journal.repair", "alarms", "done", count=len(repaired), alarms=alarms)
        return [str(each) for each in repaired]

    def _say(self, report: Report) -> None:
        for fault in report.faults:
            self.stdout.write(f"FAULT {fault}")
        for name, checked in report.trails.items():
            self.stdout.write(
                f"{name}: {checked.entries:,} entries in {checked.chains:,} chains, by "
                f"{checked.checkpoints:,} checkpoints; {checked.unmarked:,} entries since the last of these"
            )
        for log in report.elsewhere:
            self.stdout.write(f"Checkpoints of these trails lie in {log}: verify there as well.")
        count = len(report.faults)
        self.stdout.write(f"{count:,} fault{'' if count == 1 else 's'}." if count else "All is whole.")
