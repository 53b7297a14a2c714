"""`manage.py export_history`: stored ECG of a stream as WFDB, EDF+, CSV or FHIR, in a zip file."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from streaming.export.archive import ExportFormat, pieces
from streaming.models import Stream
from streaming.store import export as stored
from streaming.store.readiness import require_migrated

ACTOR = "system:command"


class Command(BaseCommand):
    """It is in the audit trail, as every export."""

    help = "Export stored ECG of a stream (an admission) to a zip file, with the pseudonym only."

    def add_arguments(self, parser: CommandParser) -> None:
        """Options."""
        parser.add_argument("stream", help="the id of the admission, as in the address of its page")
        parser.add_argument("--format", choices=[one.value for one in ExportFormat], default="wfdb")
        parser.add_argument(
            "--since", type=_time, required=True, help="2026-11-26T12:00, UTC unless it says otherwise"
        )
        parser.add_argument("--until", type=_time, required=True, help="the same")
        parser.add_argument(
            "--output", type=Path, required=True, help="the file to make; it must not be there"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write the file, record it, and say how large it is."""
        require_migrated()
        stream, since, until, output = (options[name] for name in ("stream", "since", "until", "output"))
        if not since < until:
            raise CommandError("--until is after --since")
        if not Stream.objects.filter(pk=stream).exists():
            raise CommandError(f"there is no stream {stream}")
        detail = {"format": options["format"], "since": since.isoformat(), "until": until.isoformat()}

        def note(outcome: str, **more: Any) -> None:
            stored.record(ACTOR, stream, outcome, **detail, **more)

        size_bytes, outcome = 0, "broken off"
        try:
            with output.open("xb") as file:
                note("allowed")
                for piece in pieces(stored.recordings(stream, since, until), ExportFormat(options["format"])):
                    size_bytes += file.write(piece)
            outcome = "done"
        except OSError as error:
            raise CommandError(f"{output} cannot be written: {error.strerror}") from error
        finally:
            note(outcome, bytes=size_bytes)
        self.stdout.write(f"{output}: {size_bytes:,} bytes")


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ArgumentTypeError(f"write it like 2026-11-26T12:00: {text!r}") from None
