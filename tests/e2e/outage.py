"""A loaded server whose databases are locked, then gone, then there again: how old samples are meanwhile."""

from __future__ import annotations

import asyncio
import io
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from streaming.loadtest.progress import Progress
from streaming.loadtest.report import Outcome
from streaming.loadtest.run import Plan, run
from streaming.loadtest.tally import Delays, Tally

BEFORE, LOCKED, GONE, AFTER = "before", "locked", "gone", "after"
SECONDS = {BEFORE: 8.0, LOCKED: 30.0, GONE: 8.0, AFTER: 4.0}
SETTLE_S = 6.0
"""Until viewers have climbed to the top of the ladder."""
FILES = ("db.sqlite3", "history.sqlite3", "journal.sqlite3")
LOCK_WITHIN_S = 20.0
_SETTLED_WITHIN_S = 60.0
_MOST_S = 120.0


@dataclass(frozen=True, slots=True)
class Ran:
    """What the load test counted in all, and by phase the ages of the newest samples of frames."""

    outcome: Outcome
    ages: Mapping[str, Delays]

    def p99_ms(self, phase: str) -> float:
        """Of one phase; infinite where nothing came."""
        found = self.ages[phase].percentile_s(0.99)
        return float("inf") if found is None else 1000 * found


async def ran(plan: Plan, databases: Path) -> Ran:
    """Load a server whose SQLite files are those of `databases`, which no other file is in.

    The plan's seconds do not count: it goes on for as long as SECONDS say.
    """
    watch, stop = _Watch(plan.viewers), asyncio.Event()
    ages: dict[str, Delays] = {}
    async with asyncio.TaskGroup() as tasks:
        load = tasks.create_task(run(plan, watch, stop))
        async with asyncio.timeout(_SETTLED_WITHIN_S):
            await watch.begun.wait()

        async def phase(name: str) -> None:
            before = watch.tally
            await asyncio.sleep(SECONDS[name])
            ages[name] = _since(before.newest, watch.tally.newest)

        await asyncio.sleep(SETTLE_S)
        await phase(BEFORE)
        async with locked(databases):
            await phase(LOCKED)
            with moved_away(databases):
                await phase(GONE)
        await phase(AFTER)
        stop.set()
    return Ran(load.result(), ages)


@asynccontextmanager
async def locked(databases: Path) -> AsyncIterator[None]:
    """Nobody else can write meanwhile."""
    held = [
        sqlite3.connect(
            databases / name, isolation_level=None, timeout=LOCK_WITHIN_S, check_same_thread=False
        )
        for name in FILES
    ]
    try:
        for database in held:
            # Devices are played by this process as well: it must not wait for whoever writes now.
            await asyncio.to_thread(database.execute, "BEGIN IMMEDIATE")
        yield
    finally:
        for database in held:
            database.close()


@contextmanager
def moved_away(databases: Path) -> Iterator[None]:
    """Nobody can open them meanwhile; whoever has them open goes on with them."""
    away = databases.with_name(f"{databases.name}-away")
    databases.rename(away)
    try:
        yield
    finally:
        away.rename(databases)


class _Watch(Progress):
    """Holds what was counted so far; says when viewers have settled, and the measurement has begun."""

    def __init__(self, viewers: int) -> None:
        super().__init__(io.StringIO(), _MOST_S, viewers)
        self.begun = asyncio.Event()
        self.tally = Tally()

    def update(self, _elapsed_s: float, tally: Tally) -> None:
        self.tally = tally
        self.begun.set()


def _since(before: Delays, after: Delays) -> Delays:
    """What was counted between the two; the longest is to a millisecond."""
    was = dict(before.to_json()["bins"])
    bins = [(at, count - was.get(at, 0)) for at, count in after.to_json()["bins"]]
    grown = [[at, count] for at, count in bins if count]
    longest_s = (grown[-1][0] + 1) / 1000 if grown else 0.0
    return Delays.from_json({"bins": grown, "longest_s": longest_s})


def plan(ws_url: str, viewers: int, devices: tuple[str, ...], tokens: tuple[str, ...]) -> Plan:
    """Viewers who all watch every patient, for as long as the phases need."""
    return Plan(ws_url, viewers, len(devices), _MOST_S, tokens, devices)
