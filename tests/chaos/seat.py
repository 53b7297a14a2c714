"""`python -m tests.chaos.seat URL TOKEN`: a viewer in a process of its own, which may be killed.

A line of JSON for each thing that its screen does: {"drew": id, "at": s}, {"removed": id, "why": ..., "at":
s}, and now and then {"told_again": n}. Ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from typing import Any

from streaming.client import Alarm, AlarmSeverity, AlarmState, OpenAlarms, Viewer
from tests.chaos.screen import Screen

FRAME_S = 0.05
"""What was drawn meanwhile is reported together."""
MOST_IDS = 64
SEEN_TO_S, AGAIN_S = 2.0, 10.0
"""A nurse acknowledges within so long, and again when that had no effect for long."""
ACKNOWLEDGE_EVERY_S = 0.2
"""Each is looked up and audited: a person does no more."""


class Seat:
    """Draws, says so, and sees to what wants to be acknowledged."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._screen = Screen()
        self._undisplayed: dict[str, None] = {}
        self._to_acknowledge: dict[str, float] = {}
        self._acknowledged_at = 0.0

    async def watch(self) -> None:
        """Take what comes."""
        async for event in self._viewer:
            now = time.monotonic()
            if isinstance(event, Alarm):
                self._take(event, now)
            elif isinstance(event, OpenAlarms):
                self._gone(self._screen.keep(event.alarms, now), now, "not named")

    async def tend(self) -> None:
        """Frame by frame, say what is drawn, and acknowledge."""
        told_again = 0
        while True:
            await asyncio.sleep(FRAME_S)
            now = time.monotonic()
            self._gone(self._screen.settle(now), now, "not named")
            while self._undisplayed:
                ids = list(self._undisplayed)[:MOST_IDS]
                for alarm in ids:
                    del self._undisplayed[alarm]
                await self._viewer.displayed(*ids)
            due = [alarm for alarm, at in self._to_acknowledge.items() if now >= at]
            if due and now - self._acknowledged_at >= ACKNOWLEDGE_EVERY_S:
                self._acknowledged_at = now
                self._to_acknowledge[due[0]] = now + AGAIN_S
                await self._viewer.acknowledge(due[0])
            if self._screen.told_again != told_again:
                told_again = self._screen.told_again
                _say(told_again=told_again)

    def _take(self, event: Alarm, now: float) -> None:
        alarm = event.alarm
        match self._screen.hear(event, now):
            case True:
                _say(drew=alarm, at=now)
            case False:
                self._gone([alarm], now, "closed")
        if alarm in self._screen.shown:
            self._undisplayed[alarm] = None
            if event.acknowledged_ms is not None or event.state is AlarmState.ACKNOWLEDGED:
                self._to_acknowledge.pop(alarm, None)
            elif event.severity is AlarmSeverity.HIGH:
                self._to_acknowledge.setdefault(alarm, now + random.uniform(0, SEEN_TO_S))

    def _gone(self, alarms: list[str], now: float, why: str) -> None:
        for alarm in alarms:
            self._undisplayed.pop(alarm, None)
            self._to_acknowledge.pop(alarm, None)
            _say(removed=alarm, why=why, at=now)


def _say(**values: Any) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


async def _main(url: str, token: str) -> None:
    async with Viewer(url, token=token) as viewer:
        seat = Seat(viewer)
        works = [
            asyncio.create_task(work)
            for work in (seat.watch(), seat.tend(), asyncio.to_thread(sys.stdin.read))
        ]
        done, others = await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            task.cancel()
        for task in done:
            task.result()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
