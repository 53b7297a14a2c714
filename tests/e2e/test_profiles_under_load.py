"""A changed setting under load: two processes, two hundred viewers, and not one of them notices."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Coroutine

import pytest

from streaming.loadtest.progress import Progress
from streaming.loadtest.report import Outcome
from streaming.loadtest.run import Plan, run
from tests.e2e.cluster import Cluster

pytestmark = [pytest.mark.server, pytest.mark.valkey]

WARD = "Loaded ward"
"""Of this test alone: no bed in it is without frames."""
VIEWERS, PATIENTS = 100, 2
"""Viewers of each process, who watch all patients; these are fed to the first."""
SAVES = 5
IN_FORCE_S = 2.0
MOST_S = 120.0


class _Begun(Progress):
    """Says when viewers have settled, and the measurement has begun."""

    def __init__(self) -> None:
        super().__init__(io.StringIO(), MOST_S, VIEWERS)
        self.begun = asyncio.Event()

    def update(self, *_: object) -> None:
        self.begun.set()


async def test_settings_are_in_force_everywhere_within_two_seconds_and_nobody_is_cut(parts: Cluster) -> None:
    beds = [(await parts.shell.do("admit", f"loaded {n}", WARD)).result["token"] for n in range(PATIENTS)]
    nurses = [(await parts.shell.do("employ", f"watching {n}", WARD)).result for n in range(4)]
    stop, begun = asyncio.Event(), (_Begun(), _Begun())

    def watching(at: int, devices: tuple[str, ...]) -> Coroutine[None, None, Outcome]:
        server, seen = (parts.first, parts.second)[at], tuple(nurses[2 * at : 2 * at + 2])
        return run(Plan(server.ws_url, VIEWERS, PATIENTS, MOST_S, seen, devices), begun[at], stop)

    async with asyncio.TaskGroup() as tasks:
        fed = tasks.create_task(watching(0, tuple(beds)))
        async with asyncio.timeout(60):
            await begun[0].begun.wait()
        other = tasks.create_task(watching(1, ()))
        async with asyncio.timeout(60):
            await begun[1].begun.wait()
        waited_s = [await _save(parts, 0.7 + 0.01 * n) for n in range(SAVES)]
        stop.set()
    assert max(waited_s) < IN_FORCE_S
    for outcome in (fed.result(), other.result()):
        tally = outcome.tally
        assert (tally.connected, tally.closes, tally.reconnects) == (VIEWERS, {}, 0)
        assert (tally.lost_samples, tally.gaps, tally.drops) == (0, {}, {})
        assert outcome.device_reconnects == 0
        assert sum(tally.renditions.values()) > 0


async def _save(parts: Cluster, high_watermark: float) -> float:
    """Change a setting; how long it took until both processes said that they run it."""
    done = await parts.shell.do("set_profile", high_watermark=high_watermark)
    async with asyncio.timeout(30):
        while True:
            told = (await parts.shell.do("told_by_processes")).result
            if len(told) == 2 and all(process["version"] == done.result for process in told):
                return float(max(process["at"] for process in told) - done.at)
            await asyncio.sleep(0.05)  # rows of a database: there is no event to wait for
