"""What was written is read in pages, once and in order, from SQLite and from PostgreSQL."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streaming.core.bundle import WaveFrame
from streaming.core.frames import FrameKind
from streaming.core.position import SampleRange
from streaming.models_history import HistoryChunk
from streaming.store import history
from streaming.store.history import StoredSize, Stretch
from streaming.store.routing import HISTORY
from tests.store.histories import FRAME, START, chunk_of, empty, frame_of

pytestmark = pytest.mark.usefixtures("history_db")


def read_all(
    first: int, stop: int, *, newest_first: bool = True, max_bytes: int = 200, epoch: int = 1
) -> list[WaveFrame]:
    """All pages, put together in the order of the samples; each page is bounded."""
    pages: list[tuple[WaveFrame, ...]] = []
    low, high = first, stop
    while True:
        page = history.read("a", epoch, low, high, newest_first=newest_first, max_bytes=max_bytes)
        pages.append(page.frames)
        assert len(page.frames) <= 1 or sum(len(f.payload) for f in page.frames) <= max_bytes
        if page.next is None:
            break
        assert low < page.next < high
        low, high = (low, page.next) if newest_first else (page.next, high)
    return [frame for page in (reversed(pages) if newest_first else pages) for frame in page]


class TestRead:
    @pytest.mark.parametrize("newest_first", [True, False])
    def test_pages_bring_every_frame_once_and_in_order(self, newest_first: bool) -> None:
        history.write([chunk_of(at, at + 500) for at in range(0, 5000, 500)])
        assert read_all(0, 5000, newest_first=newest_first) == [frame_of(at) for at in range(0, 5000, FRAME)]

    def test_the_newest_page_comes_first(self) -> None:
        history.write([chunk_of(0, 500), chunk_of(500, 1000)])
        page = history.read("a", 1, 0, 1000, max_bytes=60)
        assert page.frames == (frame_of(850), frame_of(900), frame_of(950))
        assert page.next == 850
        assert history.read("a", 1, 0, page.next, max_bytes=60).frames[-1] == frame_of(800)

    def test_the_oldest_page_comes_first_when_asked(self) -> None:
        history.write([chunk_of(0, 500), chunk_of(500, 1000)])
        page = history.read("a", 1, 0, 1000, newest_first=False, max_bytes=60)
        assert page.frames == (frame_of(0), frame_of(50), frame_of(100))
        assert page.next == 150

    def test_frames_at_the_edges_of_the_span_come_whole_and_others_not_at_all(self) -> None:
        history.write([chunk_of(0, 500), chunk_of(500, 1000)])
        assert read_all(120, 551) == [frame_of(at) for at in range(100, 600, FRAME)]
        assert read_all(100, 150) == [frame_of(100)]

    def test_a_frame_longer_than_a_page_comes_alone(self) -> None:
        history.write([chunk_of(0, 150, frame_bytes=1000)])
        page = history.read("a", 1, 0, 150, max_bytes=10)
        assert page.frames == (frame_of(100, size_bytes=1000),)
        assert page.next == 100

    def test_nothing_stored_is_an_empty_page(self) -> None:
        history.write([chunk_of(0, 500)])
        for page in (
            history.read("a", 1, 500, 1000),
            history.read("a", 2, 0, 500),
            history.read("b", 1, 0, 500),
            history.read("a", 1, 600, 900, newest_first=False),
        ):
            assert (page.frames, page.next) == ((), None)

    @pytest.mark.parametrize("newest_first", [True, False])
    def test_holes_stay_holes_and_late_samples_stand_where_they_belong(self, newest_first: bool) -> None:
        late = FrameKind.BACKFILL
        history.write(
            [chunk_of(0, 200), chunk_of(600, 800), chunk_of(1000, 1200), chunk_of(200, 300, kind=late)]
        )
        expected = [
            *(frame_of(at) for at in range(0, 200, FRAME)),
            *(frame_of(at, kind=late) for at in range(200, 300, FRAME)),
            *(frame_of(at) for at in range(600, 800, FRAME)),
            *(frame_of(at) for at in range(1000, 1200, FRAME)),
        ]
        assert read_all(0, 2000, newest_first=newest_first, max_bytes=80) == expected

    @pytest.mark.parametrize("newest_first", [True, False])
    def test_what_two_processes_wrote_comes_once(self, newest_first: bool) -> None:
        """Not with the same bounds, so that no constraint could help."""
        history.write([chunk_of(0, 500), chunk_of(500, 1000)])
        history.write([chunk_of(200, 700), chunk_of(700, 1200)])
        assert read_all(0, 1200, newest_first=newest_first) == [frame_of(at) for at in range(0, 1200, FRAME)]

    def test_more_chunks_than_a_page_looks_at(self) -> None:
        history.write([chunk_of(at, at + FRAME) for at in range(0, 200 * FRAME, FRAME)])
        everything = [frame_of(at) for at in range(0, 200 * FRAME, FRAME)]
        for newest_first in (True, False):
            page = history.read("a", 1, 0, 10_000, newest_first=newest_first, max_bytes=10**6)
            assert len(page.frames) < 70  # and no more was read into memory
        assert read_all(0, 10_000, max_bytes=10**6) == everything
        assert read_all(0, 10_000, max_bytes=10**6, newest_first=False) == everything

    def test_a_page_is_two_queries_by_index_however_long_the_history_is(self) -> None:
        history.write([chunk_of(at, at + 500) for at in range(0, 100_000, 500)])
        with CaptureQueriesContext(
            connections[HISTORY],
        ) as queries:
            history.read("a", 1, 0, 100_000, max_bytes=400)
        assert len(queries) == 2
        if connections[HISTORY].vendor == "sqlite":
            for query in queries:
                with connections[HISTORY].cursor() as cursor:
                    cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
                    (plan,) = [row[3] for row in cursor.fetchall()]
                assert (
                    "USING INDEX sqlite_autoindex_streaming_historychunk_1 (stream=? AND epoch=? AND" in plan
                )

    @pytest.mark.parametrize("newest_first", [True, False])
    @pytest.mark.parametrize("max_bytes", [1, 10**6])
    def test_a_damaged_chunk_is_a_hole_and_is_told_once(
        self, newest_first: bool, max_bytes: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        history._say_damaged.cache_clear()
        history.write([chunk_of(at, at + 100) for at in range(0, 600, 100)])
        HistoryChunk.objects.filter(first__in=(0, 200, 300, 500)).update(frames=b"\x01\x50oh")
        for _ in range(2):
            frames = read_all(0, 600, newest_first=newest_first, max_bytes=max_bytes)
            assert frames == [frame_of(at) for at in (100, 150, 400, 450)]
        assert read_all(200, 400, newest_first=newest_first) == []
        assert caplog.text.count("is damaged") == 4
        assert "the history's chunk at 200 of epoch 1 of a is damaged" in caplog.text


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 12)), max_size=12),
    st.integers(0, 70),
    st.integers(1, 70),
    st.booleans(),
    st.integers(1, 400),
)
def test_pages_of_whatever_overlaps_cover_all_that_is_stored(
    pieces: list[tuple[int, int]], first: int, length: int, newest_first: bool, max_bytes: int
) -> None:
    empty()
    history.write([chunk_of(at, at + size, frame_samples=3) for at, size in pieces])
    stop = first + length
    frames = read_all(first, stop, newest_first=newest_first, max_bytes=max_bytes)
    stored = {sample for at, size in pieces for sample in range(at, at + size)}
    got = [sample for frame in frames for sample in range(frame.first, frame.first + frame.count)]
    assert stored & set(range(first, stop)) == set(got) & set(range(first, stop))
    assert {(span.first, span.stop) for span in history.spans("a", 1, first, stop)} == runs(
        stored & set(range(first, stop))
    )


def runs(samples: set[int]) -> set[tuple[int, int]]:
    """Contiguous ones."""
    starts = sorted(sample for sample in samples if sample - 1 not in samples)
    ends = sorted(sample + 1 for sample in samples if sample + 1 not in samples)
    return set(zip(starts, ends, strict=True))


class TestWrite:
    def test_a_chunk_that_is_written_again_is_one_chunk(self) -> None:
        history.write([chunk_of(0, 500)])
        history.write([chunk_of(0, 500), chunk_of(500, 1000)])
        assert HistoryChunk.objects.count() == 2

    def test_a_batch_is_one_transaction(self) -> None:
        with CaptureQueriesContext(connections[HISTORY]) as queries:
            history.write([chunk_of(at, at + 500) for at in range(0, 5000, 500)])
        assert sum("INSERT" in query["sql"] for query in queries) == 1

    def test_the_last_sample_of_an_epoch_has_its_place(self) -> None:
        history.write([chunk_of(2**32 - 100, 2**32)])
        assert read_all(2**32 - 50, 2**32) == [frame_of(2**32 - 50)]


class TestOverviews:
    def test_spans_are_joined_and_cut_to_what_was_asked(self) -> None:
        history.write([chunk_of(0, 500), chunk_of(500, 1000), chunk_of(1500, 2000)])
        assert history.spans("a", 1, 100, 1600) == (SampleRange(100, 1000), SampleRange(1500, 1600))
        assert history.spans("a", 2, 0, 5000) == ()

    def test_coverage_is_by_time_over_all_epochs(self) -> None:
        def after(seconds: float) -> object:
            return START + timedelta(seconds=seconds)

        history.write(
            [
                *(chunk_of(at, at + 500) for at in (0, 500, 1500)),
                chunk_of(0, 500, epoch=2, began_at=START + timedelta(seconds=10)),
                chunk_of(0, 500, stream="b"),
            ]
        )
        everything = history.coverage("a", START, START + timedelta(hours=1))
        assert everything == (
            Stretch(1, 0, 1000, START, after(2)),  # type: ignore[arg-type]
            Stretch(1, 1500, 2000, after(3), after(4)),  # type: ignore[arg-type]
            Stretch(2, 0, 500, after(10), after(11)),  # type: ignore[arg-type]
        )
        some = history.coverage("a", START + timedelta(seconds=1.5), START + timedelta(seconds=3))
        assert some == (Stretch(1, 500, 1000, after(1), after(2)),)  # type: ignore[arg-type]

    def test_sizes_are_by_stream_and_come_from_an_index_alone(self) -> None:
        chunks = [chunk_of(0, 500), chunk_of(500, 1000), chunk_of(0, 500, stream="b")]
        history.write(chunks)
        a, b = history.sizes()
        assert a == StoredSize(
            "a", 2, len(chunks[0].blob) + len(chunks[1].blob), START, START + timedelta(seconds=2)
        )
        assert (b.stream, history.sizes(["b"]), history.sizes([])) == ("b", (b,), ())
        if connections[HISTORY].vendor == "sqlite":
            with CaptureQueriesContext(connections[HISTORY]) as queries:
                history.sizes(["a", "b"])
            with connections[HISTORY].cursor() as cursor:
                cursor.execute(f"EXPLAIN QUERY PLAN {queries[0]['sql']}")
                assert "COVERING INDEX history_by_stream_time" in str(cursor.fetchall())
