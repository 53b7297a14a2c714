"""What a database that is locked for 30 s, and then gone, costs viewers: how much older samples reach them.

One Daphne on SQLite, loaded by `streaming.loadtest`. All three databases (default, history, journal) are
locked by another process's transaction, then moved away so that nobody can open them, then put back. The
figure is the 99th percentile of the age of a frame's newest sample, against that of the seconds before.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from bench.support.report import Figure, at_most, parser, report
from bench.support.ward import admit
from streaming.core.messages import CONNECTIONS_PER_PRINCIPAL
from streaming.loadtest.feed import Patients
from tests.e2e import outage
from tests.e2e.outage import AFTER, BEFORE, GONE, LOCKED, Ran
from tests.servers import DaphneServer, migrated

PATIENTS, VIEWERS = 4, 40
BOUND = 1.1


async def measured(directory: Path) -> Ran:
    """Of a server of its own."""
    template, databases = migrated(directory / "var"), directory / "databases"
    databases.mkdir()
    for name in outage.FILES:
        shutil.copy(template / name, databases / name)
    settings = {"DATABASE_URL": f"sqlite:///{databases / 'db.sqlite3'}", "VITAL_SNAPSHOT_INTERVAL_S": "1"}
    with DaphneServer(template, env=settings) as server:
        beds = admit(server, PATIENTS, math.ceil(VIEWERS / CONNECTIONS_PER_PRINCIPAL))
        plan = outage.plan(server.ws_url, VIEWERS, beds.devices, beds.viewers)
        processes = min(os.cpu_count() or 1, 2)
        return await outage.ran(replace(plan, processes=processes, signal=Patients(together=True)), databases)


def figures(ran: Ran) -> list[Figure]:
    """Ages by phase, and what viewers lacked."""
    before_ms = ran.p99_ms(BEFORE)
    against = f"{before_ms:.0f} ms before; {PATIENTS} patients x {VIEWERS} viewers"
    ratios = {phase: ran.p99_ms(phase) / before_ms for phase in (LOCKED, GONE, AFTER)}
    ages = [
        at_most(f"databases {phase}: p99 of ages, to that before", ratios[phase], BOUND, "x", against=against)
        for phase in (LOCKED, GONE)
    ]
    tally = ran.outcome.tally
    lost = tally.lost_samples + sum(tally.gap_samples.values())
    late_ms = 1000 * (ran.outcome.feed_late_s or 0.0)
    return [
        *ages,
        Figure("the same once they are there again", ratios[AFTER], "x", against=against),
        at_most("samples lost or in a GAP", lost, 0, "samples", against=""),
        at_most("connections cut", sum(tally.closes.values()), 0, "", against=""),
        Figure("devices late, at most", late_ms, "ms", against="this process"),
    ]


def main(options: argparse.Namespace) -> int:
    """Measure once."""
    with tempfile.TemporaryDirectory(prefix="vital-bench-") as directory:
        found = asyncio.run(measured(Path(directory)))
    return report(figures(found), as_json=options.json)


if __name__ == "__main__":
    sys.exit(main(parser("What an outage of the database costs viewers.").parse_args()))
