"""`manage.py loadtest`: as many viewers and patients as it is told, and how the server bears them."""

from __future__ import annotations

import asyncio
import math
import os
import re
import resource
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from streaming import command_line
from streaming.command_line import SERVED_AT
from streaming.core.messages import CONNECTIONS_PER_PRINCIPAL, MAX_STREAMS
from streaming.exceptions import ProtocolError
from streaming.loadtest.feed import Patients
from streaming.loadtest.progress import Progress
from streaming.loadtest.report import Outcome
from streaming.loadtest.run import Plan, run, told_to_stop
from streaming.management.feeding import quiet_sdk, rate, seconds, server_root
from streaming.management.loading import Access, access_from, admitted_for_load

MAX_VIEWERS = 20_000
MAX_PROCESSES = 32
MAX_SECONDS = 24 * 3600
VIEWERS_PER_PROCESS = 250
"""By default, as far as there are cores: Python reads some 20,000 WebSocket messages a second and core."""
DECODERS = 0.02
SPARE_FILES = 256
_LINK = re.compile(r"(\d+(?:\.\d+)?)\s*([kM]?)(B|bit)?(?:/s)?")
_LEAST_LINK, _MOST_LINK = 500.0, 1e9


class Command(BaseCommand):
    """Without --tokens it admits the patients itself, and so needs the server's database."""

    help = "Load a server with patients and viewers, and report how it bears them. Ctrl-C ends it early."
    requires_system_checks = ()  # it also runs where no server could

    def add_arguments(self, parser: CommandParser) -> None:
        """Options."""
        parser.add_argument(
            "--url", type=server_root, default=SERVED_AT, help=f"the server's root (default: {SERVED_AT})"
        )
        parser.add_argument("--viewers", type=_from_1_to(MAX_VIEWERS), default=100, help="default: 100")
        parser.add_argument(
            "--patients",
            type=_from_1_to(MAX_STREAMS),
            default=8,
            help="how many each viewer watches (default: 8)",
        )
        parser.add_argument("--duration", type=_duration, default=30.0, help="seconds (default: 30)")
        parser.add_argument(
            "--link",
            type=link,
            help="what each viewer's own link carries: 3kB/s (less than 8 patients take), 1MB/s, 256kbit/s"
            " (default: no limit)",
        )
        parser.add_argument("--rate-hz", type=rate, default=250.0, help="50 to 2000 (default: 250)")
        parser.add_argument("--leads", default="II,V1", help="of the twelve standard leads (default: II,V1)")
        parser.add_argument(
            "--together", action="store_true", help="all devices send at once, as behind one gateway"
        )
        parser.add_argument(
            "--processes",
            type=_from_1_to(MAX_PROCESSES),
            help=f"for the viewers (default: one for every {VIEWERS_PER_PROCESS}, as far as there are cores)",
        )
        parser.add_argument(
            "--tokens",
            type=Path,
            help="a file of tokens, one a line: vta_... for viewers, vtd_... for devices; no database then",
        )
        parser.add_argument("--json", action="store_true", help="the report as one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run it, and print the report; CommandError when samples are missing without a GAP."""
        viewers, patients = options["viewers"], options["patients"]
        processes = options["processes"] or min(os.cpu_count() or 1, math.ceil(viewers / VIEWERS_PER_PROCESS))
        processes = min(processes, viewers)
        _raise_file_limit(math.ceil(viewers / processes) + SPARE_FILES)
        signal = Patients(
            options["rate_hz"],
            tuple(name.strip() for name in options["leads"].split(",")),
            together=options["together"],
        )
        with self._access(options) as access:
            room = len(access.viewers) * CONNECTIONS_PER_PRINCIPAL
            if viewers > room:
                raise CommandError(
                    f"{len(access.viewers)} viewers' tokens are good for {room} viewers at most"
                )
            plan = Plan(
                options["url"],
                viewers,
                len(access.devices) or patients,
                options["duration"],
                access.viewers,
                access.devices,
                options["link"],
                processes,
                max(1, math.ceil(DECODERS * viewers)),
                signal,
            )
            outcome = _run(plan)
        self.stdout.write(outcome.line() if options["json"] else "\n".join(outcome.words()))
        if not outcome.is_good:
            raise CommandError("samples are missing without a GAP, came twice, or were malformed")

    def _access(self, options: dict[str, Any]) -> AbstractContextManager[Access]:
        if options["tokens"] is not None:
            return nullcontext(access_from(options["tokens"]))
        return admitted_for_load(options["patients"], options["viewers"], options["duration"])


def _run(plan: Plan) -> Outcome:
    async def until_told() -> Outcome:
        async with told_to_stop() as stop:
            return await run(plan, Progress(sys.stderr, plan.seconds, plan.viewers), stop)

    try:
        with quiet_sdk():
            return asyncio.run(until_told())
    except ValueError as error:  # a lead that there is not
        raise CommandError(str(error)) from None
    except ProtocolError as error:
        raise CommandError(f"the server refuses the devices: {error.reason}") from None
    except ConnectionError as error:
        raise CommandError(
            f"{error}\nIs the server running? Start it with: {command_line.here(*command_line.SERVE)}"
            "\nor name its address with --url ws://HOST:PORT. Without --tokens it must have this database."
        ) from None


def link(text: str) -> float:
    """Bytes a second, from 64kB/s, 1MB/s, 256kbit/s or a plain number of bytes."""
    match = _LINK.fullmatch(text.strip())
    if match is None:
        raise ArgumentTypeError("write it like 64kB/s, 1MB/s or 256kbit/s")
    scale = {"": 1.0, "k": 1e3, "M": 1e6}[match[2]] / (8 if match[3] == "bit" else 1)
    value = float(match[1]) * scale
    if not _LEAST_LINK <= value <= _MOST_LINK:
        raise ArgumentTypeError("must be from 500 B/s to 1000 MB/s")
    return value


def _from_1_to(most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
            raise ArgumentTypeError(f"from 1 to {most}")
        return int(text)

    return number


def _duration(text: str) -> float:
    value = seconds(text)
    if value > MAX_SECONDS:
        raise ArgumentTypeError(f"at most {MAX_SECONDS} seconds")
    return value


def _raise_file_limit(needed: int) -> None:
    """Let this process, and those that it starts, have so many files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise CommandError(
            f"so many viewers take {needed} open files a process, and {hard} are allowed: raise that"
            f" (ulimit -Hn {needed}), or take more --processes"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
