"""What snapshots and `/metrics` cost a process that has a central station's load.

One server, in turns with and without. Both are asked for ten times as often as they are in practice, and a
tenth of what that takes counts: the rest of the server's work varies from turn to turn by more than they
cost.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from tqdm import tqdm

from bench.central import FEW_LEADS, PATIENTS, SETTLE_S, VIEWERS, loaded
from bench.slow_client import HookedServer
from bench.support.report import Figure
from tests.servers import migrated

TURNS = 24
"""Of both kinds together."""
TURN_S = 10.0
OFTENER = 10
SCRAPE_EVERY_S = 15.0 / OFTENER
"""Snapshots are taken every ten seconds by default, and the example for Prometheus asks every fifteen."""
BOUND_PERCENT = 2.0


def figures() -> Iterator[Figure]:
    """The load, and how much more it is."""
    spent = asyncio.run(_turns())
    without, with_it = spent[0::2], spent[1::2]
    more = [100 * (on / off - 1) / OFTENER for off, on in zip(without, with_it, strict=True)]
    mean = statistics.mean(more)
    doubt = 1.645 * statistics.stdev(more) / len(more) ** 0.5
    where = f"{PATIENTS} patients of {len(FEW_LEADS)} leads, {VIEWERS} viewers"
    yield Figure(f"{where}: CPU without monitoring", 100 * statistics.mean(without), "% of a core")
    yield Figure(
        f"{where}: more CPU with snapshots and /metrics",
        mean,
        "%",
        f"< {BOUND_PERCENT:g}",
        mean + doubt < BOUND_PERCENT,
        f"without, in turns of the same run; 95 % sure to be less than {mean + doubt:.2f}",
    )


async def _turns() -> list[float]:
    """Of each turn the CPU, as a share of a core: without, with, without, ..."""
    spent = []
    with (
        tempfile.TemporaryDirectory(prefix="vital-monitoring-") as directory,
        HookedServer(migrated(Path(directory) / "var"), env={"VITAL_SNAPSHOT_INTERVAL_S": "3600"}) as server,
    ):
        async with loaded(server, FEW_LEADS) as viewers:
            await viewers.expect("ready")
            await asyncio.sleep(SETTLE_S)
            for turn in tqdm(range(TURNS), "CPU", file=sys.stderr):
                async with _asked(server) if turn % 2 else contextlib.nullcontext():
                    before = server.cpu_seconds()
                    await asyncio.sleep(TURN_S)
                    spent.append((server.cpu_seconds() - before) / TURN_S)
    return spent


@contextlib.asynccontextmanager
async def _asked(server: HookedServer) -> AsyncIterator[None]:
    """Snapshots and the metrics, OFTENER times as often as by default."""

    async def scrape() -> None:
        while True:
            await asyncio.to_thread(lambda: urllib.request.urlopen(f"{server.url}/metrics").read())
            await asyncio.sleep(SCRAPE_EVERY_S)

    await server.call("snapshots")
    task = asyncio.create_task(scrape())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await server.call("snapshots")
