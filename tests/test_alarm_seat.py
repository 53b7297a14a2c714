"""What one viewer asks for about alarms keeps nobody else waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any, cast

import pytest
from asgiref.sync import sync_to_async
from channels.layers import InMemoryChannelLayer

from streaming import alarm_seat
from streaming.alarm_seat import MOST_WAITING, AlarmSeat
from streaming.core.alarm_messages import AlarmAck
from streaming.store import alarm_access
from tests.fake_journal import Store
from tests.test_alarm_desk import Process
from tests.viewers import Viewer


async def test_of_a_flood_of_requests_so_many_wait_and_the_others_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tasks: list[asyncio.Task[None]] = []

    def spawn(work: Any) -> None:
        tasks.append(asyncio.create_task(cast("Coroutine[Any, Any, None]", work)))

    monkeypatch.setattr(alarm_seat, "database_sync_to_async", sync_to_async)
    monkeypatch.setattr(alarm_access, "authorize", lambda *_, target, refusal: "ann")
    desk = Process("here", InMemoryChannelLayer(), Store()).desk
    principal: Any = SimpleNamespace(actor="user:ann")
    viewer = Viewer()
    seat = AlarmSeat(desk, principal, viewer.subscriber, spawn)
    for number in range(MOST_WAITING + 5):
        seat.hear(AlarmAck(f"a{number}"))
    assert len(tasks) == MOST_WAITING
    await asyncio.gather(*tasks)
    await viewer.catch_up()
    reasons = [refused["reason"] for refused in viewer.messages("refused")]
    assert len(reasons) == MOST_WAITING + 5
    assert sum("too much" in reason for reason in reasons) == 5
    seat.hear(AlarmAck("later"))
    await tasks[-1]
    assert len(tasks) == MOST_WAITING + 1


@pytest.mark.parametrize("is_there", [True, False], ids=["open", "unknown"])
async def test_whether_an_alarm_can_be_acknowledged_is_known_before_it_is_allowed(
    is_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals: list[str | None] = []

    def authorize(*_: Any, target: str, refusal: str | None) -> str:
        refusals.append(refusal)
        return "ann"

    monkeypatch.setattr(alarm_seat, "database_sync_to_async", sync_to_async)
    monkeypatch.setattr(alarm_access, "authorize", authorize)
    process = Process("here", InMemoryChannelLayer(), Store())
    principal: Any = SimpleNamespace(actor="user:ann")
    works: list[Any] = []
    seat = AlarmSeat(process.desk, principal, Viewer().subscriber, works.append)
    if is_there:
        monkeypatch.setattr(process.desk, "why_not_acknowledge", lambda *_: None)
        monkeypatch.setattr(process.desk, "acknowledge", lambda *_, by: None)
    seat.hear(AlarmAck("alarm"))
    (work,) = works
    await work
    assert refusals == [None if is_there else "the alarm is over, or not for you"]


async def test_many_acknowledgements_of_one_viewer_wait_for_each_other_and_others_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order: list[str] = []
    tasks: list[asyncio.Task[None]] = []

    def authorize(*_: Any, target: str, refusal: str | None) -> str:
        order.append(target)
        return "ann"

    def spawn(work: Any) -> None:
        tasks.append(asyncio.create_task(cast("Coroutine[Any, Any, None]", work)))

    # The one thread that all database work shares, without a database.
    monkeypatch.setattr(alarm_seat, "database_sync_to_async", sync_to_async)
    monkeypatch.setattr(alarm_access, "authorize", authorize)
    desk = Process("here", InMemoryChannelLayer(), Store()).desk
    principal: Any = SimpleNamespace(actor="user:ann")
    viewer = Viewer()
    seat = AlarmSeat(desk, principal, viewer.subscriber, spawn)
    for number in range(3):
        seat.hear(AlarmAck(f"a{number}"))
    await asyncio.sleep(0)
    await sync_to_async(order.append)("a device")
    await asyncio.gather(*tasks)
    assert order == ["a0", "a device", "a1", "a2"]
    await asyncio.sleep(0)
    assert [refused["target"] for refused in viewer.messages("refused")] == ["a0", "a1", "a2"]
