"""`manage.py simulate`: patients made of numbers, each on a device of its own."""

from __future__ import annotations

from argparse import ArgumentTypeError
from contextlib import AbstractContextManager, nullcontext
from itertools import cycle, islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from streaming.client.playback import simulated, simulated_leads
from streaming.core.streams import Source
from streaming.ecg.simulator import RHYTHMS, Simulator
from streaming.management.admitting import add_ward_argument, admitted
from streaming.management.feeding import Part, add_server_arguments, rate, run, seconds

WARD = "Simulation"
MAX_PATIENTS = 200


class Command(BaseCommand):
    """Without --token it admits the patients itself, and so needs the server's database."""

    help = "Feed the server with simulated patients, one device each. Ctrl-C ends it."
    requires_system_checks = ()  # it also runs where no server could

    def add_arguments(self, parser: CommandParser) -> None:
        """Options."""
        add_server_arguments(parser)
        parser.add_argument("--patients", type=_patients, default=1, help="how many (default: 1)")
        parser.add_argument(
            "--rhythm",
            action="append",
            choices=sorted(RHYTHMS),
            help="give it several times to take turns; without it, all take turns",
        )
        parser.add_argument("--rate-hz", type=rate, default=250.0, help="50 to 2000 (default: 250)")
        parser.add_argument("--leads", default="II,V1", help="of the twelve standard leads (default: II,V1)")
        parser.add_argument("--seed", type=int, default=1, help="same seed, same signal (default: 1)")
        parser.add_argument("--duration", type=seconds, help="seconds of signal (default: until Ctrl-C)")
        add_ward_argument(parser, WARD)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Admit the patients and play."""
        count = options["patients"]
        if options["token"] and count > 1:
            raise CommandError("a token belongs to one device: --token goes with --patients 1")
        rhythms = list(islice(cycle(options["rhythm"] or RHYTHMS), count))
        leads = tuple(name.strip() for name in options["leads"].split(","))
        try:
            patients = [
                Simulator(rhythm, rate_hz=options["rate_hz"], leads=leads, seed=options["seed"] + number)
                for number, rhythm in enumerate(rhythms)
            ]
        except ValueError as error:
            raise CommandError(str(error)) from None
        with self._tokens(count, options) as tokens:
            parts = [
                Part(
                    f"patient {number} ({patient.rhythm})",
                    token,
                    Source.SIM,
                    patient.rate_hz,
                    simulated_leads(patient),
                    simulated(patient, options["duration"]),
                )
                for number, (patient, token) in enumerate(zip(patients, tokens, strict=True), start=1)
            ]
            run(parts, url=options["url"], speed=options["speed"], out=self.stdout)

    def _tokens(self, count: int, options: dict[str, Any]) -> AbstractContextManager[list[str]]:
        """The token that was given, or one for each of the patients' own devices."""
        if options["token"]:
            return nullcontext([options["token"]])
        devices = [(f"Simulated {number:02}", f"sim-{number:02}") for number in range(1, count + 1)]
        return admitted(devices, Source.SIM, ward=options["ward"], otherwise=WARD, out=self.stdout)


def _patients(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_PATIENTS:
        raise ArgumentTypeError(f"from 1 to {MAX_PATIENTS}")
    return int(text)
