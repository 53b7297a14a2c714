"""`manage.py simulate`: patients made of numbers, each on a device of its own."""

from __future__ import annotations

from argparse import ArgumentTypeError
from contextlib import AbstractContextManager, nullcontext
from itertools import cycle, islice
from pathlib import Path
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError, CommandParser

from streaming.client.playback import simulated, simulated_leads
from streaming.core.streams import Source
from streaming.ecg.rhythms import RHYTHMS, WARD_RHYTHMS
from streaming.ecg.scenario import Scenario
from streaming.ecg.scenario_file import read_scenario
from streaming.ecg.simulator import Simulator
from streaming.exceptions import ScenarioError
from streaming.management.admitting import add_ward_argument, admitted
from streaming.management.feeding import Part, add_server_arguments, rate, run, seconds
from streaming.management.labelling import labelled

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
            help=f"give it several times to take turns; without it {', '.join(WARD_RHYTHMS)} do",
        )
        parser.add_argument(
            "--scenario", type=Path, help="a TOML file of rhythms and artefacts, in place of --rhythm"
        )
        parser.add_argument(
            "--labels",
            type=Path,
            help="write each beat, and each onset of a rhythm or artefact, as JSON lines",
        )
        parser.add_argument("--rate-hz", type=rate, default=250.0, help="50 to 2000 (default: 250)")
        parser.add_argument("--leads", default="II,V1", help="of the twelve standard leads (default: II,V1)")
        parser.add_argument("--seed", type=int, help="same seed, same signal (default: the scenario's, or 1)")
        parser.add_argument("--duration", type=seconds, help="seconds of signal (default: until Ctrl-C)")
        add_ward_argument(parser, WARD)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Admit the patients and play."""
        count = options["patients"]
        if options["token"] and count > 1:
            raise CommandError("a token belongs to one device: --token goes with --patients 1")
        patients = _patients_of(count, options)
        with _labels_file(options["labels"]) as labels, self._tokens(count, options) as tokens:
            parts = [
                Part(
                    f"patient {number} ({name})",
                    token,
                    Source.SIM,
                    patient.rate_hz,
                    simulated_leads(patient),
                    labelled(simulated(patient, duration_s), patient, number, labels),
                )
                for number, ((name, patient, duration_s), token) in enumerate(
                    zip(patients, tokens, strict=True), start=1
                )
            ]
            run(parts, url=options["url"], speed=options["speed"], out=self.stdout)

    def _tokens(self, count: int, options: dict[str, Any]) -> AbstractContextManager[list[str]]:
        """The token that was given, or one for each of the patients' own devices."""
        if options["token"]:
            return nullcontext([options["token"]])
        devices = [(f"Simulated {number:02}", f"sim-{number:02}") for number in range(1, count + 1)]
        return admitted(devices, Source.SIM, ward=options["ward"], otherwise=WARD, out=self.stdout)


def _patients_of(count: int, options: dict[str, Any]) -> list[tuple[str, Simulator, float | None]]:
    """Each patient's name for people, and how many seconds of signal to play, or None without end."""
    path: Path | None = options["scenario"]
    duration_s: float | None = options["duration"]
    if path is not None and options["rhythm"]:
        raise CommandError("a scenario has its own rhythms: give --scenario or --rhythm")
    plays: list[tuple[str, str | Scenario]]
    plays = [(name, name) for name in islice(cycle(options["rhythm"] or WARD_RHYTHMS), count)]
    seed = 1
    if path is not None:
        scenario = _scenario(path)
        plays = [(path.stem, scenario)] * count
        duration_s = min((s for s in (duration_s, scenario.duration_s) if s is not None), default=None)
        seed = seed if scenario.seed is None else scenario.seed
    seed = seed if options["seed"] is None else options["seed"]
    leads = tuple(name.strip() for name in options["leads"].split(","))
    try:
        return [
            (name, Simulator(played, rate_hz=options["rate_hz"], leads=leads, seed=seed + number), duration_s)
            for number, (name, played) in enumerate(plays)
        ]
    except ScenarioError as error:
        raise CommandError(f"{path}: {error}") from None
    except ValueError as error:
        raise CommandError(str(error)) from None


def _scenario(path: Path) -> Scenario:
    try:
        return read_scenario(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None
    except (ScenarioError, UnicodeDecodeError) as error:
        raise CommandError(f"{path}: {error}") from None


def _labels_file(path: Path | None) -> AbstractContextManager[TextIO | None]:
    """Written line by line, so that what is there is whole whenever somebody reads it."""
    if path is None:
        return nullcontext()
    try:
        return path.open("w", encoding="utf-8", buffering=1)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None


def _patients(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_PATIENTS:
        raise ArgumentTypeError(f"from 1 to {MAX_PATIENTS}")
    return int(text)
