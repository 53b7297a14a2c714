"""Frames and heart rates become minutes off the data path, and a database that is away costs nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from streaming import summaries
from streaming.core import messages
from streaming.core.bundle import Bundle, Event, WaveFrame
from streaming.core.frames import FrameKind
from streaming.core.minutes import Minute
from streaming.core.priority import MessagePriority
from streaming.exceptions import HistoryAwayError
from streaming.summaries import Summaries
from tests.fakes import virtual_time
from tests.viewers import stream_info

INFO = stream_info(rate_hz=250)
START = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


class Store:
    """Keeps what it is given, or refuses it."""

    def __init__(self) -> None:
        self.minutes: list[Minute] = []
        self.error: Exception | None = None

    async def fold(self, function: Callable[[], list[Minute]]) -> list[Minute]:
        return function()

    async def write_minutes(self, minutes: Sequence[Minute]) -> None:
        if self.error is not None:
            raise self.error
        self.minutes += minutes


def begun() -> tuple[Summaries, Store]:
    loop = asyncio.get_running_loop()
    begins, store = loop.time(), Store()
    made = Summaries(store, clock=loop.time, utc_now=lambda: START + timedelta(seconds=loop.time() - begins))
    made.start()
    return made, store


def bundle(first: int, hr: int | None = None, kind: FrameKind = FrameKind.WAVEFORM) -> Bundle:
    samples = np.full((1, 25), first % 1000, np.int16)
    text = messages.vitals("a", epoch=1, sample=first + 25, hr=hr, hr_source="II")
    event = Event(text, MessagePriority.HIGH, "vitals")
    frame = WaveFrame(kind, first, 25, b"x", samples)
    return Bundle(INFO, frames=(frame,), events=(event,) if first % 250 == 225 else ())


async def play(made: Summaries, first: int, stop: int, hr: int | None = 72) -> None:
    for at in range(first, stop, 25):
        await asyncio.sleep(0.1)
        made.take(bundle(at, hr))


@virtual_time
async def test_a_minute_is_stored_soon_after_it_is_over() -> None:
    made, store = begun()
    await play(made, 0, 61 * 250)
    await asyncio.sleep(4)
    (minute,) = store.minutes
    assert (minute.first, minute.epoch) == (0, 1)
    assert abs((minute.began_at - START).total_seconds()) < 0.2
    rates = minute.rates
    assert (rates.told, rates.counted, rates.low, rates.high, rates.total) == (60, 60, 72, 72, 60 * 72)
    assert (minute.fine[0, 0] <= minute.fine[0, 1]).all()
    assert minute.fine[0, 0, 7] == 5 * 175, "microvolts of the eighth tenth of a second"
    await made.aclose(1)
    assert [minute.first for minute in store.minutes] == [0, 15_000]


@virtual_time
async def test_late_samples_come_to_their_minute_and_an_unknown_rate_is_not_counted() -> None:
    made, store = begun()
    await play(made, 0, 250, hr=None)
    await play(made, 500, 750, hr=None)
    made.take(bundle(250, kind=FrameKind.BACKFILL))
    await made.aclose(1)
    (minute,) = store.minutes
    has = minute.fine[0, 0] <= minute.fine[0, 1]
    assert list(np.flatnonzero(has)) == [*range(11), *range(20, 30)]
    assert (minute.rates.told, minute.rates.counted) == (2, 0)


@virtual_time
async def test_a_database_that_is_away_gets_its_minutes_later() -> None:
    made, store = begun()
    store.error = HistoryAwayError("locked")
    await play(made, 0, 61 * 250)
    await asyncio.sleep(5)
    assert store.minutes == []
    store.error = None
    await asyncio.sleep(2)
    assert [minute.first for minute in store.minutes] == [0]
    assert made.lost == 0
    await made.aclose(1)


@virtual_time
async def test_beyond_the_bound_the_oldest_are_lost_and_what_is_refused_stands_in_nobodys_way() -> None:
    made, store = begun()
    store.error = HistoryAwayError("locked")
    original, summaries.MOST_UNSTORED = summaries.MOST_UNSTORED, 2
    try:
        for epoch in range(1, 5):
            part = bundle(0)
            made.take(replace(part, info=stream_info(epoch=epoch, rate_hz=250)))
        await made._fold()
        made._keep(made._book.flush())
    finally:
        summaries.MOST_UNSTORED = original
    assert made.lost == 2
    store.error = ValueError("refused")
    await made._write()
    assert made.lost == 4
    store.error = None
    await play(made, 0, 250)
    await made.aclose(1)
    assert len(store.minutes) == 1


@virtual_time
async def test_a_fault_of_ours_costs_a_minute_and_stops_nothing() -> None:
    made, store = begun()
    broken = Event("no json", MessagePriority.HIGH, "vitals")
    made.take(Bundle(INFO, events=(broken,)))
    await asyncio.sleep(2)
    await play(made, 0, 250)
    await made.aclose(1)
    assert [minute.first for minute in store.minutes] == [0]


@virtual_time
async def test_what_is_not_stored_in_the_end_is_counted() -> None:
    made, store = begun()
    store.error = HistoryAwayError("locked")
    await play(made, 0, 250)
    await made.aclose(1)
    assert made.lost == 1
