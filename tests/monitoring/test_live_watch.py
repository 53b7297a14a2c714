"""Live figures between processes: told while somebody looks, else not even read; and viewers are cut."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer
from django.db import OperationalError

from monitoring import alert_store, live_watch
from monitoring.alert_store import OpenNow
from monitoring.live_figures import FiguresReader
from monitoring.live_leases import LEASE_S
from monitoring.live_messages import CutOutcome
from monitoring.live_watch import (
    ANSWER_S,
    DEPLOYMENT_EVERY_S,
    FIGURES,
    MOST_SEATS,
    RECORD_S,
    VIEWER,
    WATCH,
)
from streaming import alarm_care
from streaming.exceptions import CloseCode
from streaming.layer_link import CONTROL_GROUP, LayerLink
from streaming.store import audit, processes, profiles
from streaming.store.processes import Process
from tests.fake_journal import FakeJournal, Store
from tests.fakes import virtual_time
from tests.monitoring.live_parts import Page, process, watching


@pytest.fixture(autouse=True)
def journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """No alarm of these tests is stored anywhere."""
    monkeypatch.setattr(alarm_care, "AlarmJournal", lambda **_: FakeJournal(Store()))


class Database:
    """Stands for the audit trail and the table of processes."""

    def __init__(self) -> None:
        self.entries: list[tuple[Any, ...]] = []
        self.is_away = False
        self.takes_s = 0.0
        self.asked = 0

    def record(self, actor: str, action: str, target: str, outcome: str, /, **detail: Any) -> None:
        """One entry."""
        self.entries.append((actor, action, target, outcome, detail))

    def known(self) -> list[Process]:
        """One process."""
        self.asked += 1
        return [Process("0123abcd", "host", 7, 4, None, 1.0)]

    def in_thread(self, function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        """In place of Channels' own."""

        async def call(*arguments: Any, **named: Any) -> Any:
            await asyncio.sleep(self.takes_s)
            if self.is_away:
                raise OperationalError("away")
            return function(*arguments, **named)

        return call


