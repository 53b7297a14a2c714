"""Alarms through a real server: told, shown, acknowledged and stored, whatever the journal is doing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from streaming.client import (
    Alarm,
    AlarmSeverity,
    AlarmState,
    AlarmWithdrawn,
    AudioPaused,
    Device,
    Event,
    Frame,
    Lead,
    OpenAlarms,
    Refused,
    Source,
    Viewer,
    Vitals,
)
from tests.e2e.peers import DEADLINE_S
from tests.e2e.shell import Shell
from tests.servers import Server, StartServer

pytestmark = pytest.mark.server

LOCK_S = 30.0
"""The database of alarms stays locked for so long."""
SHOWN_WITHIN_S = 1.0
MAY = ("acknowledge_alarms", "pause_alarm_audio", "switch_off_alarms")


@dataclass
class Station:
    """A viewer that shows every alarm it is told of, and keeps what it hears."""

    viewer: Viewer
    heard: list[Event] = field(default_factory=list)
    alarms: dict[str, Alarm] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)
    """When each was first heard of, on the loop's clock."""
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _returned: Counter[type[Event]] = field(default_factory=Counter)

    async def watch(self) -> None:
        async for event in self.viewer:
            async with self._news:
                self.heard.append(event)
                if isinstance(event, Alarm):
                    if event.alarm not in self.alarms:
                        self.times[event.alarm] = asyncio.get_running_loop().time()
                        await self.viewer.displayed(event.alarm)
                    self.alarms[event.alarm] = event
                self._news.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S), self._news:
            await self._news.wait_for(condition)

    async def hears(self, kind: type[Event]) -> Any:
        """The next event of a kind, which may have come already."""
        known = self._returned[kind]
        await self.until(lambda: sum(isinstance(event, kind) for event in self.heard) > known)
        self._returned[kind] += 1
        return [event for event in self.heard if isinstance(event, kind)][known]

    def tellings(self, alarm: str) -> list[Alarm]:
        """All that was told of one alarm."""
        return [event for event in self.heard if isinstance(event, Alarm) and event.alarm == alarm]

    async def shows(self, text: str, state: AlarmState = AlarmState.ACTIVE) -> Alarm:
        """Wait until an alarm with this in its text stands so."""

        def found() -> list[Alarm]:
            return [a for a in self.alarms.values() if text in a.text and a.state is state]

        await self.until(lambda: bool(found()))
        return found()[0]


