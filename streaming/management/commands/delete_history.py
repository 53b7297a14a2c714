"""`manage.py delete_history`: delete stored ECG of a stream, of a patient, or of before a time."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from streaming.models import Patient, Stream
from streaming.store import history, history_limits
from streaming.store.history_keeper import record_deletion
from streaming.store.history_limits import Removed
from streaming.store.readiness import require_migrated

ACTOR = "system:command"


class Command(BaseCommand):
    """What is being sent meanwhile is stored as before: end the admission first."""

    help = "Delete stored ECG for good, pinned or not. Without --yes it only says what there is."

    def add_arguments(self, parser: CommandParser) -> None:
        """Options."""
        whose = parser.add_mutually_exclusive_group()
        whose.add_argument("--stream", help="of this stream (an admission)")
        whose.add_argument("--patient", metavar="PSEUDONYM", help="of all admissions of this patient")
        parser.add_argument(
            "--before",
            type=_time,
            help="what began before then: 2026-11-26T12:00, UTC unless it says otherwise, or now",
        )
        parser.add_argument("--yes", action="store_true", help="delete it")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Delete, record it, and say what is gone."""
        require_migrated()
        before: datetime | None = options["before"]
        if not (options["stream"] or options["patient"] or before):
            raise CommandError("say what to delete: --stream, --patient or --before")
        target, streams = _target(options["stream"], options["patient"])
        if not options["yes"]:
            self._tell(streams, before)
            return
        removed = Removed()
        try:
            for step in history_limits.delete(streams=streams, before=before):
                removed += step
        finally:
            asked = {"before": before.isoformat()} if before else {}
            record_deletion(ACTOR, target, removed, **asked)
        self.stdout.write(f"Deleted {removed}.")

    def _tell(self, streams: list[str] | None, before: datetime | None) -> None:
        found = history.sizes(streams)
        if not found:
            self.stdout.write("Nothing is stored of that, so there is nothing to delete.")
            return
        patients = dict(Stream.objects.values_list("pk", "patient__pseudonym"))
        for stored in found:
            self.stdout.write(f"{stored.stream}  {patients.get(stored.stream, 'unknown')}  {stored}")
        what = f"what of this began before {before:%Y-%m-%d %H:%M:%S} UTC" if before else "all of this"
        self.stdout.write(f"Nothing was deleted. Add --yes to delete {what}.")


def _target(stream: str | None, patient: str | None) -> tuple[str, list[str] | None]:
    """How the audit trail names what is deleted, and the streams; None for all."""
    if stream is not None:
        return f"stream:{stream}", [stream]  # which may be unknown here by now
    if patient is not None:
        found = Patient.objects.filter(pseudonym=patient).first()
        if found is None:
            raise CommandError(f"there is no patient {patient}")
        return f"patient:{found.pk}", list(Stream.objects.filter(patient=found).values_list("pk", flat=True))
    return "history", None


def _time(text: str) -> datetime:
    if text == "now":
        return datetime.now(UTC)
    try:
        at = datetime.fromisoformat(text)
        at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ArgumentTypeError(f"write it like 2026-11-26T12:00, or now: {text!r}") from None
    if at > datetime.now(UTC):
        raise ArgumentTypeError(
            f"{at:%Y-%m-%d %H:%M} UTC is in the future: say now to mean all that there is"
        )
    return at
