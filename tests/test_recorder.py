"""What reaches the history, what is given up when its database does not keep up, and that nobody waits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from streaming.core.bundle import Bundle, WaveFrame
from streaming.core.chunks import SILENT_S, Chunk
from streaming.core.frames import FrameKind
from streaming.exceptions import HistoryAwayError
from streaming.recorder import BATCH_BYTES, WRITE_EVERY_S, Recorder
from tests.fakes import virtual_time
from tests.viewers import frames_of, stream_info, turns, vitals_of

START = datetime(2026, 11, 26, tzinfo=UTC)
FRAME_BYTES = 8000


class Store:
    """A database that can be away, hang, refuse, or take its time."""

    def __init__(self) -> None:
        self.batches: list[list[Chunk]] = []
        self.error: Exception | None = None
        self.takes_s = 0.0
        self.attempts = 0
        self.open = asyncio.Event()
        self.open.set()

    async def write(self, chunks: Sequence[Chunk]) -> None:
        self.attempts += 1
        if self.takes_s:
            await asyncio.sleep(self.takes_s)
        await self.open.wait()
        if self.error is not None:
            raise self.error
        self.batches.append(list(chunks))

    @property
    def stored(self) -> list[Chunk]:
        return [chunk for batch in self.batches for chunk in batch]

    @property
    def samples(self) -> int:
        return sum(chunk.stop - chunk.first for chunk in self.stored)


@asynccontextmanager
async def recording(waiting_bytes: int = 10**6) -> AsyncIterator[tuple[Recorder, Store]]:
    store, loop = Store(), asyncio.get_running_loop()
    recorder = Recorder(
        store,
        waiting_bytes=waiting_bytes,
        clock=loop.time,
        utc_now=lambda: START + timedelta(seconds=loop.time()),
    )
    recorder.start()
    try:
        yield recorder, store
    finally:
        await recorder.aclose(1.0)


def second(number: int, stream: str = "a", size_bytes: int = FRAME_BYTES) -> Bundle:
    """One second of a stream, in one frame."""
    frame = WaveFrame(FrameKind.WAVEFORM, 500 * number, 500, bytes(size_bytes))
    return Bundle(stream_info(stream), frames=(frame,))


def fault(recorder: Recorder) -> str | None:
    """What it says now: a type checker takes an attribute for what it was."""
    assert (recorder.degraded is None) == (recorder.fault is None)
    return recorder.fault


async def send(recorder: Recorder, seconds: range, *streams: str, size_bytes: int = FRAME_BYTES) -> None:
    """So many seconds of these streams, in real time."""
    for number in seconds:
        for stream in streams:
            recorder.take(second(number, stream, size_bytes))
        await asyncio.sleep(1.0)


@virtual_time
async def test_what_is_full_is_written_in_one_transaction_a_second() -> None:
    async with recording() as (recorder, store):
        streams = [f"s{n}" for n in range(20)]
        await send(recorder, range(20), *streams)
        assert len(store.batches) <= 20 / WRITE_EVERY_S
        assert recorder.total.stored_chunks == len(store.stored) >= 60
        assert recorder.total.stored_bytes == sum(len(chunk.blob) for chunk in store.stored)
        assert recorder.by_group()["ecg.s0"].stored_chunks == sum(c.stream == "s0" for c in store.stored)
    assert store.samples == 20 * 20 * 500
    assert recorder.waiting_bytes == 0


@virtual_time
async def test_a_stream_that_falls_silent_is_written_without_more() -> None:
    async with recording() as (recorder, store):
        recorder.take(second(0))
        await asyncio.sleep(SILENT_S + 2 * WRITE_EVERY_S)
        assert store.samples == 500


@virtual_time
async def test_the_end_writes_what_is_not_full() -> None:
    async with recording() as (recorder, store):
        recorder.take(second(0))
        recorder.take(second(1, "b"))
    assert store.samples == 1000
    assert fault(recorder) is None


@virtual_time
async def test_what_has_no_samples_is_not_recorded() -> None:
    async with recording() as (recorder, store):
        recorder.take(vitals_of(stream_info(), 60))
    assert (store.batches, recorder.by_group()) == ([], {})


@virtual_time
async def test_a_chunk_counts_as_stored_only_after_its_commit() -> None:
    async with recording() as (recorder, store):
        store.open.clear()
        await send(recorder, range(7), "a")
        assert store.attempts == 1
        assert (recorder.total.stored_chunks, recorder.total.lost_chunks) == (0, 0)
        assert recorder.waiting_bytes > 0
        store.open.set()
        await asyncio.sleep(2 * WRITE_EVERY_S)
        assert recorder.total.stored_chunks == len(store.stored) > 0
        assert recorder.waiting_bytes == 0


@virtual_time
async def test_a_database_that_was_away_gets_what_waited_in_order() -> None:
    async with recording() as (recorder, store):
        store.error = HistoryAwayError("database is locked")
        store.takes_s = 3.0  # as with a busy timeout: more comes meanwhile
        await send(recorder, range(20), "a", "b")
        assert store.stored == []
        assert fault(recorder) == "database is locked"
        assert recorder.degraded == "not stored: database is locked; 0 chunks lost so far (0 s of ECG)"
        store.error, store.takes_s = None, 0.0
        await asyncio.sleep(3.0 + 2 * WRITE_EVERY_S)
        assert fault(recorder) is None
    for stream in "ab":
        firsts = [chunk.first for chunk in store.stored if chunk.stream == stream]
        assert firsts == sorted(firsts)
    assert store.samples == 2 * 20 * 500
    assert recorder.total.lost_chunks == 0


@virtual_time
async def test_what_waits_too_long_is_given_up_oldest_first_and_counted_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with recording(waiting_bytes=100_000) as (recorder, store):
        store.error = HistoryAwayError("database is locked")
        await send(recorder, range(60), "a", "b")
        assert recorder.waiting_bytes <= 100_000
        store.error = None
        await send(recorder, range(60, 70), "a", "b")
        said = [record.message for record in caplog.records]
        assert said == [
            "the history is not stored, older chunks are given up: database is locked",
            f"the history is stored again, {recorder.total.lost_chunks} chunks lost so far",
        ]
    lost = recorder.total
    assert lost.lost_chunks > 0
    assert lost.lost_seconds * 500 + store.samples == pytest.approx(2 * 70 * 500)
    assert lost.lost_bytes >= lost.lost_seconds * FRAME_BYTES
    assert store.stored[-1].stop == 70 * 500
    for stream in "ab":  # what is left of the outage is its end, in one piece
        mine = [chunk for chunk in store.stored if chunk.stream == stream]
        assert all(a.stop == b.first for a, b in pairwise(mine))
    by_stream = recorder.by_group()
    assert by_stream["ecg.a"].lost_chunks + by_stream["ecg.b"].lost_chunks == lost.lost_chunks


@virtual_time
async def test_a_database_that_hangs_costs_what_overflows_and_no_more() -> None:
    async with recording(waiting_bytes=100_000) as (recorder, store):
        store.open.clear()
        await send(recorder, range(60), "a")
        assert store.attempts == 1
        assert recorder.waiting_bytes <= 100_000
        assert fault(recorder) == "storing takes too long"
        store.open.set()
        await asyncio.sleep(2 * WRITE_EVERY_S)
        assert fault(recorder) is None
    assert recorder.total.lost_seconds * 500 + store.samples == pytest.approx(60 * 500)


@virtual_time
async def test_what_the_database_refuses_does_not_stand_in_the_way(caplog: pytest.LogCaptureFixture) -> None:
    async with recording() as (recorder, store):
        store.error = ValueError("out of range")
        await send(recorder, range(10), "a")
        assert fault(recorder) == "refused by the database (ValueError)"
        assert recorder.total.lost_chunks > 0
        refused = recorder.total.lost_chunks
        store.error = None
        await send(recorder, range(10, 20), "a")
        assert (fault(recorder), recorder.total.lost_chunks) == (None, refused)
    assert sum("refuses chunks" in record.message for record in caplog.records) == 1


@virtual_time
async def test_an_outage_is_caught_up_with_in_short_transactions() -> None:
    async with recording(waiting_bytes=20 * BATCH_BYTES) as (recorder, store):
        store.error = HistoryAwayError("away")
        await send(recorder, range(100), "a", "b", size_bytes=60_000)
        store.error = None
        await asyncio.sleep(2 * WRITE_EVERY_S)
        assert recorder.waiting_bytes == 0
    sizes = [sum(len(chunk.blob) for chunk in batch) for batch in store.batches]
    assert len(sizes) > 3
    assert max(sizes) < BATCH_BYTES + 70_000


@virtual_time
async def test_the_end_waits_for_a_hanging_database_no_longer_than_it_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with recording() as (recorder, store):
        store.open.clear()
        await send(recorder, range(7), "a")
        began = asyncio.get_running_loop().time()
        await recorder.aclose(1.0)
        assert asyncio.get_running_loop().time() - began == pytest.approx(1.0)
        assert recorder.total.lost_seconds == pytest.approx(7.0)
        assert recorder.waiting_bytes == 0
    assert "ends with" in caplog.text


@virtual_time
async def test_a_frame_that_cannot_be_kept_is_no_fault_of_the_stream(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with recording() as (recorder, store):
        bad = Bundle(stream_info(), frames=(WaveFrame(FrameKind.WAVEFORM, 0, 70_000, b"x" * 9),))
        recorder.take(bad)
        recorder.take(bad)
        recorder.take(frames_of(stream_info(), 0))
    assert store.samples == 50
    assert recorder.total.lost_bytes == 18
    assert sum("is missing in the history" in record.message for record in caplog.records) == 1


@virtual_time
async def test_only_the_frame_that_cannot_be_kept_is_missing() -> None:
    async with recording() as (recorder, store):
        good = frames_of(stream_info(), 0)
        bad = WaveFrame(FrameKind.WAVEFORM, 0, 70_000, b"x" * 9)
        recorder.take(replace(good, frames=(bad, *good.frames)))
    assert (store.samples, recorder.total.lost_bytes) == (50, 9)


@virtual_time
async def test_a_fault_in_one_turn_ends_neither_the_writing_nor_the_process(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with recording() as (recorder, store):
        due = recorder._gatherer.due
        faults = [OverflowError("date value out of range")] * 3

        def fail(now: float) -> list[Chunk]:
            if faults:
                raise faults.pop()
            return due(now)

        monkeypatch.setattr(recorder._gatherer, "due", fail)
        recorder.take(frames_of(stream_info(), 0))
        await asyncio.sleep(SILENT_S + 5 * WRITE_EVERY_S)
        assert store.samples == 50
        assert caplog.text.count("what has waited is missing in the history") == 1
        monkeypatch.setattr(recorder._gatherer, "flush", lambda: fail(0.0))
        faults = [OverflowError("date value out of range")]


@virtual_time
async def test_figures_are_forgotten_with_their_stream() -> None:
    async with recording() as (recorder, _store):
        await send(recorder, range(7), "a", "b")
        recorder.forget({"b"})
        assert recorder.by_group().keys() == {"ecg.b"}
        assert recorder.total.stored_chunks > 1


@virtual_time
async def test_samples_decoded_elsewhere_are_not_kept_alive() -> None:
    async with recording() as (recorder, _store):
        recorder.take(frames_of(stream_info(), 0))
        (stream,) = recorder._gatherer._streams.values()
        (chunk,) = stream._open.values()
        assert [type(frame) for frame in chunk.frames] == [bytes]
        await turns()
