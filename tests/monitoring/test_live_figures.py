"""What a live page is told of a process: right, bounded, the worst first, and read in pieces."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer

from monitoring import live_figures
from monitoring.live_figures import FiguresReader
from monitoring.pausing import READ_AT_ONCE
from streaming import alarm_care
from streaming.core.overload import EMERGENCY_LAG_S, OverloadState
from streaming.runtime import Runtime
from streaming.subscriber import Subscriber
from tests.fake_journal import FakeJournal, Store
from tests.fakes import virtual_time
from tests.monitoring.live_parts import held, process
from tests.servers import ROOT
from tests.viewers import Viewer, frames_of, stream_info


@pytest.fixture(autouse=True)
def journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """No alarm of these tests is stored anywhere."""
    monkeypatch.setattr(alarm_care, "AlarmJournal", lambda **_: FakeJournal(Store()))


def reader(runtime: Runtime) -> FiguresReader:
    return FiguresReader(runtime, clock=asyncio.get_running_loop().time)


async def read(reading: FiguresReader) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(await reading.figures())
    return told


async def crowd(runtime: Runtime, count: int, stream: str = "a") -> list[Viewer]:
    """So many more viewers of a stream, whose connections are numbered."""
    viewers = []
    for number in range(count):
        viewers.append(viewer := held(Viewer(), f"{number:08x}"))
        runtime.hub.add(viewer.subscriber)
        await runtime.hub.watch(viewer.subscriber, stream)
    return viewers


@virtual_time
async def test_a_process_tells_of_itself_its_groups_and_its_viewers() -> None:
    async with process(aaaaaaaa="a", bbbbbbbb="a", cccccccc="b") as (runtime, viewers):
        for index in range(3):
            runtime.hub.publish(frames_of(stream_info("a"), index))
            await asyncio.sleep(0.1)
            for viewer in viewers.values():
                await viewer.catch_up()
        await asyncio.sleep(4.0)
        told = await read(reader(runtime))
        assert (told["process"], told["type"]) == (runtime.process_id, "figures")
        assert (told["overload"], told["layer"], told["viewer_count"]) == ("normal", "ok", 3)
        assert (told["sent"], told["dropped"], told["devices"]) == (6, 0, 0)
        groups = {group["group"]: group for group in told["groups"]}
        assert list(groups) == ["ecg.a", "ecg.b"]
        assert (groups["ecg.a"]["viewers"], groups["ecg.a"]["sent"], groups["ecg.a"]["state"]) == (
            2,
            6,
            "normal",
        )
        assert {viewer["connection"] for viewer in told["viewers"]} == set(viewers)
        one = next(viewer for viewer in told["viewers"] if viewer["connection"] == "aaaaaaaa")
        assert (one["actor"], one["user"], one["since_s"], one["state"]) == ("user:7", 7, 4, "normal")
        assert (one["watches"], one["drops"], one["lost_s"]) == (1, {}, None)
        assert "peer" not in one, "an address is for those who may see users"


@virtual_time
async def test_who_is_nobody_s_connection_is_not_told_of() -> None:
    async with process() as (runtime, _):
        stranger = Viewer()
        runtime.hub.add(stranger.subscriber)
        told = await read(reader(runtime))
        assert (told["viewers"], told["viewer_count"]) == ([], 0)
        await stranger.subscriber.aclose()


@virtual_time
async def test_those_that_fare_worst_come_first_and_the_rest_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(live_figures.MOST_VIEWERS, OverloadState.NORMAL, 3)
    async with process() as (runtime, _):
        viewers = await crowd(runtime, 6)
        trouble = {viewer.subscriber: float(n % 4) for n, viewer in enumerate(viewers)}
        monkeypatch.setattr(Subscriber, "trouble_s", lambda subscriber: trouble[subscriber])
        told = await read(reader(runtime))
        assert [viewer["connection"] for viewer in told["viewers"]] == ["00000003", "00000002", "00000005"]
        assert told["viewer_count"] == 6
        for viewer in viewers:
            await viewer.subscriber.aclose()


@virtual_time
async def test_a_process_that_sheds_tells_of_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(live_figures.MOST_VIEWERS, OverloadState.EMERGENCY, 1)
    async with process(aaaaaaaa="a", bbbbbbbb="a") as (runtime, _):
        for second in range(30):
            runtime.hub.overload.read(2 * EMERGENCY_LAG_S, 0, float(second))
        told = await read(reader(runtime))
        assert (told["overload"], len(told["viewers"]), told["viewer_count"]) == ("emergency", 1, 2)


@virtual_time
async def test_groups_that_do_not_fit_follow_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_figures, "MOST_GROUPS", 2)
    async with process(aaaaaaaa="a", bbbbbbbb="b", cccccccc="c") as (runtime, _):
        reading = reader(runtime)
        told = [[group["group"] for group in (await read(reading))["groups"]] for _ in range(3)]
        assert told == [["ecg.a", "ecg.b"], ["ecg.c"], ["ecg.a", "ecg.b"]]


@virtual_time
async def test_no_more_queues_than_so_many_are_read_for_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_figures, "MOST_LANES", 3)
    async with process(aaaaaaaa="a", bbbbbbbb="a", cccccccc="b", dddddddd="c") as (runtime, _):
        reading = reader(runtime)
        told = [[group["group"] for group in (await read(reading))["groups"]] for _ in range(3)]
        assert told == [["ecg.a"], ["ecg.b", "ecg.c"], ["ecg.a"]]


@virtual_time
async def test_others_run_between_two_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    async with process() as (runtime, _):
        viewers = await crowd(runtime, READ_AT_ONCE // 2 + 20)  # each has two queues
        turns, looks, told = [0], list[int](), Subscriber.reading

        def counted(subscriber: Subscriber) -> Any:
            looks.append(turns[0])
            return told(subscriber)

        async def turn() -> None:
            while True:
                turns[0] += 1
                await asyncio.sleep(0)

        monkeypatch.setattr(Subscriber, "reading", counted)
        other = asyncio.create_task(turn())
        await read(reader(runtime))
        other.cancel()
        await asyncio.gather(other, return_exceptions=True)
        assert len(looks) == READ_AT_ONCE // 2 + 20
        assert max(looks.count(number) for number in set(looks)) <= READ_AT_ONCE // 2
        for viewer in viewers:
            await viewer.subscriber.aclose()


@virtual_time
async def test_one_viewer_is_told_of_with_all_its_streams_and_why() -> None:
    async with process(aaaaaaaa="a") as (runtime, viewers):
        subscriber = viewers["aaaaaaaa"].subscriber
        await runtime.hub.watch(subscriber, "b")
        for stream in ("a", "b"):
            runtime.hub.publish(frames_of(stream_info(stream), 0))
        await asyncio.sleep(3.0)  # what it was sent is not acknowledged
        found = reader(runtime).viewer("aaaaaaaa")
        assert found is not None
        told, holder = json.loads(found[0]), found[1]
        assert (told["type"], told["process"], holder.peer) == ("viewer", runtime.process_id, "192.0.2.7")
        assert {stream: sent["quality"] for stream, sent in told["sent_as"].items()} == {
            "a": "lossless",
            "b": "lossless",
        }
        assert told["why"][0]["cause"] == "silent"
        assert told["need_bps"] > 0
        assert "peer" not in told


@virtual_time
async def test_another_process_s_viewer_is_not_found() -> None:
    async with process(InMemoryChannelLayer(), aaaaaaaa="a") as (runtime, _):
        assert reader(runtime).viewer("bbbbbbbb") is None


@virtual_time
async def test_every_figure_is_described() -> None:
    page = (ROOT / "docs" / "live.md").read_text()
    async with process(aaaaaaaa="a") as (runtime, _):
        runtime.hub.publish(frames_of(stream_info("a"), 0))
        told, found = await read(reader(runtime)), reader(runtime).viewer("aaaaaaaa")
        assert found is not None
        for figures in (told, told["groups"][0], told["viewers"][0], json.loads(found[0])):
            assert [name for name in figures if f"`{name}`" not in page and f'"{name}"' not in page] == []
