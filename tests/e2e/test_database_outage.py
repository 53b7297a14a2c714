"""The databases are locked for half a minute, then gone: no viewer notices, and the hole is told of."""

from __future__ import annotations

import asyncio
import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e import outage
from tests.e2e.outage import GONE, LOCKED, SECONDS
from tests.e2e.shell import Shell
from tests.servers import Server, StartServer

pytestmark = pytest.mark.server

PATIENTS, VIEWERS = 4, 40
DEADLINE_S = 30.0
FRAMES_A_S = 0.5
"""The least of a stream that is sent to a viewer, in its longest frames."""


@pytest.fixture
def databases(migrated_var: Path, tmp_path: Path) -> Path:
    """A directory with the server's databases and nothing else."""
    directory = tmp_path / "databases"
    directory.mkdir()
    for name in outage.FILES:
        shutil.copy(migrated_var / name, directory / name)
    return directory


def lost_rows(server: Server) -> float:
    """As /metrics says it."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        samples = [sample for family in families for sample in family.samples]
    return next(sample.value for sample in samples if sample.name == "vital_snapshot_rows_lost_total")


async def test_viewers_get_every_sample_and_the_snapshots_say_what_they_lack(
    daphne: StartServer, databases: Path
) -> None:
    settings = {
        "DATABASE_URL": f"sqlite:///{databases / 'db.sqlite3'}",
        "VITAL_SNAPSHOT_INTERVAL_S": "1",
    }
    server = daphne(env=settings)
    with Shell(server) as shell:
        beds = [(await shell.do("admit", f"outlasts {n}")).result for n in range(PATIENTS)]
        nurses = [(await shell.do("employ", f"watches {n}", "Ward a")).result for n in range(2)]
        devices = tuple(bed["token"] for bed in beds)
        ran = await outage.ran(outage.plan(server.ws_url, VIEWERS, devices, tuple(nurses)), databases)
        group = f"ecg.{beds[0]['stream']}"
        async with asyncio.timeout(DEADLINE_S):
            while True:
                told = (await shell.do("snapshot_gap", group)).result
                if told["lost_snapshots"] > 0:
                    break
                await asyncio.sleep(0.1)  # rows of a database: there is no event to wait for

    sys.stdout.write(f"p99 of ages, ms: { {phase: round(ran.p99_ms(phase)) for phase in SECONDS} }\n")
    tally = ran.outcome.tally
    assert (tally.connected, tally.closes, tally.reconnects) == (VIEWERS, {}, 0)
    assert (tally.lost_samples, tally.gaps, tally.drops, tally.repeated_frames) == (0, {}, {}, 0)
    assert ran.outcome.device_reconnects == 0
    for phase, seconds in SECONDS.items():
        assert ran.ages[phase].count >= FRAMES_A_S * PATIENTS * VIEWERS * (seconds - 2), phase

    missing_s = SECONDS[LOCKED] + SECONDS[GONE]
    assert told["hole_s"] > missing_s / 2
    assert told["charts"] > 0
    assert lost_rows(server) >= told["lost_snapshots"]
    assert server.log.count("metrics snapshots wait for the database") in (1, 2)
    assert "metrics snapshots are stored again" in server.log
    assert "Traceback" not in server.log
