"""What is done again and again, whatever becomes of one time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

import pytest
from django.db import OperationalError

from streaming.repeating import repeat

FOR_EVER_S = 3600.0


async def told(outcomes: list[Exception | None]) -> list[bool]:
    """What `act` is told each time, when each time something has changed and it comes to this."""
    changed, heard, over = asyncio.Event(), list[bool](), asyncio.Event()

    async def act(has_changed: bool) -> None:
        heard.append(has_changed)
        if len(heard) == len(outcomes):
            over.set()
        else:
            changed.set()
        if (fault := outcomes[len(heard) - 1]) is not None:
            raise fault

    changed.set()
    await _until(over, lambda: repeat(changed, FOR_EVER_S, act))
    return heard


async def _until(over: asyncio.Event, work: Callable[[], Awaitable[None]]) -> None:
    task = asyncio.ensure_future(work())
    await over.wait()
    await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_an_outage_of_the_database_is_two_lines_however_long(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "streaming.repeating")
    await told([None, *[OperationalError("gone")] * 5, None, None])
    assert [record.getMessage() for record in caplog.records] == [
        "database failed, trying again: OperationalError",
        "the database answers again",
    ]


async def test_a_fault_of_ours_is_told_each_time_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    heard = await told([ValueError("a"), ValueError("b"), None])
    assert heard == [True, True, True]
    assert caplog.text.count("watching for changes failed") == 2


async def test_a_change_that_failed_is_announced_until_it_succeeds() -> None:
    changed, heard, over = asyncio.Event(), list[bool](), asyncio.Event()

    async def act(has_changed: bool) -> None:
        heard.append(has_changed)
        if len(heard) == 1:
            raise OperationalError("gone")
        if len(heard) == 3:
            over.set()

    changed.set()
    await _until(over, lambda: repeat(changed, 0.0, act))
    assert heard[:3] == [True, True, False]