@pytest.fixture(autouse=True)
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    """What the watch writes into, and asks."""
    database = Database()
    monkeypatch.setattr(live_watch, "database_sync_to_async", database.in_thread)
    monkeypatch.setattr(audit, "record", database.record)
    monkeypatch.setattr(processes, "known", database.known)
    monkeypatch.setattr(profiles, "current_version", lambda: 4)
    monkeypatch.setattr(alert_store, "open_now", lambda _most: OpenNow([], 7))
    return database


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which process was read, each time that one was."""
    read, counted = FiguresReader.figures, list[str]()

    async def figures(reader: FiguresReader) -> str:
        counted.append(reader._runtime.process_id)
        return await read(reader)

    monkeypatch.setattr(FiguresReader, "figures", figures)
    return counted


@virtual_time
async def test_nothing_is_read_while_nobody_looks(readings: list[str], database: Database) -> None:
    async with process() as (runtime, _), watching(runtime):
        await asyncio.sleep(60.0)
        assert readings == []
        assert database.asked == 0


@virtual_time
async def test_a_page_is_told_at_once_and_every_second(readings: list[str]) -> None:
    async with process(aaaaaaaa="a") as (runtime, _), watching(runtime) as watch:
        page = Page()
        watch.enter(page)
        await asyncio.sleep(0.1)
        assert len(page.figures) == 1
        await asyncio.sleep(10.0)
        assert 10 <= len(page.figures) <= 11
        watch.leave(page)
        await asyncio.sleep(1.5)
        told = len(readings)
        await asyncio.sleep(30.0)
        assert len(readings) == told
        watch.enter(page)
        await asyncio.sleep(0.1)
        assert len(readings) == told + 1


@virtual_time
async def test_processes_are_asked_for_only_while_a_page_is_open(database: Database) -> None:
    async with process() as (runtime, _), watching(runtime) as watch:
        page = Page()
        watch.enter(page)
        await asyncio.sleep(DEPLOYMENT_EVERY_S + 0.1)
        assert [told["processes"][0]["process"] for told in page.processes] == ["0123abcd"] * 2
        database.is_away = True
        await asyncio.sleep(DEPLOYMENT_EVERY_S)
        assert len(page.processes) == 2
        database.is_away = False
        await asyncio.sleep(DEPLOYMENT_EVERY_S)
        assert len(page.processes) == len(page.alerts) == 3
        assert page.alerts[-1] == {"type": "alerts", "alerts": [], "count": 7}
        watch.leave(page)
        await asyncio.sleep(DEPLOYMENT_EVERY_S)
        asked = database.asked
        await asyncio.sleep(30.0)
        assert database.asked == asked


@virtual_time
async def test_other_processes_tell_while_they_are_asked_and_then_fall_silent(readings: list[str]) -> None:
    layer = InMemoryChannelLayer()
    async with (
        process(layer) as (here, _),
        process(layer, bbbbbbbb="b") as (there, _),
        watching(here) as watch,
        watching(there),
    ):
        page = Page()
        watch.enter(page)
        await asyncio.sleep(5.0)
        assert 4 <= len(page.told_by(there.process_id)) <= 6
        assert page.told_by(there.process_id)[-1]["viewers"][0]["connection"] == "bbbbbbbb"
        assert len(page.told_by(here.process_id)) >= 5
        watch.leave(page)
        await asyncio.sleep(LEASE_S + 2.0)
        told = len(readings)
        await asyncio.sleep(30.0)
        assert len(readings) == told


@virtual_time
async def test_a_viewer_of_another_process_is_looked_at_soon() -> None:
    layer = InMemoryChannelLayer()
    async with (
        process(layer) as (here, _),
        process(layer, bbbbbbbb="b") as (there, _),
        watching(here) as watch,
        watching(there),
    ):
        page, other = Page(), Page()
        watch.enter(page)
        watch.enter(other)
        await asyncio.sleep(3.1)
        assert page.viewers == []
        page.inspected = "bbbbbbbb"
        watch.hurry()
        await asyncio.sleep(0.6)
        told, peer = page.viewers[0]
        assert (told["connection"], told["process"], peer) == ("bbbbbbbb", there.process_id, "192.0.2.7")
        assert other.viewers == []


@virtual_time
async def test_a_viewer_is_told_of_only_to_the_process_where_somebody_looks_at_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reply, told = LayerLink.reply, list[tuple[str, str]]()

    def counted(link: LayerLink, channel: str, message: dict[str, Any], size_bytes: int = 0) -> None:
        told.append((channel, message["type"]))
        reply(link, channel, message, size_bytes)

    monkeypatch.setattr(LayerLink, "reply", counted)
    layer = InMemoryChannelLayer()
    async with (
        process(layer) as (here, _),
        process(layer) as (elsewhere, _),
        process(layer, bbbbbbbb="b") as (there, _),
        watching(here) as watch,
        watching(elsewhere) as other,
        watching(there),
    ):
        watch.enter(Page("bbbbbbbb"))
        other.enter(Page())
        await asyncio.sleep(3.0)
        assert {channel for channel, kind in told if kind == VIEWER} == {here.hub.link.channel}
        assert (elsewhere.hub.link.channel, FIGURES) in told


@virtual_time
async def test_a_page_in_a_hurry_does_not_make_it_read_without_pause(readings: list[str]) -> None:
    async with process() as (runtime, _), watching(runtime) as watch:
        watch.enter(Page())
        for _ in range(100):
            watch.hurry()
            await asyncio.sleep(0.01)
        assert len(readings) <= 5


@virtual_time
async def test_figures_wait_for_samples_where_the_layer_is_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = InMemoryChannelLayer()
    async with (
        process(layer) as (here, _),
        process(layer) as (there, _),
        watching(here) as watch,
        watching(there),
    ):
        waiting = live_watch.MOST_WAITING_BYTES + 1
        monkeypatch.setattr(LayerLink, "waiting_bytes", property(lambda _: waiting))
        page = Page()
        watch.enter(page)
        await asyncio.sleep(3.0)
        assert page.told_by(there.process_id) == []
        waiting = 0
        await asyncio.sleep(2.0)
        assert page.told_by(there.process_id)


@virtual_time
async def test_a_fault_in_one_reading_does_not_end_the_telling(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with process() as (runtime, _), watching(runtime) as watch:
        read = FiguresReader.figures

        async def fail(_reader: FiguresReader) -> str:
            raise RuntimeError("ours")

        monkeypatch.setattr(FiguresReader, "figures", fail)
        page = Page()
        watch.enter(page)
        await asyncio.sleep(1.5)
        assert page.figures == []
        monkeypatch.setattr(FiguresReader, "figures", read)
        await asyncio.sleep(1.0)
        assert page.figures
        assert "live figures could not be read" in caplog.text


@virtual_time
async def test_no_more_pages_than_so_many_are_let_in() -> None:
    async with process() as (runtime, _), watching(runtime) as watch:
        for _ in range(MOST_SEATS):
            assert not watch.is_full
            watch.enter(Page())
        assert watch.is_full


@virtual_time
async def test_messages_of_another_version_are_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    layer = InMemoryChannelLayer()
    async with process(layer) as (runtime, _), watching(runtime) as watch:
        for message in ({"type": WATCH}, {"type": WATCH, "inspected": 7, "reply": "x"}):
            await layer.group_send(CONTROL_GROUP, {**message, "origin": "other"})
        page = Page()
        watch.enter(page)
        await asyncio.sleep(0.1)
        assert page.figures
        assert caplog.text.count("cannot be read") == 2


# -- cutting


@virtual_time
async def test_a_viewer_here_is_cut_with_its_code_and_an_entry_before(database: Database) -> None:
    async with process(aaaaaaaa="a") as (runtime, viewers), watching(runtime) as watch:
        assert await watch.cut("aaaaaaaa", "moves to another network", "user:1") is CutOutcome.DONE
        assert viewers["aaaaaaaa"].cuts == [(CloseCode.CUT, "cut by an operator: moves to another network")]
        assert database.entries == [
            (
                "user:1",
                "viewer.cut",
                "connection:aaaaaaaa",
                "allowed",
                {
                    "viewer": "user:7",
                    "process": runtime.process_id,
                    "reason": "moves to another network",
                },
            )
        ]


@virtual_time
async def test_a_viewer_of_another_process_is_cut_there(database: Database) -> None:
    layer = InMemoryChannelLayer()
    async with (
        process(layer, aaaaaaaa="a") as (here, mine),
        process(layer, bbbbbbbb="b") as (there, theirs),
        watching(here) as watch,
        watching(there),
    ):
        assert await watch.cut("bbbbbbbb", "", "user:1") is CutOutcome.DONE
        assert theirs["bbbbbbbb"].cuts == [(CloseCode.CUT, "cut by an operator")]
        assert mine["aaaaaaaa"].cuts == []
        assert [(entry[0], entry[4]["process"]) for entry in database.entries] == [
            ("user:1", there.process_id)
        ]


@virtual_time
async def test_a_connection_that_nobody_has_is_told_after_a_while() -> None:
    layer = InMemoryChannelLayer()
    async with (
        process(layer) as (here, _),
        process(layer, bbbbbbbb="b") as (there, _),
        watching(here) as watch,
        watching(there),
    ):
        began = asyncio.get_running_loop().time()
        assert await watch.cut("cccccccc", "", "user:1") is CutOutcome.UNANSWERED
        assert asyncio.get_running_loop().time() - began == pytest.approx(ANSWER_S)


@virtual_time
async def test_a_process_alone_says_so_at_once() -> None:
    async with process(aaaaaaaa="a") as (runtime, _), watching(runtime) as watch:
        began = asyncio.get_running_loop().time()
        assert await watch.cut("cccccccc", "", "user:1") is CutOutcome.UNANSWERED
        assert asyncio.get_running_loop().time() == began


@virtual_time
async def test_nobody_is_cut_without_an_entry(database: Database) -> None:
    layer = InMemoryChannelLayer()
    async with (
        process(layer, aaaaaaaa="a") as (here, mine),
        process(layer, bbbbbbbb="b") as (there, theirs),
        watching(here) as watch,
        watching(there),
    ):
        database.is_away = True
        assert await watch.cut("aaaaaaaa", "", "user:1") is CutOutcome.UNRECORDED
        assert await watch.cut("bbbbbbbb", "", "user:1") is CutOutcome.UNRECORDED
        database.is_away, database.takes_s = False, RECORD_S + 0.5
        assert await watch.cut("bbbbbbbb", "", "user:1") is CutOutcome.UNRECORDED
        assert mine["aaaaaaaa"].cuts == theirs["bbbbbbbb"].cuts == []