@asynccontextmanager
async def station(server: Server, token: str) -> AsyncIterator[Station]:
    async with Viewer(server.ws_url, token=token) as viewer:
        made = Station(viewer)
        task = asyncio.create_task(made.watch())
        try:
            yield made
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Place:
    server: Server
    shell: Shell
    tokens: dict[str, str]

    async def steps(self, alarm: str) -> list[str]:
        rows = (await self.shell.do("journal", alarm)).result
        return [row["step"] for row in rows]

    async def stored(self, alarm: str, *steps: str) -> list[str]:
        """Wait until an alarm has as many steps as these; they are these, in the order that is returned."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                found = await self.steps(alarm)
                if len(found) >= len(steps):
                    break
                await asyncio.sleep(0.05)  # rows of a database: there is no event to wait for
        assert sorted(found) == sorted(steps)
        return found


@pytest.fixture(scope="module")
def place(module_daphne: StartServer) -> Iterator[Place]:
    server = module_daphne()
    with Shell(server) as shell:
        tokens = {name: shell.run("employ", name, "Ward a") for name in ("nurse", "guest")}
        shell.run("allow", "nurse", *MAY)
        yield Place(server, shell, tokens)


@asynccontextmanager
async def device(place: Place, name: str) -> AsyncIterator[tuple[Device, str]]:
    bed = (await place.shell.do("admit", name)).result
    lead = Lead("II", 5.0)
    async with Device(
        place.server.ws_url, bed["token"], signals=[lead], rate_hz=250, source=Source.SIM
    ) as it:
        await it.wait_connected()
        yield it, bed["stream"]


async def feed_noise(it: Device) -> None:
    """Samples in real time: the analysis sees time pass."""
    rng = np.random.default_rng(1)
    while True:
        await it.send(rng.integers(-5, 6, (1, 25)).astype(np.int16))
        await asyncio.sleep(0.1)


async def raise_vt(it: Device, alarm: str) -> None:
    await it.raise_alarm(
        alarm,
        kind="vent tachy",
        text="VENT TACHY 182 > 100",
        severity=AlarmSeverity.HIGH,
        value=182,
        limit=100,
        unit="bpm",
        lead="II",
    )


async def test_an_alarm_of_a_device_is_shown_acknowledged_and_closed_and_each_step_is_stored(
    place: Place,
) -> None:
    async with (
        station(place.server, place.tokens["nurse"]) as nurse,
        device(place, "bedside") as (it, stream),
    ):
        await nurse.until(lambda: any(entry.stream == stream for entry in nurse.viewer.roster))
        await raise_vt(it, "d-1")
        alarm = await nurse.shows("VENT TACHY 182 > 100")
        assert (alarm.stream, alarm.severity, alarm.latching) == (stream, AlarmSeverity.HIGH, True)
        await it.end_alarm("d-1")
        await nurse.shows("VENT TACHY", AlarmState.ENDED)
        await nurse.viewer.acknowledge(alarm.alarm)
        closed = await nurse.shows("VENT TACHY", AlarmState.CLOSED)
        assert closed.acknowledged_by == "nurse"
        async with asyncio.timeout(DEADLINE_S):
            await it.drain()
        assert it.unconfirmed_alarms == 0
        steps = await place.stored(alarm.alarm, "raised", "published", "displayed", "cleared", "acknowledged")
        assert steps[0] == "raised"


async def test_who_connects_is_told_what_is_open_and_what_it_may_do(place: Place) -> None:
    async with device(place, "waiting") as (it, stream):
        await raise_vt(it, "d-1")
        async with asyncio.timeout(DEADLINE_S):
            await it.drain()
        async with station(place.server, place.tokens["guest"]) as guest:
            alarm = await guest.shows("VENT TACHY")
            told: OpenAlarms = await guest.hears(OpenAlarms)
            assert alarm.alarm in told.alarms
            assert told.may == frozenset()
            await guest.viewer.acknowledge(alarm.alarm)
            refused: Refused = await guest.hears(Refused)
            assert (refused.of, refused.target) == ("alarm_ack", alarm.alarm)
            await guest.viewer.switch_alarms(stream, off=True)
            assert (await guest.hears(Refused)).of == "alarms_off"
            await guest.viewer.pause_audio(60)
            assert (await guest.hears(Refused)).of == "audio_pause"
        await it.end_alarm("d-1")


async def test_a_pause_of_the_sound_is_broken_by_a_new_alarm(place: Place) -> None:
    async with station(place.server, place.tokens["nurse"]) as nurse, device(place, "loud") as (it, stream):
        await nurse.until(lambda: any(entry.stream == stream for entry in nurse.viewer.roster))
        await nurse.viewer.pause_audio(120)
        paused: AudioPaused = await nurse.hears(AudioPaused)
        assert paused.until_ms is not None
        await raise_vt(it, "d-1")
        broken: AudioPaused = await nurse.hears(AudioPaused)
        assert (broken.until_ms, broken.broken_by) == (None, f"{stream}.{it.epoch}.d-1")
        await it.end_alarm("d-1")


async def test_switched_off_a_patient_has_no_alarm_but_that(place: Place) -> None:
    async with station(place.server, place.tokens["nurse"]) as nurse, device(place, "quiet") as (it, stream):
        await nurse.until(lambda: any(entry.stream == stream for entry in nurse.viewer.roster))
        feed = asyncio.create_task(feed_noise(it))
        try:
            await raise_vt(it, "d-1")
            alarm = await nurse.shows("VENT TACHY")
            await nurse.viewer.switch_alarms(stream, off=True)
            await nurse.until(lambda: AlarmWithdrawn(alarm.alarm) in nurse.heard)
            off = await nurse.shows("ALARMS OFF")
            assert (off.stream, off.severity) == (stream, AlarmSeverity.LOW)
            told = len(nurse.tellings(alarm.alarm))
            await nurse.viewer.switch_alarms(stream, off=False)
            await nurse.until(lambda: nurse.alarms[off.alarm].state is AlarmState.CLOSED)
            await nurse.until(lambda: len(nurse.tellings(alarm.alarm)) > told)
        finally:
            feed.cancel()
            await asyncio.gather(feed, return_exceptions=True)


@contextmanager
def locked(server: Server) -> Iterator[None]:
    """Nobody else can write the journal meanwhile."""
    path = server.environment()["VITAL_VAR_DIR"] + "/journal.sqlite3"
    held = sqlite3.connect(path, isolation_level=None)
    try:
        held.execute("BEGIN IMMEDIATE")
        yield
        held.execute("ROLLBACK")
    finally:
        held.close()


async def test_while_the_journal_is_locked_an_alarm_is_shown_within_a_second_and_stored_afterwards(
    place: Place,
) -> None:
    loop = asyncio.get_running_loop()
    async with station(place.server, place.tokens["nurse"]) as nurse, device(place, "locked") as (it, stream):
        await nurse.until(lambda: any(entry.stream == stream for entry in nurse.viewer.roster))
        shown: list[Alarm] = []
        with locked(place.server):
            until, number = loop.time() + LOCK_S, 0
            while loop.time() < until:
                raised_at = loop.time()
                await raise_vt(it, f"d-{number}")
                name = f"{stream}.{it.epoch}.d-{number}"
                await nurse.until(lambda name=name: name in nurse.alarms)  # type: ignore[misc]
                assert nurse.times[name] - raised_at <= SHOWN_WITHIN_S
                assert nurse.alarms[name].unstored
                shown.append(nurse.alarms[name])
                async with asyncio.timeout(DEADLINE_S):
                    await it.drain()  # it is on disk: in the spool
                number += 1
                await asyncio.sleep(max(0.0, raised_at + 2.0 - loop.time()))
            await nurse.shows("ALARMS NOT STORED")
            assert await place.steps(shown[0].alarm) == []
        await nurse.until(lambda: not any(nurse.alarms[alarm.alarm].unstored for alarm in shown))
        await nurse.shows("ALARMS NOT STORED", AlarmState.CLOSED)
        for alarm in shown:
            assert (await place.steps(alarm.alarm)).count("raised") == 1
        for number in range(len(shown)):
            await it.end_alarm(f"d-{number}")


PATIENTS = 100
CROWD_S = 3.0


async def test_each_of_a_hundred_viewers_sees_its_own_patient_and_nothing_of_another(place: Place) -> None:
    """Each lies in a ward of its own; its samples are its number, and so is its alarm's value."""

    async def one(number: int) -> None:
        bed, token = beds[number], tokens[number]
        lead = Lead("II", 5.0)
        async with (
            station(place.server, token) as seen,
            Device(place.server.ws_url, bed["token"], signals=[lead], rate_hz=250, source=Source.SIM) as it,
        ):
            await it.wait_connected()
            assert [entry.stream for entry in seen.viewer.roster] == [bed["stream"]]
            await begin.wait()
            # All ids of the hospital are known to everybody: none may be of use to another.
            others = [beds[(number + step) % PATIENTS]["stream"] for step in range(1, 21)]
            await seen.viewer.subscribe([bed["stream"], *others])
            await it.raise_alarm(
                "own", kind="own", text=f"OWN {number}", severity=AlarmSeverity.MEDIUM, value=number
            )
            for _ in range(round(CROWD_S / 0.1)):
                await it.send(np.full((1, 25), number, np.int16))
                await asyncio.sleep(0.1)
            await seen.shows(f"OWN {number}")
            await seen.until(lambda: any(isinstance(event, Frame) for event in seen.heard))
            await begin.wait()
        for event in seen.heard:
            if isinstance(event, Frame):
                assert event.stream == bed["stream"]
                assert (event.samples == number).all()
            elif isinstance(event, Alarm) and event.stream:
                assert event.stream == bed["stream"]
                assert event.kind != "own" or event.value == number
            elif isinstance(event, Vitals):
                assert event.stream == bed["stream"]

    wards = [f"Ward x{number}" for number in range(PATIENTS)]
    beds = [(await place.shell.do("admit", f"crowd {ward}", ward)).result for ward in wards]
    tokens = [(await place.shell.do("employ", f"viewer of {ward}", ward)).result for ward in wards]
    begin = asyncio.Barrier(PATIENTS)
    async with asyncio.timeout(10 * DEADLINE_S), asyncio.TaskGroup() as group:
        for number in range(PATIENTS):
            group.create_task(one(number))
