from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.position import Accepted, SampleRange, StreamPosition
from streaming.exceptions import ProtocolError


def test_the_next_chunk_is_live() -> None:
    position = StreamPosition(250.0)
    assert position.accept(0, 25) == Accepted(SampleRange(0, 25))
    assert position.accept(25, 25) == Accepted(SampleRange(25, 50))
    assert position.next_sample == 50


def test_a_chunk_further_on_leaves_a_hole() -> None:
    position = StreamPosition(250.0)
    position.accept(0, 25)
    assert position.accept(75, 25) == Accepted(SampleRange(75, 100), hole=SampleRange(25, 75))
    assert position.holes == (SampleRange(25, 75),)


def test_an_epoch_may_begin_anywhere() -> None:
    position = StreamPosition(250.0, start=1000)
    assert position.accept(900, 100) == Accepted(None, duplicates=100)
    assert position.accept(1000, 10) == Accepted(SampleRange(1000, 1010))


def test_a_resent_chunk_is_dropped() -> None:
    position = StreamPosition(250.0)
    position.accept(0, 25)
    assert position.accept(0, 25) == Accepted(None, duplicates=25)


def test_a_chunk_that_overlaps_the_front_is_live_from_there() -> None:
    position = StreamPosition(250.0)
    position.accept(0, 25)
    assert position.accept(15, 25) == Accepted(SampleRange(25, 40), duplicates=10)


def test_a_late_chunk_fills_its_hole_once() -> None:
    position = StreamPosition(250.0)
    position.accept(50, 10)
    assert position.accept(20, 10) == Accepted(None, backfill=(SampleRange(20, 30),))
    assert position.accept(20, 10) == Accepted(None, duplicates=10)
    assert position.holes == (SampleRange(0, 20), SampleRange(30, 50))


def test_a_chunk_may_fill_a_hole_to_either_end() -> None:
    position = StreamPosition(250.0)
    position.accept(30, 10)
    position.accept(20, 10)
    assert position.holes == (SampleRange(0, 20),)
    position.accept(0, 5)
    assert position.holes == (SampleRange(5, 20),)
    position.accept(5, 15)
    assert not position.holes


def test_one_chunk_may_fill_several_holes_and_go_on() -> None:
    position = StreamPosition(250.0)
    for first in (10, 30, 50):
        position.accept(first, 10)
    assert position.accept(5, 75) == Accepted(
        SampleRange(60, 80),
        backfill=(SampleRange(5, 10), SampleRange(20, 30), SampleRange(40, 50)),
        duplicates=30,
    )
    assert position.holes == (SampleRange(0, 5),)


def test_the_oldest_hole_is_forgotten_when_there_are_too_many() -> None:
    position = StreamPosition(250.0, max_holes=2)
    position.accept(10, 10)
    position.accept(30, 10)
    assert position.accept(50, 10).forgotten == (SampleRange(0, 10),)
    assert position.accept(0, 10) == Accepted(None, duplicates=10)


def test_splitting_a_hole_may_not_exceed_the_bound_either() -> None:
    position = StreamPosition(250.0, max_holes=1)
    position.accept(100, 10)
    assert position.accept(40, 10) == Accepted(
        None, backfill=(SampleRange(40, 50),), forgotten=(SampleRange(0, 40),)
    )
    assert position.holes == (SampleRange(50, 100),)


def test_a_jump_of_ten_minutes_is_an_outage_and_more_is_an_error() -> None:
    position = StreamPosition(250.0)
    position.accept(0, 25)
    with pytest.raises(ProtocolError, match="sample index jumps"):
        position.accept(25 + 150_001, 25)
    assert position.next_sample == 25
    assert position.accept(25 + 150_000, 25).hole == SampleRange(25, 150_025)


def test_an_epoch_ends_before_the_index_overflows() -> None:
    position = StreamPosition(250.0, start=2**32 - 10)
    with pytest.raises(ProtocolError, match="new session"):
        position.accept(2**32 - 10, 11)
    assert position.accept(2**32 - 10, 10) == Accepted(SampleRange(2**32 - 10, 2**32))


@pytest.mark.parametrize(("first", "count"), [(-1, 5), (0, 0), (5, -5), (2**32, 1)])
def test_indices_outside_the_epoch_are_refused(first: int, count: int) -> None:
    with pytest.raises(ProtocolError):
        StreamPosition(250.0).accept(first, count)


def indices(spans: tuple[SampleRange | None, ...]) -> list[int]:
    return [index for span in spans if span is not None for index in range(span.first, span.stop)]


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 10)), max_size=40),
    st.integers(0, 20),
    st.integers(1, 4),
)
def test_agrees_with_a_set_of_samples(chunks: list[tuple[int, int]], start: int, max_holes: int) -> None:
    """The model: all wanted samples as a set, holes as its runs, the lowest runs forgotten first."""
    position = StreamPosition(1000.0, start=start, max_holes=max_holes)
    missing: set[int] = set()
    front = start
    for first, count in chunks:
        chunk = set(range(first, first + count))
        hole = set(range(front, first))
        live = {index for index in chunk if index >= front}
        fills = chunk & missing
        missing = (missing | hole) - fills
        front = max(front, first + count)
        forgotten: set[int] = set()
        while len(runs := runs_of(missing)) > max_holes:
            lowest = set(range(runs[0].first, runs[0].stop))
            missing -= lowest
            forgotten |= lowest

        accepted = position.accept(first, count)

        assert indices((accepted.live,)) == sorted(live)
        assert indices((accepted.hole,)) == sorted(hole)
        assert indices(accepted.backfill) == sorted(fills)
        assert accepted.duplicates == count - len(live) - len(fills)
        assert indices(accepted.forgotten) == sorted(forgotten)
        assert list(position.holes) == runs_of(missing)
        assert position.next_sample == front


def runs_of(samples: set[int]) -> list[SampleRange]:
    starts = sorted(index for index in samples if index - 1 not in samples)
    stops = sorted(index + 1 for index in samples if index + 1 not in samples)
    return [SampleRange(first, stop) for first, stop in zip(starts, stops, strict=True)]
