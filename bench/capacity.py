"""How many more patients and viewers a process carries: predicted by small loads, and checked by a large one.

A Daphne each is loaded by `streaming.loadtest` with nobody, with two small loads, and with one several times
as large. The costs of the small ones are fitted as the admin's page Capacity does it (`monitoring.costs`), to
the snapshots that the server itself has stored; what the large one takes is predicted from how many patients
and viewers it has, before it runs. The figures are predicted / measured. `--costs` prints what all loads say
of the costs that a process begins with, which are in `monitoring.costs`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import resource
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from bench.support.report import Figure, parser, report
from bench.support.ward import admit
from monitoring import costs
from monitoring.costs import CPU_TERMS, MEMORY_TERMS, PRIOR_CPU, PRIOR_MEMORY, Costs, Load, Measured, Reading
from streaming.core.messages import CONNECTIONS_PER_PRINCIPAL
from streaming.loadtest.feed import Patients
from streaming.loadtest.progress import Progress
from streaming.loadtest.run import Plan, run
from tests.servers import DaphneServer, migrated

SMALL = ((4, 60), (8, 30))
"""Patients and viewers."""
LARGE = (12, 100)
SECONDS = 15.0
SPELL_ROWS = 3
"""Snapshots, a second apart, from one to the next that are compared: CPU is counted in steps of 10 ms."""
SKIPPED_ROWS = 2
"""At both ends of a load: viewers settle, and leave."""
IDLE_S = 8.0
SPARE_FILES = 256
BOUND = (0.8, 1.2)
_FIELDS = tuple(Reading.__dataclass_fields__)
_READ = f"""
import json
from monitoring.models import UsageSnapshot
rows = UsageSnapshot.objects.filter(resolution=0).order_by("at").values(*{[*_FIELDS]!r})
print(json.dumps([{{**row, "at": row["at"].timestamp()}} for row in rows]))
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """One load: its spells, and what the viewers lacked."""

    patients: int
    viewers: int
    spells: list[Measured]
    lost: int = 0
    late_s: float = 0.0
    """By how much its devices were late, at the most: more than some tenths, and the machine had no room."""

    @property
    def whole(self) -> Measured:
        """All of its spells as one."""
        seconds = sum(spell.seconds for spell in self.spells)
        cpu = sum(spell.cpu * spell.seconds for spell in self.spells) / seconds
        names = Load.__dataclass_fields__
        load = Load(
            **{
                name: sum(getattr(spell.load, name) * spell.seconds for spell in self.spells) / seconds
                for name in names
            }
        )
        return Measured(load, cpu, max(spell.memory_mb for spell in self.spells), seconds)


def spells_of(rows: Sequence[Reading], viewers: int, streams: int) -> list[Measured]:
    """Of the time for which everybody was there, without its ends."""
    there = [row for row in rows if row.viewers == viewers and row.streams == streams]
    steady = there[SKIPPED_ROWS : len(there) - SKIPPED_ROWS : SPELL_ROWS]
    found = (costs.measured(*pair) for pair in pairwise(steady))
    return [spell for spell in found if spell is not None]


async def ran(patients: int, viewers: int) -> Ran:
    """Load a server of its own, and read what it stored."""
    with (
        tempfile.TemporaryDirectory(prefix="vital-bench-") as directory,
        DaphneServer(migrated(Path(directory) / "var"), env={"VITAL_SNAPSHOT_INTERVAL_S": "1"}) as server,
    ):
        lost, late_s = 0, 0.0
        if viewers:
            beds = admit(server, patients, math.ceil(viewers / CONNECTIONS_PER_PRINCIPAL))
            plan = Plan(
                server.ws_url,
                viewers,
                patients,
                SECONDS,
                beds.viewers,
                beds.devices,
                processes=min(os.cpu_count() or 1, 2),
                signal=Patients(together=True),
            )
            outcome = await run(plan, Progress(sys.stderr, plan.seconds, viewers))
            lost = sum(outcome.tally.drops.values()) + outcome.tally.lost_samples
            late_s = outcome.feed_late_s or 0.0
        else:
            await asyncio.sleep(IDLE_S)
        rows = [Reading(**row) for row in json.loads(server.python(_READ))]
    spells = spells_of(rows, viewers, patients)
    if not spells:
        raise RuntimeError(f"{patients} patients and {viewers} viewers were never all there for long enough")
    return Ran(patients, viewers, spells, lost, late_s)


