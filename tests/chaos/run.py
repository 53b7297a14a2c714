"""One run: devices raise, viewers show, a plan kills, and the book says what became of each alarm."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from streaming.client import Device, Source
from tests.chaos.balancer import Balancer, balancer
from tests.chaos.bedside import KIND, LEADS, RATE_HZ, Bedside
from tests.chaos.book import Book, Verdict, name_of
from tests.chaos.page import BROWSER, PAGE, OpenPage, PagePart
from tests.chaos.parts import Part, SeatPart, ServerPart, ValkeyPart
from tests.chaos.plan import Strike, strikes
from tests.e2e.cluster import Cluster, cluster

SETTLE_DEADLINE_S = 90.0
"""Until all is confirmed and each viewer shows what is open: a device may be told to wait for 10 s, a viewer
that met no server for 30."""
LOOK_EVERY_S = 0.5
READER, PASSWORD = "reader", "correct horse battery"
PROGRESS_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """How large a run is; `seed` chooses what is killed, and when."""

    alarms: int
    kills: int
    devices: int = 8
    seed: int = 1
    minutes: float = 60.0
    """After which no more is raised."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to."""

    verdict: Verdict
    book: Book
    kills: Counter[str]
    resends: int
    took_s: float


def chaos(wanted: Wanted, migrated_var: Path, home: Path, say: Callable[[str], None]) -> Outcome:
    """Start all parts, kill them as the seed has it, and judge; `say` hears how far it is."""
    with cluster(migrated_var, home, {}) as parts:
        parts.shell.run("allow", "nurse", "acknowledge_alarms")
        parts.shell.run("employ", READER, "Ward a", password=PASSWORD)
        return asyncio.run(_Run(wanted, parts, say).outcome())


class _Run:
    """The state of one run."""

    def __init__(self, wanted: Wanted, parts: Cluster, say: Callable[[str], None]) -> None:
        self._wanted = wanted
        self._parts = parts
        self._say = say
        self._book = Book()
        self._rng = random.Random(wanted.seed)
        self._kills: Counter[str] = Counter()
        self._began = time.monotonic()

    async def outcome(self) -> Outcome:
        """From an empty journal to the verdict."""
        async with AsyncExitStack() as stack:
            servers = self._parts.first, self._parts.second
            ways = [await stack.enter_async_context(balancer(order)) for order in (servers, servers[::-1])]
            seats = [
                SeatPart(f"viewer {number}", way, self._parts.token, self._book)
                for number, way in enumerate(ways, 1)
            ]
            for seat in seats:
                await seat.start(stack)
            page, turn = OpenPage(ways[0], READER, PASSWORD, self._book), asyncio.Lock()
            await page.start(stack)
            bedsides = [
                await stack.enter_async_context(self._bedside(number, ways[number % 2]))
                for number in range(self._wanted.devices)
            ]
            parts: dict[str, Part] = {
                "first server": ServerPart(self._parts.first),
                "second server": ServerPart(self._parts.second),
                "Valkey": ValkeyPart(self._parts.valkey),
                **{seat.name: seat for seat in seats},
                **{kind: PagePart(page, kind, turn) for kind in (PAGE, BROWSER)},
            }
            await self._run(bedsides, parts)
            verdict = await self._settled(bedsides, [page.name, *(seat.name for seat in seats)])
            took_s = time.monotonic() - self._began
            resends = sum(bedside.resends for bedside in bedsides)
            return Outcome(verdict, self._book, self._kills, resends, took_s)

    @asynccontextmanager
    async def _bedside(self, number: int, at: Balancer) -> AsyncIterator[Bedside]:
        name = f"d{number}"
        bed = (await self._parts.shell.do("admit", name)).result
        rng = random.Random(self._rng.random())
        async with Device(
            at.ws_url, bed["token"], signals=LEADS, rate_hz=RATE_HZ, source=Source.SIM
        ) as device:
            await device.wait_connected()
            bedside = Bedside(name, device, self._book, rng, self._is_wanted)
            feeding = asyncio.create_task(bedside.feed())
            try:
                yield bedside
            finally:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)

    @property
    def _is_late(self) -> bool:
        return time.monotonic() - self._began > 60 * self._wanted.minutes

    def _is_wanted(self) -> bool:
        return len(self._book.raised) < self._wanted.alarms and not self._is_late

    async def _run(self, bedsides: Sequence[Bedside], parts: Mapping[str, Part]) -> None:
        """Until all is raised, ended and killed, or nothing has happened for too long."""
        plan = strikes(self._rng, list(parts), kills=self._wanted.kills, alarms=self._wanted.alarms)
        works = [asyncio.create_task(bedside.run()) for bedside in bedsides]
        works += [
            asyncio.create_task(self._strike(name, part, [s for s in plan if s.part == name]))
            for name, part in parts.items()
        ]
        before, since, told = None, time.monotonic(), time.monotonic()
        try:
            while waiting := [work for work in works if not work.done()]:
                await asyncio.wait(waiting, timeout=LOOK_EVERY_S)
                now = time.monotonic()
                if self._is_late:
                    self._book.release()
                if (done := self._book.progress) != before:
                    before, since = done, now
                elif now - since > SETTLE_DEADLINE_S:
                    self._say("nothing happens any more")
                    break
                if now - told > PROGRESS_EVERY_S:
                    told = now
                    self._tell_progress()
            for work in works:
                if work.done():
                    work.result()
        finally:
            for work in works:
                work.cancel()
            await asyncio.gather(*works, return_exceptions=True)

    async def _strike(self, name: str, part: Part, plan: Sequence[Strike]) -> None:
        """Kill this part whenever the plan has it; one kill waits until the last one is mended."""
        for strike in plan:
            await self._book.reached(strike.alarms).wait()
            if len(self._book.raised) < strike.alarms:
                return
            await asyncio.sleep(strike.pause_s)
            self._kills[name] += 1
            await part.die_and_return()

    async def _settled(self, bedsides: Sequence[Bedside], viewers: Sequence[str]) -> Verdict:
        """The verdict once it is good, or when it should be for long."""
        shell, deadline = self._parts.shell, time.monotonic() + SETTLE_DEADLINE_S
        while True:
            is_late = time.monotonic() > deadline
            open_now = (await shell.do("open_alarms")).result
            open_names = {name_of(alarm) for alarm in open_now}
            shown = [self._book.shown(viewer) for viewer in viewers]
            if is_late or all(names == self._book.left_on == open_names for names in shown):
                return self._book.verdict(
                    stored=(await shell.do("times_raised", KIND)).result,
                    open_now=open_now,
                    viewers=viewers,
                    unconfirmed=sum(bedside.device.unconfirmed_alarms for bedside in bedsides),
                )
            await asyncio.sleep(LOOK_EVERY_S)

    def _tell_progress(self) -> None:
        raised, ended, shown = self._book.progress
        self._say(
            f"{time.monotonic() - self._began:5.0f} s: {raised} alarms raised, {shown} shown, {ended} ended;"
            f" {self._kills.total()} kills; {self._book.duplicates} shown twice or too late"
        )
