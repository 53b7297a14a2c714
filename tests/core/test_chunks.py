"""Frames become chunks that know their span, bridge no hole, and give back every frame."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.bundle import WaveFrame
from streaming.core.chunks import (
    CHUNK_BYTES,
    CHUNK_S,
    CHUNK_SAMPLES,
    FORGET_S,
    LONGEST,
    OLD_S,
    SILENT_S,
    Chunk,
    ChunkGatherer,
)
from streaming.core.frames import FrameKind
from streaming.core.streams import StreamInfo
from streaming.exceptions import ProtocolError
from tests.viewers import FRAME, stream_info, wave

START = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
FRAME_S = FRAME / 500


def feed(
    gatherer: ChunkGatherer,
    *indices: int,
    info: StreamInfo = stream_info(),  # noqa: B008  # a frozen value
    kind: FrameKind = FrameKind.WAVEFORM,
) -> list[Chunk]:
    """Live frames, each arriving when it ends."""
    chunks = []
    for index in indices:
        now = (index + 1) * FRAME_S
        at = START + timedelta(seconds=now)
        chunks += gatherer.add(info, wave(index, kind), now=now, at=at)
    return chunks


def span(chunk: Chunk) -> tuple[int, int]:
    return chunk.first, chunk.stop


def test_five_seconds_make_a_chunk_and_the_first_one_is_shorter() -> None:
    gatherer = ChunkGatherer()
    chunks = feed(gatherer, *range(200))
    assert [chunk.seconds for chunk in chunks[1:]] == pytest.approx([CHUNK_S] * (len(chunks) - 1))
    assert 0 < chunks[0].seconds <= CHUNK_S
    assert [span(chunk)[1] for chunk in chunks[:-1]] == [span(chunk)[0] for chunk in chunks[1:]]
    rest = gatherer.flush()
    assert [f for chunk in chunks + rest for f in chunk.frames()] == [wave(index) for index in range(200)]


def test_streams_that_begin_together_end_their_first_chunks_at_different_times() -> None:
    gatherer = ChunkGatherer()
    ends = {
        stream: feed(gatherer, *range(60), info=stream_info(stream))[0].stop
        for stream in ("a", "b", "c", "d", "e", "f", "g", "h")
    }
    assert len(set(ends.values())) > 3


def test_a_chunk_knows_when_its_samples_were_taken() -> None:
    (first, second, *_) = feed(ChunkGatherer(), *range(120))
    assert first.began_at == START
    assert second.began_at == START + timedelta(seconds=second.first / 500)
    assert second.ended_at == START + timedelta(seconds=second.stop / 500)


def test_a_hole_ends_a_chunk() -> None:
    gatherer = ChunkGatherer()
    (before,) = feed(gatherer, 0, 1, 5, 6)
    assert span(before) == (0, 2 * FRAME)
    (behind,) = gatherer.flush()
    assert span(behind) == (5 * FRAME, 7 * FRAME)


def test_late_samples_have_chunks_of_their_own_and_the_time_at_which_they_were_taken() -> None:
    gatherer = ChunkGatherer()
    assert [span(chunk) for chunk in feed(gatherer, 0, 1, 4)] == [(0, 100)]
    late = START + timedelta(seconds=9)
    for index in (2, 3):
        assert not gatherer.add(stream_info(), wave(index, FrameKind.BACKFILL), now=9.0, at=late)
    live, filled = sorted(gatherer.flush(), key=lambda chunk: -chunk.first)
    assert (span(live), span(filled)) == ((200, 250), (100, 200))
    assert [frame.kind for frame in filled.frames()] == [FrameKind.BACKFILL] * 2
    assert filled.began_at == START + timedelta(seconds=0.2)


def test_late_samples_of_an_unknown_epoch_are_as_old_as_their_arrival() -> None:
    gatherer = ChunkGatherer()
    gatherer.add(stream_info(), wave(7, FrameKind.BACKFILL), now=1.0, at=START)
    (chunk,) = gatherer.flush()
    assert chunk.began_at == chunk.ended_at == START


def test_another_epoch_ends_the_chunks_of_the_one_before() -> None:
    gatherer = ChunkGatherer()
    feed(gatherer, 0)
    (ended,) = feed(gatherer, 0, info=stream_info(epoch=2))
    assert (ended.epoch, span(ended)) == (1, (0, FRAME))
    assert [chunk.epoch for chunk in gatherer.flush()] == [2]


def test_a_chunk_ends_before_it_has_too_many_bytes() -> None:
    gatherer = ChunkGatherer()
    big = [WaveFrame(FrameKind.WAVEFORM, 10 * n, 10, bytes(CHUNK_BYTES // 3)) for n in range(4)]
    chunks = [chunk for frame in big for chunk in gatherer.add(stream_info(), frame, now=0.0, at=START)]
    assert [span(chunk) for chunk in chunks] == [(0, 20)]
    assert [span(chunk) for chunk in gatherer.flush()] == [(20, 40)]
    assert all(len(chunk.blob) <= CHUNK_BYTES + 16 for chunk in chunks)


def test_a_chunk_ends_before_it_has_too_many_samples() -> None:
    info = stream_info(rate_hz=1e6)
    gatherer = ChunkGatherer()
    frames = [WaveFrame(FrameKind.WAVEFORM, 8192 * n, 8192, b"x") for n in range(6)]
    chunks = [chunk for frame in frames for chunk in gatherer.add(info, frame, now=0.0, at=START)]
    assert max(chunk.stop - chunk.first for chunk in chunks) == CHUNK_SAMPLES


def test_what_a_silent_stream_left_is_due_and_the_stream_is_forgotten_in_the_end() -> None:
    gatherer = ChunkGatherer()
    feed(gatherer, 0)
    assert gatherer.due(FRAME_S + SILENT_S - 0.01) == []
    assert [span(chunk) for chunk in gatherer.due(FRAME_S + SILENT_S)] == [(0, FRAME)]
    assert gatherer.due(FORGET_S - 1) == []
    assert gatherer._streams
    gatherer.due(FORGET_S + 1)
    assert not gatherer._streams


def test_a_stream_that_comes_slowly_does_not_keep_its_samples_back() -> None:
    gatherer = ChunkGatherer()
    chunks = []
    for second in range(10):
        chunks += gatherer.add(stream_info(), wave(second), now=float(second), at=START)
        chunks += gatherer.due(second + 0.5)
    assert chunks == []
    assert [span(chunk) for chunk in gatherer.due(OLD_S)] == [(0, 10 * FRAME)]


def test_a_frame_that_no_viewer_could_get_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit a frame"):
        ChunkGatherer().add(stream_info(), WaveFrame(FrameKind.WAVEFORM, 0, 5, b""), now=0.0, at=START)


def test_a_damaged_blob_is_told() -> None:
    gatherer = ChunkGatherer()
    feed(gatherer, 0, 1)
    (chunk,) = gatherer.flush()
    damaged = Chunk("a", 1, 0, 100, START, START, chunk.blob[:-1])
    with pytest.raises(ProtocolError):
        list(damaged.frames())


@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.integers(1, 3),
            st.integers(0, 400),
            st.integers(1, 4000),
            st.sampled_from([FrameKind.WAVEFORM, FrameKind.BACKFILL]),
            st.integers(1, 20_000),
            st.floats(0, 4),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_every_frame_is_in_one_chunk_and_every_chunk_is_contiguous_and_short(
    pushed: list[tuple[str, int, int, int, FrameKind, int, float, bool]],
) -> None:
    gatherer, now = ChunkGatherer(), 0.0
    chunks: list[Chunk] = []
    given_frames = []
    for stream, epoch, first, count, kind, size, wait_s, look in pushed:
        now += wait_s
        frame = WaveFrame(kind, first, count, bytes(size))
        given_frames.append((stream, epoch, frame))
        at = START + timedelta(seconds=now)
        chunks += gatherer.add(stream_info(stream, epoch), frame, now=now, at=at)
        if look:
            chunks += gatherer.due(now)
    chunks += gatherer.flush()
    got = [(chunk.stream, chunk.epoch, frame) for chunk in chunks for frame in chunk.frames()]
    key = repr
    assert sorted(got, key=key) == sorted(given_frames, key=key)
    for chunk in chunks:
        frames = list(chunk.frames())
        assert frames[0].first == chunk.first
        assert frames[-1].first + frames[-1].count == chunk.stop
        assert all(a.first + a.count == b.first for a, b in pairwise(frames))
        assert chunk.stop - chunk.first <= CHUNK_SAMPLES
        assert chunk.ended_at - chunk.began_at <= LONGEST + timedelta(seconds=4000 / 500)
        assert chunk.began_at <= chunk.ended_at