def fitted(runs: Sequence[Ran]) -> tuple[Costs, Costs]:
    """Costs of CPU and memory, of all spells of these."""
    spells = [spell for each in runs for spell in each.spells]
    loads = [spell.load for spell in spells]
    return (
        costs.fit(loads, [spell.cpu for spell in spells], CPU_TERMS, PRIOR_CPU),
        costs.fit(loads, [spell.memory_mb for spell in spells], MEMORY_TERMS, PRIOR_MEMORY),
    )


def grown(run: Ran, patients: int, viewers: int) -> Load:
    """The load of one run with as many patients and viewers."""
    load = run.whole.load
    return load.with_patients(patients - run.patients).with_viewers(viewers - run.viewers)


def ratio(name: str, predicted: float, really: float, unit: str) -> Figure:
    """Predicted to measured, within BOUND."""
    value = predicted / really
    against = f"{predicted:.3g} predicted, {really:.3g} {unit} measured"
    low, high = BOUND
    return Figure(name, value, "x", f"{low:g}-{high:g}", low <= value <= high, against)


def figures(idle: Ran, small: Sequence[Ran], large: Ran) -> list[Figure]:
    """What was predicted, and what came."""
    cpu, memory = fitted([idle, *small])
    predicted = grown(small[0], large.patients, large.viewers)
    really = large.whole
    label = f"{large.patients} patients x {large.viewers} viewers"
    found = [
        Figure(
            f"{run.patients} patients x {run.viewers} viewers: server CPU",
            100 * run.whole.cpu,
            "% of a core",
            against=f"{run.whole.load.messages:,.0f} messages/s",
        )
        for run in (idle, *small)
    ]
    limit = 1.0 - costs.HEADROOM
    viewers = costs.more_viewers(cpu, small[0].whole.load, limit)
    patients = costs.more_patients(cpu, small[0].whole.load, limit)
    beside = f"{small[0].patients} patients x {small[0].viewers} viewers, {100 * limit:.0f} % of a core"
    return [
        *found,
        Figure(f"{label}: doubt of the prediction", 100 * 1.645 * cpu.doubt(predicted), "% of a core"),
        ratio(f"{label}: CPU, predicted / measured", cpu.of(predicted), really.cpu, "cores"),
        ratio(
            f"{label}: messages/s, predicted / measured",
            predicted.messages,
            really.load.messages,
            "messages/s",
        ),
        ratio(f"{label}: memory, predicted / measured", memory.of(predicted), really.memory_mb, "MB"),
        Figure(f"{label}: lost or dropped", large.lost, "messages"),
        Figure(f"{label}: devices late, at most", 1000 * large.late_s, "ms", against="this process"),
        Figure("more viewers than these", viewers.more or 0, "viewers", against=beside),
        Figure("more patients than these", patients.more or 0, "patients", against=beside),
    ]


def calibration(runs: Sequence[Ran]) -> str:
    """The costs of all of them by themselves, for `monitoring.costs`."""
    spells = [spell for each in runs for spell in each.spells]
    loads = [spell.load for spell in spells]
    told = {
        "cpu": dict(zip(("base", *CPU_TERMS), fitted(runs)[0].values, strict=True)),
        "memory": dict(zip(("base", *MEMORY_TERMS), fitted(runs)[1].values, strict=True)),
        "spells": [
            asdict(load) | {"cpu": spell.cpu, "memory_mb": spell.memory_mb}
            for load, spell in zip(loads, spells, strict=True)
        ],
    }
    return json.dumps(told)


async def main(options: argparse.Namespace) -> int:
    """The small ones, the prediction, and the large one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * LARGE[1] + SPARE_FILES), hard))
    idle = await ran(0, 0)
    small = [await ran(*load) for load in SMALL]
    large = await ran(*LARGE)
    if options.costs:
        print(calibration([idle, *small, large]))
        return 0
    return report(figures(idle, small, large), as_json=options.json)


if __name__ == "__main__":
    choices = parser("What a process carries, predicted and measured.")
    choices.add_argument("--costs", action="store_true", help="print the costs of each thing done, as JSON")
    sys.exit(asyncio.run(main(choices.parse_args())))
