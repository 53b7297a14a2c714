"""One writer per stream, whichever process a device reaches: several processes in one virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from channels.layers import InMemoryChannelLayer
from django.db import OperationalError

from streaming import writers
from streaming.compression import CompressionHandler
from streaming.core.bundle import Bundle
from streaming.core.frames import Frame, FrameFlag, FrameKind
from streaming.core.messages import DeviceHello
from streaming.core.streams import Source
from streaming.exceptions import ProtocolError, StreamBusyError
from streaming.hub import Hub
from streaming.ingest import FORGET_S, FRAME_S, SILENCE_S, Ingest, Intake
from streaming.store import access, leases
from streaming.writers import ASK_DEADLINE_S, RENEW_S, Writers
from tests.e2e.peers import payload
from tests.fake_leases import FakeLeases
from tests.fakes import virtual_time
from tests.viewers import Viewer, stream_info, turns

ONE, TWO = "session-one", "session-two"


class Process:
    """One process without sockets: what its ingest published, and which of its connections were replaced."""

    def __init__(self, name: str, layer: InMemoryChannelLayer) -> None:
        self.name = name
        self.bundles: list[Bundle] = []
        self.replaced: list[int] = []
        clock = asyncio.get_running_loop().time
        self.hub = Hub(layer, process_id=name, clock=clock, on_notice=self._on_notice)
        self.ingest = Ingest(self._publish, lambda _group: CompressionHandler(), clock=clock)
        self.writers = Writers(self.ingest, self.hub.link, process_id=name, shared=True, clock=clock)

    def _on_notice(self, message: dict[str, Any]) -> None:
        self.writers.hear(message)

    def _publish(self, bundle: Bundle) -> None:
        self.bundles.append(bundle)
        self.hub.publish(bundle)

    async def open(self, session: str = ONE, next_sample: int = 0, *, number: int = 0) -> Intake:
        hello = DeviceHello("T", session, next_sample, Source.SIM, 500.0, stream_info().leads)
        return await self.writers.open(1, "a", hello, lambda: self.replaced.append(number))

    @property
    def story(self) -> list[tuple[str, int, int]]:
        told: list[tuple[str, int, int]] = []
        for bundle in self.bundles:
            told += [(gap.reason.value, gap.first, gap.stop) for gap in bundle.gaps]
            told += [(frame.kind.name, frame.first, frame.first + frame.count) for frame in bundle.frames]
        return told

    async def hang(self) -> None:
        """As after SIGSTOP, or behind a partition: it hears and says nothing more."""
        await self.hub.link.aclose()


def send(intake: Intake, first: int, stop: int) -> None:
    samples = np.zeros((len(intake.info.leads), stop - first), np.int16)
    intake.push(Frame(FrameKind.WAVEFORM, FrameFlag(0), 0, first, payload(samples)))


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> FakeLeases:
    leases = FakeLeases(lambda: asyncio.get_running_loop().time())
    leases.install(monkeypatch)
    monkeypatch.setattr(access, "open_epoch", lambda *arguments: stream_info())
    return leases


@asynccontextmanager
async def processes(*names: str) -> AsyncIterator[list[Process]]:
    layer = InMemoryChannelLayer(capacity=1000)
    async with AsyncExitStack() as stack:
        made = [Process(name, layer) for name in names]
        for process in made:
            await process.hub.start()
            stack.push_async_callback(process.hub.aclose)
            stack.push_async_callback(process.writers.aclose)
            await process.hub.link.join("vital.control")
        yield made


async def elapsed(work: Callable[[], Any]) -> float:
    began = asyncio.get_running_loop().time()
    await work()
    return asyncio.get_running_loop().time() - began


class TestHandOver:
    @virtual_time
    async def test_the_session_goes_on_where_it_stood(self, table: FakeLeases) -> None:
        async with processes("a", "b") as (here, there):
            old = await here.open(number=7)
            send(old, 0, 120)
            send(old, 120, 130)  # waits for its frame to fill
            new = await there.open(next_sample=90)
            assert new.next_sample == 130
            assert here.story == [("WAVEFORM", 0, 120), ("WAVEFORM", 120, 130)]
            assert here.replaced == [7]
            with pytest.raises(StreamBusyError):
                send(old, 130, 180)
            assert table.rows["a"].process == "b"
            send(new, 130, 200)
            assert there.story == [("WAVEFORM", 130, 200)]

    @virtual_time
    async def test_holes_move_with_it_and_are_filled_there(self, table: FakeLeases) -> None:
        async with processes("a", "b") as (here, there):
            old = await here.open()
            send(old, 0, 50)
            send(old, 100, 150)
            new = await there.open(next_sample=50)
            send(new, 50, 100)
            assert there.story == [("BACKFILL", 50, 100)]

    @virtual_time
    async def test_what_the_old_process_held_is_published_before_it_answers(self, table: FakeLeases) -> None:
        async with processes("a", "b", "c") as (here, there, watching):
            viewer = Viewer()
            watching.hub.add(viewer.subscriber)
            await watching.hub.watch(viewer.subscriber, "a")
            send(await here.open(), 0, 10)
            send(await there.open(), 10, 60)
            await asyncio.sleep(FRAME_S)
            await viewer.catch_up()
            assert viewer.samples.shape[1] == 60
            assert viewer.gaps == []
            await viewer.subscriber.aclose()

    @virtual_time
    async def test_there_and_back_again(self, table: FakeLeases) -> None:
        async with processes("a", "b") as (here, there):
            send(await here.open(), 0, 50)
            send(await there.open(), 50, 100)
            back = await here.open()
            assert back.next_sample == 100
            assert table.rows["a"].token == 3

    @virtual_time
    async def test_two_processes_that_want_it_at_once_do_not_both_write(self, table: FakeLeases) -> None:
        async with processes("a", "b", "c") as (here, there, other):
            send(await here.open(), 0, 50)
            intakes = await asyncio.gather(there.open(), other.open())
            await turns()
            assert [_is_replaced(intake) for intake in intakes].count(False) == 1


class TestBusy:
    @virtual_time
    async def test_another_session_is_refused_and_told_why(self, table: FakeLeases) -> None:
        async with processes("a", "b") as (here, there):
            send(await here.open(), 0, 50)
            with pytest.raises(StreamBusyError, match=r"another session of this device \(sessio"):
                await there.open(TWO)
            assert here.replaced == []
            assert table.rows["a"].process == "a"

    @virtual_time
    async def test_until_the_first_was_silent_for_10_s_not_by_its_lease(self, table: FakeLeases) -> None:
        async with processes("a", "b") as (here, there):
            intake = await here.open()
            await asyncio.sleep(SILENCE_S - 1)
            send(intake, 0, 50)  # heard, and not renewed: the database may be away
            await asyncio.sleep(SILENCE_S - 1)
            with pytest.raises(StreamBusyError):
                await there.open(TWO)
            await asyncio.sleep(2)
            assert (await there.open(TWO)).next_sample == 0
            assert here.replaced == [0]

    @virtual_time
    async def test_a_session_that_ended_is_not_waited_for(self, table: FakeLeases) -> None:
        async with processes("a", "b") as (here, there):
            (await here.open()).close(ended=True)
            intake = await there.open(TWO)  # asks, as the table does not know yet
            intake.close(ended=True)
            await there.writers.renew()
            assert not table.rows["a"].is_open
            assert table.online(["a"]) == set()

    @virtual_time
    async def test_of_a_dead_process_the_lease_tells(self, table: FakeLeases) -> None:
        async with processes("a", "b") as (here, there):
            send(await here.open(), 0, 50)
            await here.hang()
            with pytest.raises(StreamBusyError, match="since 2026-01-01"):
                await there.open(TWO)
            await asyncio.sleep(SILENCE_S)
            await there.open(TWO)

    @virtual_time
    async def test_nobody_goes_on_where_another_session_stood(self, table: FakeLeases) -> None:
        async with processes("a", "b") as (here, there):
            send(await here.open(TWO), 0, 50)
            table.rows["a"] = replace(table.rows["a"], session=ONE)
            await asyncio.sleep(SILENCE_S)
            assert (await there.open(ONE)).next_sample == 0

    @virtual_time
    async def test_a_refused_epoch_leaves_no_lease(
        self, table: FakeLeases, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_arguments: Any) -> None:
            raise ProtocolError("a newer session has taken this stream")

        async with processes("a", "b") as (here, there):
            with monkeypatch.context() as patch:
                patch.setattr(access, "open_epoch", refuse)
                with pytest.raises(ProtocolError):
                    await here.open()
            await here.hang()
            assert await elapsed(lambda: there.open(TWO)) < ASK_DEADLINE_S


class TestDeath:
    @virtual_time
    @pytest.mark.parametrize(("hello", "begins_at"), [(20, 20), (90, 50)])
    async def test_what_the_device_can_resend_is_taken_again(
        self, table: FakeLeases, hello: int, begins_at: int
    ) -> None:
        async with processes("a", "b") as (here, there):
            intake = await here.open()
            send(intake, 0, 50)
            send(intake, 50, 70)  # waits for its frame: it would die with the process
            await here.writers.renew()
            await here.hang()
            waited = await elapsed(lambda: there.open(next_sample=hello))
            assert waited == pytest.approx(ASK_DEADLINE_S)
            assert there.ingest.tenures()["a"].published == begins_at

    @virtual_time
    async def test_what_the_dead_process_confirmed_is_nobodys_gap_and_may_come_all_the_same(
        self, table: FakeLeases
    ) -> None:
        async with processes("a", "b") as (here, there):
            send(await here.open(), 0, 50)
            await here.writers.renew()
            await here.hang()
            new = await there.open(next_sample=80)
            send(new, 80, 130)
            send(new, 180, 230)
            send(new, 60, 80)
            assert there.story == [
                ("WAVEFORM", 80, 130),
                ("source", 130, 180),
                ("WAVEFORM", 180, 230),
                ("BACKFILL", 60, 80),
            ]

    @virtual_time
    async def test_a_process_that_ended_in_peace_is_not_asked(self, table: FakeLeases) -> None:
        async with processes("a", "b") as (here, there):
            intake = await here.open()
            send(intake, 0, 50)
            send(intake, 70, 120)
            intake.close(ended=False)
            await here.writers.give_up()
            await here.hang()
            with pytest.raises(StreamBusyError):
                await there.open(TWO)
            new = await there.open()
            assert new.next_sample == 120
            send(new, 50, 70)
            assert there.story == [("BACKFILL", 50, 70)]

    @virtual_time
    async def test_a_writer_whose_lease_was_taken_stops(self, table: FakeLeases) -> None:
        async with processes("a", "b") as (here, there):
            old = await here.open(number=3)
            send(old, 0, 50)
            there.hub.link.healthy = False  # a partition of the layer alone: nobody is asked
            await there.open()
            send(old, 50, 100)
            await here.writers.renew()
            assert here.replaced == [3]
            with pytest.raises(StreamBusyError):
                send(old, 100, 150)
            assert table.rows["a"].process == "b"

    @virtual_time
    async def test_what_was_left_of_a_former_stay_is_not_gone_on_with(self, table: FakeLeases) -> None:
        async with processes("a", "b") as (here, there):
            send(await here.open(), 0, 50)
            there.hub.link.healthy = False
            send(await there.open(next_sample=50), 50, 100)
            again = await here.open(next_sample=50)
            assert again.next_sample == 100


class TestRenewal:
    @virtual_time
    async def test_it_follows_what_is_heard(self, table: FakeLeases) -> None:
        async with processes("a") as (here,):
            intake = await here.open()
            for turn in range(8):
                send(intake, 50 * turn, 50 * turn + 50)
                await asyncio.sleep(RENEW_S)
                await here.writers.renew()
            assert table.read("a").next_sample == 400
            assert await here.writers.online({"a", "b"}) == {"a"}
            for _ in range(5):
                await asyncio.sleep(RENEW_S)
                await here.writers.renew()
            assert not table.read("a").in_force
            assert await here.writers.online({"a"}) == set()

    @virtual_time
    async def test_without_news_nothing_is_written(self, table: FakeLeases) -> None:
        async with processes("a") as (here,):
            await here.open()
            await asyncio.sleep(RENEW_S)
            await here.writers.renew()
            table.calls.clear()
            await asyncio.sleep(RENEW_S)
            await here.writers.renew()
            assert table.calls == []

    @virtual_time
    async def test_what_never_opened_and_what_was_silent_for_an_hour_is_forgotten(
        self, table: FakeLeases, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_arguments: Any) -> None:
            raise OperationalError("away")

        async with processes("a") as (here,):
            with monkeypatch.context() as patch:
                patch.setattr(access, "open_epoch", fail)
                with pytest.raises(OperationalError):
                    await here.open()
            assert here.writers._tokens.keys() == {"a"}
            await here.writers.renew()
            assert here.writers._tokens.keys() == set()
            (await here.open()).close(ended=False)
            await here.writers.renew()
            assert here.writers._tokens.keys() == {"a"}
            await asyncio.sleep(FORGET_S + 1)
            here.ingest.streams()  # as the process does each minute
            await here.writers.renew()
            assert here.writers._tokens.keys() == set()

    @virtual_time
    async def test_a_lease_is_kept_while_its_epoch_is_made(
        self, table: FakeLeases, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        goes_on = asyncio.Event()

        def in_a_thread(function: Callable[..., Any]) -> Callable[..., Any]:
            async def call(*args: Any, **values: Any) -> Any:
                if function is access.open_epoch:
                    await goes_on.wait()
                return function(*args, **values)

            return call

        async with processes("a") as (here,):
            monkeypatch.setattr(writers, "database_sync_to_async", in_a_thread)
            opening = asyncio.create_task(here.open())
            await turns()
            await here.writers.renew()
            goes_on.set()
            send(await opening, 0, 50)
            await here.writers.renew()
            assert table.read("a").next_sample == 50

    @virtual_time
    async def test_a_database_that_is_away_stops_no_samples_and_is_caught_up_with(
        self, table: FakeLeases
    ) -> None:
        async with processes("a") as (here,):
            intake = await here.open()
            for turn in range(6):
                table.faults = [OperationalError("away")]
                await asyncio.sleep(RENEW_S)
                send(intake, 50 * turn, 50 * turn + 50)
                with pytest.raises(OperationalError):
                    await here.writers.renew()
            assert not table.read("a").in_force
            await here.writers.renew()
            lease = table.read("a")
            assert (lease.in_force, lease.next_sample, here.replaced) == (True, 300, [])


def _is_replaced(intake: Intake) -> bool:
    try:
        send(intake, intake.next_sample, intake.next_sample + 1)
    except StreamBusyError:
        return True
    return False


@virtual_time
async def test_a_lease_taken_while_its_former_end_is_written_is_kept(
    table: FakeLeases, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = {"end", "open_epoch"}
    goes_on = {name: asyncio.Event() for name in slow}

    def in_a_thread(function: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **values: Any) -> Any:
            if function is leases.end:
                await goes_on["end"].wait()
            elif function is access.open_epoch:
                await goes_on["open_epoch"].wait()
            return function(*args, **values)

        return call

    async with processes("a") as (here,):
        (await here.open()).close(ended=True)
        monkeypatch.setattr(writers, "database_sync_to_async", in_a_thread)
        renewal = asyncio.create_task(here.writers.renew())
        await turns()
        opening = asyncio.create_task(here.open(TWO))
        await turns()
        assert (table.rows["a"].session, opening.done()) == (TWO, False)
        goes_on["end"].set()
        await renewal
        goes_on["open_epoch"].set()
        await opening
        await asyncio.sleep(RENEW_S)
        await here.writers.renew()
        assert table.calls[-1] == "renew"
